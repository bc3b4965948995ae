//! What a table must hold, said by the mode's own words and not by what the product does.
//!
//! Where a run takes all that lies above a number, the table after it is known row by row. Where a window ends by a clock or before
//! what others have open, the table at any moment holds nothing that was not committed and no key twice, and at rest it is what the
//! mode says of the source.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::case::{Case, Mode};
use super::rows::{Row, Shown};
use super::source::Source;

/// The column that `deletes: mark` writes, and what the readers make of a time in it.
const MARK: &str = "_waybill_deleted_at";

#[derive(Clone, Debug)]
struct Held {
    id: i64,
    shown: Shown,
}

/// What the table holds after the runs that were.
#[derive(Clone)]
pub(super) struct Table {
    case: Case,
    rows: Vec<Held>,
    upto: i64,
}

impl Table {
    pub(super) const fn empty(case: Case) -> Self {
        Self { case, rows: Vec::new(), upto: 0 }
    }

    /// After one more run that saw the source like this.
    pub(super) fn after(&self, source: &Source) -> Self {
        let above = if self.case.mode == Mode::Full { 0 } else { self.upto };
        let came = source.rows.values().filter(|row| row.rev > above);
        let came: Vec<Held> = came.map(|row| Held { id: row.id, shown: row.shown() }).collect();
        let mut rows = self.rows.clone();
        match self.case.mode {
            Mode::Full => rows.clear(),
            Mode::New => {}
            Mode::Changed(deletes) => {
                let taken: BTreeSet<i64> = came.iter().map(|held| held.id).collect();
                rows.retain(|held| !taken.contains(&held.id));
                if deletes == "remove" {
                    rows.retain(|held| source.rows.contains_key(&held.id));
                }
                for held in rows.iter_mut().filter(|_| deletes == "mark") {
                    match source.rows.contains_key(&held.id) {
                        true => drop(held.shown.remove(MARK)),
                        false => drop(held.shown.insert(MARK.into(), json!("marked"))),
                    }
                }
            }
        }
        rows.extend(came);
        let newest = source.rows.values().map(|row| row.rev).max().unwrap_or(0);
        Self { case: self.case, rows, upto: self.upto.max(newest) }
    }

    /// The rows in an order that hangs on nothing else.
    fn listed(&self) -> Vec<String> {
        listed(self.rows.iter().map(|held| &held.shown))
    }
}

fn listed<'a>(rows: impl Iterator<Item = &'a Shown>) -> Vec<String> {
    let mut lines: Vec<String> = rows.map(|shown| json!(shown).to_string()).collect();
    lines.sort_unstable();
    lines
}

/// Which of the tables that a run may leave it has left.
pub(super) fn left(mut found: Vec<Shown>, candidates: Vec<Table>) -> Result<Table> {
    for mark in found.iter_mut().filter_map(|shown| shown.get_mut(MARK)) {
        *mark = json!("marked");
    }
    let found = listed(found.iter());
    let mut told = Vec::new();
    for (at, table) in candidates.into_iter().enumerate() {
        let wanted = table.listed();
        if wanted == found {
            return Ok(table);
        }
        told.push(format!("of what it may hold, the {}: {}", at + 1, difference(&found, &wanted)));
    }
    anyhow::bail!("the table is none of those that it may be:\n{}", told.join("\n"))
}

/// A few rows of each side that the other has not.
fn difference(found: &[String], wanted: &[String]) -> String {
    let only = |these: &[String], those: &[String]| {
        let mut left: BTreeMap<&String, i64> = BTreeMap::new();
        these.iter().for_each(|row| *left.entry(row).or_default() += 1);
        those.iter().for_each(|row| *left.entry(row).or_default() -= 1);
        left.into_iter().filter(|(_, many)| *many > 0).map(|(row, _)| row.clone()).collect::<Vec<_>>()
    };
    let (more, missing) = (only(found, wanted), only(wanted, found));
    let some = |rows: &[String]| rows.iter().take(4).map(|row| format!("\n      {row}")).collect::<String>();
    format!(
        "{} rows found, {} wanted\n    {} are not wanted:{}\n    {} are missing:{}",
        found.len(),
        wanted.len(),
        more.len(),
        some(&more),
        missing.len(),
        some(&missing)
    )
}

/// Every form in which each row was ever committed.
#[derive(Clone, Default)]
pub(super) struct Forms(BTreeMap<i64, BTreeSet<String>>);

impl Forms {
    pub(super) fn learn(&mut self, row: &Row) {
        self.0.entry(row.id).or_default().insert(json!(row.shown()).to_string());
    }

    /// At any moment: whole rows that were committed, and no key twice.
    pub(super) fn hold(&self, found: &[Shown]) -> Result<BTreeMap<i64, String>> {
        let mut seen = BTreeMap::new();
        for shown in found {
            let text = json!(shown).to_string();
            let id = Row::id_of(shown).with_context(|| format!("a row without its key: {text}"))?;
            let known = self.0.get(&id).is_some_and(|forms| forms.contains(&text));
            ensure!(known, "a row as it was never committed: {text}");
            ensure!(seen.insert(id, text).is_none(), "a key twice: {shown:?}");
        }
        Ok(seen)
    }

    /// At rest: what the mode says of the source.
    pub(super) fn are_settled(&self, found: &[Shown], source: &Source, mode: Mode) -> Result<()> {
        let mut seen = self.hold(found)?;
        for row in source.rows.values() {
            let there = seen.remove(&row.id).with_context(|| format!("missing: {}", json!(row.shown())))?;
            let now = json!(row.shown()).to_string();
            ensure!(mode == Mode::New || there == now, "not as it is now: {there}\n    but: {now}");
        }
        ensure!(mode != Mode::Changed("remove") || seen.is_empty(), "gone at the source: {:?}", seen.values().next());
        Ok(())
    }
}

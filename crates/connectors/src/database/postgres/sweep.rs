//! Rows of the table that the source has no more: its own server holds them against the keys of all rows of the source, by the equality
//! that its unique index has, in the transaction of the new rows.
//!
//! Whoever else writes waits. Nothing goes that a new row has the key of, nor more than the shrink guard allows.

use waybill_model::plan::Deletes;
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::database::{DELETED_AT, Swept, guard_deletes};
use waybill_pipeline::{Fault, FaultResult};

use super::clear::{self, Why};
use super::copy::Sheet;
use super::fault::of_target;
use super::index::Equality;
use super::kind::Column;
use super::merge::Merge;
use super::relation::Relation;
use super::session::{count, run};
use crate::source::postgres::literal::identifier;
use crate::source::postgres::wire::Wire;

/// The keys of all rows of the source, beside the table.
pub(super) struct Keys {
    pub(super) sheet: Sheet,
    pub(super) columns: Vec<Column>,
    /// What becomes of a row whose key is not among them.
    pub(super) deletes: Deletes,
}

impl Merge<'_> {
    /// Readies the keys, and says whether there is nothing to do: neither a new row nor one that is gone or back. Then nothing of the table
    /// is touched, be it only for a column that is not there yet.
    pub(super) async fn is_even(&self, wire: &mut Wire, found: &Relation, keys: &Keys) -> FaultResult<bool> {
        self.add_new_rows(wire, keys).await?;
        run(wire, &format!("ANALYZE {}", keys.sheet.table)).await?;
        if self.delivery.rows() > 0 {
            return Ok(false);
        }
        let table = format!("{}{}", found.only(), self.sql());
        let has_mark = keys.deletes == Deletes::Mark && found.columns.iter().any(|(name, _)| name == DELETED_AT);
        // Without the index that rows are merged by, nothing can be said yet.
        let Some(is_there) = is_there(wire, found, keys).await? else { return Ok(false) };
        // Where there is a mark, a row should have it or its key be there, and not both.
        let mark = identifier(DELETED_AT);
        let differ = match has_mark {
            true => [format!("t.{mark} IS NULL AND NOT {is_there}"), format!("t.{mark} IS NOT NULL AND {is_there}")]
                .to_vec(),
            false => vec![format!("NOT {is_there}")],
        };
        for differ in differ {
            let asked = format!("SELECT EXISTS (SELECT FROM {table} t WHERE {differ})");
            if wire.ask_one(&asked).await.map_err(of_target)?.flag(0)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes or marks the rows whose key is none of the source's, and takes the mark from those whose key is back.
    pub(super) async fn sweep(&self, wire: &mut Wire, found: &Relation, keys: &Keys) -> FaultResult<Swept> {
        let table = format!("{}{}", found.only(), self.sql());
        let lost = || Fault::new(FailureCode::WorkerBug, "the index that rows are merged by is not there");
        let is_there = is_there(wire, found, keys).await?.ok_or_else(lost)?;
        let mark = identifier(DELETED_AT);
        let live = match keys.deletes {
            Deletes::Mark => format!("t.{mark} IS NULL"),
            Deletes::Keep | Deletes::Remove => "true".to_owned(),
        };
        let gone = format!("{live} AND NOT {is_there}");
        let wanted = rows(wire, &format!("{table} t WHERE {gone}")).await?;
        if wanted > 0 {
            let live = rows(wire, &format!("{table} t WHERE {live}")).await?;
            guard_deletes(wanted, live, self.delivery.shrink_guard)?;
        }
        let (mut swept, mut back) = (Swept::default(), 0);
        match keys.deletes {
            Deletes::Keep => {}
            Deletes::Remove if wanted > 0 => {
                clear::check_references(wire, found, Why::Sweep).await?;
                swept.removed = count(wire, &format!("DELETE FROM {table} t WHERE {gone}")).await?;
            }
            Deletes::Remove => {}
            Deletes::Mark => {
                if wanted > 0 {
                    let now = Micros::now().0;
                    let at = format!(
                        "'1970-01-01 00:00:00+00'::pg_catalog.timestamptz + '{now} microseconds'::pg_catalog.interval"
                    );
                    swept.marked = count(wire, &format!("UPDATE {table} t SET {mark} = {at} WHERE {gone}")).await?;
                }
                let is_back = format!("t.{mark} IS NOT NULL AND {is_there}");
                back = rows(wire, &format!("{table} t WHERE {is_back}")).await?;
                swept.unmarked = count(wire, &format!("UPDATE {table} t SET {mark} = NULL WHERE {is_back}")).await?;
            }
        }
        self.check_swept(swept, wanted, back)?;
        Ok(swept)
    }

    /// Refuses what a trigger or a rule kept as it was, unseen.
    fn check_swept(&self, swept: Swept, wanted: u64, back: u64) -> FaultResult<()> {
        if swept.removed + swept.marked == wanted && swept.unmarked == back {
            return Ok(());
        }
        let text = format!(
            "{wanted} rows of {} are gone at the source, and the server deleted or marked {}; {back} are back, and it took the mark \
             from {}: a trigger or a rule of the table keeps them as they are; take it away, or do without `deletes`",
            self.sql(),
            swept.removed + swept.marked,
            swept.unmarked
        );
        Err(Fault::new(FailureCode::TargetDenied, text))
    }

    /// What came a moment before is not gone, also where an engine without snapshots shows the keys of a later moment.
    async fn add_new_rows(&self, wire: &mut Wire, keys: &Keys) -> FaultResult<()> {
        let lost = || Fault::new(FailureCode::WorkerBug, "a key's column is not among those that were sent");
        let mut from = Vec::new();
        for name in &keys.sheet.columns {
            // `c` and `t` with the place among the key's columns; here with that among all.
            let (kind, at) = name.split_at(1);
            let column = at.parse().ok().and_then(|at: usize| keys.columns.get(at)).ok_or_else(lost)?;
            let place = self.place(&column.name).ok_or_else(lost)?;
            from.push(format!("s.{kind}{place}"));
        }
        let (into, from) = (keys.sheet.columns.join(", "), from.join(", "));
        let (to, rows) = (&keys.sheet.table, &self.sheet.table);
        run(wire, &format!("INSERT INTO {to} ({into}) SELECT {from} FROM {rows} s")).await
    }
}

/// Whether the key of the row `t` is among them, by the equality of the index that rows are merged by; none where there is no such index.
async fn is_there(wire: &mut Wire, found: &Relation, keys: &Keys) -> FaultResult<Option<String>> {
    let names: Vec<String> = keys.columns.iter().map(|column| column.name.clone()).collect();
    let Some(equality) = Equality::of(wire, found.oid, &names).await? else { return Ok(None) };
    let same = |(at, column): (usize, &Column)| {
        let operator = equality.operator(&column.name)?;
        Some(format!("t.{} {operator} ({})", identifier(&column.name), column.value(at)))
    };
    let same: Option<Vec<String>> = keys.columns.iter().enumerate().map(same).collect();
    Ok(same.map(|same| format!("EXISTS (SELECT FROM {} s WHERE {})", keys.sheet.table, same.join(" AND "))))
}

async fn rows(wire: &mut Wire, from: &str) -> FaultResult<u64> {
    wire.ask_one(&format!("SELECT pg_catalog.count(*) FROM {from}")).await.map_err(of_target)?.number(0)
}

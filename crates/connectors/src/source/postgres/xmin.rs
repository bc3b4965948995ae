//! Windows by the transaction that wrote a row, for tables without a column that every change raises.
//!
//! A window ends before the oldest transaction that is under way, whoever asks and whatever they may see, so none that commits
//! late is passed by. A row bears the lower half of its transaction's number only, frozen or not: where that may stand for
//! several numbers, a row comes once too often and never too seldom.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use waybill_model::FailureCode;
use waybill_model::plan::Load;
use waybill_pipeline::source::WindowNote;
use waybill_pipeline::{CursorState, Fault, FaultResult};

use super::catalog::{Leaf, Relation};
use super::literal::literal;
use super::refusal::Failure;
use super::session::Hello;
use super::window::{Form, Kept, LOOK_AGAIN, Window};
use super::wire::Wire;

/// The name of the cursor. No column of a table can bear it.
pub(super) const COLUMN: &str = "xmin";

/// Numbers that a row can bear.
const ALL: u64 = 1 << 32;
/// Numbers below this one are of no transaction: what was frozen before PostgreSQL 9.4 bears them.
const FIRST: u64 = 3;

/// What the numbers of a cursor rest on.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RestsOn {
    /// The server's identity and timeline: another history gives the same number to another transaction.
    history: String,
    /// The tables, by their oids, of which all older rows were looked at.
    tables: BTreeSet<u32>,
}

/// Transactions whose rows a run takes.
#[derive(Clone)]
pub(super) struct Span {
    /// None takes all rows.
    low: Option<u64>,
    high: u64,
    /// Whether a row's half is the whole number, since no higher one was given out yet.
    is_exact: bool,
    rests_on: RestsOn,
}

/// Refuses what has no numbers that can be relied on.
pub(super) fn check(relation: &Relation, hello: &Hello) -> FaultResult<()> {
    if hello.is_replica {
        return Err(unusable("`cursor: xmin` is not taken from a replica: read the primary, or use a column"));
    }
    if !matches!(relation.kind, 'r' | 'p') {
        let text = "`cursor: xmin` is the transaction that wrote a row of a table, which a view or a foreign table does not \
                    have: name a column, under another name where it is called xmin";
        return Err(unusable(text));
    }
    Ok(())
}

/// Refuses a table with parts whose rows bear no numbers of this server.
pub(super) fn check_parts(leaves: &[Leaf]) -> FaultResult<()> {
    if leaves.iter().all(|leaf| leaf.is_heap) {
        return Ok(());
    }
    Err(unusable(
        "`cursor: xmin` needs rows that this server keeps itself, and a part of this table is foreign or of another kind",
    ))
}

/// Fixes the window. Runs outside the data snapshot, which must be opened afterwards.
pub(super) async fn fix(
    wire: &mut Wire,
    load: Load,
    (after, kept): (Option<&CursorState>, Option<Kept>),
    patience: Duration,
) -> FaultResult<Window> {
    let now = Moment::of(wire).await?;
    let is_exact = now.next <= ALL;
    if load == Load::New && !is_exact {
        let text = "the server has used up its transaction numbers once, so that old rows may bear those of new ones: \
                    `cursor: xmin` needs `load: changed` here";
        return Err(unusable(text));
    }
    let before = kept.map(|kept| now.after(kept)).transpose()?;
    let low = before.as_ref().map(|(low, _)| *low);
    let unchanged = |held| Window {
        cursor: after.cloned(),
        note: WindowNote { held, ..WindowNote::default() },
        is_empty: true,
        is_bounded: true,
        ..Window::default()
    };
    if low == Some(now.oldest) {
        return Ok(unchanged(now.oldest < now.next));
    }
    if !now.is_kept(wire, patience).await? {
        return Ok(unchanged(true));
    }
    let rests_on = RestsOn { history: now.history, tables: before.map(|(_, tables)| tables).unwrap_or_default() };
    let span = Span { low, high: now.oldest, is_exact, rests_on };
    Ok(Window { is_bounded: low.is_some(), span: Some(span), ..Window::default() })
}

/// Transactions at one moment.
struct Moment {
    /// All before this one have ended.
    oldest: u64,
    /// This one and those above it were not given out yet.
    next: u64,
    /// Where its log stood.
    log: String,
    history: String,
}

impl Moment {
    async fn of(wire: &mut Wire) -> FaultResult<Self> {
        // The log is looked at second: whatever had ended for the first is in it.
        let sql = "SELECT pg_catalog.pg_snapshot_xmin(s), pg_catalog.pg_snapshot_xmax(s), \
            pg_catalog.concat(c.system_identifier, '/', \
              pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8)) \
            FROM pg_catalog.pg_current_snapshot() s, pg_catalog.pg_control_system() c";
        let untold = |failure| match failure {
            Failure::Server(_) => {
                unusable("the server tells neither its identity nor where its log stands: use a column")
            }
            other => other.into(),
        };
        let row = wire.ask_one(sql).await.map_err(untold)?;
        let (oldest, next, history) = (row.number(0)?, row.number(1)?, row.text(2)?);
        let log = wire.ask_one("SELECT pg_catalog.pg_current_wal_insert_lsn()").await.map_err(untold)?.text(0)?;
        Ok(Self { oldest, next, log, history })
    }

    /// The number from which on rows are new, and the tables of which older ones were looked at.
    fn after(&self, kept: Kept) -> FaultResult<(u64, BTreeSet<u32>)> {
        let damaged = || Fault::new(FailureCode::CommitLogCorrupt, "the committed cursor can't be read");
        let low: u64 = kept.at.parse().map_err(|_| damaged())?;
        let rests_on = kept.rests_on.ok_or_else(damaged)?;
        if rests_on.history != self.history || low > self.oldest {
            let text = "the server was restored, replaced or promoted since the last run, so transaction numbers may stand \
                        for others: run one `full` load";
            return Err(Fault::new(FailureCode::CursorFellBack, text));
        }
        Ok((low, rests_on.tables))
    }

    /// Whether all that had ended is safe on the server's disk, once it is: what a crash makes it forget gives its number to
    /// others.
    async fn is_kept(&self, wire: &mut Wire, patience: Duration) -> FaultResult<bool> {
        let sql =
            format!("SELECT pg_catalog.pg_current_wal_flush_lsn() >= {}", literal(&self.log, "pg_catalog.pg_lsn")?);
        let end = Instant::now() + patience;
        let mut is_moved = false;
        while !wire.ask_one(&sql).await?.flag(0)? {
            if Instant::now() >= end {
                return Ok(false);
            }
            if !is_moved {
                // The server leaves the last page in memory until a transaction ends: this one is undone.
                wire.ask("BEGIN READ ONLY; SELECT pg_catalog.pg_current_xact_id(); ROLLBACK").await?;
                is_moved = true;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(true)
    }
}

impl Span {
    /// Gives a window its condition and its cursor, now that the tables are known that hold the rows in its snapshot.
    pub(super) fn settle(mut self, window: &mut Window, leaves: &[Leaf]) -> FaultResult<()> {
        check_parts(leaves)?;
        let tables: BTreeSet<u32> = leaves.iter().map(|leaf| leaf.oid).collect();
        let unseen: Vec<u32> = tables.difference(&self.rests_on.tables).copied().collect();
        window.rows = self.condition(&unseen)?;
        self.rests_on.tables = tables;
        window.cursor = Some(Form::Xmin.keep(&self.high.to_string(), None, Some(self.rests_on))?);
        Ok(())
    }

    /// Which rows are taken. A table that was not there before, a partition that was attached say, has older ones that nobody
    /// has looked at.
    fn condition(&self, unseen: &[u32]) -> FaultResult<Option<String>> {
        let raw = "xmin::pg_catalog.text::pg_catalog.int8";
        let Some(low) = self.low else { return Ok(self.is_exact.then(|| format!("{raw} < {}", self.high))) };
        let oids = unseen.iter().map(|oid| literal(&oid.to_string(), "pg_catalog.oid"));
        let oids = oids.collect::<FaultResult<Vec<_>>>()?.join(", ");
        let of_unseen = if oids.is_empty() { String::new() } else { format!("tableoid IN ({oids}) OR ") };
        if self.is_exact {
            return Ok(Some(format!("({of_unseen}{raw} >= {low}) AND {raw} < {}", self.high)));
        }
        // So many rounds were made that a half says nothing of rows since then: they are all taken.
        let many = self.high - low;
        Ok((many < ALL).then(|| format!("{of_unseen}({raw} >= {FIRST} AND (({raw} - {low}) & {}) < {many})", ALL - 1)))
    }
}

/// Why there is no window.
fn unusable(text: &str) -> Fault {
    Fault::new(FailureCode::CursorUnusable, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(low: Option<u64>, high: u64, is_exact: bool) -> Span {
        Span { low, high, is_exact, rests_on: RestsOn { history: String::new(), tables: BTreeSet::new() } }
    }

    /// Whether a row that bears the lower half of `number` is in the window, by the arithmetic that the condition names.
    fn takes(span: &Span, number: u64) -> bool {
        let text = span.condition(&[]).expect("a condition").expect("a bound");
        let (low, many) = (span.low.expect("a bound"), span.high - span.low.expect("a bound"));
        assert!(text.contains(&format!("- {low}) & 4294967295) < {many})")), "{text}");
        let raw = number % ALL;
        raw >= FIRST && (raw.wrapping_sub(low) & (ALL - 1)) < many
    }

    #[test]
    fn every_transaction_of_a_window_is_taken_where_numbers_went_round() {
        for (low, high) in [(ALL + 3, ALL + 10), (2 * ALL - 5, 2 * ALL + 5), (7 * ALL - 1_000_000, 8 * ALL - 1_000_001)]
        {
            let span = span(Some(low), high, false);
            let ends = (low..(low + 20).min(high)).chain((high - 20).max(low)..high);
            assert!(ends.filter(|number| number % ALL >= FIRST).all(|number| takes(&span, number)), "{low} {high}");
            assert!(!takes(&span, high.max(FIRST)) && !takes(&span, low - 1), "{low} {high}");
        }
    }

    #[test]
    fn rows_are_all_taken_where_their_numbers_tell_nothing() {
        assert!(span(None, ALL + 9, false).condition(&[]).expect("a condition").is_none(), "the first run");
        assert!(span(Some(9), ALL + 9, false).condition(&[]).expect("a condition").is_none(), "a whole round");
        assert_eq!(
            span(None, 9, true).condition(&[5]).expect("a condition").as_deref(),
            Some("xmin::pg_catalog.text::pg_catalog.int8 < 9")
        );
    }
}

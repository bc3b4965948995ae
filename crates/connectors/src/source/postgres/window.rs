//! The half-open window [L, H) of a `new` stream, fixed before the data snapshot is taken.
//!
//! A row can be committed late with an early cursor; so the window's end stays before everything that may still be open.
//! Where that can't be known the window says so, and never guesses.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use waybill_model::FailureCode;
use waybill_model::errand::Range;
use waybill_model::plan::{Condition, Cursor, Load, NullCursor, StreamPlan};
use waybill_pipeline::source::WindowNote;
use waybill_pipeline::{CursorState, Fault, FaultResult};

use super::catalog::{self, Attribute, Relation};
use super::kind::{Kind, Rules, Types, resolve};
use super::literal::{identifier, literal};
use super::origin;
use super::refusal::Failure;
use super::replica;
use super::select::attribute;
use super::sequence;
use super::session::Hello;
use super::wire::Wire;
use super::xmin::{self, RestsOn, Span};
use crate::source::range::{self, Of};
use crate::source::{MINUTES_OF_A_SETBACK, fell_back};

/// The lag where other sessions' times can't be seen.
pub(super) const FIXED_LAG_SECONDS: u64 = 300;
/// How often open transactions are looked at while one is waited for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// All digits, in the one form that sorts and reads back the same under every setting.
pub(super) const FORM: &str = "'YYYY-MM-DD HH24:MI:SS.US'";

/// What a run takes of a `new` stream. For `full` it is everything.
#[derive(Clone, Default)]
pub(super) struct Window {
    /// The condition on rows; none takes all.
    pub(super) rows: Option<String>,
    /// The condition on rows without a cursor (NULL, or a time at infinity), where there can be any.
    pub(super) nulls: Option<String>,
    /// The cursor to commit.
    pub(super) cursor: Option<CursorState>,
    pub(super) note: WindowNote,
    /// Nothing can be new.
    pub(super) is_empty: bool,
    /// There is a lower bound: the table is not read as a whole.
    pub(super) is_bounded: bool,
    /// The transactions whose rows it takes, for a cursor that is no column. Its condition follows once the tables that hold
    /// the rows are known.
    pub(super) span: Option<Span>,
}

/// A cursor as it is kept: what it is, and its exact text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Kept {
    #[serde(rename = "type")]
    form: Form,
    pub(super) at: String,
    /// By the primary's clock, the moment of which the server showed everything when this was its highest number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shown_until: Option<String>,
    /// What numbers of transactions rest on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rests_on: Option<RestsOn>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Form {
    Timestamptz,
    Timestamp,
    Integer,
    Xmin,
}

impl Form {
    const fn sql(self) -> &'static str {
        match self {
            Self::Timestamptz => "pg_catalog.timestamptz",
            Self::Timestamp => "pg_catalog.timestamp",
            Self::Integer | Self::Xmin => "pg_catalog.int8",
        }
    }

    pub(super) fn keep(
        self,
        at: &str,
        shown_until: Option<String>,
        rests_on: Option<RestsOn>,
    ) -> FaultResult<CursorState> {
        let kept = serde_json::to_string(&Kept { form: self, at: at.to_owned(), shown_until, rests_on });
        let text = kept.map_err(|_| Fault::new(FailureCode::WorkerBug, "a cursor can't be written"))?;
        Ok(CursorState::new(text))
    }
}

/// A stream's cursor, checked against the table.
pub(super) struct Checked<'a> {
    cursor: &'a Cursor,
    load: Load,
    column: String,
    form: Form,
    /// Of an integer.
    bits: u32,
}

/// Checks the cursor of a stream; none for `full`.
pub(super) fn check<'a>(
    stream: &'a StreamPlan,
    attributes: &[Attribute],
    types: &Types,
    rules: Rules,
) -> FaultResult<Option<Checked<'a>>> {
    if stream.load == Load::Full {
        return Ok(None);
    }
    let Some(cursor) = &stream.cursor else {
        return Err(Fault::new(FailureCode::SpecRefused, format!("`load: {}` needs a `cursor`", stream.load)));
    };
    if cursor.column == xmin::COLUMN {
        let column = cursor.column.clone();
        return Ok(Some(Checked { cursor, load: stream.load, column, form: Form::Xmin, bits: 64 }));
    }
    let found: &Attribute = attribute(attributes, &cursor.column, "cursor")?;
    let kind = resolve(types, found.type_oid, found.modifier, rules)?.0;
    let bits = match kind {
        Kind::Int2 => 16,
        Kind::Int4 => 32,
        _ => 64,
    };
    let form = match kind {
        Kind::TimestampTz => Form::Timestamptz,
        Kind::Timestamp if cursor.zone.is_none() => {
            let text = format!("{} is a timestamp without a zone; name its zone with `cursor-zone`", cursor.column);
            return Err(Fault::new(FailureCode::CursorZoneUnknown, text));
        }
        Kind::Timestamp => Form::Timestamp,
        Kind::Int2 | Kind::Int4 | Kind::Int8 => Form::Integer,
        _ => {
            let text = format!("{} is {}, which is neither an integer nor a timestamp", cursor.column, found.shown);
            return Err(Fault::new(FailureCode::CursorUnusable, text));
        }
    };
    Ok(Some(Checked { cursor, load: stream.load, column: identifier(&found.name), form, bits }))
}

impl Checked<'_> {
    /// Fixes the window. Runs outside the data snapshot, which must be opened afterwards.
    pub(super) async fn fix(
        &self,
        wire: &mut Wire,
        relation: &Relation,
        after: Option<&CursorState>,
        hello: &Hello,
        patience: Duration,
    ) -> FaultResult<Window> {
        let kept = after.map(|state| self.read(state)).transpose()?;
        if self.form == Form::Xmin {
            xmin::check(relation, hello)?;
            return xmin::fix(wire, self.load, (after, kept), patience).await;
        }
        let is_hidden = is_elsewhere(wire, relation).await? || hello.is_replica;
        let low = kept.as_ref().map(|kept| kept.at.as_str());
        // Asked for before the highest number: the replica may go on meanwhile.
        let then = kept.as_ref().and_then(|kept| kept.shown_until.as_deref());
        let is_behind = replica::is_behind(wire, hello.is_replica, then).await?;
        let mut note = WindowNote::default();
        let high = match self.form {
            Form::Integer => self.integer_end(wire, relation, patience, &mut note).await?,
            _ => self.time_end(wire, hello, is_hidden, &mut note).await?,
        };
        // Nothing here shows the transactions that count, or they were given their numbers before they began.
        note.fixed_lag |=
            is_hidden || self.form == Form::Integer && sequence::is_cached(wire, relation, &self.cursor.column).await?;
        let unchanged = Window { cursor: after.cloned(), note, is_empty: true, is_bounded: true, ..Window::default() };
        let Some(high) = high else { return Ok(unchanged) };
        if let Some(low) = low
            && !self.is_before(wire, low, &high).await?
        {
            let fell = self.form == Form::Integer && self.is_before(wire, &high, low).await?;
            if fell
                && !is_behind
                && !sequence::goes_on(wire, (relation, &self.cursor.column), &self.literal(low)?, hello).await?
            {
                return Err(fell_back(&self.cursor.column));
            }
            return Ok(unchanged);
        }
        // Asked for after the highest number: what was there to be seen then was there at this moment too.
        let shown_until = match self.form {
            Form::Integer => replica::shown_until(wire, hello.is_replica).await?,
            _ => None,
        };
        Ok(Window {
            rows: Some(self.condition(low, &high)?),
            cursor: Some(self.form.keep(&high, shown_until, None)?),
            note,
            is_bounded: low.is_some(),
            ..Window::default()
        })
    }

    /// Checks that the zone is known and numbers can be relied on, for a look at the stream without a run.
    pub(super) async fn rehearse(&self, wire: &mut Wire, relation: &Relation, hello: &Hello) -> FaultResult<()> {
        match self.form {
            Form::Xmin => {
                xmin::check(relation, hello)?;
                xmin::check_parts(&catalog::leaves(wire, relation).await?)
            }
            _ => {
                is_elsewhere(wire, relation).await?;
                if self.form == Form::Timestamp {
                    self.local(wire, "2000-01-01 00:00:00+00").await?;
                }
                Ok(())
            }
        }
    }

    /// The conditions on rows of a range.
    pub(super) fn range(&self, range: &Range) -> FaultResult<Vec<Condition>> {
        let of = match self.form {
            Form::Timestamptz => Of::Instant,
            Form::Timestamp => Of::Local,
            Form::Integer => Of::Number { bits: self.bits, is_signed: true },
            Form::Xmin => Of::Nothing,
        };
        range::conditions(&self.cursor.column, of, range, range::written)
    }

    fn read(&self, state: &CursorState) -> FaultResult<Kept> {
        let kept: Kept = serde_json::from_str(state.reveal())
            .map_err(|_| Fault::new(FailureCode::CommitLogCorrupt, "the committed cursor can't be read"))?;
        if kept.form == self.form {
            return Ok(kept);
        }
        let text = "the cursor column has another type than the committed cursor; run one `full` load";
        Err(Fault::new(FailureCode::CursorUnusable, text))
    }

    fn literal(&self, at: &str) -> FaultResult<String> {
        literal(at, self.form.sql())
    }

    /// Times are half-open, [L, H). Integers end at the highest that was there, (L, M].
    fn condition(&self, low: Option<&str>, high: &str) -> FaultResult<String> {
        let column = &self.column;
        let (from, to) = if self.form == Form::Integer { (">", "<=") } else { (">=", "<") };
        let high = format!("{column} {to} {}", self.literal(high)?);
        match low {
            Some(low) => Ok(format!("{column} {from} {} AND {high}", self.literal(low)?)),
            None if self.form == Form::Integer => Ok(high),
            None => Ok(format!("{column} > {} AND {high}", self.literal("-infinity")?)),
        }
    }

    /// The condition on rows that no window ever reaches: NULL, and times at infinity. Written so that an index serves it. Asked
    /// for behind the lock, which keeps the columns as they are.
    pub(super) async fn without(&self, wire: &mut Wire, relation: &Relation) -> FaultResult<Option<String>> {
        if self.form == Form::Xmin {
            return Ok(None);
        }
        let column = &self.column;
        let is_held = catalog::holds_no_null(wire, relation, &self.cursor.column).await?;
        let null = (!is_held).then(|| format!("{column} IS NULL"));
        if self.form == Form::Integer {
            return Ok(null);
        }
        let (first, last) = (self.literal("-infinity")?, self.literal("infinity")?);
        let infinite = format!("{column} = {first} OR {column} = {last}");
        Ok(Some(null.map_or_else(|| infinite.clone(), |null| format!("{null} OR {infinite}"))))
    }

    async fn is_before(&self, wire: &mut Wire, low: &str, high: &str) -> FaultResult<bool> {
        let sql = format!("SELECT {} < {}", self.literal(low)?, self.literal(high)?);
        wire.ask_one(&sql).await?.flag(0)
    }

    /// The oldest open transaction less the margin. What begins after the look has a later time by its nature; prepared
    /// transactions are looked at second, since one may leave the first list for the second. A session that is not to be
    /// tracked tells no start, whoever looks; one that was not when it began tells none either.
    async fn time_end(
        &self,
        wire: &mut Wire,
        hello: &Hello,
        is_hidden: bool,
        note: &mut WindowNote,
    ) -> FaultResult<Option<String>> {
        let margin = self.cursor.server_margin_ms();
        if hello.is_replica {
            note.fixed_lag = true;
            let high = replica::end_of_time(wire, margin).await?;
            note.held = high.is_none();
            return match high {
                Some(high) if self.form == Form::Timestamp => self.local(wire, &high).await.map(Some),
                high => Ok(high),
            };
        }
        let sql = format!(
            "SELECT pg_catalog.to_char((x.oldest - {margin} * interval '1 millisecond') AT TIME ZONE 'UTC', {FORM}), \
               pg_catalog.to_char((least(x.oldest, pg_catalog.now() - {FIXED_LAG_SECONDS} * interval '1 second') \
                 - {margin} * interval '1 millisecond') AT TIME ZONE 'UTC', {FORM}), \
               pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), coalesce(x.is_untold, false) \
             FROM (SELECT least(pg_catalog.now(), pg_catalog.min(a.xact_start)) AS oldest, \
                 pg_catalog.bool_or(a.xact_start IS NULL AND (a.state = 'disabled' \
                   OR a.state LIKE 'idle in transaction%' \
                   OR a.state <> 'idle' AND a.backend_xid IS NOT NULL)) AS is_untold \
               FROM pg_catalog.pg_stat_activity a WHERE {OTHERS}) x"
        );
        let row = wire.ask_one(&sql).await?;
        note.fixed_lag = is_hidden || !row.flag(2)? || row.flag(3)?;
        let high = row.text(usize::from(note.fixed_lag))? + "+00";
        note.held = has_prepared(wire).await?;
        if note.held {
            return Ok(None);
        }
        if self.form == Form::Timestamp { self.local(wire, &high).await.map(Some) } else { Ok(Some(high)) }
    }

    /// The earliest local time that any moment from `high` on can have: clocks that are set back within a day count, or
    /// the rows of the repeated hour would lie before the cursor.
    async fn local(&self, wire: &mut Wire, high: &str) -> FaultResult<String> {
        let zone = literal(self.cursor.zone.as_deref().unwrap_or_default(), "pg_catalog.text")?;
        let high = literal(high, "pg_catalog.timestamptz")?;
        let sql = format!(
            "SELECT pg_catalog.to_char(least({high} AT TIME ZONE {zone}, (SELECT pg_catalog.min(\
               (pg_catalog.date_trunc('minute', {high}) + g * interval '1 minute') AT TIME ZONE {zone}) \
               FROM pg_catalog.generate_series(1, {MINUTES_OF_A_SETBACK}) g)), {FORM})"
        );
        match wire.ask_one(&sql).await {
            Ok(row) => row.text(0),
            Err(Failure::Server(error)) if error.state() == "22023" => {
                let text = "`cursor-zone` is not a time zone that the server knows";
                Err(Fault::new(FailureCode::CursorZoneUnknown, text))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// The highest value, once no transaction is open that was open when it was read.
    async fn integer_end(
        &self,
        wire: &mut Wire,
        relation: &Relation,
        patience: Duration,
        note: &mut WindowNote,
    ) -> FaultResult<Option<String>> {
        let sql = format!("SELECT pg_catalog.max({})::pg_catalog.text FROM {}", self.column, relation.sql());
        let Some(high) = wire.ask_one(&sql).await?.opt(0)? else { return Ok(None) };
        let open = open_transactions(wire).await?;
        // Prepared ones are asked for last: one that is prepared while it is waited for ends here and goes on there.
        note.held = !all_ended(wire, &open, patience).await? || has_prepared(wire).await?;
        Ok(if note.held { None } else { Some(high) })
    }
}

/// Whether rows come from another server, whose transactions are not seen here. Rows that appear when a view is refreshed lie in
/// windows that are over.
async fn is_elsewhere(wire: &mut Wire, relation: &Relation) -> FaultResult<bool> {
    let origin = origin::of(wire, relation).await?;
    if origin.is_materialized {
        let text = "rows of a materialized view appear when it is refreshed, below cursors that were read already: use `load: full`, \
                    or read the tables that it is made of";
        return Err(Fault::new(FailureCode::CursorUnusable, text));
    }
    Ok(origin.is_foreign || origin.is_subscribed)
}

/// Sessions of this database that may write: not those that read as we do, and no housekeeping.
const OTHERS: &str = "a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() \
    AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'walsender') \
    AND NOT (a.usename = current_user AND a.application_name LIKE 'waybill/%')";

async fn has_prepared(wire: &mut Wire) -> FaultResult<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p \
        WHERE p.database = pg_catalog.current_database())";
    wire.ask_one(sql).await?.flag(0)
}

/// Every open transaction holds a lock on its own virtual id, which all users can see.
async fn open_transactions(wire: &mut Wire) -> FaultResult<Vec<String>> {
    let sql = format!(
        "SELECT DISTINCT l.virtualxid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
         WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND {OTHERS}"
    );
    wire.ask(&sql).await?.iter().map(|row| row.text(0)).collect()
}

async fn all_ended(wire: &mut Wire, open: &[String], patience: Duration) -> FaultResult<bool> {
    if open.is_empty() {
        return Ok(true);
    }
    let list: Vec<String> = open.iter().map(|id| literal(id, "pg_catalog.text")).collect::<FaultResult<_>>()?;
    let sql = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'virtualxid' \
         AND l.virtualxid IN ({}))",
        list.join(", ")
    );
    let end = Instant::now() + patience;
    loop {
        if !wire.ask_one(&sql).await?.flag(0)? {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

impl Window {
    /// Applies the policy for rows without a cursor, now that they are counted.
    pub(super) fn settle_nulls(&mut self, policy: NullCursor, count: u64) -> FaultResult<()> {
        self.note.null_cursors = count;
        let Some(nulls) = self.nulls.clone().filter(|_| count > 0) else { return Ok(()) };
        match policy {
            NullCursor::Fail => {
                let text = format!("{count} rows have no cursor: it is NULL or an infinite time");
                Err(Fault::new(FailureCode::CursorNull, text))
            }
            NullCursor::Ignore => Ok(()),
            NullCursor::IncludeAlways => {
                match self.rows.take() {
                    Some(rows) => self.rows = Some(format!("({rows}) OR {nulls}")),
                    // Without a cursor to commit there is no run to ride along with.
                    None if self.is_empty && self.cursor.is_some() => {
                        self.rows = Some(nulls);
                        self.is_empty = false;
                    }
                    None => {}
                }
                Ok(())
            }
        }
    }
}

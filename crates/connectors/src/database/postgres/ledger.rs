//! `_waybill_commit`: one row per table of ours beside the tables of its schema, changed in the transaction that changes
//! the table. It says whose the table is, up to which epoch, and holds the state with the cursor.

use waybill_model::{AttemptId, Epoch, FailureCode, RunId};
use waybill_pipeline::commit::State;
use waybill_pipeline::database::read_state;
use waybill_pipeline::{Fault, FaultResult};

use super::fault::of_target;
use super::relation::sql;
use super::session::{PATIENCE, run};
use crate::source::postgres::literal::{identifier, literal};
use crate::source::postgres::wire::Wire;

/// The table's name.
pub(super) const TABLE: &str = "_waybill_commit";

/// A table's row.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) table_oid: u32,
    pub(super) stream: String,
    pub(super) version: u64,
    pub(super) attempt: AttemptId,
    pub(super) digest_key: Vec<u8>,
    pub(super) state: State,
}

impl Entry {
    /// Refuses a commit of this run that another stream made: it would pass for the stream's own. One of an earlier run is
    /// none: a stream may have got another name since.
    pub(super) fn check_stream(&self, run: RunId, stream: &str) -> FaultResult<()> {
        if self.state.run != run || self.stream == stream {
            return Ok(());
        }
        let text =
            format!("two streams write this table, {} and {stream}: give one of them another `table`", self.stream);
        Err(Fault::new(FailureCode::SpecRefused, text))
    }
}

/// What a commit leaves.
pub(super) struct Fresh<'a> {
    pub(super) pipeline: &'a str,
    pub(super) stream: &'a str,
    pub(super) epoch: Epoch,
    pub(super) version: u64,
    pub(super) run: RunId,
    pub(super) attempt: AttemptId,
    pub(super) state: &'a str,
    pub(super) digest_key: &'a [u8],
}

/// Makes the ledger of a schema, outside of any transaction of rows: whoever else makes it at the same time is as good.
pub(super) async fn make(wire: &mut Wire, schema: &str) -> FaultResult<()> {
    let ledger = sql(schema, TABLE);
    let made = format!(
        "SET LOCAL client_min_messages = 'error'; CREATE TABLE IF NOT EXISTS {ledger} (table_name text PRIMARY KEY, table_oid oid NOT NULL, \
         pipeline text NOT NULL, stream text NOT NULL, epoch bigint NOT NULL, version bigint NOT NULL, \
         run text NOT NULL, attempt text NOT NULL, state text NOT NULL, digest_key text NOT NULL, \
         committed_at timestamp with time zone NOT NULL DEFAULT pg_catalog.now())"
    );
    let Err(first) = wire.run(&made).await else { return Ok(()) };
    // Of two that make it at once the second may meet the first one's names.
    wire.run(&made).await.map(drop).map_err(|_| of_target(first))
}

/// The row of a table; none where there is none or no ledger yet.
pub(super) async fn read(wire: &mut Wire, schema: &str, table: &str) -> FaultResult<Option<Entry>> {
    if check_own(wire, schema).await? { row(wire, schema, table, "").await } else { Ok(None) }
}

/// Refuses a ledger that somebody else made, or could have: what stands in it would be believed, and what stands on it would be
/// run. A superuser is no member of every role here. False where there is none.
async fn check_own(wire: &mut Wire, schema: &str) -> FaultResult<bool> {
    let name = literal(&sql(schema, TABLE), "pg_catalog.text")?;
    let asked = format!(
        "WITH RECURSIVE own(oid) AS (SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = current_user \
           UNION SELECT m.roleid FROM own JOIN pg_catalog.pg_auth_members m ON m.member = own.oid) \
         SELECT c.relkind = 'r' AND c.relowner IN (SELECT oid FROM own), current_user \
         FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass({name})"
    );
    let Some(found) = wire.ask(&asked).await.map_err(of_target)?.into_iter().next() else { return Ok(false) };
    if found.flag(0)? {
        return Ok(true);
    }
    let text = format!(
        "{schema}.{TABLE} was made by somebody else, so that what it says of our tables can't be trusted: see who made it and what it \
         holds, then drop it, or ALTER TABLE {} OWNER TO {}",
        sql(schema, TABLE),
        identifier(&found.text(1)?)
    );
    Err(Fault::new(FailureCode::TableNotOurs, text))
}

/// Keeps every other attempt at this table out until the transaction ends, and reads its row as it is now. From before that on
/// the server ends an attempt that freezes: whoever waits for the lock must not wait for it for ever.
pub(super) async fn lock(wire: &mut Wire, schema: &str, table: &str) -> FaultResult<Option<Entry>> {
    run(wire, PATIENCE).await?;
    let name = literal(&format!("waybill/{}", sql(schema, table)), "pg_catalog.text")?;
    let lock = format!("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended({name}, 0))");
    wire.ask(&lock).await.map_err(of_target)?;
    // Held, so that it stays the one that is looked at.
    run(wire, &format!("LOCK TABLE {} IN ROW SHARE MODE", sql(schema, TABLE))).await?;
    check_own(wire, schema).await?;
    row(wire, schema, table, "FOR UPDATE").await
}

async fn row(wire: &mut Wire, schema: &str, table: &str, lock: &str) -> FaultResult<Option<Entry>> {
    let name = literal(table, "pg_catalog.text")?;
    let asked = format!(
        "SELECT table_oid, stream, version, attempt, digest_key, state FROM {} WHERE table_name = {name} {lock}",
        sql(schema, TABLE)
    );
    let Some(row) = wire.ask(&asked).await.map_err(of_target)?.into_iter().next() else { return Ok(None) };
    let damaged = || Fault::new(FailureCode::CommitLogCorrupt, format!("a row of {schema}.{TABLE} can't be read"));
    let digest_key = hex::decode(row.text(4)?).map_err(|_| damaged())?;
    Ok(Some(Entry {
        table_oid: row.number(0)?,
        stream: row.text(1)?,
        version: row.number(2)?,
        attempt: row.text(3)?.parse().map_err(|_| damaged())?,
        state: read_state(&row.text(5)?, &digest_key)?,
        digest_key,
    }))
}

/// Writes a table's row in the place of the one before.
pub(super) async fn write(wire: &mut Wire, (schema, table): (&str, &str), fresh: &Fresh<'_>) -> FaultResult<()> {
    let text = |value: &str| literal(value, "pg_catalog.text");
    let (name, oid) = (text(table)?, literal(&sql(schema, table), "pg_catalog.regclass")?);
    let (pipeline, stream, state) = (text(fresh.pipeline)?, text(fresh.stream)?, text(fresh.state)?);
    let (run, attempt) = (text(&fresh.run.to_string())?, text(&fresh.attempt.to_string())?);
    let key = text(&hex::encode(fresh.digest_key))?;
    let written = format!(
        "INSERT INTO {ledger} (table_name, table_oid, pipeline, stream, epoch, version, run, attempt, state, digest_key) \
         VALUES ({name}, {oid}::pg_catalog.oid, {pipeline}, {stream}, {}, {}, {run}, {attempt}, {state}, {key}) \
         ON CONFLICT (table_name) DO UPDATE SET table_oid = excluded.table_oid, pipeline = excluded.pipeline, \
         stream = excluded.stream, epoch = excluded.epoch, version = excluded.version, run = excluded.run, \
         attempt = excluded.attempt, state = excluded.state, digest_key = excluded.digest_key, committed_at = pg_catalog.now()",
        fresh.epoch.0,
        fresh.version,
        ledger = sql(schema, TABLE),
    );
    wire.run(&written).await.map(drop).map_err(of_target)
}

//! What a session is told before it reads: isolation, the settings that keep values exact, and the shared snapshot.
//!
//! Everything inside the transaction is SET LOCAL, so that a pooler can't carry it on or lose it. The lock on the table
//! comes before the first statement that takes a snapshot.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::catalog::Relation;
use super::literal::literal;
use super::refusal::{Exchange, Failure};
use super::wire::Wire;
use crate::source::server::loss::lost_as;

/// The worker's own phase bounds take the place of the server's time-outs. With row security off a policy is an error
/// instead of a silent filter. The styles make every `::text` exact and the same everywhere.
const SETTINGS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL lock_timeout = '30s'; SET LOCAL row_security = off; SET LOCAL search_path = ''; \
    SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL TimeZone = 'UTC'; \
    SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL xmloption = 'content'; \
    SET LOCAL standard_conforming_strings = on; SET LOCAL quote_all_identifiers = off; \
    SET LOCAL client_min_messages = 'error';";

/// A backend whose client is gone ends within this time, also in the middle of a long statement. It is for the whole session, in
/// or out of a transaction; behind a pooler whoever gets the session next is noticed as soon, and nothing else changes for them.
const NOTICE_LOSS: &str = "SET client_connection_check_interval = '10s'";

/// What all connections of one snapshot must agree on.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Identity {
    server: String,
    started: String,
}

/// What a session learns at its start.
pub(crate) struct Hello {
    pub(crate) is_replica: bool,
    /// Text of this database has no encoding: its bytes come as they are.
    pub(crate) is_sql_ascii: bool,
}

/// Looks at the server before anything else, and refuses one that can't read ranges of row ids.
pub(crate) async fn greet(wire: &mut Wire) -> Exchange<Hello> {
    // Some platforms can't check a connection while they work; nothing else depends on it.
    if let Err(Failure::Fault(fault)) = wire.ask(NOTICE_LOSS).await {
        return Err(fault.into());
    }
    let sql = "SELECT pg_catalog.current_setting('server_version_num'), pg_catalog.pg_is_in_recovery(), \
        pg_catalog.current_setting('server_encoding')";
    let row = wire.ask_one(sql).await?;
    if row.number::<u32>(0)? < 140_000 {
        return Err(Fault::new(FailureCode::SpecRefused, "this server is older than PostgreSQL 14").into());
    }
    Ok(Hello { is_replica: row.flag(1)?, is_sql_ascii: row.text(2)? == "SQL_ASCII" })
}

/// Opens the leader's transaction and holds the table against rewriting from before its first snapshot to its end.
pub(super) async fn lead(wire: &mut Wire, relation: &Relation, is_sql_ascii: bool) -> Exchange<()> {
    let lock = if relation.is_lockable() { lock_of(relation, "") } else { String::new() };
    wire.ask(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {SETTINGS} {} {lock}", raw(is_sql_ascii)))
        .await
        .map(drop)
}

/// Names the leader's snapshot for its followers, and the server that holds it.
pub(super) async fn export(wire: &mut Wire) -> FaultResult<(String, Identity)> {
    let sql = format!("SELECT pg_catalog.pg_export_snapshot(), {IDENTITY}");
    let row = wire.ask_one(&sql).await?;
    Ok((row.text(0)?, Identity { server: row.text(1)?, started: row.text(2)? }))
}

const IDENTITY: &str = "pg_catalog.concat(pg_catalog.inet_server_addr(), ' ', pg_catalog.inet_server_port()), \
    pg_catalog.pg_postmaster_start_time()::pg_catalog.text";

/// What became of a follower.
pub(super) enum Joined {
    Reading,
    /// Somebody waits for the table already: a further lock would wait behind them, and they for the leader.
    Blocked,
}

/// Opens a follower's transaction in the leader's snapshot, on the same server, with its own lock on the table.
pub(super) async fn follow(
    wire: &mut Wire,
    snapshot: &str,
    leader: &Identity,
    relation: &Relation,
    is_sql_ascii: bool,
) -> FaultResult<Joined> {
    let id = literal(snapshot, "x")?;
    let id = id.trim_end_matches("::x");
    let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT {id};");
    if let Err(failure) = wire.ask(&format!("{begin} {SETTINGS} {}", raw(is_sql_ascii))).await {
        return Err(match failure {
            Failure::Server(error) if matches!(error.state(), "22023" | "55000" | "42704") => {
                let text = "the snapshot is gone: the connection that held it ended";
                Fault::new(FailureCode::SnapshotLost, text).with_sqlstate(error.state())
            }
            other => other.into(),
        });
    }
    let row = wire.ask_one(&format!("SELECT {IDENTITY}")).await?;
    if *leader != (Identity { server: row.text(0)?, started: row.text(1)? }) {
        let text = "connections to this address reach different servers; name one of them";
        return Err(Fault::new(FailureCode::SourceFailed, text));
    }
    if !relation.is_lockable() {
        return Ok(Joined::Reading);
    }
    match wire.ask(&lock_of(relation, "NOWAIT")).await {
        Ok(_) => Ok(Joined::Reading),
        Err(Failure::Server(error)) if error.state() == "55P03" => Ok(Joined::Blocked),
        Err(failure) => Err(failure.into()),
    }
}

/// Shows that a parked leader still stands.
pub(super) async fn ping(wire: &mut Wire) -> FaultResult<()> {
    let answer = wire.ask("SELECT 1").await.map(drop).map_err(Fault::from);
    lost_as(answer, FailureCode::SnapshotLost)
}

fn lock_of(relation: &Relation, wait: &str) -> String {
    format!("LOCK TABLE {} IN ACCESS SHARE MODE {wait};", relation.sql())
}

const fn raw(is_sql_ascii: bool) -> &'static str {
    if is_sql_ascii { "SET LOCAL client_encoding = 'SQL_ASCII';" } else { "" }
}

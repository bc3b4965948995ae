//! What a session is told before it writes. Everything is SET LOCAL, so that a pooler can't carry it on or lose it, but for what
//! every session of ours is greeted with: how soon its end is noticed.

use std::time::Duration;

use waybill_pipeline::FaultResult;

use super::fault::of_target;
use crate::source::postgres::connect::Address;
use crate::source::postgres::session::greet;
use crate::source::postgres::wire::Wire;

/// As where the source reads: the styles make the casts of texts exact, and with row security off a policy is an error instead
/// of a silent filter. A wait for a lock ends after all that a frozen
/// attempt may hold one.
const SETTINGS: &str = "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL lock_timeout = '6min'; SET LOCAL row_security = off; SET LOCAL search_path = ''; \
    SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL IntervalStyle = 'iso_8601'; SET LOCAL TimeZone = 'UTC'; \
    SET LOCAL extra_float_digits = 3; SET LOCAL bytea_output = 'hex'; SET LOCAL xmloption = 'content'; \
    SET LOCAL standard_conforming_strings = on; SET LOCAL quote_all_identifiers = off; \
    SET LOCAL check_function_bodies = off; SET LOCAL client_min_messages = 'error'";

/// How long a transaction that holds a table's lock may stand without a word from its worker: then the server takes it back.
pub(super) const PATIENCE: &str = "SET LOCAL idle_in_transaction_session_timeout = '5min'";
/// How long what became of a commit is waited for.
pub(super) const READ_BACK: Duration = Duration::from_secs(12);

/// A new session, before anything is asked.
pub(super) async fn connect(address: &Address) -> FaultResult<Wire> {
    let (mut wire, _) = address.connect().await.map_err(of_target)?;
    greet(&mut wire).await.map_err(of_target)?;
    Ok(wire)
}

/// Opens the transaction that rows go into.
pub(super) async fn begin(wire: &mut Wire) -> FaultResult<()> {
    run(wire, &format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {SETTINGS}")).await
}

/// Opens a transaction in which nothing can change, for a look under the settings that rows go in by: how the server writes a
/// type's name hangs on them, and names are compared. A replica opens it too, and is told from a primary in it.
pub(super) async fn look(wire: &mut Wire) -> FaultResult<()> {
    run(wire, &format!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {SETTINGS}")).await
}

/// Ends a look.
pub(super) async fn looked(wire: &mut Wire) -> FaultResult<()> {
    run(wire, "ROLLBACK").await
}

/// Runs a statement for its tag, and gives the number at its end: the rows that it touched.
pub(super) async fn count(wire: &mut Wire, sql: &str) -> FaultResult<u64> {
    let tag = wire.run(sql).await.map_err(of_target)?;
    Ok(tag.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0))
}

/// Runs a statement.
pub(super) async fn run(wire: &mut Wire, sql: &str) -> FaultResult<()> {
    wire.run(sql).await.map(drop).map_err(of_target)
}

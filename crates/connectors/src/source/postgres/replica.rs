//! How far a replica has come, and what can be concluded from it. Its own clock says nothing of that.
//!
//! Only the time of the newest transaction that it has replayed counts: that it has replayed all that it received tells
//! nothing where the link to its primary, or that of a server between them, hangs.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::literal::literal;
use super::refusal::Failure;
use super::window::{FIXED_LAG_SECONDS, FORM};
use super::wire::Wire;

/// Numbers that a sequence's record in the log runs ahead of it: `SEQ_LOG_VALS` of the server.
pub(super) const RECORDED_AHEAD: u32 = 32;

/// The end of a window of times: what commits later than the lag is not promised. None before the first transaction that is
/// replayed since the replica began.
pub(super) async fn end_of_time(wire: &mut Wire, margin: u64) -> FaultResult<Option<String>> {
    let sql = format!(
        "SELECT pg_catalog.to_char((pg_catalog.pg_last_xact_replay_timestamp() - {FIXED_LAG_SECONDS} * interval '1 second' \
           - {margin} * interval '1 millisecond') AT TIME ZONE 'UTC', {FORM})"
    );
    match wire.ask_one(&sql).await {
        Ok(row) => Ok(row.opt(0)?.map(|at| at + "+00")),
        Err(Failure::Server(_)) => {
            let text = "this replica does not tell how far it has come: read the primary, or use another cursor";
            Err(Fault::new(FailureCode::CursorUnusable, text))
        }
        Err(failure) => Err(failure.into()),
    }
}

/// The moment, by the primary's clock, up to which a server shows everything; none where it does not tell.
pub(super) async fn shown_until(wire: &mut Wire, is_replica: bool) -> FaultResult<Option<String>> {
    let clock = if is_replica { "pg_last_xact_replay_timestamp" } else { "clock_timestamp" };
    match wire.ask_one(&format!("SELECT pg_catalog.to_char(pg_catalog.{clock}() AT TIME ZONE 'UTC', {FORM})")).await {
        Ok(row) => row.opt(0),
        Err(Failure::Server(_)) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Whether this server may show less than was shown at that moment. Where a moment is not known there is nothing to excuse.
pub(super) async fn is_behind(wire: &mut Wire, is_replica: bool, then: Option<&str>) -> FaultResult<bool> {
    let Some(then) = then.filter(|_| is_replica) else { return Ok(false) };
    let Some(now) = shown_until(wire, is_replica).await? else { return Ok(false) };
    let (now, then) = (literal(&now, "pg_catalog.timestamp")?, literal(then, "pg_catalog.timestamp")?);
    wire.ask_one(&format!("SELECT {now} < {then}")).await?.flag(0)
}

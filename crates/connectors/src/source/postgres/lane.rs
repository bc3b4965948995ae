//! One connection's share of the reading: ranges from the shared queue, decoded into batches.
//!
//! It reads nothing before `next` is called. A batch may span ranges; a range counts as read only with its proof.

use std::sync::Arc;

use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_pipeline::{Batch, Fault, FaultResult, Lane};

use super::copy::{CopyOut, Stop};
use super::decode::Decoder;
use super::snapshot::{Shared, park};
use super::wire::Wire;
use crate::source::server::loss::was_ended;
use crate::source::server::part::What;

/// A lane of a Postgres snapshot.
pub(super) struct PgLane {
    shared: Arc<Shared>,
    what: What,
    decoder: Decoder,
    wire: Option<Wire>,
    copy: Option<CopyOut>,
    is_leader: bool,
}

impl PgLane {
    /// The lane on the leader's own connection.
    pub(super) fn leading(shared: Arc<Shared>, wire: Wire, what: What) -> Self {
        Self { decoder: shared.decoder(what), shared, what, wire: Some(wire), copy: None, is_leader: true }
    }

    /// A further lane; without a connection it is at its end.
    pub(super) fn following(shared: Arc<Shared>, wire: Option<Wire>) -> Self {
        let what = What::Rows;
        Self { decoder: shared.decoder(what), shared, what, wire, copy: None, is_leader: false }
    }

    /// Fills the batch; true when there is nothing more to read.
    async fn fill(&mut self) -> FaultResult<bool> {
        let part = self.shared.parts.of(self.what);
        let Some(wire) = self.wire.as_mut() else { return Ok(true) };
        loop {
            let copy = match &mut self.copy {
                Some(copy) => copy,
                None => {
                    let Some(range) = part.next_range() else { return Ok(true) };
                    self.decoder.begin();
                    let begun = CopyOut::begin(wire, &part.selection.copy(&range)).await?;
                    self.copy.insert(begun)
                }
            };
            match copy.read(wire, &mut self.decoder).await? {
                Stop::Full => return Ok(false),
                Stop::Complete => {
                    self.copy = None;
                    part.range_read();
                }
            }
        }
    }

    /// Without the leader no lane can be joined or counted any more.
    fn name_loss(&self, mut fault: Fault) -> Fault {
        let ended = was_ended(&fault);
        // Where the session that carried all connections ended, that says more.
        if fault.code == FailureCode::SshTunnelLost {
            return fault;
        }
        if self.is_leader && (ended || self.wire.as_ref().is_some_and(Wire::is_lost) && fault.sqlstate.is_none()) {
            fault.code = FailureCode::SnapshotLost;
        }
        fault
    }

    async fn leave(&mut self) {
        let Some(mut wire) = self.wire.take() else { return };
        if self.is_leader {
            park(&self.shared, wire).await;
        } else {
            wire.terminate().await;
        }
    }
}

#[async_trait]
impl Lane for PgLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let is_over = self.fill().await.map_err(|fault| self.name_loss(fault))?;
        if self.decoder.has_rows() {
            let batch = self.decoder.take()?;
            self.shared.parts.of(self.what).rows_read(batch.rows.num_rows());
            return Ok(Some(batch));
        }
        if is_over {
            self.leave().await;
        }
        Ok(None)
    }
}

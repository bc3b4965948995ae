//! One connection's share of the reading: ranges from the shared queue, decoded into batches.
//!
//! It reads nothing before `next` is called. A batch may span ranges; a range counts as read only with its proof.

use std::sync::Arc;

use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_pipeline::{Batch, Fault, FaultResult, Lane};

use super::decode::Decoder;
use super::snapshot::Shared;
use super::statement::{Rows, Stop};
use super::wire::Wire;
use crate::source::server::loss::was_ended;
use crate::source::server::part::What;

/// A lane of a MySQL snapshot.
pub(super) struct MySqlLane {
    shared: Arc<Shared>,
    what: What,
    decoder: Decoder,
    wire: Option<Wire>,
    rows: Option<Rows>,
    /// A statement was sent whose end has not come.
    is_asking: bool,
}

impl MySqlLane {
    pub(super) fn new(shared: Arc<Shared>, wire: Option<Wire>, what: What) -> Self {
        Self { decoder: shared.decoder(what), shared, what, wire, rows: None, is_asking: false }
    }

    /// Fills the batch; true when there is nothing more to read.
    async fn fill(&mut self) -> FaultResult<bool> {
        let part = self.shared.parts.of(self.what);
        let Some(wire) = self.wire.as_mut() else { return Ok(true) };
        loop {
            let rows = match &mut self.rows {
                Some(rows) => rows,
                None => {
                    let Some(range) = part.next_range() else { return Ok(true) };
                    let sql = part.selection.rows(range.as_ref());
                    self.is_asking = true;
                    let begun = Rows::begin(wire, &sql, &self.decoder).await?;
                    self.rows.insert(begun)
                }
            };
            match rows.read(wire, &mut self.decoder).await? {
                Stop::Full => return Ok(false),
                Stop::Complete => {
                    (self.rows, self.is_asking) = (None, false);
                    part.range_read();
                }
            }
        }
    }

    /// Each connection has a part of the snapshot that no other one can have again.
    fn name_loss(&self, mut fault: Fault) -> Fault {
        // Where the session that carried all connections ended, that says more.
        if fault.code == FailureCode::SshTunnelLost {
            return fault;
        }
        let ended = was_ended(&fault) || fault.code == FailureCode::SourceIncomplete;
        if ended || self.wire.as_ref().is_some_and(Wire::is_lost) && fault.sqlstate.is_none() {
            fault.code = FailureCode::SnapshotLost;
        }
        fault
    }
}

/// A statement that sends nothing, such as one that sleeps, would not notice that nobody reads any more.
impl Drop for MySqlLane {
    fn drop(&mut self) {
        let Some(wire) = self.wire.as_ref().filter(|wire| self.is_asking && !wire.is_lost()) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (shared, thread) = (Arc::clone(&self.shared), wire.thread);
        runtime.spawn(async move { shared.end(thread).await });
    }
}

#[async_trait]
impl Lane for MySqlLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let is_over = self.fill().await.map_err(|fault| self.name_loss(fault))?;
        if self.decoder.has_rows() {
            let batch = self.decoder.take()?;
            self.shared.parts.of(self.what).rows_read(batch.rows.num_rows());
            return Ok(Some(batch));
        }
        if is_over && let Some(wire) = self.wire.take() {
            self.shared.give_back(wire);
        }
        Ok(None)
    }
}

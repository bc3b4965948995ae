//! One consistent view of a table for one connection or several, the queue of ranges that they share, and the proof of the end.
//!
//! One connection reads in one transaction. Several exist only where it was proven that they see the same (`barrier`).

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_pipeline::source::WindowNote;
use waybill_pipeline::{ColumnSum, CursorState, Fault, FaultResult, Lane, Proof, Snapshot};

use super::connect::Address;
use super::decode::{Bounds, Decoder, Policies};
use super::lane::MySqlLane;
use super::select::Selection;
use super::window::Window;
use super::wire::Wire;
use crate::source::server::loss::lost_as;
use crate::source::server::part::{Parts, What};
use crate::source::server::proof;
use crate::source::server::reach::Goal;
use crate::source::server::sums::{Summed, statements};

/// A range's condition; none takes all rows.
pub(super) type Range = Option<String>;

/// What lanes share.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) at: Goal,
    pub(super) parts: Parts<Selection, Range>,
    pub(super) policies: Policies,
    pub(super) bounds: Bounds,
    /// Connections that no lane reads on: before their lane begins, and after it has ended well.
    pub(super) idle: Mutex<Vec<Wire>>,
}

impl Shared {
    /// A connection to read on.
    pub(super) fn take_wire(&self) -> Option<Wire> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Gives a connection back, whose transaction stays open.
    pub(super) fn give_back(&self, wire: Wire) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
    }

    /// Ends a connection whose reader is gone. Nobody waits for it, and nothing follows where it fails: the server ends it
    /// then when it next sends something.
    pub(super) async fn end(&self, thread: u32) {
        if let Ok(mut wire) = self.address.connect_to(self.at).await {
            let _ = wire.ask(&format!("KILL CONNECTION {thread}")).await;
            wire.quit().await;
        }
    }

    /// A decoder with an empty batch.
    pub(super) fn decoder(&self, what: What) -> Decoder {
        let selection = &self.parts.of(what).selection;
        Decoder::new(&selection.kinds, Arc::clone(&selection.schema), self.policies, self.bounds)
    }
}

/// The snapshot of one stream.
pub(super) struct MySqlSnapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) window: Window,
    pub(super) key: Vec<String>,
    pub(super) rows_estimate: Option<u64>,
    pub(super) lanes: usize,
    pub(super) counts: bool,
    /// What makes it one view, for the receipt.
    pub(super) rests_on: String,
}

#[async_trait]
impl Snapshot for MySqlSnapshot {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shared.parts.rows.selection.schema)
    }

    fn ranges(&self) -> usize {
        self.shared.parts.rows.ranges()
    }

    fn rows_estimate(&self) -> Option<u64> {
        self.rows_estimate
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn cursor(&self) -> Option<CursorState> {
        self.window.cursor.clone()
    }

    fn key(&self) -> Vec<String> {
        self.key.clone()
    }

    fn window(&self) -> WindowNote {
        self.window.note
    }

    async fn lane(&self) -> FaultResult<Box<dyn Lane>> {
        // A lane without a connection is at its end.
        Ok(Box::new(MySqlLane::new(Arc::clone(&self.shared), self.shared.take_wire(), What::Rows)))
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        let lost = || Fault::new(FailureCode::SourceIncomplete, "not every connection was read to its end");
        self.shared.parts.begin_keys()?;
        // Without a connection a lane would be at its end at once, as if there were no keys.
        let wire = self.shared.take_wire().ok_or_else(lost)?;
        Ok(Box::new(MySqlLane::new(Arc::clone(&self.shared), Some(wire), What::Keys)))
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        let shared = &self.shared;
        let Some(mut wire) = shared.take_wire() else {
            return Err(Fault::new(FailureCode::SourceIncomplete, "not every connection was read to its end"));
        };
        let read = shared.parts.rows.complete()?;
        let source_count = if self.counts { Some(self.count(&mut wire).await?) } else { None };
        let proof = proof(read, source_count, self.rests_on.clone())?;
        let sums = self.sums(&mut wire).await?;
        wire.quit().await;
        while let Some(wire) = shared.take_wire() {
            wire.quit().await;
        }
        Ok(Proof { sums, ..proof })
    }
}

impl MySqlSnapshot {
    async fn count(&self, wire: &mut Wire) -> FaultResult<u64> {
        if self.window.is_empty {
            return Ok(0);
        }
        let counted = wire.ask_one(&self.shared.parts.rows.selection.count(None)).await.map_err(Fault::from);
        lost_as(counted, FailureCode::SnapshotLost)?.number(0)
    }

    /// The sums that the stream asks for, over the rows that were read.
    async fn sums(&self, wire: &mut Wire) -> FaultResult<Vec<ColumnSum>> {
        let selection = &self.shared.parts.rows.selection;
        if self.window.is_empty {
            return Ok(selection.summed.iter().map(Summed::none).collect());
        }
        let mut sums = Vec::with_capacity(selection.summed.len());
        for one in statements(&selection.summed) {
            let answer = wire.ask_one(&selection.total(&one.fields)).await.map_err(Fault::from);
            let row = lost_as(answer, FailureCode::SnapshotLost)?;
            sums.extend(one.read(|at| row.number(at))?);
        }
        Ok(sums)
    }
}

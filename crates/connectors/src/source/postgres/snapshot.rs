//! One exported snapshot that every lane reads in, the queue of ranges that they share, and the proof of the end.
//!
//! The leader's connection holds the snapshot and is itself the first lane, so a stream never has more connections than
//! lanes. Its transaction stays open until `finish`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio::sync::Mutex as AsyncMutex;
use waybill_model::FailureCode;
use waybill_pipeline::source::WindowNote;
use waybill_pipeline::{ColumnSum, CursorState, Fault, FaultResult, Lane, Proof, Snapshot};

use super::catalog::Relation;
use super::connect::{Address, TOO_MANY};
use super::decode::{Bounds, Decoder, Policies};
use super::lane::PgLane;
use super::plan::Range;
use super::select::Selection;
use super::session::{self, Identity, Joined};
use super::window::Window;
use super::wire::Wire;
use crate::source::server::loss::lost_as;
use crate::source::server::part::{Parts, What};
use crate::source::server::proof;
use crate::source::server::reach::Goal;
use crate::source::server::sums::{Summed, statements};

/// How often a leader that waits for other lanes is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// What lanes share.
pub(super) struct Shared {
    pub(super) address: Address,
    pub(super) at: Goal,
    pub(super) id: String,
    pub(super) identity: Identity,
    pub(super) relation: Relation,
    pub(super) parts: Parts<Selection, Range>,
    pub(super) policies: Policies,
    pub(super) bounds: Bounds,
    pub(super) is_sql_ascii: bool,
    /// The leader while no lane reads on it.
    pub(super) leader: AsyncMutex<Option<Wire>>,
    pub(super) is_led: AtomicBool,
}

impl Shared {
    /// A decoder with an empty batch.
    pub(super) fn decoder(&self, what: What) -> Decoder {
        let selection = &self.parts.of(what).selection;
        Decoder::new(&selection.kinds, Arc::clone(&selection.schema), self.policies, self.bounds)
    }
}

/// Takes the leader back from its lane and looks after it until the others are done.
pub(super) async fn park(shared: &Arc<Shared>, wire: Wire) {
    *shared.leader.lock().await = Some(wire);
    tokio::spawn(look_after(Arc::downgrade(shared)));
}

async fn look_after(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(LOOK_AFTER).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut leader = shared.leader.lock().await;
        let Some(wire) = leader.as_mut() else { return };
        if session::ping(wire).await.is_err() {
            *leader = None;
            return;
        }
    }
}

/// The snapshot of one stream.
pub(super) struct PgSnapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) window: Window,
    pub(super) key: Vec<String>,
    pub(super) rows_estimate: Option<u64>,
    pub(super) lanes: usize,
    pub(super) counts: bool,
}

#[async_trait]
impl Snapshot for PgSnapshot {
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
        let shared = Arc::clone(&self.shared);
        if !shared.is_led.swap(true, Ordering::SeqCst) {
            let leader = shared.leader.lock().await.take();
            let wire = leader.ok_or_else(leader_lost)?;
            return Ok(Box::new(PgLane::leading(shared, wire, What::Rows)));
        }
        let wire = self.follow().await?;
        Ok(Box::new(PgLane::following(shared, wire)))
    }

    async fn keys(&self) -> FaultResult<Box<dyn Lane>> {
        let shared = Arc::clone(&self.shared);
        shared.parts.begin_keys()?;
        let wire = shared.leader.lock().await.take().ok_or_else(leader_lost)?;
        Ok(Box::new(PgLane::leading(shared, wire, What::Keys)))
    }

    async fn finish(self: Box<Self>) -> FaultResult<Proof> {
        let shared = &self.shared;
        let mut wire = shared.leader.lock().await.take().ok_or_else(leader_lost)?;
        let read = shared.parts.rows.complete()?;
        let source_count = if self.counts { Some(self.count(&mut wire).await?) } else { None };
        let proof = proof(read, source_count, shared.id.clone())?;
        let sums = self.sums(&mut wire).await?;
        wire.terminate().await;
        Ok(Proof { sums, ..proof })
    }
}

impl PgSnapshot {
    /// A follower's connection; none where the leader's lane must do alone.
    async fn follow(&self) -> FaultResult<Option<Wire>> {
        let shared = &self.shared;
        let mut wire = match shared.address.connect_to(shared.at).await {
            Ok(wire) => wire,
            // No connection is free: fewer lanes are slower, not wrong.
            Err(fault) if fault.sqlstate == Some(TOO_MANY) => return Ok(None),
            Err(fault) => return Err(fault),
        };
        let joined =
            session::follow(&mut wire, &shared.id, &shared.identity, &shared.relation, shared.is_sql_ascii).await?;
        match joined {
            Joined::Reading => Ok(Some(wire)),
            Joined::Blocked => {
                wire.terminate().await;
                Ok(None)
            }
        }
    }

    async fn count(&self, wire: &mut Wire) -> FaultResult<u64> {
        if self.window.is_empty {
            return Ok(0);
        }
        let sql = self.shared.parts.rows.selection.count(&self.shared.relation.sql(), None);
        let row = lost_as(wire.ask_one(&sql).await.map_err(Fault::from), FailureCode::SnapshotLost)?;
        row.number(0)
    }

    /// The sums that the stream asks for, over the rows that were read.
    async fn sums(&self, wire: &mut Wire) -> FaultResult<Vec<ColumnSum>> {
        let selection = &self.shared.parts.rows.selection;
        if self.window.is_empty {
            return Ok(selection.summed.iter().map(Summed::none).collect());
        }
        let mut sums = Vec::with_capacity(selection.summed.len());
        for one in statements(&selection.summed) {
            let answer =
                wire.ask_one(&selection.total(&one.fields, &self.shared.relation.sql())).await.map_err(Fault::from);
            let row = lost_as(answer, FailureCode::SnapshotLost)?;
            sums.extend(one.read(|at| row.number(at))?);
        }
        Ok(sums)
    }
}

fn leader_lost() -> Fault {
    Fault::new(FailureCode::SnapshotLost, "the connection that held the snapshot is gone")
}

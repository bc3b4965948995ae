//! One table below a connection's prefix, as one attempt sees it.
//!
//! Its log, state and owner are read when it is opened. It must never write before `prepare`.

use std::sync::Arc;

use waybill_model::{Epoch, FailureCode, RunId};

use crate::bucket::Bucket;
use crate::commit::delivery::{Delivered, Delivery, Outcome, Owner, Prepared, State};
use crate::fault::{Fault, FaultResult};

/// A table as it was found when it was opened.
pub struct Table {
    bucket: Arc<dyn Bucket>,
    dir: String,
    state: Option<State>,
}

impl Table {
    /// Reads the log, checks its chain, features and owner, and loads the newest state. Writes nothing.
    pub async fn open(bucket: Arc<dyn Bucket>, stream: &str, owner: &Owner) -> FaultResult<Self> {
        let _ = (&bucket, stream, owner);
        Err(Fault::new(FailureCode::WorkerBug, "being landed"))
    }

    /// The newest state of ours; none for a new table or one that is taken over.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.state.as_ref()
    }

    /// The newest epoch found, which the next one must exceed: `Epoch::next(table.epoch(), now)`.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.state.as_ref().map(|state| state.epoch)
    }

    /// The commit of an earlier attempt of this run, if it is the newest one: adopt it and copy nothing.
    #[must_use]
    pub fn delivered(&self, run: RunId) -> Option<Delivered> {
        let _ = run;
        None
    }

    /// A new key for a data file: `<table>/data/<run>/<attempt>-<n>-<uuid>.parquet`.
    #[must_use]
    pub fn data_key(&self, run: RunId, attempt: waybill_model::AttemptId, n: u32) -> String {
        format!("{}/data/{run}/{attempt}-{n}-.parquet", self.dir)
    }

    /// Checks schema, shrink guard and fencing, then writes receipt and state. None where a `new` run brings no rows:
    /// such a run commits nothing. Calling it again with the same delivery changes nothing.
    pub async fn prepare(&self, delivery: &Delivery) -> FaultResult<Option<Prepared>> {
        let _ = (&self.bucket, delivery);
        Err(Fault::new(FailureCode::WorkerBug, "being landed"))
    }

    /// Puts the commit, or finds out what stands in its place. May be called again after `commit_unknown` or a
    /// `bucket_*` failure.
    pub async fn commit(&self, prepared: &Prepared) -> FaultResult<Outcome> {
        let _ = prepared;
        Err(Fault::new(FailureCode::WorkerBug, "being landed"))
    }
}

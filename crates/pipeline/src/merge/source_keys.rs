//! The keys of all rows of the source, read in the snapshot of the data as often as a sweep asks for them.
//!
//! A merge runs on a blocking thread and the snapshot belongs to the stream: so a lane is asked for, and read here.

use arrow::array::Array;
use tokio::sync::{mpsc, oneshot};
use waybill_model::FailureCode;

use super::Work;
use crate::digests::Digests;
use crate::fault::{Fault, FaultResult};
use crate::source::{Batch, Lane};
use crate::stop::End;

/// Somebody waits for a lane over all keys.
pub(crate) type KeyRequest = oneshot::Sender<Result<Box<dyn Lane>, End>>;

/// The end of a merge that asks.
pub(crate) struct SourceKeys(mpsc::Sender<KeyRequest>);

impl SourceKeys {
    /// With the other end, which answers.
    pub(crate) fn new() -> (Self, mpsc::Receiver<KeyRequest>) {
        let (ask, asked) = mpsc::channel(1);
        (Self(ask), asked)
    }

    /// Hands the digest of every key to `take`. A lane says that it is at its end only where that is proven, so none is missing.
    pub(super) fn each(&self, work: &Work, digests: &Digests, mut take: impl FnMut(u128)) -> Result<(), End> {
        let mut lane = self.lane()?;
        while let Some(batch) = work.runtime.block_on(work.stop.or_halt(lane.next()))?? {
            whole(&batch)?;
            digests.each(batch.rows.columns(), |_, digest| take(digest))?;
        }
        Ok(())
    }

    fn lane(&self) -> Result<Box<dyn Lane>, End> {
        let gone = || Fault::new(FailureCode::WorkerBug, "nobody gives the source's keys");
        let (answer, lane) = oneshot::channel();
        self.0.blocking_send(answer).map_err(|_| gone())?;
        lane.blocking_recv().map_err(|_| gone())?
    }
}

/// A key must be whole in every row, in the window or not: a row without one would be taken for deleted.
pub(crate) fn whole(batch: &Batch) -> FaultResult<()> {
    let rows = &batch.rows;
    if let Some((at, bent)) = batch.coerced.first() {
        let name = rows.schema().field(*at).name().clone();
        let text = format!(
            "{bent} values of the key's column {name} do not fit its type, so the source's rows can't be told apart"
        );
        return Err(Fault::new(FailureCode::KeyUnusable, text));
    }
    let nulls = rows.columns().iter().position(|column| column.null_count() > 0);
    nulls.map_or(Ok(()), |at| {
        let text = format!("rows of the source have NULL in the key's column {}", rows.schema().field(at).name());
        Err(Fault::new(FailureCode::KeyViolated, text))
    })
}

//! A step that bends each batch on its way, as a decoder with a defect would; all else of the source is right.

use async_trait::async_trait;
use waybill_pipeline::source::step::Step;
use waybill_pipeline::{Batch, FaultResult};

/// What becomes of a batch.
pub(super) type Bend = fn(Batch) -> Batch;

pub(super) struct Bent(pub(super) Bend);

#[async_trait]
impl Step for Bent {
    async fn rows(&self, batch: Batch) -> FaultResult<Batch> {
        Ok((self.0)(batch))
    }
}

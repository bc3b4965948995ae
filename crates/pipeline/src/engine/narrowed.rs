//! A snapshot without some of its columns: those that the table has not and that are to be left out.
//!
//! The source reads them, and they end here: before a row is encoded, counted or sent anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use waybill_model::FailureCode;

use crate::fault::{Fault, FaultResult};
use crate::source::step::{Step, behind};
use crate::source::{Batch, Snapshot};

/// The snapshot without these columns.
pub(super) fn narrowed(inner: Box<dyn Snapshot>, without: &[String]) -> FaultResult<Box<dyn Snapshot>> {
    if without.is_empty() {
        return Ok(inner);
    }
    let whole = inner.schema();
    let stays = whole.fields().iter().enumerate().filter(|(_, field)| !without.contains(field.name()));
    let places: Vec<usize> = stays.map(|(at, _)| at).collect();
    let schema = whole.project(&places).map(Arc::new).map_err(|_| bug())?;
    let now = places.iter().enumerate().map(|(now, was)| (*was, now)).collect();
    Ok(behind(inner, schema, Narrowed { places, now }))
}

fn bug() -> Fault {
    Fault::new(FailureCode::WorkerBug, "rows do not fit their own schema without some columns")
}

struct Narrowed {
    /// Places of the columns that stay.
    places: Vec<usize>,
    /// Where a column stands now, by where it stood.
    now: BTreeMap<usize, usize>,
}

#[async_trait]
impl Step for Narrowed {
    async fn rows(&self, batch: Batch) -> FaultResult<Batch> {
        let now = |was: usize| self.now.get(&was).copied();
        Ok(Batch {
            rows: batch.rows.project(&self.places).map_err(|_| bug())?,
            twins: batch.twins.into_iter().filter_map(|(at, texts)| Some((now(at)?, texts))).collect(),
            coerced: batch.coerced.into_iter().filter_map(|(at, count)| Some((now(at)?, count))).collect(),
            aside: batch.aside,
        })
    }
}

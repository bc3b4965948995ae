//! Buckets of Google Cloud Storage: as whom the plan, or the environment, says that they are opened.

use std::env;
use std::sync::Arc;

use waybill_connectors::bucket::gcs::{GcsBucket, Login, Way};
use waybill_model::FailureCode;
use waybill_model::plan::{Gcs, GcsAccess};
use waybill_pipeline::{Bucket, Fault, FaultResult};

use super::Means;

/// The bucket of a plan.
pub(super) async fn open(settings: &Gcs, memory: u64, means: &Means) -> FaultResult<Arc<dyn Bucket>> {
    let login = match (&settings.access.service_account, settings.access.anonymous) {
        (Some(key), false) => Login::Key(means.secrets.credential(key)),
        (None, false) => Login::Own,
        (None, true) => Login::Nobody,
        (Some(_), true) => {
            let text = "`service-account` and `anonymous` exclude each other: give one, or none to use the worker's own identity";
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
    };
    let way = Way { login, dialer: means.dialer.clone() };
    Ok(Arc::new(GcsBucket::connect(settings, way, memory).await?))
}

/// What the variables say that Google's own tools read. An emulator is asked by nobody.
pub(super) fn of_environment() -> GcsAccess {
    let endpoint = env::var("STORAGE_EMULATOR_HOST").ok().filter(|text| !text.is_empty());
    GcsAccess { anonymous: endpoint.is_some(), endpoint, ..GcsAccess::default() }
}

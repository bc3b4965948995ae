//! Buckets: where tables are written. Each passes the conformance suite of `waybill-pipeline` (feature `conformance`).

#[cfg(feature = "azure")]
pub mod azure;
#[cfg(feature = "gcs")]
pub mod gcs;
#[cfg(feature = "local")]
pub mod local;
#[cfg(any(feature = "azure", feature = "gcs", feature = "s3"))]
pub mod remote;
#[cfg(feature = "s3")]
pub mod s3;

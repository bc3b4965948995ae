//! Buckets: where tables are written. Each passes the conformance suite of `waybill-pipeline` (feature `conformance`).

#[cfg(feature = "local")]
pub mod local;
#[cfg(feature = "s3")]
pub mod remote;
#[cfg(feature = "s3")]
pub mod s3;

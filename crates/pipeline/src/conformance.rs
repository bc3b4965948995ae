//! What every bucket and every source must do, as suites that a connector runs against the real thing.
//!
//! A failed expectation panics: this is for tests, behind the feature `conformance`, and never part of a worker.

pub mod bucket;
pub mod source;

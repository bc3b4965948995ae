//! The systems that a worker can reach: sources, buckets. Each is a cargo feature of its own.
//!
//! A connector knows one vendor's protocol and nothing of commits, runs or the orchestrator. What a driver said stays in
//! a [`waybill_pipeline::CustomerText`]; what leaves is a code.

pub mod bucket;
pub mod database;
pub mod dial;
#[cfg(all(any(test, fuzzing), feature = "files", feature = "mysql", feature = "postgres"))]
pub mod fuzz;
pub mod source;

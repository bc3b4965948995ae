//! The data mover: what a source and a bucket are, and how rows go from one to the other in bounded memory and become
//! visible in one commit.
//!
//! It knows no vendor and no wire protocol, and must never be linked by the orchestrator.

pub mod bucket;
pub mod fault;
pub mod source;

pub use bucket::{Bucket, BucketError, ObjectMeta, Put, Upload};
pub use fault::{CustomerText, Fault, FaultResult};
pub use source::{Batch, CursorState, Lane, Proof, Snapshot, Source, Table, TableColumn};

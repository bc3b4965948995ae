//! The data mover: what a source and a bucket are, and how rows go from one to the other in bounded memory and become
//! visible in one commit.
//!
//! It knows no vendor and no wire protocol, and must never be linked by the orchestrator.

pub mod bucket;
pub mod budget;
mod cast;
pub mod commit;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod credential;
pub mod database;
mod digests;
pub mod encode;
pub mod engine;
pub mod exact;
pub mod expect;
pub mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod merge;
pub mod observe;
mod pace;
pub mod source;
pub mod stop;
pub mod sums;
mod taken;

pub use bucket::{Bucket, BucketError, ObjectMeta, Put, Upload};
pub use budget::Budget;
pub use cast::CAST_MARK;
pub use credential::{Credential, Fixed};
pub use database::{Database, DatabaseTable, Destination};
pub use fault::{CustomerText, Fault, FaultResult};
pub use observe::{CommitGate, Observer, OpenGate, Progress};
pub use pace::{Rate, paced};
pub use source::{Aside, Batch, CursorState, Lane, Proof, Snapshot, Source, Table, TableColumn, Want, WindowNote};
pub use stop::{Directive, End, Halt, StopSignal, StopSwitch, stop_pair};
pub use sums::ColumnSum;
pub use taken::{Earlier, Taken, TakenFile};

//! The worker service's messages in the product's own nouns, both ways.

mod assignment;
mod outcome;
mod report;

pub use assignment::{directive, read_directive};
pub use outcome::{PrepareCommit, Submission};
pub use report::{MAX_EVENTS, MAX_PROGRESS};

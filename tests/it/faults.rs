//! Faults of whole runs on real processes: workers that sleep, leave, start late or are cut off, orchestrators that race.
//!
//! Each test asserts that its fault fired, and that the committed rows equal the source's.

mod database;
mod endings;
mod files;
mod frozen;
mod full_disk;
mod launches;
mod link;
mod outage;
mod race;
mod restored;
mod source;
mod store;
pub(crate) mod versions;

//! The control plane's services and loops against real databases and real processes, with bounds of milliseconds. Rounds
//! are made one by one, so that a test decides what happens between them.

mod agents;
mod attempts;
pub(crate) mod fixture;
mod launches;
mod reaping;
mod retention;
mod schedules;
mod slow;
mod together;

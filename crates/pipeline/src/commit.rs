//! The commit protocol: how data files and a cursor become current in one conditional put, or not at all.
//!
//! Owns a table's keys, its commit log (Delta's or the plain one), state, receipts and the digest key. It must never overwrite an object that
//! anything depends on, never delete a data file because a commit failed, and never guess: what it can't read back it reports as unknown.
//!
//! The way of one attempt of one stream:
//! 1. [`Table::open`] reads the log. [`Table::epoch`] is what fences; [`Table::state`] holds the cursor to go on from.
//! 2. [`Table::delivered`]: an earlier attempt of this run has committed; adopt it and copy nothing.
//! 3. Upload data files under [`Table::data_key`], then [`Table::prepare`]: receipt and state are written.
//! 4. Ask the orchestrator with [`Prepared::digest`], then [`Table::commit`]: one put makes it current.
//!
//! A failed `prepare` or `commit` leaves readers with what they saw before. Both may be called again.

pub mod audit;
pub mod ddl;
pub mod delivery;
pub mod gc;
pub mod key;
pub mod previews;
pub mod probe;
pub mod rollback;
pub mod schema;
pub mod stats;

mod action;
mod checkpoint;
mod compose;
mod copy;
mod digest;
mod drift;
mod features;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod history;
mod kind;
mod land;
mod listing;
mod log;
mod plain;
mod prepare;
mod record;
mod table;
mod told;
mod write;

pub use audit::{TableReport, audit_table, find_tables};
pub use copy::UpkeepError;
pub use delivery::{Committed, DataFile, Delivered, Delivery, Merged, Origin, Outcome, Owner, Prepared, State};
pub use drift::{Drift, Retyped};
pub use history::has_states;
pub use kind::LogKind;
pub use probe::probe_conditions;
pub(crate) use schema::OWN_MARK;
pub use stats::FileStats;
pub use table::Table;

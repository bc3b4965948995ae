//! Sources: one module per system, each giving a [`waybill_pipeline::Source`].

pub mod shape;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "files")]
pub mod files;

#[cfg(feature = "postgres")]
pub mod postgres;

/// How long a clock may take until it shows again what it showed before, in minutes: a day and the longest setback.
#[cfg(any(feature = "postgres", feature = "sqlite"))]
const MINUTES_OF_A_SETBACK: i32 = 1_560;

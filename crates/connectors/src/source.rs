//! Sources: one module per system, each giving a [`waybill_pipeline::Source`].

pub mod shape;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[cfg(feature = "files")]
pub mod files;

#[cfg(feature = "postgres")]
pub mod postgres;

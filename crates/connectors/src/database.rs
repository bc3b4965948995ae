//! Databases as destinations: one module per system, each giving a [`waybill_pipeline::Database`].

#[cfg(feature = "postgres")]
pub mod postgres;

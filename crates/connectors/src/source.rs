//! Sources: one module per system, each giving a [`waybill_pipeline::Source`].

pub mod shape;

//! The wire between workers, agents and the orchestrator: generated types, and the only way from them to the product's own nouns.
//!
//! Generated types stop at the door: whoever receives one turns it into a `waybill-model` type at once, and a bad field is
//! named, never repeated. Nothing in here opens a socket.

pub mod agent;
pub mod egress;
pub mod enrolment;
pub mod version;
pub mod wire;
pub mod worker;

pub use egress::{Ledger, Outgoing, Unclassified};
pub use version::{UPGRADE_REQUIRED, Version};
pub use wire::{Problem, WireError};

/// Generated from `proto/`.
pub mod pb {
    /// `waybill.agent.v1`.
    pub mod agent {
        tonic::include_proto!("waybill.agent.v1");
    }
    /// `waybill.enrolment.v1`.
    pub mod enrolment {
        tonic::include_proto!("waybill.enrolment.v1");
    }
    /// `waybill.worker.v1`.
    pub mod worker {
        tonic::include_proto!("waybill.worker.v1");
    }
}

/// The encoded descriptors of every proto with comments and options, for tests and tools that reflect.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/waybill.fds"));

/// Largest message that either end reads. A plan is the largest honest one.
pub const MAX_MESSAGE_BYTES: usize = 4 << 20;

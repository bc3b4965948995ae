//! What the integration tests stand on: real binaries, real services, a sandbox that runs the whole product.
//!
//! Every process that it starts gets port 0 and a temporary directory, and is ended by its own handle.

pub mod aws;
pub mod binaries;
pub mod canary;
pub mod control_group;
pub mod cut;
pub mod fault;
pub mod grants;
pub mod power;
pub mod process;
pub mod proof;
pub mod readers;
pub mod reference;
pub mod sandbox;
pub mod seed;
pub mod services;
pub mod small_disk;
pub mod tapped;
pub mod verify;

//! The one integration-test binary: a module per story.

mod agent;
mod architecture;
mod assurance;
mod cli;
mod commit;
mod containers;
mod ecs;
mod files;
mod grants;
mod guard;
mod images;
mod kills;
mod loops;
mod memory;
mod once;
mod postgres;
mod proxy;
mod readme;
mod replicas;
mod rest;
mod s3;
mod secrets;
mod store;
mod unseen;
mod wire;

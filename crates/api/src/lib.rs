//! The REST bodies of `/v1`: what a request may hold, what an answer holds, problem details and pages.
//!
//! Shared by the orchestrator, which serves them, and by the feature `client`, which speaks them. Nothing in here knows
//! a database, a route or a permission. Bodies of requests refuse unknown keys; bodies of answers tolerate them.

pub mod access;
pub mod account;
pub mod action;
pub mod agent;
pub mod audit;
pub mod connection;
pub mod data_plane;
pub mod event;
pub mod example;
pub mod invitation;
pub mod key;
pub mod member;
pub mod open;
pub mod organization;
pub mod page;
pub mod password;
pub mod pipeline;
pub mod problem;
pub mod run;
pub mod schedule;
pub mod session;
pub mod spec;
pub mod timestamp;
pub mod trail;

#[cfg(feature = "client")]
pub mod client;

pub use example::Example;
pub use open::Open;
pub use page::Page;
pub use problem::{Problem, ProblemCode};
pub use timestamp::Timestamp;

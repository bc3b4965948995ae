//! The control plane: REST, gRPC, services and loops. It never links code that handles rows.

pub mod app;
pub mod auth;
pub mod config;
pub mod grpc;
pub mod http;
pub mod listen;
pub mod loops;
pub mod metrics;
pub mod openapi;
mod random;
pub mod role_table;
pub mod service;

pub(crate) use random::random;

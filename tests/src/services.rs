//! Real servers for tests, one throw-away instance each, on loopback or in a network of their own.

pub mod aws;
pub mod azurite;
pub mod commit_proxy;
pub mod engine;
pub mod gcs;
pub mod mariadb;
pub mod mysql_proxy;
pub mod network;
pub mod openbao;
pub mod postgres;
pub mod postgres_proxy;
mod programs;
pub mod s3;
pub mod s3_proxy;
pub mod sessions;
pub mod sshd;
pub mod statement_proxy;

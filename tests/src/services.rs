//! Real servers for tests, one throw-away instance each, on loopback.

pub mod aws;
pub mod openbao;
pub mod postgres;
mod programs;
pub mod s3;
pub mod s3_proxy;

//! Real servers for tests, one throw-away instance each, on loopback.

pub mod postgres;

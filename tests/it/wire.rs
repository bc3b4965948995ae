//! Enrolment, worker service and link over real TLS on loopback ports: the attempt service on SQLite behind them, real
//! tonic clients and the worker's own link before them.

mod attest;
mod certificates;
mod hostile;
mod link;
mod rig;
mod timing;
mod token;
mod vouched;

//! The nouns that the control plane and the data plane share.
//!
//! Pure: no I/O, no async, no clock but the one that [`id::Id::generate`] and [`time::Micros::now`] read.
//! Nothing in here may hold a row, a key or a cursor value.

pub mod calendar;
pub mod egress;
pub mod epoch;
pub mod errand;
pub mod event;
pub mod failure;
pub mod fault;
pub mod guard;
pub mod id;
pub mod moment;
pub mod name;
pub mod net;
pub mod plan;
pub mod receipt;
pub mod report;
pub mod role;
pub mod run;
pub mod schedule;
pub mod secret;
pub mod size;
mod text;
pub mod time;

pub use epoch::Epoch;
pub use failure::FailureCode;
pub use id::{
    AgentId, AttemptId, ConnectionId, DataPlaneId, Id, OrgId, PipelineId, ProjectId, RunId, ScheduleId, UserId,
};
pub use time::Micros;

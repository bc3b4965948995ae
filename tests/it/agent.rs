//! Agents as real processes: enrolment, workers that they start, restarts, silence, drain, remote disable, copied identities.

mod containers;
mod cut;
mod egress;
pub(crate) mod fixture;
mod guarded;
mod identity;
mod limits;
mod tasks;
mod trail;
mod versions;
mod work;

//! Workers as tasks of a cloud: the launcher, the loops and enrolment against the scripted cloud of `waybill_tests::aws`.

mod architecture;
mod buckets;
mod conformance;
mod endings;
mod fixture;
mod launches;
pub(crate) mod planes;
mod policy;
mod processes;
mod regions;
mod storm;
mod test_task;
mod tokens;
mod trail;

//! Workers as tasks on Amazon ECS in the customer's account: one cluster, one role, one family of
//! task definitions for each processor.
//!
//! A start carries a client token made from the attempt, so that the cloud itself answers a repeated call with the first
//! call's task; `startedBy` finds it where even that answer was lost. Tags are never relied upon: a stop deletes them.

pub mod arn;
mod issuer;
pub mod place;
pub mod policy;
pub mod principal;
pub mod size;
pub mod task;
mod template;

#[cfg(feature = "aws")]
mod answer;
#[cfg(feature = "aws")]
pub mod bucket;
#[cfg(feature = "aws")]
mod call;
#[cfg(feature = "aws")]
pub mod check;
#[cfg(feature = "aws")]
pub mod cloud;
#[cfg(feature = "aws")]
mod identity;
#[cfg(feature = "aws")]
mod launcher;
#[cfg(feature = "aws")]
mod status;
#[cfg(feature = "aws")]
mod tries;

#[cfg(feature = "aws")]
pub use cloud::{Cloud, CloudOptions};
#[cfg(feature = "aws")]
pub use identity::NoPrincipal;
#[cfg(feature = "aws")]
pub use launcher::EcsLauncher;
pub use place::{Capacity, EcsPlace, EcsSettings, SettingError};
pub use principal::Principal;
pub use task::{EcsTask, Wish};
pub use template::TemplateError;

use sha2::{Digest, Sha256};
use waybill_model::AttemptId;

/// The client token of an attempt: 64 characters, the same for the same attempt.
#[must_use]
pub fn client_token(attempt: AttemptId) -> String {
    hex::encode(Sha256::digest(attempt.to_string()))
}

/// The client token of an attempt whose task this agent starts: another agent that is given the attempt starts another task,
/// since only that one's voucher counts then.
#[must_use]
pub fn client_token_of(attempt: AttemptId, agent: &str) -> String {
    hex::encode(Sha256::digest(format!("{attempt} {agent}")))
}

//! What is known of a call to a cloud: which one, as whom, when, under which request id, and how it was answered.
//!
//! Every try of a call is one, since a cloud gives each its own request id. Whoever is told must come back at once: a
//! launch never waits for its own record, and never fails for it.

use std::fmt;

use waybill_model::{DataPlaneId, Micros, OrgId};

/// The outcome of a call that was answered as it should be.
pub const OK: &str = "ok";
/// The outcome of a call whose answer did not come, or not whole: it may have had its effect.
pub const NO_ANSWER: &str = "no_answer";

/// One try of one call. Holds no secret: no external id, no ticket, no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudCall {
    /// Whose data plane it was made for.
    pub owner: (OrgId, DataPlaneId),
    /// As permissions name it, such as `ecs:RunTask`.
    pub action: &'static str,
    /// ARN of the role that made it; of `sts:AssumeRole`, of the role that was asked for.
    pub role: String,
    /// Name of the session, which of a launch is its attempt's id.
    pub session: String,
    /// Region.
    pub region: String,
    /// The task that it was about, where it was about one.
    pub task: Option<String>,
    /// When it was sent, by this host's clock.
    pub at: Micros,
    /// What the cloud calls it; none where no answer brought it.
    pub request_id: Option<String>,
    /// [`OK`], [`NO_ANSWER`], or the cloud's error code from a closed list.
    pub outcome: &'static str,
}

impl CloudCall {
    /// Whether it only looks at tasks: such calls are made all the time and change nothing.
    #[must_use]
    pub fn is_look(&self) -> bool {
        matches!(self.action, "ecs:DescribeTasks" | "ecs:ListTasks")
    }
}

/// Who is told of every call.
pub trait Witness: Send + Sync + fmt::Debug {
    /// A call was made. Comes back at once, whatever becomes of what it was told.
    fn saw(&self, call: CloudCall);
}

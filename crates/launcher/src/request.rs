//! The launch request: serialised once, kept as exact bytes, replayed byte for byte. Where the ticket goes it holds a
//! placeholder, so that the stored bytes are worth nothing to who reads them.

use serde::{Deserialize, Serialize};
use waybill_model::AttemptId;
use zeroize::Zeroizing;

use crate::ecs::EcsTask;

const PLACEHOLDER: &str = "{ticket}";

/// What is stored of a launch request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchSpec {
    /// The attempt.
    pub attempt: AttemptId,
    /// What makes a repeated start the same start: at most 64 characters.
    pub token: String,
    /// The worker program.
    pub program: String,
    /// Its arguments: where to enrol, which CA to expect. Never a secret.
    pub args: Vec<String>,
    /// Names of environment variables that pass.
    pub environment: Vec<String>,
    /// The worker's memory in bytes; the platform's own limit where absent.
    pub memory: Option<u64>,
    /// The task on Amazon ECS, where that is the platform; program and arguments are then the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ecs: Option<EcsTask>,
    ticket: String,
}

/// Why stored bytes are not a launch request.
#[derive(Debug, thiserror::Error)]
#[error("the stored launch request can't be read")]
pub struct RequestError(#[source] serde_json::Error);

impl LaunchSpec {
    /// A request without memory limit.
    #[must_use]
    pub fn new(attempt: AttemptId, token: String, program: String, args: Vec<String>) -> Self {
        Self {
            attempt,
            token,
            program,
            args,
            environment: Vec::new(),
            memory: None,
            ecs: None,
            ticket: PLACEHOLDER.into(),
        }
    }

    /// The bytes to keep and to replay.
    pub fn to_bytes(&self) -> Result<Vec<u8>, RequestError> {
        serde_json::to_vec(self).map_err(RequestError)
    }
}

/// A launch request with its ticket. No `Debug`: whoever holds the ticket can enrol.
#[derive(Clone)]
pub struct LaunchRequest {
    spec: LaunchSpec,
    ticket: Zeroizing<String>,
}

impl LaunchRequest {
    /// Puts the ticket where the placeholder stands.
    pub fn from_bytes(bytes: &[u8], ticket: Zeroizing<String>) -> Result<Self, RequestError> {
        Ok(Self { spec: serde_json::from_slice(bytes).map_err(RequestError)?, ticket })
    }

    /// All but the ticket.
    #[must_use]
    pub const fn spec(&self) -> &LaunchSpec {
        &self.spec
    }

    /// The ticket, as the one line that the worker reads.
    pub(crate) fn reveal_ticket(&self) -> &str {
        &self.ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kept_bytes_hold_a_placeholder_and_read_back() {
        let mut spec = LaunchSpec::new(AttemptId::generate(), "t0".into(), "/bin/true".into(), vec!["run".into()]);
        spec.memory = Some(1 << 28);
        let bytes = spec.to_bytes().expect("serialises");
        let request = LaunchRequest::from_bytes(&bytes, Zeroizing::new("s3cret-ticket".into())).expect("reads back");
        assert_eq!(request.spec(), &spec);
        assert_eq!(request.reveal_ticket(), "s3cret-ticket");
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains(PLACEHOLDER) && !text.contains("s3cret"));
    }

    #[test]
    fn unknown_keys_of_stored_bytes_are_refused() {
        assert!(LaunchRequest::from_bytes(b"{\"program\":\"/bin/sh\"}", Zeroizing::new(String::new())).is_err());
    }
}

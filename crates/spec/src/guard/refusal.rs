//! Why a guard refuses: a stable reason, the place in the guard that would have to change, and a sentence.
//!
//! A sentence repeats names of the plan and is for the customer only; only the public failure code may leave.

use waybill_model::FailureCode;

use crate::diagnostic::{Code, Diagnostic};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// Why, from the closed list. Stable: logs are searched for it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it is printed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

reasons! {
    /// A worker in a cloud found no guard.
    Missing = "guard_missing",
    /// The guard may not be read, or holds mistakes.
    Unreadable = "guard_unreadable",
    /// The place of the guard, or who says which guard is the worker's, did not answer.
    Unreached = "guard_unreachable",
    /// The launch request tried to name a guard, credentials or service addresses.
    LaunchRefused = "launch_refused",
    /// The kill switch is on.
    Stopped = "guard_stopped",
    /// The guard's time is over.
    Expired = "guard_expired",
    /// The plan holds a text that no pipeline file could hold.
    PlanMalformed = "plan_malformed",
    /// A kind of connection.
    Connector = "connector_not_allowed",
    /// A host or its port.
    Host = "host_not_allowed",
    /// An address of a class that is refused: metadata, loopback, link-local.
    Address = "address_not_allowed",
    /// A connection without TLS.
    Tls = "tls_required",
    /// An endpoint in place of AWS's own.
    Endpoint = "endpoint_not_allowed",
    /// A bucket or a prefix.
    Bucket = "bucket_not_allowed",
    /// A file or directory of the worker.
    Path = "path_not_allowed",
    /// A table, object or file set.
    Table = "table_not_allowed",
    /// A reference to a secret.
    Secret = "secret_not_allowed",
    /// The plan's own bounds are wider than the guard's.
    Limit = "limit_exceeded",
    /// The run took more rows than the ceiling.
    Rows = "rows_exceeded",
    /// The run wrote more bytes than the ceiling.
    Bytes = "bytes_exceeded",
    /// The worker's image is not one of those listed, or not known.
    Image = "image_not_allowed",
    /// Only signed plans are run, and this one bears no signature.
    Unsigned = "signature_missing",
    /// The run reads streams whole in place of their tables.
    Reload = "reload_not_allowed",
    /// The run forgets a stream's cursor, or reads a range of it once more.
    Backfill = "backfill_not_allowed",
    /// The signature's key is none of the signers', or its time is over.
    Signer = "signer_not_allowed",
    /// The signature's time is over.
    SignatureExpired = "signature_expired",
    /// The signature does not fit the plan: changed, re-ordered, or another plan's.
    SignatureInvalid = "signature_invalid",
}

impl Reason {
    /// The public failure code; nothing else of a refusal leaves the customer's cloud.
    #[must_use]
    pub const fn failure(self) -> FailureCode {
        match self {
            Self::Unsigned | Self::Signer | Self::SignatureExpired | Self::SignatureInvalid => {
                FailureCode::SignatureRejected
            }
            Self::Unreached => FailureCode::GuardUnreachable,
            _ => FailureCode::PolicyDenied,
        }
    }
}

/// One thing that a guard refuses. Lines and columns are the guard file's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The key that would have to change, such as `read.hosts`.
    pub key: &'static str,
    /// Its line; the section's where the key is absent, the first where that is too.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Column behind the last one.
    pub end_column: u32,
    /// What is refused, for the customer only.
    pub message: String,
    /// What would allow it.
    pub fix: Option<String>,
}

impl Refusal {
    /// A refusal that no place of a guard causes.
    #[must_use]
    pub fn without_guard(reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, key: "", line: 0, column: 0, end_column: 0, message, fix: None }
    }

    /// As a diagnostic of the guard file.
    #[must_use]
    pub fn diagnostic(&self) -> Diagnostic {
        Diagnostic {
            code: Code::GuardRefuses,
            line: self.line.max(1),
            column: self.column.max(1),
            end_column: self.end_column.max(2),
            message: format!("{}: {}", self.reason.as_str(), self.message),
            suggestion: self.fix.clone(),
        }
    }

    /// One line for the customer's log.
    #[must_use]
    pub fn sentence(&self) -> String {
        let place = if self.line == 0 { String::new() } else { format!(" (guard line {}, `{}`)", self.line, self.key) };
        format!("{}: {}{place}", self.reason.as_str(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_unique_and_leave_as_three_codes_only() {
        for reason in Reason::ALL {
            assert_eq!(Reason::ALL.iter().filter(|other| other.as_str() == reason.as_str()).count(), 1);
            use FailureCode::{GuardUnreachable, PolicyDenied, SignatureRejected};
            assert!(matches!(reason.failure(), PolicyDenied | SignatureRejected | GuardUnreachable));
        }
    }
}

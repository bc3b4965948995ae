//! The classes of what may leave the customer's cloud (law 2). A field without one of these cannot be sent.

use std::fmt;

/// The class of one field that a worker sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EgressClass {
    /// A number of rows, bytes, parts.
    Count,
    /// A point in time or a duration.
    Time,
    /// A value of a closed enum.
    Enum,
    /// A typed id that the orchestrator made.
    Id,
    /// An index into the spec that the orchestrator already has.
    Index,
    /// An HMAC under the key that stays in the bucket.
    Digest,
    /// A value of a compiled list.
    Code,
    /// A certificate request or an attestation; enrolment only.
    Proof,
    /// A table's or column's name; discovery and drift only, below the project's ceiling.
    Name,
}

impl EgressClass {
    /// Every class, in the order of the architecture's second law.
    pub const ALL: [Self; 9] =
        [Self::Count, Self::Time, Self::Enum, Self::Id, Self::Index, Self::Digest, Self::Code, Self::Proof, Self::Name];

    /// As it stands in the protos and in the transcript.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Time => "time",
            Self::Enum => "enum",
            Self::Id => "id",
            Self::Index => "index",
            Self::Digest => "digest",
            Self::Code => "code",
            Self::Proof => "proof",
            Self::Name => "name",
        }
    }
}

impl fmt::Display for EgressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

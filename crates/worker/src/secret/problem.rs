//! Why a reference could not be followed: four kinds, each with its failure code, told in our own words.

use std::borrow::Cow;

use waybill_model::FailureCode;
use waybill_model::secret::SecretRef;
use waybill_pipeline::Fault;

/// Why a reference could not be followed. The text reads on behind the reference: "env://X is not set".
pub(super) struct Problem {
    code: FailureCode,
    why: Cow<'static, str>,
}

impl Problem {
    /// It is not there.
    pub(super) fn not_found(why: impl Into<Cow<'static, str>>) -> Self {
        Self { code: FailureCode::SecretNotFound, why: why.into() }
    }

    /// The worker may not read it.
    pub(super) fn denied(why: impl Into<Cow<'static, str>>) -> Self {
        Self { code: FailureCode::SecretAccessDenied, why: why.into() }
    }

    /// Whoever keeps it did not answer.
    pub(super) fn unreachable(why: impl Into<Cow<'static, str>>) -> Self {
        Self { code: FailureCode::SecretUnreachable, why: why.into() }
    }

    /// It is there and can't be used, or the worker is not set up to look.
    pub(super) fn unusable(why: impl Into<Cow<'static, str>>) -> Self {
        Self { code: FailureCode::SecretUnresolved, why: why.into() }
    }

    /// The guard or the dialer forbids the way to whoever keeps it.
    pub(super) fn barred(why: impl Into<Cow<'static, str>>) -> Self {
        Self { code: FailureCode::EgressDenied, why: why.into() }
    }

    /// Whether another try may go better.
    pub(super) fn is_passing(&self) -> bool {
        self.code == FailureCode::SecretUnreachable
    }

    /// As the failure of a run.
    pub(super) fn fault(self, reference: &SecretRef) -> Fault {
        Fault::new(self.code, format!("{reference} {}", self.why))
    }

    /// As a problem of what it was needed for.
    pub(super) fn behind(self, what: &str) -> Self {
        Self { why: format!("can't be read: {what} {}", self.why).into(), ..self }
    }
}

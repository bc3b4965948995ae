//! The closed list of what a worker is told when a call is refused. Every message is a constant or a field's name.

use tonic::Status;
use waybill_protocol::WireError;

use super::attempts::Refusal;

/// Another attempt took over, or the certificate is revoked: stop at once.
pub(super) fn fenced() -> Status {
    Status::failed_precondition("fenced")
}

/// Worker and orchestrator are too far apart.
pub(super) fn upgrade_required() -> Status {
    Status::failed_precondition("upgrade_required")
}

/// Enrolment was refused; why is in the log and the audit, not here.
pub(super) fn refused() -> Status {
    Status::permission_denied("enrolment_refused")
}

/// The request for a certificate was refused.
pub(super) fn csr_rejected() -> Status {
    Status::invalid_argument("csr_rejected")
}

/// More than one attempt may send.
pub(super) fn quota() -> Status {
    Status::resource_exhausted("quota")
}

/// No certificate, or one whose time is over.
pub(super) fn unauthenticated() -> Status {
    Status::unauthenticated("certificate_required")
}

/// This replica stops; another one answers.
pub(super) fn going_away() -> Status {
    Status::unavailable("going_away")
}

/// A field broke a rule.
pub(super) fn invalid(error: &WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

/// A refusal of the attempt service.
pub(super) fn of(refusal: Refusal) -> Status {
    match refusal {
        Refusal::NotFound => Status::not_found("not_found"),
        Refusal::Fenced => fenced(),
        Refusal::TicketUsed { .. } => refused(),
        Refusal::Invalid { field, what } => Status::invalid_argument(format!("{field}: {what}")),
        Refusal::Unavailable(error) => {
            tracing::error!(error = &*error, "a worker's call could not be answered");
            Status::unavailable("try_again")
        }
    }
}

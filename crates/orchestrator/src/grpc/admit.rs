//! Whether a call may be heard at all: certificate there, in its time, not revoked. Asked at every call and every report.

use std::sync::Arc;

use tonic::{Request, Status};
use waybill_identity::{Certified, DenyList};
use waybill_model::Micros;

use super::status;

/// Who called. The listener put it there from the client certificate.
pub(super) fn certified<T>(request: &Request<T>) -> Result<Arc<Certified>, Status> {
    request.extensions().get::<Arc<Certified>>().cloned().ok_or_else(status::unauthenticated)
}

/// Whether this certificate is good now: a connection may outlive it.
pub(super) fn admit(certified: &Certified, deny: &DenyList, now: Micros) -> Result<(), Status> {
    if now >= certified.not_after {
        return Err(status::unauthenticated());
    }
    if deny.denies(certified) { Err(status::fenced()) } else { Ok(()) }
}

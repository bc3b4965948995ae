//! The one door: every message that leaves is weighed per class here, and one with an unclassified field stays.
//!
//! Calls take a [`Cleared`] message, and only [`Egress::clear`] makes one.

use std::sync::{Mutex, PoisonError};

use waybill_identity::channel::Meter;
use waybill_protocol::egress::{Ledger, Outgoing, Unclassified, weigh};

/// Counts what leaves.
pub struct Egress {
    ledger: Mutex<Ledger>,
    meter: Meter,
}

/// A message that was weighed and may leave.
pub(super) struct Cleared<M>(M);

impl<M> Cleared<M> {
    pub(super) fn into_request(self) -> M {
        self.0
    }
}

impl Egress {
    /// With empty counters.
    #[must_use]
    pub fn open() -> Self {
        Self { ledger: Mutex::default(), meter: Meter::default() }
    }

    /// Weighs a message, or withholds it.
    pub(super) fn clear<M: Outgoing>(&self, message: M) -> Result<Cleared<M>, Unclassified> {
        let (_, ledger) = weigh(&message)?;
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).add(&ledger);
        Ok(Cleared(message))
    }

    /// Counts what the channels send that carry these messages.
    pub(super) const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Tells the customer's own log what has left so far: by class, and what that came to below.
    pub(super) fn tell(&self) {
        self.ledger().tell();
        self.meter.tell();
    }

    /// What has left so far.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A leak on purpose: `WAYBILL_LEAK` as the SQLSTATE of every event, so that the test that looks for rows in what leaves
/// can show that it would find one. Not in a release build.
#[cfg(feature = "failpoints")]
pub(super) fn planted(
    mut report: waybill_protocol::pb::worker::ReportRequest,
) -> waybill_protocol::pb::worker::ReportRequest {
    if let Ok(leak) = std::env::var("WAYBILL_LEAK") {
        report.events.iter_mut().for_each(|event| event.sqlstate = Some(leak.clone()));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::egress::EgressClass;
    use waybill_protocol::pb::worker::PrepareCommitRequest;

    #[test]
    fn what_leaves_is_counted_by_class() {
        let egress = Egress::open();
        let message = PrepareCommitRequest { epoch: 1, stream: 2, digest: vec![7; 32] };
        egress.clear(message).expect("all fields have classes");
        let ledger = egress.ledger();
        assert_eq!((ledger.messages, ledger.bytes(EgressClass::Digest)), (1, 34));
        assert_eq!((ledger.bytes(EgressClass::Index), ledger.bytes(EgressClass::Count)), (2, 2));
        assert_eq!(ledger.total(), 38);
    }
}

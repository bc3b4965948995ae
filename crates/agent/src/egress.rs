//! The one door: every message that leaves is weighed per class here, and one with an unclassified field stays.

use std::sync::{LazyLock, Mutex, PoisonError};

use waybill_identity::channel::Meter;
use waybill_protocol::egress::{Ledger, Outgoing, Unclassified, weigh};

static LEFT: Mutex<Option<Ledger>> = Mutex::new(None);
static METER: LazyLock<Meter> = LazyLock::new(Meter::default);

/// Counts what the channels send that carry these messages.
pub(crate) fn meter() -> &'static Meter {
    &METER
}

/// Weighs a message, or withholds it.
pub(crate) fn clear<M: Outgoing>(message: M) -> Result<M, Unclassified> {
    let (_, ledger) = weigh(&message)?;
    LEFT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().add(&ledger);
    Ok(message)
}

/// Tells the customer's own log what left so far.
pub(crate) fn tell() {
    if let Some(ledger) = *LEFT.lock().unwrap_or_else(PoisonError::into_inner) {
        ledger.tell();
        METER.tell();
    }
}

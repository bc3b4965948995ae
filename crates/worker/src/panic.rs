//! What is told of a defect: that it happened, and a hash of the source line. Its text may hold a row, so it goes nowhere.

use std::panic::Location;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use waybill_model::event::{Event, EventCode};
use waybill_pipeline::Observer;

use crate::terminal;

/// Replaces the panic hook; the observer hears of every panic from then on.
pub fn install(observer: Option<Arc<dyn Observer>>) {
    std::panic::set_hook(Box::new(move |info| {
        let location = info.location().map_or(0, hash);
        terminal::say(&format!("worker_bug at {location:016x}: please report this number"));
        tracing::error!(location = format!("{location:016x}"), "worker_bug");
        if let Some(observer) = &observer {
            observer.event(Event { location: Some(location), ..Event::new(EventCode::WorkerPanicked) });
        }
    }));
}

/// The first eight bytes of SHA-256 over `file:line`.
fn hash(location: &Location<'_>) -> u64 {
    let place = format!("{}:{}", location.file(), location.line());
    let digest = Sha256::digest(place.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_one_hash_and_another_line_another() {
        let (a, b) = (Location::caller(), Location::caller());
        assert_eq!(hash(a), hash(b));
        let c = Location::caller();
        assert_ne!(hash(a), hash(c));
    }
}

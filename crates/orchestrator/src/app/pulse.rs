//! Whether the loops turn.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::loops::LoopReading;

/// Rounds that a loop may miss before it counts as dead, and the shortest time for that.
const MISSED: u32 = 5;
const SHORTEST: Duration = Duration::from_secs(30);

/// Remembers when each loop was last seen to have turned.
#[derive(Default)]
pub struct Pulse(Mutex<HashMap<&'static str, (u64, Instant)>>);

impl Pulse {
    /// How long ago a loop turned, as far as it was looked at.
    fn since(&self, name: &'static str, reading: &LoopReading) -> Duration {
        let turned = reading.rounds + reading.failed_rounds;
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(name).or_insert((turned, Instant::now()));
        if known.0 != turned {
            *known = (turned, Instant::now());
        }
        known.1.elapsed()
    }
}

impl Shared {
    /// Loops that this process leads and that have not turned for far longer than they should.
    pub(crate) fn stale_loops(&self) -> Vec<&'static str> {
        let bounds = &self.bounds;
        let every = [bounds.schedule_every, bounds.dispatch_every, bounds.reconcile_every, self.retention.every];
        let readings = self.loops.readings();
        let stale = readings.iter().zip(every).filter(|((name, reading), every)| {
            reading.leads && self.pulse.since(name, reading) > (*every * MISSED).max(SHORTEST)
        });
        stale.map(|((name, _), _)| *name).collect()
    }
}

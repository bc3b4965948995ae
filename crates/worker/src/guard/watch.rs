//! The guard while a run is under way: read again at each part and before each commit, its ceilings counted.
//!
//! What was read counts for seconds, also for connections that are made from then on. A guard that is gone, wrong, switched
//! off or over ends the run at once; one that can't be reached ends it a minute later. A refusal raises the run's own
//! switch, so nothing commits after it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify};
use tokio::time::Instant;
use waybill_model::Micros;
use waybill_model::errand::Errand;
use waybill_model::plan::Plan;
use waybill_model::size::show_bytes;
use waybill_pipeline::{Directive, Halt, Progress, StopSwitch};
use waybill_spec::Guard;
use waybill_spec::guard::{Ceilings, Reason, Refusal, evaluate};
use waybill_spec::sign::check_signature;

use super::find::{Lost, Origin};
use super::ways::Ways;

/// How long a reading counts without question.
pub(super) const FRESH: Duration = Duration::from_secs(3);
/// How long it counts while the guard's place can't be reached, or nobody renews the copy that is read.
const STALE: Duration = Duration::from_secs(60);
/// Between looks while no part ends.
const EVERY: Duration = Duration::from_secs(10);

/// What is held against the guard.
pub(super) struct Subject {
    pub(super) plan: Plan,
    pub(super) bytes: Vec<u8>,
    pub(super) signature: Option<String>,
    pub(super) images: Vec<String>,
    /// What is to be done with streams in place of their next window: no plan says so.
    pub(super) errands: Vec<Errand>,
}

impl Subject {
    /// Everything that a guard refuses now.
    pub(super) fn judge(&self, guard: &Guard) -> Vec<Refusal> {
        let now = Micros::now();
        let mut refused = evaluate(guard, &self.plan, now);
        refused.extend(check_signature(guard, &self.bytes, self.signature.as_deref(), now));
        refused.extend(guard.refuses_image(&self.images));
        let is_reload = self.errands.contains(&Errand::Reload);
        refused.extend(guard.refuses_reload().filter(|_| is_reload));
        let is_again = |errand: &Errand| matches!(errand, Errand::ForgetCursor | Errand::Backfill(_));
        refused.extend(guard.refuses_backfill().filter(|_| self.errands.iter().any(is_again)));
        refused
    }
}

/// A guard that is looked at again.
pub(super) struct Watch {
    origin: Origin,
    subject: Subject,
    ways: Ways,
    seen: AsyncMutex<Seen>,
    /// Those of the newest reading, where no lock may be waited for.
    ceilings: Mutex<Ceilings>,
    totals: Mutex<HashMap<u32, (u64, u64)>>,
    switch: StopSwitch,
    part: Notify,
}

struct Seen {
    guard: Arc<Guard>,
    at: Instant,
}

impl Watch {
    pub(super) fn new(origin: Origin, guard: Guard, subject: Subject, switch: StopSwitch) -> Self {
        let (ways, ceilings) = (Ways::of(&guard), Mutex::new(guard.limits.clone()));
        let seen = AsyncMutex::new(Seen { guard: Arc::new(guard), at: Instant::now() });
        Self { origin, subject, ways, seen, ceilings, totals: Mutex::default(), switch, part: Notify::new() }
    }

    pub(super) const fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) const fn ways(&self) -> &Ways {
        &self.ways
    }

    pub(super) async fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.seen.lock().await.guard)
    }

    /// The newest ceiling of rows in a second.
    pub(super) fn rows_per_second(&self) -> Option<u64> {
        self.ceilings.lock().unwrap_or_else(PoisonError::into_inner).rows_per_second
    }

    /// Looks whenever a part has ended, and in between, until the guard refuses.
    pub(super) async fn look_again(self: Arc<Self>) {
        while self.allows().await.is_ok() {
            // A look that comes too early for a new reading costs nothing; one that never comes is bounded.
            let _ = tokio::time::timeout(EVERY, self.part.notified()).await;
        }
    }

    /// A part has ended.
    pub(super) fn part_ended(&self) {
        self.part.notify_one();
    }

    /// Whether the guard still allows the run; where it does not, the run's switch is raised.
    pub(super) async fn allows(&self) -> Result<(), Halt> {
        self.asked(FRESH).await
    }

    /// The same of a reading that is made now: a commit rests on it.
    pub(super) async fn allows_now(&self) -> Result<(), Halt> {
        self.asked(Duration::ZERO).await
    }

    async fn asked(&self, fresh: Duration) -> Result<(), Halt> {
        if let Some(halt @ (Halt::Forbidden(_) | Halt::Fenced)) = self.switch.current().halt() {
            return Err(halt);
        }
        let refused = match self.current(fresh).await {
            Ok(guard) => {
                let mut refused = self.subject.judge(&guard);
                refused.extend(self.ways.follow(&guard));
                refused.extend(self.over(None));
                refused
            }
            Err(refusal) => vec![refusal],
        };
        for refusal in &refused {
            self.forbid(refusal);
        }
        refused.first().map_or(Ok(()), |first| Err(Halt::Forbidden(first.reason.failure())))
    }

    /// Takes a stream's numbers in and ends the run where a ceiling is passed.
    pub(super) fn count(&self, progress: &Progress) {
        if let Some(refusal) = self.over(Some(progress)) {
            self.forbid(&refusal);
        }
    }

    fn forbid(&self, refusal: &Refusal) {
        if !matches!(self.switch.current(), Directive::Forbidden(_) | Directive::Fenced) {
            tracing::error!(text = refusal.sentence(), "the guard does not allow this run any more");
        }
        self.switch.raise(Directive::Forbidden(refusal.reason.failure()));
    }

    /// The guard as it was read at most this long ago.
    async fn current(&self, fresh: Duration) -> Result<Arc<Guard>, Refusal> {
        let mut seen = self.seen.lock().await;
        if seen.at.elapsed() < fresh {
            return Ok(Arc::clone(&seen.guard));
        }
        match self.origin.read().await {
            Ok(guard) => {
                *self.ceilings.lock().unwrap_or_else(PoisonError::into_inner) = guard.limits.clone();
                *seen = Seen { guard: Arc::new(guard), at: Instant::now() };
                Ok(Arc::clone(&seen.guard))
            }
            Err(Lost::Gone(refusal)) => Err(refusal),
            Err(Lost::Unreached(refusal)) if seen.at.elapsed() < STALE => {
                tracing::warn!(text = refusal.sentence(), "the guard can't be read again yet");
                Ok(Arc::clone(&seen.guard))
            }
            Err(Lost::Unreached(refusal)) => Err(refusal),
        }
    }

    /// The ceiling that was passed, if one was.
    fn over(&self, progress: Option<&Progress>) -> Option<Refusal> {
        let mut totals = self.totals.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = progress {
            totals.insert(progress.stream, (progress.rows, progress.bytes));
        }
        let rows: u64 = totals.values().map(|(rows, _)| *rows).sum();
        let bytes: u64 = totals.values().map(|(_, bytes)| *bytes).sum();
        let ceilings = self.ceilings.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(most) = ceilings.rows.filter(|most| rows > *most) {
            let text = format!("{rows} rows were read; `limits.rows_per_run` is {most}");
            return Some(Refusal::without_guard(Reason::Rows, text));
        }
        let most = ceilings.bytes.filter(|most| bytes > *most)?;
        let text = format!("{} were written; `limits.bytes_per_run` is {}", show_bytes(bytes), show_bytes(most));
        Some(Refusal::without_guard(Reason::Bytes, text))
    }
}

#[cfg(test)]
pub(super) mod tests;

//! The running numbers of one stream, added up over its lanes and told to the observer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use waybill_model::event::{Event, EventCode};
use waybill_model::run::StreamState;

use crate::commit::DataFile;
use crate::observe::{Observer, Progress};
use crate::source::Batch;

/// Counts of one stream.
pub(super) struct Meter {
    stream: u32,
    observer: Arc<dyn Observer>,
    estimate: Option<u64>,
    rows: AtomicU64,
    bytes: AtomicU64,
    files: AtomicU64,
    aside: AtomicU64,
    coerced: Mutex<BTreeMap<usize, u64>>,
}

impl Meter {
    pub(super) fn new(stream: u32, observer: Arc<dyn Observer>, estimate: Option<u64>) -> Self {
        let zero = || AtomicU64::new(0);
        let (rows, bytes, files, aside) = (zero(), zero(), zero(), zero());
        Self { stream, observer, estimate, rows, bytes, files, aside, coerced: Mutex::default() }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Rows so far that were read and are set aside.
    pub(super) fn aside(&self) -> u64 {
        self.aside.load(Ordering::Relaxed)
    }

    /// Takes a batch in that was read.
    pub(super) fn read(&self, batch: &Batch) {
        self.rows.fetch_add(batch.rows.num_rows() as u64, Ordering::Relaxed);
        self.aside.fetch_add(batch.aside.len() as u64, Ordering::Relaxed);
        if !batch.coerced.is_empty() {
            let mut coerced = self.coerced.lock().unwrap_or_else(PoisonError::into_inner);
            for (at, count) in &batch.coerced {
                *coerced.entry(*at).or_default() += count;
            }
        }
        self.tell(StreamState::Reading);
    }

    /// A lane's file under way has grown from `before` to `now` bytes.
    pub(super) fn grown(&self, before: u64, now: u64) {
        self.bytes.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }

    /// A file is complete; returns whether it is the stream's first.
    pub(super) fn closed(&self, file: &DataFile) -> bool {
        let first = self.files.fetch_add(1, Ordering::Relaxed) == 0;
        let event = Event::of_stream(EventCode::PartUploaded, self.stream);
        self.observer.event(Event { rows: Some(file.rows), bytes: Some(file.bytes), ..event });
        self.tell(StreamState::Reading);
        first
    }

    /// Tells the numbers with the stream's state.
    pub(super) fn tell(&self, state: StreamState) {
        self.observer.progress(Progress {
            stream: self.stream,
            state,
            rows: self.rows(),
            bytes: self.bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
            rows_estimate: self.estimate,
        });
    }

    /// Values that a policy changed or moved, by the column's place.
    pub(super) fn coerced(&self) -> BTreeMap<usize, u64> {
        self.coerced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

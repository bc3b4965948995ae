//! What is read of a table in one snapshot: its rows, and for a sweep the keys of all rows; each in ranges that lanes share.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

/// One selection, the queue of its ranges, and how far that has come.
pub(crate) struct Part<S, R> {
    pub(crate) selection: S,
    ranges: Vec<R>,
    queue: Mutex<Vec<R>>,
    complete: AtomicUsize,
    rows: AtomicU64,
}

impl<S, R: Clone> Part<S, R> {
    /// Ranges are taken from the end.
    pub(crate) fn new(selection: S, ranges: Vec<R>) -> Self {
        let queue = Mutex::new(ranges.clone());
        Self { selection, ranges, queue, complete: AtomicUsize::new(0), rows: AtomicU64::new(0) }
    }

    pub(crate) fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// The next range.
    pub(crate) fn next_range(&self) -> Option<R> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// A range was read, and its end proven.
    pub(crate) fn range_read(&self) {
        self.complete.fetch_add(1, Ordering::SeqCst);
    }

    /// So many rows more were read.
    pub(crate) fn rows_read(&self, rows: usize) {
        self.rows.fetch_add(rows as u64, Ordering::SeqCst);
    }

    /// Rows that were read, once every range was.
    pub(crate) fn complete(&self) -> FaultResult<u64> {
        if self.complete.load(Ordering::SeqCst) < self.ranges.len() {
            return Err(Fault::new(FailureCode::SourceIncomplete, "not every range was read to its end"));
        }
        Ok(self.rows.load(Ordering::SeqCst))
    }
}

/// Which of the parts a lane reads.
#[derive(Clone, Copy)]
pub(crate) enum What {
    /// The rows of the window.
    Rows,
    /// The key's columns of all rows.
    Keys,
}

/// All that is read in one snapshot.
pub(crate) struct Parts<S, R> {
    pub(crate) rows: Part<S, R>,
    keys: Option<Part<S, R>>,
}

impl<S, R: Clone> Parts<S, R> {
    /// `keys` where somebody asks which rows are gone.
    pub(crate) fn new(rows: Part<S, R>, keys: Option<Part<S, R>>) -> Self {
        Self { rows, keys }
    }

    /// What a lane reads.
    pub(crate) fn of(&self, what: What) -> &Part<S, R> {
        match (what, &self.keys) {
            (What::Keys, Some(keys)) => keys,
            _ => &self.rows,
        }
    }

    /// Lets the keys be read from their first range on, however often they were.
    pub(crate) fn begin_keys(&self) -> FaultResult<()> {
        let nobody = || Fault::new(FailureCode::WorkerBug, "keys are asked for that nobody wanted");
        let keys = self.keys.as_ref().ok_or_else(nobody)?;
        keys.queue.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&keys.ranges);
        keys.complete.store(0, Ordering::SeqCst);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_the_first_range_on_each_time() {
        let parts = Parts::new(Part::new("rows", vec![1]), Some(Part::new("keys", vec![1, 2])));
        for _ in 0..2 {
            parts.begin_keys().expect("keys");
            let keys = parts.of(What::Keys);
            assert_eq!(
                (keys.selection, keys.next_range(), keys.next_range(), keys.next_range()),
                ("keys", Some(2), Some(1), None)
            );
        }
        assert_eq!(parts.of(What::Rows).selection, "rows");
        assert_eq!(parts.rows.complete().expect_err("a range is left").code, FailureCode::SourceIncomplete);
        parts.rows.rows_read(5);
        parts.rows.range_read();
        assert_eq!(parts.rows.complete().expect("read"), 5);
        assert!(Parts::new(Part::new("rows", vec![1]), None).begin_keys().is_err(), "nobody asked");
    }
}

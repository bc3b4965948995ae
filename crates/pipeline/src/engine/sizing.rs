//! How the budget is shared out: so much for a lane, and within it for batches, the row group and the upload.
//!
//! A lane holds a batch that is being read and one that is being encoded, room for the growth of the first, and a few that
//! wait between them, so that the source need not wait while a row group is compressed. The rest of its share is the row group's.

use crate::budget::Budget;

const MIB: u64 = 1 << 20;
/// The largest batch: what a core's own cache holds. Larger ones are fresh memory each time and cost more to fill.
const BATCH: u64 = MIB;
/// Batches that wait at most.
const QUEUE: u64 = 8;
/// What a lane needs besides its upload.
const LEAST: u64 = 12 * MIB;
/// The part of the whole that all `unique` expectations of a run share, where there are any.
const SEEN: u64 = 4;
/// The sink's piece, and the piece that the upload has just been given.
const PIECES: u64 = 2 * MIB;

/// The compressor of a file of text, and what it has given out.
const PACKER: u64 = 2 * MIB;

/// What a lane's uploads hold: of its data file, and where rows may be set aside, of a file beside it.
pub(super) const fn uploads(each: u64, sets_aside: bool) -> u64 {
    if sets_aside { 2 * each + PIECES + PACKER } else { each }
}

/// The shares of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Lanes at once, over all streams: what was asked for, or fewer where memory is short.
    pub lanes: usize,
    /// Bytes that one lane draws.
    pub lane_bytes: u64,
    /// Bytes of a batch.
    pub batch_bytes: usize,
    /// Batches between reader and encoder, the one that is being read included.
    pub queue: usize,
    /// Bytes of the row group in progress.
    pub row_group_bytes: usize,
    /// Bytes of the largest row.
    pub row_bytes: usize,
    /// Bytes in which one `unique` expectation keeps what it has seen.
    pub seen_bytes: usize,
}

impl Sizing {
    /// Shares for `parallel` lanes whose uploads hold `upload` bytes each, beside so many `unique` expectations.
    #[must_use]
    pub fn new(budget: &Budget, parallel: usize, upload: u64, uniques: usize) -> Self {
        let aside = if uniques > 0 { budget.nominal() / SEEN } else { 0 };
        let usable = budget.usable() - aside;
        let most = usize::try_from(usable / (upload + LEAST)).unwrap_or(usize::MAX);
        let lanes = parallel.clamp(1, most.max(1));
        let lane_bytes = usable / lanes as u64;
        let own = lane_bytes.saturating_sub(upload + PIECES).max(4 * MIB);
        let batch = (own / 12).min(BATCH);
        let queue = (own / 8 / batch).clamp(1, QUEUE);
        Self {
            lanes,
            lane_bytes,
            batch_bytes: clip(batch),
            queue: clip(queue),
            row_group_bytes: clip(own - (queue + 2) * batch),
            row_bytes: clip(budget.row_bytes()),
            seen_bytes: clip(aside / uniques.max(1) as u64),
        }
    }
}

fn clip(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_all_lanes_fit_the_budget() {
        for (limit, parallel, upload, uniques) in
            [(64, 1, 1, 1), (128, 4, 1, 0), (256, 2, 64, 3), (512, 64, 20, 0), (8192, 8, 64, 1)]
        {
            let budget = Budget::new(limit * MIB).expect("budget");
            let sizing = Sizing::new(&budget, parallel, upload * MIB, uniques);
            let seen = (sizing.seen_bytes * uniques) as u64;
            assert!(sizing.lanes as u64 * sizing.lane_bytes + seen <= budget.usable());
            let parts = (sizing.queue + 2) as u64 * sizing.batch_bytes as u64 + sizing.row_group_bytes as u64;
            assert!(parts <= sizing.lane_bytes.max(4 * MIB), "{limit} MiB: {sizing:?}");
            assert!(sizing.batch_bytes as u64 <= BATCH && sizing.row_group_bytes >= 2 * 1024 * 1024);
        }
    }

    #[test]
    fn lanes_become_fewer_where_memory_is_short() {
        let budget = Budget::new(128 * MIB).expect("budget");
        assert!(Sizing::new(&budget, 64, MIB, 0).lanes < 8);
        assert_eq!(Sizing::new(&budget, 2, MIB, 0).lanes, 2);
    }
}

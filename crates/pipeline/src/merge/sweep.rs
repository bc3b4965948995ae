//! Which rows of the table the source has no more: by the keys of all of its rows, in bounded memory.
//!
//! Two sets of keys are compared by sums first: each digest falls into one of many buckets, and where the sums of a bucket are
//! those of the other side, so are its keys, but for a chance of 1 in 2^128. The keys of the other buckets are held
//! against each other one by one, so many buckets at a time as fit. It decides what is gone, and writes nothing.

use waybill_model::FailureCode;

use super::keys::DIGEST_BYTES;
use super::{Bits, Existing, Fate, Merging, SourceKeys};
use crate::fault::{Fault, FaultResult};
use crate::stop::End;

/// Buckets at most: more tell no more.
const MOST: usize = 1 << 20;
/// Fewer would make almost every bucket another one.
const LEAST: usize = 1 << 10;

/// What is done with rows that the source has no more.
pub(crate) struct Sweep {
    /// Place of the column that marks them; none where they are removed.
    pub(crate) mark: Option<usize>,
    /// The mark: when they were missed, in microseconds.
    pub(crate) at: i64,
    /// Share of the rows that must stay, in percent.
    pub(crate) shrink_guard: u8,
    pub(crate) keys: SourceKeys,
}

/// Refuses to delete so many of the rows without a mark where less than this share of them would stay, in percent.
pub fn guard_deletes(gone: u64, live: u64, share: u8) -> FaultResult<()> {
    let least = u128::from(live) * u128::from(share.min(100));
    if u128::from(live.saturating_sub(gone)) * 100 >= least {
        return Ok(());
    }
    let text =
        format!("the source has {gone} or more of the table's {live} rows no more, so less than {share} % would stay");
    Err(Fault::new(FailureCode::TableShrank, text))
}

/// The rows of one file that the source has no more, or has again.
#[derive(Default)]
pub(super) struct Absent {
    /// Rows that are gone; they are removed, or marked.
    gone: Option<Bits>,
    is_removal: bool,
    /// Rows with a mark whose key is there.
    back: Option<Bits>,
}

impl Absent {
    pub(super) fn changes_nothing(&self) -> bool {
        self.gone() == 0 && self.unmarked() == 0
    }

    pub(super) fn gone(&self) -> u64 {
        self.gone.as_ref().map_or(0, |bits| bits.set)
    }

    pub(super) fn removed(&self) -> u64 {
        if self.is_removal { self.gone() } else { 0 }
    }

    pub(super) fn marked(&self) -> u64 {
        if self.is_removal { 0 } else { self.gone() }
    }

    pub(super) fn unmarked(&self) -> u64 {
        self.back.as_ref().map_or(0, |bits| bits.set)
    }

    pub(super) fn is_removed(&self, row: usize) -> bool {
        self.is_removal && self.is_gone(row)
    }

    pub(super) fn is_marked(&self, row: usize) -> bool {
        !self.is_removal && self.is_gone(row)
    }

    pub(super) fn is_unmarked(&self, row: usize) -> bool {
        self.back.as_ref().is_some_and(|bits| bits.is_set(row))
    }

    fn is_gone(&self, row: usize) -> bool {
        self.gone.as_ref().is_some_and(|bits| bits.is_set(row))
    }
}

/// Keys of one bucket.
#[derive(Clone, Copy, Default)]
struct Bucket {
    /// Digests of the source's keys less those of the table's.
    difference: u128,
    in_source: u32,
    in_table: u32,
}

impl Bucket {
    /// Whether both sides have the same keys.
    const fn is_even(&self) -> bool {
        self.difference == 0 && self.in_source == self.in_table
    }
}

/// Sums over the keys of the source, and over those that the table will hold without a mark.
pub(super) struct Sums {
    buckets: Vec<Bucket>,
    live: u64,
}

impl Sums {
    /// As many buckets as fit.
    pub(super) fn new(memory: usize) -> Self {
        let fit = (memory / size_of::<Bucket>()).clamp(LEAST, MOST);
        Self { buckets: vec![Bucket::default(); 1 << fit.ilog2()], live: 0 }
    }

    /// Counts a row that the table holds without a mark.
    pub(super) fn lives(&mut self) {
        self.live += 1;
    }

    /// Rows that the table holds without a mark.
    pub(super) const fn live(&self) -> u64 {
        self.live
    }

    /// Whether the source and the table have the same keys.
    pub(super) fn are_alike(&self) -> bool {
        self.buckets.iter().all(Bucket::is_even)
    }

    pub(super) fn in_source(&mut self, digest: u128) {
        let at = self.place(digest);
        let bucket = &mut self.buckets[at];
        bucket.difference = bucket.difference.wrapping_add(digest);
        bucket.in_source = bucket.in_source.saturating_add(1);
    }

    pub(super) fn in_table(&mut self, digest: u128) {
        let at = self.place(digest);
        let bucket = &mut self.buckets[at];
        bucket.difference = bucket.difference.wrapping_sub(digest);
        bucket.in_table = bucket.in_table.saturating_add(1);
    }

    /// By other bits than shares go by.
    fn place(&self, digest: u128) -> usize {
        digest as usize & (self.buckets.len() - 1)
    }

    /// The buckets whose keys differ, in rounds of so many keys of the source as fit: round by bucket, and keys by round.
    fn rounds(&self, memory: usize) -> (Vec<Option<u32>>, Vec<u64>) {
        let most = (memory / DIGEST_BYTES).max(1) as u64;
        let (mut rounds, mut number) = (Vec::<u64>::new(), 0_u32);
        let of = |bucket: &Bucket| {
            if bucket.is_even() {
                return None;
            }
            let keys = u64::from(bucket.in_source);
            match rounds.last_mut() {
                Some(held) if *held + keys <= most => *held += keys,
                _ => {
                    number = u32::try_from(rounds.len()).unwrap_or(u32::MAX);
                    rounds.push(keys);
                }
            }
            Some(number)
        };
        (self.buckets.iter().map(of).collect(), rounds)
    }
}

impl Merging<'_> {
    /// Finds the rows of these files whose key the source has no more, and those with a mark whose key is there.
    pub(super) fn look_for_absent(
        &self,
        sweep: &Sweep,
        sums: &Sums,
        files: &[Existing],
        fates: &mut [Fate],
    ) -> Result<(), End> {
        let (round_of, rounds) = sums.rounds(self.work.digests / 2);
        for (round, keys) in (0_u32..).zip(rounds) {
            let is_here = |digest| round_of[sums.place(digest)] == Some(round);
            let mut there = Vec::with_capacity(usize::try_from(keys).unwrap_or(usize::MAX));
            sweep.keys.each(self.work, self.digests, |digest| {
                if is_here(digest) {
                    there.push(digest);
                }
            })?;
            there.sort_unstable();
            self.each_row(files, |seen| {
                let fate = &mut fates[seen.file];
                if !is_here(seen.digest) || fate.taken.is_set(seen.row) {
                    return;
                }
                let rows = files[seen.file].rows;
                match (there.binary_search(&seen.digest).is_ok(), seen.is_marked) {
                    (false, false) => fate.absent.gone.get_or_insert_with(|| Bits::new(rows)).set(seen.row),
                    (true, true) => fate.absent.back.get_or_insert_with(|| Bits::new(rows)).set(seen.row),
                    _ => {}
                }
                fate.absent.is_removal = sweep.mark.is_none();
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(source: impl Iterator<Item = u128>, table: impl Iterator<Item = u128>) -> Sums {
        let mut sums = Sums::new(0);
        source.for_each(|digest| sums.in_source(digest));
        table.for_each(|digest| sums.in_table(digest));
        sums
    }

    fn digest(n: u64) -> u128 {
        let mixed = u128::from(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed << 64 | u128::from(n.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 7)
    }

    #[test]
    fn the_same_keys_in_any_order_leave_no_bucket_to_look_at() {
        let same = sums((0..10_000).map(digest), (0..10_000).rev().map(digest));
        let (round_of, rounds) = same.rounds(1 << 20);
        assert!(same.are_alike() && rounds.is_empty() && round_of.iter().all(Option::is_none));
    }

    #[test]
    fn every_bucket_with_another_key_is_looked_at_in_rounds_that_fit() {
        let found = sums((0..10_000).map(digest), (5..10_010).map(digest));
        let (round_of, rounds) = found.rounds(20 * DIGEST_BYTES);
        for other in (0..5).chain(10_000..10_010) {
            assert!(round_of[found.place(digest(other))].is_some(), "{other}");
        }
        assert!(rounds.len() > 1 && rounds.iter().all(|keys| *keys <= 20), "{rounds:?}");
        let looked_at = |round: u32| (0..10_000).filter(|n| round_of[found.place(digest(*n))] == Some(round)).count();
        assert!((0..).zip(&rounds).all(|(round, keys)| looked_at(round) as u64 == *keys), "{rounds:?}");
    }

    #[test]
    fn one_key_for_another_in_one_bucket_is_seen() {
        let (one, other) = (5, 5 + (1 << 100));
        let (round_of, rounds) = sums([one].into_iter(), [other].into_iter()).rounds(1 << 20);
        assert_eq!((rounds, round_of[5]), (vec![1], Some(0)));
    }

    #[test]
    fn the_guard_counts_what_would_go() {
        let code = |gone, live, share| guard_deletes(gone, live, share).err().map(|fault| fault.code);
        assert_eq!([code(50, 100, 50), code(100, 100, 0), code(0, 9, 100)], [None; 3]);
        assert_eq!(code(51, 100, 50), Some(FailureCode::TableShrank));
    }
}

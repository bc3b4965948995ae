//! What lies in a log directory: versions, checkpoints and compacted ranges, told from stray names.

use std::collections::{BTreeMap, BTreeSet};

use crate::bucket::{Bucket, ObjectMeta};
use crate::commit::key;
use crate::commit::kind::LogKind;
use crate::fault::FaultResult;

/// The log's directory as one listing saw it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    /// Versions with a JSON commit.
    pub(crate) commits: BTreeSet<u64>,
    /// Compacted ranges: first version to last versions.
    pub(crate) compacted: BTreeMap<u64, BTreeSet<u64>>,
    checkpoints: BTreeMap<u64, Checkpoint>,
}

#[derive(Clone, Debug, Default)]
struct Checkpoint {
    single: bool,
    /// Number of parts to the parts that are there.
    parts: BTreeMap<u32, BTreeSet<u32>>,
}

impl Listing {
    /// Lists the log. `from` leaves out what lies below that version.
    pub(crate) async fn read(
        bucket: &dyn Bucket,
        (table, log): (&str, LogKind),
        from: Option<u64>,
    ) -> FaultResult<Self> {
        let dir = key::log_dir(table, log);
        let after = from.map(|version| format!("{dir}{version:020}"));
        let objects = bucket.list(&dir, after.as_deref()).await?;
        Ok(Self::of(&dir, &objects))
    }

    fn of(dir: &str, objects: &[ObjectMeta]) -> Self {
        let mut listing = Self::default();
        for object in objects {
            if let Some(name) = object.key.strip_prefix(dir) {
                listing.take(name);
            }
        }
        listing
    }

    fn take(&mut self, name: &str) {
        let words: Vec<&str> = name.split('.').collect();
        let Some(version) = words.first().and_then(|word| number(word, 20)) else { return };
        match words.as_slice() {
            [_, "json"] => {
                self.commits.insert(version);
            }
            [_, "checkpoint", "parquet"] => self.checkpoints.entry(version).or_default().single = true,
            [_, "checkpoint", part, of, "parquet"] => {
                let (Some(part), Some(of)) = (number(part, 10), number(of, 10)) else { return };
                let (Ok(part), Ok(of)) = (u32::try_from(part), u32::try_from(of)) else { return };
                self.checkpoints.entry(version).or_default().parts.entry(of).or_default().insert(part);
            }
            [_, last, "compacted", "json"] => {
                if let Some(last) = number(last, 20).filter(|last| *last > version) {
                    self.compacted.entry(version).or_default().insert(last);
                }
            }
            _ => {}
        }
    }

    /// The checkpoints of which no part is missing, newest first, each with the keys of its parts.
    pub(crate) fn checkpoints(&self, table: &str) -> impl Iterator<Item = (u64, Vec<String>)> {
        let dir = key::log_dir(table, LogKind::Delta);
        self.checkpoints.iter().rev().filter_map(move |(version, found)| {
            if found.single {
                return Some((*version, vec![key::checkpoint(&dir, *version)]));
            }
            let whole = found.parts.iter().find(|(of, parts)| parts.iter().copied().eq(1..=**of))?.0;
            let part = |n: u32| format!("{dir}{version:020}.checkpoint.{n:010}.{whole:010}.parquet");
            Some((*version, (1..=*whole).map(part).collect()))
        })
    }

    /// Forgets the checkpoints at a version and above it.
    pub(crate) fn forget_checkpoints(&mut self, from: u64) {
        self.checkpoints.retain(|version, _| *version < from);
    }

    /// Forgets what stands above a version.
    pub(crate) fn end_at(&mut self, version: Option<u64>) {
        let Some(last) = version else { return };
        self.commits.retain(|version| *version <= last);
        self.checkpoints.retain(|version, _| *version <= last);
        for lasts in self.compacted.values_mut() {
            lasts.retain(|version| *version <= last);
        }
    }

    /// Whether any checkpoint, whole or not, stands at `version` or above.
    pub(crate) fn checkpoint_from(&self, version: u64) -> bool {
        self.checkpoints.range(version..).next().is_some()
    }
}

/// A number of exactly `digits` digits.
fn number(word: &str, digits: usize) -> Option<u64> {
    (word.len() == digits && word.bytes().all(|byte| byte.is_ascii_digit())).then(|| word.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let mut listing = Listing::default();
        names.iter().for_each(|name| listing.take(name));
        listing
    }

    #[test]
    fn stray_names_are_not_versions() {
        let found = listing(&[
            "00000000000000000001.json",
            "00000000000000000002.json.tmp",
            "0000000000000000003.json",
            "+0000000000000000004.json",
            "00000000000000000005.crc",
            ".tmp",
            "_last_checkpoint",
            "00000000000000000006.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json",
        ]);
        assert_eq!(found.commits.into_iter().collect::<Vec<_>>(), [1]);
        assert!(found.checkpoints.is_empty());
    }

    #[test]
    fn a_checkpoint_that_lacks_a_part_is_passed_over() {
        let found = listing(&[
            "00000000000000000003.checkpoint.0000000001.0000000002.parquet",
            "00000000000000000003.checkpoint.0000000002.0000000002.parquet",
            "00000000000000000007.checkpoint.0000000001.0000000003.parquet",
            "00000000000000000007.checkpoint.0000000003.0000000003.parquet",
        ]);
        let (version, keys) = found.checkpoints("t").next().expect("a whole checkpoint");
        assert_eq!((version, keys.len()), (3, 2));
        assert!(found.checkpoint_from(7) && !found.checkpoint_from(8));
    }
}

//! The newest state of a table by its Delta log: replay of checkpoints, JSON commits and compacted ranges. Tables with a plain
//! log have the same state, which [`crate::commit::plain`] replays.
//!
//! Where a replay begins stands in [`open`]. A gap is refused, as is a commit of ours that is not as we wrote it. Nothing here writes.

mod open;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value};
use waybill_model::{Epoch, FailureCode};

use crate::bucket::Bucket;
use crate::commit::action::{APP, Action, Add, Protocol, Stamp, corrupt};
use crate::commit::digest::{DigestKey, Sealed};
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::plain::PlainCommit;
use crate::commit::{features, key, schema};
use crate::fault::{Fault, FaultResult};

/// The largest commit that is read.
pub(crate) const COMMIT_CAP: u64 = 64 << 20;
/// The largest checkpoint file that is read.
pub(crate) const CHECKPOINT_CAP: u64 = 64 << 20;
/// Commits that are fetched at once.
pub(crate) const FETCHES: usize = 8;
/// What a commit of ours begins with, up to its seal.
pub(crate) const COMMIT_HEAD: &str = "{\"commitInfo\":{\"waybillSeal\":\"";
/// What separates its seal from other seals.
pub(crate) const COMMIT_PURPOSE: &str = "commit";

/// A data file that readers see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Active {
    pub(crate) size: u64,
    pub(crate) rows: Option<u64>,
    pub(crate) partition: BTreeMap<String, Option<String>>,
    /// Its statistics as the log has them, where the whole history was asked for.
    pub(crate) stats: Option<String>,
}

/// A commit of ours that is still in the log.
#[derive(Clone, Debug)]
pub(crate) struct Ours {
    pub(crate) version: u64,
    pub(crate) stamp: Stamp,
    /// Files that it added: path, size and statistics. Not kept in a head.
    pub(crate) added: Vec<(String, u64, Option<String>)>,
    /// Files that it removed. Not kept in a head.
    pub(crate) removed: Vec<String>,
}

/// The table at its newest version.
#[derive(Clone, Default)]
pub(crate) struct Head {
    /// Which log it is the head of.
    pub(crate) log: LogKind,
    /// The newest version; none for a table without a log.
    pub(crate) version: Option<u64>,
    /// The checkpoint that the replay began with.
    pub(crate) checkpoint: Option<u64>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) files: BTreeMap<String, Active>,
    /// The newest `txn` of ours.
    pub(crate) epoch: Option<Epoch>,
    /// Commits of ours above the checkpoint, in order.
    pub(crate) ours: Vec<Ours>,
    /// Since our newest commit, a foreign one took rows away.
    pub(crate) foreign_removal: bool,
    /// Files that readers see no more, with the millisecond since when, where the whole history was asked for.
    pub(crate) gone: Option<BTreeMap<String, i64>>,
}

impl Head {
    /// The table now, starting from what is known. False where nothing changed.
    pub(crate) async fn advance(
        &mut self,
        bucket: &dyn Bucket,
        table: &str,
        digest: Option<&DigestKey>,
    ) -> FaultResult<bool> {
        let Some(known) = self.version else {
            *self = Self::read(bucket, (table, self.log), digest).await?;
            return Ok(self.version.is_some());
        };
        if self.log == LogKind::Plain {
            self.advance_plain(bucket, table, digest, known).await?;
            return Ok(self.version != Some(known));
        }
        let listing = Listing::read(bucket, (table, self.log), Some(known + 1)).await?;
        // A put of a version that a clean-up deleted succeeds and every reader ignores it: below a checkpoint only the
        // checkpoint counts.
        if listing.checkpoint_from(known + 1) {
            *self = Self::read(bucket, (table, self.log), digest).await?;
        } else {
            self.follow(bucket, table, &listing, digest).await?;
            self.check()?;
        }
        Ok(self.version != Some(known))
    }

    /// Applies what comes after the known version, up to the newest one.
    pub(crate) async fn follow(
        &mut self,
        bucket: &dyn Bucket,
        table: &str,
        listing: &Listing,
        digest: Option<&DigestKey>,
    ) -> FaultResult<()> {
        let steps = self.steps(table, listing)?;
        let mut bodies = stream::iter(steps)
            .map(|(last, key, single)| async move {
                let body = bucket.get(&key, COMMIT_CAP).await?;
                let body = body.ok_or_else(|| corrupt(last, "vanished while it was read"))?;
                Ok::<_, Fault>((last, body, single))
            })
            .buffered(FETCHES);
        while let Some((version, body, single)) = bodies.try_next().await? {
            if single {
                self.apply_commit(version, &body, digest)?;
            } else {
                self.apply_lines(version, &body)?;
            }
            self.version = Some(version);
        }
        Ok(())
    }

    /// The objects to read: single commits, and a compacted range only where they are gone.
    pub(crate) fn steps(&self, table: &str, listing: &Listing) -> FaultResult<Vec<(u64, String, bool)>> {
        let newest = listing.commits.last().copied();
        let newest = newest.max(listing.compacted.values().filter_map(|lasts| lasts.last().copied()).max());
        let mut next = self.version.map_or(0, |version| version + 1);
        let mut steps = Vec::new();
        while newest.is_some_and(|newest| next <= newest) {
            if listing.commits.contains(&next) {
                steps.push((next, key::version(table, self.log, next), true));
                next += 1;
            } else if let Some(last) = listing.compacted.get(&next).and_then(BTreeSet::last) {
                steps.push((
                    *last,
                    format!("{}{next:020}.{last:020}.compacted.json", key::log_dir(table, self.log)),
                    false,
                ));
                next = last + 1;
            } else {
                return Err(corrupt(next, "is missing while later versions are there"));
            }
        }
        Ok(steps)
    }

    pub(crate) fn apply_commit(&mut self, version: u64, body: &Bytes, digest: Option<&DigestKey>) -> FaultResult<()> {
        let commit = Commit::parse(version, body)?;
        let ours = commit.ours(version, body, digest)?;
        let removal = commit.removals;
        for action in commit.actions {
            self.apply(action, version)?;
        }
        match ours {
            Some(ours) => {
                self.foreign_removal = false;
                self.link(ours)?;
            }
            None => self.foreign_removal |= removal,
        }
        Ok(())
    }

    /// Adds a commit of ours to the chain: each names the state that the one before it made current.
    pub(crate) fn link(&mut self, ours: Ours) -> FaultResult<()> {
        let before = self.ours.last().map(|before| before.stamp.state.as_str());
        if before.is_some() && ours.stamp.parent.as_deref() != before {
            return Err(corrupt(ours.version, "names another parent than the commit before it"));
        }
        self.ours.push(Ours { added: Vec::new(), removed: Vec::new(), ..ours });
        Ok(())
    }

    fn apply_lines(&mut self, version: u64, body: &Bytes) -> FaultResult<()> {
        Commit::parse(version, body)?.actions.into_iter().try_for_each(|action| self.apply(action, version))
    }

    pub(crate) fn apply(&mut self, action: Action, version: u64) -> FaultResult<()> {
        if action.sidecar.is_some() {
            return Err(Fault::new(FailureCode::TableFeatureUnsupported, "the table has V2 checkpoints"));
        }
        if let Some(add) = action.add {
            self.add(add, version)?;
        }
        if let Some(remove) = action.remove {
            self.files.remove(&remove.path);
            if let Some(gone) = &mut self.gone {
                // One that does not say since when counts as removed just now, and is kept longest.
                gone.insert(remove.path, remove.deletion_timestamp.unwrap_or(i64::MAX));
            }
        }
        if let Some(metadata) = action.metadata {
            self.metadata = Some(metadata.into_iter().filter(|(_, value)| !value.is_null()).collect());
        }
        if let Some(protocol) = action.protocol {
            self.protocol = Some(protocol);
        }
        if let Some(txn) = action.txn.filter(|txn| txn.app_id == APP) {
            if self.epoch.is_some_and(|epoch| epoch.0 >= txn.version) {
                return Err(corrupt(version, "carries an epoch that does not rise"));
            }
            self.epoch = Some(Epoch(txn.version));
        }
        Ok(())
    }

    fn add(&mut self, add: Add, version: u64) -> FaultResult<()> {
        if add.deletion_vector.is_some() {
            return Err(Fault::new(FailureCode::TableFeatureUnsupported, "the table has deletion vectors"));
        }
        if add.path.is_empty() {
            return Err(corrupt(version, "adds a file without a path"));
        }
        let rows = add.rows();
        let partition = add.partition_values.unwrap_or_default();
        let stats = add.stats.filter(|_| self.gone.is_some());
        if let Some(gone) = &mut self.gone {
            gone.remove(&add.path);
        }
        self.files.insert(add.path, Active { size: add.size, rows, partition, stats });
        Ok(())
    }

    /// Refuses a table that this product can't write to, and one without its two first actions.
    pub(crate) fn check(&self) -> FaultResult<()> {
        let Some(version) = self.version else { return Ok(()) };
        let protocol = self.protocol.as_ref().ok_or_else(|| corrupt(version, "has no protocol"))?;
        protocol.check()?;
        let metadata = self.metadata.as_ref().ok_or_else(|| corrupt(version, "has no metadata"))?;
        features::check_settings(metadata)?;
        self.columns().map(drop)
    }

    /// The table's columns.
    pub(crate) fn columns(&self) -> FaultResult<Vec<schema::Column>> {
        let Some(metadata) = &self.metadata else { return Ok(Vec::new()) };
        let text = metadata.get("schemaString").and_then(Value::as_str).unwrap_or_default();
        let schema: Option<Value> = serde_json::from_str(text).ok();
        schema
            .and_then(|schema| schema::of_delta(&schema))
            .ok_or_else(|| corrupt(self.version.unwrap_or(0), "has a schema that can't be read"))
    }

    /// Rows that readers see; none where a file does not tell, or more than can be.
    pub(crate) fn rows(&self) -> Option<u64> {
        self.files.values().try_fold(0_u64, |sum, file| sum.checked_add(file.rows?))
    }

    /// The version at which a commit of ours with this epoch stands, if it is still in the log.
    pub(crate) fn version_of(&self, epoch: Epoch) -> Option<u64> {
        self.ours.iter().rev().find(|ours| ours.stamp.epoch == epoch).map(|ours| ours.version)
    }
}

/// One JSON commit, with removals before additions.
pub(crate) struct Commit {
    actions: Vec<Action>,
    removals: bool,
    stamp: Option<Stamp>,
    epoch: Option<i64>,
    timestamp: Option<i64>,
    operation: Option<String>,
}

impl Commit {
    pub(crate) fn parse(version: u64, body: &[u8]) -> FaultResult<Self> {
        let mut commit =
            Self { actions: Vec::new(), removals: false, stamp: None, epoch: None, timestamp: None, operation: None };
        let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        for line in lines {
            let mut action = Action::parse(line, version)?;
            commit.removals |= action.remove.as_ref().is_some_and(|remove| remove.data_change.unwrap_or(true));
            commit.epoch = action.txn.as_ref().filter(|txn| txn.app_id == APP).map(|txn| txn.version).or(commit.epoch);
            if let Some(info) = action.info.take() {
                commit.stamp = info.waybill.or(commit.stamp);
                (commit.timestamp, commit.operation) = (info.timestamp, info.operation);
            }
            commit.actions.push(action);
        }
        // A file that a commit removes and adds is there after it.
        commit.actions.sort_by_key(|action| action.add.is_some());
        Ok(commit)
    }

    /// Takes note of the files that it removed, with the millisecond since when, and forgets those that it added.
    pub(crate) fn tell_gone(self, gone: &mut BTreeMap<String, i64>) {
        for action in self.actions {
            if let Some(remove) = action.remove {
                gone.insert(remove.path, remove.deletion_timestamp.unwrap_or(i64::MAX));
            }
            if let Some(add) = action.add {
                gone.remove(&add.path);
            }
        }
    }

    /// What makes it a commit of ours, after its seal was checked; none for a foreign one.
    fn ours(&self, version: u64, body: &[u8], digest: Option<&DigestKey>) -> FaultResult<Option<Ours>> {
        let (Some(epoch), stamp) = (self.epoch, self.stamp.clone()) else { return Ok(None) };
        let text = std::str::from_utf8(body).map_err(|_| corrupt(version, "is not UTF-8"))?;
        let digest = digest.ok_or_else(|| corrupt(version, "can't be checked: the digest key is missing"))?;
        let sealed = Sealed::read(digest, COMMIT_PURPOSE, COMMIT_HEAD, text);
        let stamp = stamp.filter(|stamp| stamp.epoch.0 == epoch && sealed.is_some());
        let stamp = stamp.ok_or_else(|| corrupt(version, "is not as it was written"))?;
        let added = self.actions.iter().filter_map(|action| action.add.as_ref());
        let added = added.map(|add| (add.path.clone(), add.size, add.stats.clone())).collect();
        let removed = self.actions.iter().filter_map(|action| Some(action.remove.as_ref()?.path.clone())).collect();
        Ok(Some(Ours { version, stamp, added, removed }))
    }
}

/// What one commit tells of itself.
pub(crate) struct Told {
    /// What makes it a commit of ours; none for a foreign one.
    pub(crate) ours: Option<Ours>,
    /// When it was made, in milliseconds since 1970, where it says so.
    pub(crate) timestamp: Option<i64>,
    /// What it did, in its writer's words.
    pub(crate) operation: Option<String>,
}

impl Told {
    /// By a version's body, after its seal was checked.
    pub(crate) fn by(log: LogKind, version: u64, body: &[u8], digest: &DigestKey) -> FaultResult<Self> {
        if log == LogKind::Plain {
            let PlainCommit { ours, timestamp, operation, .. } = PlainCommit::parse(version, body, Some(digest))?;
            return Ok(Self { ours: Some(ours), timestamp: Some(timestamp), operation: Some(operation) });
        }
        let commit = Commit::parse(version, body)?;
        let ours = commit.ours(version, body, Some(digest))?;
        Ok(Self { ours, timestamp: commit.timestamp, operation: commit.operation })
    }
}

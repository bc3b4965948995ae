//! What states alone tell: which of them landed, which came before, and how far ahead an epoch may be.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use waybill_model::epoch::MAX_AHEAD;
use waybill_model::{Epoch, FailureCode, Micros};

use crate::bucket::Bucket;
use crate::commit::delivery::Owner;
use crate::commit::digest::DigestKey;
use crate::commit::kind::LogKind;
use crate::commit::log::Head;
use crate::commit::record::{self, Loaded};
use crate::commit::{key, write};
use crate::fault::{Fault, FaultResult};
use crate::taken::Part;

/// States that are looked at, newest first, before the search is given up.
const STEPS: usize = 1000;
/// States that are read at once.
const AT_ONCE: usize = 8;

/// The epoch in the name of a state or of an accepted epoch.
pub(crate) fn epoch_of(key: &str) -> Option<Epoch> {
    let digits = key.rsplit('/').next()?.strip_suffix(".json")?;
    (digits.len() == 20).then(|| digits.parse().ok().map(Epoch))?
}

/// Whether any run of ours has prepared something for the table.
pub async fn has_states(bucket: &dyn Bucket, table: &str) -> FaultResult<bool> {
    Ok(!bucket.list(&key::states(table), None).await?.is_empty())
}

/// The newest state of ours whose files readers see: its commit must have landed, whatever became of its record.
pub(crate) async fn newest_landed(
    bucket: &dyn Bucket,
    table: &str,
    head: &Head,
    digest: &DigestKey,
) -> FaultResult<Option<Loaded>> {
    let states = bucket.list(&key::states(table), None).await?;
    for epoch in states.iter().rev().filter_map(|object| epoch_of(&object.key)).take(STEPS) {
        let loaded = record::load(bucket, table, epoch, digest).await?;
        if loaded.files.iter().chain(&loaded.kept).any(|file| head.files.contains_key(&key::to_log(&file.path))) {
            return Ok(Some(loaded));
        }
    }
    Ok(None)
}

/// Whether a commit of ours that is newer than `landed`, the newest one known, may have landed unseen: our marks are gone, and
/// another writer may have put its rows into other files since. One that was prepared on the checkpoint or above it would stand
/// in the log that is left.
pub(crate) async fn is_in_doubt(
    bucket: &dyn Bucket,
    table: &str,
    head: &Head,
    landed: Option<Epoch>,
    digest: Option<&DigestKey>,
) -> FaultResult<bool> {
    let (Some(checkpoint), None) = (head.checkpoint, head.epoch) else { return Ok(false) };
    let states = bucket.list(&key::states(table), None).await?;
    let newer = states.iter().filter_map(|object| epoch_of(&object.key)).filter(|epoch| landed < Some(*epoch));
    for epoch in newer {
        let Some(digest) = digest else { return Ok(true) };
        let state = record::load(bucket, table, epoch, digest).await?;
        if state.prepared_on.is_none_or(|version| version < checkpoint) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The text for a table of which it is not known whether rows of ours are in it.
pub(crate) fn in_doubt(table: &str) -> String {
    format!(
        "rows of an earlier run may be in {table}, and the part of its log that told is gone: an append might double them; \
         where no row of it is ours, remove {} and run again, or else run one `full` load, which replaces every row",
        key::states(table)
    )
}

/// Whether `epoch` is among the states that `newest` stands on.
pub(crate) async fn stands_on(
    bucket: &dyn Bucket,
    table: &str,
    newest: &Loaded,
    epoch: Epoch,
    digest: &DigestKey,
) -> FaultResult<bool> {
    let mut base = newest.base;
    for _ in 0..STEPS {
        match base {
            Some(found) if found == epoch => return Ok(true),
            Some(found) if found > epoch => base = record::load(bucket, table, found, digest).await?.base,
            _ => return Ok(false),
        }
    }
    Ok(false)
}

/// A state whose commit landed.
pub(crate) struct Stood {
    pub(crate) epoch: Epoch,
    /// The parts of its list of taken files.
    pub(crate) parts: Vec<Part>,
}

/// The states that were current at a moment or later, newest first: whoever goes back to what was seen then goes back to one of them. A
/// state gave way when the one that stands on it was written, however early the attempt at that began, and those that never landed stand
/// nowhere.
pub(crate) async fn stood_since(
    bucket: &dyn Bucket,
    table: &str,
    newest: Epoch,
    moment: Micros,
    digest: &DigestKey,
) -> FaultResult<Vec<Stood>> {
    let states = bucket.list(&key::states(table), None).await?;
    let written = states.iter().filter_map(|object| Some((epoch_of(&object.key)?, object.modified)));
    let mut written: Vec<(Epoch, Micros)> = written.filter(|(epoch, _)| *epoch <= newest).collect();
    written.sort_unstable();
    let load =
        |(epoch, written)| async move { Ok::<_, Fault>((record::load(bucket, table, epoch, digest).await?, written)) };
    let mut states = stream::iter(written.into_iter().rev()).map(load).buffered(AT_ONCE);
    let (mut next, mut stood) = (Some(newest), Vec::new());
    while let Some(epoch) = next {
        let Some((state, written)) = states.try_next().await?.filter(|(state, _)| state.state.epoch >= epoch) else {
            let text = format!("the state of epoch {epoch} in {table} is missing");
            return Err(Fault::new(FailureCode::CommitLogCorrupt, text));
        };
        if state.state.epoch == epoch {
            stood.push(Stood { epoch, parts: state.parts().to_vec() });
            next = state.base.filter(|_| written > moment);
        }
    }
    Ok(stood)
}

/// What shows that a table without a log once had one: a state that stands on an earlier commit, or states whose digest
/// key, which is older than any of them, is gone. None where there is no state, or first loads only that may never have
/// been committed: from those alone a log that was deleted can't be told.
pub(crate) async fn stood_on_commit(bucket: &dyn Bucket, table: &str) -> FaultResult<Option<String>> {
    let states = bucket.list(&key::states(table), None).await?;
    let digest = DigestKey::find(bucket).await?;
    for epoch in states.iter().rev().filter_map(|object| epoch_of(&object.key)).take(STEPS) {
        let Some(digest) = &digest else {
            return Ok(Some(format!("the state of epoch {epoch} is there and its digest key is missing")));
        };
        if let Some(base) = record::load(bucket, table, epoch, digest).await?.base {
            return Ok(Some(format!("the state of epoch {epoch} stands on the commit of epoch {base}")));
        }
    }
    Ok(None)
}

/// The text for a table whose log is gone.
pub(crate) fn log_lost(table: &str, log: LogKind, why: &str) -> String {
    format!(
        "{table} has no commit log, but {why}: the log was deleted; restore {}, or move the whole directory away to begin \
         anew",
        key::log_dir(table, log)
    )
}

/// The largest epoch that is believed: 24 h ahead of the clock, or of one that somebody accepted for this table.
#[derive(Clone, Copy)]
pub(crate) struct EpochLimit(Epoch);

impl EpochLimit {
    pub(crate) async fn read(
        bucket: &dyn Bucket,
        table: &str,
        newest: Option<Epoch>,
        now: Micros,
    ) -> FaultResult<Self> {
        let mut from = now;
        if newest.is_some_and(|newest| newest.is_ahead(now, None)) {
            let accepted = bucket.list(&key::accepted_epochs(table), None).await?;
            let epochs: BTreeSet<Epoch> = accepted.iter().filter_map(|object| epoch_of(&object.key)).collect();
            from = epochs.last().map_or(now, |epoch| now.max(Micros(epoch.0)));
        }
        Ok(Self(Epoch(from.plus(MAX_AHEAD).0)))
    }

    /// Refuses an epoch beyond the limit, and beyond that of the one that this owner accepts.
    pub(crate) fn check(self, epoch: Epoch, owner: &Owner) -> FaultResult<()> {
        if epoch > self.0 && owner.accepted.is_none_or(|accepted| epoch.is_ahead(Micros(accepted.0), None)) {
            let text = format!("the epoch {epoch} stands more than 24 h in the future");
            return Err(Fault::new(FailureCode::EpochAhead, text));
        }
        Ok(())
    }

    /// Records that an epoch beyond the limit was accepted, so that later runs need not be told again.
    pub(crate) async fn record(self, bucket: &dyn Bucket, table: &str, epoch: Epoch) -> FaultResult<()> {
        if epoch <= self.0 {
            return Ok(());
        }
        let key = format!("{}{:020}.json", key::accepted_epochs(table), epoch.0);
        write::put_once(bucket, &key, Bytes::from_static(b"{\"format\":1}")).await
    }
}

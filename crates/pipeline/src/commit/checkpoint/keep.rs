//! A checkpoint behind a commit of ours, where one is due: so that whoever opens the table need not replay its whole log.
//!
//! It is made of the checkpoint before and the commits since, read one after the other from the newest to the oldest, and read again and held
//! against the table before it is put: once, if there is none. Whatever fails here leaves a log that is as sound as before, and the
//! next commit comes back to it. Nothing of the log is ever deleted.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use waybill_model::{FailureCode, Micros, fault};

use super::Lines;
use super::body::{Body, Writer};
use crate::bucket::Bucket;
use crate::commit::action::{Action, corrupt};
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::log::{CHECKPOINT_CAP, COMMIT_CAP, FETCHES, Head};
use crate::commit::{features, key, write};
use crate::fault::{Fault, FaultResult};

/// The largest checkpoint that is written: one that is read beside it and the table itself are in memory with it.
const CAP: u64 = 32 << 20;
/// Versions between two checkpoints where the table does not say.
const INTERVAL: u64 = 10;
/// How long removals stay in checkpoints where the table does not say: a week.
const RETENTION_MS: i64 = 7 * 86_400_000;

/// Writes a checkpoint of a head that a commit of ours has just made, if it is due. The version of one that was written.
pub(crate) async fn keep(bucket: &dyn Bucket, table: &str, head: &Head) -> FaultResult<Option<u64>> {
    let Some((version, metadata)) = due(head) else { return Ok(None) };
    fault::point("before_checkpoint");
    let body = compose(bucket, table, head, (version, metadata)).await?;
    check(&body, head, version)?;
    let dir = key::log_dir(table, LogKind::Delta);
    let last = json!({
        "version": version, "size": body.actions, "sizeInBytes": body.bytes.len(), "numOfAddFiles": body.adds,
    });
    // Another writer's of this version is as good; what names it is its own.
    if !write::put_first(bucket, &key::checkpoint(&dir, version), body.bytes).await? {
        return Ok(None);
    }
    fault::point("checkpoint_put");
    bucket.replace(&key::last_checkpoint(&dir), Bytes::from(last.to_string())).await?;
    Ok(Some(version))
}

/// The version to write a checkpoint of, with the table's metadata: where the newest commit is ours and a multiple of the interval has come
/// since the last checkpoint that could be read.
fn due(head: &Head) -> Option<(u64, &Map<String, Value>)> {
    let (version, metadata) = (head.version?, head.metadata.as_ref()?);
    let is_ours = head.ours.last().is_some_and(|ours| ours.version == version);
    let setting = |name| features::setting(metadata, name);
    // A table that keeps its statistics in columns of their own would lose them.
    let as_text = setting("delta.checkpoint.writeStatsAsJson").is_none_or(|value| !value.eq_ignore_ascii_case("false"));
    let interval = setting("delta.checkpointInterval").and_then(|value| value.parse().ok()).unwrap_or(INTERVAL).max(1);
    let passed = version / interval > head.checkpoint.map_or(0, |checkpoint| checkpoint / interval);
    (head.log == LogKind::Delta && is_ours && as_text && passed).then_some((version, metadata))
}

async fn compose(
    bucket: &dyn Bucket,
    table: &str,
    head: &Head,
    (version, metadata): (u64, &Map<String, Value>),
) -> FaultResult<Body> {
    let retention = match features::setting(metadata, "delta.deletedFileRetentionDuration") {
        None => Some(RETENTION_MS),
        Some(text) => features::interval_ms(text),
    };
    // What can't be read as a length of time keeps all.
    let since = retention.map_or(i64::MIN, |retention| (Micros::now().0 / 1000).saturating_sub(retention));
    let mut writer = Writer::new(version, CAP, since)?;
    let mut listing = Listing::read(bucket, (table, LogKind::Delta), head.checkpoint).await?;
    listing.end_at(Some(version));
    let below = Head { version: head.checkpoint, ..Head::default() };
    let mut steps = below.steps(table, &listing)?;
    steps.reverse();
    let mut bodies = stream::iter(steps)
        .map(|(last, key, _)| async move {
            let body = bucket.get(&key, COMMIT_CAP).await?;
            body.ok_or_else(|| corrupt(last, "vanished while it was read"))
        })
        .buffered(FETCHES);
    while let Some(body) = bodies.try_next().await? {
        writer.take_commit(&body)?;
    }
    let Some(before) = head.checkpoint else { return writer.finish() };
    let lost = || corrupt(before, "lost its checkpoint while it was read");
    let (_, keys) = listing.checkpoints(table).find(|(version, _)| *version == before).ok_or_else(lost)?;
    for key in keys {
        let file = bucket.get(&key, CHECKPOINT_CAP).await?.ok_or_else(lost)?;
        for lines in Lines::of(file, before, &[], true)? {
            writer.take_lines(&lines?)?;
            tokio::task::yield_now().await;
        }
    }
    writer.finish()
}

/// What was written must be the table, action for action: a checkpoint that says anything else would bend it for every reader.
fn check(body: &Body, head: &Head, version: u64) -> FaultResult<()> {
    let wrong = || Fault::new(FailureCode::WorkerBug, "a checkpoint is not the table that it was made of");
    let (mut files, mut epoch) = (0_usize, None);
    let mut has = (false, false);
    super::read(body.bytes.clone(), version, false, |action: Action| {
        if let Some(add) = action.add {
            let rows = add.rows();
            let same = head.files.get(&add.path).is_some_and(|file| {
                file.size == add.size && file.rows == rows && file.partition == add.partition_values.unwrap_or_default()
            });
            files += usize::from(same);
            return if same { Ok(()) } else { Err(wrong()) };
        }
        if let Some(metadata) = action.metadata {
            has.0 = head.metadata.as_ref().is_some_and(|wanted| said(metadata) == said(wanted.clone()));
        }
        has.1 |= action.protocol.is_some() && action.protocol == head.protocol;
        epoch = action.txn.filter(|txn| txn.app_id == crate::commit::action::APP).map(|txn| txn.version).or(epoch);
        Ok(())
    })?;
    let same = files == head.files.len() && has == (true, true) && epoch == head.epoch.map(|epoch| epoch.0);
    if same { Ok(()) } else { Err(wrong()) }
}

/// Members that say something: a column has a place for those that nobody wrote.
fn said(object: Map<String, Value>) -> Map<String, Value> {
    let kept = object.into_iter().filter(|(_, value)| !value.is_null());
    kept.map(|(name, value)| match value {
        Value::Object(inner) => (name, Value::Object(said(inner))),
        value => (name, value),
    })
    .collect()
}

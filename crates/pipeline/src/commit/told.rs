//! What the log still tells of files that readers see no more, and how far back it tells it.
//!
//! A table's settings let another writer's checkpoint leave old removals out (`delta.deletedFileRetentionDuration`), and a clean-up of
//! the log takes the commits that had them. A file that is named nowhere may then have been the table's until a moment ago.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use waybill_model::Micros;

use crate::bucket::Bucket;
use crate::commit::key;
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::log::{COMMIT_CAP, Commit, FETCHES, Head};
use crate::fault::{Fault, FaultResult};

/// The log tells nothing.
const NEVER: Micros = Micros(i64::MAX);

/// Adds to a head's removals those that only commits below its checkpoint tell. Gives the moment since when every removal is told.
pub(crate) async fn complete(bucket: &dyn Bucket, table: &str, head: &mut Head) -> FaultResult<Micros> {
    if head.log == LogKind::Plain {
        // Nothing of a plain log is ever cleaned up, and a head of it was read from its first version on.
        return Ok(Micros(i64::MIN));
    }
    let listing = Listing::read(bucket, (table, head.log), None).await?;
    let newest = head.version.unwrap_or(0);
    let first = (0..=newest).rev().take_while(|version| listing.commits.contains(version)).last();
    let mut since = match first {
        None => NEVER,
        Some(0) => Micros(i64::MIN),
        Some(first) => {
            bucket.head(&key::version(table, head.log, first)).await?.map_or(NEVER, |object| object.modified)
        }
    };
    let mut told = BTreeMap::new();
    let below = head.checkpoint.into_iter().flat_map(|checkpoint| listing.commits.range(..=checkpoint)).copied();
    let mut bodies = stream::iter(below.collect::<Vec<_>>())
        .map(|at| async move {
            Ok::<_, Fault>((at, bucket.get(&key::version(table, LogKind::Delta, at), COMMIT_CAP).await?))
        })
        .buffered(FETCHES);
    while let Some((version, body)) = bodies.try_next().await? {
        match body {
            Some(body) => Commit::parse(version, &body)?.tell_gone(&mut told),
            // A clean-up of the log came between.
            None => since = NEVER,
        }
    }
    told.retain(|path, _| !head.files.contains_key(path));
    let gone = head.gone.get_or_insert_default();
    for (path, at) in told {
        gone.entry(path).or_insert(at);
    }
    Ok(since)
}

//! Deletes what no reader needs any more: files of attempts that did not land, and of versions that are past their retention.
//!
//! First a commit of its own lands, by which no attempt that began before can land any more, and whose state tells a `rollback` what
//! may be gone; only then is anything deleted, and only what the log does not name and what is older than the retention. Logs,
//! states and receipts are never deleted.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use waybill_model::size::show_count;
use waybill_model::{Epoch, FailureCode, Micros, fault};

use crate::bucket::{Bucket, ObjectMeta};
use crate::commit::compose::Work;
use crate::commit::copy::{Found, UpkeepError};
use crate::commit::{history, key, record};
use crate::fault::{Fault, FaultResult};
use crate::taken::Part;

/// Deletions at once.
const AT_ONCE: usize = 8;
/// How often runs may come between before it is left for another time.
const TRIES: usize = 5;
/// The shortest retention: the clocks of workers and stores may differ, and readers work on what they saw.
pub const LEAST_RETENTION: Duration = Duration::from_secs(3600);

/// How old a file must be to go.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    /// The time since readers stopped to see it, or since it was written and never was seen; never less than [`LEAST_RETENTION`].
    pub retention: Duration,
    /// The time until which it is counted.
    pub now: Micros,
}

impl Age {
    /// Older than this goes.
    pub(crate) fn before(self) -> Micros {
        let age = i64::try_from(self.retention.max(LEAST_RETENTION).as_micros()).unwrap_or(i64::MAX);
        Micros(self.now.0.saturating_sub(age))
    }
}

/// What was found of one table, and what was done.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Collected {
    /// The table's directory below the connection's prefix.
    pub table: String,
    /// Files that nothing needs.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that readers do not see, and which are kept for now.
    pub kept: u64,
    /// The version by which earlier attempts were shut out; none where nothing was deleted.
    pub version: Option<u64>,
}

/// Deletes the files of one table that nothing needs and that are old enough; with `dry` it only counts them.
pub async fn collect(bucket: &Arc<dyn Bucket>, table: &str, age: Age, dry: bool) -> Result<Collected, UpkeepError> {
    let before = age.before();
    for _ in 0..TRIES {
        let found = Found::open(Arc::clone(bucket), table).await?;
        let (doomed, kept) = doomed(&found, before).await?;
        let bytes = doomed.iter().map(|object| object.size).sum();
        let files = doomed.len() as u64;
        let mut collected = Collected { table: table.to_owned(), files, bytes, kept, version: None };
        if dry || doomed.is_empty() {
            return Ok(collected);
        }
        let Some(newest) = found.head.epoch else { return Ok(collected) };
        let Some(committed) = found.commit(Work::Fence(before.0 / 1000), newest).await? else { continue };
        collected.version = Some(committed.version);
        fault::point("fenced_for_gc");
        delete(&**bucket, doomed).await?;
        return Ok(collected);
    }
    Err(UpkeepError::Refused(format!("{table}: others kept committing; nothing was deleted, try again between runs")))
}

/// Deletes them. Where that fails it is told how far it came: the next clean-up goes on with the rest.
pub(crate) async fn delete(bucket: &dyn Bucket, doomed: Vec<ObjectMeta>) -> FaultResult<()> {
    let (all, deleted) = (doomed.len(), AtomicUsize::new(0));
    let done = &deleted;
    let deletions = stream::iter(doomed).map(|object| async move {
        bucket.delete(&object.key).await?;
        done.fetch_add(1, Ordering::Relaxed);
        Ok::<(), Fault>(())
    });
    deletions.buffer_unordered(AT_ONCE).try_collect::<()>().await.map_err(|fault| {
        let (deleted, all) = (deleted.load(Ordering::Relaxed), show_count(all as u64, "file"));
        Fault::new(fault.code, format!("at least {deleted} of {all} were deleted, then: {}", fault.text.for_customer()))
    })
}

/// Files that nothing needs, and the number of those that readers do not see and that are too young to go, or may be.
async fn doomed(found: &Found, before: Micros) -> FaultResult<(Vec<ObjectMeta>, u64)> {
    let head = &found.head;
    let of_log = |path: &String| key::of_log(&found.dir, path);
    let mut seen = BTreeSet::new();
    for path in head.files.keys() {
        let outside = || {
            let text = format!("the log names {path} by an address and not below the table: nothing was deleted there");
            Fault::new(FailureCode::TableFeatureUnsupported, text)
        };
        seen.insert(of_log(path).ok_or_else(outside)?);
    }
    let gone = head.gone.iter().flatten();
    let (mut young, mut old) = (BTreeSet::new(), BTreeSet::new());
    for (path, since) in gone {
        if let Some(key) = of_log(path) {
            let set = if *since > before.0 / 1000 { &mut young } else { &mut old };
            set.insert(key);
        }
    }
    // What the log does not name went earlier than the retention only where it would still tell of anything later.
    let is_told = found.told_since <= before;
    let (mut doomed, mut kept, mut lists, mut aside) = (Vec::new(), 0, Vec::new(), Vec::new());
    for object in found.bucket.list(&format!("{}/", found.dir), None).await? {
        if key::is_taken_list(&found.dir, &object.key) {
            lists.push(object);
            continue;
        }
        if let Some(epoch) = key::quarantined(&found.dir, &object.key) {
            aside.push((epoch, object));
            continue;
        }
        // What others put there, and the log never named, is theirs.
        let named = old.contains(&object.key) || young.contains(&object.key);
        let is_data = key::is_data(&found.dir, &object.key) || (named && key::may_be_data(&found.dir, &object.key));
        if !is_data || seen.contains(&object.key) {
            continue;
        }
        if young.contains(&object.key) || object.modified > before || !(named || is_told) {
            kept += 1;
        } else {
            doomed.push(object);
        }
    }
    let (old, young) = doomed_lists(found, lists, before).await?;
    doomed.extend(old);
    let (unnamed, early) = doomed_aside(found, aside, before).await?;
    doomed.extend(unnamed);
    Ok((doomed, kept + young + early))
}

/// Files of rows set aside by attempts that did not land, and the number of those that are too young to go. What a state names, or may
/// name, stays for as long as the customer keeps it.
async fn doomed_aside(
    found: &Found,
    aside: Vec<(Epoch, ObjectMeta)>,
    before: Micros,
) -> FaultResult<(Vec<ObjectMeta>, u64)> {
    let (bucket, dir) = (&*found.bucket, &found.dir);
    let mut named: BTreeMap<Epoch, Option<BTreeSet<String>>> = BTreeMap::new();
    let (mut doomed, mut kept) = (Vec::new(), 0);
    for (epoch, object) in aside {
        if let Entry::Vacant(unknown) = named.entry(epoch) {
            unknown.insert(match bucket.head(&key::state(dir, epoch)).await? {
                None => Some(BTreeSet::new()),
                Some(_) => match record::load(bucket, dir, epoch, &found.digest).await {
                    Ok(state) => Some(state.aside.iter().map(|file| format!("{dir}/{}", file.path)).collect()),
                    // A state that can't be read may name any of them.
                    Err(fault) if fault.code == FailureCode::CommitLogCorrupt => None,
                    Err(fault) => return Err(fault),
                },
            });
        }
        let is_named =
            named.get(&epoch).is_none_or(|paths| paths.as_ref().is_none_or(|paths| paths.contains(&object.key)));
        match is_named {
            true => {}
            false if object.modified > before => kept += 1,
            false => doomed.push(object),
        }
    }
    Ok((doomed, kept))
}

/// Lists of taken files that nothing needs, and the number of those that the table does not go on from and that are kept: too young, or
/// of a state that a rollback may come back to.
async fn doomed_lists(found: &Found, lists: Vec<ObjectMeta>, before: Micros) -> FaultResult<(Vec<ObjectMeta>, u64)> {
    let (bucket, dir) = (&*found.bucket, &found.dir);
    let Some(newest) = found.head.epoch.filter(|_| !lists.is_empty()) else { return Ok((Vec::new(), 0)) };
    let now = record::load(bucket, dir, newest, &found.digest).await?;
    let path = |part: &Part| format!("{dir}/{}", part.path);
    let seen: BTreeSet<String> = now.parts().iter().map(path).collect();
    let unseen: Vec<_> = lists.into_iter().filter(|object| !seen.contains(&object.key)).collect();
    // Where none of them is old enough, no earlier state need be read.
    if unseen.iter().all(|object| object.modified > before) {
        return Ok((Vec::new(), unseen.len() as u64));
    }
    let stood = history::stood_since(bucket, dir, newest, of_fence(before.0 / 1000), &found.digest).await?;
    let needed: BTreeSet<String> = stood.iter().flat_map(|stood| &stood.parts).map(path).collect();
    let (doomed, kept): (Vec<_>, Vec<_>) =
        unseen.into_iter().partition(|object| object.modified <= before && !needed.contains(&object.key));
    Ok((doomed, kept.len() as u64))
}

/// The moment that a fence tells of in milliseconds: whoever judges by it later comes to what its clean-up came to.
pub(crate) const fn of_fence(before: i64) -> Micros {
    Micros(before.saturating_mul(1000))
}

//! Puts a table back to one of its earlier versions: files and cursor together, in one commit.
//!
//! What came since is not deleted, and can be come back to while its files are there. The next run goes on from the cursor of that
//! version, so it reads again what came after it.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use waybill_model::size::show_count;
use waybill_model::{Micros, RunId};

use crate::bucket::Bucket;
use crate::commit::compose::{Work, can_restore};
use crate::commit::copy::{Found, UpkeepError};
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::log::{Head, Told};
use crate::commit::record::{self, Loaded};
use crate::commit::{gc, history, key};
use crate::fault::{Fault, FaultResult};

/// Objects that are looked at at once.
const AT_ONCE: usize = 8;

/// A version that the log still tells of.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// Its number.
    pub version: u64,
    /// When it was committed, where it says so.
    pub at: Option<Micros>,
    /// What it did, in its log's words.
    pub operation: Option<String>,
    /// The run that it belongs to; none for another writer's.
    pub run: Option<RunId>,
}

/// What putting a table back did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct RolledBack {
    /// The version that was current.
    pub from: u64,
    /// The version whose rows readers see again.
    pub to: u64,
    /// The new version of the log; none where nothing was done.
    pub version: Option<u64>,
    /// Files that readers see again.
    pub restored: u64,
    /// Files that readers see no more.
    pub removed: u64,
    /// Rows of the table then, where every file tells.
    pub rows: Option<u64>,
    /// Whether the next run goes on from a cursor of that version; a `full` load has none.
    pub cursor: bool,
}

/// The versions whose commits are still in the log, oldest first.
pub async fn versions(bucket: &Arc<dyn Bucket>, table: &str) -> FaultResult<Vec<Version>> {
    let found = Found::open(Arc::clone(bucket), table).await?;
    let log = found.head.log;
    let listing = Listing::read(&**bucket, (table, log), None).await?;
    let one = |version: u64| {
        let digest = &found.digest;
        async move {
            let body = bucket.get(&key::version(table, log, version), log.cap()).await?.unwrap_or_default();
            let told = Told::by(log, version, &body, digest)?;
            let at = told.timestamp.map(|ms| Micros(ms.saturating_mul(1000)));
            let run = told.ours.map(|ours| ours.stamp.run);
            Ok::<_, Fault>(Version { version, at, operation: told.operation, run })
        }
    };
    // Each one of a plain log lists the whole table.
    let at_once = if log == LogKind::Plain { 1 } else { AT_ONCE };
    stream::iter(listing.commits.iter().copied()).map(one).buffered(at_once).try_collect().await
}

/// Puts a table back to `version`; with `dry` it only says what that would do.
pub async fn roll_back(
    bucket: &Arc<dyn Bucket>,
    table: &str,
    version: u64,
    dry: bool,
) -> Result<RolledBack, UpkeepError> {
    let found = Found::open(Arc::clone(bucket), table).await?;
    let newest = found.head.version.unwrap_or(0);
    if version >= newest {
        let what = if version == newest { "is what readers see now" } else { "is not there yet" };
        return Err(UpkeepError::Refused(format!("version {version} {what}: the newest is {newest}")));
    }
    let unknown = || UpkeepError::Refused(format!("the log of {table} does not tell of version {version} any more"));
    let then = match Head::read_at(&**bucket, (table, found.head.log), Some(&found.digest), Some(version)).await {
        Ok(then) if then.version == Some(version) => then,
        Ok(_) => return Err(unknown()),
        Err(fault) if fault.code == waybill_model::FailureCode::CommitLogCorrupt => return Err(unknown()),
        Err(fault) => return Err(fault.into()),
    };
    let epoch = then.epoch.ok_or_else(|| {
        UpkeepError::Refused(format!(
            "version {version} is older than the first commit of ours: there is no cursor for it"
        ))
    })?;
    check_files(&found, &then).await?;
    let goes_on = record::load(&**bucket, table, epoch, &found.digest).await?;
    check_lists(&found, &goes_on).await?;
    can_restore(&found.head)?;
    let mut done = RolledBack {
        from: newest,
        to: version,
        version: None,
        restored: then.files.keys().filter(|path| !found.head.files.contains_key(*path)).count() as u64,
        removed: found.head.files.keys().filter(|path| !then.files.contains_key(*path)).count() as u64,
        rows: then.rows(),
        cursor: goes_on.state.cursor.is_some(),
    };
    if !dry {
        let committed = found.commit(Work::Restore(Box::new(then)), epoch).await?;
        let committed = committed.ok_or_else(|| {
            UpkeepError::Refused("somebody has committed meanwhile; look at the versions again".to_owned())
        })?;
        done.version = Some(committed.version);
    }
    Ok(done)
}

/// Every file that is to be seen again must be there as it was, and on nobody's list: a clean-up that has begun may delete for long.
async fn check_files(found: &Found, then: &Head) -> Result<(), UpkeepError> {
    let back = then.files.iter().filter(|(path, _)| !found.head.files.contains_key(*path));
    let looked = stream::iter(back.clone()).map(|(path, file)| async move {
        let there = match key::of_log(&found.dir, path) {
            Some(key) => found.bucket.head(&key).await?.is_some_and(|object| object.size == file.size),
            None => false,
        };
        Ok::<_, Fault>((!there).then_some(path.as_str()))
    });
    let missing: Vec<Option<&str>> = looked.buffered(AT_ONCE).try_collect().await?;
    let missing: Vec<&str> = missing.into_iter().flatten().collect();
    if !missing.is_empty() {
        let why = "gone: gc or another clean-up removed";
        return Err(UpkeepError::Refused(format!("{} {why} what was past its retention", of_version(&missing))));
    }
    let Some(before) = found.gone_before().await? else { return Ok(()) };
    let gone = found.head.gone.as_ref();
    let since = |path: &str| gone.and_then(|gone| gone.get(path)).copied().unwrap_or(i64::MIN);
    let listed: Vec<&str> = back.map(|(path, _)| path.as_str()).filter(|path| since(path) <= before).collect();
    if listed.is_empty() {
        return Ok(());
    }
    let why = "still there, but on the list of a clean-up (gc) that may be deleting: their retention is over";
    Err(UpkeepError::Refused(format!("{} {why}", of_version(&listed))))
}

/// The lists of taken files that the next run would go on from must be there, and on nobody's list either.
async fn check_lists(found: &Found, then: &Loaded) -> Result<(), UpkeepError> {
    let Some(newest) = found.head.epoch else { return Ok(()) };
    let now = record::load(&*found.bucket, &found.dir, newest, &found.digest).await?;
    let back: Vec<_> = then.parts().iter().filter(|part| !now.parts().contains(part)).collect();
    if back.is_empty() {
        return Ok(());
    }
    let gone = || {
        let text = "the list of the files that were taken then is gone, or on the list of a clean-up (gc): its retention is over";
        Err(UpkeepError::Refused(text.to_owned()))
    };
    if let Some(before) = now.gone_before {
        let (bucket, moment) = (&*found.bucket, gc::of_fence(before));
        let stood = history::stood_since(bucket, &found.dir, newest, moment, &found.digest).await?;
        if stood.last().is_some_and(|oldest| then.state.epoch < oldest.epoch) {
            return gone();
        }
    }
    for part in back {
        let key = format!("{}/{}", found.dir, part.path);
        if found.bucket.head(&key).await.map_err(Fault::from)?.is_none_or(|object| object.size != part.bytes) {
            return gone();
        }
    }
    Ok(())
}

/// What is said of some files of the version that is asked for.
fn of_version(paths: &[&str]) -> String {
    match paths {
        [] => "no file of that version is".to_owned(),
        [one] => format!("{one} of that version is"),
        [first, more @ ..] => {
            format!("{first} and {} of that version are", show_count(more.len() as u64, "more file"))
        }
    }
}

//! One table below a connection's prefix, as one attempt sees it.
//!
//! Its log, state and owner are read when it is opened. It writes nothing before `prepare`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow::datatypes::Schema;
use waybill_model::plan::{Files, Load};
use waybill_model::{AttemptId, Epoch, FailureCode, Micros, RunId};

use crate::bucket::Bucket;
use crate::commit::compose::RETENTION;
use crate::commit::delivery::{Delivered, Delivery, Outcome, Owner, Prepared, State};
use crate::commit::digest::DigestKey;
use crate::commit::drift::Drift;
use crate::commit::kind::LogKind;
use crate::commit::log::{Active, Head};
use crate::commit::record::{self, Loaded};
use crate::commit::{action, checkpoint, compose, ddl, features, history, key, land, prepare, schema};
use crate::encode::partition;
use crate::fault::{Fault, FaultResult};
use crate::merge::Existing;
use crate::taken::{Part, Shelf};

/// How long describing a table may take.
const DESCRIBE_BOUND: Duration = Duration::from_secs(10);
/// How long a checkpoint may take: the first one of a long log reads all of it.
const CHECKPOINT_BOUND: Duration = Duration::from_secs(60);

/// A table as it was found when it was opened.
pub struct Table {
    pub(crate) bucket: Arc<dyn Bucket>,
    pub(crate) stream: String,
    pub(crate) dir: String,
    pub(crate) owner: Owner,
    /// How its files are written.
    pub(crate) files: Files,
    pub(crate) head: Head,
    pub(crate) found: Option<Loaded>,
    pub(crate) limit: history::EpochLimit,
    /// A state that is newer than the newest known to have landed may have landed too: the part of the log that told is gone.
    pub(crate) is_unproven: bool,
    /// The table as it was when a commit of this attempt had landed, until what follows is done.
    pub(crate) landed: Mutex<Option<Head>>,
    /// The list of taken files as this attempt has written it, by its epoch: it is written once.
    pub(crate) listed: tokio::sync::Mutex<Option<(Epoch, Vec<Part>)>>,
}

impl Table {
    /// A Delta table, as [`Self::open_as`] opens it.
    pub async fn open(bucket: Arc<dyn Bucket>, stream: &str, owner: &Owner) -> FaultResult<Self> {
        Self::open_as(bucket, stream, owner, &Files::default()).await
    }

    /// Reads the log, checks its chain, features and owner, and loads the newest state. Writes nothing. Whether its epoch
    /// may be followed is asked apart, by [`Self::check_epoch`]: whoever is refused must be able to say which it was.
    pub async fn open_as(bucket: Arc<dyn Bucket>, stream: &str, owner: &Owner, files: &Files) -> FaultResult<Self> {
        let dir = key::table_dir(stream);
        let (head, digest) = head(&*bucket, &dir, LogKind::of(files.format)).await?;
        check_retention(&head, owner)?;
        let mut found = find_state(&*bucket, &dir, &head, owner, digest.as_ref()).await?;
        if let Some(found) = &mut found {
            check_owner(found, owner)?;
            check_stamp(found, &head)?;
            // The table may have twins that the newest run did not need.
            found.state.columns = head.columns()?.into_iter().map(|c| (c.name.clone(), c.kind_text())).collect();
            let shelf = || Shelf { bucket: Arc::clone(&bucket), table: dir.clone() };
            found.state.cursor = found.state.cursor.take().map(|cursor| cursor.on(shelf));
        }
        let newest = found.as_ref().map(|found| found.state.epoch);
        let limit = history::EpochLimit::read(&*bucket, &dir, newest, Micros::now()).await?;
        let is_unproven = history::is_in_doubt(&*bucket, &dir, &head, newest, digest.as_ref()).await?;
        let (stream, owner, files) = (stream.to_owned(), owner.clone(), files.clone());
        Ok(Self {
            bucket,
            stream,
            dir,
            owner,
            files,
            head,
            found,
            limit,
            is_unproven,
            landed: Mutex::default(),
            listed: Default::default(),
        })
    }

    /// The newest state; none for a new table, and for one that something else made.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.found.as_ref().map(|found| &found.state)
    }

    /// The newest epoch found, which the next one must exceed: `Epoch::next(table.epoch(), now)`.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.state().map(|state| state.epoch)
    }

    /// Refuses an epoch that stands too far in the future, unless it was accepted: `epoch_ahead`.
    pub fn check_epoch(&self) -> FaultResult<()> {
        self.epoch().map_or(Ok(()), |newest| self.limit.check(newest, &self.owner))
    }

    /// Refuses to append where rows of ours may be in the table already and nothing tells: `table_changed_by_other`.
    pub fn check_proven(&self, load: Load) -> FaultResult<()> {
        if load != Load::New || !self.is_unproven {
            return Ok(());
        }
        Err(Fault::new(FailureCode::AppendInDoubt, history::in_doubt(&self.dir)))
    }

    /// The newest version of the log; none for a new table.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.head.version
    }

    /// Rows that readers see; none where a file of another writer does not tell.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        self.head.rows()
    }

    /// Where it lies.
    pub(crate) const fn bucket(&self) -> &Arc<dyn Bucket> {
        &self.bucket
    }

    /// The table's directory below the connection's prefix.
    #[must_use]
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// The commit of an earlier attempt of this run, if it is the newest one: adopt it and copy nothing.
    #[must_use]
    pub fn delivered(&self, run: RunId) -> Option<Delivered> {
        let found = self.found.as_ref().filter(|found| found.state.run == run)?;
        Some(found.delivered(&self.head))
    }

    /// Makes the commit that was found as this run's own safe: who put it may have died before it was.
    pub async fn settle(&self) -> FaultResult<()> {
        self.settle_at(&self.head).await
    }

    pub(crate) async fn settle_at(&self, head: &Head) -> FaultResult<()> {
        let Some(version) = head.version else { return Ok(()) };
        Ok(self.bucket.settle(&key::version(&self.dir, head.log, version)).await?)
    }

    /// The files that readers see. One of another writer that does not tell its rows can't be merged with.
    pub(crate) fn existing(&self) -> FaultResult<Vec<Existing>> {
        let unusable = |path: &str, why: &str| {
            Fault::new(FailureCode::TableFeatureUnsupported, format!("the table's file {path} {why}"))
        };
        let one = |(path, file): (&String, &Active)| {
            let key = key::of_log(&self.dir, path).ok_or_else(|| unusable(path, "lies outside the table"))?;
            let rows = file.rows.ok_or_else(|| unusable(path, "has no count of its rows in the log"))?;
            Ok(Existing { path: path.clone(), key, size: file.size, rows, partition: file.partition.clone() })
        };
        self.head.files.iter().map(one).collect()
    }

    /// Refuses to add to a table that is partitioned by something else.
    pub(crate) fn check_partition(&self, load: Load) -> FaultResult<()> {
        match &self.head.metadata {
            Some(metadata) if load != Load::Full => {
                compose::check_partition(metadata, &partition::columns(&self.files))
            }
            _ => Ok(()),
        }
    }

    /// How a stream's columns differ from the table's; none where there is no table yet.
    pub(crate) fn drift(&self, stream: &Schema) -> FaultResult<Option<Drift>> {
        if self.head.metadata.is_none() {
            return Ok(None);
        }
        let mut drift = Drift::between(&self.head.columns()?, &schema::shapes(stream)?);
        // The run's day is no column of the source.
        if partition::has_run_day(&self.files) {
            drift.gone.retain(|name| name != partition::RUN_DAY_COLUMN);
        }
        Ok(Some(drift))
    }

    /// Refuses a stream whose columns can't stand beside the table's, besides those that were decided to be added.
    pub(crate) fn check_columns(&self, stream: &Schema, twins: &[usize], added: &[String]) -> FaultResult<()> {
        schema::append(&self.head.columns()?, &schema::columns(stream, twins)?, added).map(drop)
    }

    /// A new key for a data file: `<table>/data/<run>/<attempt>-<n>-<uuid>.<ending>`.
    #[must_use]
    pub fn data_key(&self, run: RunId, attempt: AttemptId, n: u32) -> String {
        self.data_key_in(run, attempt, n, "")
    }

    /// The same with the directories of a partition, each with a slash behind it.
    pub(crate) fn data_key_in(&self, run: RunId, attempt: AttemptId, n: u32, partition: &str) -> String {
        format!("{}/{}", self.dir, key::data_path(run, attempt, n, (partition, &self.files)))
    }

    /// A key for a file of rows that an attempt sets aside.
    pub(crate) fn aside_key(&self, epoch: Epoch, attempt: AttemptId, n: u32) -> String {
        format!("{}{attempt}-{n}{}", key::quarantine(&self.dir, epoch), key::ASIDE_ENDING)
    }

    /// Checks columns, shrink guard and fencing, then writes receipt and state. None where a `new` run brings no rows:
    /// such a run commits nothing. Calling it again with the same delivery changes nothing.
    pub async fn prepare(&self, delivery: &Delivery) -> FaultResult<Option<Prepared>> {
        prepare::prepare(self, delivery).await
    }

    /// Puts the commit, or finds out what stands in its place. May be called again after `commit_unknown` or a
    /// `bucket_*` failure.
    pub async fn commit(&self, prepared: &Prepared) -> FaultResult<Outcome> {
        let (outcome, head) = land::land(self, prepared).await?;
        *self.landed.lock().unwrap_or_else(PoisonError::into_inner) = Some(head);
        Ok(outcome)
    }

    /// Does what follows a commit and what no row depends on: statements for other engines, and a checkpoint where one is due. Where that
    /// fails the log says so, and the next commit does it: the rows are delivered.
    pub async fn after_commit(&self) {
        let Some(head) = self.landed.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let (bucket, table) = (&*self.bucket, self.dir.as_str());
        if let Err(text) = within(DESCRIBE_BOUND, ddl::keep(bucket, table, &head)).await {
            tracing::warn!(table, text, "the table's statements were not written");
        }
        match within(CHECKPOINT_BOUND, checkpoint::keep::keep(bucket, table, &head)).await {
            Ok(Some(version)) => tracing::info!(table, version, "wrote a checkpoint of the table's log"),
            Ok(None) => {}
            Err(text) => {
                tracing::warn!(
                    table,
                    text,
                    "no checkpoint of the table's log was written; the next commit tries again"
                );
            }
        }
    }
}

/// What was done, or why not within the time that it has.
async fn within<T>(bound: Duration, work: impl Future<Output = FaultResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(bound, work).await {
        Ok(done) => done.map_err(|fault| fault.text.for_customer().to_owned()),
        Err(_) => Err("the bucket did not answer in time".to_owned()),
    }
}

/// The table's log, and the key that its records are sealed under. One that is not there though commits of ours were is
/// refused, or their rows would be delivered twice.
async fn head(bucket: &dyn Bucket, dir: &str, log: LogKind) -> FaultResult<(Head, Option<DigestKey>)> {
    let mut lost: Option<String> = None;
    loop {
        let digest = DigestKey::find(bucket).await?;
        let head = Head::read(bucket, (dir, log), digest.as_ref()).await?;
        if head.version.is_some() {
            return Ok((head, digest));
        }
        log.check_free(bucket, dir).await?;
        if let Some(why) = lost {
            return Err(Fault::new(FailureCode::CommitLogCorrupt, history::log_lost(dir, log, &why)));
        }
        // The states are listed after the log: where others have begun the table in between, the next look finds it.
        lost = history::stood_on_commit(bucket, dir).await?;
        if lost.is_none() {
            return Ok((head, digest));
        }
    }
}

/// A setting that lets our `txn` expire would let an old attempt land again.
fn check_retention(head: &Head, owner: &Owner) -> FaultResult<()> {
    let expires = head.metadata.as_ref().is_some_and(|m| features::settings(m).any(|(name, _)| name == RETENTION));
    if expires && !owner.take_over {
        let text = format!("the table sets {RETENTION}, by which our own marks vanish; take-over removes the setting");
        return Err(Fault::new(FailureCode::TableNotOurs, text));
    }
    Ok(())
}

/// The state of the newest `txn`. Where a log has none, only a take-over may go on, from the newest state that landed.
async fn find_state(
    bucket: &dyn Bucket,
    dir: &str,
    head: &Head,
    owner: &Owner,
    digest: Option<&DigestKey>,
) -> FaultResult<Option<Loaded>> {
    let Some(version) = head.version else { return Ok(None) };
    if let Some(epoch) = head.epoch {
        let digest = digest.ok_or_else(|| action::corrupt(version, "can't be checked: the digest key is missing"))?;
        return record::load(bucket, dir, epoch, digest).await.map(Some);
    }
    if !owner.take_over {
        let text = format!("{dir} holds a table that something else made");
        return Err(Fault::new(FailureCode::TableNotOurs, text));
    }
    match digest {
        Some(digest) => history::newest_landed(bucket, dir, head, digest).await,
        None => Ok(None),
    }
}

fn check_owner(found: &Loaded, owner: &Owner) -> FaultResult<()> {
    if found.state.pipeline != owner.pipeline && !owner.take_over {
        return Err(Fault::new(FailureCode::TableNotOurs, "the table belongs to another pipeline"));
    }
    Ok(())
}

/// The newest commit and its state must name each other.
fn check_stamp(found: &Loaded, head: &Head) -> FaultResult<()> {
    let Some(ours) = head.ours.last().filter(|ours| ours.stamp.epoch == found.state.epoch) else { return Ok(()) };
    let parent = found.parent.map(hex::encode);
    let same = ours.stamp.state == hex::encode(found.digest)
        && ours.stamp.receipt == hex::encode(found.state.receipt)
        && ours.stamp.parent == parent
        && ours.stamp.run == found.state.run
        && ours.stamp.attempt == found.state.attempt;
    if same { Ok(()) } else { Err(action::corrupt(ours.version, "does not belong to the state of its epoch")) }
}

//! Commits that bring no rows: the state of a run is repeated under an epoch of their own, so that no attempt that began before can
//! land any more, and the next run goes on from there.
//!
//! They keep run, attempt and receipt of the state that they repeat: an attempt of that run which comes back still finds its delivery.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use waybill_model::plan::Files;
use waybill_model::{Epoch, FailureCode, Micros};

use crate::bucket::Bucket;
use crate::commit::compose::{Intent, Plan, Work};
use crate::commit::delivery::{Committed, Outcome, Owner, Prepared};
use crate::commit::digest::DigestKey;
use crate::commit::kind::LogKind;
use crate::commit::log::Head;
use crate::commit::record::{self, CopyRecord};
use crate::commit::table::Table;
use crate::commit::{history, key, told, write};
use crate::fault::{Fault, FaultResult};

/// Why a table was not looked after.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// It can't be, as things are; says what to do.
    #[error("{0}")]
    Refused(String),
    /// The bucket or the table failed.
    #[error("the table can't be looked after")]
    Failed(Fault),
}

impl From<Fault> for UpkeepError {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// A table as whoever looks after it finds it.
pub(crate) struct Found {
    pub(crate) bucket: Arc<dyn Bucket>,
    pub(crate) dir: String,
    pub(crate) digest: DigestKey,
    /// The newest version, with what was removed before.
    pub(crate) head: Head,
    /// Since when the log tells of every file that was removed.
    pub(crate) told_since: Micros,
}

impl Found {
    /// Reads the table's log. One without a commit of ours is none to look after: `table_not_ours`.
    pub(crate) async fn open(bucket: Arc<dyn Bucket>, dir: &str) -> FaultResult<Self> {
        let not_ours = || Fault::new(FailureCode::TableNotOurs, format!("{dir} has no commit of ours"));
        let digest = DigestKey::find(&*bucket).await?.ok_or_else(not_ours)?;
        let log = LogKind::find(&*bucket, dir).await?;
        let mut head = Head::read_at(&*bucket, (dir, log), Some(&digest), None).await?;
        if head.epoch.is_none() {
            return Err(not_ours());
        }
        let told_since = told::complete(&*bucket, dir, &mut head).await?;
        Ok(Self { bucket, dir: dir.to_owned(), digest, head, told_since })
    }

    /// Files that readers stopped to see until this millisecond are on the list of a clean-up.
    pub(crate) async fn gone_before(&self) -> FaultResult<Option<i64>> {
        let Some(newest) = self.head.epoch else { return Ok(None) };
        Ok(record::load(&*self.bucket, &self.dir, newest, &self.digest).await?.gone_before)
    }

    /// Commits `work` with the state of `epoch` repeated. None where somebody has committed since the table was read.
    pub(crate) async fn commit(self, work: Work, epoch: Epoch) -> FaultResult<Option<Committed>> {
        let bucket = &*self.bucket;
        let newest = self.head.epoch.ok_or_else(|| Fault::new(FailureCode::WorkerBug, "a table without an epoch"))?;
        let (text, seal) = record::text(bucket, &self.dir, epoch, &self.digest).await?;
        let repeated = record::parse(&self.dir, epoch, &text, seal)?;
        let base = match newest {
            same if same == epoch => repeated.clone(),
            other => record::load(bucket, &self.dir, other, &self.digest).await?,
        };
        let now = Micros::now();
        let own = Epoch::next(Some(newest), now);
        let owner = Owner { pipeline: repeated.state.pipeline.clone(), take_over: false, accepted: None };
        let limit = history::EpochLimit::read(bucket, &self.dir, Some(newest), now).await?;
        limit.check(own, &owner)?;
        let copy = changes(&self.head, &work, repeated.copy.as_ref().map_or(epoch, |copy| copy.of));
        let table_rows = match &work {
            Work::Restore(then) => then.rows(),
            _ => repeated.state.table_rows,
        };
        let fence = if let Work::Fence(before) = &work { Some(*before) } else { None };
        let parts = json!({
            "gone_before": base.gone_before.max(fence),
            "epoch": own, "base": newest, "parent": hex::encode(base.digest), "prepared_on": self.head.version,
            "table_rows": table_rows, "files": [], "kept": [], "replaced": [], "copy": copy, "delivered_files": repeated.state.files,
        });
        let (digest, body) = record::seal(&self.digest, &repeat(&text, parts)?)?;
        let files = Files::default();
        let intent = Intent {
            run: repeated.state.run,
            attempt: repeated.state.attempt,
            epoch: own,
            base: Some(newest),
            seen: self.head.version,
            work,
            replaced: Vec::new(),
            base_files: BTreeSet::new(),
            adds: Vec::new(),
            rows: 0,
            columns: Vec::new(),
            added: Vec::new(),
            format: files.format,
            partition: Vec::new(),
            shrink_guard: 0,
            rows_expected: None,
            table_id: String::new(),
            now: now.0 / 1000,
        };
        let receipt = hex::encode(repeated.state.receipt);
        let plan = Plan { intent, state: hex::encode(digest), receipt, parent: Some(hex::encode(base.digest)) };
        plan.body(&self.head, &self.digest)?;
        write::put_once(bucket, &key::state(&self.dir, own), body).await?;
        let prepared = Prepared { digest, receipt_digest: repeated.state.receipt, plan };
        let Self { bucket, dir, head, .. } = self;
        let (stream, found) = (String::new(), Some(base));
        let table = Table {
            bucket,
            stream,
            dir,
            owner,
            files,
            head,
            found,
            limit,
            is_unproven: false,
            landed: Mutex::default(),
            listed: Default::default(),
        };
        let landed = table.commit(&prepared).await;
        if let Ok(Outcome::Landed(_)) = landed {
            table.after_commit().await;
        }
        match landed {
            Ok(Outcome::Landed(committed)) => Ok(Some(committed)),
            Ok(Outcome::Adopted(_) | Outcome::Overtaken) => Ok(None),
            // A run that began after this one may have landed, too.
            Err(fault) if matches!(fault.code, FailureCode::MergeOvertaken | FailureCode::Fenced) => Ok(None),
            Err(fault) => Err(fault),
        }
    }
}

/// What the commit changes, as its state tells it.
fn changes(head: &Head, work: &Work, of: Epoch) -> CopyRecord {
    let (restored, removed) = match work {
        Work::Restore(then) => {
            let missing = |files: &Head, others: &Head| {
                files.files.keys().filter(|path| !others.files.contains_key(*path)).cloned().collect()
            };
            (missing(then, head), missing(head, then))
        }
        _ => (Vec::new(), Vec::new()),
    };
    CopyRecord { of, restored, removed }
}

/// The same state with other parts, without its seal.
fn repeat(text: &str, parts: Value) -> FaultResult<Value> {
    let (Ok(Value::Object(mut state)), Value::Object(parts)) = (serde_json::from_str(text), parts) else {
        return Err(Fault::new(FailureCode::CommitLogCorrupt, "a state is no object"));
    };
    state.remove("seal");
    state.extend(parts);
    Ok(Value::Object(state))
}

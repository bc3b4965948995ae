//! The streams of a run: progress, the grant to commit, and what was delivered, told apart from the run's own end.

use sqlx::any::AnyRow;
use waybill_model::errand::Errand;
use waybill_model::receipt::{ColumnDrift, Grade, StreamOutcome};
use waybill_model::report::Progress;
use waybill_model::run::StreamState;
use waybill_model::{AttemptId, Epoch, FailureCode, Micros, OrgId, RunId};

use crate::error::StoreResult;
use crate::reading::{
    FromRow, all, count, flag, opt_count, opt_int, opt_parsed, opt_text, opt_time, parsed, stored, text,
};
use crate::{Store, Tx};

/// One stream of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStream {
    /// Its place in the plan.
    pub stream: u32,
    /// Its name in the plan.
    pub name: String,
    /// False: not asked for, or delivered by the run that this one retries.
    pub selected: bool,
    /// What is done with it in place of its next window.
    pub errand: Option<Errand>,
    /// Where it is.
    pub state: StreamState,
    /// Rows so far.
    pub rows: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Files so far.
    pub files: u64,
    /// Rows that the source expects.
    pub rows_estimate: Option<u64>,
    /// Values that a policy changed.
    pub coerced: u64,
    /// Columns that are others than the table's.
    pub columns: ColumnDrift,
    /// How well the count is proven.
    pub grade: Option<Grade>,
    /// Version of the commit log.
    pub version: Option<u64>,
    /// Epoch found in the bucket.
    pub epoch: Option<Epoch>,
    /// Digest of the receipt.
    pub receipt: Option<String>,
    /// An earlier attempt's commit was found.
    pub adopted: bool,
    /// Why it failed.
    pub failure: Option<FailureCode>,
    /// The attempt that told of it last.
    pub attempt: Option<AttemptId>,
    /// When leave to commit was given last.
    pub granted_at: Option<Micros>,
    /// What it was given for.
    pub grant_digest: Option<String>,
    /// When it became known that readers see it.
    pub delivered_at: Option<Micros>,
    /// It became known after the attempt had been fenced or the run had ended.
    pub delivered_late: bool,
}

impl FromRow for RunStream {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        let stream =
            u32::try_from(count(row, "stream")?).map_err(|_| crate::StoreError::Unreadable { column: "stream" })?;
        Ok(Self {
            stream,
            name: text(row, "name")?,
            selected: flag(row, "selected")?,
            errand: errand(row)?,
            state: parsed(row, "state")?,
            rows: count(row, "rows_done")?,
            bytes: count(row, "bytes_done")?,
            files: count(row, "files_done")?,
            rows_estimate: opt_count(row, "rows_estimate")?,
            coerced: count(row, "coerced")?,
            columns: ColumnDrift {
                new: count(row, "columns_new")?,
                gone: count(row, "columns_gone")?,
                changed: count(row, "columns_changed")?,
                ignored: count(row, "columns_ignored")?,
            },
            grade: opt_parsed(row, "grade")?,
            version: opt_count(row, "log_version")?,
            epoch: opt_int(row, "bucket_epoch")?.map(Epoch),
            receipt: opt_text(row, "receipt")?,
            adopted: flag(row, "adopted")?,
            failure: opt_parsed(row, "failure")?,
            attempt: opt_parsed(row, "attempt_id")?,
            granted_at: opt_time(row, "granted_at")?,
            grant_digest: opt_text(row, "grant_digest")?,
            delivered_at: opt_time(row, "delivered_at")?,
            delivered_late: flag(row, "delivered_late")?,
        })
    }
}

/// A reload has a column of its own, which was there first.
fn errand(row: &AnyRow) -> StoreResult<Option<Errand>> {
    if flag(row, "reload")? {
        return Ok(Some(Errand::Reload));
    }
    let unreadable = |_| crate::StoreError::Unreadable { column: "errand" };
    opt_text(row, "errand")?.map(|text| serde_json::from_str(&text).map_err(unreadable)).transpose()
}

impl Store {
    /// A run's streams in the order of the plan.
    pub async fn run_stream_list(&self, org: OrgId, run: RunId) -> StoreResult<Vec<RunStream>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query(LIST).bind(org.to_string()).bind(run.to_string()).fetch_all(reader.connection()).await?;
        all(&rows)
    }

    /// A run's streams, as the transaction sees them.
    pub async fn run_stream_list_in_txn(tx: &mut Tx, org: OrgId, run: RunId) -> StoreResult<Vec<RunStream>> {
        let rows = sqlx::query(LIST).bind(org.to_string()).bind(run.to_string()).fetch_all(tx.connection()).await?;
        all(&rows)
    }

    /// Adds a stream of a new run, with its errand where it has one; one that is not selected was delivered before.
    pub async fn run_stream_insert_in_txn(
        tx: &mut Tx,
        (org, run): (OrgId, RunId),
        stream: u32,
        name: &str,
        (selected, errand): (bool, Option<&Errand>),
    ) -> StoreResult<()> {
        let is_reload = errand == Some(&Errand::Reload);
        let unwritten = |_| crate::StoreError::Unreadable { column: "errand" };
        let errand = errand.filter(|_| !is_reload).map(serde_json::to_string).transpose().map_err(unwritten)?;
        let state = if selected { StreamState::Waiting } else { StreamState::Skipped };
        let sql = tx.sql(
            "insert into run_stream (organization_id, run_id, stream, name, selected, state, rows_done, bytes_done,
                                     files_done, coerced, adopted, delivered_late, reload, errand, updated_at)
             values ($1, $2, $3, $4, $5, $6, 0, 0, 0, 0, 0, 0, $7, $8, {now})",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(run.to_string())
            .bind(i64::from(stream))
            .bind(name)
            .bind(i64::from(selected))
            .bind(state.as_str())
            .bind(i64::from(is_reload))
            .bind(errand)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// A new attempt begins anew with every stream that is not delivered.
    pub async fn run_stream_reset_in_txn(tx: &mut Tx, org: OrgId, run: RunId) -> StoreResult<()> {
        let sql = tx.sql(
            "update run_stream set state = 'waiting', rows_done = 0, bytes_done = 0, files_done = 0, failure = null,
                    columns_new = 0, columns_gone = 0, columns_changed = 0, columns_ignored = 0, granted_at = null, grant_digest = null, updated_at = {now}
             where organization_id = $1 and run_id = $2 and selected = 1 and state <> 'committed'",
        );
        sqlx::query(sql).bind(org.to_string()).bind(run.to_string()).execute(tx.connection()).await?;
        Ok(())
    }

    /// Takes over numbers and state, if the stream is still in `from`. False: it was not.
    pub async fn run_stream_progress_in_txn(
        tx: &mut Tx,
        (org, run): (OrgId, RunId),
        attempt: AttemptId,
        from: StreamState,
        progress: &Progress,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update run_stream set state = $5, rows_done = $6, bytes_done = $7, files_done = $8,
                    rows_estimate = coalesce($9, rows_estimate), attempt_id = $10, updated_at = {now},
                    delivered_at = case when $5 = 'committed' then coalesce(delivered_at, {now}) else delivered_at end
             where organization_id = $1 and run_id = $2 and stream = $3 and state = $4",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(run.to_string())
            .bind(i64::from(progress.stream))
            .bind(from.as_str())
            .bind(progress.state.as_str())
            .bind(stored(progress.rows))
            .bind(stored(progress.bytes))
            .bind(stored(progress.files))
            .bind(progress.rows_estimate.map(stored))
            .bind(attempt.to_string())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that leave to commit was given; false where the stream has ended or is not part of the run.
    pub async fn run_stream_grant_in_txn(
        tx: &mut Tx,
        (org, run): (OrgId, RunId),
        attempt: AttemptId,
        stream: u32,
        digest: &str,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update run_stream set state = 'committing', granted_at = {now}, grant_digest = $5, attempt_id = $4,
                    updated_at = {now}
             where organization_id = $1 and run_id = $2 and stream = $3 and selected = 1
               and state in ('waiting', 'reading', 'committing')",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(run.to_string())
            .bind(i64::from(stream))
            .bind(attempt.to_string())
            .bind(digest)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes over the outcome of a stream, if it is still in `from`. False: it was not.
    pub async fn run_stream_outcome_in_txn(
        tx: &mut Tx,
        (org, run): (OrgId, RunId),
        attempt: AttemptId,
        from: StreamState,
        outcome: &StreamOutcome,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update run_stream set state = $5, rows_done = $6, bytes_done = $7, files_done = $8, coerced = $9,
                    grade = $10, log_version = $11, bucket_epoch = $12, receipt = $13, adopted = $14, failure = $15,
                    attempt_id = $16, columns_new = $17, columns_gone = $18, columns_changed = $19,
                    columns_ignored = $20, updated_at = {now},
                    delivered_at = case when $5 = 'committed' then coalesce(delivered_at, {now}) else delivered_at end
             where organization_id = $1 and run_id = $2 and stream = $3 and state = $4",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(run.to_string())
            .bind(i64::from(outcome.stream))
            .bind(from.as_str())
            .bind(outcome.state.as_str())
            .bind(stored(outcome.rows))
            .bind(stored(outcome.bytes))
            .bind(stored(outcome.files))
            .bind(stored(outcome.coerced))
            .bind(outcome.grade.as_str())
            .bind(outcome.version.map(stored))
            .bind(outcome.epoch.map(|epoch| epoch.0))
            .bind(&outcome.receipt)
            .bind(i64::from(outcome.adopted))
            .bind(outcome.failure.map(|code| code.as_str().to_owned()))
            .bind(attempt.to_string())
            .bind(stored(outcome.columns.new))
            .bind(stored(outcome.columns.gone))
            .bind(stored(outcome.columns.changed))
            .bind(stored(outcome.columns.ignored))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Records that a commit landed although its attempt was fenced or its run had ended: the state stays as it is, the
    /// delivery is shown. True where it was not known before.
    pub async fn run_stream_delivered_late_in_txn(
        tx: &mut Tx,
        (org, run): (OrgId, RunId),
        attempt: AttemptId,
        outcome: &StreamOutcome,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update run_stream set delivered_at = {now}, delivered_late = 1, rows_done = $4, bytes_done = $5,
                    files_done = $6, coerced = $7, grade = $8, log_version = $9, bucket_epoch = $10, receipt = $11,
                    attempt_id = $12, columns_new = $13, columns_gone = $14, columns_changed = $15,
                    columns_ignored = $16, updated_at = {now}
             where organization_id = $1 and run_id = $2 and stream = $3 and delivered_at is null",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(run.to_string())
            .bind(i64::from(outcome.stream))
            .bind(stored(outcome.rows))
            .bind(stored(outcome.bytes))
            .bind(stored(outcome.files))
            .bind(stored(outcome.coerced))
            .bind(outcome.grade.as_str())
            .bind(outcome.version.map(stored))
            .bind(outcome.epoch.map(|epoch| epoch.0))
            .bind(&outcome.receipt)
            .bind(attempt.to_string())
            .bind(stored(outcome.columns.new))
            .bind(stored(outcome.columns.gone))
            .bind(stored(outcome.columns.changed))
            .bind(stored(outcome.columns.ignored))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

const LIST: &str = "select * from run_stream where organization_id = $1 and run_id = $2 order by stream";

//! Pipelines and their versions, the highest epoch of each, and why one is paused.

use sqlx::any::AnyRow;
use waybill_model::{DataPlaneId, Epoch, Micros, OrgId, PipelineId, ProjectId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, int, one, opt_text, parsed, text, time};
use crate::{ListPart, Sight, Store, Tx};

/// A pipeline as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The organization.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: PipelineId,
    /// Its name, unique in the project.
    pub name: String,
    /// Where its workers run.
    pub data_plane: DataPlaneId,
    /// Its newest version.
    pub version: i64,
    /// Why it takes no runs: `poison` or `user`.
    pub paused: Option<String>,
    /// What to do about it.
    pub paused_hint: Option<String>,
    /// Highest epoch ever given or found in the bucket.
    pub last_epoch: Option<Epoch>,
    /// Highest epoch that stood too far in the future to be believed, and still waits for somebody to accept it.
    pub ahead_epoch: Option<Epoch>,
    /// Highest epoch that somebody accepted although it stood too far in the future.
    pub accepted_epoch: Option<Epoch>,
    /// Fingerprint of the last failure.
    pub poison: Option<String>,
    /// Runs in a row that ended with that fingerprint.
    pub poison_runs: i64,
    /// When it was made.
    pub created_at: Micros,
    /// When it was changed last.
    pub updated_at: Micros,
}

/// A pipeline to add, or its next version.
#[derive(Clone, Debug)]
pub struct NewPipeline {
    /// The organization.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: PipelineId,
    /// Its name.
    pub name: String,
    /// Where its workers run.
    pub data_plane: DataPlaneId,
    /// Canonical JSON of the plan.
    pub plan: String,
    /// What the user wrote, where it is known.
    pub source: Option<String>,
    /// SHA-256 of the plan, in hex.
    pub digest: String,
    /// Who made this version.
    pub created_by: String,
}

/// One version of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineVersion {
    /// Its number, from 1.
    pub version: i64,
    /// Canonical JSON of the plan.
    pub plan: String,
    /// What the user wrote.
    pub source: Option<String>,
    /// SHA-256 of the plan, in hex.
    pub digest: String,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Micros,
}

impl FromRow for Pipeline {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            project: parsed(row, "project_id")?,
            id: parsed(row, "id")?,
            name: text(row, "name")?,
            data_plane: parsed(row, "data_plane_id")?,
            version: int(row, "version")?,
            paused: opt_text(row, "paused")?,
            paused_hint: opt_text(row, "paused_hint")?,
            last_epoch: epoch(row, "last_epoch")?,
            ahead_epoch: epoch(row, "ahead_epoch")?,
            accepted_epoch: epoch(row, "accepted_epoch")?,
            poison: opt_text(row, "poison")?,
            poison_runs: int(row, "poison_runs")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

fn epoch(row: &AnyRow, column: &'static str) -> StoreResult<Option<Epoch>> {
    Ok(Some(int(row, column)?).filter(|epoch| *epoch > 0).map(Epoch))
}

impl FromRow for PipelineVersion {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            version: int(row, "version")?,
            plan: text(row, "plan")?,
            source: opt_text(row, "source")?,
            digest: text(row, "digest")?,
            created_by: text(row, "created_by")?,
            created_at: time(row, "created_at")?,
        })
    }
}

impl Store {
    /// Adds a pipeline with its first version.
    pub async fn pipeline_insert_in_txn(tx: &mut Tx, new: &NewPipeline) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into pipeline (organization_id, project_id, id, name, data_plane_id, version, last_epoch,
                                   poison_runs, created_at, updated_at)
             values ($1, $2, $3, $4, $5, 1, 0, 0, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.project.to_string())
            .bind(new.id.to_string())
            .bind(&new.name)
            .bind(new.data_plane.to_string())
            .execute(tx.connection())
            .await?;
        pipeline_version_insert(tx, new, 1).await
    }

    /// Makes `new` the version after `version`; false if somebody else made one meanwhile. The name may change with it.
    pub async fn pipeline_version_add_in_txn(tx: &mut Tx, new: &NewPipeline, version: i64) -> StoreResult<bool> {
        let sql = tx.sql(
            "update pipeline set name = $4, data_plane_id = $5, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3 and deleted_at is null",
        );
        let done = sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.id.to_string())
            .bind(version)
            .bind(&new.name)
            .bind(new.data_plane.to_string())
            .execute(tx.connection())
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        pipeline_version_insert(tx, new, version + 1).await?;
        Ok(true)
    }

    /// One pipeline.
    pub async fn pipeline_get(&self, org: OrgId, id: PipelineId) -> StoreResult<Option<Pipeline>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query(PIPELINE_GET)
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// One pipeline, as the transaction sees it.
    pub async fn pipeline_get_in_txn(tx: &mut Tx, org: OrgId, id: PipelineId) -> StoreResult<Option<Pipeline>> {
        let row = sqlx::query(PIPELINE_GET)
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(tx.connection())
            .await?;
        one(row)
    }

    /// The pipeline of this name.
    pub async fn pipeline_find(&self, org: OrgId, project: ProjectId, name: &str) -> StoreResult<Option<Pipeline>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query(
            "select * from pipeline
             where organization_id = $1 and project_id = $2 and name = $3 and deleted_at is null",
        )
        .bind(org.to_string())
        .bind(project.to_string())
        .bind(name)
        .fetch_optional(reader.connection())
        .await?;
        one(row)
    }

    /// A project's pipelines behind `after` in order of their ids, at most `limit`.
    pub async fn pipeline_list(
        &self,
        org: OrgId,
        project: ProjectId,
        after: Option<PipelineId>,
        limit: i64,
    ) -> StoreResult<Vec<Pipeline>> {
        self.pipeline_part(org, (project, Sight::All), &ListPart::by_id(after, limit)).await
    }

    /// Plans of the newest versions of pipelines on a data plane, as canonical JSON, at most `limit`.
    pub async fn pipeline_plan_list(&self, org: OrgId, plane: DataPlaneId, limit: i64) -> StoreResult<Vec<String>> {
        let rows = sqlx::query(
            "select pipeline_version.plan from pipeline join pipeline_version
             on pipeline_version.organization_id = pipeline.organization_id
             and pipeline_version.pipeline_id = pipeline.id and pipeline_version.version = pipeline.version
             where pipeline.organization_id = $1 and pipeline.data_plane_id = $2 order by pipeline.id limit $3",
        )
        .bind(org.to_string())
        .bind(plane.to_string())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(|row| text(row, "plan")).collect()
    }

    /// One version of a pipeline.
    pub async fn pipeline_version_get(
        &self,
        org: OrgId,
        id: PipelineId,
        version: i64,
    ) -> StoreResult<Option<PipelineVersion>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query(PIPELINE_VERSION_GET)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(version)
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// One version of a pipeline, as the transaction sees it.
    pub async fn pipeline_version_get_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: PipelineId,
        version: i64,
    ) -> StoreResult<Option<PipelineVersion>> {
        let row = sqlx::query(PIPELINE_VERSION_GET)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(version)
            .fetch_optional(tx.connection())
            .await?;
        one(row)
    }

    /// Versions below `before` (all where none is given), newest first, at most `limit`.
    pub async fn pipeline_version_list(
        &self,
        org: OrgId,
        id: PipelineId,
        before: Option<i64>,
        limit: i64,
    ) -> StoreResult<Vec<PipelineVersion>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query(
            "select * from pipeline_version
             where organization_id = $1 and pipeline_id = $2 and ($3 is null or version < $3)
             order by version desc limit $4",
        )
        .bind(org.to_string())
        .bind(id.to_string())
        .bind(before)
        .bind(limit)
        .fetch_all(reader.connection())
        .await?;
        all(&rows)
    }

    /// Takes a pipeline away if the version is still `version`; its runs and versions stay. False: it was not.
    pub async fn pipeline_delete_in_txn(tx: &mut Tx, org: OrgId, id: PipelineId, version: i64) -> StoreResult<bool> {
        let sql = tx.sql(
            "update pipeline set deleted_at = {now}, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3 and deleted_at is null",
        );
        let done =
            sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).bind(version).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Pauses (`Some((reason, hint))`) or resumes a pipeline; resuming forgets the poison count. False: no such pipeline.
    pub async fn pipeline_pause_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: PipelineId,
        why: Option<(&str, &str)>,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update pipeline set paused = $3, paused_hint = $4, updated_at = {now},
                    poison_runs = case when $3 is null then 0 else poison_runs end
             where organization_id = $1 and id = $2 and deleted_at is null",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(why.map(|w| w.0.to_owned()))
            .bind(why.map(|w| w.1.to_owned()))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Pauses or resumes a pipeline that is still as it was read; false where it is not. The time of the change rises in
    /// any case, so that two changes within one tick of the clock are told apart.
    pub async fn pipeline_pause_seen_in_txn(
        tx: &mut Tx,
        seen: &Pipeline,
        why: Option<(&str, &str)>,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update pipeline set paused = $3, paused_hint = $4,
                    updated_at = case when updated_at < {now} then {now} else updated_at + 1 end,
                    poison_runs = case when $3 is null then 0 else poison_runs end
             where organization_id = $1 and id = $2 and version = $5 and updated_at = $6 and deleted_at is null",
        );
        let done = sqlx::query(sql)
            .bind(seen.org.to_string())
            .bind(seen.id.to_string())
            .bind(why.map(|w| w.0.to_owned()))
            .bind(why.map(|w| w.1.to_owned()))
            .bind(seen.version)
            .bind(seen.updated_at.0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Counts a failure's fingerprint, or forgets (`None`) after a success; tells how many runs in a row had it.
    pub async fn pipeline_poison_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: PipelineId,
        fingerprint: Option<&str>,
    ) -> StoreResult<i64> {
        let row = sqlx::query(
            "update pipeline set poison_runs = case when $3 is null then 0 when poison = $3 then poison_runs + 1 else 1 end,
                    poison = $3
             where organization_id = $1 and id = $2 returning poison_runs",
        )
        .bind(org.to_string())
        .bind(id.to_string())
        .bind(fingerprint.map(str::to_owned))
        .fetch_optional(tx.connection())
        .await?;
        row.map_or(Ok(0), |row| int(&row, "poison_runs"))
    }

    /// Raises the pipeline's last epoch to `epoch`; false where it stands there or above already.
    pub async fn pipeline_epoch_raise_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: PipelineId,
        epoch: Epoch,
    ) -> StoreResult<bool> {
        let done = sqlx::query(
            "update pipeline set last_epoch = $3 where organization_id = $1 and id = $2 and last_epoch < $3",
        )
        .bind(org.to_string())
        .bind(id.to_string())
        .bind(epoch.0)
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps an epoch that is not believed, for somebody to accept; false where it, or a higher one, waits already.
    pub async fn pipeline_epoch_ahead_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: PipelineId,
        epoch: Epoch,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update pipeline set ahead_epoch = $3,
                    updated_at = case when updated_at < {now} then {now} else updated_at + 1 end
             where organization_id = $1 and id = $2 and ahead_epoch < $3",
        );
        let done =
            sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).bind(epoch.0).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes the epoch that waits for it as the pipeline's last one; runs that failed for it no longer count against the
    /// pipeline, and a pause that came of them ends. False where none waits, or another one by now.
    pub async fn pipeline_epoch_accept_in_txn(tx: &mut Tx, seen: &Pipeline, epoch: Epoch) -> StoreResult<bool> {
        let sql = tx.sql(
            "update pipeline set accepted_epoch = $3, ahead_epoch = 0,
                    last_epoch = case when last_epoch < $3 then $3 else last_epoch end,
                    poison = null, poison_runs = 0,
                    paused_hint = case when paused = 'poison' then null else paused_hint end,
                    paused = case when paused = 'poison' then null else paused end,
                    updated_at = case when updated_at < {now} then {now} else updated_at + 1 end
             where organization_id = $1 and id = $2 and ahead_epoch = $3 and deleted_at is null",
        );
        let done = sqlx::query(sql)
            .bind(seen.org.to_string())
            .bind(seen.id.to_string())
            .bind(epoch.0)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

const PIPELINE_GET: &str = "select * from pipeline where organization_id = $1 and id = $2 and deleted_at is null";
const PIPELINE_VERSION_GET: &str =
    "select * from pipeline_version where organization_id = $1 and pipeline_id = $2 and version = $3";

async fn pipeline_version_insert(tx: &mut Tx, new: &NewPipeline, version: i64) -> StoreResult<()> {
    let sql = tx.sql(
        "insert into pipeline_version (organization_id, pipeline_id, version, plan, source, digest, created_by,
                                       created_at)
         values ($1, $2, $3, $4, $5, $6, $7, {now})",
    );
    sqlx::query(sql)
        .bind(new.org.to_string())
        .bind(new.id.to_string())
        .bind(version)
        .bind(&new.plan)
        .bind(&new.source)
        .bind(&new.digest)
        .bind(&new.created_by)
        .execute(tx.connection())
        .await?;
    Ok(())
}

//! Keys of services. Of a key only its id and a digest are kept; what it may do is bounded by what the person who made it may do
//! at the moment that it is used, so both are read in one statement.

use std::time::Duration;

use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use waybill_model::id::KeyId;
use waybill_model::role::ServiceRole;
use waybill_model::{Micros, OrgId, PipelineId, ProjectId, UserId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, flag, one, opt_text, opt_time, parsed, text, time};
use crate::standing::Standing;
use crate::{Store, Tx};

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The organization.
    pub org: OrgId,
    /// Its id, which is a part of the key.
    pub id: KeyId,
    /// The only project that it reaches.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// What it may do there at most.
    pub role: String,
    /// SHA-256 of the whole key, in hex.
    pub digest: String,
    /// Ranges of addresses that it may come from, separated by spaces; empty: from anywhere.
    pub networks: String,
    /// Who made it.
    pub created_by: UserId,
    /// When it was made.
    pub created_at: Micros,
    /// From when on it is refused.
    pub expires_at: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
    /// When it was used last, to within minutes.
    pub last_used_at: Option<Micros>,
    /// `active`, `expired`, `revoked`, or `suspended` where who made it is disabled.
    pub state: String,
}

/// A key to add.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: KeyId,
    /// Its project.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: &'static str,
    /// Its digest.
    pub digest: String,
    /// Where it may come from.
    pub networks: String,
    /// Who makes it.
    pub created_by: UserId,
    /// How long it lives.
    pub life: Duration,
}

/// A key as a request finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFound {
    /// The key.
    pub key: ApiKey,
    /// What who made it is now; none where they are disabled.
    pub creator: Option<Standing>,
    /// The pipelines that it names.
    pub pipelines: Vec<PipelineId>,
    /// The database's time.
    pub now: Micros,
}

impl FromRow for ApiKey {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            project: parsed(row, "project_id")?,
            name: text(row, "name")?,
            role: text(row, "role")?,
            digest: text(row, "digest")?,
            networks: text(row, "networks")?,
            created_by: parsed(row, "created_by")?,
            created_at: time(row, "created_at")?,
            expires_at: time(row, "expires_at")?,
            revoked_at: opt_time(row, "revoked_at")?,
            last_used_at: opt_time(row, "last_used_at")?,
            state: text(row, "state")?,
        })
    }
}

/// A key with what is known of who made it.
const KEYS: &str =
    "select k.*, u.role as creator_role, u.disabled as creator_disabled, m.role as member_role, {now} as now,
         case when k.revoked_at is not null then 'revoked' when k.expires_at <= {now} then 'expired'
              when u.disabled <> 0 then 'suspended' else 'active' end as state
     from api_key k
     join app_user u on u.organization_id = k.organization_id and u.id = k.created_by
     left join project_member m on m.organization_id = k.organization_id and m.project_id = k.project_id
       and m.user_id = k.created_by";

/// The pipelines that a key names.
async fn named_by(connection: &mut AnyConnection, org: OrgId, id: KeyId) -> StoreResult<Vec<PipelineId>> {
    let rows = sqlx::query(
        "select pipeline_id from api_key_pipeline where organization_id = $1 and key_id = $2 order by pipeline_id",
    )
    .bind(org.to_string())
    .bind(id.to_string())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| parsed(row, "pipeline_id")).collect()
}

impl Store {
    /// Adds a key and the pipelines that it names. `Conflict`: a key of this project has the name.
    pub async fn key_insert_in_txn(tx: &mut Tx, new: &NewApiKey, pipelines: &[PipelineId]) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into api_key (organization_id, id, project_id, name, role, digest, networks, created_by, created_at,
                                  expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, {now}, {now} + $9)",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.id.to_string())
            .bind(new.project.to_string())
            .bind(&new.name)
            .bind(new.role)
            .bind(&new.digest)
            .bind(&new.networks)
            .bind(new.created_by.to_string())
            .bind(Micros(0).plus(new.life).0)
            .execute(tx.connection())
            .await?;
        for pipeline in pipelines {
            sqlx::query("insert into api_key_pipeline (organization_id, key_id, pipeline_id) values ($1, $2, $3)")
                .bind(new.org.to_string())
                .bind(new.id.to_string())
                .bind(pipeline.to_string())
                .execute(tx.connection())
                .await?;
        }
        Ok(())
    }

    /// The key of this id in any organization, and what who made it is: what a request with a key begins with.
    pub async fn key_find(&self, id: KeyId) -> StoreResult<Option<KeyFound>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self.dialect.sql_of(&format!("{KEYS} where k.id = $1"));
        let row = sqlx::query(sql).bind(id.to_string()).fetch_optional(reader.connection()).await?;
        let Some(row) = row else { return Ok(None) };
        let key = ApiKey::from_row(&row)?;
        let member = opt_text(&row, "member_role")?.map(|role| (key.project, role));
        let creator = Standing { role: text(&row, "creator_role")?, projects: member.into_iter().collect() };
        let creator = (!flag(&row, "creator_disabled")?).then_some(creator);
        // A key of another role names none.
        let pipelines = match key.role == ServiceRole::Api.as_str() {
            true => named_by(reader.connection(), key.org, id).await?,
            false => Vec::new(),
        };
        Ok(Some(KeyFound { key, creator, pipelines, now: time(&row, "now")? }))
    }

    /// One key.
    pub async fn key_get(&self, org: OrgId, id: KeyId) -> StoreResult<Option<ApiKey>> {
        let mut reader = self.reader(org).await?;
        let sql = self.dialect.sql_of(&format!("{KEYS} where k.organization_id = $1 and k.id = $2"));
        one(sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).fetch_optional(reader.connection()).await?)
    }

    /// The pipelines that a key names.
    pub async fn key_pipeline_list(&self, org: OrgId, id: KeyId) -> StoreResult<Vec<PipelineId>> {
        let mut reader = self.reader(org).await?;
        named_by(reader.connection(), org, id).await
    }

    /// Keys of a project, oldest first, at most `limit`.
    pub async fn key_list(
        &self,
        org: OrgId,
        project: ProjectId,
        after: Option<KeyId>,
        limit: i64,
    ) -> StoreResult<Vec<ApiKey>> {
        let mut reader = self.reader(org).await?;
        let sql = self.dialect.sql_of(&format!(
            "{KEYS} where k.organization_id = $1 and k.project_id = $2 and k.id > $3 order by k.id limit $4"
        ));
        let rows = sqlx::query(sql)
            .bind(org.to_string())
            .bind(project.to_string())
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(reader.connection())
            .await?;
        all(&rows)
    }

    /// Revokes a key; true if it was not revoked yet.
    pub async fn key_revoke_in_txn(tx: &mut Tx, org: OrgId, id: KeyId) -> StoreResult<bool> {
        let sql = tx
            .sql("update api_key set revoked_at = {now} where organization_id = $1 and id = $2 and revoked_at is null");
        let done = sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Says that a key was used, unless that was said less than `grain` ago; true where it was written.
    pub async fn key_used(&self, org: OrgId, id: KeyId, grain: Duration) -> StoreResult<bool> {
        let mut tx = self.write_tx(org).await?;
        let sql = tx.sql(
            "update api_key set last_used_at = {now} where organization_id = $1 and id = $2
               and (last_used_at is null or last_used_at <= {now} - $3)",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(Micros(0).plus(grain).0)
            .execute(tx.connection())
            .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }
}

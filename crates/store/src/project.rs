//! Projects: what isolates pipelines, connections and members inside an organization.

use sqlx::any::AnyRow;
use waybill_model::{Micros, OrgId, ProjectId};

use crate::error::StoreResult;
use crate::reading::{FromRow, count, int, one, parsed, stored, text, time};
use crate::{Store, Tx};

/// A project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its organization.
    pub org: OrgId,
    /// Its id.
    pub id: ProjectId,
    /// Its name, unique in the organization.
    pub name: String,
    /// Most bytes of names that one discovery may bring.
    pub name_ceiling: u64,
    /// Regions that its data planes, buckets and secrets may stand in; any where it is empty.
    pub allowed_regions: Vec<String>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Micros,
    /// When it was changed last.
    pub updated_at: Micros,
}

impl FromRow for Project {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            name: text(row, "name")?,
            name_ceiling: count(row, "name_ceiling")?,
            allowed_regions: text(row, "allowed_regions")?.split_whitespace().map(str::to_owned).collect(),
            version: int(row, "version")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Store {
    /// Adds a project.
    pub async fn project_insert_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: ProjectId,
        name: &str,
        name_ceiling: u64,
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into project (organization_id, id, name, name_ceiling, version, created_at, updated_at)
             values ($1, $2, $3, $4, 1, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(name)
            .bind(stored(name_ceiling))
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One project.
    pub async fn project_get(&self, org: OrgId, id: ProjectId) -> StoreResult<Option<Project>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from project where organization_id = $1 and id = $2")
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// The project of this name.
    pub async fn project_find(&self, org: OrgId, name: &str) -> StoreResult<Option<Project>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from project where organization_id = $1 and name = $2")
            .bind(org.to_string())
            .bind(name)
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Changes name, ceiling and regions if the version is still `version`; tells whether it was.
    pub async fn project_update_in_txn(tx: &mut Tx, project: &Project) -> StoreResult<bool> {
        let sql = tx.sql(
            "update project set name = $4, name_ceiling = $5, allowed_regions = $6, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3",
        );
        let done = sqlx::query(sql)
            .bind(project.org.to_string())
            .bind(project.id.to_string())
            .bind(project.version)
            .bind(&project.name)
            .bind(stored(project.name_ceiling))
            .bind(project.allowed_regions.join(" "))
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

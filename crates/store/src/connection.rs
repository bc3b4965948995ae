//! Connections: systems that a worker can reach. They hold references to secrets, never secrets.

use sqlx::any::AnyRow;
use waybill_model::{ConnectionId, Micros, OrgId, ProjectId};

use crate::error::StoreResult;
use crate::reading::{FromRow, int, one, parsed, text, time};
use crate::{ListPart, Store, Tx};

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The organization.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: ConnectionId,
    /// Its name, unique in the project.
    pub name: String,
    /// What kind of system.
    pub kind: String,
    /// Canonical JSON of the system.
    pub system: String,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Micros,
    /// When it was changed last.
    pub updated_at: Micros,
}

/// A connection to add.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// The organization.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// Its id.
    pub id: ConnectionId,
    /// Its name.
    pub name: String,
    /// What kind of system.
    pub kind: String,
    /// Canonical JSON of the system.
    pub system: String,
}

impl FromRow for Connection {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            project: parsed(row, "project_id")?,
            id: parsed(row, "id")?,
            name: text(row, "name")?,
            kind: text(row, "kind")?,
            system: text(row, "system")?,
            version: int(row, "version")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Store {
    /// Adds a connection.
    pub async fn connection_insert_in_txn(tx: &mut Tx, new: &NewConnection) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into connection (organization_id, project_id, id, name, kind, system, version, created_at,
                                     updated_at)
             values ($1, $2, $3, $4, $5, $6, 1, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.project.to_string())
            .bind(new.id.to_string())
            .bind(&new.name)
            .bind(&new.kind)
            .bind(&new.system)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One connection.
    pub async fn connection_get(&self, org: OrgId, id: ConnectionId) -> StoreResult<Option<Connection>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from connection where organization_id = $1 and id = $2 and deleted_at is null")
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// The connection of this name.
    pub async fn connection_find(&self, org: OrgId, project: ProjectId, name: &str) -> StoreResult<Option<Connection>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query(
            "select * from connection
             where organization_id = $1 and project_id = $2 and name = $3 and deleted_at is null",
        )
        .bind(org.to_string())
        .bind(project.to_string())
        .bind(name)
        .fetch_optional(reader.connection())
        .await?;
        one(row)
    }

    /// A project's connections behind `after` in order of their ids, at most `limit`.
    pub async fn connection_list(
        &self,
        org: OrgId,
        project: ProjectId,
        after: Option<ConnectionId>,
        limit: i64,
    ) -> StoreResult<Vec<Connection>> {
        self.connection_part(org, project, &ListPart::by_id(after, limit)).await
    }

    /// Changes kind and system if the version is still `version`; tells whether it was.
    pub async fn connection_update_in_txn(tx: &mut Tx, new: &NewConnection, version: i64) -> StoreResult<bool> {
        let sql = tx.sql(
            "update connection set name = $4, kind = $5, system = $6, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3 and deleted_at is null",
        );
        let done = sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.id.to_string())
            .bind(version)
            .bind(&new.name)
            .bind(&new.kind)
            .bind(&new.system)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a connection away if the version is still `version`; tells whether it was.
    pub async fn connection_delete_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: ConnectionId,
        version: i64,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update connection set deleted_at = {now}, updated_at = {now}, version = version + 1
             where organization_id = $1 and id = $2 and version = $3 and deleted_at is null",
        );
        let done =
            sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).bind(version).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }
}

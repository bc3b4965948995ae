//! Organizations: the tenants.

use sqlx::any::AnyRow;
use waybill_model::{Micros, OrgId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, one, parsed, text, time};
use crate::{Store, Tx};

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Micros,
}

impl FromRow for Organization {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self { id: parsed(row, "id")?, name: text(row, "name")?, created_at: time(row, "created_at")? })
    }
}

impl Store {
    /// Adds an organization.
    pub async fn organization_insert_in_txn(tx: &mut Tx, id: OrgId, name: &str) -> StoreResult<()> {
        let sql = tx.sql("insert into organization (id, name, created_at) values ($1, $2, {now})");
        sqlx::query(sql).bind(id.to_string()).bind(name).execute(tx.connection()).await?;
        Ok(())
    }

    /// One organization.
    pub async fn organization_get(&self, id: OrgId) -> StoreResult<Option<Organization>> {
        let mut reader = self.reader(id).await?;
        let row = sqlx::query("select * from organization where id = $1")
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// All organizations, oldest first: for the instance's own loops and set-up, never for a tenant.
    pub async fn organization_list(&self) -> StoreResult<Vec<Organization>> {
        let mut reader = self.reader_of_all().await?;
        all(&sqlx::query("select * from organization order by id").fetch_all(reader.connection()).await?)
    }
}

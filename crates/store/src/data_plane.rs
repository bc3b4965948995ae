//! Data planes: registered places where workers run.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::{DataPlaneId, Micros, OrgId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, int, one, opt_text, opt_time, parsed, text, time};
use crate::{ListPart, Store, Tx};

/// A data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataPlane {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: DataPlaneId,
    /// Its name, unique in the organization.
    pub name: String,
    /// Which launcher starts its workers, such as `process`.
    pub kind: String,
    /// JSON of the kind's own settings.
    pub settings: String,
    /// What the customer's trust policy asks for, where the kind has one. Made once; no update touches it.
    pub external_id: Option<String>,
    /// What the last check found about the external id: `enforced` or `open`; none before the first one.
    pub trust: Option<String>,
    /// When it was checked last.
    pub checked_at: Option<Micros>,
    /// Since when it is being drained: nothing is launched there, and workers finish only what they have begun.
    pub draining_since: Option<Micros>,
    /// Rises with every change.
    pub version: i64,
    /// When it was made.
    pub created_at: Micros,
    /// When it was changed last.
    pub updated_at: Micros,
}

impl FromRow for DataPlane {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            name: text(row, "name")?,
            kind: text(row, "kind")?,
            settings: text(row, "settings")?,
            external_id: opt_text(row, "external_id")?,
            trust: opt_text(row, "trust")?,
            checked_at: opt_time(row, "checked_at")?,
            draining_since: opt_time(row, "draining_since")?,
            version: int(row, "version")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Store {
    /// Adds a data plane.
    pub async fn data_plane_insert_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: DataPlaneId,
        name: &str,
        (kind, settings): (&str, &str),
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into data_plane (organization_id, id, name, kind, settings, version, created_at, updated_at)
             values ($1, $2, $3, $4, $5, 1, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(name)
            .bind(kind)
            .bind(settings)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Gives a data plane its external id. False: it has one already.
    pub async fn data_plane_name_external_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: DataPlaneId,
        external_id: &str,
    ) -> StoreResult<bool> {
        let done = sqlx::query(
            "update data_plane set external_id = $3 where organization_id = $1 and id = $2 and external_id is null",
        )
        .bind(org.to_string())
        .bind(id.to_string())
        .bind(external_id)
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps what a check found about the external id, if the version is still `plane.version`. It is no change of it.
    pub async fn data_plane_trust_in_txn(tx: &mut Tx, plane: &DataPlane, trust: Option<&str>) -> StoreResult<bool> {
        let sql = tx.sql(
            "update data_plane set trust = $4, checked_at = {now}
             where organization_id = $1 and id = $2 and version = $3",
        );
        let done = sqlx::query(sql)
            .bind(plane.org.to_string())
            .bind(plane.id.to_string())
            .bind(plane.version)
            .bind(trust)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Changes name and settings if the version is still `plane.version`; tells whether it was.
    pub async fn data_plane_update_in_txn(tx: &mut Tx, plane: &DataPlane) -> StoreResult<bool> {
        let sql = tx.sql(
            "update data_plane set name = $4, settings = $5, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3",
        );
        let done = sqlx::query(sql)
            .bind(plane.org.to_string())
            .bind(plane.id.to_string())
            .bind(plane.version)
            .bind(&plane.name)
            .bind(&plane.settings)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Begins to drain a data plane, or ends it; false where it stands so already.
    pub async fn data_plane_drain_in_txn(tx: &mut Tx, org: OrgId, id: DataPlaneId, drain: bool) -> StoreResult<bool> {
        let sql = tx.sql(if drain {
            "update data_plane set draining_since = {now}, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and draining_since is null"
        } else {
            "update data_plane set draining_since = null, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and draining_since is not null"
        });
        let done = sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Whether a data plane is being drained.
    pub async fn data_plane_drains_in_txn(tx: &mut Tx, org: OrgId, id: DataPlaneId) -> StoreResult<bool> {
        let sql = "select 1 from data_plane where organization_id = $1 and id = $2 and draining_since is not null";
        let row = sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).fetch_optional(tx.connection()).await?;
        Ok(row.is_some())
    }

    /// One data plane.
    pub async fn data_plane_get(&self, org: OrgId, id: DataPlaneId) -> StoreResult<Option<DataPlane>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from data_plane where organization_id = $1 and id = $2")
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Data planes of a kind on which attempts were made within `since`: of every organization, for the reaper alone.
    pub async fn data_plane_recent(&self, kind: &str, since: Duration) -> StoreResult<Vec<DataPlane>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self.dialect.sql(
            "select * from data_plane where kind = $1 and exists (
                select 1 from attempt where attempt.data_plane_id = data_plane.id and attempt.created_at > {now} - $2
             ) order by id",
        );
        all(&sqlx::query(sql).bind(kind).bind(Micros(0).plus(since).0).fetch_all(reader.connection()).await?)
    }

    /// The data plane of this name.
    pub async fn data_plane_find(&self, org: OrgId, name: &str) -> StoreResult<Option<DataPlane>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from data_plane where organization_id = $1 and name = $2")
            .bind(org.to_string())
            .bind(name)
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Data planes behind `after` in order of their ids, at most `limit`.
    pub async fn data_plane_list(
        &self,
        org: OrgId,
        after: Option<DataPlaneId>,
        limit: i64,
    ) -> StoreResult<Vec<DataPlane>> {
        self.data_plane_part(org, &ListPart::by_id(after, limit)).await
    }
}

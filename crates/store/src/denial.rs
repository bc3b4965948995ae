//! Revoked identities: what one process refuses, every other process learns of from here.

use std::time::Duration;

use waybill_model::{AttemptId, Micros, OrgId};

use crate::error::StoreResult;
use crate::reading::text;
use crate::{Store, Tx};

impl Store {
    /// Refuses every certificate of an attempt for `life`, which is longer than any of them lives.
    pub async fn denial_insert_in_txn(tx: &mut Tx, org: OrgId, attempt: AttemptId, life: Duration) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into denial (organization_id, subject, created_at, until) values ($1, $2, {now}, {now} + $3)
             on conflict (organization_id, subject) do update set until = excluded.until",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(attempt.to_string())
            .bind(Micros(0).plus(life).0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Every attempt whose certificates are refused now, of all organizations: for the listener of workers alone.
    pub async fn denial_list(&self) -> StoreResult<Vec<AttemptId>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self.dialect.sql("select subject from denial where until > {now} order by subject");
        let rows = sqlx::query(sql).fetch_all(reader.connection()).await?;
        // A kind of subject that a newer version knows is not this version's to refuse.
        let subjects = rows.iter().map(|row| text(row, "subject")).collect::<StoreResult<Vec<_>>>()?;
        Ok(subjects.iter().filter_map(|subject| subject.parse().ok()).collect())
    }
}

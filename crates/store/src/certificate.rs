//! Which certificate was issued for which attempt: the record that a deny list and an investigation need.

use waybill_model::{AttemptId, Micros, OrgId};

use crate::error::StoreResult;
use crate::reading::{opt_time, parsed, text, time};
use crate::{Store, Tx};

/// An issued certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The organization.
    pub org: OrgId,
    /// Serial number in hex.
    pub serial: String,
    /// For which attempt.
    pub attempt: AttemptId,
    /// SHA-256 of the public key, in hex.
    pub spki: String,
    /// End of its life.
    pub not_after: Micros,
    /// When it was revoked.
    pub revoked_at: Option<Micros>,
}

impl Store {
    /// Records an issued certificate.
    pub async fn certificate_insert_in_txn(tx: &mut Tx, certificate: &Certificate) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into certificate (organization_id, serial, attempt_id, spki, issued_at, not_after)
             values ($1, $2, $3, $4, {now}, $5)",
        );
        sqlx::query(sql)
            .bind(certificate.org.to_string())
            .bind(&certificate.serial)
            .bind(certificate.attempt.to_string())
            .bind(&certificate.spki)
            .bind(certificate.not_after.0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Revokes all certificates of an attempt.
    pub async fn certificate_revoke_in_txn(tx: &mut Tx, org: OrgId, attempt: AttemptId) -> StoreResult<u64> {
        let sql = tx.sql(
            "update certificate set revoked_at = {now}
             where organization_id = $1 and attempt_id = $2 and revoked_at is null",
        );
        let done = sqlx::query(sql).bind(org.to_string()).bind(attempt.to_string()).execute(tx.connection()).await?;
        Ok(done.rows_affected())
    }

    /// An attempt's certificates, oldest first.
    pub async fn certificate_list(&self, org: OrgId, attempt: AttemptId) -> StoreResult<Vec<Certificate>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query(
            "select * from certificate where organization_id = $1 and attempt_id = $2 order by issued_at, serial",
        )
        .bind(org.to_string())
        .bind(attempt.to_string())
        .fetch_all(reader.connection())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Certificate {
                    org: parsed(row, "organization_id")?,
                    serial: text(row, "serial")?,
                    attempt: parsed(row, "attempt_id")?,
                    spki: text(row, "spki")?,
                    not_after: time(row, "not_after")?,
                    revoked_at: opt_time(row, "revoked_at")?,
                })
            })
            .collect()
    }
}

//! Signatures of the customer over plans. They are kept and handed on; nobody here can check them.

use waybill_model::OrgId;

use crate::error::StoreResult;
use crate::reading::text;
use crate::{Store, Tx};

/// A signature over the plan of a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanSignature {
    /// The organization.
    pub org: OrgId,
    /// SHA-256 of the canonical plan, in hex.
    pub digest: String,
    /// The signature.
    pub signature: String,
    /// Who brought it.
    pub created_by: String,
}

impl Store {
    /// Keeps a signature; a later one over the same plan takes its place.
    pub async fn plan_signature_put_in_txn(tx: &mut Tx, new: &PlanSignature) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into plan_signature (organization_id, digest, signature, created_by, created_at)
             values ($1, $2, $3, $4, {now})
             on conflict (organization_id, digest)
             do update set signature = excluded.signature, created_by = excluded.created_by, created_at = excluded.created_at",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(&new.digest)
            .bind(&new.signature)
            .bind(&new.created_by)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// The newest signature over a plan.
    pub async fn plan_signature_get(&self, org: OrgId, digest: &str) -> StoreResult<Option<String>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select signature from plan_signature where organization_id = $1 and digest = $2")
            .bind(org.to_string())
            .bind(digest)
            .fetch_optional(reader.connection())
            .await?;
        row.map(|row| text(&row, "signature")).transpose()
    }
}

//! Answers to creating requests, kept so that a repeated request gets the first one's answer.

use waybill_model::OrgId;

use crate::error::StoreResult;
use crate::reading::{int, text};
use crate::{Store, Tx};

/// What names a request: the same actor, the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The organization.
    pub org: OrgId,
    /// Who asked.
    pub actor: String,
    /// The client's key.
    pub key: String,
}

/// The answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptAnswer {
    /// SHA-256 over method, path and body, in hex: another request under the same key is refused.
    pub request_digest: String,
    /// HTTP status.
    pub status: i64,
    /// Body.
    pub response: String,
}

impl Store {
    /// The answer that was given under this key.
    pub async fn idempotency_key_get(&self, key: &IdempotencyKey) -> StoreResult<Option<KeptAnswer>> {
        let mut reader = self.reader(key.org).await?;
        let row = sqlx::query(
            "select request_digest, status, response from idempotency_key
             where organization_id = $1 and actor = $2 and key = $3",
        )
        .bind(key.org.to_string())
        .bind(&key.actor)
        .bind(&key.key)
        .fetch_optional(reader.connection())
        .await?;
        row.map(|row| {
            Ok(KeptAnswer {
                request_digest: text(&row, "request_digest")?,
                status: int(&row, "status")?,
                response: text(&row, "response")?,
            })
        })
        .transpose()
    }

    /// Keeps the answer in the transaction of what was created. `Conflict`: another request was first.
    pub async fn idempotency_key_insert_in_txn(
        tx: &mut Tx,
        key: &IdempotencyKey,
        answer: &KeptAnswer,
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into idempotency_key (organization_id, actor, key, request_digest, status, response, created_at)
             values ($1, $2, $3, $4, $5, $6, {now})",
        );
        sqlx::query(sql)
            .bind(key.org.to_string())
            .bind(&key.actor)
            .bind(&key.key)
            .bind(&answer.request_digest)
            .bind(answer.status)
            .bind(&answer.response)
            .execute(tx.connection())
            .await?;
        Ok(())
    }
}

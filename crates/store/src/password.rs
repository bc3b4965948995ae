//! New passwords: changed by who knows the old one, or by who has a link that somebody else made for them. Of a link only a digest is
//! kept, one for each person; using it takes it away.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::{Micros, OrgId, UserId};

use crate::error::StoreResult;
use crate::reading::{FromRow, one, parsed, time};
use crate::{Store, Tx};

/// A link for a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordReset {
    /// The organization.
    pub org: OrgId,
    /// Whose password it is for.
    pub user: UserId,
    /// Who made it.
    pub made_by: UserId,
    /// From when on it is refused.
    pub expires_at: Micros,
}

impl FromRow for PasswordReset {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            user: parsed(row, "user_id")?,
            made_by: parsed(row, "made_by")?,
            expires_at: time(row, "expires_at")?,
        })
    }
}

impl Store {
    /// Gives a person another password, where the one before is still this: true if it is done. Failed logins are forgotten.
    pub async fn password_set_in_txn(
        tx: &mut Tx,
        (org, user): (OrgId, UserId),
        before: &str,
        hash: &str,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update app_user set password_hash = $4, failed_logins = 0, locked_until = 0
             where organization_id = $1 and id = $2 and password_hash = $3 and disabled = 0",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(user.to_string())
            .bind(before)
            .bind(hash)
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps the digest of a link, in place of one that the person had; gives its end.
    pub async fn password_reset_insert_in_txn(
        tx: &mut Tx,
        (org, user): (OrgId, UserId),
        digest: &str,
        (made_by, life): (UserId, Duration),
    ) -> StoreResult<Micros> {
        Self::password_reset_delete_in_txn(tx, (org, user)).await?;
        let until = tx.clock().await?.plus(life);
        let sql = tx.sql(
            "insert into password_reset (organization_id, user_id, digest, made_by, created_at, expires_at)
             values ($1, $2, $3, $4, {now}, $5)",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(user.to_string())
            .bind(digest)
            .bind(made_by.to_string())
            .bind(until.0)
            .execute(tx.connection())
            .await?;
        Ok(until)
    }

    /// Takes a person's link away.
    pub async fn password_reset_delete_in_txn(tx: &mut Tx, (org, user): (OrgId, UserId)) -> StoreResult<()> {
        sqlx::query("delete from password_reset where organization_id = $1 and user_id = $2")
            .bind(org.to_string())
            .bind(user.to_string())
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// The link whose token has this digest, in any organization, whether or not its time is over.
    pub async fn password_reset_find(&self, digest: &str) -> StoreResult<Option<PasswordReset>> {
        let mut reader = self.reader_of_all().await?;
        one(sqlx::query("select * from password_reset where digest = $1")
            .bind(digest)
            .fetch_optional(reader.connection())
            .await?)
    }

    /// Uses a link up: true for the one caller that came first and in time.
    pub async fn password_reset_use_in_txn(
        tx: &mut Tx,
        (org, user): (OrgId, UserId),
        digest: &str,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "delete from password_reset where organization_id = $1 and user_id = $2 and digest = $3 and expires_at > {now}",
        );
        let done =
            sqlx::query(sql).bind(org.to_string()).bind(user.to_string()).bind(digest).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }
}

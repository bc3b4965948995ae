//! Login sessions and their rotating refresh tokens. Only hashes of tokens are kept.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::id::SessionId;
use waybill_model::{Micros, OrgId, UserId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, opt_text, opt_time, parsed, time};
use crate::{Store, Tx};

/// A login session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// Address that it was begun from, where that is known.
    pub ip: Option<String>,
    /// When it began.
    pub created_at: Micros,
    /// When it was refreshed last.
    pub used_at: Micros,
    /// When it ends whatever happens.
    pub expires_at: Micros,
    /// When it was ended early.
    pub revoked_at: Option<Micros>,
}

/// What came of a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// It was good, and is used now.
    Fresh(Session),
    /// It had been used before: the whole session is ended now.
    Reused(Session),
    /// Unknown, too old, or of a session that has ended.
    Refused,
}

impl FromRow for Session {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            user: parsed(row, "user_id")?,
            ip: opt_text(row, "ip")?,
            created_at: time(row, "created_at")?,
            used_at: time(row, "used_at")?,
            expires_at: time(row, "expires_at")?,
            revoked_at: opt_time(row, "revoked_at")?,
        })
    }
}

impl Store {
    /// Begins a session that lives for `life` at most.
    pub async fn session_insert_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: SessionId,
        user: UserId,
        (life, ip): (Duration, Option<&str>),
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into session (organization_id, id, user_id, created_at, used_at, expires_at, ip)
             values ($1, $2, $3, {now}, {now}, {now} + $4, $5)",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(user.to_string())
            .bind(Micros(0).plus(life).0)
            .bind(ip)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// A person's sessions that are alive, oldest first, at most `limit`.
    pub async fn session_list(
        &self,
        org: OrgId,
        user: UserId,
        after: Option<SessionId>,
        limit: i64,
    ) -> StoreResult<Vec<Session>> {
        let mut reader = self.reader(org).await?;
        let sql = self.dialect.sql(
            "select * from session where organization_id = $1 and user_id = $2 and id > $3
               and revoked_at is null and expires_at > {now} order by id limit $4",
        );
        let rows = sqlx::query(sql)
            .bind(org.to_string())
            .bind(user.to_string())
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(reader.connection())
            .await?;
        all(&rows)
    }

    /// Ends a session of this person; true if it was alive.
    pub async fn session_revoke_of_in_txn(
        tx: &mut Tx,
        (org, user): (OrgId, UserId),
        id: SessionId,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update session set revoked_at = {now} where organization_id = $1 and user_id = $2 and id = $3
               and revoked_at is null and expires_at > {now}",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(user.to_string())
            .bind(id.to_string())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a session; true if it was alive.
    pub async fn session_revoke_in_txn(tx: &mut Tx, org: OrgId, id: SessionId) -> StoreResult<bool> {
        let sql = tx
            .sql("update session set revoked_at = {now} where organization_id = $1 and id = $2 and revoked_at is null");
        let done = sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends every session of a person but `kept`; tells how many were alive.
    pub async fn session_revoke_all_in_txn(
        tx: &mut Tx,
        org: OrgId,
        user: UserId,
        kept: Option<SessionId>,
    ) -> StoreResult<u64> {
        let sql = tx.sql(
            "update session set revoked_at = {now} where organization_id = $1 and user_id = $2 and id <> $3
               and revoked_at is null and expires_at > {now}",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(user.to_string())
            .bind(kept.map(|id| id.to_string()).unwrap_or_default())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected())
    }

    /// Keeps the hash of a session's next refresh token, good for `idle`.
    pub async fn refresh_token_insert_in_txn(
        tx: &mut Tx,
        org: OrgId,
        session: SessionId,
        hash: &str,
        idle: Duration,
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into refresh_token (organization_id, hash, session_id, created_at, expires_at)
             values ($1, $2, $3, {now}, {now} + $4)",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(hash)
            .bind(session.to_string())
            .bind(Micros(0).plus(idle).0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Uses a refresh token. Commit the transaction in every case: a reused one ends its session.
    pub async fn refresh_token_use_in_txn(tx: &mut Tx, hash: &str) -> StoreResult<RefreshOutcome> {
        let sql = tx
            .sql("update refresh_token set used_at = {now} where hash = $1 and used_at is null and expires_at > {now}");
        let fresh = sqlx::query(sql).bind(hash).execute(tx.connection()).await?.rows_affected() == 1;
        let sql = tx.sql(
            "select s.*, t.used_at as token_used_at from refresh_token t
             join session s on s.organization_id = t.organization_id and s.id = t.session_id
             where t.hash = $1 and s.revoked_at is null and s.expires_at > {now}",
        );
        let row = sqlx::query(sql).bind(hash).fetch_optional(tx.connection()).await?;
        let Some(row) = row else { return Ok(RefreshOutcome::Refused) };
        let session = Session::from_row(&row)?;
        if fresh {
            let sql = tx.sql("update session set used_at = {now} where id = $1");
            sqlx::query(sql).bind(session.id.to_string()).execute(tx.connection()).await?;
            return Ok(RefreshOutcome::Fresh(session));
        }
        if opt_time(&row, "token_used_at")?.is_none() {
            return Ok(RefreshOutcome::Refused);
        }
        Self::session_revoke_in_txn(tx, session.org, session.id).await?;
        Ok(RefreshOutcome::Reused(session))
    }
}

//! People who log in, and the setup token that lets the first of them in.

use std::time::Duration;

use sqlx::Row;
use sqlx::any::AnyRow;
use waybill_model::{Micros, OrgId, UserId};

use crate::error::StoreResult;
use crate::member::RoleChange;
use crate::reading::{FromRow, flag, int, one, parsed, text, time};
use crate::{Store, Tx};

/// A person. No `Debug`: it holds a password hash.
#[derive(Clone)]
pub struct User {
    /// The organization.
    pub org: OrgId,
    /// The id.
    pub id: UserId,
    /// E-mail address in lower case.
    pub email: String,
    /// Name to show.
    pub name: String,
    /// Argon2id in PHC form.
    pub password_hash: String,
    /// Role in the organization.
    pub role: String,
    /// May not log in.
    pub disabled: bool,
    /// Failed logins since the last good one.
    pub failed_logins: i64,
    /// No login before this time.
    pub locked_until: Micros,
    /// Rises with every change of role or state.
    pub version: i64,
    /// When the account was made.
    pub created_at: Micros,
    /// When it was changed last.
    pub updated_at: Micros,
}

impl FromRow for User {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            email: text(row, "email")?,
            name: text(row, "name")?,
            password_hash: text(row, "password_hash")?,
            role: text(row, "role")?,
            disabled: flag(row, "disabled")?,
            failed_logins: int(row, "failed_logins")?,
            locked_until: time(row, "locked_until")?,
            version: int(row, "version")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

impl Store {
    /// Adds a person; the times, counters and version of `user` are not looked at.
    pub async fn user_insert_in_txn(tx: &mut Tx, user: &User) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into app_user (organization_id, id, email, name, password_hash, role, disabled, failed_logins,
                                   locked_until, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, 0, 0, 0, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(user.org.to_string())
            .bind(user.id.to_string())
            .bind(&user.email)
            .bind(&user.name)
            .bind(&user.password_hash)
            .bind(&user.role)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One person.
    pub async fn user_get(&self, org: OrgId, id: UserId) -> StoreResult<Option<User>> {
        let mut reader = self.reader(org).await?;
        let row = sqlx::query("select * from app_user where organization_id = $1 and id = $2")
            .bind(org.to_string())
            .bind(id.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// The person of this e-mail address, in any organization: what a login begins with.
    pub async fn user_find_by_email(&self, email: &str) -> StoreResult<Option<User>> {
        let mut reader = self.reader_of_all().await?;
        let row = sqlx::query("select * from app_user where email = $1")
            .bind(email)
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// How many people there are on this instance; none means that the setup token is wanted.
    pub async fn user_count(&self) -> StoreResult<i64> {
        let mut reader = self.reader_of_all().await?;
        Ok(sqlx::query("select count(*) from app_user").fetch_one(reader.connection()).await?.try_get(0)?)
    }

    /// Gives a person another role or state if they are still as they were read, and an owner who may log in is left. Take the
    /// lock of [`Store::authority_lock_in_txn`] before.
    pub async fn user_update_in_txn(tx: &mut Tx, user: &User, role: &str, disabled: bool) -> StoreResult<RoleChange> {
        let sql = tx.sql(
            "update app_user set role = $4, disabled = $5, version = version + 1, updated_at = {now}
             where organization_id = $1 and id = $2 and version = $3
               and (role <> 'owner' or disabled <> 0 or ($4 = 'owner' and $5 = 0)
                    or exists (select 1 from app_user o where o.organization_id = $1 and o.id <> $2
                               and o.role = 'owner' and o.disabled = 0))",
        );
        let done = sqlx::query(sql)
            .bind(user.org.to_string())
            .bind(user.id.to_string())
            .bind(user.version)
            .bind(role)
            .bind(i64::from(disabled))
            .execute(tx.connection())
            .await?;
        if done.rows_affected() == 1 {
            return Ok(RoleChange::Done);
        }
        let same = sqlx::query("select 1 from app_user where organization_id = $1 and id = $2 and version = $3")
            .bind(user.org.to_string())
            .bind(user.id.to_string())
            .bind(user.version)
            .fetch_optional(tx.connection())
            .await?;
        Ok(if same.is_some() { RoleChange::LastOwner } else { RoleChange::Stale })
    }

    /// Counts a failed login and keeps the account closed for `pause`.
    pub async fn user_login_failed_in_txn(tx: &mut Tx, org: OrgId, id: UserId, pause: Duration) -> StoreResult<()> {
        let sql = tx.sql(
            "update app_user set failed_logins = failed_logins + 1, locked_until = {now} + $3
             where organization_id = $1 and id = $2",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(Micros(0).plus(pause).0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Forgets failed logins after a good one.
    pub async fn user_login_reset_in_txn(tx: &mut Tx, org: OrgId, id: UserId) -> StoreResult<()> {
        sqlx::query("update app_user set failed_logins = 0, locked_until = 0 where organization_id = $1 and id = $2")
            .bind(org.to_string())
            .bind(id.to_string())
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Keeps the hash of a setup token for `life`.
    pub async fn setup_token_insert_in_txn(tx: &mut Tx, hash: &str, life: Duration) -> StoreResult<()> {
        let sql = tx.sql("insert into setup_token (hash, created_at, expires_at) values ($1, {now}, {now} + $2)");
        sqlx::query(sql).bind(hash).bind(Micros(0).plus(life).0).execute(tx.connection()).await?;
        Ok(())
    }

    /// Uses a setup token: true for the one caller that came first and in time.
    pub async fn setup_token_use_in_txn(tx: &mut Tx, hash: &str) -> StoreResult<bool> {
        let sql =
            tx.sql("update setup_token set used_at = {now} where hash = $1 and used_at is null and expires_at > {now}");
        Ok(sqlx::query(sql).bind(hash).execute(tx.connection()).await?.rows_affected() == 1)
    }
}

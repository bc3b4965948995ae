//! Whose rows a transaction may touch. On Postgres every table of tenants has a policy that shows a row only to a
//! transaction that named its organization, or said that it acts for all: a statement that forgot its organization finds
//! nothing of another one, and a connection that named nobody finds nothing at all.
//!
//! The name stands for one transaction and ends with it, so that no connection carries it to its next user. It never
//! comes from outside: it is a typed id, or the one word that no id is.

use sqlx::pool::PoolConnection;
use sqlx::{Any, AssertSqlSafe};
use waybill_model::OrgId;

use crate::error::{StoreError, StoreResult};
use crate::reading::int;
use crate::{Dialect, Store};

/// Whose rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One organization's.
    Of(OrgId),
    /// Everybody's: for loops, and for what happens before it is known who calls.
    All,
}

impl Reach {
    /// What the policies compare with `organization_id`.
    fn name(self) -> String {
        match self {
            Self::Of(org) => org.to_string(),
            Self::All => "*".to_owned(),
        }
    }

    /// How a transaction begins that writes.
    pub(crate) fn begin_write(self, dialect: Dialect) -> AssertSqlSafe<String> {
        AssertSqlSafe(match dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE".to_owned(),
            Dialect::Postgres => format!("BEGIN; SET LOCAL waybill.organization = '{}'", self.name()),
        })
    }

    /// What names it for as long as a connection lives; for one that no pool gets back.
    pub(crate) fn of_session(self, dialect: Dialect) -> Option<AssertSqlSafe<String>> {
        (dialect == Dialect::Postgres).then(|| AssertSqlSafe(format!("SET waybill.organization = '{}'", self.name())))
    }

    /// How a transaction begins that reads; a database without policies needs none for one statement.
    fn begin_read(self, dialect: Dialect) -> Option<AssertSqlSafe<String>> {
        (dialect == Dialect::Postgres)
            .then(|| AssertSqlSafe(format!("BEGIN READ ONLY; SET LOCAL waybill.organization = '{}'", self.name())))
    }
}

/// A connection that reads. Its transaction, where it has one, ends with it.
pub(crate) enum Reader {
    Plain(PoolConnection<Any>),
    Walled(sqlx::Transaction<'static, Any>),
}

impl Reader {
    pub(crate) fn connection(&mut self) -> &mut <Any as sqlx::Database>::Connection {
        match self {
            Self::Plain(connection) => connection,
            Self::Walled(transaction) => transaction,
        }
    }
}

/// Whether the database itself keeps organizations apart, behind the statements that do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowSecurity {
    /// It has no such means: SQLite.
    Absent,
    /// It does.
    Enforced,
    /// It would, but not for the user of this URL: a superuser, or one with BYPASSRLS.
    Bypassed,
}

impl Store {
    /// Reads what is one organization's.
    pub(crate) async fn reader(&self, org: OrgId) -> StoreResult<Reader> {
        self.reaching(Reach::Of(org)).await
    }

    /// Reads what is everybody's.
    pub(crate) async fn reader_of_all(&self) -> StoreResult<Reader> {
        self.reaching(Reach::All).await
    }

    async fn reaching(&self, reach: Reach) -> StoreResult<Reader> {
        Ok(match reach.begin_read(self.dialect) {
            Some(begin) => Reader::Walled(self.begun(begin).await?),
            None => Reader::Plain(self.pool.acquire().await?),
        })
    }

    /// Begins, whatever becomes of the caller meanwhile: a beginning that were cut off in the middle would leave its
    /// connection in a transaction that the driver does not know of, for the next user to be in.
    pub(crate) async fn begun(&self, begin: AssertSqlSafe<String>) -> StoreResult<sqlx::Transaction<'static, Any>> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin_with(begin).await }).await;
        Ok(begun.map_err(|_| StoreError::Unavailable(sqlx::Error::WorkerCrashed))??)
    }

    /// Whether the second wall stands for the user of this store's URL.
    pub async fn row_security(&self) -> StoreResult<RowSecurity> {
        if self.dialect == Dialect::Sqlite {
            return Ok(RowSecurity::Absent);
        }
        let row = sqlx::query(
            "select cast(count(*) as bigint) as n from pg_roles
             where rolname = current_user and (rolsuper or rolbypassrls)",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::from)?;
        Ok(if int(&row, "n")? == 0 { RowSecurity::Enforced } else { RowSecurity::Bypassed })
    }
}

#[cfg(test)]
mod tests;

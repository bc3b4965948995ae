//! What can go wrong in the store, told apart by what the caller does next: wait, refuse, or report a defect.
//!
//! Database text stays in `#[source]` for the log; it is never part of an answer to a client.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away or too busy: nothing was changed, try again. HTTP turns it into 503.
    #[error("the database cannot be reached or is busy")]
    Unavailable(#[source] sqlx::Error),
    /// A unique index refused the row: somebody else was first.
    #[error("a row with this key exists already")]
    Conflict(#[source] sqlx::Error),
    /// A foreign key refused the row: what it points at is not there.
    #[error("a row that this one refers to does not exist")]
    Dangling(#[source] sqlx::Error),
    /// A stored value can't be read as what it should be.
    #[error("the column {column} holds an unreadable value")]
    Unreadable {
        /// The column.
        column: &'static str,
    },
    /// The URL is neither `sqlite://` nor `postgres://`.
    #[error("the database URL must begin with sqlite:// or postgres://")]
    Scheme,
    /// This process no longer leads the loop it writes for.
    #[error("another orchestrator leads the loop {name}")]
    StaleLeader {
        /// The loop.
        name: &'static str,
    },
    /// The schema could not be brought up to date.
    #[error("the database schema could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// Anything else: a defect in a statement or a damaged database.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
}

/// A result of the store.
pub type StoreResult<T> = Result<T, StoreError>;

impl StoreError {
    /// Whether the same call may succeed a little later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether somebody else was first with the same key.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            E::Database(db) if db.is_unique_violation() => Self::Conflict(error),
            E::Database(db) if db.is_foreign_key_violation() => Self::Dangling(error),
            E::Database(db) if db.code().is_some_and(|code| passes(&code)) => Self::Unavailable(error),
            _ => Self::Database(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) => match Self::from(error) {
                Self::Database(error) => Self::Migrate(sqlx::migrate::MigrateError::Execute(error)),
                other => other,
            },
            other => Self::Migrate(other),
        }
    }
}

/// SQLite result codes (busy, locked, I/O, full, can't open, with their extended forms) and Postgres SQLSTATEs
/// (connection, resources, shutdown, serialization, lock timeout, read-only after a failover) that pass by themselves.
fn passes(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57P"].iter().any(|class| code.starts_with(class))
            || ["40001", "40P01", "55P03", "25006"].contains(&code);
    }
    code.parse::<u32>().is_ok_and(|code| [5, 6, 10, 13, 14].contains(&(code & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_that_pass_by_themselves_are_told_from_defects() {
        for code in ["5", "6", "261", "517", "13", "08006", "57P01", "40001", "53300"] {
            assert!(passes(code), "{code}");
        }
        for code in ["1", "19", "42P01", "22P02", "23505"] {
            assert!(!passes(code), "{code}");
        }
    }
}

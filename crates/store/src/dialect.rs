//! Where SQLite and Postgres differ: the clock and session settings here, how a transaction begins in `reach`, and nothing else.

use sqlx::AssertSqlSafe;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite, in a file.
    Sqlite,
    /// PostgreSQL, 14 or newer.
    Postgres,
}

impl Dialect {
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        match url.split_once("://")?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// A SQLite file is made where none is.
    pub(crate) fn complete_url(self, url: &str) -> String {
        match self {
            Self::Sqlite if !url.contains("mode=") => {
                let joint = if url.contains('?') { '&' } else { '?' };
                format!("{url}{joint}mode=rwc")
            }
            _ => url.to_owned(),
        }
    }

    /// Microseconds since 1970 by the database's clock, as an expression.
    const fn clock(self) -> &'static str {
        match self {
            Self::Sqlite => "cast(unixepoch('now', 'subsec') * 1000000 as integer)",
            Self::Postgres => "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        }
    }

    /// A statement with the clock in place of `{now}`. Takes constants only: values are bound, never pasted.
    pub(crate) fn sql(self, text: &'static str) -> AssertSqlSafe<String> {
        self.sql_of(text)
    }

    /// The same for a text that this crate put together of constants.
    pub(crate) fn sql_of(self, text: &str) -> AssertSqlSafe<String> {
        AssertSqlSafe(text.replace("{now}", self.clock()))
    }

    pub(crate) fn session_statements(self, patience_ms: u128) -> Vec<String> {
        match self {
            Self::Sqlite => vec![
                format!("PRAGMA busy_timeout = {patience_ms}"),
                "PRAGMA journal_mode = WAL".to_owned(),
                "PRAGMA synchronous = NORMAL".to_owned(),
                "PRAGMA foreign_keys = ON".to_owned(),
            ],
            Self::Postgres => vec![
                format!("SET lock_timeout = {patience_ms}"),
                "SET idle_in_transaction_session_timeout = '60s'".to_owned(),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_tells_the_database_and_a_missing_file_is_made() {
        assert_eq!(Dialect::of_url("mysql://x"), None);
        assert_eq!(Dialect::of_url("postgres://x/y"), Some(Dialect::Postgres));
        assert_eq!(Dialect::Sqlite.complete_url("sqlite:///tmp/a.db"), "sqlite:///tmp/a.db?mode=rwc");
        assert_eq!(Dialect::Sqlite.complete_url("sqlite:///tmp/a.db?mode=ro"), "sqlite:///tmp/a.db?mode=ro");
    }
}

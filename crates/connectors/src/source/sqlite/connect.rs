//! Opening a file for reading, and what SQLite's own error codes mean here.
//!
//! SQLite's messages may repeat a value of a row, so only their code is kept.

use std::path::Path;
use std::time::Duration;

use rusqlite::limits::Limit;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

/// How long a writer that holds the file is waited for.
const BUSY: Duration = Duration::from_secs(30);

/// The longest value where nobody reads rows: only the schema, and what a window looks at.
pub(super) const LOOKED_AT: usize = 8 << 20;
/// A table's own statement may be so long, whatever a row may take.
const LEAST: usize = 64 << 10;

/// A connection inside a read transaction; its end closes both.
pub(super) struct Reading(Connection);

impl Reading {
    /// Opens the file and begins the transaction that every later read of this stream belongs to. From its first read on SQLite
    /// refuses a value that is longer, before it loads it.
    pub(super) fn begin(path: &Path, longest: usize) -> FaultResult<Self> {
        if !path.exists() {
            let text = format!("there is no file {} where the worker runs", path.display());
            return Err(Fault::new(FailureCode::SourceUnreachable, text));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|e| fault(&e))?;
        limit(&connection, longest.max(LEAST))?;
        let prepared = connection
            .busy_timeout(BUSY)
            .and_then(|()| connection.pragma_update(None, "query_only", true))
            .and_then(|()| connection.pragma_update(None, "trusted_schema", false))
            .and_then(|()| connection.execute_batch("BEGIN"))
            // A transaction is a snapshot only from its first read on.
            .and_then(|()| connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)));
        prepared.map_err(|e| fault(&e))?;
        Ok(Self(connection))
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.0
    }
}

/// The longest value from now on; gives what held before.
pub(super) fn limit(connection: &Connection, longest: usize) -> FaultResult<usize> {
    let longest = i32::try_from(longest).unwrap_or(i32::MAX);
    let before = connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, longest).map_err(|e| fault(&e))?;
    Ok(usize::try_from(before).unwrap_or(usize::MAX))
}

/// Runs SQLite's blocking calls off the runtime.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> FaultResult<T> + Send + 'static,
) -> FaultResult<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Fault::new(FailureCode::WorkerBug, "reading SQLite panicked")),
    }
}

/// The public code of an SQLite error.
pub(super) fn fault(error: &rusqlite::Error) -> Fault {
    let Some(code) = error.sqlite_error_code() else {
        return Fault::new(FailureCode::SourceFailed, "SQLite gave an answer that was not expected");
    };
    let public = match code {
        ErrorCode::TooBig => {
            let text =
                "a value or a row is larger than an eighth of the memory budget, or than 8 MiB where no rows are read";
            return Fault::new(FailureCode::RowTooLarge, text);
        }
        ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt => FailureCode::SourceMalformed,
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            FailureCode::SourceDenied
        }
        _ => FailureCode::SourceFailed,
    };
    Fault::new(public, format!("SQLite answered {code:?}"))
}

//! The directory of one attempt: the log whose lock says that a task lives, the task's reference, its exit code.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use waybill_model::AttemptId;

use super::reference::ProcessRef;

/// The attempt's directory, whether it exists or not.
#[derive(Clone)]
pub(super) struct AttemptDirectory(PathBuf);

/// The log file under an exclusive lock. A process that inherits the file holds the lock as long as it lives.
pub(super) struct LockedLog(File);

/// Who may start the attempt's task.
pub(super) enum Entry {
    /// We: nobody holds the lock and no task was ever recorded.
    Ours(LockedLog),
    /// Somebody did; the task may live or not.
    Started(ProcessRef),
    /// Somebody is about to.
    Busy,
}

impl LockedLog {
    pub(super) fn into_file(self) -> File {
        self.0
    }
}

impl AttemptDirectory {
    pub(super) fn new(root: &Path, attempt: AttemptId) -> Self {
        Self(root.join(attempt.to_string()))
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("worker.log")
    }

    /// Makes the directory, or finds out who was here before.
    pub(super) fn enter(&self) -> Result<Entry> {
        make_private(&self.0)?;
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(self.log())?;
        match log.try_lock() {
            Ok(()) => Ok(self.task()?.map_or(Entry::Ours(LockedLog(log)), Entry::Started)),
            Err(TryLockError::WouldBlock) => Ok(self.task()?.map_or(Entry::Busy, Entry::Started)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The recorded task.
    pub(super) fn task(&self) -> Result<Option<ProcessRef>> {
        match std::fs::read_to_string(self.0.join("task")) {
            Ok(text) => ProcessRef::parse(&text).map(Some).ok_or_else(|| ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Records the task: the whole reference or none.
    pub(super) fn keep_task(&self, task: &ProcessRef) -> Result<()> {
        self.keep("task", &task.to_task().0)
    }

    pub(super) fn keep_exit_code(&self, code: i32) -> Result<()> {
        self.keep("exit", &code.to_string())
    }

    pub(super) fn exit_code(&self) -> Option<i32> {
        std::fs::read_to_string(self.0.join("exit")).ok()?.trim().parse().ok()
    }

    fn keep(&self, name: &str, text: &str) -> Result<()> {
        let draft = self.0.join(format!("{name}.draft"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(draft, self.0.join(name))
    }
}

/// Makes a directory that only this user can enter.
pub(super) fn make_private(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

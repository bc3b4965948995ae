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

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exit {
    /// 128 and the signal's number where a signal ended it.
    pub(super) code: i32,
    pub(super) out_of_memory: bool,
}

const OUT_OF_MEMORY: &str = "out_of_memory";

impl LockedLog {
    pub(super) fn into_file(self) -> File {
        self.0
    }
}

impl AttemptDirectory {
    pub(super) fn new(root: &Path, attempt: AttemptId) -> Self {
        Self(root.join(attempt.to_string()))
    }

    pub(super) const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Removes it with all that is in it, unless a process holds its log; true where it went.
    pub(super) fn remove_if_over(&self) -> Result<bool> {
        let log = match OpenOptions::new().append(true).open(self.log()) {
            Ok(log) => Some(log),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match log.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => return Ok(false),
            Some(Err(TryLockError::Error(error))) => return Err(error),
            Some(Ok(())) | None => {}
        }
        std::fs::remove_dir_all(&self.0).map(|()| true)
    }

    /// Whether a process holds its log.
    pub(super) fn is_held(&self) -> Result<bool> {
        let log = match OpenOptions::new().append(true).open(self.log()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened?,
        };
        match log.try_lock() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
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

    pub(super) fn keep_exit(&self, exit: Exit) -> Result<()> {
        let why = if exit.out_of_memory { OUT_OF_MEMORY } else { "" };
        self.keep("exit", format!("{} {why}", exit.code).trim_end())
    }

    /// How the task ended, where somebody saw it.
    pub(super) fn exit(&self) -> Option<Exit> {
        let text = std::fs::read_to_string(self.0.join("exit")).ok()?;
        let mut words = text.split_whitespace();
        let code = words.next()?.parse().ok()?;
        Some(Exit { code, out_of_memory: words.next() == Some(OUT_OF_MEMORY) })
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

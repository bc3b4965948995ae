//! The state directory: the agent's identity and which attempts it was given. Only its own user may read it, one agent
//! at a time uses it, and a file is replaced in one step.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use waybill_model::AttemptId;

use crate::identity::Identity;

const IDENTITY: &str = "identity.json";
const LOCK: &str = "lock";
const TASKS: &str = "tasks";

/// Why the state directory can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// A file or directory failed.
    #[error("{}", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another agent uses it.
    #[error("another agent runs with {}", .0.display())]
    InUse(PathBuf),
    /// Others can read the key.
    #[error("{} can be read by others; run `chmod 600` on it, and enrol anew if others had access", .0.display())]
    Open(PathBuf),
    /// The identity is damaged.
    #[error("{} can't be read as an agent's identity; enrol anew", .0.display())]
    Damaged(PathBuf),
    /// There is none yet.
    #[error("{} holds no identity: run `waybill-agent enrol` first", .0.display())]
    Missing(PathBuf),
}

/// An open state directory.
pub(crate) struct State {
    path: PathBuf,
    _lock: File,
}

impl State {
    /// Opens the directory, made where it is missing, for this process alone.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| StateError::Io { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))?;
        let tasks = path.join(TASKS);
        DirBuilder::new().recursive(true).mode(0o700).create(&tasks).map_err(failed(&tasks))?;
        let lock = path.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock);
        let file = file.map_err(failed(&lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path: path.to_path_buf(), _lock: file }),
            Err(fs::TryLockError::WouldBlock) => Err(StateError::InUse(path.to_path_buf())),
            Err(fs::TryLockError::Error(source)) => Err(StateError::Io { path: lock, source }),
        }
    }

    /// Where the launcher keeps its attempts.
    pub(crate) fn attempts(&self) -> PathBuf {
        self.path.join("attempts")
    }

    /// Where the guard's copy is kept that containers see.
    pub(crate) fn guard(&self) -> PathBuf {
        self.path.join("guard")
    }

    /// The identity.
    pub(crate) fn identity(&self) -> Result<Identity, StateError> {
        let path = self.path.join(IDENTITY);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(StateError::Missing(self.path.clone())),
            read => zeroize::Zeroizing::new(read.map_err(|source| StateError::Io { path: path.clone(), source })?),
        };
        let mode = fs::metadata(&path).map_err(|source| StateError::Io { path: path.clone(), source })?;
        if mode.permissions().mode() & 0o077 != 0 {
            return Err(StateError::Open(path));
        }
        serde_json::from_slice(&text).map_err(|_| StateError::Damaged(path))
    }

    /// Keeps the identity: the whole of it, on the disk, before this returns.
    pub(crate) fn keep_identity(&self, identity: &Identity) -> Result<(), StateError> {
        let path = self.path.join(IDENTITY);
        let text = serde_json::to_vec(identity).map_err(|_| StateError::Damaged(path.clone()))?;
        let text = zeroize::Zeroizing::new(text);
        self.replace(IDENTITY, &text).map_err(|source| StateError::Io { path, source })
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let draft = self.path.join(format!("{name}.draft"));
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }

    /// Attempts that were given to this agent and not forgotten since.
    pub(crate) fn tasks(&self) -> Vec<AttemptId> {
        let entries = fs::read_dir(self.path.join(TASKS)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// Notes that an attempt is this agent's, before anything is started for it.
    pub(crate) fn note(&self, attempt: AttemptId) -> Result<(), StateError> {
        let path = self.path.join(TASKS).join(attempt.to_string());
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let kept = made.and_then(|_| File::open(self.path.join(TASKS))?.sync_all());
        kept.map_err(|source| StateError::Io { path, source })
    }

    /// Forgets an attempt. One that can't be forgotten is only told of again.
    pub(crate) fn forget(&self, attempt: AttemptId) {
        let path = self.path.join(TASKS).join(attempt.to_string());
        if let Err(error) = fs::remove_file(path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(attempt.id = %attempt, error = %error.kind(), "an attempt could not be forgotten");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_at_a_time_uses_a_directory_that_only_it_can_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let first = State::open(&path).unwrap();
        assert!(matches!(State::open(&path), Err(StateError::InUse(_))));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(first.identity(), Err(StateError::Missing(_))));
        drop(first);
        assert!(State::open(&path).is_ok());
    }

    #[test]
    fn an_identity_is_kept_for_its_own_user_and_refused_where_others_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::open(dir.path()).unwrap();
        let identity = Identity::example();
        state.keep_identity(&identity).unwrap();
        let path = dir.path().join(IDENTITY);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(state.identity().unwrap().generation, identity.generation);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(state.identity(), Err(StateError::Open(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "{").unwrap();
        assert!(matches!(state.identity(), Err(StateError::Damaged(_))));
    }

    #[test]
    fn noted_attempts_are_found_again_until_they_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (AttemptId::generate(), AttemptId::generate());
        let state = State::open(dir.path()).unwrap();
        state.note(one).unwrap();
        state.note(two).unwrap();
        state.note(one).unwrap();
        state.forget(two);
        state.forget(two);
        drop(state);
        assert_eq!(State::open(dir.path()).unwrap().tasks(), [one]);
    }
}

//! The guard as containers see it: a copy in a directory of the agent's, which is what they are given.
//!
//! A container that is given a file holds on to that file: whoever replaces it changes nothing for workers under way. So the
//! copy follows the host's file, whatever way that one is changed. It must never allow more than the host's file does: what
//! can't be read is taken away, and workers refuse without it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::state::StateError;

/// Between two looks at the host's file.
const LOOK: Duration = Duration::from_secs(1);
/// More than any guard may have: a longer file is copied as far as this, and refused by whoever reads it.
const MOST: u64 = 1 << 20;

/// A copy that follows its file.
pub(super) struct Copied {
    from: PathBuf,
    dir: PathBuf,
    name: String,
}

impl Copied {
    /// Makes the directory and the first copy.
    pub(super) fn of(from: &Path, dir: PathBuf) -> Result<Self, StateError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| StateError::Io { path, source }
        };
        // The engine passes the directory on to a worker of another user.
        DirBuilder::new().recursive(true).mode(0o755).create(&dir).map_err(failed(&dir))?;
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).map_err(failed(&dir))?;
        let ending = from.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
        let copied = Self { from: from.to_path_buf(), dir, name: format!("guard{ending}") };
        copied.renew().map_err(failed(from))?;
        Ok(copied)
    }

    /// What is given to containers.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The copy's name in there.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Follows the host's file for as long as this process runs.
    pub(super) fn follow(self) {
        tokio::task::spawn_blocking(move || {
            let mut missed = None;
            loop {
                std::thread::sleep(LOOK);
                let now = self.renew().err().map(|error| error.kind());
                if now != missed {
                    match now {
                        Some(kind) => {
                            tracing::error!(path = %self.from.display(), error = %kind, "the guard can't be read: workers are refused")
                        }
                        None => tracing::info!(path = %self.from.display(), "the guard is there again"),
                    }
                    missed = now;
                }
            }
        });
    }

    /// Makes the copy what the file is, in one step; takes it away where the file can't be read.
    fn renew(&self) -> std::io::Result<()> {
        let copy = self.dir.join(&self.name);
        let wanted = read(&self.from).inspect_err(|_| {
            if let Err(error) = fs::remove_file(&copy)
                && error.kind() != ErrorKind::NotFound
            {
                tracing::error!(path = %copy.display(), error = %error.kind(), "the guard's copy can't be taken away");
            }
        })?;
        if read(&copy).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        let draft = self.dir.join(".next");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&wanted.text)?;
        file.set_permissions(Permissions::from_mode(wanted.mode))?;
        file.sync_all()?;
        fs::rename(&draft, &copy)
    }
}

/// A guard's text, and who may read and write it: a worker refuses one that everybody may write.
#[derive(PartialEq, Eq)]
struct Text {
    text: Vec<u8>,
    mode: u32,
}

fn read(path: &Path) -> std::io::Result<Text> {
    let file = File::open(path)?;
    let mode = file.metadata()?.mode() & 0o777;
    let mut text = Vec::new();
    file.take(MOST).read_to_end(&mut text)?;
    Ok(Text { text, mode })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_what_the_file_is_however_that_is_changed() {
        let dir = tempfile::tempdir().expect("a directory");
        let from = dir.path().join("guard.toml");
        let write = |path: &Path, text: &str, mode| {
            fs::write(path, text).expect("written");
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("permissions");
        };
        write(&from, "guard = 1\n", 0o644);
        let copied = Copied::of(&from, dir.path().join("state/guard")).expect("a copy");
        let copy = copied.dir().join("guard.toml");
        let seen = || fs::read_to_string(&copy).ok().zip(fs::metadata(&copy).ok().map(|found| found.mode() & 0o777));
        assert_eq!((copied.name(), seen()), ("guard.toml", Some(("guard = 1\n".to_owned(), 0o644))));
        // In place, by another file in its place, by its mode alone, and taken away.
        write(&from, "guard = 1\nstop = true\n", 0o644);
        copied.renew().expect("renewed");
        assert_eq!(seen(), Some(("guard = 1\nstop = true\n".to_owned(), 0o644)));
        write(&dir.path().join("other"), "guard = 2\n", 0o640);
        fs::rename(dir.path().join("other"), &from).expect("renamed");
        copied.renew().expect("renewed");
        assert_eq!(seen(), Some(("guard = 2\n".to_owned(), 0o640)));
        fs::set_permissions(&from, Permissions::from_mode(0o666)).expect("permissions");
        copied.renew().expect("renewed");
        assert_eq!(seen(), Some(("guard = 2\n".to_owned(), 0o666)));
        fs::remove_file(&from).expect("removed");
        assert!(copied.renew().is_err() && seen().is_none());
    }
}

//! The key directory that all replicas share: one file per key, 0600, never overwritten by a second writer.
//!
//! A file appears complete or not at all (written aside, then linked to its name), so two replicas that start at once
//! agree on one key. A file that group or others can read is refused.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::error::{IdentityError, IdentityResult};

/// A directory of key files.
#[derive(Clone, Debug)]
pub struct KeyDirectory {
    path: PathBuf,
    create: bool,
}

impl KeyDirectory {
    /// A directory whose keys must be there already: what production uses.
    #[must_use]
    pub fn existing(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), create: false }
    }

    /// A directory that is made, with its keys, where they are missing: what `--dev` uses.
    #[must_use]
    pub fn created(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), create: true }
    }

    /// Reads a key file, or makes it where this directory makes missing keys.
    pub fn read_or_make(
        &self,
        name: &str,
        make: impl FnOnce() -> IdentityResult<Zeroizing<Vec<u8>>>,
    ) -> IdentityResult<Zeroizing<Vec<u8>>> {
        let path = self.path.join(name);
        if let Some(found) = read(&path)? {
            return Ok(found);
        }
        if !self.create {
            let what =
                "is missing; copy it from another replica, or make new ones with `waybill-orchestrator keys make`";
            return Err(IdentityError::KeyFile { path, what });
        }
        self.make_directory()?;
        let fresh = make()?;
        match self.place(name, &fresh)? {
            Placed::Mine => Ok(fresh),
            Placed::Anothers => read(&path)?.ok_or(IdentityError::KeyFile { path, what: "vanished while it was made" }),
        }
    }

    /// Replaces a key file in one step.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> IdentityResult<()> {
        let (aside, path) = (self.aside(name), self.path.join(name));
        write_new(&aside, bytes).and_then(|()| fs::rename(&aside, &path)).map_err(|source| io(&path, source))
    }

    fn make_directory(&self) -> IdentityResult<()> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|source| io(&self.path, source))
    }

    fn place(&self, name: &str, bytes: &[u8]) -> IdentityResult<Placed> {
        let (aside, path) = (self.aside(name), self.path.join(name));
        write_new(&aside, bytes).map_err(|source| io(&aside, source))?;
        let linked = fs::hard_link(&aside, &path);
        fs::remove_file(&aside).map_err(|source| io(&aside, source))?;
        match linked {
            Ok(()) => {
                let synced = fs::File::open(&self.path).and_then(|dir| dir.sync_all());
                synced.map_err(|source| io(&self.path, source))?;
                Ok(Placed::Mine)
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Placed::Anothers),
            Err(source) => Err(io(&path, source)),
        }
    }

    /// A name that no other process and no other thread takes.
    fn aside(&self, name: &str) -> PathBuf {
        let mut unique = [0_u8; 8];
        aws_lc_rs::rand::fill(&mut unique).expect("the system's random source");
        self.path.join(format!(".{name}.{}", hex::encode(unique)))
    }
}

enum Placed {
    Mine,
    Anothers,
}

fn read(path: &Path) -> IdentityResult<Option<Zeroizing<Vec<u8>>>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(io(path, source)),
    };
    let mode = fs::metadata(path).map_err(|source| io(path, source))?.permissions().mode();
    if mode & 0o077 != 0 {
        let what = "can be read by others; run `chmod 600` on it, and replace the key if others had access";
        return Err(IdentityError::KeyFile { path: path.into(), what });
    }
    Ok(Some(bytes))
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn io(path: &Path, source: std::io::Error) -> IdentityError {
    IdentityError::Io { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: u8) -> IdentityResult<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(vec![value; 32]))
    }

    #[test]
    fn a_made_key_file_is_private_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyDirectory::created(dir.path().join("keys"));
        let first = keys.read_or_make("x.key", || bytes(1)).unwrap();
        let second = keys.read_or_make("x.key", || bytes(2)).unwrap();
        assert_eq!(first, second);
        let mode = fs::metadata(dir.path().join("keys/x.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path().join("keys")).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn racing_replicas_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyDirectory::created(dir.path());
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let keys = keys.clone();
                std::thread::spawn(move || keys.read_or_make("x.key", || bytes(n)).unwrap())
            })
            .collect();
        let found: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert!(found.iter().all(|key| *key == found[0]));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.key");
        fs::write(&path, [1; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = KeyDirectory::existing(dir.path()).read_or_make("x.key", || bytes(1)).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_missing_key_is_not_made_outside_dev() {
        let dir = tempfile::tempdir().unwrap();
        let error = KeyDirectory::existing(dir.path()).read_or_make("x.key", || bytes(1)).unwrap_err();
        assert!(error.to_string().contains("is missing"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}

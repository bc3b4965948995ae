//! Where a key lies: the walk from the root to its directory, without ever leaving the root.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::bucket::{BucketError, BucketResult, ObjectMeta};

use super::os;

/// What temporary names begin with: never a version's digits, so that no log reader takes one for a commit.
pub(super) const TEMP: &str = ".waybill-tmp-";
/// What a path in a URL shows as it is.
const URL: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');
const KEY_BYTES: usize = 1024;
const NAME_BYTES: usize = 255;

/// The directory below which every key lies.
pub(super) struct Root {
    path: PathBuf,
    dir: OwnedFd,
}

/// A key whose directory is open.
pub(super) struct Spot {
    dir: OwnedFd,
    name: String,
    pub(super) key: String,
}

impl Root {
    pub(super) fn open(path: &Path) -> BucketResult<Self> {
        let lost = |error| root_failure(&error, "open", path);
        let path = path.canonicalize().map_err(lost)?;
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| lost(os(errno)))?;
        Ok(Self { path, dir })
    }

    /// `file://` and the path, percent-encoded.
    pub(super) fn url(&self) -> String {
        format!("file://{}", utf8_percent_encode(&self.path.to_string_lossy(), URL))
    }

    /// The spot of a key, with its directories made.
    pub(super) fn make(&self, key: &str) -> BucketResult<Spot> {
        let (dirs, name) = split(key)?;
        let mut dir = self.duplicate()?;
        for step in dirs {
            dir = match enter(&dir, step) {
                Err(Errno::NOENT) => {
                    make_dir(&dir, step).map_err(|errno| failure(&os(errno), "make a directory for", key))?;
                    enter(&dir, step)
                }
                entered => entered,
            }
            .map_err(|errno| walk_failure(errno, key))?;
        }
        Ok(Spot { dir, name: name.to_owned(), key: key.to_owned() })
    }

    /// The spot of a key; none where a directory of it is not there.
    pub(super) fn find(&self, key: &str) -> BucketResult<Option<Spot>> {
        let (dirs, name) = split(key)?;
        let mut dir = self.duplicate()?;
        for step in dirs {
            dir = match enter(&dir, step) {
                Ok(dir) => dir,
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(walk_failure(errno, key)),
            };
        }
        Ok(Some(Spot { dir, name: name.to_owned(), key: key.to_owned() }))
    }

    /// Opens a key for reading; none where there is no such file.
    pub(super) fn open_file(&self, key: &str) -> BucketResult<Option<File>> {
        let Some(spot) = self.find(key)? else { return Ok(None) };
        // Not blocking, so that a pipe under this name can't hold the worker.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::openat(&spot.dir, &spot.name, flags, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                let meta = file.metadata().map_err(|error| failure(&error, "look at", key))?;
                if meta.is_file() { Ok(Some(file)) } else { Err(not_a_file(key)) }
            }
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(walk_failure(errno, key)),
        }
    }

    /// The directory of the root, to be walked from.
    pub(super) fn duplicate(&self) -> BucketResult<OwnedFd> {
        self.dir.try_clone().map_err(|error| failure(&error, "open the directory", ""))
    }
}

impl Spot {
    pub(super) fn exists(&self) -> BucketResult<bool> {
        match rustix::fs::statat(&self.dir, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(walk_failure(errno, &self.key)),
        }
    }

    /// A new temporary file in the same directory.
    pub(super) fn temp(&self) -> BucketResult<(String, File)> {
        let name = format!("{TEMP}{}", uuid::Uuid::new_v4());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, &name, flags, Mode::from_raw_mode(0o644));
        let file = file.map_err(|errno| failure(&os(errno), "create a file for", &self.key))?;
        Ok((name, File::from(file)))
    }

    /// Gives a temporary file the key's name, unless the name is taken.
    pub(super) fn link(&self, temp: &str) -> BucketResult<bool> {
        match rustix::fs::linkat(&self.dir, temp, &self.dir, &self.name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK) => {
                let text = "the file system has no hard links, so nothing can be created atomically on it";
                Err(BucketError::new(FailureCode::BucketUnconditional, text))
            }
            Err(errno) => Err(failure(&os(errno), "link", &self.key)),
        }
    }

    /// Gives a temporary file the name, over one that may have it.
    pub(super) fn rename(&self, temp: &str) -> BucketResult<()> {
        rustix::fs::renameat(&self.dir, temp, &self.dir, &self.name)
            .map_err(|errno| failure(&os(errno), "replace", &self.key))
    }

    /// Removes a temporary file; one that stays is never read.
    pub(super) fn drop_temp(&self, temp: &str) {
        let _ = rustix::fs::unlinkat(&self.dir, temp, AtFlags::empty());
    }

    /// Makes the directory's entries durable. A failure here leaves open whether the object outlives a power cut.
    pub(super) fn settle(&self) -> BucketResult<()> {
        rustix::fs::fsync(&self.dir).map_err(|errno| {
            let error = failure(&os(errno), "sync the directory of", &self.key);
            BucketError { outcome_unknown: true, ..error }
        })
    }

    pub(super) fn remove(&self) -> BucketResult<()> {
        match rustix::fs::unlinkat(&self.dir, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failure(&os(errno), "remove", &self.key)),
        }
    }
}

/// Steps into a directory, not through a link.
pub(super) fn enter(dir: &OwnedFd, step: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, step, flags, Mode::empty())
}

/// Makes a directory with those above it, each of them safe from a power cut.
pub(super) fn make_all(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_all(parent)?;
    match std::fs::create_dir(path) {
        Ok(()) => File::open(parent)?.sync_all(),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

fn make_dir(dir: &OwnedFd, step: &str) -> Result<(), Errno> {
    match rustix::fs::mkdirat(dir, step, Mode::from_raw_mode(0o755)) {
        Ok(()) => rustix::fs::fsync(dir),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Directories and name of a key, each checked.
fn split(key: &str) -> BucketResult<(impl Iterator<Item = &str>, &str)> {
    let bad = |part: &str| {
        matches!(part, "" | "." | "..")
            || part.len() > NAME_BYTES
            || part.starts_with(TEMP)
            || part.chars().any(char::is_control)
    };
    if key.len() > KEY_BYTES || key.split('/').any(bad) {
        let text = "a key is longer than 1024 bytes or has a part that is empty, `.`, `..`, too long or not printable";
        return Err(BucketError::new(FailureCode::BucketFailed, text));
    }
    let (dirs, name) = key.rsplit_once('/').map_or((None, key), |(dirs, name)| (Some(dirs), name));
    Ok((dirs.into_iter().flat_map(|dirs| dirs.split('/')), name))
}

fn not_a_file(key: &str) -> BucketError {
    BucketError::new(FailureCode::BucketFailed, format!("{key} is not a regular file"))
}

fn walk_failure(errno: Errno, key: &str) -> BucketError {
    match errno {
        Errno::LOOP | Errno::NOTDIR => {
            let text = format!("a part of {key} is a symbolic link or no directory, and is not followed");
            BucketError::new(FailureCode::BucketDenied, text)
        }
        other => failure(&os(other), "open", key),
    }
}

/// The public code of a failed file-system call.
pub(super) fn failure(error: &std::io::Error, doing: &str, key: &str) -> BucketError {
    let code = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT) => FailureCode::BucketFull,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => FailureCode::BucketDenied,
        Some(Errno::NOENT) if key.is_empty() => FailureCode::BucketUnreachable,
        _ => FailureCode::BucketFailed,
    };
    BucketError::new(code, format!("could not {doing} {key}: {error}"))
}

/// The same of the root itself, which the text names.
pub(super) fn root_failure(error: &std::io::Error, doing: &str, path: &Path) -> BucketError {
    let code = failure(error, doing, "").code;
    BucketError::new(code, format!("could not {doing} the directory {}: {error}", path.display()))
}

/// What is known of an open file.
pub(super) fn meta(file: &File, key: &str) -> BucketResult<ObjectMeta> {
    let stat = rustix::fs::fstat(file).map_err(|errno| failure(&os(errno), "look at", key))?;
    Ok(of_stat(&stat, key))
}

/// The same from a `stat` record.
pub(super) fn of_stat(stat: &rustix::fs::Stat, key: &str) -> ObjectMeta {
    let (seconds, nanos) = (stat.st_mtime, stat.st_mtime_nsec);
    let micros = i64::try_from(nanos / 1000).unwrap_or(0);
    ObjectMeta {
        key: key.to_owned(),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: Micros(seconds.saturating_mul(1_000_000).saturating_add(micros)),
        etag: format!("{:x}-{:x}-{seconds:x}.{nanos:x}", stat.st_ino, stat.st_size),
    }
}

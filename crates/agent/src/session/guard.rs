//! The guard as containers see it: a copy in a directory of the agent's, which is what they are given.
//!
//! A container that is given a file holds on to that file: whoever replaces it changes nothing for workers under way. So the
//! copy follows the host's file, whatever way that one is changed. It must never allow more than the host's file does: one that
//! can't be made what the file is, for whatever reason, is taken away, and workers refuse without it. A file beside it says when it
//! was last held against the host's: workers whose copy nobody renews end, as they do where a guard can't be reached.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tempfile::NamedTempFile;
use waybill_model::guard::RENEWED;

use crate::state::StateError;

/// Between two looks at the host's file.
const LOOK: Duration = Duration::from_secs(1);
/// More than any guard may have: a longer file is copied as far as this, and refused by whoever reads it.
const MOST: u64 = 1 << 20;

/// Why the copy is not what the host's file is.
#[derive(Debug, thiserror::Error)]
enum Stale {
    /// The file can't be read.
    #[error("the guard can't be read: workers are refused")]
    Read(#[source] std::io::Error),
    /// The copy can't be written: no space, a quota, something that stands in the way.
    #[error("the guard's copy can't be written, so it was taken away: workers are refused; make room for it")]
    Written(#[source] std::io::Error),
    /// Neither can the earlier one be taken away.
    #[error(
        "the guard's earlier copy can't be taken away: workers end in a minute, since it is not renewed; make its directory writable"
    )]
    Stays(#[source] std::io::Error),
    /// The copy is right, and workers can't see since when.
    #[error("the guard's copy can't be marked as renewed: workers end in a minute; make its directory writable")]
    Unmarked(#[source] std::io::Error),
}

impl Stale {
    const fn cause(&self) -> &std::io::Error {
        match self {
            Self::Read(cause) | Self::Written(cause) | Self::Stays(cause) | Self::Unmarked(cause) => cause,
        }
    }

    /// What tells one trouble from the next.
    fn kind(&self) -> (std::mem::Discriminant<Self>, ErrorKind) {
        (std::mem::discriminant(self), self.cause().kind())
    }
}

/// A copy that follows its file.
pub(super) struct Copied {
    from: PathBuf,
    dir: PathBuf,
    name: String,
}

impl Copied {
    /// Makes the directory and the first copy.
    pub(super) fn of(from: &Path, dir: &Path) -> Result<Self, StateError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| StateError::Io { path, source }
        };
        // The engine passes the directory on to a worker of another user.
        DirBuilder::new().recursive(true).mode(0o755).create(dir).map_err(failed(dir))?;
        fs::set_permissions(dir, Permissions::from_mode(0o755)).map_err(failed(dir))?;
        let dir = dir.canonicalize().map_err(failed(dir))?;
        let ending = from.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
        let copied = Self { from: from.to_path_buf(), dir, name: format!("guard{ending}") };
        // An earlier start may have copied a guard of another name: nobody would renew that one, and older containers see it.
        copied.take_others_away().map_err(failed(&copied.dir))?;
        copied.renew().map_err(|stale| {
            let place = if matches!(stale, Stale::Read(_)) { from } else { &copied.dir };
            StateError::Io { path: place.to_path_buf(), source: std::io::Error::other(stale) }
        })?;
        // From the first moment on: a worker looks for what it saw when it began.
        copied.seen().map_err(failed(&copied.dir))?;
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

    /// A file beside the copy whose name no other directory holds, for as long as the value is kept.
    pub(super) fn mark(&self) -> Result<NamedTempFile, StateError> {
        let made = tempfile::Builder::new().prefix(".seen-").rand_bytes(20).tempfile_in(&self.dir);
        made.map_err(|source| StateError::Io { path: self.dir.clone(), source })
    }

    /// Follows the host's file for as long as this process runs.
    pub(super) fn follow(self) {
        tokio::task::spawn_blocking(move || {
            let mut missed = None;
            loop {
                std::thread::sleep(LOOK);
                let renewed = self.look();
                let now = renewed.as_ref().err().map(Stale::kind);
                if now != missed {
                    match renewed {
                        Err(stale) => {
                            let (path, error) = (self.from.display(), &stale as &dyn std::error::Error);
                            tracing::error!(%path, copy = %self.copy().display(), error, "the guard's copy is not the guard");
                        }
                        Ok(()) => tracing::info!(path = %self.from.display(), "the guard is there again"),
                    }
                    missed = now;
                }
            }
        });
    }

    fn copy(&self) -> PathBuf {
        self.dir.join(&self.name)
    }

    /// Renews the copy, and says so where that could be done.
    fn look(&self) -> Result<(), Stale> {
        self.renew()?;
        self.seen().map_err(Stale::Unmarked)
    }

    /// Says that the copy is what the host's file is now. Only the time counts: that needs no space.
    fn seen(&self) -> std::io::Result<()> {
        let mark = self.dir.join(format!("{}{RENEWED}", self.name));
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(mark)?;
        file.set_modified(SystemTime::now())
    }

    /// Makes the copy what the file is, in one step; takes it away, which needs no space, where that fails.
    fn renew(&self) -> Result<(), Stale> {
        let made = read(&self.from).map_err(Stale::Read);
        made.and_then(|wanted| self.write(&wanted).map_err(Stale::Written)).or_else(|stale| {
            gone(&self.copy()).map_err(Stale::Stays)?;
            Err(stale)
        })
    }

    /// Its own name stays: workers that an earlier start left look for it all the time, and refuse where it is gone.
    fn take_others_away(&self) -> std::io::Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let (entry, own) = (entry?, self.name.as_str());
            let name = entry.file_name();
            let is_own = name == *own || name.to_string_lossy().strip_suffix(RENEWED) == Some(own);
            if name.to_string_lossy().starts_with("guard") && !is_own && !entry.file_type()?.is_dir() {
                gone(&entry.path())?;
            }
        }
        Ok(())
    }

    fn write(&self, wanted: &Text) -> std::io::Result<()> {
        let copy = self.copy();
        if read(&copy).is_ok_and(|found| found == *wanted) {
            return Ok(());
        }
        let draft = self.dir.join(".next");
        gone(&draft)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(&wanted.text)?;
        file.set_permissions(Permissions::from_mode(wanted.mode))?;
        file.sync_all()?;
        fs::rename(&draft, &copy)
    }
}

/// Takes a file away that may not be there.
fn gone(file: &Path) -> std::io::Result<()> {
    fs::remove_file(file).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
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
        let copied = Copied::of(&from, &dir.path().join("state/guard")).expect("a copy");
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
        assert!(matches!(copied.renew(), Err(Stale::Read(_))) && seen().is_none());
    }

    #[test]
    fn a_copy_of_an_earlier_start_under_another_name_does_not_stay() {
        let dir = tempfile::tempdir().expect("a directory");
        let (before, now) = (dir.path().join("guard.toml"), dir.path().join("narrow.conf"));
        fs::write(&before, "guard = 1\n").expect("written");
        fs::write(&now, "guard = 1\nstop = true\n").expect("written");
        let state = dir.path().join("state/guard");
        Copied::of(&before, &state).expect("a copy");
        Copied::of(&now, &state).expect("another copy");
        let seen: Vec<_> =
            fs::read_dir(&state).expect("read").map(|entry| entry.expect("an entry").file_name()).collect();
        let seen: std::collections::BTreeSet<_> = seen.iter().filter_map(|name| name.to_str()).collect();
        assert_eq!(seen, ["guard.conf", "guard.conf.renewed"].into());
        // Under its own name it never goes, however short: a worker that looked then would end its run.
        let untouched = || {
            let copy = fs::metadata(state.join("guard.conf")).expect("the copy");
            (copy.ino(), copy.ctime(), copy.ctime_nsec())
        };
        let before = untouched();
        Copied::of(&now, &state).expect("the same copy");
        assert_eq!(untouched(), before);
    }

    /// An earlier copy would go on to allow what its owner has just forbidden.
    #[test]
    fn a_copy_that_cannot_be_written_is_taken_away() {
        let dir = tempfile::tempdir().expect("a directory");
        let from = dir.path().join("guard.toml");
        fs::write(&from, "guard = 1\n").expect("written");
        let copied = Copied::of(&from, &dir.path().join("state/guard")).expect("a copy");
        let seen = || fs::read_to_string(copied.dir().join("guard.toml")).ok();
        // Something stands where the next copy is drafted.
        let draft = copied.dir().join(".next");
        fs::create_dir(&draft).expect("in the way");
        copied.renew().expect("nothing to write");
        assert_eq!(seen().as_deref(), Some("guard = 1\n"));
        fs::write(&from, "guard = 1\nstop = true\n").expect("written");
        let stale = copied.renew().expect_err("it can't be written");
        assert!(matches!(stale, Stale::Written(_)) && seen().is_none(), "{stale}: {:?}", seen());
        fs::remove_dir(&draft).expect("out of the way");
        copied.renew().expect("renewed");
        assert_eq!(seen().as_deref(), Some("guard = 1\nstop = true\n"));
        // At the agent's next start, too.
        fs::create_dir(&draft).expect("in the way");
        fs::write(&from, "guard = 2\n").expect("written");
        let stale = Copied::of(&from, &dir.path().join("state/guard")).err().expect("it can't be written");
        assert!(stale.to_string().contains("state/guard") && seen().is_none(), "{stale}: {:?}", seen());
        // What can't even be taken away is told as that.
        fs::create_dir_all(copied.dir().join("guard.toml")).expect("in the way");
        assert!(matches!(copied.renew(), Err(Stale::Stays(_))));
    }

    #[test]
    fn the_mark_beside_the_copy_is_renewed_only_where_the_copy_is_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let from = dir.path().join("guard.toml");
        fs::write(&from, "guard = 1\n").expect("written");
        let copied = Copied::of(&from, &dir.path().join("state/guard")).expect("a copy");
        let mark = copied.dir().join("guard.toml.renewed");
        let age = || fs::metadata(&mark).expect("a mark").modified().expect("its time").elapsed().expect("in the past");
        let long_ago = || {
            let file = File::options().write(true).open(&mark).expect("the mark");
            file.set_modified(SystemTime::now() - Duration::from_secs(3600)).expect("its time");
        };
        assert!(age() < Duration::from_secs(60), "from the start on");
        long_ago();
        copied.look().expect("renewed");
        assert!(age() < Duration::from_secs(60));
        long_ago();
        fs::remove_file(&from).expect("removed");
        assert!(copied.look().is_err() && age() > Duration::from_secs(60), "what is no copy is not marked as one");
        fs::write(&from, "guard = 1\n").expect("written");
        fs::remove_file(&mark).expect("removed");
        copied.look().expect("marked again");
        assert!(age() < Duration::from_secs(60));
    }
}

//! Where the guard comes from: a file for processes; in a cloud a parameter whose name follows from the worker's own role.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use waybill_model::guard::{RENEWED, RENEWED_WITHIN};
use waybill_spec::Guard;
use waybill_spec::guard::{MOST_BYTES, Reason, Refusal};

use super::launch::{self, Place};
#[cfg(feature = "aws")]
use super::parameter::Parameter;

/// Where a guard was found, and will be looked at again.
pub(super) enum Origin {
    /// A file; where an agent renews it as a copy, with the mark beside it.
    File { path: PathBuf, mark: Option<PathBuf> },
    #[cfg(feature = "aws")]
    Parameter(Parameter),
    /// A place that answers as a test says.
    #[cfg(test)]
    Script(tests::Script),
}

/// Why there is no guard now.
pub(super) enum Lost {
    /// It was taken away or is not right: everything is refused at once.
    Gone(Refusal),
    /// Its place can't be reached, or nobody renews it: what was read last counts for a little while.
    Unreached(Refusal),
}

impl Lost {
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Gone(refusal) | Self::Unreached(refusal) => refusal,
        }
    }
}

/// The guard of this worker, or none where a process was given none.
pub(super) async fn find(place: Place, file: Option<&Path>) -> Result<Option<(Origin, Guard)>, Refusal> {
    let origin = match (place, file) {
        (Place::Process, None) => return Ok(None),
        (Place::Process, Some(file)) => Origin::file(file),
        (Place::AwsEcs, Some(_)) => {
            let text = "the command line names a guard: in a cloud it is found by the worker's own role only";
            return Err(Refusal::without_guard(Reason::LaunchRefused, text));
        }
        (Place::AwsEcs, None) => match launch::refused() {
            Some(refusal) => return Err(refusal),
            None => of_role().await?,
        },
    };
    let guard = origin.read().await.map_err(Lost::into_refusal)?;
    Ok(Some((origin, guard)))
}

#[cfg(feature = "aws")]
async fn of_role() -> Result<Origin, Refusal> {
    Parameter::find().await.map(Origin::Parameter)
}

#[cfg(not(feature = "aws"))]
async fn of_role() -> Result<Origin, Refusal> {
    let text = "this worker was built without the feature `aws`, so it can't find its guard";
    Err(Refusal::without_guard(Reason::Missing, text))
}

/// Digests that the image of this worker is known by; none where nobody can tell. A guard that lists none now may list
/// some while the run is under way, so in a cloud it is always asked.
pub(super) async fn image(place: Place) -> Vec<String> {
    match place {
        #[cfg(feature = "aws")]
        Place::AwsEcs => super::image::digests().await,
        _ => Vec::new(),
    }
}

impl Origin {
    /// A file. What stands beside it now is looked for from then on.
    pub(super) fn file(path: &Path) -> Self {
        let mut mark = path.as_os_str().to_owned();
        mark.push(RENEWED);
        let mark = PathBuf::from(mark);
        Self::File { path: path.to_owned(), mark: mark.exists().then_some(mark) }
    }

    /// Reads the guard as it is now.
    pub(super) async fn read(&self) -> Result<Guard, Lost> {
        let text = match self {
            Self::File { path, mark } => {
                let text = read_file(path).map_err(Lost::Gone)?;
                // After the copy: one that is renewed in between is no older than that.
                mark.as_deref().map_or(Ok(()), |mark| renewed(path, mark)).map_err(Lost::Unreached)?;
                text
            }
            #[cfg(feature = "aws")]
            Self::Parameter(parameter) => parameter.read().await?,
            #[cfg(test)]
            Self::Script(script) => script().await?,
        };
        Guard::parse(&text).map_err(|found| {
            let first = found.first().map_or_else(String::new, |first| {
                format!("line {}, column {}: {}", first.line, first.column, first.message)
            });
            Lost::Gone(Refusal::without_guard(Reason::Unreadable, format!("{self} has mistakes: {first}")))
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "{}", path.display()),
            #[cfg(feature = "aws")]
            Self::Parameter(parameter) => f.write_str(parameter.name()),
            #[cfg(test)]
            Self::Script(_) => f.write_str("a script"),
        }
    }
}

/// Whether the mark says that the copy was held against the host's guard a moment ago. A mark of the future, after the clock
/// was set back, says nothing.
fn renewed(copy: &Path, mark: &Path) -> Result<(), Refusal> {
    let since = std::fs::metadata(mark).and_then(|about| about.modified()).ok().and_then(|at| at.elapsed().ok());
    let why = match since {
        Some(since) if since < RENEWED_WITHIN => return Ok(()),
        Some(since) => format!("was renewed {} s ago", since.as_secs()),
        None => "is not marked as renewed".to_owned(),
    };
    let text = format!("{}, the agent's copy of the guard, {why}: is the agent running?", copy.display());
    Err(Refusal::without_guard(Reason::Unreached, text))
}

fn read_file(path: &Path) -> Result<String, Refusal> {
    let unreadable = |reason, why: &str| Refusal::without_guard(reason, format!("{} {why}", path.display()));
    let about = std::fs::metadata(path).map_err(|_| unreadable(Reason::Missing, "can't be found"))?;
    if !about.is_file() || about.len() > MOST_BYTES {
        return Err(unreadable(Reason::Unreadable, "is no file of at most 64 KiB"));
    }
    if about.permissions().mode() & 0o002 != 0 {
        let why = "can be written by every user of the machine: take that right away (chmod o-w)";
        return Err(unreadable(Reason::Unreadable, why));
    }
    let mut text = String::new();
    // One byte more than the reader takes: what grew meanwhile is refused there.
    let read = std::fs::File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    read.map(|_| text).map_err(|_| unreadable(Reason::Unreadable, "can't be read as text"))
}

#[cfg(test)]
pub(super) mod tests {
    use std::pin::Pin;

    use super::*;

    /// What a place answers, and how long it takes.
    pub(in crate::guard) type Script =
        Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, Lost>> + Send>> + Send + Sync>;

    #[test]
    fn a_file_that_no_guard_can_be_is_not_read() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), " ".repeat(usize::try_from(MOST_BYTES).expect("small") + 1)).expect("write");
        for (path, reason) in [(file.path(), Reason::Unreadable), (Path::new("/dev/zero"), Reason::Unreadable)] {
            assert_eq!(read_file(path).err().map(|refusal| refusal.reason), Some(reason), "{}", path.display());
        }
        assert_eq!(read_file(Path::new("/nowhere")).err().map(|refusal| refusal.reason), Some(Reason::Missing));
    }
}

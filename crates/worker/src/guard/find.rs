//! Where the guard comes from: a file for processes; in a cloud a parameter whose name follows from the worker's own role.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use waybill_spec::Guard;
use waybill_spec::guard::{Reason, Refusal};

use super::launch::{self, Place};
#[cfg(feature = "aws")]
use super::parameter::Parameter;

/// The longest file that is read: the guard's own reader takes no more.
const LONGEST: u64 = 1 << 20;

/// Where a guard was found, and will be looked at again.
pub(super) enum Origin {
    File(PathBuf),
    #[cfg(feature = "aws")]
    Parameter(Parameter),
}

/// Why there is no guard now.
pub(super) enum Lost {
    /// It was taken away or is not right: everything is refused at once.
    Gone(Refusal),
    /// Its place can't be reached: what was read last counts for a little while.
    #[cfg(feature = "aws")]
    Unreached(Refusal),
}

impl Lost {
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Gone(refusal) => refusal,
            #[cfg(feature = "aws")]
            Self::Unreached(refusal) => refusal,
        }
    }
}

/// The guard of this worker, or none where a process was given none.
pub(super) async fn find(place: Place, file: Option<&Path>) -> Result<Option<(Origin, Guard)>, Refusal> {
    let origin = match (place, file) {
        (Place::Process, None) => return Ok(None),
        (Place::Process, Some(file)) => Origin::File(file.to_owned()),
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

/// Digests that the image of this worker is known by; none where nobody can tell, or nobody asks.
pub(super) async fn image(place: Place, guard: &Guard) -> Vec<String> {
    #[cfg(feature = "aws")]
    if place == Place::AwsEcs && !guard.images.is_empty() {
        return super::image::digests().await;
    }
    let _ = (place, guard);
    Vec::new()
}

impl Origin {
    /// Reads the guard as it is now.
    pub(super) async fn read(&self) -> Result<Guard, Lost> {
        let text = match self {
            Self::File(path) => read_file(path).map_err(Lost::Gone)?,
            #[cfg(feature = "aws")]
            Self::Parameter(parameter) => parameter.read().await?,
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
            Self::File(path) => write!(f, "{}", path.display()),
            #[cfg(feature = "aws")]
            Self::Parameter(parameter) => f.write_str(parameter.name()),
        }
    }
}

fn read_file(path: &Path) -> Result<String, Refusal> {
    let unreadable = |reason, why: &str| Refusal::without_guard(reason, format!("{} {why}", path.display()));
    let about = std::fs::metadata(path).map_err(|_| unreadable(Reason::Missing, "can't be found"))?;
    if !about.is_file() || about.len() > LONGEST {
        return Err(unreadable(Reason::Unreadable, "is no file of at most 1 MiB"));
    }
    if about.permissions().mode() & 0o002 != 0 {
        let why = "can be written by every user of the machine: take that right away (chmod o-w)";
        return Err(unreadable(Reason::Unreadable, why));
    }
    std::fs::read_to_string(path).map_err(|_| unreadable(Reason::Unreadable, "can't be read as text"))
}

//! How a command ends: an exit code that scripts may rely on, and a failure that names what to do next.

use std::process::ExitCode;

use waybill_api::client::ClientError;
use waybill_api::problem::FieldError;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It failed.
    Failed = 1,
    /// The command line can't be understood.
    Usage = 2,
    /// Log in first.
    Login = 3,
    /// Nothing of that name.
    NotFound = 4,
    /// It changed, is in use, or its state does not allow it.
    Conflict = 5,
    /// The pipeline file or a setting is not right.
    Invalid = 6,
    /// The orchestrator can't be reached.
    Unreachable = 7,
    /// The run failed.
    RunFailed = 10,
    /// The run failed, and some of its streams were delivered.
    RunPartly = 11,
    /// The run was canceled.
    RunCanceled = 12,
    /// The wait for the run was over before the run was.
    TimedOut = 13,
    /// The plan has changes (`plan --exit-code`).
    Changes = 20,
    /// One side of `trail match` has a call that the other does not have.
    TrailDiffers = 21,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// Stable: a problem code of the API, or one of this program.
    pub(crate) code: String,
    pub(crate) message: String,
    /// A command, or what to do.
    pub(crate) next: Option<String>,
    /// Single fields, where the server named them.
    pub(crate) errors: Vec<FieldError>,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into(), next: None, errors: Vec::new() }
    }

    pub(crate) fn next(self, next: impl Into<String>) -> Self {
        Self { next: Some(next.into()), ..self }
    }

    pub(crate) fn not_found(noun: &str, name: &str) -> Self {
        Self::new(Exit::NotFound, "not_found", format!("no {noun} `{}`", crate::output::clean(name)))
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match &error {
            ClientError::Refused(problem) => {
                let exit = match problem.status {
                    401 => Exit::Login,
                    404 => Exit::NotFound,
                    409 | 412 | 428 => Exit::Conflict,
                    400 | 413 | 415 | 422 => Exit::Invalid,
                    503 => Exit::Unreachable,
                    _ => Exit::Failed,
                };
                let next = match (&problem.next, exit) {
                    (Some(next), _) => Some(next.clone()),
                    (None, Exit::Login) => Some("waybill login".to_owned()),
                    (None, Exit::Conflict) => Some("look at it as it is now, then decide again".to_owned()),
                    (None, Exit::Invalid) => Some("mend what is named, then try again".to_owned()),
                    (None, Exit::NotFound) => Some("look at the list of its kind".to_owned()),
                    (None, _) => Some(format!("look for request {} in the orchestrator's log", problem.request_id)),
                };
                let message = error.to_string();
                Self { exit, code: problem.code.clone(), message, next, errors: problem.errors.clone() }
            }
            ClientError::Unreachable(why) => {
                Self::new(Exit::Unreachable, "unreachable", format!("{error}: {}", innermost(why)))
                    .next("waybill doctor shows where the way ends")
            }
            ClientError::Foreign { .. } => Self::new(Exit::Failed, "foreign_answer", error.to_string())
                .next("check the address: `waybill whoami` prints it, WAYBILL_URL and `waybill login --url` set it"),
            ClientError::Unusable(_) => {
                Self::new(Exit::Invalid, "setting_unusable", error.to_string()).next("waybill login")
            }
        }
    }
}

/// What it comes from in the end, such as a refused connection or a certificate that nobody trusts.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

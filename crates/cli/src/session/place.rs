//! Where the orchestrator is: named by a URL, by a state directory, or by an earlier login.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use waybill_api::account::Confidential;

use super::keep::{Login, Logins};
use crate::args::Target;
use crate::exit::{Exit, Failure, Result};

/// The state directory that `serve --dev` makes, where it is looked for without being asked.
const DEFAULT_STATE: &str = ".waybill";

/// An orchestrator.
#[derive(Clone)]
pub(crate) struct Place {
    /// What its login is kept under.
    pub(crate) key: String,
    pub(crate) url: String,
    /// PEM of the CA to trust.
    pub(crate) ca: Option<String>,
    pub(crate) state: Option<PathBuf>,
}

impl Place {
    /// The options that lead here again.
    pub(crate) fn options(&self) -> String {
        match &self.state {
            Some(state) => format!("--state {}", state.display()),
            None => format!("--url {}", self.url),
        }
    }
}

/// What an orchestrator writes when it is ready.
#[derive(Deserialize)]
struct Ports {
    api: String,
}

/// The orchestrator that is meant: by URL, by state directory, by a state directory here, by the last login.
pub(crate) fn find(target: &Target, logins: &Logins) -> Result<Place> {
    let mut place = match (&target.url, &target.state) {
        (Some(url), _) => by_url(url, target, logins),
        (None, Some(state)) => by_state(state)?,
        (None, None) => match by_habit(logins)? {
            Some(place) => place,
            None => {
                return Err(Failure::new(Exit::Login, "no_orchestrator", "it is not said which orchestrator is meant")
                    .next("waybill login --url https://…, or --state DIR for one on this machine"));
            }
        },
    };
    if let Some(ca) = &target.ca {
        place.ca = Some(read(ca)?);
    }
    Ok(place)
}

fn by_url(url: &str, target: &Target, logins: &Logins) -> Place {
    let url = url.trim_end_matches('/').to_owned();
    let kept = logins.of(&url).and_then(|login| login.ca.clone());
    let ca = kept.or_else(|| target.state.as_deref().and_then(|state| read(&state.join("ca.pem")).ok()));
    Place { key: url.clone(), url, ca, state: None }
}

fn by_state(state: &Path) -> Result<Place> {
    let state = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    let ports: Ports = serde_json::from_str(&read(&state.join("ports.json"))?).map_err(|_| {
        Failure::new(Exit::Invalid, "state_damaged", format!("{} is damaged", state.join("ports.json").display()))
            .next("start the orchestrator again")
    })?;
    let url = format!("https://{}", ports.api);
    Ok(Place { key: state.display().to_string(), url, ca: Some(read(&state.join("ca.pem"))?), state: Some(state) })
}

fn by_habit(logins: &Logins) -> Result<Option<Place>> {
    let here = Path::new(DEFAULT_STATE);
    if here.join("ports.json").exists() {
        return by_state(here).map(Some);
    }
    let Some((key, login)) = logins.current.as_ref().and_then(|key| Some((key, logins.of(key)?))) else {
        return Ok(None);
    };
    Ok(Some(by_login(key, login)))
}

/// A login that came from a state directory follows it: the ports of a restarted orchestrator are others.
fn by_login(key: &str, login: &Login) -> Place {
    let now = login.state.as_deref().and_then(|state| by_state(state).ok());
    now.unwrap_or_else(|| Place {
        key: key.to_owned(),
        url: login.url.clone(),
        ca: login.ca.clone(),
        state: login.state.clone(),
    })
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(|error| {
        let message = format!("{} can't be read: {}", file.display(), error.kind());
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Failed };
        Failure::new(exit, "state_unreadable", message)
            .next("is the orchestrator running? `waybill-orchestrator serve --dev --state DIR` writes it")
    })
}

impl Place {
    /// The page of the console that a token is for. It stands behind the `#`, which no server is sent.
    pub(crate) fn link(&self, page: &str, token: &Confidential) -> String {
        format!("{}/{page}#token={}", self.url.trim_end_matches('/'), token.reveal())
    }
}

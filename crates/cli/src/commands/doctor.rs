//! `doctor`: looks at each step between this machine and a run, and says at the first broken one what to do.

use std::path::Path;

use serde::Serialize;
use waybill_api::client::ListQuery;

use crate::args::Target;
use crate::commands::login::setup_is_open;
use crate::commands::logs::worker;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row};
use crate::session::{self, Logins};

/// One step.
#[derive(Serialize)]
struct Step {
    step: &'static str,
    /// `ok`, `warn` or `broken`.
    status: &'static str,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl Row for Step {
    const HEADER: &'static [&'static str] = &["", "STEP", "FOUND", "NEXT"];

    fn cells(&self) -> Vec<String> {
        let sign = match self.status {
            "ok" => "✓",
            "warn" => "!",
            _ => "✗",
        };
        vec![sign.to_owned(), self.step.to_owned(), self.found.clone(), self.next.clone().unwrap_or_default()]
    }

    fn name(&self) -> String {
        self.step.to_owned()
    }
}

impl Step {
    fn ok(step: &'static str, found: impl Into<String>) -> Self {
        Self { step, status: "ok", found: found.into(), next: None }
    }

    fn warn(step: &'static str, found: impl Into<String>, next: impl Into<String>) -> Self {
        Self { step, status: "warn", found: found.into(), next: Some(next.into()) }
    }

    fn broken(step: &'static str, failure: &Failure) -> Self {
        Self { step, status: "broken", found: failure.message.clone(), next: failure.next.clone() }
    }
}

pub(crate) async fn doctor(target: &Target, output: &Output) -> Result<Exit> {
    let mut steps = vec![Step::ok("program", format!("waybill {}", env!("CARGO_PKG_VERSION")))];
    steps.push(match worker() {
        Some(path) => Step::ok("worker program", path.display().to_string()),
        None => Step::warn(
            "worker program",
            "not beside this program nor in PATH",
            "only `run logs` and offline runs need it here",
        ),
    });
    steps.push(schema());
    online(target, &mut steps).await;
    output.list(&steps, None)?;
    Ok(if steps.iter().any(|step| step.status == "broken") { Exit::Failed } else { Exit::Done })
}

/// Whether editors check files against the keys of this version.
fn schema() -> Step {
    match std::fs::read_to_string(".waybill/schema.json") {
        Ok(text) if text == waybill_spec::schema() => Step::ok("editor schema", ".waybill/schema.json is up to date"),
        Ok(_) => Step::warn("editor schema", ".waybill/schema.json is of another version", "waybill schema --write"),
        Err(_) => Step::ok("editor schema", "none here; `waybill schema --write` makes one"),
    }
}

/// The way to the orchestrator, up to the first step that is broken.
async fn online(target: &Target, steps: &mut Vec<Step>) {
    let logins = match Logins::read() {
        Ok(logins) => logins,
        Err(failure) => return steps.push(Step::broken("logins", &failure)),
    };
    let place = match session::find(target, &logins) {
        Ok(place) => place,
        Err(failure) => return steps.push(Step::broken("orchestrator", &failure)),
    };
    let trust = if place.ca.is_some() { "one pinned CA" } else { "the system's roots" };
    steps.push(Step::ok("orchestrator", format!("{}, trusting {trust}", place.url)));
    if place.state.as_deref().is_some_and(setup_is_open) {
        let next = format!("waybill login {}", place.options());
        steps.push(Step::warn("setup", "the first owner is not made yet", next));
    }
    // Without a login, a 401 proves the way as well as an answer does.
    let way = async { session::client(&place)?.whoami().await.map(drop).map_err(Failure::from) }.await;
    match way {
        Err(failure) if failure.exit == Exit::Unreachable => {
            let next = "see that the orchestrator runs there, or name its place: `waybill login --url URL`";
            return steps.push(Step { next: Some(next.into()), ..Step::broken("connection", &failure) });
        }
        Err(failure) if failure.exit != Exit::Login => return steps.push(Step::broken("connection", &failure)),
        _ => steps.push(Step::ok("connection", "TLS is agreed and the API answers")),
    }
    let session = match session::connect(target) {
        Ok(session) => session,
        Err(failure) => return steps.push(Step::broken("login", &failure)),
    };
    match session.client.whoami().await.map_err(Failure::from) {
        Ok(who) => steps.push(Step::ok("login", format!("{} of {}", who.user.email, who.organization.name))),
        Err(failure) => return steps.push(Step::broken("login", &failure)),
    }
    match session.client.data_plane_list(&ListQuery::default()).await.map_err(Failure::from) {
        Ok(planes) if planes.items.is_empty() => {
            steps.push(Step::warn("data plane", "none: runs have nowhere to work", "waybill data-plane add aws NAME"));
        }
        Ok(planes) => {
            let names: Vec<String> =
                planes.items.iter().map(|plane| format!("{} ({})", plane.name, plane.kind)).collect();
            steps.push(Step::ok("data plane", names.join(", ")));
        }
        Err(failure) => steps.push(Step::broken("data plane", &failure)),
    }
    if let Some(state) = place.state.as_deref().map(Path::display) {
        steps.push(Step::ok("state directory", state.to_string()));
    }
}

//! Candidates that the orchestrator knows: they are what a `list` command of this program prints, with the saved login.
//!
//! The list is made by a process of its own. The shell waits for it a second at most; the process is never cut off, since
//! it may just be renewing the login, and a renewal whose answer nobody keeps would end the login.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use clap_complete::{ArgValueCandidates, CompletionCandidate};
use serde::Deserialize;
use waybill_model::RunId;
use waybill_model::role::{OrganizationRole, ProjectRole, ServiceRole};
use waybill_model::run::RunState;

use super::{ASKED_BY, line, words as typed};
use crate::output::clean;
use crate::session::Logins;

/// Longest wait of a shell.
const PATIENCE: Duration = Duration::from_secs(1);

/// Options that say which orchestrator is meant, and the variables by which the list gets them: a token never becomes an
/// argument of another process.
const TARGET: [(&str, &str); 5] = [
    ("url", "WAYBILL_URL"),
    ("state", "WAYBILL_STATE"),
    ("ca", "WAYBILL_CA"),
    ("token", "WAYBILL_TOKEN"),
    ("project", "WAYBILL_PROJECT"),
];

pub(crate) fn agents() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named("agent"))
}

pub(crate) fn connections() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named("connection"))
}

pub(crate) fn data_planes() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named("data-plane"))
}

pub(crate) fn pipelines() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named("pipeline"))
}

pub(crate) fn projects() -> ArgValueCandidates {
    ArgValueCandidates::new(|| named("project"))
}

/// Ids of runs, newest first, each with its subject and state for shells that show them.
pub(crate) fn runs() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |run: Run| {
            run.id.parse::<RunId>().ok()?;
            Some(CompletionCandidate::new(run.id).help(Some(clean(&format!("{} {}", run.subject, run.state)).into())))
        };
        list("run").into_iter().filter_map(candidate).collect()
    })
}

/// E-mail addresses of people.
pub(crate) fn people() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let mut addresses: Vec<_> = list::<Person>("user").into_iter().map(|person| person.email).collect();
        addresses.retain(|address| is_plain(address));
        addresses.sort_unstable();
        addresses.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// Whether an address means nothing to a shell: other ones have to be typed.
fn is_plain(address: &str) -> bool {
    let begins = address.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins && address.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@'))
}

/// Roles in the organization.
pub(crate) fn organization_roles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| words(OrganizationRole::ALL.iter().map(|role| role.as_str())))
}

/// Roles in a project.
pub(crate) fn project_roles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| words(ProjectRole::ALL.iter().map(|role| role.as_str())))
}

/// Roles of keys.
pub(crate) fn service_roles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| words(ServiceRole::ALL.iter().map(|role| role.as_str())))
}

fn words(words: impl Iterator<Item = &'static str>) -> Vec<CompletionCandidate> {
    words.map(CompletionCandidate::new).collect()
}

/// States of runs.
pub(crate) fn run_states() -> ArgValueCandidates {
    ArgValueCandidates::new(|| words(RunState::ALL.iter().map(|state| state.as_str())))
}

/// Orchestrators with a login, from the file of logins alone.
pub(crate) fn addresses() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        Logins::read().map(|logins| logins.addresses().map(CompletionCandidate::new).collect()).unwrap_or_default()
    })
}

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Person {
    email: String,
}

#[derive(Deserialize)]
struct Run {
    id: String,
    subject: String,
    state: String,
}

/// Names become part of a command that a person will run: whatever is no name of ours is left out.
fn named(noun: &str) -> Vec<CompletionCandidate> {
    let mut names: Vec<_> = list::<Named>(noun).into_iter().map(|named| named.name).collect();
    names.retain(|name| waybill_spec::check_name(name).is_ok());
    names.sort_unstable();
    names.into_iter().map(CompletionCandidate::new).collect()
}

/// What `waybill NOUN list` prints within a second; nothing where it fails.
fn list<T: for<'a> Deserialize<'a>>(noun: &str) -> Vec<T> {
    let answer = asked(noun).and_then(|text| serde_json::from_slice::<Items<T>>(&text).ok());
    answer.map(|answer| answer.items).unwrap_or_default()
}

fn asked(noun: &str) -> Option<Vec<u8>> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command
        .args([noun, "list", "--limit", "200", "--output", "json", "--no-input"])
        .envs(target())
        .env_remove(ASKED_BY);
    // A group of its own, so that Ctrl+C in the shell does not end it either.
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut stdout = command.spawn().ok()?.stdout.take()?;
    let (send, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if stdout.read_to_end(&mut text).is_ok() {
            // Nobody waits any more where the second is over.
            let _ = send.send(text);
        }
    });
    answer.recv_timeout(PATIENCE).ok()
}

/// Which orchestrator the line means, beyond what the environment says already.
fn target() -> Vec<(&'static str, OsString)> {
    let words = typed();
    TARGET.iter().filter_map(|(option, variable)| Some((*variable, line::option(&words, option)?))).collect()
}

//! Completion in a shell: options and words by the command line itself, names by the orchestrator.
//!
//! A shell asks by an environment variable, with the words of its line behind `--`. Whatever goes wrong, the answer is no
//! candidates: nothing is ever written into somebody's line but words that are names.

mod line;
mod names;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::args::Cli;
pub(crate) use names::{
    addresses, agents, connections, data_planes, organization_roles, people, pipelines, project_roles, projects,
    run_states, runs, service_roles,
};

/// Names the shell that asks; the program answers and does nothing else where it is set.
const ASKED_BY: &str = "WAYBILL_COMPLETE";

const SHELLS: Shells<'_> = Shells(&[
    &line::Bash,
    &clap_complete::env::Elvish,
    &clap_complete::env::Fish,
    &clap_complete::env::Powershell,
    &clap_complete::env::Zsh,
]);

/// What a shell runs once, so that it asks this program from then on.
pub(crate) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(shell) = SHELLS.completer(&shell.to_string()) {
        // A vector takes everything.
        let _ = shell.write_registration(ASKED_BY, "waybill", "waybill", "waybill", &mut script);
    }
    script
}

/// Whether a shell asked; it has its answer then.
pub(crate) fn answered() -> bool {
    let Some(shell) = std::env::var_os(ASKED_BY).filter(|shell| !shell.is_empty()) else { return false };
    let mut candidates = Vec::new();
    if let Some(shell) =
        Path::new(&shell).file_stem().and_then(|name| name.to_str()).and_then(|name| SHELLS.completer(name))
    {
        let here = std::env::current_dir().ok();
        // What can't be completed has no candidates: a sentence about it would land in the line.
        let _ = shell.write_complete(&mut Cli::command(), words(), here.as_deref(), &mut candidates);
    }
    let _ = std::io::stdout().lock().write_all(&candidates);
    true
}

/// The words of the line, as the shell has them.
fn words() -> Vec<OsString> {
    std::env::args_os().skip_while(|word| word != "--").skip(1).collect()
}

//! The command line: validates pipeline files, and steers an orchestrator over its API.
//!
//! What a command gives goes to standard output, and nothing else does; talk, progress and mistakes go to standard
//! error. It touches no rows: where a bucket must be read, it runs the worker's own commands with the caller's rights.

mod args;
mod cloudtrail;
mod commands;
mod complete;
mod drawing;
mod exit;
mod output;
mod progress;
mod resolve;
mod session;
mod terminal;
mod trail_match;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::Cli;
pub use exit::Exit;

use crate::exit::Failure;
use crate::output::Output;

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    if complete::answered() {
        return Exit::Done.into();
    }
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let output = Output::new(cli.output, terminal::Terminal::of_this_process());
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, "no_runtime", format!("no runtime could be made: {error}")))
        .and_then(|runtime| runtime.block_on(commands::run(cli, &output)));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.tell(&failure);
            failure.exit.into()
        }
    }
}

/// Help and version are no mistakes; what can't be understood is.
fn usage(error: &clap::Error) -> ExitCode {
    let wanted = !error.use_stderr();
    // Where the text can't be written, nobody reads it: the exit code still tells.
    let _ = error.print();
    if wanted { Exit::Done.into() } else { Exit::Usage.into() }
}

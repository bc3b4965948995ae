//! The agent: starts and stops workers on the customer's side for an orchestrator that it calls, and touches no row.
//!
//! It opens no port. Which program it starts, with which guard and which variables, are its own settings: an
//! orchestrator can only say *when*. What it sends is typed and weighed per class, as a worker's messages are.

mod calls;
mod cli;
mod egress;
mod enrol;
mod identity;
mod session;
mod state;
mod workers;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use cli::{Arguments, Command};
use state::StateError;
use waybill_launcher::process::become_worker;

/// Why the agent ended otherwise than it was asked to.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    /// The state directory can't be used.
    #[error("the state directory can't be used")]
    State(#[from] StateError),
    /// Keys or certificates can't be used.
    #[error("set up the agent's identity")]
    Identity(#[from] waybill_identity::IdentityError),
    /// A message held something that may not leave.
    #[error("a message was withheld")]
    Withheld(#[from] waybill_protocol::Unclassified),
    /// The worker's launcher can't be used.
    #[error("workers can't be started here")]
    Launch(#[from] waybill_launcher::LaunchError),
    /// The orchestrator refused for good.
    #[error("the orchestrator refused: {0}")]
    Refused(String),
    /// The certificate is over, or newer than what the orchestrator knows of.
    #[error(
        "{reason}: an administrator runs `waybill agent enrol {agent}`; then enrol here with the token that it prints"
    )]
    EnrolAnew {
        /// Whose.
        agent: String,
        /// What is the matter.
        reason: &'static str,
    },
    /// The command line or standard input can't be used.
    #[error("{0}")]
    Usage(String),
}

impl AgentError {
    /// The process's exit code, as the worker's where both have it.
    fn exit(&self) -> ExitCode {
        match self {
            Self::Usage(_) => 2.into(),
            Self::Refused(_) | Self::EnrolAnew { .. } => 77.into(),
            _ => 1.into(),
        }
    }
}

/// Reads the command line, runs the command and ends the process in order.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false);
    // A line that can't be written is no reason to end.
    lines.log_internal_errors(false).with_max_level(arguments.level).init();
    if let Command::Worker(worker) = &arguments.command {
        let (program, rest) = worker.command.split_first().map_or(("", &[][..]), |(program, rest)| (program, rest));
        let error = become_worker(worker.user, worker.memory, program, rest);
        say(&format!("× the worker could not be started as user {}: {error}", worker.user));
        return ExitCode::FAILURE;
    }
    // One thread: the agent waits, nearly always.
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = built else {
        say("the agent's runtime could not be started");
        return ExitCode::FAILURE;
    };
    let ended = runtime.block_on(async {
        match arguments.command {
            Command::Enrol(arguments) => enrol::enrol(&arguments).await,
            Command::Run(arguments) => session::run(*arguments).await,
            // Another program since long.
            Command::Worker(_) => Ok(()),
        }
    });
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("× {error}"));
            let mut cause = error.source();
            while let Some(why) = cause {
                say(&format!("  because: {why}"));
                cause = why.source();
            }
            error.exit()
        }
    }
}

/// One line for a person, on standard error. One who is gone is no reason to fail.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

//! The worker: the only program that reads rows, holds secrets and writes tables. It runs once and ends.
//!
//! `run` is an enrolled attempt that an orchestrator steers; `once`, `verify`, `logs`, `preview`, `gc` and `rollback` work
//! without one. It answers to
//! the guard and the spec, opens no port, and prints nothing that a log collector outside the customer's cloud may not see.

pub mod connect;
pub mod exit;
pub mod guard;
pub mod link;
pub mod logs;
pub mod panic;
pub mod secret;
pub mod verify;

mod attempt;
mod cli;
mod gc;
mod once;
mod preview;
mod rollback;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use cli::{Arguments, Command};
use exit::Exit;

/// Reads the command line, runs the command and ends the process in order.
#[must_use]
pub fn main() -> ExitCode {
    panic::install(None);
    forbid_core_dumps();
    let arguments = Arguments::parse();
    let place = guard::Place::of(arguments.cloud);
    if place != guard::Place::Process && !matches!(arguments.command, Command::Run(_)) {
        terminal::say("in a cloud this program runs attempts and nothing else");
        return Exit::Usage.into();
    }
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("waybill").build();
    let Ok(runtime) = built else {
        terminal::say("the threads of the worker could not be started");
        return Exit::Failed.into();
    };
    let exit = runtime.block_on(async {
        match arguments.command {
            Command::Run(arguments) => attempt::run(arguments, place).await,
            Command::Once(arguments) => once::run(arguments).await,
            Command::Verify(arguments) => verify(&arguments).await,
            Command::Logs(arguments) => logs::show(&arguments).await,
            Command::Preview(arguments) => preview::show(&arguments).await,
            Command::Gc(arguments) => gc::run(&arguments, &mut std::io::stdout()).await,
            Command::Rollback(arguments) => rollback::run(&arguments, &mut std::io::stdout()).await,
        }
    });
    // Whatever still blocks (a source that does not answer) must not hold the process up.
    runtime.shutdown_background();
    exit.into()
}

async fn verify(arguments: &cli::VerifyArguments) -> Exit {
    let bucket = match connect::bucket_at(&arguments.url).await {
        Ok(bucket) => bucket,
        Err(fault) => {
            logs::tell(&fault);
            return Exit::Failed;
        }
    };
    let options = verify::Options { skip_hashes: arguments.skip_hashes, json: arguments.json };
    match verify::run(bucket.as_ref(), options, &mut std::io::stdout()).await {
        Ok(true) => Exit::Ok,
        Ok(false) => Exit::Failed,
        Err(error) => {
            terminal::say(&format!("{error:#}"));
            Exit::Failed
        }
    }
}

/// A core file would hold rows and secrets.
fn forbid_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // Where it is refused the limit is already lower than what was asked for.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

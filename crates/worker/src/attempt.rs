//! An enrolled attempt: ticket, assignment, engine, outcome. The ticket comes over standard input from a parent process,
//! or in `WAYBILL_TICKET` from a cloud that can pass nothing else: there it is worth nothing without the task's role.
//!
//! Input that ends before a ticket came means that whoever started the worker is gone: it exits. Afterwards the worker
//! outlives its starter, since a restarted orchestrator must find its runs under way; the link's grace bounds it instead.
//! SIGTERM drains: what is under way is finished, nothing is begun.

mod outcome;
mod run;
mod work;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use waybill_identity::{Pin, Ticket};
use waybill_model::size::parse_bytes;
use waybill_pipeline::{Directive, StopSwitch, stop_pair};
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::guard::Place;
use crate::link::{Address, Link, LinkError};
use crate::terminal::say;

/// How long the orchestrator may be unreachable before the attempt has begun.
const START: Duration = Duration::from_secs(60);
/// How long a drain that a cloud asked for may take: it kills the task two minutes after its signal, and a worker that is killed
/// gives up no upload and reports nothing.
const DRAIN_IN_A_CLOUD: Duration = Duration::from_secs(100);

/// Example: `waybill-worker run --orchestrator 127.0.0.1:7443 --ca-pin sha256:…`, with the ticket on standard input
#[derive(Args)]
pub(crate) struct RunArguments {
    /// Host and port of the orchestrator's public listener
    #[arg(long, env = "WAYBILL_ORCHESTRATOR", value_name = "HOST:PORT")]
    orchestrator: String,
    /// Fingerprint of the certificate authority that the orchestrator's certificate must come from
    #[arg(long, env = "WAYBILL_CA_PIN", value_name = "sha256:HEX", value_parser = pin)]
    ca_pin: Pin,
    /// The guard that every plan is held against: for processes; in a cloud it is found by the worker's own role
    #[arg(long, env = "WAYBILL_GUARD", value_name = "FILE")]
    guard: Option<PathBuf>,
    /// Memory that the process may take, such as 256MiB; the plan's or the control group's limit otherwise
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
}

fn pin(text: &str) -> Result<Pin, String> {
    text.parse().map_err(|error: waybill_identity::IdentityError| error.to_string())
}

fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text).map_err(|error| error.to_string())
}

/// Runs the command.
pub(crate) async fn run(arguments: RunArguments, place: Place) -> Exit {
    let Some(ticket) = read_ticket().await else {
        say("no ticket: its line is expected on standard input, or in WAYBILL_TICKET");
        return Exit::Usage;
    };
    let (switch, stop) = stop_pair();
    let signals = tokio::spawn(listen(switch.clone(), drain_bound(place)));
    let address = Address { endpoint: arguments.orchestrator, pin: arguments.ca_pin };
    let exit = match Link::join(&address, &ticket, switch.clone(), START).await {
        Ok(link) => {
            let own = run::Own { place, guard: arguments.guard, memory: arguments.memory };
            run::attempt(&link, (switch, stop), &own).await
        }
        Err(error) => refused(&error),
    };
    signals.abort();
    exit
}

/// How long a drain may take: where nobody kills the worker soon after, as long as it takes.
fn drain_bound(place: Place) -> Option<Duration> {
    match place {
        Place::Process => None,
        Place::AwsEcs => Some(DRAIN_IN_A_CLOUD),
    }
}

fn refused(error: &LinkError) -> Exit {
    say(&format!("× {error}"));
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        say(&format!("  because: {why}"));
        cause = why.source();
    }
    match error {
        LinkError::Fenced => Exit::Fenced,
        LinkError::Unreachable(_) => Exit::Unreachable,
        LinkError::UpgradeRequired => Exit::UpgradeRequired,
        LinkError::Address(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}

/// Reads the first line of standard input. None where it ends before, or is no ticket.
async fn read_ticket() -> Option<Ticket> {
    if let Ok(text) = std::env::var("WAYBILL_TICKET") {
        return Ticket::from_line(&Zeroizing::new(text));
    }
    let (first, line) = oneshot::channel();
    // A thread of its own: a blocked read must not hold the runtime's end.
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(String::new());
        if std::io::stdin().read_line(&mut text).is_ok() {
            // Whoever waited may be gone.
            let _ = first.send(text);
        }
    });
    Ticket::from_line(&line.await.ok()?)
}

/// Turns the signals that ask a process to end into a drain, the second one into a cancel. A hang-up asks nothing: the
/// kernel sends it to a stopped group whose starter died, and the link's grace bounds that case.
async fn listen(switch: StopSwitch, bound: Option<Duration>) {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(_hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        return;
    };
    let (heard, mut signals) = mpsc::channel(2);
    let hear = async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            // Whoever was asked twice has nothing more to hear.
            let _ = heard.try_send(());
        }
    };
    tokio::select! {
        () = hear => {}
        () = stop_in_steps(&switch, &mut signals, bound) => {}
    }
}

/// First a drain; when it is asked for again, or the bound of a drain is over, a cancel.
async fn stop_in_steps(switch: &StopSwitch, signals: &mut mpsc::Receiver<()>, bound: Option<Duration>) {
    signals.recv().await;
    tracing::info!("asked to stop: what is under way is finished");
    switch.raise(Directive::Drain);
    let was_asked = match bound {
        Some(bound) => tokio::time::timeout(bound, signals.recv()).await.is_ok(),
        None => signals.recv().await.is_some(),
    };
    let why = if was_asked { "asked to stop again" } else { "the time to finish is over" };
    tracing::info!("{why}: what is under way is given up");
    switch.raise(Directive::Cancel);
}

#[cfg(test)]
mod tests {
    use waybill_pipeline::Halt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_that_a_cloud_asked_for_ends_before_the_cloud_kills() {
        let (switch, stop) = stop_pair();
        let (signal, mut signals) = mpsc::channel(2);
        signal.try_send(()).expect("room");
        let began = tokio::time::Instant::now();
        stop_in_steps(&switch, &mut signals, drain_bound(Place::AwsEcs)).await;
        let took = began.elapsed();
        assert!(took == DRAIN_IN_A_CLOUD && took < Duration::from_secs(115), "{took:?}");
        assert_eq!(stop.halt(), Some(Halt::Cancel));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_elsewhere_goes_on_until_it_is_asked_for_again() {
        let (switch, stop) = stop_pair();
        let (signal, mut signals) = mpsc::channel(2);
        signal.try_send(()).expect("room");
        let steps = stop_in_steps(&switch, &mut signals, drain_bound(Place::Process));
        assert!(tokio::time::timeout(Duration::from_secs(3_600), steps).await.is_err());
        assert_eq!(stop.halt(), None, "a drain gives nothing up");
    }
}

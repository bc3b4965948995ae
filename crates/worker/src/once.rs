//! `waybill-worker once`: one pipeline of a file, run here and now. The same engine, commit, receipt and log as an
//! enrolled attempt, without enrolment and without anybody who steers.

mod errands;
mod preview;
mod report;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use waybill_model::errand::Errand;
use waybill_model::plan::Plan;
use waybill_model::run::StreamState;
use waybill_model::size::show_count;
use waybill_model::{AttemptId, Epoch, FailureCode, RunId};
use waybill_pipeline::engine::{self, Context, StreamEnd};
use waybill_pipeline::stop::End;
use waybill_pipeline::{
    Budget, Directive, Fault, FaultResult, Halt, Observer, OpenGate, StopSignal, StopSwitch, stop_pair,
};

use crate::cli::OnceArguments;
use crate::exit::Exit;
use crate::guard::{Guarded, Place, Wanted};
use crate::logs::{AttemptLog, Logged};
use crate::terminal::{Terminal, say};
use crate::{connect, logs, panic};

/// Runs the command.
pub(crate) async fn run(arguments: OnceArguments) -> Exit {
    let (plan, Chosen { streams, errands }) = match plan(&arguments) {
        Ok(chosen) => chosen,
        Err(exit) => return exit,
    };
    let budget = match Budget::detect(arguments.memory.unwrap_or(plan.limits.memory)) {
        Ok(budget) => budget,
        Err(error) => {
            say(&error.to_string());
            return Exit::Usage;
        }
    };
    let terminal = Arc::new(Terminal::new(&plan));
    let (switch, stop) = stop_pair();
    let asked = tokio::spawn(listen(switch.clone()));
    let (wanted, told) = ((&arguments, errands), Arc::clone(&terminal));
    let prepared = prepare(&plan, wanted, budget, told, (switch, stop)).await;
    let exit = match prepared {
        Ok((context, log, _guarded)) => {
            let (ends, exit) = match arguments.preview {
                Some(rows) => {
                    let ends = engine::preview(&plan, &streams, rows, &context).await;
                    let exit = preview::told(&terminal, &context, &ends);
                    (ends, exit)
                }
                None => {
                    let ends = engine::run(&plan, &streams, &context).await;
                    terminal.summary(&ends);
                    tell_limit(arguments.limit, &ends);
                    let exit = exit_of(&ends, |end| end.outcome.state == StreamState::Committed);
                    (ends, exit)
                }
            };
            let kept = match context.destination.bucket() {
                Some(_) => {
                    format!("its log is in the bucket: `waybill-worker logs URL --run {}` reads it", context.run)
                }
                None => "a database keeps no log: what stands above is all of it".to_owned(),
            };
            say(&format!("run {}; {kept}", context.run));
            if arguments.json {
                report::print(&plan, &context, &ends).await;
            }
            if let Some(log) = log {
                log.finish().await;
            }
            exit
        }
        Err(End::Fault(fault)) => {
            logs::tell(&fault);
            Exit::RunFailed
        }
        Err(End::Halt(_)) => Exit::Canceled,
    };
    asked.abort();
    exit
}

/// Places of streams in their plan.
struct Chosen {
    /// Those that run.
    streams: Vec<u32>,
    /// What is done with some of them in place of their next window.
    errands: BTreeMap<u32, Errand>,
}

/// The pipeline that is meant, and the places of its streams that are.
fn plan(arguments: &OnceArguments) -> Result<(Plan, Chosen), Exit> {
    let file = arguments.spec.display();
    let text = std::fs::read_to_string(&arguments.spec).map_err(|error| {
        say(&format!("{file}: the pipeline file can't be read: {}", error.kind()));
        Exit::Usage
    })?;
    let document = waybill_spec::parse(&text).map_err(|findings| {
        for found in &findings {
            let help = found.suggestion.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
            say(&format!("{file}:{}:{}: {}{help} [{}]", found.line, found.column, found.message, found.code.as_str()));
        }
        Exit::InvalidConfig
    })?;
    let names = || document.pipelines.keys().cloned().collect::<Vec<_>>().join(", ");
    let name = match (&arguments.pipeline, document.pipelines.len()) {
        (Some(name), _) => name.clone(),
        (None, 1) => names(),
        (None, _) => {
            say(&format!("{file}: choose one with --pipeline: {}", names()));
            return Err(Exit::Usage);
        }
    };
    let Some(plan) = document.plan(&name) else {
        say(&format!("{file}: there is no pipeline {name}; there are: {}", names()));
        return Err(Exit::Usage);
    };
    let errands = errands::of(arguments, &plan).map_err(|why| {
        say(&format!("{file}: {why}"));
        Exit::Usage
    })?;
    if let Some(wanted) = arguments.stream.iter().find(|name| plan.streams.iter().all(|stream| stream.name != **name)) {
        say(&format!("{file}: the pipeline {name} has no stream {wanted}"));
        return Err(Exit::Usage);
    }
    let are_all = arguments.stream.is_empty() && errands.is_empty();
    let is_chosen = |at: &u32, name: &String| are_all || errands.contains_key(at) || arguments.stream.contains(name);
    let all = (0_u32..).zip(&plan.streams);
    let streams: Vec<u32> = all.filter(|(at, stream)| is_chosen(at, &stream.name)).map(|(at, _)| at).collect();
    let errands = match arguments.limit {
        Some(rows) => streams.iter().map(|at| (*at, Errand::Limit(rows))).collect(),
        None => errands,
    };
    for limit in plan.limits.of_tasks() {
        say(&format!("{file}: `limits.{limit}` of the pipeline {name} does nothing here: it is for a task in a cloud"));
    }
    Ok((plan, Chosen { streams, errands }))
}

/// Asks the guard, resolves secrets, opens both ends and begins the log.
async fn prepare(
    plan: &Plan,
    (arguments, errands): (&OnceArguments, BTreeMap<u32, Errand>),
    budget: Budget,
    terminal: Arc<Terminal>,
    (switch, stop): (StopSwitch, StopSignal),
) -> Result<(Context, Option<AttemptLog>, Guarded), End> {
    let (run, attempt) = (RunId::generate(), AttemptId::generate());
    let bytes = waybill_spec::plan_canonical(plan);
    let file = arguments.guard.as_deref();
    let signature = signature(arguments.signatures.as_deref(), &plan.pipeline)?;
    let (bytes, signature) = (bytes.as_bytes(), signature.as_deref());
    let wanted = Wanted { place: Place::Process, file, plan, bytes, signature, errands: &errands };
    let mut guarded = stop.or_halt(Guarded::enter(wanted, switch)).await??;
    let means = guarded.means();
    let (source, destination) = stop.or_halt(connect::ends(plan, &run.to_string(), &budget, &means)).await??;
    let log = destination.bucket().map(|bucket| AttemptLog::start(Arc::clone(bucket), run, attempt));
    tracing::info!(pipeline = plan.pipeline, memory = budget.limit(), "run begins without an orchestrator");
    let observer: Arc<dyn Observer> = Arc::new(Logged(Both(terminal)));
    let observer = guarded.observer(observer).await;
    panic::install(Some(Arc::clone(&observer)));
    let context = Context {
        source: guarded.source(source),
        destination,
        errands,
        run,
        attempt,
        epoch: None,
        accepted: arguments.accept_epoch.then_some(Epoch::LARGEST),
        owner: format!("once/{}", plan.pipeline),
        observer,
        gate: guarded.gate(Arc::new(OpenGate)),
        stop,
        budget,
    };
    Ok((context, log, guarded))
}

/// The signature of a pipeline in a file of `waybill sign`; none where no file was named or it has none.
fn signature(file: Option<&Path>, pipeline: &str) -> FaultResult<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    let unreadable = || {
        let text = format!("{} can't be read as a file of signatures", file.display());
        Fault::new(FailureCode::SignatureRejected, text)
    };
    let text = std::fs::read_to_string(file).map_err(|_| unreadable())?;
    let all: serde_json::Value = serde_json::from_str(&text).map_err(|_| unreadable())?;
    let signatures = all["signatures"].as_array().ok_or_else(unreadable)?;
    let own = signatures.iter().find(|one| one["pipeline"] == pipeline);
    Ok(own.and_then(|one| one["signature"].as_str()).map(str::to_owned))
}

/// That tables hold a part of their sources' rows at most, where that was asked for and done.
fn tell_limit(limit: Option<u64>, ends: &[StreamEnd]) {
    let filled = ends.iter().filter(|end| end.outcome.state == StreamState::Committed).count();
    if let Some(rows) = limit.filter(|_| filled > 0) {
        say(&format!(
            "LIMITED: {} at most of each stream that was delivered, whatever its source has; the next run without --limit brings \
             all of them",
            show_count(rows, "row")
        ));
    }
}

/// Lets the terminal be shared between the run and its summary.
struct Both(Arc<Terminal>);

impl Observer for Both {
    fn progress(&self, progress: waybill_pipeline::Progress) {
        self.0.progress(progress);
    }

    fn event(&self, event: waybill_model::event::Event) {
        self.0.event(event);
    }
}

/// Turns the signals that ask a process to end into a cancel.
async fn listen(switch: StopSwitch) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    say("stopping; what is not committed stays unseen");
    switch.raise(Directive::Cancel);
}

/// What the process ends with, where so many streams came to what was wanted of them.
fn exit_of(ends: &[StreamEnd], is_done: impl Fn(&StreamEnd) -> bool) -> Exit {
    let delivered = ends.iter().filter(|end| is_done(end)).count();
    let has = |code| ends.iter().any(|end| end.outcome.failure == Some(code));
    if delivered == ends.len() {
        Exit::Ok
    } else if ends.iter().any(|end| end.halt == Some(Halt::Cancel)) {
        Exit::Canceled
    } else if has(FailureCode::Fenced) {
        Exit::Fenced
    } else if delivered > 0 {
        Exit::PartlyFailed
    } else {
        Exit::RunFailed
    }
}

//! `run why`: why a run waits or failed, where, what was kept, and what to do next.

use serde::Serialize;
use waybill_api::run::{Failure, RunDetail, RunStream};
use waybill_model::FailureCode;
use waybill_model::failure::RetryPolicy;
use waybill_model::run::{RunKind, RunState, StreamState};

use crate::exit::{Exit, Result};
use crate::output::{Output, clean, facts};

/// The explanation.
#[derive(Serialize)]
struct Why {
    run_id: String,
    of: String,
    state: String,
    /// The failure code, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// Streams that failed, with their codes.
    #[serde(rename = "where")]
    places: Vec<Place>,
    /// What it waits for, where it is not final.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// What readers see.
    kept: String,
    /// What happens by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<String>,
    /// The next command.
    next: String,
}

#[derive(Serialize)]
struct Place {
    stream: String,
    code: String,
    hint: String,
}

pub(crate) fn why(detail: &RunDetail, output: &Output) -> Result<Exit> {
    let why = explain(detail);
    output.one(&why, &why.run_id, || people(&why))?;
    Ok(Exit::Done)
}

/// The same in short, for the end of a command that failed.
pub(crate) fn sentence(detail: &RunDetail) -> String {
    people(&explain(detail))
}

fn explain(detail: &RunDetail) -> Why {
    let run = &detail.run;
    let failed: Vec<&RunStream> = detail.streams.iter().filter(|stream| stream.failure.is_some()).collect();
    // A run without a code of its own failed as its first stream did; a waiting one may have a failed attempt behind it.
    let attempt = detail.attempt_list.iter().rev().find_map(|attempt| attempt.failure.as_ref());
    let failure = run.failure.as_ref().or_else(|| failed.first()?.failure.as_ref()).or(attempt);
    let is_final = run.state.known().is_some_and(RunState::is_final);
    Why {
        run_id: run.id.to_string(),
        of: run.subject.clone(),
        state: run.state.to_string(),
        code: failure.map(|failure| failure.code.to_string()),
        places: failed.iter().filter_map(|stream| place(stream)).collect(),
        waiting_for: if is_final { None } else { Some(waits(detail)) },
        hint: failure.map(hint),
        kept: kept(detail),
        retry: failure.and_then(|failure| failure.code.known()).map(|code| retried(detail, policy(code))),
        next: next(detail, failure),
    }
}

fn place(stream: &RunStream) -> Option<Place> {
    let failure = stream.failure.as_ref()?;
    Some(Place { stream: stream.name.clone(), code: failure.code.to_string(), hint: hint(failure) })
}

/// The server's hint, or this version's own for a code that it knows.
fn hint(failure: &Failure) -> String {
    let own = failure.code.known().map(FailureCode::hint).unwrap_or_default();
    if failure.hint.is_empty() { own.to_owned() } else { failure.hint.clone() }
}

fn waits(detail: &RunDetail) -> String {
    let run = &detail.run;
    run.waiting_for.clone().unwrap_or_else(|| match run.state.known() {
        Some(RunState::Queued) => "its turn: the dispatcher has not taken it yet".to_owned(),
        Some(RunState::Launching) => "its worker: the task was asked for and has not enrolled yet".to_owned(),
        Some(RunState::Running) => "nothing: its worker is at work".to_owned(),
        _ => "an answer that this version does not know".to_owned(),
    })
}

fn kept(detail: &RunDetail) -> String {
    let run = &detail.run;
    if run.streams_total == 0 || run.kind != RunKind::Sync {
        return "nothing was to be delivered".to_owned();
    }
    let late = detail.streams.iter().filter(|stream| stream.delivered_late).count();
    let late = if late == 0 { String::new() } else { format!(", {late} of them found only after the run had ended") };
    let rest = detail.streams.iter().filter(|stream| stream.state != StreamState::Committed).count();
    let tail = if rest == 0 { "" } else { "; the others stand as they were before, cursors unmoved" };
    format!("{} of {} streams delivered{late}{tail}", run.streams_delivered, run.streams_total)
}

/// What the policy comes to: a run that is over makes no attempt any more.
fn retried(detail: &RunDetail, policy: &str) -> String {
    let is_failed = detail.run.state.known() == Some(RunState::Failed);
    match detail.attempt_list.len() {
        attempts if is_failed && attempts > 1 => format!("{attempts} attempts were made, and none is to come"),
        _ => policy.to_owned(),
    }
}

const fn policy(code: FailureCode) -> &'static str {
    match code.policy() {
        RetryPolicy::Retry => "tried again by itself, with growing waits",
        RetryPolicy::RetryAfter => "tried again by itself, after at least half of the longest wait",
        RetryPolicy::AfterFix => "not tried again before something is changed",
        RetryPolicy::Never => "not tried again",
    }
}

fn next(detail: &RunDetail, failure: Option<&Failure>) -> String {
    let run = &detail.run;
    match (run.state.known(), failure) {
        (Some(RunState::Succeeded), _) if run.kind != RunKind::Sync => "nothing".to_owned(),
        (Some(RunState::Succeeded), _) => format!("nothing; `waybill run receipt {}` shows what was delivered", run.id),
        // A test, or a look at a source alone: no bucket was opened that could keep a log.
        (Some(RunState::Failed | RunState::Canceled), _)
            if run.kind != RunKind::Sync && detail.destination.is_none() =>
        {
            format!("mend it, then try again; `waybill run events {}` tells more", run.id)
        }
        // A check or discovery delivers nothing that could be retried; its log is there if its ends could be opened.
        (Some(RunState::Failed | RunState::Canceled), _) if run.kind != RunKind::Sync => {
            let id = run.id;
            format!("mend it, then try again; `waybill run events {id}` and `waybill run logs {id}` tell more")
        }
        (Some(RunState::Failed | RunState::Canceled), _) => {
            let undelivered = run.streams_total.saturating_sub(run.streams_delivered);
            let noun = if undelivered == 1 { "stream" } else { "streams" };
            format!(
                "mend it, then `waybill run retry {}` ({undelivered} {noun}); full log: `waybill run logs {}`",
                run.id, run.id
            )
        }
        _ => format!("`waybill run watch {}`; if it should not go on, `waybill run cancel {}`", run.id, run.id),
    }
}

fn people(why: &Why) -> String {
    let mut rows = vec![("run", format!("{} of {}: {}", why.run_id, why.of, why.state))];
    if let Some(code) = &why.code {
        rows.push(("code", code.clone()));
    }
    for place in &why.places {
        rows.push(("where", format!("stream {}: {}", place.stream, place.code)));
    }
    if let Some(waiting) = &why.waiting_for {
        rows.push(("waits for", waiting.clone()));
    }
    if let Some(hint) = &why.hint {
        rows.push(("hint", hint.clone()));
    }
    rows.push(("kept", why.kept.clone()));
    if let Some(retry) = &why.retry {
        rows.push(("retry", retry.to_owned()));
    }
    rows.push(("next", why.next.clone()));
    clean(&facts(&rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_api::Example;

    #[test]
    fn a_failed_run_is_explained_with_code_kept_and_next() {
        let why = explain(&RunDetail::example());
        assert_eq!(why.code.as_deref(), Some("source_denied"));
        assert!(why.kept.starts_with("1 of 2 streams delivered"), "{}", why.kept);
        assert!(why.next.contains("waybill run retry run_") && why.hint.is_some_and(|hint| hint.contains("password")));
        assert_eq!(why.retry.as_deref(), Some("not tried again before something is changed"));
    }

    #[test]
    fn a_run_that_was_tried_to_the_end_says_so_and_promises_no_attempt() {
        let mut run = RunDetail::example();
        let attempt = run.attempt_list[0].clone();
        run.attempt_list.push(attempt);
        assert_eq!(explain(&run).retry.as_deref(), Some("2 attempts were made, and none is to come"));
        run.run.state = RunState::Running.into();
        assert!(explain(&run).retry.is_some_and(|retry| retry.contains("again")), "one may still come");
    }

    #[test]
    fn a_waiting_run_says_what_it_waits_for() {
        let mut run = RunDetail::example();
        run.run.state = RunState::Queued.into();
        run.run.failure = None;
        run.attempt_list.clear();
        let why = explain(&run);
        assert!(why.waiting_for.is_some_and(|waits| waits.contains("turn")));
        assert!(why.code.is_none() && why.next.contains("run watch"));
    }
}

//! `data-plane check --start-test-task`: one task is started, enrols and leaves, told step by step as the orchestrator learns
//! of it. Nothing depends on this command: the task is stopped by the orchestrator, also where nobody looks any more.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use waybill_api::client::{Client, EventQuery};
use waybill_api::data_plane::{DataPlane, DataPlaneCheck};
use waybill_api::event::RunEvent;
use waybill_api::run::RunDetail;
use waybill_model::RunId;

use super::told;
use crate::commands::watch::exit_of;
use crate::exit::{Exit, Result};
use crate::output::{Output, clean, table};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(500);
/// How long the end of the task is waited for once its run has ended: a cloud takes a moment to take a network away.
const TASK_END: Duration = Duration::from_secs(180);

/// What was found, first by asking and then by doing it.
#[derive(Serialize)]
struct Checked {
    /// Absent where no role belongs to the data plane.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<DataPlaneCheck>,
    /// Absent where the check already found that nothing can be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Tested>,
}

/// What became of the task.
#[derive(Serialize)]
struct Tested {
    run_id: RunId,
    /// Started, enrolled, and seen to end.
    passed: bool,
    steps: Vec<Step>,
    #[serde(skip)]
    exit: Exit,
}

/// One step.
#[derive(Clone, Serialize)]
struct Step {
    /// The event's code.
    step: String,
    /// How long after the test was asked for.
    after_ms: u64,
    /// `info`, `warn` or `error`.
    level: String,
    /// The failure's code, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// What happened; with a failure, what to do.
    text: String,
}

impl Step {
    fn line(&self) -> String {
        let mark = match (self.level.as_str(), &self.failure) {
            ("error", _) | (_, Some(_)) => "×",
            ("warn", None) => "!",
            _ => "✓",
        };
        let seconds = Duration::from_millis(self.after_ms).as_secs_f64();
        format!("{mark} {seconds:>6.1} s  {:<13}  {}\n", clean(&self.step), clean(&self.text))
    }
}

pub(super) async fn check_and_test(
    client: &Client,
    plane: &DataPlane,
    timeout: Option<Duration>,
    output: &Output,
) -> Result<Exit> {
    let check = match plane.external_id {
        Some(_) => Some(client.data_plane_check(plane.id).await?),
        None => None,
    };
    if let (Some(check), true) = (&check, output.is_table()) {
        output.text(&table(&check.rows))?;
    }
    let (test, exit) = match check.as_ref().map(|check| told(check, output)) {
        Some(exit) if exit != Exit::Done => {
            output.say("no test task was started");
            (None, exit)
        }
        _ => {
            let test = test(client, plane, timeout, output).await?;
            let exit = test.exit;
            (Some(test), exit)
        }
    };
    output.one(&Checked { check, test }, &plane.name, String::new)?;
    Ok(exit)
}

/// Starts the test and follows it until its task is over.
async fn test(client: &Client, plane: &DataPlane, timeout: Option<Duration>, output: &Output) -> Result<Tested> {
    let run = client.data_plane_test(plane.id).await?;
    let id = run.run.id;
    let mut follow = Follow { client, run, after: 0, steps: Vec::new() };
    let until = timeout.map(|timeout| Instant::now() + timeout);
    let mut ended_at: Option<Instant> = None;
    loop {
        let ended = follow.look(output).await?;
        if ended && follow.is_task_over() {
            break;
        }
        ended_at = ended_at.or_else(|| ended.then(Instant::now));
        if ended_at.is_some_and(|at| at.elapsed() >= TASK_END) {
            output.say("its task was not seen to end yet; the orchestrator goes on stopping it");
            return Ok(Tested { run_id: id, passed: false, steps: follow.steps, exit: Exit::Failed });
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            output.say(&format!("the wait is over; the test goes on and its task is stopped: waybill run watch {id}"));
            return Ok(Tested { run_id: id, passed: false, steps: follow.steps, exit: Exit::TimedOut });
        }
        tokio::time::sleep(LOOK).await;
    }
    let exit = exit_of(&client.run_get(id).await?);
    output.say(&match exit {
        Exit::Done => "passed: a worker was started, enrolled, and its task has ended".to_owned(),
        _ => format!("failed: see the step marked ×; `waybill run why {id}` tells more"),
    });
    Ok(Tested { run_id: id, passed: exit == Exit::Done, steps: follow.steps, exit })
}

/// The test as far as it was told.
struct Follow<'a> {
    client: &'a Client,
    run: RunDetail,
    after: u64,
    steps: Vec<Step>,
}

impl Follow<'_> {
    /// Takes what is new; true where the run has ended and all of it was read.
    async fn look(&mut self, output: &Output) -> Result<bool> {
        loop {
            let query = EventQuery { after: Some(self.after), ..EventQuery::default() };
            let page = self.client.run_events(self.run.run.id, &query).await?;
            self.after = page.next_after;
            for event in page.items {
                let step = self.step(event);
                if output.is_table() {
                    output.text(&step.line())?;
                }
                self.steps.push(step);
            }
            if !page.more {
                return Ok(page.ended);
            }
        }
    }

    fn step(&self, event: RunEvent) -> Step {
        let began = self.run.run.created_at;
        let after_ms = u64::try_from(event.at.0.since(began.0).as_millis()).unwrap_or(u64::MAX);
        let failure = event.failure.map(|code| code.to_string());
        Step { step: event.code, after_ms, level: event.level, failure, text: event.text }
    }

    /// No task is left: its end was told, or none was ever started.
    fn is_task_over(&self) -> bool {
        let told = |code: &str| self.steps.iter().any(|step| step.step == code);
        told("task_stopped") || !told("task_started")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_line_with_its_time_and_what_happened() {
        let step = |level: &str, text: &str| Step {
            step: "enrolled".into(),
            after_ms: 12_340,
            level: level.into(),
            failure: None,
            text: text.into(),
        };
        assert_eq!(
            step("info", "the worker has enrolled").line(),
            "✓   12.3 s  enrolled       the worker has enrolled\n"
        );
        assert!(step("error", "\u{1b}[2J").line().starts_with("×   12.3 s"));
        assert!(!step("error", "\u{1b}[2J").line().contains('\u{1b}'));
    }
}

//! What `once` and the other commands say to a person, on standard error. Standard output is for data.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use waybill_model::event::{Event, EventCode, Level};
use waybill_model::plan::Plan;
use waybill_model::run::StreamState;
use waybill_model::size::{show_bytes, show_count, show_number};
use waybill_pipeline::engine::StreamEnd;
use waybill_pipeline::{Fault, Observer, Progress};

/// Between two showings of progress.
const EVERY: Duration = Duration::from_millis(500);

/// One line for a person. A terminal that is gone is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// That a table which somebody named is none of ours: most often its name is mistyped.
pub(crate) fn no_table(fault: &Fault, url: &str) {
    say(&format!(
        "× {}\n  help: `waybill-worker verify {url}` names the tables that are there",
        fault.text.for_customer()
    ));
}

/// Shows progress while a run goes on, where a person looks on; else only what is worth a look.
pub(crate) struct Terminal {
    names: Vec<String>,
    live: bool,
    shown: Mutex<Option<Instant>>,
}

impl Terminal {
    pub(crate) fn new(plan: &Plan) -> Self {
        let names = plan.streams.iter().map(|stream| stream.name.clone()).collect();
        Self { names, live: std::io::stderr().is_terminal(), shown: Mutex::new(None) }
    }

    pub(crate) fn name(&self, stream: u32) -> &str {
        usize::try_from(stream).ok().and_then(|at| self.names.get(at)).map_or("?", String::as_str)
    }
}

impl Observer for Terminal {
    fn progress(&self, progress: Progress) {
        let Some(mut shown) = self.shown.lock().ok().filter(|_| self.live) else { return };
        if shown.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        *shown = Some(Instant::now());
        let share = progress.rows_estimate.filter(|rows| *rows > 0).map_or_else(String::new, |estimate| {
            format!(", {} % of about {}", (progress.rows * 100 / estimate).min(100), show_number(estimate))
        });
        let (name, state) = (self.name(progress.stream), progress.state);
        let line =
            format!("{name} {state}: {}, {}{share}", show_count(progress.rows, "row"), show_bytes(progress.bytes));
        let _ = write!(std::io::stderr(), "\r\x1b[K{line}");
    }

    fn event(&self, event: Event) {
        // What was not as expected is told of each stream at its end, in words.
        let later = matches!(event.code, EventCode::ExpectationFailed | EventCode::ExpectationWarned);
        if event.code.level() < Level::Warn || event.failure.is_some() || later {
            return;
        }
        let stream = event.stream.map_or_else(String::new, |stream| format!("{}: ", self.name(stream)));
        let count = event.count.map_or_else(String::new, |count| format!(" ({})", show_number(count)));
        self.clear();
        let advice = event.code.advice().map_or_else(String::new, |advice| format!(": {advice}"));
        say(&format!("{stream}{}{count}{advice}", event.code.as_str().replace('_', " ")));
    }
}

impl Terminal {
    /// Takes the line of progress away.
    pub(crate) fn clear(&self) {
        if self.live {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }

    /// How each stream ended.
    pub(crate) fn summary(&self, ends: &[StreamEnd]) {
        self.clear();
        for end in ends {
            let outcome = &end.outcome;
            let name = self.name(outcome.stream);
            let rows = show_count(outcome.rows, "row");
            for warned in end.expected.iter().filter(|one| !one.holds && !one.fails()) {
                say(&format!("! {name}: {}", warned.told()));
            }
            say(&match (outcome.state, outcome.failure) {
                (StreamState::Committed, _) if outcome.version.is_none() => format!("= {name}: nothing new"),
                (StreamState::Committed, _) => {
                    let adopted = if outcome.adopted { ", found from an earlier attempt" } else { "" };
                    let (bytes, files) = (show_bytes(outcome.bytes), show_count(outcome.files, "file"));
                    format!("✓ {name}: {rows}, {bytes} in {files}, {}{adopted}", outcome.grade)
                }
                (_, Some(code)) => {
                    let text = end.text.for_customer();
                    let text = if text.is_empty() { String::new() } else { format!(": {text}") };
                    format!("× {name}: {code}{text}\n  help: {}", code.hint())
                }
                (_, None) => format!("– {name}: stopped before its commit; readers see what they saw before"),
            });
        }
    }
}

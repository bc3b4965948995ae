//! The live picture of a run on standard error: phase, and per stream rows, bytes, rate and share.
//!
//! What is not known is a dash, never a zero. It draws only where a person looks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use waybill_api::run::{ColumnDrift, RunDetail, RunStream};
use waybill_model::Micros;
use waybill_model::run::{RunState, StreamState};
use waybill_model::size::{show_bytes, show_number};

use crate::output::clean;
use crate::terminal::Terminal;

/// The lines that are drawn again and again.
pub(crate) struct Progress {
    lines: MultiProgress,
    bars: Vec<ProgressBar>,
    rates: Rates,
    newest: Option<RunDetail>,
}

impl Progress {
    pub(crate) fn new(terminal: Terminal) -> Self {
        let to = if terminal.progress { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { lines: MultiProgress::with_draw_target(to), bars: Vec::new(), rates: Rates::default(), newest: None }
    }

    /// Takes what is known now.
    pub(crate) fn take(&mut self, run: RunDetail) {
        self.rates.take(&run, Instant::now());
        self.newest = Some(run);
        self.draw();
    }

    /// Draws what is known; the clock has gone on.
    pub(crate) fn draw(&mut self) {
        let Some(run) = &self.newest else { return };
        let mut lines = vec![phases(run, Micros::now())];
        lines.extend(streams(run, Some(&self.rates)));
        lines.push("Ctrl+C detaches, the run goes on".to_owned());
        while self.bars.len() < lines.len() {
            let bar = self.lines.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            self.bars.push(bar);
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line);
            bar.tick();
        }
    }

    /// Takes the lines away: the result comes on standard output.
    pub(crate) fn clear(&self) {
        // A terminal that went away needs no clearing.
        let _ = self.lines.clear();
    }
}

/// Rows per second, smoothed over the last few pictures.
#[derive(Default)]
pub(crate) struct Rates(HashMap<u32, (Instant, u64, Option<f64>)>);

impl Rates {
    fn take(&mut self, run: &RunDetail, now: Instant) {
        for stream in &run.streams {
            let Some(rows) = stream.rows else { continue };
            let entry = self.0.entry(stream.index).or_insert((now, rows, None));
            let passed = now.duration_since(entry.0);
            if passed >= Duration::from_millis(200) {
                let fresh = rows.saturating_sub(entry.1) as f64 / passed.as_secs_f64();
                let smooth = entry.2.map_or(fresh, |old| old.mul_add(0.6, fresh * 0.4));
                *entry = (now, rows, Some(smooth));
            }
        }
    }

    fn of(&self, stream: &RunStream) -> Option<f64> {
        self.0.get(&stream.index).and_then(|entry| entry.2).filter(|_| stream.state == StreamState::Reading)
    }
}

/// `run_… queued 0.4 s · starting 31 s · running 4 m 12 s`.
fn phases(detail: &RunDetail, now: Micros) -> String {
    let run = &detail.run;
    let launched = detail.attempt_list.first().map(|attempt| attempt.created_at.0);
    let started = run.started_at.map(|at| at.0);
    let mut text = format!("{} queued {}", run.id, span(run.created_at.0, launched.unwrap_or(now)));
    if let Some(launched) = launched {
        text.push_str(&format!(" · starting {}", span(launched, started.unwrap_or(now))));
    }
    if let Some(started) = started {
        text.push_str(&format!(" · running {}", span(started, run.ended_at.map_or(now, |at| at.0))));
    }
    if run.attempts > 1 {
        text.push_str(&format!(" · attempt {}", run.attempts));
    }
    if let (Some(waiting), Some(RunState::Queued | RunState::Launching)) = (&run.waiting_for, run.state.known()) {
        text.push_str(&format!(" · {}", clean(waiting)));
    }
    text
}

/// One line per stream below a line of headings.
pub(crate) fn streams(detail: &RunDetail, rates: Option<&Rates>) -> Vec<String> {
    if detail.streams.is_empty() {
        return Vec::new();
    }
    let names: Vec<String> = detail.streams.iter().map(|stream| cut(&clean(&stream.name), 40)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(6);
    let mut lines = vec![format!(
        "  {:width$}  {:10} {:>15} {:>10} {:>10} {:>6}",
        "STREAM", "STATE", "ROWS", "BYTES", "RATE", "FILES"
    )];
    for (stream, name) in detail.streams.iter().zip(names) {
        let dash = || "–".to_owned();
        let rate = rates.and_then(|rates| rates.of(stream)).map_or_else(dash, per_second);
        let line = format!(
            "  {name:width$}  {:10} {:>15} {:>10} {rate:>10} {:>6}  {}",
            word(stream),
            stream.rows.map_or_else(dash, show_number),
            stream.bytes.map_or_else(dash, show_bytes),
            stream.files.map_or_else(dash, |files| files.to_string()),
            note(stream)
        );
        lines.push(line.trim_end().to_owned());
    }
    lines
}

fn word(stream: &RunStream) -> String {
    match stream.state.known() {
        Some(StreamState::Committed) => "✓ done".to_owned(),
        Some(StreamState::Failed) => "✗ failed".to_owned(),
        _ => clean(stream.state.as_str()),
    }
}

/// Columns that are others than the table's, in words.
fn drift(columns: ColumnDrift, was_delivered: bool) -> String {
    let words = [
        (columns.new, if was_delivered { "added" } else { "new" }),
        (columns.gone, if was_delivered { "removed" } else { "gone" }),
        (columns.changed, if was_delivered { "retyped" } else { "of another type" }),
        (columns.ignored, "ignored"),
    ];
    let told: Vec<String> = words
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{} {word}", show_number(*count)))
        .collect();
    format!("columns: {}", told.join(", "))
}

/// How a stream failed, how much of what the source expects it has read, and what became of its columns.
fn note(stream: &RunStream) -> String {
    let was_delivered = stream.state == StreamState::Committed;
    let columns = stream.columns.map(|columns| drift(columns, was_delivered));
    let reload = stream.reload.then(|| "reload".to_owned());
    let forget = stream.forget_cursor.then(|| "cursor forgotten".to_owned());
    let bound = |word: &str, bound: &Option<String>| bound.as_deref().map(|bound| format!(" {word} {}", clean(bound)));
    let backfill = stream.backfill.as_ref().map(|range| {
        let bounds = [bound("from", &range.from), bound("to", &range.to)];
        format!("backfill{}", bounds.into_iter().flatten().collect::<String>())
    });
    let limit = stream.limit.map(|rows| format!("LIMITED to {} rows", show_number(rows)));
    [reload, forget, backfill, limit, Some(share(stream)).filter(|share| !share.is_empty()), columns]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · ")
}

/// How much of what the source expects; an estimate, said so.
fn share(stream: &RunStream) -> String {
    if let Some(failure) = &stream.failure {
        return clean(failure.code.as_str());
    }
    match (stream.state.known(), stream.rows, stream.rows_estimate) {
        (Some(StreamState::Reading), Some(rows), Some(all)) if all > 0 => {
            let percent = (rows.saturating_mul(100) / all).min(99);
            let full = usize::try_from(percent / 10).unwrap_or(0);
            format!("{}{} {percent} % of about {}", "█".repeat(full), "░".repeat(10 - full), show_number(all))
        }
        _ if stream.delivered_late => "delivered late".to_owned(),
        _ => String::new(),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most { text.to_owned() } else { text.chars().take(most - 1).chain(['…']).collect() }
}

fn per_second(rate: f64) -> String {
    if rate >= 1e6 {
        format!("{:.1} M/s", rate / 1e6)
    } else if rate >= 1e3 {
        format!("{:.1} k/s", rate / 1e3)
    } else {
        format!("{rate:.0} /s")
    }
}

/// The time between two points, in the two largest units.
pub(crate) fn span(from: Micros, to: Micros) -> String {
    let passed = to.since(from);
    let seconds = passed.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", passed.as_secs_f64()),
        60..3_600 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_api::Example;

    fn reading(rows: Option<u64>, estimate: Option<u64>) -> RunDetail {
        let mut run = RunDetail::example();
        run.streams[0].state = StreamState::Reading.into();
        run.streams[0].rows = rows;
        run.streams[0].bytes = None;
        run.streams[0].rows_estimate = estimate;
        run.streams[0].columns = None;
        run
    }

    #[test]
    fn what_is_not_known_is_a_dash_and_never_a_zero() {
        let line = streams(&reading(None, None), None).remove(1);
        assert!(line.contains('–') && !line.contains(" 0 "), "{line}");
    }

    #[test]
    fn an_estimate_is_labelled_and_never_reaches_a_hundred() {
        let line = streams(&reading(Some(1_490_001), Some(1_490_000)), None).remove(1);
        assert!(line.ends_with("99 % of about 1,490,000"), "{line}");
    }

    #[test]
    fn the_rate_comes_from_what_arrived_between_two_pictures() {
        let mut rates = Rates::default();
        let now = Instant::now();
        rates.take(&reading(Some(0), None), now);
        rates.take(&reading(Some(96_200), None), now + Duration::from_secs(2));
        let line = streams(&reading(Some(96_200), None), Some(&rates)).remove(1);
        assert!(line.contains("48.1 k/s"), "{line}");
    }

    #[test]
    fn phases_name_how_long_each_took() {
        let text = phases(&RunDetail::example(), Micros(0));
        assert!(text.contains("queued 0.0 s · starting 2.0 s · running 7 m 25 s"), "{text}");
    }

    #[test]
    fn spans_read_easily() {
        assert_eq!(span(Micros(0), Micros(7_260_000_000)), "2 h 1 m");
    }
}

//! Turns what is traced into lines of JSON. Only our own crates are heard below a warning: drivers may print rows.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use waybill_model::Micros;

/// A layer that gives every line to the writer of chunks and never waits for it.
pub(super) struct LineLayer(To);

enum To {
    Writer(mpsc::Sender<String>, Arc<AtomicU64>),
    /// Standard error, without the small talk.
    Terminal,
}

impl LineLayer {
    pub(super) const fn new(lines: mpsc::Sender<String>, lost: Arc<AtomicU64>) -> Self {
        Self(To::Writer(lines, lost))
    }

    /// A layer that prints every line where the process's own messages go.
    pub(super) const fn to_terminal() -> Self {
        Self(To::Terminal)
    }

    fn most(&self, target: &str) -> Level {
        match (&self.0, target.starts_with("waybill")) {
            (To::Writer(..), true) => Level::DEBUG,
            (To::Terminal, true) => Level::INFO,
            (_, false) => Level::WARN,
        }
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_event() && *metadata.level() <= self.most(metadata.target())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line(Map::new());
        line.0.insert("at".to_owned(), Value::from(Micros::now().to_rfc3339()));
        line.0.insert("level".to_owned(), Value::from(metadata.level().as_str()));
        line.0.insert("target".to_owned(), Value::from(metadata.target()));
        event.record(&mut line);
        let line = Value::Object(line.0).to_string();
        match &self.0 {
            To::Writer(lines, lost) => {
                if lines.try_send(line).is_err() {
                    super::count_lost(lost);
                }
            }
            To::Terminal => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }
}

struct Line(Map<String, Value>);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Events of the catalogue come as JSON already.
        let parsed = if field.name() == "event" { serde_json::from_str(value).ok() } else { None };
        self.0.insert(field.name().to_owned(), parsed.unwrap_or_else(|| Value::from(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), Value::from(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), Value::from(text));
    }
}

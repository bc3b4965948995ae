//! Turns what is traced into lines of JSON. Only our own crates are heard below a warning: drivers may print rows.

use std::fmt::{Debug, Write};
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
pub(super) struct LineLayer {
    lines: mpsc::Sender<String>,
    lost: Arc<AtomicU64>,
}

impl LineLayer {
    pub(super) const fn new(lines: mpsc::Sender<String>, lost: Arc<AtomicU64>) -> Self {
        Self { lines, lost }
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let most = if metadata.target().starts_with("waybill") { Level::DEBUG } else { Level::WARN };
        metadata.is_event() && *metadata.level() <= most
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut line = Line(Map::new());
        line.0.insert("at".to_owned(), Value::from(Micros::now().to_rfc3339()));
        line.0.insert("level".to_owned(), Value::from(metadata.level().as_str()));
        line.0.insert("target".to_owned(), Value::from(metadata.target()));
        event.record(&mut line);
        if self.lines.try_send(Value::Object(line.0).to_string()).is_err() {
            super::count_lost(&self.lost);
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

//! How a preview ended, for people: where the rows of each stream lie, and a command that shows them.

use waybill_model::size::show_count;
use waybill_pipeline::commit::key;
use waybill_pipeline::engine::{Context, StreamEnd};

use super::exit_of;
use crate::exit::Exit;
use crate::terminal::{Terminal, say};

/// Tells of every stream; fails where one failed.
pub(super) fn told(terminal: &Terminal, context: &Context, ends: &[StreamEnd]) -> Exit {
    let (written, other): (Vec<_>, Vec<_>) = ends.iter().partition(|end| is_written(end));
    let url = context.destination.url();
    terminal.clear();
    for end in &written {
        let (index, rows) = (end.outcome.stream, show_count(end.outcome.rows, "row"));
        let name = terminal.name(index);
        say(&format!("✓ {name}: {rows} in {url}/{}", key::preview(context.run, index, name)));
    }
    let other: Vec<StreamEnd> = other.into_iter().cloned().collect();
    terminal.summary(&other);
    if !written.is_empty() {
        say(&format!("look at them: waybill-worker preview {url} --run {}", context.run));
    }
    exit_of(ends, is_written)
}

fn is_written(end: &StreamEnd) -> bool {
    end.outcome.failure.is_none() && end.halt.is_none()
}

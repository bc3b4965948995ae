//! How a preview ended, for people: where the rows of each stream lie, and a command that shows them.

use waybill_model::plan::Plan;
use waybill_model::size::show_count;
use waybill_pipeline::commit::key;
use waybill_pipeline::engine::{Context, StreamEnd};

use crate::exit::Exit;
use crate::terminal::{Terminal, say};

/// Tells of every stream; fails where one failed.
pub(super) fn told(terminal: &Terminal, plan: &Plan, context: &Context, ends: &[StreamEnd]) -> Exit {
    let (written, other): (Vec<_>, Vec<_>) = ends.iter().partition(|end| is_written(end));
    let url = context.destination.url();
    for end in &written {
        let index = end.outcome.stream;
        let name =
            usize::try_from(index).ok().and_then(|at| plan.streams.get(at)).map_or("?", |stream| stream.name.as_str());
        let rows = show_count(end.outcome.rows, "row");
        say(&format!("✓ {name}: {rows} in {url}/{}", key::preview(context.run, index, name)));
    }
    let other: Vec<StreamEnd> = other.into_iter().cloned().collect();
    terminal.summary(&other);
    if !written.is_empty() {
        say(&format!("look at them: waybill-worker preview {url} --run {}", context.run));
    }
    match (other.is_empty(), other.iter().any(|end| end.halt.is_some())) {
        (true, _) => Exit::Ok,
        (false, true) => Exit::Canceled,
        (false, false) if written.is_empty() => Exit::RunFailed,
        (false, false) => Exit::PartlyFailed,
    }
}

fn is_written(end: &StreamEnd) -> bool {
    end.outcome.failure.is_none() && end.halt.is_none()
}

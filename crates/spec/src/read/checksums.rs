//! Which columns are summed at both ends, and where that can't be: a column that is cast, a destination without Parquet.

use waybill_model::plan::{Checksums, Files, StreamPlan, System};

use super::stream::of;
use super::{Settings, twice};
use crate::diagnostic::{Code, Findings, show};
use crate::tree::{Entry, Span, Value};

/// Reads what a stream of such a source asks for. A source that computes no sums is told of elsewhere.
pub(super) fn read_checksums(entry: &Entry, keys: Settings<'_>, can_sum: bool, found: &mut Findings) -> Checksums {
    let Some(node) = keys.node("checksums").filter(|_| can_sum) else { return Checksums::Off };
    if node.scalar().is_some() {
        return Checksums::All;
    }
    let columns = keys.texts("checksums");
    // What is no list at all was told already.
    if columns.is_empty() && matches!(node.value, Value::List(_)) {
        let message = format!("`checksums` of {} names no column", of(entry));
        found.suggest(Code::Checksums, place(entry), message, "name at least one, or write `all`");
    }
    for (column, at) in twice(&columns) {
        found.add(Code::Checksums, *at, format!("`checksums` of {} names {} twice", of(entry), show(column)));
    }
    Checksums::Of(columns.into_iter().map(|(column, _)| column).collect())
}

/// Where a stream asks for sums that can't be compared: of a column whose values are others in the table, and of rows that can't
/// be read back.
pub(super) fn check_checksums(
    entry: &Entry,
    stream: &StreamPlan,
    (to, files): (Option<&System>, &Files),
    found: &mut Findings,
) {
    if stream.checksums.is_off() {
        return;
    }
    for column in stream.columns.cast.keys().filter(|column| stream.checksums.takes(column)) {
        let message = format!("{} casts {}, whose values are summed", of(entry), show(column));
        found.suggest(Code::Checksums, place(entry), message, "name the other columns in `checksums`");
    }
    if to.is_some_and(System::is_database) {
        let message = format!("`checksums` into a database is not built yet ({})", of(entry));
        found.suggest(Code::NotBuiltYet, place(entry), message, "leave it out, or write into a bucket");
    } else if !files.format.is_parquet() {
        let message = format!("`checksums` with `format: {}` is not built yet ({})", files.format, of(entry));
        found.suggest(Code::NotBuiltYet, place(entry), message, "write `format: parquet` or `parquet-files`");
    }
}

fn place(entry: &Entry) -> Span {
    Settings::of(&entry.value).own_place("checksums").unwrap_or(entry.at)
}

//! Columns of a stream: what is selected, dropped and renamed, and where these contradict each other.

use std::collections::{BTreeMap, HashMap, HashSet};

use waybill_model::plan::{Columns, CsvType};

use super::stream::place_in;
use super::{Settings, twice};
use crate::diagnostic::{Code, Findings, show};
use crate::tree::{Entry, Node, Span};

/// Characters that no column of a Delta table may have.
const UNUSABLE: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// Names with their places: those selected, and those dropped.
type Lists<'n> = (&'n [(String, Span)], &'n [(String, Span)]);

/// Reads the columns and tells of every contradiction. `needed` are columns that the table can't do without, each behind what
/// it is to the stream.
pub(super) fn read_columns(
    entry: &Entry,
    node: Option<&Node>,
    needed: &[(&str, &str)],
    found: &mut Findings,
) -> Columns {
    let Some(node) = node else { return Columns::default() };
    let keys = Settings::of(node);
    let (select, drop) = (keys.texts("select"), keys.texts("drop"));
    let renames = node.get("rename").map_or(&[][..], |rename| rename.value.entries());
    let of = format!("stream {}", show(&entry.key));
    check_twice(&of, "select", &select, found);
    check_twice(&of, "drop", &drop, found);
    check_lists(&of, (&select, &drop), found);
    let casts = node.get("cast").map_or(&[][..], |cast| cast.value.entries());
    check_against(&of, (&select, &drop), ("renames", renames), found);
    check_against(&of, (&select, &drop), ("casts", casts), found);
    check_keys(&of, casts, needed, found);
    check_targets(&of, &select, renames, found);
    for (what, column) in needed {
        check_delivered(entry, (what, column), (&select, &drop), found);
    }
    let bare = |named: Vec<(String, Span)>| named.into_iter().map(|(name, _)| name).collect();
    let rename: BTreeMap<String, String> =
        renames.iter().filter_map(|entry| Some((entry.key.clone(), entry.value.scalar()?.to_owned()))).collect();
    Columns { select: bare(select), drop: bare(drop), rename, cast: read_casts(casts) }
}

fn check_twice(of: &str, key: &str, names: &[(String, Span)], found: &mut Findings) {
    for (name, at) in twice(names) {
        found.add(Code::ColumnClash, *at, format!("`columns.{key}` of {of} names {} twice", show(name)));
    }
}

/// A column that is both wanted and not.
fn check_against(of: &str, lists: Lists<'_>, (does, entries): (&str, &[Entry]), found: &mut Findings) {
    let (select, drop) = lists;
    let selected: HashSet<&str> = select.iter().map(|(name, _)| name.as_str()).collect();
    let dropped: HashSet<&str> = drop.iter().map(|(name, _)| name.as_str()).collect();
    for entry in entries {
        if dropped.contains(entry.key.as_str()) {
            found.add(Code::ColumnClash, entry.at, format!("{of} both drops and {does} {}", show(&entry.key)));
        } else if !select.is_empty() && !selected.contains(entry.key.as_str()) {
            let message = format!("{of} {does} {} but does not select it", show(&entry.key));
            let help = format!("add it to `columns.select`, or remove what {does} it");
            found.suggest(Code::ColumnClash, entry.at, message, help);
        }
    }
}

/// A column that is both selected and dropped.
fn check_lists(of: &str, (select, drop): Lists<'_>, found: &mut Findings) {
    let selected: HashSet<&str> = select.iter().map(|(name, _)| name.as_str()).collect();
    for (name, at) in drop.iter().filter(|(name, _)| selected.contains(name.as_str())) {
        found.add(Code::ColumnClash, *at, format!("{of} both selects and drops {}", show(name)));
    }
}

/// Rows are told apart by what the source has in the key.
fn check_keys(of: &str, casts: &[Entry], needed: &[(&str, &str)], found: &mut Findings) {
    for entry in casts.iter().filter(|entry| needed.iter().any(|(what, name)| *what == "key" && *name == entry.key)) {
        let message = format!("{of} casts its key's column {}", show(&entry.key));
        found.suggest(
            Code::ColumnClash,
            entry.at,
            message,
            "leave it as the source has it: rows are told apart by that",
        );
    }
}

/// Types of columns; those that `check` has refused are left out.
fn read_casts(entries: &[Entry]) -> BTreeMap<String, CsvType> {
    let read = |entry: &Entry| Some((entry.key.clone(), entry.value.scalar()?.parse().ok()?));
    entries.iter().filter_map(read).collect()
}

/// Two columns of one name. Names that differ only in case count as one: readers of the table can't tell them apart.
fn check_targets(of: &str, select: &[(String, Span)], renames: &[Entry], found: &mut Findings) {
    let renamed: HashSet<&str> = renames.iter().map(|entry| entry.key.as_str()).collect();
    let mut taken: HashMap<String, &str> = HashMap::new();
    for (name, _) in select.iter().filter(|(name, _)| !renamed.contains(name.as_str())) {
        taken.insert(name.to_lowercase(), name);
    }
    for entry in renames {
        let Some(target) = entry.value.scalar() else { continue };
        let at = entry.value.span;
        if target.contains(UNUSABLE) {
            let message = format!("{of} renames {} to a name that a table can't have", show(&entry.key));
            found.suggest(Code::Name, at, message, "no blanks and none of , ; { } ( ) = in a column's name");
        }
        if let Some(other) = taken.insert(target.to_lowercase(), &entry.key) {
            let message =
                format!("{} and {} of {of} would have one name: {}", show(other), show(&entry.key), show(target));
            found.suggest(Code::ColumnClash, at, message, "names that differ only in case count as one");
        }
    }
}

fn check_delivered(entry: &Entry, (what, column): (&str, &str), lists: Lists<'_>, found: &mut Findings) {
    let (select, drop) = lists;
    let has = |names: &[(String, Span)]| names.iter().any(|(name, _)| name == column);
    let (key, why) = if has(drop) {
        ("drop", "drops")
    } else if !select.is_empty() && !has(select) {
        ("select", "does not select")
    } else {
        return;
    };
    let message = format!("stream {} {why} its {what} {}", show(&entry.key), show(column));
    let at = place_in(entry, &["columns", key]);
    found.suggest(Code::CursorDropped, at, message, format!("the table needs its {what} column: deliver it"));
}

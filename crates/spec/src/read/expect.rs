//! Expectations of a stream: one check each, with bounds that some value can lie within.
//!
//! A list of `every-stream` is read for each stream, so no message here names one.

use waybill_model::plan::{Bound, Check, Expectation, Range, RowCount};

use super::{Settings, twice};
use crate::check::read_percent;
use crate::diagnostic::{Code, Findings, show};
use crate::tree::{Node, Span};

const CHECKS: [&str; 4] = ["not-null", "unique", "range", "rows"];

/// Reads the list; what is wrong in an item leaves it out.
pub(super) fn read_expectations(node: Option<&Node>, found: &mut Findings) -> Vec<Expectation> {
    node.map_or(&[][..], Node::list).iter().filter_map(|item| expectation(item, found)).collect()
}

fn expectation(item: &Node, found: &mut Findings) -> Option<Expectation> {
    let keys = Settings::of(item);
    let written: Vec<(&str, Span)> = CHECKS.iter().filter_map(|check| Some((*check, keys.own_place(check)?))).collect();
    let (name, at) = match written.as_slice() {
        [one] => *one,
        [] => {
            // A key that is none was told already.
            if item.entries().iter().all(|entry| entry.key == "on-failure") {
                let instead = "write one of not-null, unique, range and rows";
                found.suggest(Code::Expectation, item.span, "an expectation says nothing", instead);
            }
            return None;
        }
        [_, (second, at), ..] => {
            let message = format!("an expectation has one check, and `{second}` is a second one");
            found.suggest(Code::Expectation, *at, message, "write it as an item of its own");
            return None;
        }
    };
    let check = match name {
        "not-null" => Check::NotNull(columns(keys, (name, at), found)?),
        "unique" => Check::Unique(columns(keys, (name, at), found)?),
        "range" => Check::Range(range(keys.node(name)?, at, found)?),
        _ => Check::Rows(rows(keys.node(name)?, at, found)?),
    };
    Some(Expectation { check, on_failure: keys.parsed("on-failure").unwrap_or_default() })
}

fn columns(keys: Settings<'_>, (name, at): (&str, Span), found: &mut Findings) -> Option<Vec<String>> {
    let columns = keys.texts(name);
    if columns.is_empty() {
        // What is no list at all was told already.
        if keys.node(name).is_some_and(|node| matches!(node.value, crate::tree::Value::List(_))) {
            found.suggest(Code::Expectation, at, format!("`{name}` names no column"), "name at least one");
        }
        return None;
    }
    for (column, at) in twice(&columns) {
        found.add(Code::Expectation, *at, format!("`{name}` names {} twice", show(column)));
    }
    Some(columns.into_iter().map(|(column, _)| column).collect())
}

fn range(node: &Node, at: Span, found: &mut Findings) -> Option<Range> {
    let keys = Settings::of(node);
    let mut bounds = Vec::new();
    for key in ["min", "max"] {
        let Some(bound) = keys.node(key) else { continue };
        match bound.scalar().map(Bound::read) {
            Some(Some(read)) => bounds.push((read, bound.span)),
            Some(None) => found.suggest(
                Code::Expectation,
                bound.span,
                format!("`{key}` of a range is no bound"),
                format!("write {}", Bound::TEXT),
            ),
            None => {}
        }
    }
    match bounds.as_slice() {
        [(min, _), (max, at)] => match min.is_above(max) {
            Some(false) => {}
            Some(true) => found.add(Code::Expectation, *at, "`max` of a range lies below its `min`"),
            None => found.suggest(
                Code::Expectation,
                *at,
                "`min` and `max` of a range are of unlike kinds",
                "write both as numbers, dates or times of one kind",
            ),
        },
        [] if keys.node("min").or(keys.node("max")).is_none() => {
            found.suggest(Code::Expectation, at, "a range has no bounds", "write `min`, `max` or both");
        }
        _ => {}
    }
    Some(Range { column: keys.owned("column")?, min: keys.owned("min"), max: keys.owned("max") })
}

fn rows(node: &Node, at: Span, found: &mut Findings) -> Option<RowCount> {
    let keys = Settings::of(node);
    let change = keys.text("change").and_then(read_percent);
    let count = RowCount { min: keys.parsed("min"), max: keys.parsed("max"), change };
    if keys.node("min").or(keys.node("max")).or(keys.node("change")).is_none() {
        found.suggest(Code::Expectation, at, "`rows` says nothing", "write `min`, `max`, `change` or several of them");
        return None;
    }
    if let (true, Some(at)) = (count.min.zip(count.max).is_some_and(|(min, max)| min > max), keys.own_place("max")) {
        found.add(Code::Expectation, at, "`max` of `rows` lies below its `min`");
    }
    Some(count)
}

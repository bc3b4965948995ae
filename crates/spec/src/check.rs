//! Holds a tree against the key list: unknown, missing and unbuilt keys, wrong types, values out of range.
//!
//! It goes on after each mistake, so that one pass finds all, and makes nothing: reading is `read`'s part.

use std::str::FromStr;

use waybill_model::secret::{SecretRef, SecretRefError};
use waybill_model::size::{parse_bytes, parse_duration};

use crate::diagnostic::{Code, Findings, show};
use crate::keys::{CONNECTION, Rule, Shape, Table, Tagged, VERSION, nearest, refused_option};
use crate::tree::{Node, Span};

/// Schemes of secret stores that are known but not built.
const LATER_SCHEMES: &[&str] = &["gcp-sm://", "azure-kv://", "secret://", "sealed://", "k8s://"];

/// CPU units of one CPU.
pub(crate) const UNITS_OF_A_CPU: u32 = 1024;
/// The smallest share of a CPU, in units.
pub(crate) const LEAST_UNITS: u32 = 256;
/// The most CPUs that a task can have.
pub(crate) const MOST_CPUS: u32 = 16;
/// The same in units.
pub(crate) const MOST_UNITS: u32 = MOST_CPUS * UNITS_OF_A_CPU;

/// Where a value stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The key that it belongs to.
    pub(crate) field: &'a str,
    /// Of what: "connection `shop`".
    pub(crate) of: &'a str,
    /// The key's own place.
    pub(crate) at: Span,
}

impl Place<'_> {
    /// Where to point for `node`: at itself, or at its key where nothing is written or it spans lines.
    fn span(&self, node: &Node) -> Span {
        if node.scalar().is_some() { node.span } else { self.at }
    }
}

/// Checks `node` against `shape`.
pub(crate) fn check(node: &Node, shape: &Shape, place: Place<'_>, found: &mut Findings) {
    match shape {
        Shape::Table(table) => check_table(node, table, place, found),
        Shape::Tagged(tagged) => check_tagged(node, tagged, place, found),
        Shape::Named(noun, rule, shape) => check_named(node, (noun, rule, shape), place, found),
        Shape::List(shape) => check_list(node, ("a list", shape), place, found),
        Shape::WordOrList(word, _) if node.scalar() == Some(*word) => {}
        Shape::WordOrList(word, shape) => check_list(node, (&format!("`{word}` or a list"), shape), place, found),
        Shape::Secret => check_secret(node, place, found),
        Shape::TextOrSecret(_) if node.scalar().is_some_and(is_reference) => check_secret(node, place, found),
        Shape::Choice(built, _) if node.word().is_some_and(|word| built.contains(&word)) => {}
        _ => check_scalar(node, shape, place, found),
    }
}

fn wrong_type(node: &Node, wanted: &str, place: Place<'_>, found: &mut Findings) {
    let message = format!("{} of {} must be {wanted}, not {}", show(place.field), place.of, node.kind());
    let quote = wanted.starts_with("text") && matches!(node.kind(), "a number" | "true or false");
    if quote {
        found.suggest(Code::WrongType, place.span(node), message, "put it in quotes");
    } else {
        found.add(Code::WrongType, place.span(node), message);
    }
}

fn is_mapping(node: &Node, may_be_empty: bool, place: Place<'_>, found: &mut Findings) -> bool {
    let fits = matches!(node.value, crate::tree::Value::Map(_)) || (may_be_empty && node.is_null());
    if !fits {
        wrong_type(node, "a mapping", place, found);
    }
    fits
}

fn check_table(node: &Node, table: &Table, place: Place<'_>, found: &mut Findings) {
    if is_mapping(node, !table.keys.iter().any(|key| key.required), place, found) {
        check_keys(node, table, place, found);
    }
}

/// The keys of a mapping, known to be one.
fn check_keys(node: &Node, table: &Table, place: Place<'_>, found: &mut Findings) {
    for entry in node.entries() {
        let Some(key) = table.keys.iter().find(|key| key.name == entry.key) else {
            unknown_field(&entry.key, entry.at, table, place, found);
            continue;
        };
        if key.built {
            check(&entry.value, &key.shape, Place { field: key.name, of: place.of, at: entry.at }, found);
        } else {
            let message = format!("`{}` in {} is not built yet", key.name, place.of);
            found.suggest(Code::NotBuiltYet, entry.at, message, "remove it: a key is never accepted and ignored");
        }
    }
    for key in table.keys.iter().filter(|key| key.required && node.get(key.name).is_none()) {
        let message = format!("`{}` is missing in {}", key.name, place.of);
        found.suggest(Code::MissingField, place.at, message, format!("{}: {}", key.name, key.doc));
    }
}

fn unknown_field(key: &str, at: Span, table: &Table, place: Place<'_>, found: &mut Findings) {
    let is_connection = CONNECTION.types.iter().any(|(_, of_type)| std::ptr::eq(of_type, table));
    if let Some(instead) = is_connection.then(|| refused_option(key)).flatten() {
        let message = format!("driver options and URLs are not taken: {} in {}", show(key), place.of);
        found.suggest(Code::OptionRefused, at, message, instead);
        return;
    }
    let message = format!("unknown field {} in {}", show(key), place.of);
    let known = table.keys.iter().filter(|key| key.built).map(|key| key.name);
    let suggestion = match nearest(key, known.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
    };
    found.suggest(Code::UnknownField, at, message, suggestion);
}

fn check_tagged(node: &Node, tagged: &Tagged, place: Place<'_>, found: &mut Findings) {
    if let (true, Some(short)) = (tagged.short, node.scalar()) {
        known_type(short, node.span, tagged, place, found);
        return;
    }
    if !is_mapping(node, false, place, found) {
        return;
    }
    let Some(entry) = node.get("type") else {
        let types: Vec<&str> = tagged.types.iter().map(|(name, _)| *name).collect();
        let message = format!("`type` is missing in {}", place.of);
        found.suggest(Code::MissingField, place.at, message, format!("type: one of {}", types.join(", ")));
        return;
    };
    let inner = Place { field: "type", of: place.of, at: entry.at };
    match entry.value.scalar() {
        None => wrong_type(&entry.value, "text", inner, found),
        Some(name) => {
            if let Some(table) = known_type(name, entry.value.span, tagged, inner, found) {
                check_keys(node, table, place, found);
            }
        }
    }
}

/// The keys of a type, or why there are none.
fn known_type<'t>(
    name: &str,
    at: Span,
    tagged: &'t Tagged,
    place: Place<'_>,
    found: &mut Findings,
) -> Option<&'t Table> {
    let table = tagged.types.iter().find(|(known, _)| *known == name).map(|(_, table)| table);
    if table.is_none() {
        let built: Vec<&str> = tagged.types.iter().map(|(name, _)| *name).collect();
        refuse_choice(name, at, (&built, tagged.later), place, found);
    }
    table
}

/// Says why `value` is not one of the built ones.
fn refuse_choice(value: &str, at: Span, lists: (&[&str], &[&str]), place: Place<'_>, found: &mut Findings) {
    let (built, later) = lists;
    let list = format!("built: {}", built.join(", "));
    if later.contains(&value) {
        let message = format!("`{}: {value}` in {} is not built yet", place.field, place.of);
        found.suggest(Code::NotBuiltYet, at, message, list);
        return;
    }
    let message = format!("{} of {} can't be {}", show(place.field), place.of, show(value));
    let suggestion = match nearest(value, built.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("one of: {}", built.join(", ")),
    };
    found.suggest(Code::BadValue, at, message, suggestion);
}

fn check_named(node: &Node, named: (&str, &Rule, &Shape), place: Place<'_>, found: &mut Findings) {
    let (noun, rule, shape) = named;
    if !is_mapping(node, false, place, found) {
        return;
    }
    for entry in node.entries() {
        let of = format!("{noun} {}", show(&entry.key));
        if let Err(why) = (rule.check)(&entry.key) {
            found.suggest(rule.code, entry.at, format!("{of} can't have this name"), why);
        }
        // The plain values of a map of names (renames) are told by their key; larger ones by noun and name.
        let inner = match shape {
            Shape::Text(_) => Place { field: &entry.key, of: place.of, at: entry.at },
            _ => Place { field: &entry.key, of: &of, at: entry.at },
        };
        check(&entry.value, shape, inner, found);
    }
}

fn check_list(node: &Node, (wanted, shape): (&str, &Shape), place: Place<'_>, found: &mut Findings) {
    if !matches!(node.value, crate::tree::Value::List(_)) {
        wrong_type(node, wanted, place, found);
        return;
    }
    for item in node.list() {
        check(item, shape, Place { at: item.span, ..place }, found);
    }
}

/// Whether a text has the scheme of a reference, built or not.
fn is_reference(text: &str) -> bool {
    let known = SecretRef::SCHEMES.iter().chain(LATER_SCHEMES);
    text.split_once("://")
        .is_some_and(|(scheme, _)| known.filter_map(|one| one.split_once("://")).any(|(known, _)| known == scheme))
}

/// Never repeats what stands there: it may be the secret.
fn check_secret(node: &Node, place: Place<'_>, found: &mut Findings) {
    let Some(text) = node.scalar() else {
        if matches!(node.value, crate::tree::Value::Scalar { .. }) {
            let message = format!("`{}` of {} is empty", place.field, place.of);
            let instead = format!("write {}, or remove the key", SecretRef::EXAMPLES);
            found.suggest(Code::SecretReference, place.at, message, instead);
        } else {
            wrong_type(node, "a reference to a secret", place, found);
        }
        return;
    };
    if let Some(scheme) = LATER_SCHEMES.iter().find(|scheme| text.starts_with(**scheme)) {
        let message = format!("secrets from {scheme} are not built yet (`{}` of {})", place.field, place.of);
        let built = format!("built: {}, resolved in the worker", SecretRef::EXAMPLES);
        found.suggest(Code::NotBuiltYet, node.span, message, built);
        return;
    }
    match SecretRef::from_str(text) {
        Ok(_) => {}
        Err(SecretRefError::Literal) => found.suggest(
            Code::LiteralSecret,
            node.span,
            format!("`{}` of {} stands in the file itself", place.field, place.of),
            format!("write a reference, {}, and change the secret: this file held it", SecretRef::EXAMPLES),
        ),
        Err(error) => {
            let message = format!("`{}` of {} is no reference that can be followed", place.field, place.of);
            found.suggest(Code::SecretReference, node.span, message, error.to_string());
        }
    }
}

fn check_scalar(node: &Node, shape: &Shape, place: Place<'_>, found: &mut Findings) {
    let wanted = match shape {
        Shape::Flag => "true or false",
        Shape::Count(..) | Shape::Cpu => "a number",
        Shape::Scalar => "a value",
        _ => "text",
    };
    let fits = match shape {
        Shape::Scalar => node.scalar().is_some(),
        // A number without unit, and an unquoted choice, are told about in their own words.
        Shape::Size(..) | Shape::Duration(..) | Shape::Share | Shape::Percent | Shape::Choice(..) => {
            node.scalar().is_some()
        }
        _ => node.kind() == wanted,
    };
    let Some(text) = node.scalar().filter(|_| fits) else {
        wrong_type(node, wanted, place, found);
        return;
    };
    let at = node.span;
    match shape {
        Shape::Text(rule) | Shape::TextOrSecret(rule) => check_text(text, rule, at, place, found),
        Shape::Count(least, most) => check_count(text, (*least, *most), at, place, found),
        Shape::Size(least, most) => {
            let bounds = (*least, *most, "bytes");
            check_amount(parse_bytes(text).map_err(|e| e.to_string()), bounds, at, place, found);
        }
        Shape::Duration(least, most) => {
            let millis = parse_duration(text).map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
            check_amount(millis.map_err(|e| e.to_string()), (*least, *most, "ms"), at, place, found);
        }
        Shape::Cpu if read_cpu(text).is_none() => {
            let message = format!("`{}` of {} is out of range", place.field, place.of);
            let why = format!("write 1 to {MOST_CPUS} CPUs, 0.25 or 0.5, or {LEAST_UNITS} to {MOST_UNITS} CPU units");
            found.suggest(Code::BadValue, at, message, why);
        }
        Shape::Share if read_share(text).is_none() => {
            let message = format!("`{}` of {} is no share", place.field, place.of);
            found.suggest(Code::Unit, at, message, "write a share from 1% to 100% with its sign, or off");
        }
        Shape::Percent if read_percent(text).is_none() => {
            let message = format!("`{}` of {} is no change in percent", place.field, place.of);
            found.suggest(Code::Unit, at, message, "write it with its sign: 50%");
        }
        Shape::Choice(built, later) if !built.contains(&text) => {
            refuse_choice(text, at, (built, later), place, found);
        }
        _ => {}
    }
}

fn check_text(text: &str, rule: &Rule, at: Span, place: Place<'_>, found: &mut Findings) {
    if let Err(why) = (rule.check)(text) {
        found.suggest(rule.code, at, format!("`{}` of {} can't be this", show_plain(place.field), place.of), why);
    }
}

/// A field for use inside backticks.
fn show_plain(field: &str) -> String {
    show(field).trim_matches('`').to_owned()
}

fn check_count(text: &str, bounds: (u64, u64), at: Span, place: Place<'_>, found: &mut Findings) {
    let (least, most) = bounds;
    if text.parse::<u64>().is_ok_and(|n| (least..=most).contains(&n)) {
        return;
    }
    let (message, why) = if place.field == "waybill" {
        ("this file is of a version that this program does not read".to_owned(), format!("write `waybill: {VERSION}`"))
    } else {
        let message = format!("`{}` of {} is out of range", place.field, place.of);
        (message, format!("write a whole number from {least} to {most}"))
    };
    found.suggest(Code::BadValue, at, message, why);
}

fn check_amount(
    amount: Result<u64, String>,
    bounds: (u64, u64, &str),
    at: Span,
    place: Place<'_>,
    found: &mut Findings,
) {
    let (least, most, unit) = bounds;
    match amount {
        Err(why) => {
            let message = format!("`{}` of {} needs a unit", place.field, place.of);
            found.suggest(Code::Unit, at, message, why);
        }
        Ok(amount) if !(least..=most).contains(&amount) => {
            let message = format!("`{}` of {} is out of range", place.field, place.of);
            let (least, most) = (crate::write::amount(least, unit), crate::write::amount(most, unit));
            found.suggest(Code::BadValue, at, message, format!("from {least} to {most}"));
        }
        Ok(_) => {}
    }
}

/// CPU units: a small number is CPUs, a large one units; none between them, where either could be meant.
pub(crate) fn read_cpu(text: &str) -> Option<u32> {
    match text {
        "0.25" => return Some(UNITS_OF_A_CPU / 4),
        "0.5" => return Some(UNITS_OF_A_CPU / 2),
        _ => {}
    }
    match text.parse().ok()? {
        cpus @ 1..=MOST_CPUS => Some(cpus * UNITS_OF_A_CPU),
        units @ LEAST_UNITS..=MOST_UNITS => Some(units),
        _ => None,
    }
}

/// Percent from 1 on, with the sign.
pub(crate) fn read_percent(text: &str) -> Option<u32> {
    let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|_| digits.len() <= 6 && !digits.starts_with('0'))
}

/// `off` is 0; otherwise percent from 1 to 100.
pub(crate) fn read_share(text: &str) -> Option<u8> {
    if text == "off" {
        return Some(0);
    }
    let digits = text.strip_suffix('%').filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
    digits.parse().ok().filter(|share| (1..=100).contains(share))
}

//! TOML text to the same tree that YAML becomes: every key and value knows its place, so that both are checked alike.
//!
//! It gives no meaning to any key. Mistakes of the text are told in our words, without repeating it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Findings};
use crate::tree::{Entry, Node, Span, Value};

/// Bytes of a guard that is read at all: far more than a parameter store holds.
pub const MOST_BYTES: u64 = 64 << 10;

/// Reads a file. None where it can't be read as a tree at all; `found` then says why.
pub(super) fn read(text: &str, found: &mut Findings) -> Option<Node> {
    if text.len() as u64 > MOST_BYTES {
        found.add(Code::TooLarge, Span::START, "the guard is larger than 64 KiB");
        return None;
    }
    if text.trim().is_empty() {
        found.suggest(Code::Documents, Span::START, "the guard is empty", "begin with `guard = 1`");
        return None;
    }
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(Span::START, |span| lines.span(&span));
        let said: String = error.message().chars().filter(|c| !crate::diagnostic::is_hidden(*c)).take(160).collect();
        if said.contains("duplicate key") {
            found.suggest(Code::DuplicateKey, at, "a key stands here a second time", "keep one of them");
        } else {
            found.add(Code::Syntax, at, format!("this is not TOML: {said}"));
        }
    }
    let at = table.span();
    errors.is_empty().then(|| lines.table(table.get_ref(), &at))
}

/// Where lines begin, so that a byte offset becomes a line and a column.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    fn span(&self, bytes: &Range<usize>) -> Span {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let line = self.starts.partition_point(|start| *start <= bytes.start).max(1);
        let start = self.starts[line - 1];
        let end = self.starts.get(line).map_or(self.text.len(), |next| next.saturating_sub(1));
        let columns = |to: usize| self.text.get(start..to.clamp(start, end)).map_or(0, |part| part.chars().count());
        let column = number(columns(bytes.start) + 1);
        Span { line: number(line), column, end_column: number(columns(bytes.end) + 1).max(column + 1) }
    }

    fn table(&self, table: &DeTable<'_>, at: &Range<usize>) -> Node {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| Entry {
            key: AsRef::<str>::as_ref(key.get_ref()).to_owned(),
            at: self.span(&key.span()),
            value: self.value(value),
        };
        Node { value: Value::Map(table.iter().map(entry).collect()), span: self.span(at) }
    }

    fn value(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let scalar = |text: String, plain: bool| Value::Scalar { text, plain };
        let at = value.span();
        let shown = match value.get_ref() {
            DeValue::Table(table) => return self.table(table, &at),
            DeValue::Array(items) => Value::List(items.iter().map(|item| self.value(item)).collect()),
            DeValue::String(text) => scalar(text.clone().into_owned(), false),
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix());
                scalar(read.map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()), true)
            }
            DeValue::Float(number) => scalar(number.as_str().to_owned(), true),
            DeValue::Boolean(flag) => scalar(flag.to_string(), true),
            // A date is text to us: one rule reads it, with or without quotes.
            DeValue::Datetime(time) => scalar(time.to_string(), false),
        };
        Node { value: shown, span: self.span(&at) }
    }
}

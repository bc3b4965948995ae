//! YAML text to a tree in which every key and value knows its place.
//!
//! It takes the plain part of YAML only: mappings, lists and scalars. Anchors, aliases and tags are refused, so a
//! small file can't grow into a large tree. It gives no meaning to any key.

use std::collections::HashMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use crate::diagnostic::{Code, Findings, show};

/// Bytes of a file that is read at all.
const MOST_BYTES: usize = 1 << 20;
/// Levels of mappings and lists.
const MOST_LEVELS: usize = 32;

/// A place in the file; lines and columns from 1, columns in characters, the end on the same line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_column: u32,
}

impl Span {
    pub(crate) const START: Self = Self { line: 1, column: 1, end_column: 2 };

    fn at(mark: &Marker) -> Self {
        let column = number(mark.col() + 1);
        Self { line: number(mark.line().max(1)), column, end_column: column + 1 }
    }

    fn of(span: &granit_parser::Span) -> Self {
        let start = Self::at(&span.start);
        let same_line = span.end.line() == span.start.line() && span.end.col() > span.start.col();
        if same_line { Self { end_column: number(span.end.col() + 1), ..start } } else { start }
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text; `plain` where it stands without quotes and may mean a number, true, false or nothing.
    Scalar {
        /// After escapes.
        text: String,
        /// Without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping in the order of the file; no key stands twice.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Span,
    pub(crate) value: Node,
}

impl Node {
    /// Whether it is written as nothing: empty, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            _ if self.is_null() => "nothing",
            Value::Scalar { text, plain: true } if matches!(text.as_str(), "true" | "false") => "true or false",
            Value::Scalar { text, plain: true } if is_number(text) => "a number",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The scalar as a word of a list of words, among which `null` may be.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if text == "null" => Some(text),
            _ => self.scalar(),
        }
    }

    /// The scalar as written, unless it is nothing.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }
}

/// Whether YAML takes a plain scalar for a number.
pub(crate) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (text.parse::<f64>().is_ok() || digits.starts_with("0x") || digits.starts_with("0o"))
}

/// Whether a text is a decimal number, with a point or an exponent or not.
pub(crate) fn is_decimal(text: &str) -> bool {
    is_number(text) && text.parse::<f64>().is_ok()
}

/// A collection that is still open.
struct Open {
    node: Node,
    key: Option<(String, Span)>,
    /// Line of each key so far: a search through the entries would let one large mapping take minutes.
    seen: HashMap<String, u32>,
}

/// Reads a file. None where it can't be read as a tree at all; `found` then says why.
pub(crate) fn read(text: &str, found: &mut Findings) -> Option<Node> {
    if text.len() > MOST_BYTES {
        found.add(Code::TooLarge, Span::START, "the file is larger than 1 MiB");
        return None;
    }
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    options.emit_unresolved_aliases = true;
    let mut builder = Builder { open: Vec::new(), root: None, documents: 0, aliased: false };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.take(event, &span, found)?,
            Err(error) => {
                explain(text, &error, found);
                return None;
            }
        }
    }
    if builder.aliased {
        return None;
    }
    if builder.root.is_none() && found.is_empty() {
        found.suggest(Code::Documents, Span::START, "the file is empty", "begin with `waybill: 1`");
    }
    builder.root
}

/// A tab is what breaks most files, and the parser's word for it is none that helps.
fn explain(text: &str, error: &granit_parser::ScanError, found: &mut Findings) {
    let at = Span::at(error.marker());
    for (n, line) in text.lines().enumerate().take(at.line as usize) {
        if let Some(tab) = line[..line.len() - line.trim_start().len()].find('\t') {
            let column = number(tab + 1);
            let at = Span { line: number(n + 1), column, end_column: column + 1 };
            found.suggest(Code::Tab, at, "a tab indents this line", "indent with spaces: YAML allows no tabs there");
        }
    }
    if found.is_empty() {
        let said: String = error.info().chars().take(160).filter(|c| !c.is_control()).collect();
        found.add(Code::Syntax, at, format!("this is not YAML: {said}"));
    }
}

struct Builder {
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    /// An alias stands for something that is not here, so nothing can be said of what it is part of.
    aliased: bool,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &granit_parser::Span, found: &mut Findings) -> Option<()> {
        let at = Span::of(span);
        if event.tag().is_some() || event.anchor_id().is_some_and(|id| id != 0) {
            found.suggest(Code::YamlFeature, at, "anchors and tags are not used here", "say it once in `every-stream`");
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    found.suggest(Code::Documents, at, "a second document begins here", "one file holds one document");
                    return None;
                }
            }
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                self.place(Node { value: Value::Scalar { text: text.into_owned(), plain }, span: at }, found);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                found.suggest(Code::YamlFeature, at, "aliases are not used here", "say it once in `every-stream`");
                self.aliased = true;
                self.place(Node { value: Value::Scalar { text: String::new(), plain: true }, span: at }, found);
            }
            Event::SequenceStart(..) => self.begin(Value::List(Vec::new()), at, found)?,
            Event::MappingStart(..) => self.begin(Value::Map(Vec::new()), at, found)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(done) = self.open.pop() {
                    self.place(done.node, found);
                }
            }
            _ => {}
        }
        Some(())
    }

    fn begin(&mut self, value: Value, at: Span, found: &mut Findings) -> Option<()> {
        if self.open.len() >= MOST_LEVELS {
            found.add(Code::TooLarge, at, format!("more than {MOST_LEVELS} levels deep"));
            return None;
        }
        self.open.push(Open { node: Node { value, span: at }, key: None, seen: HashMap::new() });
        Some(())
    }

    /// Puts a finished node where it belongs: into the open collection, or at the root.
    fn place(&mut self, node: Node, found: &mut Findings) {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut open.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match open.key.take() {
                Some((key, at)) => add_entry(entries, &mut open.seen, Entry { key, at, value: node }, found),
                None => {
                    let key = if let Value::Scalar { text, .. } = &node.value { text.clone() } else { String::new() };
                    if !matches!(node.value, Value::Scalar { .. }) {
                        found.add(Code::WrongType, node.span, format!("a key must be text, not {}", node.kind()));
                    }
                    open.key = Some((key, node.span));
                }
            },
            Value::Scalar { .. } => {}
        }
    }
}

fn add_entry(entries: &mut Vec<Entry>, seen: &mut HashMap<String, u32>, entry: Entry, found: &mut Findings) {
    if let Some(line) = seen.insert(entry.key.clone(), entry.at.line) {
        let message = format!("{} stands here a second time", show(&entry.key));
        found.suggest(Code::DuplicateKey, entry.at, message, format!("the first is in line {line}; keep one of them"));
    } else {
        entries.push(entry);
    }
}

//! What is wrong with a pipeline file: a code, a place, a sentence and what to do.
//!
//! Codes are stable: editors and scripts match on them. No message repeats a secret, and whatever it does repeat of
//! the file is cut short and shown without control characters.

use serde::{Deserialize, Serialize};

use crate::tree::Span;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// What is wrong, from the closed list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $text)] $name,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it is printed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

codes! {
    /// The text is not YAML.
    Syntax = "spec_syntax",
    /// A tab indents a line.
    Tab = "spec_tab",
    /// The file is larger or deeper than any pipeline file needs to be.
    TooLarge = "spec_too_large",
    /// Nothing, or more than one YAML document.
    Documents = "spec_documents",
    /// An anchor, an alias or a tag.
    YamlFeature = "spec_yaml_feature",
    /// A key stands twice in one mapping.
    DuplicateKey = "spec_duplicate_key",
    /// A key that has no meaning here.
    UnknownField = "spec_unknown_field",
    /// A key that must be here is not.
    MissingField = "spec_missing_field",
    /// Text where a list was expected, and the like.
    WrongType = "spec_wrong_type",
    /// A value outside its list or range.
    BadValue = "spec_bad_value",
    /// A size or a duration without its unit.
    Unit = "spec_unit",
    /// A name with characters that names can't have.
    Name = "spec_name",
    /// A secret stands in the file itself.
    LiteralSecret = "spec_literal_secret",
    /// A reference to a secret is not written as its scheme asks.
    SecretReference = "spec_secret_reference",
    /// A driver's option or a connection URL.
    OptionRefused = "spec_option_refused",
    /// A pipeline names a connection that the file does not have.
    UnknownConnection = "spec_unknown_connection",
    /// A connection stands at an end of a pipeline where its kind can't.
    WrongEnd = "spec_wrong_end",
    /// `load: new` or `changed` without a cursor, or a cursor without one of them.
    Cursor = "spec_cursor",
    /// A key or `deletes` without `load: changed`, a key without columns, or one that names a column twice.
    Key = "spec_key",
    /// An expectation without a check or with two, without columns, or with bounds that nothing lies within.
    Expectation = "spec_expectation",
    /// Checksums of no column, of one twice, or of one that is cast.
    Checksums = "spec_checksums",
    /// Rows are to be set aside by a stream that leaves something out of them, or a share of them is named where none are.
    BadRows = "spec_bad_rows",
    /// The cursor column, one of the key, or one that something is expected of or that is summed would not be delivered.
    CursorDropped = "spec_cursor_dropped",
    /// Two columns would have one name, or a column is named twice or against itself.
    ColumnClash = "spec_column_clash",
    /// Two streams would write one table.
    TableClash = "spec_table_clash",
    /// Two globs match the same files and neither is the more specific one.
    GlobTie = "spec_glob_tie",
    /// A cron line that can't be read, is too frequent or never comes.
    Cron = "spec_cron",
    /// A time zone that is not in the IANA list.
    Zone = "spec_zone",
    /// A guard does not allow it; the message begins with the guard's reason.
    GuardRefuses = "guard_refuses",
    /// A key or value that is known but has no behaviour yet.
    NotBuiltYet = "not_built_yet",
}

/// One thing that is wrong. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// What.
    pub code: Code,
    /// Line.
    pub line: u32,
    /// First column.
    pub column: u32,
    /// Column behind the last one, on the same line.
    pub end_column: u32,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// More than this many diagnostics help nobody.
const MOST: usize = 100;

/// Collects what is wrong, so that one pass tells all.
#[derive(Default)]
pub(crate) struct Findings(Vec<Diagnostic>);

impl Findings {
    pub(crate) fn add(&mut self, code: Code, at: Span, message: impl Into<String>) {
        self.push(code, at, message.into(), None);
    }

    pub(crate) fn suggest(&mut self, code: Code, at: Span, message: impl Into<String>, suggestion: impl Into<String>) {
        self.push(code, at, message.into(), Some(suggestion.into()));
    }

    fn push(&mut self, code: Code, at: Span, message: String, suggestion: Option<String>) {
        let (line, column) = (at.line, at.column);
        self.0.push(Diagnostic { code, line, column, end_column: at.end_column.max(column + 1), message, suggestion });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In the order of the file, each once.
    pub(crate) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.0.sort_by(|a, b| (a.line, a.column, a.code, &a.message).cmp(&(b.line, b.column, b.code, &b.message)));
        self.0.dedup();
        self.0.truncate(MOST);
        self.0
    }
}

/// Text of the file as a message may repeat it: in backticks, cut short, without anything that moves a terminal.
pub(crate) fn show(text: &str) -> String {
    let mut shown: String = text.chars().take(64).flat_map(visible).collect();
    if text.chars().nth(64).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// A character as it may be printed.
pub(crate) fn visible(c: char) -> Vec<char> {
    if is_hidden(c) { c.escape_unicode().collect() } else { vec![c] }
}

/// Whether a character controls a terminal, turns the direction of text or can't be seen.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_text_is_cut_short_and_can_not_move_a_terminal() {
        let shown = show(&format!("\u{1b}[31m\u{202e}{}", "x".repeat(10_000)));
        assert!(shown.starts_with("`\\u{1b}[31m\\u{202e}xxx") && shown.ends_with("…`"));
        assert!(shown.chars().count() < 100);
    }

    #[test]
    fn codes_are_unique_and_read_back() {
        for code in Code::ALL {
            let json = serde_json::to_string(code).expect("a code");
            assert_eq!(serde_json::from_str::<Code>(&json).expect("the code again"), *code);
            assert_eq!(Code::ALL.iter().filter(|other| other.as_str() == code.as_str()).count(), 1);
        }
    }
}

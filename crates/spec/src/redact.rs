//! Hides secrets in the text of a file before any of it is shown beside a diagnostic.
//!
//! A file that is refused may hold a secret anywhere: under a mistyped key, in a URL, in a line that is not YAML.
//! So this looks at words, not at the tree, and rather hides too much. Every character keeps its place.

use waybill_model::secret::SecretRef;

use crate::diagnostic::{Code, Diagnostic};

/// What a key holds that should not be seen.
const SECRET_WORDS: &[&str] = &[
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "bearer",
    "signing",
    "credential",
    "auth",
    "private",
    "sas",
    "dsn",
    "connection-string",
];

const MASK: char = '•';

/// The text with secrets replaced, character by character.
#[must_use]
pub fn redact(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut lines: Vec<Vec<char>> = text.split('\n').map(|line| line.chars().collect()).collect();
    for line in &mut lines {
        hide_after_words(line);
        hide_user_of_url(line);
    }
    for found in diagnostics.iter().filter(|d| matches!(d.code, Code::LiteralSecret | Code::SecretReference)) {
        hide_block(&mut lines, found);
    }
    lines.iter().map(|line| line.iter().collect::<String>()).collect::<Vec<_>>().join("\n")
}

/// Hides the value behind each key that sounds like a secret, unless it is a reference.
fn hide_after_words(line: &mut [char]) {
    let mut start = 0;
    while let Some(colon) = (start..line.len()).find(|n| line[*n] == ':') {
        let key: String = line[..colon].iter().rev().take_while(|c| !matches!(c, '{' | ',' | ' ')).collect();
        let key: String = key.chars().rev().collect::<String>().to_lowercase();
        let value = (colon + 1..line.len()).find(|n| line[*n] != ' ').unwrap_or(line.len());
        if sounds_secret(&key) && line.get(colon + 1).is_none_or(|c| *c == ' ' || *c == '"') {
            let end = end_of_value(line, value);
            let text: String = line[value..end].iter().collect();
            let bare = text.trim().trim_matches(['"', '\'']);
            if !SecretRef::SCHEMES.iter().any(|scheme| bare.starts_with(scheme)) {
                hide(&mut line[value..end]);
            }
        }
        start = colon + 1;
    }
}

/// Whether a key, or one that it may be a slip for, holds a secret.
fn sounds_secret(key: &str) -> bool {
    let slip = |word: &str| key.len() >= 4 && key.len() <= 64 && strsim::damerau_levenshtein(key, word) <= 3;
    SECRET_WORDS.iter().any(|word| key.contains(word)) || ["password", "access-key", "secret-key"].into_iter().any(slip)
}

/// Where a value ends: at its closing quote, or where a flow mapping goes on.
fn end_of_value(line: &[char], value: usize) -> usize {
    match line.get(value) {
        Some(quote @ ('"' | '\'')) => {
            (value + 1..line.len()).find(|n| line[*n] == *quote && line[*n - 1] != '\\').map_or(line.len(), |n| n + 1)
        }
        Some('[' | '{') => line.len(),
        _ => (value..line.len()).find(|n| matches!(line[*n], ',' | '}')).unwrap_or(line.len()),
    }
}

/// `scheme://user:password@host`: hides what stands before the last `@` of the address.
fn hide_user_of_url(line: &mut [char]) {
    let mut start = 0;
    while let Some(at) = (start..line.len().saturating_sub(2)).find(|n| line[*n..*n + 3] == [':', '/', '/']) {
        let from = at + 3;
        let end = (from..line.len()).find(|n| line[*n].is_whitespace()).unwrap_or(line.len());
        if let Some(sign) = (from..end).rev().find(|n| line[*n] == '@') {
            hide(&mut line[from..sign]);
        }
        start = end.max(from);
    }
}

/// Hides where a secret was found, and lines below that are indented under its key.
fn hide_block(lines: &mut [Vec<char>], found: &Diagnostic) {
    let first = found.line.saturating_sub(1) as usize;
    let Some(line) = lines.get_mut(first) else { return };
    let (from, to) = (found.column.saturating_sub(1) as usize, found.end_column.saturating_sub(1) as usize);
    let (from, to) = (from.min(line.len()), to.min(line.len()));
    hide(&mut line[from..to]);
    let indent = line.iter().take_while(|c| **c == ' ').count();
    for line in &mut lines[first + 1..] {
        let deeper = line.iter().take_while(|c| **c == ' ').count() > indent || line.iter().all(|c| c.is_whitespace());
        if !deeper {
            break;
        }
        hide(line);
    }
}

fn hide(part: &mut [char]) {
    part.iter_mut().filter(|c| !c.is_whitespace()).for_each(|c| *c = MASK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hidden_wherever_it_stands() {
        for line in [
            "  password: hunter2",
            "  pasword: hunter2",
            "{ passwort: \"hunter2, }\", host: x }",
            "  access-key: [hunter2",
            "  url: postgres://u:hunter2@host/db",
            "\"secret\": \"hunter2\"",
        ] {
            let hidden = redact(line, &[]);
            assert!(!hidden.contains("hunter2"), "{hidden}");
            assert_eq!(hidden.chars().count(), line.chars().count());
        }
    }

    #[test]
    fn references_and_ordinary_values_stay_readable() {
        for line in ["  password: env://SHOP", "  host: db.internal", "  key: file:///run/key", "pipelines:"] {
            assert_eq!(redact(line, &[]), line);
        }
    }

    #[test]
    fn lines_below_a_literal_secret_are_hidden_too() {
        let found = Diagnostic {
            code: Code::LiteralSecret,
            line: 1,
            column: 8,
            end_column: 9,
            message: String::new(),
            suggestion: None,
        };
        let hidden = redact("  word: |\n    hunter2\n  host: x", &[found]);
        assert!(!hidden.contains("hunter2") && hidden.contains("host: x"));
    }
}

//! The line that is completed: bash cuts words at `:` and `=`, so they are put together again before they are read.

use std::ffi::{OsStr, OsString};
use std::io::{Error, Write};
use std::path::Path;

use clap_complete::engine;
use clap_complete::env::EnvCompleter;

/// Bash, whose words are put together again and whose candidates are cut where its words are.
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        var: &str,
        name: &str,
        bin: &str,
        completer: &str,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        clap_complete::env::Bash.write_registration(var, name, bin, completer, buf)
    }

    fn write_complete(
        &self,
        cmd: &mut clap::Command,
        args: Vec<OsString>,
        current_dir: Option<&Path>,
        buf: &mut dyn Write,
    ) -> Result<(), Error> {
        let index = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|index| index.parse().ok()).unwrap_or_default();
        let between = std::env::var("_CLAP_IFS").unwrap_or_else(|_| "\n".to_owned());
        let Line { words, index, before } = joined(args, index);
        let found = engine::complete(cmd, words, index, current_dir)?;
        let whole: Vec<_> = found.iter().map(|candidate| candidate.get_value().to_string_lossy()).collect();
        let rest: Vec<&str> = whole.iter().filter_map(|word| word.strip_prefix(before.as_str())).collect();
        write!(buf, "{}", rest.join(&between))
    }
}

/// Words as the program would get them.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    words: Vec<OsString>,
    /// Which of them is completed.
    index: usize,
    /// What stands in that word before bash's own.
    before: String,
}

/// Puts `--url https : //host : 1` and `--project = prod` together again. Behind an option's bare `=` a new word begins,
/// as it does for the program: only what touches the cut belongs to it.
fn joined(cut: Vec<OsString>, index: usize) -> Line {
    let mut line = Line { words: Vec::with_capacity(cut.len()), index: 0, before: String::new() };
    let mut open = false;
    for (place, word) in cut.into_iter().enumerate() {
        let mark = is_mark(&word);
        let before = match line.words.last_mut() {
            Some(last) if place > 1 && (mark || open) => {
                let before = last.to_string_lossy().into_owned();
                last.push(&word);
                // A mark that is completed is no word of its own: what follows it is.
                if mark { format!("{before}{}", word.to_string_lossy()) } else { before }
            }
            _ => {
                line.words.push(word);
                String::new()
            }
        };
        open = mark;
        if place == index {
            (line.index, line.before) = (line.words.len() - 1, before);
        }
    }
    line
}

/// Bash makes words of their own of these, whether blanks stand around them or not.
fn is_mark(word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| !word.is_empty() && word.chars().all(|c| matches!(c, ':' | '=')))
}

/// The value of a global option that stands in the words, as `--name value` or `--name=value`.
pub(super) fn option(words: &[OsString], name: &str) -> Option<OsString> {
    let words = joined(words.to_vec(), 0).words;
    let mut found = None;
    for (place, word) in words.iter().enumerate() {
        match word.to_str().and_then(|word| word.strip_prefix("--")?.strip_prefix(name)) {
            Some("") => found = words.get(place + 1).cloned().or(found),
            Some(value) => found = value.strip_prefix('=').map(OsString::from).or(found),
            None => {}
        }
    }
    found.filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn words_that_bash_cuts_are_put_together_again() {
        let cut = words(&["waybill", "--url", "https", ":", "//h", ":", "1", "run", "show", "run_"]);
        let line = joined(cut, 9);
        assert_eq!(line.words, words(&["waybill", "--url", "https://h:1", "run", "show", "run_"]));
        assert_eq!((line.index, line.before.as_str()), (5, ""));
        let line = joined(words(&["waybill", "--project", "=", "pr"]), 3);
        assert_eq!(line, Line { words: words(&["waybill", "--project=pr"]), index: 1, before: "--project=".into() });
        // The cursor stands directly behind the mark: bash completes the mark itself, or an empty word behind it.
        let line = joined(words(&["waybill", "--project", "="]), 2);
        assert_eq!((line.index, line.before.as_str()), (1, "--project="));
        let line = joined(words(&["waybill", "--project", "=", ""]), 3);
        assert_eq!((line.index, line.before.as_str()), (1, "--project="));
    }

    #[test]
    fn an_option_is_found_in_either_spelling_and_the_last_one_counts() {
        let line =
            ["waybill", "--url", "https", ":", "//h", ":", "1", "run", "--state=a b", "--state", "c", "show", "--ca"];
        assert_eq!(option(&words(&line), "url"), Some("https://h:1".into()));
        assert_eq!(option(&words(&line), "state"), Some("c".into()));
        assert_eq!(option(&words(&line), "ca"), None);
        assert_eq!(option(&words(&["waybill", "--statement", "x"]), "state"), None);
    }
}

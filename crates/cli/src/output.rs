//! Standard output in the form that was asked for, and standard error for all the rest.
//!
//! JSON and YAML always bear `format: waybill/v1`. Whatever text comes from elsewhere is shown without control
//! characters, so that a name can't move the terminal.

use std::borrow::Cow;
use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::exit::{Exit, Failure, Result};
use crate::terminal::Terminal;

/// What JSON and YAML say they are.
pub(crate) const FORMAT: &str = "waybill/v1";

/// The form of standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// For people.
    #[default]
    Table,
    /// One JSON value.
    Json,
    /// One YAML document.
    Yaml,
    /// Names or ids only, one a line.
    Name,
}

/// Something that can be one row of a table.
pub(crate) trait Row {
    const HEADER: &'static [&'static str];
    fn cells(&self) -> Vec<String>;
    /// What names it in a command: a name, or an id where it has none.
    fn name(&self) -> String;
}

/// Where a command writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    form: Form,
    pub(crate) terminal: Terminal,
}

impl Output {
    pub(crate) const fn new(form: Form, terminal: Terminal) -> Self {
        Self { form, terminal }
    }

    /// A list.
    pub(crate) fn list<T: Row + Serialize>(&self, items: &[T], next: Option<&str>) -> Result<()> {
        match self.form {
            Form::Table => write_out(&table(items)),
            Form::Name => write_out(&items.iter().map(|item| line(&item.name())).collect::<String>()),
            Form::Json | Form::Yaml => {
                let mut body = json!({ "items": items });
                if let Some(next) = next {
                    body["next_cursor"] = next.into();
                }
                self.value(&body)
            }
        }?;
        if next.is_some() {
            self.say("more items: --limit shows up to 200");
        }
        Ok(())
    }

    /// One object, as a table of its own or as given.
    pub(crate) fn one<T: Serialize>(&self, item: &T, name: &str, people: impl FnOnce() -> String) -> Result<()> {
        match self.form {
            Form::Table => write_out(&people()),
            Form::Name => write_out(&line(name)),
            Form::Json | Form::Yaml => {
                self.value(&serde_json::to_value(item).map_err(|_| unwritable("the answer can't be printed"))?)
            }
        }
    }

    /// Text that is the same in every form, such as a schema or a completion script.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        write_out(text)
    }

    fn value(&self, value: &Value) -> Result<()> {
        let mut body = Map::new();
        body.insert("format".to_owned(), FORMAT.into());
        match value {
            Value::Object(fields) => body.extend(fields.clone()),
            other => {
                body.insert("value".to_owned(), other.clone());
            }
        }
        write_out(&self.render(&Value::Object(body))?)
    }

    fn render(&self, value: &Value) -> Result<String> {
        if self.form == Form::Yaml {
            return serde_saphyr::to_string(value).map_err(|_| unwritable("the answer can't be printed as YAML"));
        }
        let text = serde_json::to_string_pretty(value).map_err(|_| unwritable("the answer can't be printed"))?;
        Ok(line(&text))
    }

    /// A sentence for people, on standard error.
    pub(crate) fn say(&self, text: &str) {
        write_err(&line(text));
    }

    /// A question for a person, on standard error, without a line end.
    pub(crate) fn prompt(&self, question: &str) {
        write_err(question);
    }

    /// A failure on standard error: as one JSON object where JSON was asked for.
    pub(crate) fn tell(&self, failure: &Failure) {
        if self.form == Form::Json {
            let error = json!({
                "code": failure.code, "message": failure.message, "next": failure.next, "errors": failure.errors,
            });
            write_err(&line(&json!({ "format": FORMAT, "error": error }).to_string()));
            return;
        }
        let mut text = format!("  × {}  [{}]\n", clean(&failure.message), clean(&failure.code));
        for error in &failure.errors {
            let place = error.line.map(|line| format!("line {line}: "));
            let place =
                place.or_else(|| error.pointer.as_ref().map(|pointer| format!("{pointer}: "))).unwrap_or_default();
            let hint = error.suggestion.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            text.push_str(&format!("    {}{}{}\n", clean(&place), clean(&error.message), clean(&hint)));
        }
        if let Some(next) = &failure.next {
            text.push_str(&format!("    next: {}\n", clean(next)));
        }
        write_err(&text);
    }

    /// Whether people read standard output.
    pub(crate) fn is_table(&self) -> bool {
        self.form == Form::Table
    }
}

fn unwritable(message: &str) -> Failure {
    Failure::new(Exit::Failed, "output_failed", message)
}

fn line(text: &str) -> String {
    format!("{text}\n")
}

/// A table without frames: columns of words that `awk` reads too.
pub(crate) fn table<T: Row>(items: &[T]) -> String {
    let mut rows = vec![T::HEADER.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()];
    rows.extend(items.iter().map(|item| item.cells().iter().map(|cell| clean(cell).replace('\n', " ")).collect()));
    let widest = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..T::HEADER.len()).map(|column| widest(column).unwrap_or_default()).collect();
    let drawn = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(drawn).collect()
}

/// Lines of `key  value`.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(key, _)| key.chars().count()).max().unwrap_or_default();
    facts.iter().map(|(key, value)| format!("{key:width$}  {}\n", clean(value))).collect()
}

/// Text from elsewhere without anything that moves a terminal.
pub(crate) fn clean(text: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// A word of a command that people are told: a shell takes it for this text and nothing else.
pub(crate) fn shell_word(text: &str) -> String {
    let shown = clean(text).replace('\n', " ");
    // Only a NUL can't be quoted, and none is left.
    shlex::try_quote(&shown).map_or_else(|_| "''".to_owned(), Cow::into_owned)
}

/// Writes to standard output. A reader that went away (`| head`) ends the program quietly.
fn write_out(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(unwritable(&format!("standard output can't be written: {}", error.kind())))
        }
        _ => Ok(()),
    }
}

/// Where standard error is gone there is nobody to tell.
fn write_err(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Thing(&'static str);

    impl Row for Thing {
        const HEADER: &'static [&'static str] = &["NAME", "SIZE"];
        fn cells(&self) -> Vec<String> {
            vec![self.0.to_owned(), "1".to_owned()]
        }
        fn name(&self) -> String {
            self.0.to_owned()
        }
    }

    #[test]
    fn a_table_has_no_frame_and_no_trailing_blanks() {
        assert_eq!(table(&[Thing("orders"), Thing("x")]), "NAME    SIZE\norders  1\nx       1\n");
    }

    #[test]
    fn a_name_from_elsewhere_can_not_move_the_terminal() {
        let shown = table(&[Thing("\u{1b}[2Jx\u{202e}")]);
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
    }
}

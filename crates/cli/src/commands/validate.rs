//! `validate`: every mistake of pipeline files, offline; and reading such files for the other commands.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use waybill_spec::Diagnostic;

use crate::drawing::draw;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row};

/// What was found in one file.
#[derive(Serialize)]
struct Checked {
    file: String,
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipelines: Option<usize>,
    diagnostics: Vec<Diagnostic>,
}

impl Row for Checked {
    const HEADER: &'static [&'static str] = &["FILE", "VALID", "CONNECTIONS", "PIPELINES", "MISTAKES"];

    fn cells(&self) -> Vec<String> {
        let count = |count: Option<usize>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
        let valid = if self.valid { "✓ yes" } else { "✗ no" };
        let mistakes = self.diagnostics.len().to_string();
        vec![self.file.clone(), valid.to_owned(), count(self.connections), count(self.pipelines), mistakes]
    }

    fn name(&self) -> String {
        self.file.clone()
    }
}

pub(crate) fn validate(files: &[PathBuf], output: &Output) -> Result<Exit> {
    let found = if files.is_empty() { files_here()? } else { files.to_vec() };
    if found.is_empty() {
        return Err(no_file());
    }
    let mut all = Vec::new();
    for file in &found {
        let text = read(file)?;
        let name = shown(file);
        all.push(match waybill_spec::parse(&text) {
            Ok(document) => Checked {
                file: name,
                valid: true,
                connections: Some(document.connections.len()),
                pipelines: Some(document.pipelines.len()),
                diagnostics: Vec::new(),
            },
            Err(diagnostics) => {
                if output.is_table() {
                    output.say(draw(&name, &text, &diagnostics, output.terminal).trim_end());
                }
                Checked { file: name, valid: false, connections: None, pipelines: None, diagnostics }
            }
        });
    }
    output.list(&all, None)?;
    Ok(if all.iter().all(|checked| checked.valid) { Exit::Done } else { Exit::Invalid })
}

/// The one file that a command is about: the one that was named, or the only one of this directory.
pub(super) fn chosen(file: Option<&Path>) -> Result<PathBuf> {
    match file {
        Some(file) => Ok(file.to_owned()),
        None => match files_here()?.as_slice() {
            [] => Err(no_file()),
            [only] => Ok(only.clone()),
            many => {
                let names: Vec<String> = many.iter().map(|file| shown(file)).collect();
                Err(Failure::new(Exit::Usage, "several_files", format!("several files: {}", names.join(", ")))
                    .next("name one of them with -f"))
            }
        },
    }
}

/// The text of the one file that a command is about, found right; mistakes are drawn.
pub(crate) fn valid_text(file: Option<&Path>, output: &Output) -> Result<String> {
    let file = chosen(file)?;
    let text = read(&file)?;
    if let Err(diagnostics) = waybill_spec::parse(&text) {
        output.say(draw(&shown(&file), &text, &diagnostics, output.terminal).trim_end());
        let message = format!("{} has {} mistakes; nothing was sent", shown(&file), diagnostics.len());
        return Err(Failure::new(Exit::Invalid, "spec_invalid", message)
            .next(format!("mend them, then `waybill validate {}`", shown(&file))));
    }
    Ok(text)
}

pub(super) fn shown(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { crate::output::clean(&file.display().to_string()) }
}

fn no_file() -> Failure {
    Failure::new(Exit::Usage, "no_file", "no *.waybill.yaml in this directory")
        .next("name a file, such as `waybill validate shop.waybill.yaml`")
}

/// The pipeline files of the current directory, in order.
fn files_here() -> Result<Vec<PathBuf>> {
    let unreadable = |error: std::io::Error| {
        Failure::new(Exit::Failed, "directory_unreadable", format!("this directory can't be read: {}", error.kind()))
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(".").map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let text = name.to_string_lossy();
        if text.ends_with(".waybill.yaml") || text.ends_with(".waybill.yml") {
            files.push(PathBuf::from(name));
        }
    }
    files.sort();
    Ok(files)
}

/// Reads a whole text file, or standard input for `-`.
pub(crate) fn read(file: &Path) -> Result<String> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    text.map_err(|error| {
        let (exit, code) = match error.kind() {
            std::io::ErrorKind::NotFound => (Exit::NotFound, "file_not_found"),
            std::io::ErrorKind::InvalidData => (Exit::Invalid, "file_not_utf8"),
            _ => (Exit::Failed, "file_unreadable"),
        };
        Failure::new(exit, code, format!("{} can't be read: {}", shown(file), error.kind()))
            .next("check the path and its permissions; the file must be UTF-8")
    })
}

//! `man`: one page for each command, with the examples of its help.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use serde::Serialize;

use crate::args::Cli;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row};

/// A page that was written.
#[derive(Serialize)]
struct Page {
    command: String,
    file: PathBuf,
}

impl Row for Page {
    const HEADER: &'static [&'static str] = &["COMMAND", "PAGE"];

    fn cells(&self) -> Vec<String> {
        vec![self.command.clone(), self.file.display().to_string()]
    }

    fn name(&self) -> String {
        self.file.display().to_string()
    }
}

pub(crate) fn man(dir: &Path, output: &Output) -> Result<Exit> {
    std::fs::create_dir_all(dir).map_err(|error| unwritable(dir, &error))?;
    let mut written = Vec::new();
    for (file, command, text) in pages() {
        let file = dir.join(file);
        std::fs::write(&file, text).map_err(|error| unwritable(&file, &error))?;
        written.push(Page { command, file });
    }
    output.list(&written, None)?;
    output.say(&format!("`man -l {}` shows the first one", dir.join("waybill.1").display()));
    Ok(Exit::Done)
}

fn unwritable(what: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "file_unwritable", format!("{} can't be written: {}", what.display(), error.kind()))
        .next("name a directory that you may write to: waybill man --dir DIR")
}

/// File name, command and text of every page, the program's own first.
fn pages() -> Vec<(String, String, Vec<u8>)> {
    let mut root = Cli::command();
    root.build();
    let mut pages = Vec::new();
    collect(&root, &mut pages);
    pages
}

fn collect(command: &clap::Command, pages: &mut Vec<(String, String, Vec<u8>)>) {
    let called = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let page = Man::new(command.clone()).source(concat!("waybill ", env!("CARGO_PKG_VERSION"))).manual("Waybill");
    pages.push((page.get_filename(), called, text(command, &page)));
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        collect(inner, pages);
    }
}

/// A page as the library has it, with the examples before the options.
fn text(command: &clap::Command, page: &Man) -> Vec<u8> {
    let mut text = Vec::new();
    // A vector takes everything.
    let _ = page.render_title(&mut text);
    let _ = page.render_name_section(&mut text);
    let _ = page.render_synopsis_section(&mut text);
    let _ = page.render_description_section(&mut text);
    let _ = examples(command).to_writer(&mut text);
    let _ = page.render_options_section(&mut text);
    if command.has_subcommands() {
        let _ = page.render_subcommands_section(&mut text);
    }
    let _ = exit_codes(command).to_writer(&mut text);
    text
}

fn examples(command: &clap::Command) -> Roff {
    let mut section = Roff::default();
    section.control("SH", ["EXAMPLES"]);
    let help = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    for example in help.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()) {
        section.control("PP", []);
        section.text([bold(example)]);
    }
    section
}

/// What stands below a help text is about exit codes.
fn exit_codes(command: &clap::Command) -> Roff {
    let mut section = Roff::default();
    if let Some(after) = command.get_after_help() {
        section.control("SH", ["EXIT STATUS"]);
        section.text(after.to_string().lines().flat_map(|line| [roman(line), Inline::LineBreak]).collect::<Vec<_>>());
    }
    section
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn count(command: &clap::Command) -> usize {
        1 + command.get_subcommands().map(count).sum::<usize>()
    }

    #[test]
    fn every_command_has_a_page_of_its_own_with_its_examples() {
        let pages = pages();
        assert_eq!(pages.len(), count(&Cli::command()));
        assert_eq!(pages.iter().map(|(file, ..)| file).collect::<BTreeSet<_>>().len(), pages.len());
        for (file, command, text) in &pages {
            let text = String::from_utf8(text.clone()).expect("text");
            assert_eq!(*file, format!("{}.1", command.replace(' ', "-")));
            let examples = text.split(".SH EXAMPLES").nth(1).unwrap_or_else(|| panic!("{file} has no examples"));
            assert!(examples.matches("\\fBwaybill ").count() >= 2, "{file}: {text}");
            assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{file}: {text}");
        }
        let start = pages.iter().find(|(file, ..)| file == "waybill-run-start.1").expect("the page of run start");
        assert!(String::from_utf8_lossy(&start.2).contains("\\-\\-watch"));
    }
}

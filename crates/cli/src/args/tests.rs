//! The examples of every help text are commands that are understood.

use clap::CommandFactory;

use super::*;

/// Words of an example as a shell would pass them: quotes hold blanks together, what is behind `>` or `|` is not ours.
fn words(example: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in example.chars().chain([' ']) {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') if !word.is_empty() => words.push(std::mem::take(&mut word)),
            (None, ' ') => {}
            _ => word.push(c),
        }
    }
    words.into_iter().take_while(|word| word != ">" && word != "|").collect()
}

fn every_command(command: &clap::Command, visit: &mut impl FnMut(&clap::Command)) {
    visit(command);
    for inner in command.get_subcommands() {
        every_command(inner, visit);
    }
}

/// The examples on top of a help text; a long one is wrapped.
fn examples_of(help: &str) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    for line in help.lines().skip(1).take_while(|line| !line.trim().is_empty()) {
        match examples.last_mut() {
            Some(example) if !line.starts_with("  waybill") => *example = format!("{example} {}", line.trim()),
            _ => examples.push(line.trim().to_owned()),
        }
    }
    examples
}

#[test]
fn every_help_begins_with_examples_that_are_understood() {
    let mut seen = 0;
    every_command(&Cli::command(), &mut |command| {
        let help = command.clone().render_long_help().to_string();
        assert!(help.starts_with("Examples:\n  waybill "), "{}: {help}", command.get_name());
        let examples = examples_of(&help);
        assert!(examples.len() >= 2, "{}", command.get_name());
        for example in examples {
            let understood = Cli::try_parse_from(words(example.trim()));
            assert!(understood.is_ok(), "{example}: {}", understood.err().map(|e| e.to_string()).unwrap_or_default());
            seen += 1;
        }
    });
    assert!(seen > 50, "only {seen} examples");
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn whatever_names_something_that_there_is_can_be_completed() {
    let mut seen = 0;
    every_command(&Cli::command(), &mut |command| {
        let named = ["pipeline", "connection", "data_plane", "agent", "run", "project", "in_state", "person", "role"];
        for arg in command.get_arguments().filter(|arg| named.contains(&arg.get_id().as_str())) {
            let completed = arg.get::<clap_complete::ArgValueCandidates>().is_some();
            assert!(completed, "{} of {} is not completed", arg.get_id(), command.get_name());
            seen += 1;
        }
    });
    assert!(seen > 30, "only {seen} arguments");
}

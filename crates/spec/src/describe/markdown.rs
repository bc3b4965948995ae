//! A description as a page of Markdown.

use std::fmt::Write;

use super::{Described, Description, End, Part, ticked};

/// The page, with one heading for each stream and one list for each part of a row's way.
#[must_use]
pub fn markdown(described: &Description) -> String {
    let mut page = format!("# Pipeline {}\n\n", ticked(&described.pipeline));
    let end = |end: &End| format!("{} ({}, {})", ticked(&end.connection), end.kind, ticked(&end.place));
    let _ = writeln!(page, "From {} to {}.", end(&described.from), end(&described.to));
    for one in &described.streams {
        stream(&mut page, one);
    }
    page.push_str("\nIn bold: what the pipeline file says. All else holds where it says nothing.\n");
    page
}

fn stream(page: &mut String, one: &Described) {
    let _ = writeln!(page, "\n## {}", ticked(&one.stream));
    for part in [Part::Read, Part::Values, Part::Expected, Part::Table] {
        let _ = writeln!(page, "\n{}:\n", part.title());
        for fact in one.facts.iter().filter(|fact| fact.part == part) {
            let key = if fact.is_set { format!("**{}**", ticked(&fact.key)) } else { ticked(&fact.key) };
            let _ = writeln!(page, "- {key}: {}", fact.text);
        }
    }
}

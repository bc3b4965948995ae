//! The pipeline file: YAML to a document, and a document to plans; every mistake with its line and column.
//!
//! It accepts nothing that has no behaviour, repeats no secret, opens no file and looks nothing up. Command line,
//! server and editors all validate with it.

mod absolute;
mod check;
mod cron;
pub mod describe;
mod diagnostic;
mod diff;
mod document;
mod glob;
pub mod guard;
mod keys;
mod read;
mod redact;
mod schema;
pub mod sign;
mod tree;
mod write;

pub use cron::next_after;
pub use diagnostic::{Code, Diagnostic};
pub use diff::{Change, ChangeOp, diff};
pub use document::{Document, Pipeline, plan_canonical, plan_digest};
pub use guard::Guard;
pub use redact::redact;
pub use schema::schema;

use waybill_model::plan::System;

use crate::check::{Place, check};
use crate::diagnostic::Findings;
use crate::keys::Shape;
use crate::tree::Span;

/// Reads a pipeline file, or says all that is wrong with it.
pub fn parse(text: &str) -> Result<Document, Vec<Diagnostic>> {
    read_file(text, |_, _| {})
}

/// Reads a pipeline file that an orchestrator is to run: its paths have to be absolute as well.
pub fn parse_steered(text: &str) -> Result<Document, Vec<Diagnostic>> {
    read_file(text, absolute::check_document)
}

fn read_file(text: &str, beside: impl Fn(&tree::Node, &mut Findings)) -> Result<Document, Vec<Diagnostic>> {
    let mut found = Findings::default();
    let document = tree::read(text, &mut found).map(|root| {
        beside(&root, &mut found);
        let place = Place { field: "the file", of: "this document", at: root.span };
        check(&root, &Shape::Table(&keys::DOCUMENT), place, &mut found);
        read::read_document(&root, &mut found)
    });
    finish(document, found)
}

/// Reads one connection that stands alone, as YAML or JSON, and that an orchestrator is to use: its `type` and that type's
/// keys, paths absolute.
pub fn parse_connection(name: &str, text: &str) -> Result<System, Vec<Diagnostic>> {
    let mut found = Findings::default();
    if let Err(why) = check_name(name) {
        found.add(Code::Name, Span::START, why);
    }
    let system = tree::read(text, &mut found).and_then(|root| {
        let of = format!("connection {}", diagnostic::show(name));
        let place = Place { field: "the connection", of: &of, at: root.span };
        check(&root, &Shape::Tagged(&keys::CONNECTION), place, &mut found);
        absolute::check_connection(name, &root, &mut found);
        read::read_system(name, &root, root.span, &mut found)
    });
    finish(system, found)
}

/// Whether a text can name a connection, a pipeline, a project or a data plane; why not, where it can't.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    (keys::NAME.check)(name)
}

/// Whether a cron line of five fields can be read and ever comes; why not, where it can't.
pub fn check_cron(line: &str) -> Result<(), &'static str> {
    cron::check_line(line)
}

/// Whether a text names an IANA time zone; why not, where it doesn't.
pub fn check_zone(zone: &str) -> Result<(), &'static str> {
    cron::check_zone(zone)
}

/// The file that says what a document means: reading it gives the same document.
#[must_use]
pub fn to_yaml(document: &Document) -> String {
    write::yaml(&write::document(document))
}

fn finish<T>(read: Option<T>, found: Findings) -> Result<T, Vec<Diagnostic>> {
    match read {
        Some(read) if found.is_empty() => Ok(read),
        _ => Err(found.into_vec()),
    }
}

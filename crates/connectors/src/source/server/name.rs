//! Names of streams as databases have them: parts with points between them, odd ones in double quotes.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

/// A name in double quotes.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Reads `table`, `schema.table`, `"Odd.Name"` and the like: the schema, where one is written, and the table. `fold` is what
/// happens to characters that are not quoted.
pub(crate) fn parse(text: &str, fold: fn(char) -> char) -> FaultResult<(Option<String>, String)> {
    let wrong = |why: &str| {
        let text = format!("the stream's name {why}; write schema.table, with double quotes around odd names");
        Fault::new(FailureCode::SpecRefused, text)
    };
    let mut parts = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        let mut part = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next() {
                    Some('"') if rest.next_if_eq(&'"').is_some() => part.push('"'),
                    Some('"') => break,
                    Some(c) => part.push(c),
                    None => return Err(wrong("has a quote without an end")),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != '.' && *c != '"') {
                part.push(fold(c));
            }
        }
        if part.is_empty() || part.contains('\0') {
            return Err(wrong("has an empty part or a NUL character"));
        }
        parts.push(part);
        match rest.next() {
            None => break,
            Some('.') => {}
            Some(_) => return Err(wrong("has text behind a quote")),
        }
    }
    match (parts.pop(), parts.pop(), parts.pop()) {
        (Some(table), schema, None) => Ok((schema, table)),
        _ => Err(wrong("has more than two parts")),
    }
}

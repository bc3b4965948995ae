//! Names of tables as databases have them: parts with points between them, odd ones in double quotes.
//!
//! A connector asks its server for what is read here, and a pipeline file is checked by it: both mean one table by one name.

/// Why a text is no table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoName {
    /// It can't be read as one.
    #[error("the stream's name {0}; write schema.table, with double quotes around odd names")]
    Wrong(&'static str),
    /// It is a path.
    #[error("a stream of files needs `table`: a path is no table's name")]
    Path,
}

/// A name in double quotes.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A schema and a table as a stream is named: quoted only where they must be.
#[must_use]
pub fn shown(schema: &str, table: &str) -> String {
    let plain = |part: &str| {
        let word = part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if word && !part.is_empty() { part.to_owned() } else { quoted(part) }
    };
    format!("{}.{}", plain(schema), plain(table))
}

/// What becomes of characters that are not quoted where names are folded, as PostgreSQL does.
#[must_use]
pub const fn folded(c: char) -> char {
    c.to_ascii_lowercase()
}

/// Reads `table`, `schema.table`, `"Odd.Name"` and the like: the schema, where one is written, and the table. `fold` is what
/// happens to characters that are not quoted.
pub fn parse(text: &str, fold: fn(char) -> char) -> Result<(Option<String>, String), NoName> {
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
                    None => return Err(NoName::Wrong("has a quote without an end")),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != '.' && *c != '"') {
                part.push(fold(c));
            }
        }
        if part.is_empty() || part.contains('\0') {
            return Err(NoName::Wrong("has an empty part or a NUL character"));
        }
        parts.push(part);
        match rest.next() {
            None => break,
            Some('.') => {}
            Some(_) => return Err(NoName::Wrong("has text behind a quote")),
        }
    }
    match (parts.pop(), parts.pop(), parts.pop()) {
        (Some(table), schema, None) => Ok((schema, table)),
        _ => Err(NoName::Wrong("has more than two parts")),
    }
}

//! The exact type of every JSON column, from all objects of all files.
//!
//! A column has a type of its own only if every value is exactly of it; any other column is text, as it was written.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use waybill_pipeline::exact::number::{self, Number};

use super::json_array::{Framing, Pieces};
use super::json_line::{COLUMNS, TWICE, members, unsound};
use super::rows::Broken;

/// Bytes of all names together.
const NAMES: usize = 1 << 20;

const BOOLEAN: u8 = 1;
const INTEGER: u8 = 2;
/// An integer that a float would not hold.
const WIDE: u8 = 4;
const FLOAT: u8 = 8;
/// A number that is neither exactly.
const NUMBER: u8 = 16;
const STRING: u8 = 32;
const NESTED: u8 = 64;

/// What a column's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Float,
    Text,
    /// Numbers that only text holds exactly.
    NumberText,
    /// Nested or mixed values, or none at all: JSON as it was written.
    Json,
}

impl Kind {
    const fn of(seen: u8) -> Self {
        match seen {
            BOOLEAN => Self::Boolean,
            STRING => Self::Text,
            _ if seen != 0 && seen & !(INTEGER | WIDE) == 0 => Self::Integer,
            _ if seen != 0 && seen & !(INTEGER | FLOAT) == 0 => Self::Float,
            _ if seen != 0 && seen & !(INTEGER | WIDE | FLOAT | NUMBER) == 0 => Self::NumberText,
            _ => Self::Json,
        }
    }

    pub(super) const fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Integer => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Text | Self::NumberText | Self::Json => DataType::Utf8,
        }
    }

    /// Its name in the field's metadata.
    pub(super) const fn source_type(self) -> &'static str {
        match self {
            Self::Boolean => "json boolean",
            Self::Integer => "json integer",
            Self::Float => "json number",
            Self::Text => "json string",
            Self::NumberText => "json number, as written",
            Self::Json => "json, as written",
        }
    }
}

/// What was seen of the columns so far.
#[derive(Default)]
pub(super) struct Seen {
    names: Vec<String>,
    kinds: Vec<u8>,
    /// Row in which each was last seen, to find a name twice in one object.
    last: Vec<u64>,
    places: HashMap<String, usize>,
    name_bytes: usize,
    pub(super) rows: u64,
    /// What was wrong with the first piece that is no row, where such pieces do not end the file.
    pub(super) wrong: Option<Broken>,
}

impl Seen {
    /// Columns in the order in which they were first seen.
    pub(super) fn columns(&self) -> Vec<(String, Kind)> {
        self.names.iter().cloned().zip(self.kinds.iter().map(|seen| Kind::of(*seen))).collect()
    }

    /// Adds what was seen of a later file.
    pub(super) fn merge(&mut self, later: &Self) -> Result<(), String> {
        self.rows += later.rows;
        for (name, kind) in later.names.iter().zip(&later.kinds) {
            let at = self.place(name)?;
            self.kinds[at] |= kind;
        }
        Ok(())
    }

    fn look(&mut self, piece: &[u8], at: (&str, u64), quarantine: bool) -> Result<(), Broken> {
        match if quarantine { unsound(piece, at)? } else { None } {
            None => self.take(piece, at),
            Some(wrong) => {
                self.wrong.get_or_insert(wrong);
                Ok(())
            }
        }
    }

    fn take(&mut self, piece: &[u8], at: (&str, u64)) -> Result<(), Broken> {
        self.rows += 1;
        members(piece, at, &mut |name, value| {
            let at = self.place(name)?;
            if std::mem::replace(&mut self.last[at], self.rows) == self.rows {
                return Err(TWICE.to_owned());
            }
            self.kinds[at] |= kind_of(value);
            Ok(())
        })
    }

    fn place(&mut self, name: &str) -> Result<usize, String> {
        if let Some(at) = self.places.get(name) {
            return Ok(*at);
        }
        self.name_bytes += name.len();
        if self.names.len() >= COLUMNS || self.name_bytes > NAMES {
            return Err(format!("its objects have more than {COLUMNS} different names, or 1 MiB of them"));
        }
        self.places.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.kinds.push(0);
        self.last.push(0);
        Ok(self.names.len() - 1)
    }
}

fn kind_of(value: &str) -> u8 {
    match value.as_bytes().first() {
        Some(b'"') => STRING,
        Some(b'{' | b'[') => NESTED,
        Some(b't' | b'f') => BOOLEAN,
        Some(b'n') | None => 0,
        Some(_) => match number::read(value) {
            Number::Integer(_, true) => INTEGER,
            Number::Integer(_, false) => INTEGER | WIDE,
            Number::Float(_) => FLOAT,
            Number::Neither => NUMBER,
        },
    }
}

/// Looks at one file.
pub(super) struct Scan {
    pieces: Pieces,
    seen: Seen,
    quarantine: bool,
}

impl Scan {
    /// With `quarantine` pieces that are no rows, and will be set aside, are not looked at.
    pub(super) fn new(framing: Framing, cap: usize, quarantine: bool) -> Self {
        Self { pieces: Pieces::new(framing, cap), seen: Seen::default(), quarantine }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        let mut at = 0;
        let (seen, noun, quarantine) = (&mut self.seen, self.pieces.noun(), self.quarantine);
        while at < bytes.len() {
            at += self.pieces.feed(&bytes[at..], &mut |piece, line| seen.look(piece, (noun, line), quarantine))?;
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<Seen, Broken> {
        let (seen, noun, quarantine) = (&mut self.seen, self.pieces.noun(), self.quarantine);
        self.pieces.end(&mut |piece, line| seen.look(piece, (noun, line), quarantine))?;
        Ok(self.seen)
    }

    /// What was seen of a file that was not read to its end.
    pub(super) fn so_far(self) -> Seen {
        self.seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<(String, Kind)> {
        let mut scan = Scan::new(Framing::Lines, 1 << 20, false);
        scan.feed(text.as_bytes()).expect("lines");
        scan.end().expect("end").columns()
    }

    #[test]
    fn a_column_has_a_type_only_if_every_value_is_exactly_of_it() {
        let kinds = kinds(concat!(
            "{\"i\":1,\"f\":1,\"b\":true,\"s\":\"x\",\"n\":null,\"w\":9007199254740993,\"big\":1,\"m\":1}\n",
            "{\"i\":9223372036854775807,\"f\":0.5,\"b\":false,\"s\":null,\"w\":0.5,\"big\":18446744073709551616,",
            "\"m\":\"1\",\"o\":{}}\n",
        ));
        let expect = [
            ("i", Kind::Integer),
            ("f", Kind::Float),
            ("b", Kind::Boolean),
            ("s", Kind::Text),
            ("n", Kind::Json),
            ("w", Kind::NumberText),
            ("big", Kind::NumberText),
            ("m", Kind::Json),
            ("o", Kind::Json),
        ];
        assert_eq!(kinds, expect.map(|(name, kind)| (name.to_owned(), kind)));
    }

    #[test]
    fn a_name_twice_in_an_object_and_ids_as_names_are_refused() {
        let mut scan = Scan::new(Framing::Lines, 1 << 20, false);
        let broken = scan.feed(b"{\"a\":1}\n{\"a\":1,\"\\u0061\":2}\n").expect_err("twice");
        assert_eq!(broken.line, 2);
        let mut scan = Scan::new(Framing::Lines, 1 << 20, false);
        let many: String = (0..5000).map(|n| format!("{{\"id{n}\":1}}\n")).collect();
        assert!(scan.feed(many.as_bytes()).expect_err("many").text.contains("4096"));
        // In one object too, and where such rows would be set aside.
        let members: Vec<String> = (0..5000).map(|n| format!("\"id{n}\":1")).collect();
        let mut scan = Scan::new(Framing::Lines, 1 << 20, true);
        let broken = scan.feed(format!("{{{}}}\n", members.join(",")).as_bytes()).expect_err("many");
        assert!(broken.text.contains("4096"));
    }
}

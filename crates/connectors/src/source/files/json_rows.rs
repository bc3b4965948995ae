//! Makes typed columns of JSON objects, after the types are known from a first pass over the same bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder};
use waybill_model::FailureCode;
use waybill_model::plan::TextPolicy;
use waybill_pipeline::exact::number::{self, Number};

use super::bad::BadRows;
use super::csv_rows::TextColumn;
use super::json_array::{Framing, Pieces};
use super::json_infer::Kind;
use super::json_line::{TWICE, members, unescape, unsound};
use super::rows::{Bounds, Broken, Column, Decoded, Parser};

/// The parser of one JSON Lines file.
pub(super) struct JsonRows {
    bounds: Bounds,
    pieces: Pieces,
    sink: Sink,
}

struct Sink {
    policy: TextPolicy,
    places: HashMap<String, usize>,
    columns: Vec<Builder>,
    /// Columns that the row at hand has a value for.
    filled: Vec<bool>,
    rows: usize,
    bytes: usize,
    /// Rows that can't be read, where they do not end the file.
    bad: Option<BadRows>,
}

enum Builder {
    Boolean(BooleanBuilder),
    Integer(Int64Builder),
    Float(Float64Builder),
    Text(TextColumn),
    Raw(TextColumn),
}

impl JsonRows {
    /// A parser that takes these columns.
    pub(super) fn new(
        framing: Framing,
        (policy, quarantine): (TextPolicy, bool),
        bounds: Bounds,
        wanted: &[(String, Kind)],
    ) -> Self {
        let places = wanted.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        let columns: Vec<Builder> = wanted.iter().map(|(_, kind)| Builder::new(*kind)).collect();
        let filled = vec![false; columns.len()];
        let bad = quarantine.then(BadRows::default);
        let sink = Sink { policy, places, columns, filled, rows: 0, bytes: 0, bad };
        Self { bounds, pieces: Pieces::new(framing, bounds.row_bytes), sink }
    }
}

impl Parser for JsonRows {
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut at = 0;
        while at < bytes.len() && !self.is_full() {
            let (sink, noun) = (&mut self.sink, self.pieces.noun());
            at += self.pieces.feed(&bytes[at..], &mut |piece, line| sink.look(piece, (noun, line)))?;
        }
        Ok(at)
    }

    fn end(&mut self) -> Result<(), Broken> {
        let (sink, noun) = (&mut self.sink, self.pieces.noun());
        self.pieces.end(&mut |piece, line| sink.look(piece, (noun, line)))
    }

    fn is_full(&self) -> bool {
        self.sink.rows >= self.bounds.rows || self.sink.bytes >= self.bounds.bytes
    }

    fn take(&mut self) -> Option<Decoded> {
        let sink = &mut self.sink;
        if sink.rows == 0 && sink.bad.as_ref().is_none_or(BadRows::is_empty) {
            return None;
        }
        let rows = std::mem::take(&mut sink.rows);
        sink.bytes = 0;
        let (bad, stays) = sink.bad.as_mut().map(|bad| bad.take(rows)).unwrap_or_default();
        Some(Decoded { columns: sink.columns.iter_mut().map(|c| c.finish(rows)).collect(), rows, stays, bad })
    }
}

impl Sink {
    /// Takes a piece for a row, or sets it aside where it can't be one.
    fn look(&mut self, piece: &[u8], at: (&str, u64)) -> Result<(), Broken> {
        if let Some(bad) = &mut self.bad
            && let Some(broken) = unsound(piece, at)?
        {
            self.bytes += bad.push(broken, piece)?;
            return Ok(());
        }
        let wrong = self.take(piece, at)?;
        for (column, filled) in self.columns.iter_mut().zip(&self.filled) {
            if !filled {
                column.push_null();
            }
        }
        match (wrong, &mut self.bad) {
            (None, _) => {}
            (Some(broken), Some(bad)) => self.bytes += bad.push_made(broken, piece, self.rows)?,
            (Some(broken), None) => return Err(broken),
        }
        self.rows += 1;
        self.bytes += piece.len();
        Ok(())
    }

    /// Takes the values of an object up to one that can't stand in its column, and tells what is wrong with that.
    fn take(&mut self, piece: &[u8], at: (&str, u64)) -> Result<Option<Broken>, Broken> {
        let number = at.1;
        self.filled.fill(false);
        let mut refused = None;
        let read = members(piece, at, &mut |name, value| {
            let Some(at) = self.places.get(name).copied() else { return Ok(()) };
            if std::mem::replace(&mut self.filled[at], true) {
                return Err(TWICE.to_owned());
            }
            if let Err(code) = self.columns[at].push(value, self.rows, self.policy) {
                self.filled[at] = false;
                refused = Some(code);
                return Err("a value".to_owned());
            }
            Ok(())
        });
        match (read, refused) {
            (Ok(()), _) => Ok(None),
            (Err(_), Some(FailureCode::ValueRefused)) => {
                let text = "a string holds half a surrogate pair, which is no text".to_owned();
                Ok(Some(Broken { code: FailureCode::ValueRefused, line: number, text }))
            }
            (Err(_), Some(code)) => {
                let text = "a value is of another type than when the types were read".to_owned();
                Err(Broken { code, line: number, text })
            }
            (Err(broken), None) => Err(broken),
        }
    }
}

impl Builder {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Boolean => Self::Boolean(BooleanBuilder::new()),
            Kind::Integer => Self::Integer(Int64Builder::new()),
            Kind::Float => Self::Float(Float64Builder::new()),
            Kind::Text => Self::Text(TextColumn::default()),
            Kind::NumberText | Kind::Json => Self::Raw(TextColumn::default()),
        }
    }

    fn push_null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::Integer(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Text(b) | Self::Raw(b) => b.push(None),
        }
    }

    fn push(&mut self, value: &str, row: usize, policy: TextPolicy) -> Result<(), FailureCode> {
        if value == "null" {
            self.push_null();
            return Ok(());
        }
        match self {
            Self::Raw(b) => b.push(Some(value)),
            Self::Boolean(b) if value == "true" || value == "false" => b.append_value(value == "true"),
            Self::Text(b) if value.starts_with('"') => match unescape(value) {
                (text, true) => b.push(Some(&text)),
                (text, false) if policy == TextPolicy::Replace => {
                    b.push_altered(row, &text, &value.as_bytes()[1..value.len() - 1]);
                }
                _ => return Err(FailureCode::ValueRefused),
            },
            Self::Integer(b) => match number::read(value) {
                Number::Integer(number, _) => b.append_value(number),
                _ => return Err(FailureCode::SourceChanged),
            },
            Self::Float(b) => match (number::read(value), value.parse()) {
                (Number::Integer(_, true) | Number::Float(_), Ok(number)) => b.append_value(number),
                _ => return Err(FailureCode::SourceChanged),
            },
            Self::Boolean(_) | Self::Text(_) => return Err(FailureCode::SourceChanged),
        }
        Ok(())
    }

    fn finish(&mut self, rows: usize) -> Column {
        let values: ArrayRef = match self {
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Integer(b) => Arc::new(b.finish()),
            Self::Float(b) => Arc::new(b.finish()),
            Self::Text(b) | Self::Raw(b) => return b.finish(rows),
        };
        Column { values, altered: None, twin: true }
    }
}

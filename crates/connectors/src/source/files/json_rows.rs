//! Makes typed columns of JSON objects, after the types are known from a first pass over the same bytes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder};
use waybill_model::FailureCode;
use waybill_model::plan::TextPolicy;
use waybill_pipeline::exact::number::{self, Number};

use super::csv_rows::TextColumn;
use super::json_array::{Framing, Pieces};
use super::json_infer::Kind;
use super::json_line::{members, unescape};
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
    pub(super) fn new(framing: Framing, policy: TextPolicy, bounds: Bounds, wanted: &[(String, Kind)]) -> Self {
        let places = wanted.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        let columns: Vec<Builder> = wanted.iter().map(|(_, kind)| Builder::new(*kind)).collect();
        let filled = vec![false; columns.len()];
        let sink = Sink { policy, places, columns, filled, rows: 0, bytes: 0 };
        Self { bounds, pieces: Pieces::new(framing, bounds.row_bytes), sink }
    }
}

impl Parser for JsonRows {
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut at = 0;
        while at < bytes.len() && !self.is_full() {
            let (sink, noun) = (&mut self.sink, self.pieces.noun());
            at += self.pieces.feed(&bytes[at..], &mut |piece, line| sink.take(piece, (noun, line)))?;
        }
        Ok(at)
    }

    fn end(&mut self) -> Result<(), Broken> {
        let (sink, noun) = (&mut self.sink, self.pieces.noun());
        self.pieces.end(&mut |piece, line| sink.take(piece, (noun, line)))
    }

    fn is_full(&self) -> bool {
        self.sink.rows >= self.bounds.rows || self.sink.bytes >= self.bounds.bytes
    }

    fn take(&mut self) -> Option<Decoded> {
        let rows = std::mem::take(&mut self.sink.rows);
        self.sink.bytes = 0;
        let columns = &mut self.sink.columns;
        (rows > 0).then(|| Decoded { columns: columns.iter_mut().map(|c| c.finish(rows)).collect(), rows })
    }
}

impl Sink {
    fn take(&mut self, piece: &[u8], at: (&str, u64)) -> Result<(), Broken> {
        let number = at.1;
        self.filled.fill(false);
        let mut refused = None;
        members(piece, at, &mut |name, value| {
            let Some(at) = self.places.get(name).copied() else { return Ok(()) };
            if std::mem::replace(&mut self.filled[at], true) {
                return Err("an object has the same name twice".to_owned());
            }
            if let Err(code) = self.columns[at].push(value, self.rows, self.policy) {
                refused = Some(code);
                return Err("a value".to_owned());
            }
            Ok(())
        })
        .map_err(|broken| match refused {
            Some(FailureCode::ValueRefused) => {
                let text = "a string holds half a surrogate pair, which is no text".to_owned();
                Broken { code: FailureCode::ValueRefused, line: number, text }
            }
            Some(code) => {
                let text = "a value is of another type than when the types were read".to_owned();
                Broken { code, line: number, text }
            }
            None => broken,
        })?;
        for (column, filled) in self.columns.iter_mut().zip(&self.filled) {
            if !filled {
                column.push_null();
            }
        }
        self.rows += 1;
        self.bytes += piece.len();
        Ok(())
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

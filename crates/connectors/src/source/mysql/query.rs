//! Plain queries: a statement goes out, small results come back as text.
//!
//! Only catalogue questions and session settings pass here; the table's rows never do. A server that answers with a request
//! for a local file is refused, and nothing is sent to it.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::bytes::Bytes;
use super::refusal::{Exchange, Failure, ServerError};
use super::wire::{Answer, Wire, answer};
use crate::source::server::malformed;

const QUERY: u8 = 0x03;
/// A result set may hold this many bytes: a catalogue with many thousands of columns fits.
const RESULT_CAP: usize = 64 << 20;
/// Columns of a result at most; a table has at most 4096.
const COLUMN_CAP: u64 = 8192;

/// A row of text fields.
pub(super) struct Row(Vec<Option<Vec<u8>>>);

impl Row {
    /// A field that can't be NULL.
    pub(super) fn text(&self, at: usize) -> FaultResult<String> {
        self.opt(at)?.ok_or_else(|| malformed("a catalogue field is NULL"))
    }

    /// A field that may be NULL. A name that is not UTF-8 can't be carried.
    pub(super) fn opt(&self, at: usize) -> FaultResult<Option<String>> {
        let field = self.0.get(at).ok_or_else(|| malformed("a catalogue row is too short"))?;
        let text = field.clone().map(String::from_utf8).transpose();
        text.map_err(|_| malformed("a name in the catalogue is not valid UTF-8"))
    }

    /// A number field that may be NULL.
    pub(super) fn opt_number<T: std::str::FromStr>(&self, at: usize) -> FaultResult<Option<T>> {
        let number = self.opt(at)?.map(|text| text.parse()).transpose();
        number.map_err(|_| malformed("a catalogue number can't be read"))
    }

    /// A number field.
    pub(super) fn number<T: std::str::FromStr>(&self, at: usize) -> FaultResult<T> {
        self.opt_number(at)?.ok_or_else(|| malformed("a catalogue number is NULL"))
    }

    fn parse(packet: &[u8], columns: usize) -> FaultResult<Self> {
        let mut bytes = Bytes::new(packet);
        let mut fields = Vec::with_capacity(columns.min(packet.len()));
        for _ in 0..columns {
            fields.push(bytes.field()?.map(<[u8]>::to_vec));
        }
        if bytes.is_empty() { Ok(Self(fields)) } else { Err(malformed("a row of the server is longer than it says")) }
    }
}

/// What a statement's answer begins with.
pub(super) enum Begun {
    /// Rows of this many columns follow, after their definitions.
    Rows(usize),
    /// It is done, without rows.
    Done,
}

/// Reads the beginning of an answer.
pub(super) async fn begin(wire: &mut Wire) -> Exchange<Begun> {
    let packet = wire.packet().await?;
    match packet.first() {
        Some(0x00) => Ok(Begun::Done),
        Some(0xff) => Err(Failure::Server(ServerError::parse(&packet))),
        Some(0xfb) => {
            let text = "the server asks for a file of this machine, which it never gets: it is not to be trusted";
            Err(Fault::new(FailureCode::SourceMalformed, text).into())
        }
        _ => {
            let mut bytes = Bytes::new(&packet);
            match (bytes.number()?, bytes.is_empty()) {
                (count @ 1..=COLUMN_CAP, true) => Ok(Begun::Rows(count as usize)),
                _ => Err(malformed("an answer has an impossible number of columns").into()),
            }
        }
    }
}

impl Wire {
    /// Runs one statement and gives its rows.
    pub(super) async fn ask(&mut self, sql: &str) -> Exchange<Vec<Row>> {
        self.command(QUERY, sql.as_bytes()).await?;
        let Begun::Rows(columns) = begin(self).await? else { return Ok(Vec::new()) };
        for _ in 0..columns {
            self.packet().await?;
        }
        if !matches!(answer(&self.packet().await?)?, Answer::End) {
            return Err(malformed("the columns of an answer have no end").into());
        }
        let mut rows = Vec::new();
        let mut held = 0;
        loop {
            let packet = self.packet().await?;
            match answer(&packet)? {
                Answer::End => return Ok(rows),
                Answer::Error(error) => return Err(Failure::Server(error)),
                Answer::Data(row) => {
                    held += row.len();
                    if held > RESULT_CAP {
                        return Err(malformed("an answer of the server is larger than 64 MiB").into());
                    }
                    rows.push(Row::parse(row, columns)?);
                }
            }
        }
    }

    /// Runs a statement that must give one row at least.
    pub(super) async fn ask_one(&mut self, sql: &str) -> Exchange<Row> {
        match self.ask(sql).await?.into_iter().next() {
            Some(row) => Ok(row),
            None => Err(malformed("the server gave no row where one is certain").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_wrong_lengths_are_refused() {
        for (packet, columns) in [(&b""[..], 1), (b"\x02a", 1), (b"\x01ab", 1), (b"\x01a", 2), (b"\xff", 1)] {
            assert!(Row::parse(packet, columns).is_err(), "{packet:?}");
        }
        let row = Row::parse(b"\x0242\xfb", 2).expect("a row");
        assert!(row.number::<u64>(0).expect("a number") == 42 && row.opt(1).expect("a field").is_none());
    }
}

//! Simple queries: a statement goes out, small results come back as text.
//!
//! Only catalogue questions and session settings pass here; the table's rows never do.

use super::refusal::{Exchange, Failure};
use super::wire::{Wire, malformed};
use waybill_pipeline::FaultResult;

/// A result set may hold this many bytes: a catalogue with many thousands of columns fits.
const RESULT_CAP: usize = 64 << 20;

/// A row of text fields.
pub(crate) struct Row(Vec<Option<Vec<u8>>>);

impl Row {
    /// A field that can't be NULL.
    pub(crate) fn text(&self, at: usize) -> FaultResult<String> {
        self.opt(at)?.ok_or_else(|| malformed("a catalogue field is NULL"))
    }

    /// A field that may be NULL. A name that is not UTF-8 can't be carried.
    pub(crate) fn opt(&self, at: usize) -> FaultResult<Option<String>> {
        let field = self.0.get(at).ok_or_else(|| malformed("a catalogue row is too short"))?;
        let text = field.clone().map(String::from_utf8).transpose();
        text.map_err(|_| malformed("a name in the catalogue is not valid UTF-8"))
    }

    /// A number field.
    pub(crate) fn number<T: std::str::FromStr>(&self, at: usize) -> FaultResult<T> {
        self.text(at)?.parse().map_err(|_| malformed("a catalogue number can't be read"))
    }

    /// A truth field.
    pub(crate) fn flag(&self, at: usize) -> FaultResult<bool> {
        Ok(self.text(at)? == "t")
    }

    fn parse(body: &[u8]) -> FaultResult<Self> {
        let short = || malformed("a row of the server is shorter than it says");
        let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(short)?;
        let count = usize::try_from(i16::from_be_bytes(*count)).map_err(|_| short())?;
        let mut fields = Vec::with_capacity(count.min(rest.len() / 4));
        for _ in 0..count {
            let (length, tail) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            let length = i32::from_be_bytes(*length);
            if length == -1 {
                fields.push(None);
                rest = tail;
                continue;
            }
            let length = usize::try_from(length).map_err(|_| short())?;
            if length > tail.len() {
                return Err(short());
            }
            fields.push(Some(tail[..length].to_vec()));
            rest = &tail[length..];
        }
        if rest.is_empty() { Ok(Self(fields)) } else { Err(malformed("a row of the server is longer than it says")) }
    }
}

impl Wire {
    /// Runs statements and gives the rows of all of them.
    pub(crate) async fn ask(&mut self, sql: &str) -> Exchange<Vec<Row>> {
        self.send_query(sql).await?;
        let mut rows = Vec::new();
        let mut held = 0;
        loop {
            let message = self.message().await?;
            match message.tag {
                b'D' => {
                    held += message.body.len();
                    if held > RESULT_CAP {
                        return Err(malformed("an answer of the server is larger than 64 MiB").into());
                    }
                    rows.push(Row::parse(&message.body)?);
                }
                b'T' | b'C' | b'I' => {}
                b'Z' => return Ok(rows),
                b'E' => return Err(Failure::Server(self.refused(&message.body).await)),
                _ => return Err(malformed("an unexpected message in an answer").into()),
            }
        }
    }

    /// Runs statements that give no rows, and gives the last one's tag: `INSERT 0 5`, `COMMIT`.
    pub(crate) async fn run(&mut self, sql: &str) -> Exchange<String> {
        self.send_query(sql).await?;
        let mut tag = String::new();
        loop {
            let message = self.message().await?;
            match message.tag {
                b'C' => tag = String::from_utf8_lossy(message.body.strip_suffix(&[0]).unwrap_or(&[])).into_owned(),
                b'T' | b'D' | b'I' => {}
                b'Z' => return Ok(tag),
                b'E' => return Err(Failure::Server(self.refused(&message.body).await)),
                _ => return Err(malformed("an unexpected message in an answer").into()),
            }
        }
    }

    /// Runs a statement that must give one row at least.
    pub(crate) async fn ask_one(&mut self, sql: &str) -> Exchange<Row> {
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
        for body in [
            &b""[..],
            b"\0",
            b"\0\x02\0\0\0\x01a",
            b"\0\x01\0\0\0\x09a",
            b"\0\x01\xff\xff\xff\xfea",
            b"\xff\xff",
            b"\0\x01\0\0\0\x01ab",
        ] {
            assert!(Row::parse(body).is_err(), "{body:?}");
        }
        let row = Row::parse(b"\0\x02\0\0\0\x01t\xff\xff\xff\xff").expect("a row");
        assert!(row.flag(0).expect("a flag") && row.opt(1).expect("a field").is_none());
    }
}

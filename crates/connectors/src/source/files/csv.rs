//! Splits CSV as RFC 4180 says, strictly: what a lenient reader would guess is an error with its line.
//!
//! Every column is text. A record is bounded before it is buffered. Line ends may be LF, CR LF or CR, mixed.

use waybill_model::FailureCode;
use waybill_model::plan::Csv;
use waybill_model::size::show_count;

use super::bad::LARGEST;
use super::rows::Broken;

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At the start of a record.
    Record,
    /// At the start of a field that is not the first.
    Field,
    /// In an unquoted field.
    Plain,
    /// In a quoted field.
    Quoted,
    /// After a quote in a quoted field: its end, or the first half of a doubled one.
    Quote,
}

/// A record as it was split: all fields' bytes one after the other, and where each ends.
#[derive(Default)]
pub(super) struct Record {
    bytes: Vec<u8>,
    ends: Vec<(usize, bool)>,
    /// Bytes between one field and the next: the delimiter, where the record was taken as it stood in the file.
    gap: usize,
    /// Line on which it began, from 1.
    pub(super) line: u64,
}

impl Record {
    /// Fields in it.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// A field's bytes and whether it was quoted.
    pub(super) fn field(&self, at: usize) -> (&[u8], bool) {
        let (start, end) = self.place(at);
        (&self.bytes[start..end], self.ends[at].1)
    }

    /// All of it as text, where it is: fields of that need not be looked at one by one.
    pub(super) fn text(&self) -> Option<&str> {
        simdutf8::basic::from_utf8(&self.bytes).ok()
    }

    /// A field out of `text`; none where half a character stands at its end, which the next field seems to complete.
    pub(super) fn text_field<'t>(&self, text: &'t str, at: usize) -> Option<&'t str> {
        let (start, end) = self.place(at);
        text.get(start..end)
    }

    fn place(&self, at: usize) -> (usize, usize) {
        let start = if at == 0 { 0 } else { self.ends[at - 1].0 + self.gap };
        (start, self.ends[at].0)
    }

    /// Bytes of its fields.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// The splitter of one file.
pub(super) struct Splitter {
    delimiter: u8,
    quote: u8,
    cap: usize,
    place: Place,
    /// Bytes that end a run of plain ones.
    stops: [bool; 256],
    record: Record,
    /// The record is complete and stays until `clear`.
    complete: bool,
    line: u64,
    /// The last byte was a CR, so an LF belongs to the same line end.
    after_cr: bool,
    /// The first bytes of the file, while they may be a byte-order mark.
    start: Option<Vec<u8>>,
    /// Lines without a byte that may turn out to be just the end of the file; the first one's number.
    blank: Option<u64>,
    columns: Option<usize>,
    /// Bytes of the record as they stand in the file, where a wrong number of fields does not end it.
    raw: Option<Vec<u8>>,
    /// What is wrong with the complete record.
    wrong: Option<Broken>,
}

impl Splitter {
    pub(super) fn new(dialect: &Csv, cap: usize) -> Result<Self, &'static str> {
        let (Ok(delimiter), Ok(quote)) = (u8::try_from(dialect.delimiter), u8::try_from(dialect.quote)) else {
            return Err("`delimiter` and `quote` each take one ASCII character");
        };
        let unusable = |b: u8| !b.is_ascii() || matches!(b, b'\r' | b'\n' | 0);
        if unusable(delimiter) || unusable(quote) || delimiter == quote {
            return Err("`delimiter` and `quote` take two different ASCII characters that are no line ends");
        }
        let mut stops = [false; 256];
        for byte in [delimiter, quote, b'\r', b'\n', 0] {
            stops[usize::from(byte)] = true;
        }
        Ok(Self {
            delimiter,
            quote,
            cap,
            place: Place::Record,
            stops,
            record: Record { line: 1, ..Record::default() },
            complete: false,
            line: 1,
            after_cr: false,
            start: Some(Vec::new()),
            blank: None,
            columns: None,
            raw: None,
            wrong: None,
        })
    }

    /// From now on a record with another number of fields than expected is complete, and `wrong` tells.
    pub(super) fn keep_raw(&mut self) {
        self.raw = Some(Vec::new());
    }

    /// What is wrong with the complete record, once.
    pub(super) const fn wrong(&mut self) -> Option<Broken> {
        self.wrong.take()
    }

    /// The complete record as it stands in the file, without its line end; nothing where that is not kept.
    pub(super) fn raw(&self) -> &[u8] {
        if self.record.gap == 1 {
            return &self.record.bytes;
        }
        let raw = self.raw.as_deref().unwrap_or_default();
        raw.strip_suffix(b"\n").or_else(|| raw.strip_suffix(b"\r")).unwrap_or(raw)
    }

    /// Every record from now on has this many fields.
    pub(super) fn expect(&mut self, columns: usize) {
        self.columns = Some(columns);
    }

    /// The record that is complete.
    pub(super) fn record(&self) -> Option<&Record> {
        self.complete.then_some(&self.record)
    }

    /// Forgets the complete record.
    pub(super) fn clear(&mut self) {
        self.complete = false;
        self.record.bytes.clear();
        self.record.ends.clear();
        self.record.gap = 0;
        if let Some(raw) = &mut self.raw {
            raw.clear();
        }
    }

    /// Takes bytes up to the end of a record; gives how many.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut at = self.begin(bytes)?;
        while at < bytes.len() && !self.complete {
            let taken = self.whole(&bytes[at..])?;
            at += if taken > 0 { taken } else { self.step(&bytes[at..])? };
        }
        Ok(at)
    }

    /// Takes a whole record at once where it stands in these bytes with its line end and without a quote or anything else that
    /// needs a closer look; nothing otherwise.
    fn whole(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        if self.place != Place::Record || self.after_cr || self.blank.is_some() {
            return Ok(0);
        }
        let (delimiter, ends) = (self.delimiter, &mut self.record.ends);
        let mut stops = bytes.iter().enumerate().filter(|(_, byte)| self.stops[usize::from(**byte)]);
        let end = loop {
            match stops.next() {
                Some((at, byte)) if *byte == delimiter => ends.push((at, false)),
                Some((at, b'\n')) if at > 0 => break Some((at, at + 1)),
                Some((at, b'\r')) if at > 0 && bytes.get(at + 1) == Some(&b'\n') => break Some((at, at + 2)),
                _ => break None,
            }
        };
        let Some((end, taken)) = end.filter(|(end, _)| *end <= self.cap && ends.len() * 8 <= self.cap) else {
            ends.clear();
            return Ok(0);
        };
        ends.push((end, false));
        self.record.bytes.extend_from_slice(&bytes[..end]);
        (self.record.gap, self.record.line) = (1, self.line);
        self.line += 1;
        self.complete = true;
        self.check_fields().map(|()| taken)
    }

    /// The file has ended. A record without a line end is complete with it.
    pub(super) fn end(&mut self) -> Result<(), Broken> {
        if let Some(held) = self.start.take().filter(|held| !held.is_empty()) {
            self.step(&held)?;
        }
        match self.place {
            _ if self.complete => Ok(()),
            Place::Quoted => Err(self.broken("a quoted field is not closed before the end of the file")),
            Place::Record => Ok(()),
            Place::Field | Place::Plain | Place::Quote => self.finish_record(),
        }
    }

    /// Holds the first bytes of the file while they may be a byte-order mark; what is none is a field's start.
    fn begin(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        const UTF8: &[u8] = b"\xef\xbb\xbf";
        const UTF16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
        let Some(mut held) = self.start.take() else { return Ok(0) };
        for (at, byte) in bytes.iter().enumerate() {
            held.push(*byte);
            if UTF16.contains(&held.as_slice()) {
                return Err(self.broken("the file is UTF-16: save it as UTF-8"));
            }
            if held == UTF8 {
                return Ok(at + 1);
            }
            if !UTF8.starts_with(&held) && UTF16.iter().all(|mark| !mark.starts_with(&held)) {
                held.pop();
                if !held.is_empty() {
                    self.step(&held)?;
                }
                return Ok(at);
            }
        }
        self.start = Some(held);
        Ok(bytes.len())
    }

    /// Takes one byte, or a run of plain ones, and keeps them where they are asked for.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let taken = self.advance(bytes)?;
        if let Some(raw) = &mut self.raw {
            // Of a row that is too large to be set aside no more is kept than shows it.
            raw.extend_from_slice(&bytes[..taken.min((LARGEST + 1).saturating_sub(raw.len()))]);
        }
        Ok(taken)
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let byte = bytes[0];
        if byte == 0 {
            return Err(self.broken("a NUL byte: the file is not UTF-8 text, or is damaged"));
        }
        if std::mem::take(&mut self.after_cr) && byte == b'\n' {
            return Ok(1);
        }
        match self.place {
            Place::Record if byte == b'\n' || byte == b'\r' => self.blank_line(byte)?,
            Place::Record | Place::Field if byte == self.quote => {
                self.record_begins()?;
                self.place = Place::Quoted;
            }
            Place::Quote if byte == self.quote => {
                self.push(&bytes[..1])?;
                self.place = Place::Quoted;
            }
            Place::Quoted => return self.quoted(bytes),
            Place::Quote if !self.stops[usize::from(byte)] => {
                return Err(self.broken("text stands after a closing quote: double quotes inside quoted fields"));
            }
            _ if byte == self.delimiter => {
                self.record_begins()?;
                self.finish_field();
                self.place = Place::Field;
            }
            _ if byte == b'\n' || byte == b'\r' => {
                self.end_line(byte);
                self.finish_record()?;
            }
            Place::Plain if byte == self.quote => {
                return Err(self.broken("a quote stands inside an unquoted field: quote the field and double it"));
            }
            _ => {
                self.record_begins()?;
                let end = bytes.iter().position(|b| self.stops[usize::from(*b)]).unwrap_or(bytes.len());
                self.push(&bytes[..end])?;
                self.place = Place::Plain;
                return Ok(end);
            }
        }
        Ok(1)
    }

    /// Takes a run inside quotes.
    fn quoted(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let end = memchr::memchr2(self.quote, 0, bytes).unwrap_or(bytes.len());
        let run = &bytes[..end];
        self.line += memchr::memchr_iter(b'\n', run).count() as u64;
        self.push(run)?;
        if bytes.get(end) == Some(&self.quote) {
            self.place = Place::Quote;
            return Ok(end + 1);
        }
        if end < bytes.len() {
            return Err(self.broken("a NUL byte: the file is not UTF-8 text, or is damaged"));
        }
        Ok(end)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), Broken> {
        if self.record.bytes.len() + bytes.len() > self.cap {
            let text = "a record is larger than an eighth of the memory budget".to_owned();
            return Err(Broken { code: FailureCode::RowTooLarge, line: self.record.line, text });
        }
        self.record.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// A record begins with this byte, so blank lines before it were not just the end of the file.
    fn record_begins(&mut self) -> Result<(), Broken> {
        if self.place == Place::Record {
            if let Some(line) = self.blank.take() {
                let text = "an empty line stands between records".to_owned();
                return Err(Broken { code: FailureCode::CsvMalformed, line, text });
            }
            self.record.line = self.line;
            // What may stand there is the second half of the last line end.
            if let Some(raw) = &mut self.raw {
                raw.clear();
            }
        }
        // An empty field costs a few bytes too: a record of nothing but delimiters is bounded as well.
        if self.record.ends.len() * 8 > self.cap {
            return Err(self.broken("a record has more fields than fit an eighth of the memory budget"));
        }
        Ok(())
    }

    /// With one column an empty line is an empty field; otherwise it may only stand at the end of the file.
    fn blank_line(&mut self, byte: u8) -> Result<(), Broken> {
        if self.columns == Some(1) {
            self.record.line = self.line;
            self.end_line(byte);
            return self.finish_record();
        }
        self.blank.get_or_insert(self.line);
        self.end_line(byte);
        Ok(())
    }

    fn end_line(&mut self, byte: u8) {
        self.line += 1;
        self.after_cr = byte == b'\r';
    }

    fn finish_field(&mut self) {
        self.record.ends.push((self.record.bytes.len(), self.place == Place::Quote));
    }

    fn finish_record(&mut self) -> Result<(), Broken> {
        self.finish_field();
        self.place = Place::Record;
        self.complete = true;
        self.check_fields()
    }

    /// Every record has as many fields as the table has columns.
    fn check_fields(&mut self) -> Result<(), Broken> {
        let Some(columns) = self.columns.filter(|columns| *columns != self.record.ends.len()) else { return Ok(()) };
        let fields = show_count(self.record.ends.len() as u64, "field");
        let text = format!("the record has {fields}, and the table {columns}");
        let broken = Broken { code: FailureCode::CsvMalformed, line: self.record.line, text };
        if self.raw.is_none() {
            return Err(broken);
        }
        self.wrong = Some(broken);
        Ok(())
    }

    fn broken(&self, text: &str) -> Broken {
        Broken { code: FailureCode::CsvMalformed, line: self.line, text: text.to_owned() }
    }
}

#[cfg(test)]
mod tests;

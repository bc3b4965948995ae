//! Makes columns of split CSV records: the header's places, NULL texts, and what a refused field ends with.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StringBuilder};
use waybill_model::FailureCode;
use waybill_model::plan::{Csv, CsvType, EdgePolicy, TextPolicy};

use super::bad::BadRows;
use super::csv::{Record, Splitter};
use super::csv_column::CsvColumn;
use super::rows::{Bounds, Broken, Column, Decoded, Parser};

/// More columns than any table should have; a file of another kind is taken for a header otherwise.
pub(super) const COLUMNS: usize = 4096;

/// The parser of one CSV file.
pub(super) struct CsvRows {
    dialect: Csv,
    bounds: Bounds,
    splitter: Splitter,
    /// Columns of the table that are taken, by name.
    wanted: Vec<String>,
    /// All columns of the first file, sorted.
    all: Arc<Vec<String>>,
    /// Field of the record for each column taken, once the header is read.
    fields: Option<Vec<usize>>,
    columns: Vec<CsvColumn>,
    rows: usize,
    bytes: usize,
    /// Rows that can't be read, where they do not end the file.
    bad: Option<BadRows>,
}

/// A column of text under way, with hex beside what was not UTF-8.
#[derive(Default)]
pub(super) struct TextColumn {
    values: StringBuilder,
    /// Rows and hex texts of altered values.
    altered: Vec<(usize, String)>,
}

impl TextColumn {
    pub(super) fn push(&mut self, value: Option<&str>) {
        self.values.append_option(value);
    }

    /// A value that is not what stood in the file, and what stood there.
    pub(super) fn push_altered(&mut self, row: usize, value: &str, exact: &[u8]) {
        self.values.append_value(value);
        self.altered.push((row, hex::encode(exact)));
    }

    pub(super) fn finish(&mut self, rows: usize) -> Column {
        let values: ArrayRef = Arc::new(self.values.finish());
        Column { values, altered: sparse(std::mem::take(&mut self.altered), rows), twin: true }
    }
}

/// A column that is NULL but for some rows; none where there are none.
pub(super) fn sparse(texts: Vec<(usize, String)>, rows: usize) -> Option<StringArray> {
    if texts.is_empty() {
        return None;
    }
    let mut builder = StringBuilder::new();
    for (row, text) in texts {
        while arrow::array::ArrayBuilder::len(&builder) < row {
            builder.append_null();
        }
        builder.append_value(text);
    }
    while arrow::array::ArrayBuilder::len(&builder) < rows {
        builder.append_null();
    }
    Some(builder.finish())
}

impl CsvRows {
    /// A parser that takes the columns `wanted` of a table with the columns `all`.
    pub(super) fn new(
        dialect: &Csv,
        (edge, text, quarantine): (EdgePolicy, TextPolicy, bool),
        bounds: Bounds,
        wanted: Vec<String>,
        all: &[String],
    ) -> Result<Self, Broken> {
        let mut splitter = Splitter::new(dialect, bounds.row_bytes).map_err(refused)?;
        let bad = quarantine.then(|| {
            splitter.keep_raw();
            BadRows::default()
        });
        let mut sorted = all.to_vec();
        sorted.sort_unstable();
        let of = |name: &String| dialect.types.get(name).copied().unwrap_or(CsvType::Text);
        let columns = wanted.iter().map(|name| CsvColumn::new(of(name), edge, text)).collect();
        let dialect = dialect.clone();
        let all = Arc::new(sorted);
        Ok(Self { dialect, bounds, splitter, wanted, all, fields: None, columns, rows: 0, bytes: 0, bad })
    }

    fn record(&mut self) -> Result<(), Broken> {
        let Some(record) = self.splitter.record() else { return Ok(()) };
        if self.fields.is_none() {
            let names = column_names(record, &self.dialect)?;
            self.fields = Some(self.places(&names, record.line)?);
            let (columns, is_header) = (record.len(), self.dialect.header);
            self.splitter.expect(columns);
            if !is_header {
                self.row()?;
            }
        } else {
            self.row()?;
        }
        self.splitter.clear();
        Ok(())
    }

    /// Where each column taken stands in this file. Every file has the same columns; their order may differ.
    fn places(&self, names: &[String], line: u64) -> Result<Vec<usize>, Broken> {
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        if sorted != *self.all {
            let text = format!(
                "its columns are not those of the first file ({} here, {} there): every file of a stream has the same",
                names.len(),
                self.all.len()
            );
            return Err(Broken { code: FailureCode::CsvMalformed, line, text });
        }
        let places: HashMap<&str, usize> = names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
        Ok(self.wanted.iter().map(|name| places[name.as_str()]).collect())
    }

    fn row(&mut self) -> Result<(), Broken> {
        let mut wrong = self.splitter.wrong();
        let (Some(record), Some(fields)) = (self.splitter.record(), &self.fields) else { return Ok(()) };
        let null = self.dialect.null.as_deref().map(str::as_bytes);
        let text = record.text();
        for (column, field) in self.columns.iter_mut().zip(fields) {
            if wrong.is_some() {
                column.push_null();
                continue;
            }
            let (bytes, is_quoted) = record.field(*field);
            let known = text.and_then(|text| record.text_field(text, *field));
            if !is_quoted && null == Some(bytes) {
                column.push_null();
                continue;
            }
            if let Err(refusal) = column.push(self.rows, (bytes, is_quoted), known) {
                let broken = refusal.of_field(field + 1, record.line);
                if self.bad.is_none() {
                    return Err(broken);
                }
                column.push_null();
                wrong = Some(broken);
            }
        }
        self.bytes += record.size() + fields.len() * 8;
        if let (Some(broken), Some(bad)) = (wrong, &mut self.bad) {
            let raw = self.splitter.raw();
            // A quote that should not be there may have swallowed line ends, and with them whole records.
            if raw.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
                let text = format!("{}; it spans several lines, so it is not set aside", broken.text);
                return Err(Broken { text, ..broken });
            }
            self.bytes += bad.push_made(broken, raw, self.rows)?;
        }
        self.rows += 1;
        Ok(())
    }
}

impl Parser for CsvRows {
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let mut at = 0;
        while at < bytes.len() && !self.is_full() {
            at += self.splitter.feed(&bytes[at..])?;
            self.record()?;
        }
        Ok(at)
    }

    fn end(&mut self) -> Result<(), Broken> {
        self.splitter.end()?;
        self.record()?;
        if self.fields.is_none() && self.dialect.header {
            let text = "the file is empty: a header was expected".to_owned();
            return Err(Broken { code: FailureCode::CsvMalformed, line: 1, text });
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.rows >= self.bounds.rows || self.bytes >= self.bounds.bytes
    }

    fn take(&mut self) -> Option<Decoded> {
        if self.rows == 0 {
            return None;
        }
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let columns = self.columns.iter_mut().map(|column| column.finish(rows)).collect();
        let (bad, stays) = self.bad.as_mut().map(|bad| bad.take(rows)).unwrap_or_default();
        Some(Decoded { columns, rows, stays, bad })
    }
}

/// The names of the columns by the first record: as a header tells them, or by number.
pub(super) fn column_names(record: &Record, dialect: &Csv) -> Result<Vec<String>, Broken> {
    let broken = |text: String| Broken { code: FailureCode::CsvMalformed, line: record.line, text };
    if record.len() > COLUMNS {
        return Err(broken(format!("it has {} columns; at most {COLUMNS} are read", record.len())));
    }
    if !dialect.header {
        return Ok((1..=record.len()).map(|at| format!("column_{at}")).collect());
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::with_capacity(record.len());
    for at in 0..record.len() {
        let Ok(name) = std::str::from_utf8(record.field(at).0) else {
            return Err(broken(format!("the name of column {} is not valid UTF-8", at + 1)));
        };
        if name.is_empty() {
            return Err(broken(format!("column {} has no name; with `header: false` columns are numbered", at + 1)));
        }
        if let Some(other) = places.insert(name.to_owned(), at) {
            return Err(broken(format!("columns {} and {} have the same name", other + 1, at + 1)));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Reads no more than the first record: the table's columns.
pub(super) struct Header {
    dialect: Csv,
    splitter: Splitter,
}

impl Header {
    pub(super) fn new(dialect: &Csv, cap: usize) -> Result<Self, Broken> {
        Ok(Self { dialect: dialect.clone(), splitter: Splitter::new(dialect, cap).map_err(refused)? })
    }

    /// Takes bytes until the columns are known.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Option<Vec<String>>, Broken> {
        self.splitter.feed(bytes)?;
        self.splitter.record().map(|record| column_names(record, &self.dialect)).transpose()
    }

    /// The file ended before its first record did.
    pub(super) fn end(&mut self) -> Result<Vec<String>, Broken> {
        self.splitter.end()?;
        match self.splitter.record() {
            Some(record) => column_names(record, &self.dialect),
            None => {
                let text = "the file is empty: its columns can't be told".to_owned();
                Err(Broken { code: FailureCode::CsvMalformed, line: 1, text })
            }
        }
    }
}

fn refused(text: &'static str) -> Broken {
    Broken { code: FailureCode::SpecRefused, line: 1, text: text.to_owned() }
}

//! Bytes of any kind in place of a CSV file: wherever they are cut, the same records or the same refusal; and of its fields, in
//! every type, exact values or edges.

use waybill_model::plan::{Csv, CsvType, EdgePolicy, TextPolicy};
use waybill_model::{FailureCode, size};

use super::csv::Splitter;
use super::csv_column::CsvColumn;

/// Fields, and whether each stood in quotes.
type Records = Vec<Vec<(Vec<u8>, bool)>>;

fn split(bytes: &[u8], dialect: &Csv, step: usize) -> Result<Records, (FailureCode, u64)> {
    let refused = |broken: super::rows::Broken| (broken.code, broken.line);
    let mut splitter = Splitter::new(dialect, 4096).unwrap_or_else(|why| panic!("{why}"));
    let mut records = Records::new();
    let keep = |splitter: &mut Splitter, records: &mut Records| {
        let Some(record) = splitter.record() else { return };
        let text = record.text();
        let field = |at| {
            let (bytes, quoted) = record.field(at);
            // Out of the whole record's text comes what the field is by itself: half a character is no text.
            if let Some(text) = text {
                let by_itself = std::str::from_utf8(bytes).ok();
                assert_eq!(record.text_field(text, at), by_itself, "a field's text is not its bytes");
            }
            (bytes.to_vec(), quoted)
        };
        records.push((0..record.len()).map(field).collect());
        let columns = records[0].len();
        splitter.expect(columns);
        splitter.clear();
    };
    for mut piece in bytes.chunks(step) {
        while !piece.is_empty() {
            let taken = splitter.feed(piece).map_err(refused)?;
            piece = &piece[taken..];
            keep(&mut splitter, &mut records);
        }
    }
    splitter.end().map_err(refused)?;
    keep(&mut splitter, &mut records);
    Ok(records)
}

/// Every field in every type, alone: one value or one edge.
fn take(records: &Records) {
    let decimals = [CsvType::Decimal(38, 10), CsvType::Decimal(5, 0)];
    let others = [CsvType::Text, CsvType::Boolean, CsvType::Bigint, CsvType::Double, CsvType::Date];
    let moments = [CsvType::Timestamp, CsvType::TimestampTz];
    for kind in decimals.into_iter().chain(others).chain(moments) {
        for edge in [EdgePolicy::Twin, EdgePolicy::Fail] {
            let mut column = CsvColumn::new(kind, edge, TextPolicy::default());
            let mut rows = 0;
            for (field, quoted) in records.iter().flatten().take(64) {
                for known in [None, std::str::from_utf8(field).ok()] {
                    rows += usize::from(column.push(rows, (field, *quoted), known).is_ok());
                }
            }
            let made = column.finish(rows);
            assert_eq!(made.values.len(), rows, "a field is one value");
        }
    }
}

/// The first two bytes say the dialect and where the rest is cut.
pub(crate) fn csv(data: &[u8]) {
    let Some(([dialect, cut], bytes)) = data.split_first_chunk::<2>() else { return };
    let delimiter = [',', ';', '\t', '|'][usize::from(dialect & 3)];
    let quote = if dialect & 4 == 0 { '"' } else { '\'' };
    let dialect = Csv { delimiter, quote, ..Csv::default() };
    let at_once = split(bytes, &dialect, usize::MAX);
    for step in [1, usize::from(*cut % 31) + 2] {
        assert_eq!(
            at_once,
            split(bytes, &dialect, step),
            "cut into {}, it is read otherwise",
            size::show_count(step as u64, "byte")
        );
    }
    if let Ok(records) = &at_once {
        take(records);
    }
}

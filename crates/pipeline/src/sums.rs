//! Sums over the values of columns, which two sides compute apart: the source in the snapshot that the rows are of, and the
//! worker over the files that it wrote, read back.
//!
//! A value counts by the first 60 bits of SHA-256 over its canonical text, so that no order of rows matters and a value that is
//! another one shows. Sums come of values: they stand in receipts, which stay with the customer, and are never shown or sent.

use std::fmt;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use waybill_model::FailureCode;
use waybill_model::plan::{Plan, StreamPlan, System};

use crate::database::Destination;
use crate::encode::cell::{Cell, scalar};
use crate::fault::{Fault, FaultResult};

/// The sum of one column.
#[derive(Clone, PartialEq, Eq)]
pub struct ColumnSum {
    column: String,
    values: u64,
    sum: u128,
}

/// Without what comes of values.
impl fmt::Debug for ColumnSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ColumnSum")
    }
}

impl ColumnSum {
    /// Of a column under its name in the table: so many values that are not NULL, and the sum of what they count.
    pub fn new(column: impl Into<String>, values: u64, sum: u128) -> Self {
        Self { column: column.into(), values, sum }
    }

    /// Of a column without a value.
    pub fn none(column: impl Into<String>) -> Self {
        Self::new(column, 0, 0)
    }

    /// The column's name in the table.
    #[must_use]
    pub fn column(&self) -> &str {
        &self.column
    }

    /// As the receipt has it. No reader of JSON holds such a number, so the sum is text.
    #[must_use]
    pub fn recorded(&self) -> Value {
        json!({"column": self.column, "values": self.values, "sum": self.sum.to_string()})
    }

    /// What differs from another sum of the same column, for people: how many values, never which.
    #[must_use]
    pub(crate) fn difference(&self, other: &Self) -> String {
        if self.values == other.values {
            return format!("{} (other values)", self.column);
        }
        format!("{} ({} values in place of {})", self.column, other.values, self.values)
    }

    /// Takes one value by its canonical text.
    pub(crate) fn take(&mut self, text: &[u8]) {
        self.values += 1;
        self.sum = self.sum.wrapping_add(share(text).into());
    }

    /// Takes the values of a column with its twin beside it, where there is one. A text that the column could not hold stands
    /// there beside a NULL; beside a text that had to be mended stand the bytes that it was, as hex.
    pub(crate) fn take_all(&mut self, values: &ArrayRef, twin: Option<&ArrayRef>) -> FaultResult<()> {
        let twin = twin.and_then(|twin| twin.as_string_opt::<i32>());
        let mut text = Vec::new();
        for row in 0..values.len() {
            let beside = twin.filter(|twin| twin.is_valid(row)).map(|twin| twin.value(row));
            match (values.is_valid(row), beside) {
                (false, None) => {}
                (false, Some(beside)) => self.take(beside.as_bytes()),
                (true, Some(hex)) if is_text(values.data_type()) => {
                    self.take(&hex::decode(hex).unwrap_or_else(|_| hex.into()));
                }
                (true, _) => {
                    text.clear();
                    canonical(values, row, &mut text)?;
                    self.take(&text);
                }
            }
        }
        Ok(())
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// What one value counts: 60 bits, which every server can make a number of.
fn share(text: &[u8]) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    digest.iter().take(8).fold(0, |bits, byte| (bits << 8) | u64::from(*byte)) >> 4
}

/// A value's canonical text: what it is in a file of CSV; bytes as they are.
fn canonical(values: &ArrayRef, row: usize, out: &mut Vec<u8>) -> FaultResult<()> {
    let unusable = || Fault::new(FailureCode::WorkerBug, "a column is summed whose values have no canonical text");
    match Cell::at(values.as_ref(), row).ok_or_else(unusable)? {
        Cell::Bytes(bytes) => out.extend_from_slice(bytes),
        Cell::Single(_) | Cell::Double(_) | Cell::List(_) | Cell::Struct(_) => return Err(unusable()),
        // Writing to memory never fails.
        cell => scalar(&cell, out).map_err(|_| unusable())?,
    }
    Ok(())
}

/// Refuses sums that nobody can compare, before a row is read, whoever wrote the plan.
pub(crate) fn check(plan: &Plan, stream: &StreamPlan, destination: &Destination) -> FaultResult<()> {
    if stream.checksums.is_off() {
        return Ok(());
    }
    let unusable = |why: &str| Err(Fault::new(FailureCode::ChecksumUnusable, why));
    if !matches!(plan.from.system, System::Postgres(_) | System::MySql(_)) {
        return unusable("`checksums`: only PostgreSQL, MariaDB and MySQL compute sums of their columns");
    }
    if destination.bucket().is_none() {
        return unusable("`checksums` into a database is not built yet: rows there are not read back");
    }
    if !plan.files.format.is_parquet() {
        return unusable("`checksums` needs `files.format: parquet` or `parquet-files`: text files are not read back");
    }
    match stream.columns.cast.keys().find(|column| stream.checksums.takes(column)) {
        Some(column) => unusable(&format!("`checksums` takes {column}, whose values are cast: they are others there")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array, StringArray,
        TimestampMicrosecondArray,
    };

    use super::*;

    fn sum_of(values: &ArrayRef, twin: Option<Vec<Option<&str>>>) -> ColumnSum {
        let mut sum = ColumnSum::none("c");
        let twin: Option<ArrayRef> = twin.map(|twin| Arc::new(StringArray::from(twin)) as ArrayRef);
        sum.take_all(values, twin.as_ref()).expect("a type with a text");
        sum
    }

    fn of_texts(texts: &[&[u8]]) -> ColumnSum {
        let mut sum = ColumnSum::none("c");
        texts.iter().for_each(|text| sum.take(text));
        sum
    }

    #[test]
    fn a_share_is_the_first_sixty_bits_of_a_known_digest() {
        // SHA-256 of "abc" begins with ba7816bf8f01cfea.
        assert_eq!(share(b"abc"), 0x0ba7_816b_f8f0_1cfe);
    }

    #[test]
    fn every_value_counts_by_its_text_and_no_null_does() {
        let one = |values: ArrayRef, texts: &[&[u8]]| assert!(sum_of(&values, None) == of_texts(texts));
        one(Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])), &[b"false", b"true"]);
        one(Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(0)])), &[b"0", b"-32768"]);
        let decimals = Decimal128Array::from(vec![-1250, 5]).with_precision_and_scale(10, 2).expect("a decimal");
        one(Arc::new(decimals), &[b"-12.50", b"0.05"]);
        one(Arc::new(Date32Array::from(vec![-719_163, 19_782])), &[b"0000-12-31", b"2024-02-29"]);
        let times = TimestampMicrosecondArray::from(vec![Some(500_000), None]);
        one(Arc::new(times.clone()), &[b"1970-01-01T00:00:00.500000"]);
        one(Arc::new(times.with_timezone("UTC")), &[b"1970-01-01T00:00:00.500000Z"]);
        one(Arc::new(StringArray::from(vec!["ü", ""])), &["ü".as_bytes(), b""]);
        one(Arc::new(BinaryArray::from(vec![&[0_u8, 255][..]])), &[&[0, 255]]);
    }

    #[test]
    fn the_order_of_rows_makes_no_difference_and_another_value_does() {
        assert!(of_texts(&[b"a", b"b"]) == of_texts(&[b"b", b"a"]));
        assert!(of_texts(&[b"a", b"a"]) != of_texts(&[b"b", b"b"]));
        assert!(of_texts(&[b"a"]) != of_texts(&[b"a", b""]), "an empty text is a value");
        assert_eq!(of_texts(&[b"a"]).difference(&of_texts(&[b"b"])), "c (other values)");
        assert_eq!(of_texts(&[b"a"]).difference(&of_texts(&[])), "c (0 values in place of 1)");
        assert_eq!(format!("{:?}", of_texts(&[b"a"])), "ColumnSum", "it comes of values");
    }

    #[test]
    fn a_value_in_a_twin_counts_by_its_text_and_a_mended_text_by_what_it_was() {
        let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(0), None, None]));
        let twin = vec![None, Some("infinity"), None];
        assert!(sum_of(&dates, Some(twin)) == of_texts(&[b"1970-01-01", b"infinity"]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a\u{fffd}", "b"]));
        assert!(sum_of(&texts, Some(vec![Some("61ff"), None])) == of_texts(&[b"a\xff", b"b"]));
    }

    #[test]
    fn a_float_has_no_such_text() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.1]));
        let fault = ColumnSum::none("c").take_all(&floats, None).expect_err("refused");
        assert_eq!(fault.code, FailureCode::WorkerBug);
    }
}

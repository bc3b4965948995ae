//! Lines of JSON Lines: an object for each row with every column of its file, NULLs too. What a JSON number can't hold for
//! every reader, a decimal, NaN or an infinity, is a string.

use std::io::{self, Write};

use arrow::array::{Array, StructArray};
use arrow::datatypes::SchemaRef;
use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;

use super::cell::{Cell, date, decimal, float, time};
use super::unknown;

/// What stands before each value of a line.
pub(super) fn keys(schema: &SchemaRef) -> Vec<Vec<u8>> {
    let key = |(at, name): (usize, &String)| {
        let before = if at == 0 { "{" } else { "," };
        format!("{before}{}:", serde_json::Value::from(name.as_str())).into_bytes()
    };
    schema.fields().iter().map(|field| field.name()).enumerate().map(key).collect()
}

/// One row.
pub(super) fn line(columns: &[&dyn Array], row: usize, keys: &[Vec<u8>], out: &mut impl Write) -> io::Result<()> {
    for (column, key) in columns.iter().zip(keys) {
        out.write_all(key)?;
        value(*column, row, out)?;
    }
    out.write_all(if columns.is_empty() { b"{}\n" } else { b"}\n" })
}

/// The value of one row.
pub(super) fn value(column: &dyn Array, row: usize, out: &mut impl Write) -> io::Result<()> {
    match Cell::at(column, row).ok_or_else(unknown)? {
        Cell::Null => out.write_all(b"null"),
        Cell::Bool(value) => write!(out, "{value}"),
        Cell::Whole(value) => Ok(serde_json::to_writer(out, &value)?),
        Cell::Single(value) if value.is_finite() => float(value.into(), Some(value), out),
        Cell::Double(value) if value.is_finite() => float(value, None, out),
        Cell::Single(value) => string(out, |out| float(value.into(), None, out)),
        Cell::Double(value) => string(out, |out| float(value, None, out)),
        Cell::Decimal(value, scale) => string(out, |out| decimal(value, scale, out)),
        Cell::Date(days) => string(out, |out| date(days.into(), out)),
        Cell::Time(micros, is_utc) => string(out, |out| time(micros, is_utc, out)),
        Cell::Text(text) => Ok(serde_json::to_writer(out, text)?),
        Cell::Bytes(bytes) => string(out, |out| {
            let mut encoder = EncoderWriter::new(&mut *out, &STANDARD);
            encoder.write_all(bytes)?;
            encoder.finish().map(drop)
        }),
        Cell::List(items) => list(items.as_ref(), out),
        Cell::Struct(fields) => object(fields, row, out),
    }
}

/// A text that needs no escapes.
fn string<W: Write>(out: &mut W, write: impl FnOnce(&mut W) -> io::Result<()>) -> io::Result<()> {
    out.write_all(b"\"")?;
    write(out)?;
    out.write_all(b"\"")
}

// Nested values call each other without end in sight for the compiler: it must not be generic over ever new writers.
fn list(items: &dyn Array, out: &mut dyn Write) -> io::Result<()> {
    let mut out = out;
    out.write_all(b"[")?;
    for at in 0..items.len() {
        if at > 0 {
            out.write_all(b",")?;
        }
        value(items, at, &mut out)?;
    }
    out.write_all(b"]")
}

fn object(fields: &StructArray, row: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut out = out;
    out.write_all(b"{")?;
    for (at, (field, column)) in fields.fields().iter().zip(fields.columns()).enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        serde_json::to_writer(&mut out, field.name())?;
        out.write_all(b":")?;
        value(column.as_ref(), row, &mut out)?;
    }
    out.write_all(b"}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BooleanArray, FixedSizeBinaryArray, Int8Array, Int16Array, LargeListArray, LargeStringArray,
        StringArray, StringViewArray,
    };
    use arrow::datatypes::{DataType, Field, Int32Type};

    use super::super::csv;
    use super::*;

    fn nested() -> Vec<(&'static str, ArrayRef)> {
        let lists: ArrayRef =
            Arc::new(LargeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]));
        let fields =
            [("a \"q\"", Arc::new(StringArray::from(vec![Some("x,\"y\""), None])) as ArrayRef), ("l", lists.clone())];
        let field =
            |(name, array): (&str, ArrayRef)| (Arc::new(Field::new(name, array.data_type().clone(), true)), array);
        let pair: ArrayRef = Arc::new(StructArray::from(fields.map(field).to_vec()));
        let bytes = FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([0_u8, 255]), None].into_iter(), 2);
        vec![
            ("pair", pair),
            ("l", lists),
            ("b", Arc::new(bytes.expect("bytes"))),
            ("i", Arc::new(Int8Array::from(vec![Some(-128), None]))),
            ("s", Arc::new(Int16Array::from(vec![Some(7), None]))),
            ("t", Arc::new(LargeStringArray::from(vec![Some("\u{1}\u{2028}"), None]))),
            ("v", Arc::new(StringViewArray::from(vec![Some("é"), None]))),
            ("y", Arc::new(BooleanArray::from(vec![Some(false), None]))),
        ]
    }

    #[test]
    fn nested_values_are_json_in_both_formats() {
        let named = nested();
        let schema: SchemaRef = Arc::new(arrow::datatypes::Schema::new(
            named.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect::<Vec<_>>(),
        ));
        let columns: Vec<&dyn Array> = named.iter().map(|(_, array)| array.as_ref()).collect();
        let (mut lines, mut records) = (Vec::new(), Vec::new());
        for row in 0..2 {
            line(&columns, row, &keys(&schema), &mut lines).expect("a line");
            csv::record(&columns, row, &mut records).expect("a record");
        }
        let lines = String::from_utf8(lines).expect("UTF-8");
        let first = r#"{"pair":{"a \"q\"":"x,\"y\"","l":[1,null]},"l":[1,null],"b":"AP8=","i":-128,"s":7,"t":"\u0001"#
            .to_owned()
            + "\u{2028}\",\"v\":\"é\",\"y\":false}\n";
        assert_eq!(lines.split_inclusive('\n').next(), Some(first.as_str()));
        let second: serde_json::Value = serde_json::from_str(lines.lines().nth(1).expect("a line")).expect("JSON");
        assert!(
            second
                .as_object()
                .is_some_and(|row| row.iter().filter(|(name, _)| *name != "pair").all(|(_, v)| v.is_null()))
        );
        let records = String::from_utf8(records).expect("UTF-8");
        let quoted = r#""{""a \""q\"""":""x,\""y\"""",""l"":[1,null]}","[1,null]","00ff",-128,7,""#.to_owned();
        assert!(records.starts_with(&(quoted + "\u{1}\u{2028}\",\"é\",false\r\n")), "{records}");
        assert!(records.ends_with(",,,,,,,\r\n"));
        let none: ArrayRef = Arc::new(arrow::array::UInt64Array::from(vec![1]));
        assert_eq!(*none.data_type(), DataType::UInt64);
        assert!(value(none.as_ref(), 0, &mut Vec::new()).is_err(), "a type that no table has is not guessed at");
    }
}

//! Rows of Arrow arrays as binary COPY takes them: the mirror of what the source decodes.
//!
//! What a column can't hold is refused, never bent. No error text holds a value.

mod numeric;
mod time;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use waybill_model::FailureCode;
use waybill_pipeline::database::Chunk;
use waybill_pipeline::{Batch, Fault, FaultResult};

use super::kind::{Column, Form, Restore};

/// Turns batches into rows of these columns.
pub(super) struct Encoder {
    pub(super) columns: Vec<Column>,
}

/// A value does not fit its column.
fn refused(column: &Column, why: &str) -> Fault {
    let text =
        format!("a value of the column {} {why}, which the destination's {} can't hold", column.name, column.kind);
    Fault::new(FailureCode::ValueRefused, text)
}

fn bug() -> Fault {
    Fault::new(FailureCode::WorkerBug, "a batch is of other columns than its stream")
}

/// One column of a batch.
struct Field<'a> {
    values: Values<'a>,
    /// Texts of values that the Arrow type can't hold and the table's type can.
    texts: Option<&'a StringArray>,
    form: &'a Form,
    column: &'a Column,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int1(&'a Int8Array),
    Int2(&'a Int16Array),
    Int4(&'a Int32Array),
    Int8(&'a Int64Array),
    Float4(&'a Float32Array),
    Float8(&'a Float64Array),
    Decimal(&'a Decimal128Array, usize),
    Date(&'a Date32Array),
    Time(&'a TimestampMicrosecondArray),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    List(&'a ListArray, Box<Field<'a>>, u32),
}

impl Encoder {
    /// Places of the columns whose texts in this batch need a column of their own.
    pub(super) fn twins(&self, batch: &Batch) -> Vec<usize> {
        let kept = |(at, texts): &&(usize, StringArray)| match self.columns.get(*at) {
            Some(column) => texts.iter().flatten().any(|text| !is_restored(column, text)),
            None => false,
        };
        batch.twins.iter().filter(kept).map(|(at, _)| *at).collect()
    }

    /// The rows as one message of a COPY, with the texts of lists that are cast, and with the twins of these places.
    pub(super) fn encode(&self, batch: &Batch, twins: &[usize]) -> FaultResult<Chunk> {
        let texts = |at: usize| batch.twins.iter().find(|(place, _)| *place == at).map(|(_, texts)| texts);
        let mut fields = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            let array = batch.rows.columns().get(at).ok_or_else(bug)?;
            let restored = texts(at).filter(|_| column.restore == Restore::Value);
            fields.push(Field::of(array, &column.form, restored, column)?);
        }
        let cast = self.columns.iter().enumerate().filter(|(_, column)| column.restore == Restore::Cast);
        let cast: Vec<_> = cast.map(|(at, column)| (texts(at), column)).collect();
        let kept: Vec<_> = twins.iter().map(|at| (texts(*at), &self.columns[*at])).collect();
        let count = i16::try_from(fields.len() + cast.len() + kept.len()).map_err(|_| bug())?;
        let rows = batch.rows.num_rows();
        let mut out = Vec::with_capacity(batch.rows.get_array_memory_size() + rows * (4 * fields.len() + 2));
        out.extend_from_slice(&[b'd', 0, 0, 0, 0]);
        for row in 0..rows {
            out.extend_from_slice(&count.to_be_bytes());
            for field in &fields {
                field.put(row, &mut out)?;
            }
            for (texts, column) in &cast {
                put_text(*texts, row, column, true, &mut out)?;
            }
            for (texts, column) in &kept {
                put_text(*texts, row, column, false, &mut out)?;
            }
        }
        let length =
            i32::try_from(out.len() - 1).map_err(|_| Fault::new(FailureCode::RowTooLarge, "a batch is over 2 GiB"))?;
        out[1..5].copy_from_slice(&length.to_be_bytes());
        Ok(Chunk { rows: rows as u64, bytes: out, twins: twins.to_vec() })
    }
}

/// Whether a text of this column is written as the value that it stands for. The text of an array whose elements are bytes
/// that are no text can't be told from one of texts that look so: it stays in a column of its own.
fn is_restored(column: &Column, text: &str) -> bool {
    match column.restore {
        Restore::Twin => false,
        Restore::Value => true,
        Restore::Cast => {
            let are_texts = matches!(&column.form, Form::Array(element, _) if **element == Form::Text);
            !(are_texts && text.contains("\\x"))
        }
    }
}

/// The text at this row, if it belongs into this kind of field.
fn put_text(
    texts: Option<&StringArray>,
    row: usize,
    column: &Column,
    cast: bool,
    out: &mut Vec<u8>,
) -> FaultResult<()> {
    let text = texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row));
    match text.filter(|text| is_restored(column, text) == cast) {
        Some(text) => sized(text_of(text, column)?, column, out),
        None => null(out),
    }
}

fn null(out: &mut Vec<u8>) -> FaultResult<()> {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
    Ok(())
}

fn sized(bytes: &[u8], column: &Column, out: &mut Vec<u8>) -> FaultResult<()> {
    let length = i32::try_from(bytes.len()).map_err(|_| refused(column, "is over 2 GiB"))?;
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

fn fixed<const N: usize>(bytes: [u8; N], out: &mut Vec<u8>) -> FaultResult<()> {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
    Ok(())
}

/// A text as the server takes it: no text of Postgres holds the character NUL.
fn text_of<'a>(text: &'a str, column: &Column) -> FaultResult<&'a [u8]> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text.as_bytes()),
        Some(_) => Err(refused(column, "holds the character U+0000")),
    }
}

/// Writes a field whose length is known when it is written.
fn measured(
    out: &mut Vec<u8>,
    column: &Column,
    write: impl FnOnce(&mut Vec<u8>) -> FaultResult<()>,
) -> FaultResult<()> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out)?;
    let length = i32::try_from(out.len() - at - 4).map_err(|_| refused(column, "is over 2 GiB"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

impl<'a> Field<'a> {
    fn of(
        array: &'a ArrayRef,
        form: &'a Form,
        texts: Option<&'a StringArray>,
        column: &'a Column,
    ) -> FaultResult<Self> {
        let values = match array.data_type() {
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int8 => Values::Int1(array.as_primitive::<Int8Type>()),
            DataType::Int16 => Values::Int2(array.as_primitive::<Int16Type>()),
            DataType::Int32 => Values::Int4(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Values::Int8(array.as_primitive::<Int64Type>()),
            DataType::Float32 => Values::Float4(array.as_primitive::<Float32Type>()),
            DataType::Float64 => Values::Float8(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, scale) => {
                let scale = usize::try_from(*scale).map_err(|_| bug())?;
                Values::Decimal(array.as_primitive::<Decimal128Type>(), scale)
            }
            DataType::Date32 => Values::Date(array.as_primitive::<Date32Type>()),
            DataType::Timestamp(..) => Values::Time(array.as_primitive::<TimestampMicrosecondType>()),
            DataType::Utf8 => Values::Text(array.as_string::<i32>()),
            DataType::Binary => Values::Bytes(array.as_binary::<i32>()),
            DataType::List(_) => {
                let Form::Array(element, oid) = form else { return Err(bug()) };
                let list = array.as_list::<i32>();
                let inner = Self::of(list.values(), element, None, column)?;
                Values::List(list, Box::new(inner), *oid)
            }
            _ => return Err(bug()),
        };
        Ok(Self { values, texts, form, column })
    }

    fn is_null(&self, row: usize) -> bool {
        match &self.values {
            Values::Bool(array) => array.is_null(row),
            Values::Int1(array) => array.is_null(row),
            Values::Int2(array) => array.is_null(row),
            Values::Int4(array) => array.is_null(row),
            Values::Int8(array) => array.is_null(row),
            Values::Float4(array) => array.is_null(row),
            Values::Float8(array) => array.is_null(row),
            Values::Decimal(array, _) => array.is_null(row),
            Values::Date(array) => array.is_null(row),
            Values::Time(array) => array.is_null(row),
            Values::Text(array) => array.is_null(row),
            Values::Bytes(array) => array.is_null(row),
            Values::List(array, ..) => array.is_null(row),
        }
    }

    #[inline]
    fn put(&self, row: usize, out: &mut Vec<u8>) -> FaultResult<()> {
        if self.is_null(row) {
            return match self.texts.filter(|texts| texts.is_valid(row)) {
                Some(texts) => self.put_restored(texts.value(row), out),
                None => null(out),
            };
        }
        match &self.values {
            Values::Bool(array) => fixed([u8::from(array.value(row))], out),
            Values::Int1(array) => fixed(i16::from(array.value(row)).to_be_bytes(), out),
            Values::Int2(array) => fixed(array.value(row).to_be_bytes(), out),
            Values::Int4(array) => fixed(array.value(row).to_be_bytes(), out),
            Values::Int8(array) if *self.form == Form::Unsigned4 => {
                let value = u32::try_from(array.value(row)).map_err(|_| refused(self.column, "is out of range"))?;
                fixed(value.to_be_bytes(), out)
            }
            Values::Int8(array) => fixed(array.value(row).to_be_bytes(), out),
            Values::Float4(array) => fixed(array.value(row).to_bits().to_be_bytes(), out),
            Values::Float8(array) => fixed(array.value(row).to_bits().to_be_bytes(), out),
            Values::Decimal(array, scale) => numeric::put_decimal(array.value(row), *scale, out),
            Values::Date(array) => match time::date(array.value(row)) {
                Some(days) => fixed(days.to_be_bytes(), out),
                None => Err(refused(self.column, "lies outside the calendar")),
            },
            Values::Time(array) => match time::timestamp(array.value(row)) {
                Some(micros) => fixed(micros.to_be_bytes(), out),
                None => Err(refused(self.column, "lies outside the calendar")),
            },
            Values::Text(array) => self.put_string(array.value(row), out),
            Values::Bytes(array) => sized(array.value(row), self.column, out),
            Values::List(array, inner, oid) => {
                let offsets = array.value_offsets();
                let span = offsets[row] as usize..offsets[row + 1] as usize;
                measured(out, self.column, |out| put_array(span, inner, *oid, out))
            }
        }
    }

    fn put_string(&self, text: &str, out: &mut Vec<u8>) -> FaultResult<()> {
        match self.form {
            Form::Numeric => numeric::put_text(text, out).ok_or_else(|| refused(self.column, "is no number"))?,
            Form::Uuid => match uuid::Uuid::try_parse(text) {
                Ok(uuid) => return fixed(*uuid.as_bytes(), out),
                Err(_) => return Err(refused(self.column, "is no UUID")),
            },
            Form::Jsonb => {
                let text = text_of(text, self.column)?;
                return measured(out, self.column, |out| {
                    out.push(1);
                    out.extend_from_slice(text);
                    Ok(())
                });
            }
            _ => return sized(text_of(text, self.column)?, self.column, out),
        }
        Ok(())
    }

    /// A value that only its text holds.
    fn put_restored(&self, text: &str, out: &mut Vec<u8>) -> FaultResult<()> {
        let unread = || refused(self.column, "has a text that can't be read back");
        match self.form {
            Form::Numeric => numeric::put_text(text, out).ok_or_else(unread),
            Form::Date => fixed(time::date_of_text(text).ok_or_else(unread)?.to_be_bytes(), out),
            Form::Timestamp | Form::TimestampTz => {
                fixed(time::timestamp_of_text(text).ok_or_else(unread)?.to_be_bytes(), out)
            }
            _ => Err(unread()),
        }
    }
}

/// An array of one dimension from 1, or the empty one.
fn put_array(span: std::ops::Range<usize>, inner: &Field<'_>, oid: u32, out: &mut Vec<u8>) -> FaultResult<()> {
    let dimensions = i32::from(!span.is_empty());
    let has_nulls = i32::from(span.clone().any(|at| inner.is_null(at)));
    out.extend_from_slice(&dimensions.to_be_bytes());
    out.extend_from_slice(&has_nulls.to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    if span.is_empty() {
        return Ok(());
    }
    let count = i32::try_from(span.len()).map_err(|_| bug())?;
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(&1_i32.to_be_bytes());
    span.into_iter().try_for_each(|at| inner.put(at, out))
}

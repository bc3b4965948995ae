//! An array's exact text, as Postgres writes arrays, and the shape that a list can't hold.
//!
//! Any array type's input reads the text back: bounds where they are not 1, quotes where they are needed. Numbers, times and
//! bytes are written as the session's settings make the server write them.

use std::fmt::{Display, LowerExp, Write};

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use waybill_pipeline::FaultResult;

use super::short;
use crate::source::column::Done;
use crate::source::postgres::decode::time;
use crate::source::postgres::wire::malformed;

/// Dimensions of an array at most, by Postgres's own rule.
const DIMENSIONS: usize = 6;

/// Sizes and lower bounds of an array's dimensions.
pub(super) struct Shape {
    dimensions: [(usize, i32); DIMENSIONS],
    depth: usize,
    count: usize,
}

impl Shape {
    /// The shape of an array on the wire, and the bytes of its elements.
    #[inline]
    pub(super) fn read(bytes: &[u8]) -> FaultResult<(Self, &[u8])> {
        let impossible = || malformed("an array's dimensions are impossible");
        let word = |at: usize| -> FaultResult<i32> {
            let four = bytes.get(at..at + 4).and_then(|b| b.first_chunk::<4>()).ok_or_else(short)?;
            Ok(i32::from_be_bytes(*four))
        };
        let depth = usize::try_from(word(0)?).ok().filter(|depth| *depth <= DIMENSIONS).ok_or_else(impossible)?;
        let elements = bytes.get(12 + 8 * depth..).ok_or_else(short)?;
        let mut shape = Self { dimensions: [(0, 1); DIMENSIONS], depth, count: usize::from(depth > 0) };
        for (at, dimension) in shape.dimensions.iter_mut().enumerate().take(depth) {
            let size = usize::try_from(word(12 + 8 * at)?).map_err(|_| impossible())?;
            *dimension = (size, word(16 + 8 * at)?);
            shape.count = shape.count.checked_mul(size).ok_or_else(impossible)?;
        }
        // Every element has a length of four bytes at least.
        if shape.count > elements.len() / 4 {
            return Err(short());
        }
        if shape.count == 0 && !shape.is_list() {
            return Err(impossible());
        }
        Ok((shape, elements))
    }

    /// Whether a list says all: no dimension, or one from 1.
    #[inline]
    pub(super) const fn is_list(&self) -> bool {
        self.depth == 0 || (self.depth == 1 && self.dimensions[0].1 == 1)
    }

    /// Elements in all.
    #[inline]
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// The text of an array of this shape.
    pub(super) fn text(&self, elements: &Done) -> String {
        let dimensions = &self.dimensions[..self.depth];
        let mut out = String::new();
        if dimensions.iter().any(|(_, lower)| *lower != 1) {
            for (size, lower) in dimensions {
                let upper = i64::from(*lower) + *size as i64 - 1;
                // Writing to a string never fails.
                let _ = write!(out, "[{lower}:{upper}]");
            }
            out.push('=');
        }
        // Text has a twin only for bytes that are no UTF-8: then every element is written as bytes.
        let as_bytes = elements.twin.is_some();
        let elements = Elements { values: &elements.values, texts: elements.twin.as_ref(), as_bytes };
        elements.write(&mut out, dimensions, &mut 0);
        out
    }
}

/// The text of every list that holds an element with a twin, by row.
pub(super) fn of_lists(ends: &[i32], inner: &Done) -> Vec<(usize, String)> {
    let Some(texts) = &inner.twin else { return Vec::new() };
    let elements = Elements { values: &inner.values, texts: Some(texts), as_bytes: true };
    let mut out = Vec::new();
    for (row, pair) in ends.windows(2).enumerate() {
        let span = pair[0] as usize..pair[1] as usize;
        if span.clone().any(|at| texts.is_valid(at)) {
            let mut text = String::new();
            elements.write(&mut text, &[(span.len(), 1)], &mut span.start.clone());
            out.push((row, text));
        }
    }
    out
}

/// Decoded elements with the texts of those that their type can't hold.
struct Elements<'a> {
    values: &'a ArrayRef,
    texts: Option<&'a StringArray>,
    /// Texts are written as the bytes that they are.
    as_bytes: bool,
}

impl Elements<'_> {
    /// Writes the elements from `next` on in nested braces.
    fn write(&self, out: &mut String, dimensions: &[(usize, i32)], next: &mut usize) {
        let Some(((size, _), inner)) = dimensions.split_first() else { return };
        out.push('{');
        for at in 0..*size {
            if at > 0 {
                out.push(',');
            }
            if inner.is_empty() {
                match self.element(*next) {
                    Some(text) => quote(out, &text),
                    None => out.push_str("NULL"),
                }
                *next += 1;
            } else {
                self.write(out, inner, next);
            }
        }
        out.push('}');
    }

    /// The text of one element; none for NULL.
    fn element(&self, at: usize) -> Option<String> {
        let exact = self.texts.filter(|texts| texts.is_valid(at)).map(|texts| texts.value(at));
        if let (true, Some(strings)) = (self.as_bytes, self.values.as_string_opt::<i32>()) {
            let hex = exact.map(str::to_owned);
            let bytes = hex.or_else(|| strings.is_valid(at).then(|| hex::encode(strings.value(at))));
            return bytes.map(|hex| format!("\\x{hex}"));
        }
        match exact {
            Some(text) => Some(text.to_owned()),
            None => self.values.is_valid(at).then(|| value_text(self.values, at)),
        }
    }
}

fn value_text(values: &ArrayRef, at: usize) -> String {
    match values.data_type() {
        DataType::Boolean => if values.as_boolean().value(at) { "t" } else { "f" }.to_owned(),
        DataType::Int16 => values.as_primitive::<Int16Type>().value(at).to_string(),
        DataType::Int32 => values.as_primitive::<Int32Type>().value(at).to_string(),
        DataType::Int64 => values.as_primitive::<Int64Type>().value(at).to_string(),
        DataType::Float32 => float_text(values.as_primitive::<Float32Type>().value(at), 6),
        DataType::Float64 => float_text(values.as_primitive::<Float64Type>().value(at), 15),
        DataType::Decimal128(..) => values.as_primitive::<Decimal128Type>().value_as_string(at),
        DataType::Date32 => time::date_text(i64::from(values.as_primitive::<Date32Type>().value(at))),
        DataType::Timestamp(_, zone) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(at);
            time::timestamp_text(i128::from(micros), zone.is_some())
        }
        DataType::Binary => format!("\\x{}", hex::encode(values.as_binary::<i32>().value(at))),
        DataType::List(_) => {
            let vector = values.as_list::<i32>().value(at);
            let numbers = vector.as_primitive::<Float32Type>().values().iter();
            format!("[{}]", numbers.map(|number| float_text(*number, 6)).collect::<Vec<_>>().join(","))
        }
        _ => values.as_string::<i32>().value(at).to_owned(),
    }
}

/// The shortest text that reads back the same; with an exponent from 10^`digits` on and below 0.0001, as Postgres has it.
fn float_text(value: impl Display + LowerExp, digits: i32) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific.replace("inf", "Infinity");
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if (-4..digits).contains(&exponent) => value.to_string(),
        Ok(exponent) => format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()),
        Err(_) => scientific,
    }
}

/// Writes an element with quotes where Postgres needs them to read it back.
fn quote(out: &mut String, text: &str) {
    let is_special = |c: char| matches!(c, '"' | '\\' | '{' | '}' | ',' | ' ' | '\t'..='\r');
    if !text.is_empty() && !text.eq_ignore_ascii_case("null") && !text.contains(is_special) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_read_as_postgres_writes_them() {
        for (value, text) in [
            (1.5, "1.5"),
            (-0.0, "-0"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.25e300, "1.25e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float_text(value, 15), text);
        }
        assert_eq!((float_text(999_999_f32, 6), float_text(1e6_f32, 6)), ("999999".into(), "1e+06".into()));
    }

    #[test]
    fn an_element_is_quoted_where_it_must_be() {
        for (text, written) in [
            ("plain", "plain"),
            ("", "\"\""),
            ("nUlL", "\"nUlL\""),
            ("a b", "\"a b\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("{1,2}", "\"{1,2}\""),
            ("ü", "ü"),
        ] {
            let mut out = String::new();
            quote(&mut out, text);
            assert_eq!(out, written);
        }
    }
}

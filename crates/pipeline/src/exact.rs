//! Texts as values of a type: taken exactly, or not at all. Typed columns of CSV and casts read by it.
//!
//! A number is exact by its value: zeros in front of it or at its end are not kept. What is no such value never becomes one.

pub mod number;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, TimeUnit};
use waybill_model::moment;
use waybill_model::plan::CsvType;

use self::number::Number;

/// What a column of a type is in the table.
#[must_use]
pub fn data_type(kind: CsvType) -> DataType {
    match kind {
        CsvType::Text => DataType::Utf8,
        CsvType::Boolean => DataType::Boolean,
        CsvType::Bigint => DataType::Int64,
        CsvType::Double => DataType::Float64,
        // Both are at most 38.
        CsvType::Decimal(digits, behind) => DataType::Decimal128(digits, behind as i8),
        CsvType::Date => DataType::Date32,
        CsvType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
        CsvType::TimestampTz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

/// A column of a type under way.
pub struct ExactColumn(Values);

enum Values {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Bigint(Int64Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, u8, u8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Instant(TimestampMicrosecondBuilder),
}

impl ExactColumn {
    /// An empty column of this type.
    #[must_use]
    pub fn new(kind: CsvType) -> Self {
        let of = data_type(kind);
        Self(match kind {
            CsvType::Text => Values::Text(StringBuilder::new()),
            CsvType::Boolean => Values::Boolean(BooleanBuilder::new()),
            CsvType::Bigint => Values::Bigint(Int64Builder::new()),
            CsvType::Double => Values::Double(Float64Builder::new()),
            CsvType::Decimal(digits, behind) => {
                Values::Decimal(Decimal128Builder::new().with_data_type(of), digits, behind)
            }
            CsvType::Date => Values::Date(Date32Builder::new()),
            CsvType::Timestamp => Values::Timestamp(TimestampMicrosecondBuilder::new().with_data_type(of)),
            CsvType::TimestampTz => Values::Instant(TimestampMicrosecondBuilder::new().with_data_type(of)),
        })
    }

    /// A NULL.
    pub fn push_null(&mut self) {
        match &mut self.0 {
            Values::Text(to) => to.append_null(),
            Values::Boolean(to) => to.append_null(),
            Values::Bigint(to) => to.append_null(),
            Values::Double(to) => to.append_null(),
            Values::Decimal(to, ..) => to.append_null(),
            Values::Date(to) => to.append_null(),
            Values::Timestamp(to) | Values::Instant(to) => to.append_null(),
        }
    }

    /// Takes a text that is exactly of the type; none where it is not, and nothing is taken.
    pub fn push(&mut self, text: &[u8]) -> Option<()> {
        match &mut self.0 {
            Values::Text(to) => to.append_value(std::str::from_utf8(text).ok()?),
            Values::Boolean(to) => to.append_value(boolean(text)?),
            Values::Bigint(to) => to.append_value(bigint(text)?),
            Values::Double(to) => to.append_value(double(text)?),
            Values::Decimal(to, digits, behind) => to.append_value(decimal(text, *digits, *behind)?),
            Values::Date(to) => to.append_value(moment::date(text)?),
            Values::Timestamp(to) => to.append_value(moment::timestamp(text)?),
            Values::Instant(to) => to.append_value(moment::instant(text)?),
        }
        Some(())
    }

    /// Takes a whole number, where the column is of `bigint`.
    pub fn push_whole(&mut self, value: i64) -> Option<()> {
        let Values::Bigint(to) = &mut self.0 else { return None };
        to.append_value(value);
        Some(())
    }

    /// Takes a float, where the column is of `double`.
    pub fn push_double(&mut self, value: f64) -> Option<()> {
        let Values::Double(to) = &mut self.0 else { return None };
        to.append_value(value);
        Some(())
    }

    /// Takes days since 1970, where the column is of `date`.
    pub fn push_days(&mut self, days: i32) -> Option<()> {
        let Values::Date(to) = &mut self.0 else { return None };
        to.append_value(days);
        Some(())
    }

    /// Takes microseconds since 1970, where the column is of `timestamp` or `timestamptz`.
    pub fn push_micros(&mut self, micros: i64) -> Option<()> {
        let (Values::Timestamp(to) | Values::Instant(to)) = &mut self.0 else { return None };
        to.append_value(micros);
        Some(())
    }

    /// The column, which begins anew.
    pub fn finish(&mut self) -> ArrayRef {
        match &mut self.0 {
            Values::Text(from) => Arc::new(from.finish()),
            Values::Boolean(from) => Arc::new(from.finish()),
            Values::Bigint(from) => Arc::new(from.finish()),
            Values::Double(from) => Arc::new(from.finish()),
            Values::Decimal(from, ..) => Arc::new(from.finish()),
            Values::Date(from) => Arc::new(from.finish()),
            Values::Timestamp(from) | Values::Instant(from) => Arc::new(from.finish()),
        }
    }
}

fn boolean(field: &[u8]) -> Option<bool> {
    const TRUE: [&str; 4] = ["true", "t", "yes", "1"];
    const FALSE: [&str; 4] = ["false", "f", "no", "0"];
    let is_one_of = |words: &[&str]| words.iter().any(|word| word.as_bytes().eq_ignore_ascii_case(field));
    if is_one_of(&TRUE) { Some(true) } else { is_one_of(&FALSE).then_some(false) }
}

/// The sign and the rest.
fn signed(field: &[u8]) -> (bool, &[u8]) {
    match field.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, field),
    }
}

fn bigint(field: &[u8]) -> Option<i64> {
    let (is_negative, digits) = signed(field);
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for byte in digits {
        let digit = i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        // Below zero there is one number more than above it.
        value = value.checked_mul(10)?.checked_sub(digit)?;
    }
    if is_negative { Some(value) } else { value.checked_neg() }
}

/// The digits of an exact number that has at most so many, and so many of them behind the point.
#[must_use]
pub fn decimal(field: &[u8], digits: u8, behind: u8) -> Option<i128> {
    let (is_negative, number) = signed(field);
    let point = number.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = number.split_at(point.unwrap_or(number.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (kept, rest) = fraction.split_at(fraction.len().min(usize::from(behind)));
    if rest.iter().any(|byte| *byte != b'0') {
        return None;
    }
    let mut value: i128 = 0;
    for byte in whole.iter().chain(kept) {
        value = value.checked_mul(10)?.checked_add(i128::from(byte.is_ascii_digit().then(|| byte - b'0')?))?;
    }
    let value = value.checked_mul(10_i128.checked_pow(u32::from(behind) - kept.len() as u32)?)?;
    (value < 10_i128.checked_pow(u32::from(digits))?).then_some(if is_negative { -value } else { value })
}

/// A number that prints back as the same one, NaN, or an infinity.
fn double(field: &[u8]) -> Option<f64> {
    let (is_negative, number) = signed(field);
    let special = |word: &str| word.as_bytes().eq_ignore_ascii_case(number);
    if special("nan") {
        return Some(f64::NAN);
    }
    if special("inf") || special("infinity") {
        return Some(if is_negative { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    let text = std::str::from_utf8(field).ok().filter(|_| is_number(number))?;
    let text = text.strip_prefix('+').unwrap_or(text);
    match number::read(text) {
        Number::Integer(_, true) => text.parse().ok(),
        Number::Float(value) => Some(value),
        Number::Integer(_, false) | Number::Neither => None,
    }
}

/// Digits, with a point among, before or behind them, and an exponent.
fn is_number(text: &[u8]) -> bool {
    let exponent = text.iter().position(|b| matches!(b, b'e' | b'E'));
    let (mantissa, exponent) = text.split_at(exponent.unwrap_or(text.len()));
    let points = mantissa.iter().filter(|b| **b == b'.').count();
    let digits = mantissa.iter().filter(|b| b.is_ascii_digit()).count();
    let exponent = exponent.get(1..).map(|rest| signed(rest).1);
    let is_whole = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    digits > 0 && points <= 1 && digits + points == mantissa.len() && exponent.is_none_or(is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_by_their_value_or_not_at_all() {
        let exact =
            [("007", 7), ("+5", 5), ("-0", 0), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)];
        for (text, value) in exact {
            assert_eq!(bigint(text.as_bytes()), Some(value), "{text}");
        }
        for odd in
            ["", "-", "1.0", "1e3", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "0x1", "1_0", "--1"]
        {
            assert_eq!(bigint(odd.as_bytes()), None, "{odd}");
        }
        let exact = [("-12.5", -1250), (".05", 5), ("5.", 500), ("012.500", 1250), ("+99999999.99", 9_999_999_999)];
        for (text, value) in exact {
            assert_eq!(decimal(text.as_bytes(), 10, 2), Some(value), "{text}");
        }
        for odd in ["", ".", "-", "1.005", "100000000.00", "1e3", "NaN", "1,5", "1.2.3", "1.00x"] {
            assert_eq!(decimal(odd.as_bytes(), 10, 2), None, "{odd}");
        }
        let most = "9".repeat(38);
        assert_eq!(decimal(most.as_bytes(), 38, 0).map(|value| value.to_string()), Some(most.clone()));
        assert_eq!(decimal(format!("{most}9").as_bytes(), 38, 0), None);
        assert_eq!(decimal(b"0.1", 38, 38), Some(10_i128.pow(37)));
        assert_eq!(decimal(b"1", 38, 38), None);
    }

    #[test]
    fn a_double_prints_back_or_is_none() {
        for (text, value) in
            [("0.1", 0.1), ("+1e3", 1000.0), (".5", 0.5), ("5.", 5.0), ("-inf", f64::NEG_INFINITY), ("007", 7.0)]
        {
            assert_eq!(double(text.as_bytes()), Some(value), "{text}");
        }
        assert!(double(b"NaN").is_some_and(f64::is_nan));
        assert!(double(b"-0.0").is_some_and(|zero| zero == 0.0 && zero.is_sign_negative()));
        for odd in [
            "",
            ".",
            "-",
            "1e",
            "1e+",
            "0x1p3",
            "9007199254740993",
            "0.1000000000000000055511151231257827",
            "1e400",
            "1 ",
            "infinit",
        ] {
            assert_eq!(double(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn truths_are_these_words_in_any_case() {
        assert_eq!(["true", "T", "Yes", "1"].map(|word| boolean(word.as_bytes())), [Some(true); 4]);
        assert_eq!(["FALSE", "f", "no", "0"].map(|word| boolean(word.as_bytes())), [Some(false); 4]);
        assert_eq!(["", "on", "2", "wahr"].map(|word| boolean(word.as_bytes())), [None; 4]);
    }
}

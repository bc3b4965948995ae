//! A value of a table, apart from how a format writes it, and the texts that CSV and JSON share.

use std::io::{self, Write};

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use waybill_model::calendar::date_of_day;

/// Seconds of a day, in microseconds.
pub(crate) const DAY: i64 = 86_400_000_000;

/// One value.
pub(crate) enum Cell<'a> {
    Null,
    Bool(bool),
    Whole(i64),
    Single(f32),
    Double(f64),
    /// The digits without their point, and how many stand behind it.
    Decimal(i128, i8),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since 1970, and whether they are of UTC.
    Time(i64, bool),
    List(ArrayRef),
    Struct(&'a StructArray),
}

impl<'a> Cell<'a> {
    /// The value of a row; none for a type that no table has.
    pub(crate) fn at(array: &'a dyn Array, row: usize) -> Option<Self> {
        if array.is_null(row) {
            return Some(Self::Null);
        }
        Some(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().value(row)),
            DataType::Int8 => Self::Whole(array.as_primitive::<Int8Type>().value(row).into()),
            DataType::Int16 => Self::Whole(array.as_primitive::<Int16Type>().value(row).into()),
            DataType::Int32 => Self::Whole(array.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => Self::Whole(array.as_primitive::<Int64Type>().value(row)),
            DataType::Float32 => Self::Single(array.as_primitive::<Float32Type>().value(row)),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal128(_, scale) => Self::Decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
            DataType::Utf8 => Self::Text(array.as_string::<i32>().value(row)),
            DataType::LargeUtf8 => Self::Text(array.as_string::<i64>().value(row)),
            DataType::Utf8View => Self::Text(array.as_string_view().value(row)),
            DataType::Binary => Self::Bytes(array.as_binary::<i32>().value(row)),
            DataType::LargeBinary => Self::Bytes(array.as_binary::<i64>().value(row)),
            DataType::BinaryView => Self::Bytes(array.as_binary_view().value(row)),
            DataType::FixedSizeBinary(_) => Self::Bytes(array.as_fixed_size_binary().value(row)),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>().value(row)),
            DataType::Timestamp(_, zone) => {
                Self::Time(array.as_primitive_opt::<TimestampMicrosecondType>()?.value(row), zone.is_some())
            }
            DataType::List(_) => Self::List(array.as_list::<i32>().value(row)),
            DataType::LargeList(_) => Self::List(array.as_list::<i64>().value(row)),
            DataType::Struct(_) => Self::Struct(array.as_struct()),
            _ => return None,
        })
    }
}

/// The text of a value that stands in no quotes; none where it is a NULL, bytes, a list or a struct, or already a text.
pub(super) fn bare(cell: &Cell<'_>, out: &mut impl Write) -> io::Result<()> {
    match *cell {
        Cell::Bool(value) => write!(out, "{value}"),
        Cell::Whole(value) => Ok(serde_json::to_writer(out, &value)?),
        Cell::Single(value) => float(value.into(), Some(value), out),
        Cell::Double(value) => float(value, None, out),
        Cell::Decimal(value, scale) => decimal(value, scale, out),
        Cell::Date(days) => date(days.into(), out),
        Cell::Time(micros, is_utc) => time(micros, is_utc, out),
        Cell::Null | Cell::Text(_) | Cell::Bytes(_) | Cell::List(_) | Cell::Struct(_) => Ok(()),
    }
}

/// The exact text of a scalar; nothing of a NULL, bytes, a list or a struct.
pub(crate) fn scalar(cell: &Cell<'_>, out: &mut impl Write) -> io::Result<()> {
    match cell {
        Cell::Text(text) => out.write_all(text.as_bytes()),
        other => bare(other, out),
    }
}

/// A number in the fewest digits that read back as itself.
pub(super) fn float(value: f64, single: Option<f32>, out: &mut impl Write) -> io::Result<()> {
    match (value.is_finite(), single) {
        (true, Some(value)) => Ok(serde_json::to_writer(out, &value)?),
        (true, None) => Ok(serde_json::to_writer(out, &value)?),
        (false, _) => out.write_all(match value {
            _ if value.is_nan() => b"NaN",
            _ if value > 0.0 => b"Infinity",
            _ => b"-Infinity",
        }),
    }
}

/// A number with so many digits at least, 20 at most: zeros stand in front.
fn padded(value: u64, width: usize, out: &mut impl Write) -> io::Result<()> {
    let mut digits = [b'0'; 20];
    let (mut at, mut rest) = (digits.len(), value);
    while rest > 0 && at > 0 {
        at -= 1;
        digits[at] += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    out.write_all(&digits[at.min(digits.len().saturating_sub(width))..])
}

/// All digits behind the point that the type has.
pub(super) fn decimal(value: i128, scale: i8, out: &mut impl Write) -> io::Result<()> {
    // Most fit 64 bits, and 128 of them are divided and shown many times as slowly.
    let width = scale.unsigned_abs();
    let small = (u64::try_from(value.unsigned_abs()), 10_u64.checked_pow(width.into()));
    if let (Ok(digits), Some(unit)) = small
        && scale > 0
    {
        if value < 0 {
            out.write_all(b"-")?;
        }
        padded(digits / unit, 1, out)?;
        out.write_all(b".")?;
        return padded(digits % unit, width.into(), out);
    }
    let sign = if value < 0 { "-" } else { "" };
    let (digits, scale) = (value.unsigned_abs(), u32::from(scale.unsigned_abs()));
    match 10_u128.checked_pow(scale) {
        Some(unit) if scale > 0 => {
            write!(out, "{sign}{}.{:0width$}", digits / unit, digits % unit, width = scale as usize)
        }
        _ => write!(out, "{sign}{digits}"),
    }
}

/// `2024-02-29`. The year before 0001 is 0000, the one before that -0001; one beyond 9999 has more digits.
pub(in crate::encode) fn date(days: i64, out: &mut impl Write) -> io::Result<()> {
    let (year, month, day) = date_of_day(days);
    if let (Ok(year @ 0..=9999), Ok(month), Ok(day)) = (u64::try_from(year), u64::try_from(month), u64::try_from(day)) {
        padded(year, 4, out)?;
        out.write_all(b"-")?;
        padded(month, 2, out)?;
        out.write_all(b"-")?;
        return padded(day, 2, out);
    }
    let sign = if year < 0 { "-" } else { "" };
    write!(out, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
}

/// `2024-02-29T12:00:00.000001`, and `Z` behind it where it is of UTC.
pub(super) fn time(micros: i64, is_utc: bool, out: &mut impl Write) -> io::Result<()> {
    date(micros.div_euclid(DAY), out)?;
    let of_day = micros.rem_euclid(DAY);
    let (seconds, fraction) = (of_day / 1_000_000, of_day % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write!(out, "T{hour:02}:{minute:02}:{second:02}.{fraction:06}{}", if is_utc { "Z" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).expect("text");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn numbers_of_64_bits_have_the_same_text_as_larger_ones() {
        let shown = |value: i128, scale: i8| text(|out| decimal(value, scale, out));
        let slow = |value: i128, scale: usize| {
            let (unit, digits) = (10_u128.pow(scale as u32), value.unsigned_abs());
            format!("{}{}.{:0scale$}", if value < 0 { "-" } else { "" }, digits / unit, digits % unit)
        };
        for scale in [1_u8, 2, 6, 18, 19, 20, 37] {
            for value in
                [0, 1, -1, 9, 10, 99, -100, 12_345_678, i64::MAX.into(), u64::MAX.into(), i128::from(u64::MAX) + 1]
            {
                for value in [value, -value, value.wrapping_mul(10_000_019)] {
                    assert_eq!(shown(value, scale as i8), slow(value, scale.into()), "{value} {scale}");
                }
            }
        }
    }

    #[test]
    fn dates_and_times_of_every_year_have_one_text() {
        let date_of = |days| text(|out| date(days, out));
        assert_eq!(date_of(-719_162), "0001-01-01");
        assert_eq!(date_of(-719_163), "0000-12-31");
        assert_eq!(date_of(-719_529), "-0001-12-31");
        assert_eq!((date_of(2_932_896).as_str(), date_of(2_932_897).as_str()), ("9999-12-31", "10000-01-01"));
        assert_eq!(date_of(i64::from(i32::MAX)), "5881580-07-11");
        let time_of = |micros, utc| text(|out| time(micros, utc, out));
        assert_eq!(time_of(-1, false), "1969-12-31T23:59:59.999999");
        assert_eq!(time_of(1_709_208_000_000_000, true), "2024-02-29T12:00:00.000000Z");
        assert_eq!(time_of(i64::MAX, true), "294247-01-10T04:00:54.775807Z");
        assert_eq!(time_of(i64::MIN, true), "-290308-12-21T19:59:05.224192Z");
    }

    #[test]
    fn decimals_have_all_their_digits() {
        let of = |value, scale| text(|out| decimal(value, scale, out));
        assert_eq!(of(-1, 4), "-0.0001");
        assert_eq!((of(1200, 2).as_str(), of(0, 2).as_str(), of(-12, 0).as_str()), ("12.00", "0.00", "-12"));
        let nines = 10_i128.pow(38) - 1;
        assert_eq!(of(nines, 38), format!("0.{}", "9".repeat(38)));
        assert_eq!(of(-nines, 10), format!("-{}.{}", "9".repeat(28), "9".repeat(10)));
    }

    #[test]
    fn floats_read_back_as_themselves() {
        for value in [0.1, -0.0, 5e-324, f64::MAX, 1.0 / 3.0, 9_007_199_254_740_993.0, 1e300] {
            let written = text(|out| float(value, None, out));
            assert_eq!(written.parse::<f64>().expect(&written).to_bits(), value.to_bits(), "{written}");
        }
        for value in [0.1_f32, f32::MIN_POSITIVE, f32::MAX, -0.0, 16_777_217.0] {
            let written = text(|out| float(value.into(), Some(value), out));
            assert_eq!(written.parse::<f32>().expect(&written).to_bits(), value.to_bits(), "{written}");
        }
        assert_eq!(text(|out| float(0.1_f32.into(), Some(0.1), out)), "0.1");
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| text(|out| float(value, None, out)));
        assert_eq!(odd, ["NaN", "Infinity", "-Infinity"]);
    }
}

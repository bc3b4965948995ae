//! Exact readings of one value as a decimal, or nothing; and the literal for the twin.
//!
//! A reading is exact when the text or number can be told from the result again.

use rusqlite::types::ValueRef;

/// The unscaled value of a plain decimal text (`-12.50`) with at most `scale` digits behind the point.
pub(super) fn decimal_text(text: &[u8], precision: u8, scale: u32) -> Option<i128> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    let point = digits.iter().position(|byte| *byte == b'.');
    let (whole, fraction) = digits.split_at(point.unwrap_or(digits.len()));
    let fraction = fraction.get(1..).unwrap_or_default();
    let spare = scale.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let plain =
        !whole.is_empty() && (whole.len() == 1 || whole[0] != b'0') && (point.is_none() || !fraction.is_empty());
    if !plain || whole.len() + fraction.len() > 38 {
        return None;
    }
    let mut value: i128 = 0;
    for byte in whole.iter().chain(fraction) {
        value = value * 10 + i128::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    let value = value.checked_mul(10_i128.checked_pow(spare)?)?;
    within(if negative { -value } else { value }, precision)
}

/// The unscaled value of an integer.
pub(super) fn decimal_integer(value: i64, precision: u8, scale: u32) -> Option<i128> {
    within(i128::from(value).checked_mul(10_i128.checked_pow(scale)?)?, precision)
}

/// The unscaled value of a double that is the nearest one to a decimal of this scale: reading the decimal as a double
/// gives the same double again, since both numbers of the quotient are exact.
pub(super) fn decimal_real(value: f64, precision: u8, scale: u32) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let power = if scale <= 22 { 10_f64.powi(i32::try_from(scale).ok()?) } else { return None };
    let unscaled = (value * power).round();
    (unscaled.abs() < EXACT && unscaled / power == value).then_some(())?;
    within(unscaled as i128, precision)
}

fn within(value: i128, precision: u8) -> Option<i128> {
    (value.unsigned_abs() < 10_u128.checked_pow(u32::from(precision))?).then_some(value)
}

/// The value as an SQL literal: exact, and its storage class can be read from it. Text in other bytes than UTF-8 is a
/// cast of its bytes.
pub(super) fn literal(value: ValueRef<'_>) -> String {
    let blob = |bytes: &[u8]| format!("X'{}'", hex::encode_upper(bytes));
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => real(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => format!("'{}'", text.replace('\'', "''")),
            Err(_) => format!("CAST({} AS TEXT)", blob(bytes)),
        },
        ValueRef::Blob(bytes) => blob(bytes),
    }
}

/// The shortest text that reads as the same double, always with a point or an exponent; infinity as SQLite writes it.
pub(super) fn real(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "9.0e+999" } else { "-9.0e+999" }.to_owned();
    }
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly_or_not_at_all() {
        assert_eq!(decimal_text(b"-12.5", 10, 2), Some(-1250));
        assert_eq!(decimal_text(b"0.05", 3, 2), Some(5));
        for odd in ["12.345", "007", ".5", "5.", "1e3", "NaN", "", "-", "123456789.00"] {
            assert_eq!(decimal_text(odd.as_bytes(), 10, 2), None, "{odd}");
        }
        assert_eq!(decimal_real(12.34, 15, 2), Some(1234));
        assert_eq!(decimal_real(0.1 + 0.2, 15, 2), None);
        assert_eq!(decimal_real(f64::INFINITY, 15, 2), None);
        assert_eq!(decimal_integer(100, 4, 2), None);
    }

    #[test]
    fn every_decimal_of_two_digits_survives_its_double() {
        for cents in -200_000_i128..200_000 {
            let double: f64 =
                format!("{}{}.{:02}", if cents < 0 { "-" } else { "" }, cents.abs() / 100, cents.abs() % 100)
                    .parse()
                    .expect("a number");
            assert_eq!(decimal_real(double, 15, 2), Some(cents));
        }
    }

    #[test]
    fn a_literal_tells_its_storage_class() {
        assert_eq!(literal(ValueRef::Integer(5)), "5");
        assert_eq!(literal(ValueRef::Real(5.0)), "5.0");
        assert_eq!(literal(ValueRef::Text(b"it's")), "'it''s'");
        assert_eq!(literal(ValueRef::Text(b"\xff")), "CAST(X'FF' AS TEXT)");
        assert_eq!(literal(ValueRef::Blob(&[0, 255])), "X'00FF'");
    }
}

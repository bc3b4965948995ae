//! Whether a number as it is written is exactly a 64-bit integer or float.

/// What a JSON number is, exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A 64-bit integer; the flag tells whether a float would hold it as well.
    Integer(i64, bool),
    /// A float that prints as the same number again.
    Float(f64),
    /// Neither: only its text is exact.
    Neither,
}

/// Reads a number whose grammar is proven already.
#[must_use]
pub fn read(text: &str) -> Number {
    let whole = !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E'));
    if whole && text != "-0" {
        let Ok(value) = text.parse::<i64>() else { return read_float(text) };
        let in_float = value.unsigned_abs() <= 1 << 53 || prints_back(text, value as f64);
        return Number::Integer(value, in_float);
    }
    read_float(text)
}

fn read_float(text: &str) -> Number {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && prints_back(text, value) => Number::Float(value),
        _ => Number::Neither,
    }
}

fn prints_back(text: &str, value: f64) -> bool {
    let Some((digits, power)) = decimal(text) else { return false };
    // Up to fifteen digits survive the way through a float, far from its smallest and largest values.
    if digits.len() <= 15 && power.unsigned_abs() < 280 {
        return true;
    }
    decimal(&format!("{value:e}")).is_some_and(|back| back == (digits, power))
}

/// Significant digits without zeros at the ends, and the power of ten of 0.digits. Zero has no digits.
fn decimal(text: &str) -> Option<(Vec<u8>, i64)> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let mut power = exponent.checked_add(i64::try_from(whole.len()).ok()?)?;
    let zeros = digits.iter().take_while(|d| **d == b'0').count();
    digits.drain(..zeros);
    power = power.checked_sub(i64::try_from(zeros).ok()?)?;
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    Some(if digits.is_empty() { (digits, 0) } else { (digits, power) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_to_the_last_digit() {
        assert_eq!(read("9223372036854775807"), Number::Integer(i64::MAX, false));
        assert_eq!(read("-9223372036854775808"), Number::Integer(i64::MIN, false));
        assert_eq!(read("9007199254740992"), Number::Integer(1 << 53, true));
        assert_eq!(read("9007199254740993"), Number::Integer(9_007_199_254_740_993, false));
        assert_eq!(read("9223372036854775809"), Number::Neither);
        assert_eq!(read("9223372036854775808"), Number::Neither);
    }

    #[test]
    fn floats_must_print_as_the_same_number() {
        for text in ["0.1", "1.10", "-0", "-0.0", "5e-324", "1.7976931348623157e308", "1E5", "0e99"] {
            assert!(matches!(read(text), Number::Float(_)), "{text}");
        }
        for text in ["0.10000000000000000555", "1e400", "1.00000000000000000001", "123456789012345678.9", "1e-400"] {
            assert_eq!(read(text), Number::Neither, "{text}");
        }
        // At the end of what an exponent can be: counted wrong, it would be taken for a small one.
        for text in ["0.1e-9223372036854775808", "0.00001e-9223372036854775808", "1e-9223372036854775808"] {
            assert_eq!(read(text), Number::Neither, "{text}");
        }
    }
}

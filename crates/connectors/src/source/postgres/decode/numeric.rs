//! Postgres numerics: base-10000 digits to a 128-bit decimal without strings, or to the canonical text.
//!
//! A decimal is exact or not made at all; the caller then keeps the text.

use waybill_pipeline::FaultResult;

use crate::source::postgres::wire::malformed;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const PLUS_INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;
const SCALE_MASK: u16 = 0x3FFF;

const POWERS: [u128; 39] = {
    let mut powers = [1; 39];
    let mut at = 1;
    while at < 39 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// The decimal type of a column.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    scale: i32,
    /// 10 to the power of the precision: the first magnitude that does not fit.
    limit: u128,
}

/// A numeric's parts. `digits` are big-endian pairs of bytes.
struct Parts<'a> {
    digits: &'a [u8],
    weight: i32,
    sign: u16,
    scale: usize,
}

#[inline]
fn parts(bytes: &[u8]) -> FaultResult<Parts<'_>> {
    let Some((head, digits)) = bytes.split_first_chunk::<8>() else {
        return Err(malformed("a numeric is too short"));
    };
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (count, scale) = (usize::from(word(0)), word(6));
    if digits.len() != count * 2 || scale & !SCALE_MASK != 0 {
        return Err(malformed("a numeric's length or scale is impossible"));
    }
    Ok(Parts { digits, weight: i32::from(word(2) as i16), sign: word(4), scale: usize::from(scale) })
}

#[inline]
fn digit(pair: &[u8]) -> FaultResult<u16> {
    let value = u16::from_be_bytes([pair[0], pair[1]]);
    if value < 10_000 { Ok(value) } else { Err(malformed("a numeric's digit is impossible")) }
}

impl Target {
    pub(crate) fn new(precision: u8, scale: i8) -> Self {
        Self { scale: i32::from(scale), limit: POWERS[usize::from(precision.min(38))] }
    }

    /// The value as an integer of the target's scale; none where it does not fit exactly.
    #[inline]
    pub(crate) fn read(self, bytes: &[u8]) -> FaultResult<Option<i128>> {
        let numeric = parts(bytes)?;
        let magnitude = match numeric.sign {
            0 | NEGATIVE => self.magnitude(numeric.digits, numeric.weight)?,
            NAN | PLUS_INFINITY | MINUS_INFINITY => None,
            _ => return Err(malformed("a numeric's sign is impossible")),
        };
        // The limit is 10^38 at most, so the cast keeps the value.
        Ok(magnitude
            .filter(|value| *value < self.limit)
            .map(|value| if numeric.sign == NEGATIVE { -(value as i128) } else { value as i128 }))
    }

    #[inline]
    fn magnitude(self, mut digits: &[u8], weight: i32) -> FaultResult<Option<u128>> {
        let given = digits.len() / 2;
        while let [rest @ .., 0, 0] = digits {
            digits = rest;
        }
        let count = digits.len() / 2;
        if count == 0 {
            return Ok(Some(0));
        }
        // The power of ten that turns the last digit into units of the target.
        let shift = 4 * (weight + 1 - count as i32) + self.scale;
        if given > 4 || !(-3..=2).contains(&shift) {
            return Self::magnitude_slow(digits, shift);
        }
        let mut value = 0_u64;
        for pair in digits.chunks_exact(2) {
            value = value * 10_000 + u64::from(digit(pair)?);
        }
        // Written out, so that each division is by a constant.
        let (value, lost) = match shift {
            -3 => (value / 1000, value % 1000),
            -2 => (value / 100, value % 100),
            -1 => (value / 10, value % 10),
            1 => (value * 10, 0),
            2 => (value * 100, 0),
            _ => (value, 0),
        };
        Ok((lost == 0).then_some(u128::from(value)))
    }

    fn magnitude_slow(digits: &[u8], shift: i32) -> FaultResult<Option<u128>> {
        let (head, last) = digits.split_at(digits.len() - 2);
        let mut value = Some(0_u128);
        for pair in head.chunks_exact(2) {
            let next = u128::from(digit(pair)?);
            value = value.and_then(|value| value.checked_mul(10_000)?.checked_add(next));
        }
        let last = u128::from(digit(last)?);
        let Some(value) = value else { return Ok(None) };
        let scaled = || {
            if shift <= -4 {
                return None; // The last digit is not 0 and lies below the scale.
            }
            if shift < 0 {
                let cut = POWERS[shift.unsigned_abs() as usize];
                let kept = last / cut;
                return if last % cut == 0 { value.checked_mul(10_000 / cut)?.checked_add(kept) } else { None };
            }
            let value = value.checked_mul(10_000)?.checked_add(last)?;
            value.checked_mul(*POWERS.get(shift as usize)?)
        };
        Ok(scaled())
    }
}

/// The canonical text: what the server itself prints.
pub(crate) fn text(bytes: &[u8]) -> FaultResult<String> {
    let mut out = Vec::with_capacity(32);
    write_text(bytes, &mut out)?;
    Ok(out.iter().map(|b| *b as char).collect())
}

/// Appends the canonical text.
pub(crate) fn write_text(bytes: &[u8], out: &mut Vec<u8>) -> FaultResult<()> {
    let numeric = parts(bytes)?;
    match numeric.sign {
        NAN => out.extend_from_slice(b"NaN"),
        PLUS_INFINITY => out.extend_from_slice(b"Infinity"),
        MINUS_INFINITY => out.extend_from_slice(b"-Infinity"),
        0 | NEGATIVE => {
            if numeric.sign == NEGATIVE {
                out.push(b'-');
            }
            let group = |at: i32| match usize::try_from(at).ok().and_then(|at| numeric.digits.get(at * 2..at * 2 + 2)) {
                Some(pair) => digit(pair),
                None => Ok(0),
            };
            write_whole(numeric.weight, group, out)?;
            write_fraction(numeric.weight, numeric.scale, group, out)?;
        }
        _ => return Err(malformed("a numeric's sign is impossible")),
    }
    Ok(())
}

fn write_whole(weight: i32, group: impl Fn(i32) -> FaultResult<u16>, out: &mut Vec<u8>) -> FaultResult<()> {
    let mut begun = false;
    for at in 0..=weight {
        let value = group(at)?;
        let digits = four(value);
        if begun {
            out.extend_from_slice(&digits);
        } else if value > 0 {
            let zeros = digits.iter().take_while(|b| **b == b'0').count();
            out.extend_from_slice(&digits[zeros..]);
            begun = true;
        }
    }
    if !begun {
        out.push(b'0');
    }
    Ok(())
}

fn write_fraction(
    weight: i32,
    scale: usize,
    group: impl Fn(i32) -> FaultResult<u16>,
    out: &mut Vec<u8>,
) -> FaultResult<()> {
    if scale == 0 {
        return Ok(());
    }
    out.push(b'.');
    let mut left = scale;
    let mut at = weight + 1;
    while left > 0 {
        let digits = four(group(at)?);
        let taken = left.min(4);
        out.extend_from_slice(&digits[..taken]);
        left -= taken;
        at += 1;
    }
    Ok(())
}

fn four(value: u16) -> [u8; 4] {
    let digit = |power: u16| b'0' + (value / power % 10) as u8;
    [digit(1000), digit(100), digit(10), digit(1)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A numeric as the server would send it, from its text.
    fn wire(text: &str) -> Vec<u8> {
        let (sign, body) = text.strip_prefix('-').map_or((0, text), |body| (NEGATIVE, body));
        let (whole, part) = body.split_once('.').unwrap_or((body, ""));
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let part_padded = format!("{part}{}", "0".repeat((4 - part.len() % 4) % 4));
        let groups: Vec<u16> = format!("{whole}{part_padded}")
            .as_bytes()
            .chunks(4)
            .map(|c| std::str::from_utf8(c).expect("digits").parse().expect("a group"))
            .collect();
        let mut weight = (whole.len() / 4) as i32 - 1;
        let leading = groups.iter().take_while(|g| **g == 0).count();
        let trailing = groups[leading..].iter().rev().take_while(|g| **g == 0).count();
        let kept = &groups[leading..groups.len() - trailing];
        weight = if kept.is_empty() { 0 } else { weight - leading as i32 };
        let mut out = Vec::new();
        for word in [kept.len() as u16, weight as i16 as u16, sign, part.len() as u16] {
            out.extend(word.to_be_bytes());
        }
        kept.iter().for_each(|g| out.extend(g.to_be_bytes()));
        out
    }

    fn read(text: &str, precision: u8, scale: i8) -> Option<i128> {
        Target::new(precision, scale).read(&wire(text)).expect("well formed")
    }

    #[test]
    fn decimals_are_exact_or_not_made() {
        assert_eq!(read("1.50", 10, 2), Some(150));
        assert_eq!(read("-0.01", 10, 2), Some(-1));
        assert_eq!(read("12345678.90", 10, 2), Some(1_234_567_890));
        assert_eq!(read("100000000.00", 10, 2), None);
        assert_eq!(read("0.001", 10, 2), None);
        assert_eq!(read("0.00001", 10, 2), None);
        assert_eq!(read("1200", 5, 0), Some(1200));
        let nines = "9".repeat(38);
        assert_eq!(read(&nines, 38, 0), Some(10_i128.pow(38) - 1));
        assert_eq!(read(&format!("0.{nines}"), 38, 38), Some(10_i128.pow(38) - 1));
        assert_eq!(read(&format!("{nines}0"), 38, 0), None);
        assert_eq!(read("0", 38, 38), Some(0));
    }

    #[test]
    fn odd_numerics_are_refused_or_kept_as_text() {
        for (sign, expected) in [(NAN, "NaN"), (PLUS_INFINITY, "Infinity"), (MINUS_INFINITY, "-Infinity")] {
            let [high, low] = sign.to_be_bytes();
            let bytes = [0, 0, 0, 0, high, low, 0, 0];
            assert_eq!(Target::new(10, 2).read(&bytes).expect("known"), None);
            assert_eq!(text(&bytes).expect("known"), expected);
        }
        for bytes in [
            &[][..],
            &[0; 7],
            &[0, 1, 0, 0, 0, 0, 0, 0],
            &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[0, 0, 0, 0, 1, 0, 0, 0],
        ] {
            assert!(Target::new(10, 2).read(bytes).is_err() && text(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn text_is_what_was_sent(text_in in "-?(0|[1-9][0-9]{0,60})(\\.[0-9]{1,60})?") {
            prop_assert_eq!(text(&wire(&text_in)).expect("well formed"), text_in);
        }

        #[test]
        fn every_decimal_that_fits_is_exact(value in any::<i128>(), scale in 0_i8..=38, digits in 1_u32..=38) {
            let value = value % 10_i128.pow(digits);
            let padded = format!("{:0width$}", value.unsigned_abs(), width = scale as usize + 1);
            let (whole, part) = padded.split_at(padded.len() - scale as usize);
            let dot = if part.is_empty() { "" } else { "." };
            let sign = if value < 0 { "-" } else { "" };
            prop_assert_eq!(read(&format!("{sign}{whole}{dot}{part}"), 38, scale), Some(value));
        }

        #[test]
        fn arbitrary_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), scale in 0_i8..=38) {
            let _ = Target::new(38, scale).read(&bytes);
            let _ = text(&bytes);
        }
    }
}

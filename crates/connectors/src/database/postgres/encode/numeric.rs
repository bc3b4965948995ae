//! Numerics as the server takes them: digits to the base of 10,000 around the decimal point, and the scale that is shown.

use waybill_pipeline::FaultResult;

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const PLUS_INFINITY: u16 = 0xD000;
const MINUS_INFINITY: u16 = 0xF000;

/// Groups of four digits that a decimal of 38 digits has at most, wherever its point is.
const GROUPS: usize = 12;

/// A decimal of this scale.
pub(super) fn put_decimal(value: i128, scale: usize, out: &mut Vec<u8>) -> FaultResult<()> {
    let after = scale.div_ceil(4);
    let fill = 10_u128.pow((after * 4 - scale) as u32);
    let Some(mut rest) = value.unsigned_abs().checked_mul(fill) else {
        let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        put_digits(value < 0, whole, fraction, out);
        return Ok(());
    };
    let (mut groups, mut count) = ([0_u16; GROUPS], 0);
    while rest > 0 && count < GROUPS {
        // What fits 64 bits is divided as such, which is much quicker.
        let (next, group) = match u64::try_from(rest) {
            Ok(small) => (u128::from(small / 10_000), small % 10_000),
            Err(_) => (rest / 10_000, (rest % 10_000) as u64),
        };
        (rest, groups[count]) = (next, group as u16);
        count += 1;
    }
    put(value < 0, groups[..count].iter().rev().copied(), count, (after, scale), out);
    Ok(())
}

/// A number as its canonical text; none where it is none.
pub(super) fn put_text(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let special = match text {
        "NaN" => Some(NAN),
        "Infinity" => Some(PLUS_INFINITY),
        "-Infinity" => Some(MINUS_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        head((0, 0), sign, 0, out);
        return Some(());
    }
    let (is_negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty()
        || !are_digits(whole)
        || !are_digits(fraction)
        || fraction.len() > 0x3fff
        || whole.len() > 131_072
    {
        return None;
    }
    put_digits(is_negative, whole, fraction, out);
    Some(())
}

fn put_digits(is_negative: bool, whole: &str, fraction: &str, out: &mut Vec<u8>) {
    let (before, after) = (whole.len().div_ceil(4), fraction.len().div_ceil(4));
    let padded = format!("{whole:0>before$}{fraction:0<after$}", before = before * 4, after = after * 4);
    let group = |four: &[u8]| four.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let groups: Vec<u16> = padded.as_bytes().chunks_exact(4).map(group).collect();
    put(is_negative, groups.iter().copied(), groups.len(), (after, fraction.len()), out);
}

/// Groups from the highest on, so many of them behind the point.
fn put(
    is_negative: bool,
    groups: impl DoubleEndedIterator<Item = u16> + Clone,
    count: usize,
    (after, scale): (usize, usize),
    out: &mut Vec<u8>,
) {
    let zeros = groups.clone().take_while(|group| *group == 0).count();
    let kept = (count - zeros) - groups.clone().rev().take_while(|group| *group == 0).count().min(count - zeros);
    let weight = (count - zeros) as i32 - after as i32 - 1;
    let sign = if is_negative && kept > 0 { NEGATIVE } else { 0 };
    head((kept, if kept == 0 { 0 } else { weight }), sign, scale, out);
    for group in groups.skip(zeros).take(kept) {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn head((count, weight): (usize, i32), sign: u16, scale: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(8 + 2 * count as i32).to_be_bytes());
    out.extend_from_slice(&(count as u16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::postgres::decode::numeric;

    fn read(out: &[u8]) -> String {
        assert_eq!(out[..4], (out.len() as i32 - 4).to_be_bytes());
        numeric::text(&out[4..]).expect("a numeric")
    }

    #[test]
    fn texts_read_back_as_they_were() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "0.0001",
            "-0.00010",
            "10000",
            "100000000.00000001",
            "12345678901234567890.5",
            "NaN",
            "Infinity",
            "-Infinity",
            "99999999999999999999999999999999999999999.9",
        ] {
            let mut out = Vec::new();
            put_text(text, &mut out).expect("a number");
            assert_eq!(read(&out), text);
        }
        for text in ["", "-", "1e5", "1.2.3", "x", ".5", "--1"] {
            assert!(put_text(text, &mut Vec::new()).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_decimal_reads_back(value in -(10_i128.pow(38) - 1)..10_i128.pow(38), cut in 0..38_u32, scale in 0..=38_usize) {
            let value = value / 10_i128.pow(cut);
            let mut out = Vec::new();
            put_decimal(value, scale, &mut out).expect("fits");
            let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            let sign = if value < 0 { "-" } else { "" };
            let point = if scale > 0 { "." } else { "" };
            prop_assert_eq!(read(&out), format!("{sign}{whole}{point}{fraction}"));
        }
    }
}

//! Dates and times as texts write them by ISO 8601: read exactly or not at all. The same for every source that has them as texts,
//! and for what a pipeline file says of them.

use chrono::{FixedOffset, NaiveDate};

/// Days since 1970 of a `YYYY-MM-DD`.
#[must_use]
pub fn date(text: &[u8]) -> Option<i32> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = i32::try_from(number(&[y1, y2, y3, y4])?).ok()?;
    let (month, day) = (u32::try_from(number(&[m1, m2])?).ok()?, u32::try_from(number(&[d1, d2])?).ok()?);
    Some(NaiveDate::from_ymd_opt(year, month, day)?.to_epoch_days())
}

/// Microseconds since 1970 of a `YYYY-MM-DD HH:MM:SS`, with `T` for the space and a fraction of one to six digits
/// where it has one. A text with a zone is not taken: the column has none.
#[must_use]
pub fn timestamp(text: &[u8]) -> Option<i64> {
    let (day, time) = text.split_at_checked(10)?;
    let days = i64::from(date(day)?);
    let (b' ' | b'T', time) = time.split_first()? else { return None };
    let (clock, fraction) = time.split_at_checked(8)?;
    let [h1, h2, b':', m1, m2, b':', s1, s2] = *clock else { return None };
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[m1, m2])?, number(&[s1, s2])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = match fraction.split_first() {
        None => 0,
        Some((b'.', digits)) if (1..=6).contains(&digits.len()) => {
            number(digits)? * 10_i64.pow(6 - u32::try_from(digits.len()).ok()?)
        }
        Some(_) => return None,
    };
    Some(((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000 + micros)
}

/// Microseconds since 1970, in UTC, of such a text with `Z` or an offset behind it, which may stand apart by a space.
#[must_use]
pub fn instant(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let clock = text.get(19..)?;
    let zone = 19 + clock.find(|c: char| c != '.' && !c.is_ascii_digit())?;
    let local = timestamp(&text.as_bytes()[..zone])?;
    let offset = i64::from(offset(&text[zone..])?.local_minus_utc());
    Some(local - offset * 1_000_000)
}

fn number(digits: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in digits {
        value = value * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    Some(value)
}

/// The offset that a text ends with: `Z`, `+02:00`, `+0200`, `+02`, also behind a space.
#[must_use]
pub fn offset(text: &str) -> Option<FixedOffset> {
    let text = text.strip_prefix(' ').unwrap_or(text);
    if text == "Z" || text == "z" {
        return FixedOffset::east_opt(0);
    }
    let (east, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (true, digits),
        ("-", digits) => (false, digits),
        _ => return None,
    };
    let minutes = match digits.len() {
        2 if is_like(digits, "00") => "0",
        4 if is_like(digits, "0000") => &digits[2..],
        5 if is_like(digits, "00:00") => &digits[3..],
        _ => return None,
    };
    let seconds = digits[..2].parse::<i32>().ok()? * 3600 + minutes.parse::<i32>().ok()? * 60;
    FixedOffset::east_opt(if east { seconds } else { -seconds })
}

/// Whether a text has digits where the pattern has zeros, and otherwise the same characters.
#[must_use]
pub fn is_like(text: &str, pattern: &str) -> bool {
    let same = |(a, b): (u8, u8)| if b == b'0' { a.is_ascii_digit() } else { a == b };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_exactly_or_not_at_all() {
        assert_eq!(date(b"1970-01-02"), Some(1));
        assert_eq!(date(b"0000-00-00"), None);
        assert_eq!(date(b"2023-02-29"), None);
        assert_eq!(timestamp(b"1970-01-01 00:00:01.5"), Some(1_500_000));
        assert_eq!(timestamp(b"1969-12-31T23:59:59"), Some(-1_000_000));
        for odd in
            ["1970-01-01", "1970-01-01 00:00:01Z", "1970-01-01 24:00:00", "1970-01-01 00:00:01.1234567", "infinity"]
        {
            assert_eq!(timestamp(odd.as_bytes()), None, "{odd}");
        }
    }

    #[test]
    fn an_instant_needs_its_zone() {
        assert_eq!(instant(b"1970-01-01 00:00:01Z"), Some(1_000_000));
        assert_eq!(instant(b"1970-01-01T02:00:01.25+02:00"), Some(1_250_000));
        assert_eq!(instant(b"1969-12-31 19:00:00 -0500"), Some(0));
        for odd in
            ["1970-01-01 00:00:01", "1970-01-01", "1970-01-01 00:00:01+2", "1970-01-01 00:00:01 Europe/Berlin", ""]
        {
            assert_eq!(instant(odd.as_bytes()), None, "{odd}");
        }
    }
}

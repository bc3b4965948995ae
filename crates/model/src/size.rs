//! Sizes and durations as people write them (`128MiB`, `30s`). A bare number is refused: it has no unit.

use std::time::Duration;

/// Why a text is not a size or a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not `<whole number><unit>` with a unit for sizes.
    #[error("write a size with its unit: B, KiB, MiB, GiB or TiB, such as 128MiB")]
    Size,
    /// Not `<whole number><unit>` with a unit for durations.
    #[error("write a duration with its unit: ms, s, m, h or d, such as 30s")]
    Duration,
}

/// Reads a size in bytes.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::Size)?;
    let shift = match unit {
        "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(UnitError::Size),
    };
    number.checked_mul(1 << shift).ok_or(UnitError::Size)
}

/// Reads a duration.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text).ok_or(UnitError::Duration)?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(UnitError::Duration),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or(UnitError::Duration)
}

/// Writes a duration so that it reads back exactly: in the largest unit of which it is a whole number.
#[must_use]
pub fn write_duration(millis: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let fits = units.into_iter().find(|(size, _)| millis != 0 && millis.is_multiple_of(*size));
    let (size, name) = fits.unwrap_or((1, "ms"));
    format!("{}{name}", millis / size)
}

/// Prints bytes for people, with one decimal from KiB on.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// Writes a number for people, with commas.
#[must_use]
pub fn show_number(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

/// Writes how many of something there are: `1 row`, `1,204,511 rows`. For nouns whose plural is an s.
#[must_use]
pub fn show_count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", show_number(number))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_and_durations() {
        assert_eq!(parse_bytes("128MiB"), Ok(128 << 20));
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
    }

    #[test]
    fn a_written_duration_reads_back() {
        assert_eq!(write_duration(90_000), "90s");
        for millis in [0, 1, 999, 60_000, 5_400_000, 86_400_000, u64::MAX] {
            assert_eq!(parse_duration(&write_duration(millis)), Ok(Duration::from_millis(millis)));
        }
    }

    #[test]
    fn a_bare_number_or_an_overflow_is_refused() {
        assert_eq!(parse_bytes("128"), Err(UnitError::Size));
        assert_eq!(parse_bytes("99999999999TiB"), Err(UnitError::Size));
        assert_eq!(parse_duration("5"), Err(UnitError::Duration));
        assert_eq!(parse_duration("-5s"), Err(UnitError::Duration));
    }

    #[test]
    fn numbers_have_commas_and_one_is_no_plural() {
        assert_eq!([0, 999, 1000, 1_204_511].map(show_number), ["0", "999", "1,000", "1,204,511"]);
        assert_eq!([0, 1, 1000].map(|rows| show_count(rows, "row")), ["0 rows", "1 row", "1,000 rows"]);
    }

    #[test]
    fn shows_bytes_for_people() {
        assert_eq!(show_bytes(17), "17 B");
        assert_eq!(show_bytes(1536), "1.5 KiB");
    }
}

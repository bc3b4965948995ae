//! Dates and times as the server counts them: from 2000-01-01, with infinity at both ends.

use waybill_model::calendar::day_of_date;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const DAY: i64 = 86_400_000_000;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY;
/// 4714-11-24 BC in days since 2000: the first day that the server takes.
const FIRST_DAY: i32 = -2_451_545;
/// 5874897-12-31: the last one of a date.
const LAST_DAY: i32 = 2_145_031_948;
/// The moment after 294276-12-31 23:59:59.999999.
const END: i64 = 9_223_371_331_200_000_000;

/// Days since 1970 as the server counts them; none for a day that it does not know.
pub(super) fn date(days: i32) -> Option<i32> {
    let days = days.checked_sub(EPOCH_DAYS)?;
    (FIRST_DAY..=LAST_DAY).contains(&days).then_some(days)
}

/// Microseconds since 1970 as the server counts them.
pub(super) fn timestamp(micros: i64) -> Option<i64> {
    known(micros.checked_sub(EPOCH_MICROS)?)
}

fn known(micros: i64) -> Option<i64> {
    (FIRST_DAY as i64 * DAY..END).contains(&micros).then_some(micros)
}

/// A date that only its text holds.
pub(super) fn date_of_text(text: &str) -> Option<i32> {
    match text {
        "infinity" => Some(i32::MAX),
        "-infinity" => Some(i32::MIN),
        _ => {
            let (text, is_bc) = era(text);
            let days = days(text, is_bc)?.checked_sub(EPOCH_DAYS.into())?;
            i32::try_from(days).ok().filter(|days| (FIRST_DAY..=LAST_DAY).contains(days))
        }
    }
}

/// A time that only its text holds, as the source writes it: in UTC, or without a zone.
pub(super) fn timestamp_of_text(text: &str) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, is_bc) = era(text);
    let (date, time) = text.strip_suffix("+00").unwrap_or(text).split_once(' ')?;
    let (clock, part) = time.split_once('.').unwrap_or((time, ""));
    let mut units = clock.split(':').map(|unit| unit.parse::<i64>().ok());
    let (hours, minutes, seconds) = (units.next()??, units.next()??, units.next()??);
    let fraction: i64 = if part.len() <= 6 { format!("{part:0<6}").parse().ok()? } else { return None };
    let days = i128::from(days(date, is_bc)?) - i128::from(EPOCH_DAYS);
    let seconds = (hours * 60 + minutes) * 60 + seconds;
    let micros = days * i128::from(DAY) + i128::from(seconds) * 1_000_000 + i128::from(fraction);
    i64::try_from(micros).ok().and_then(known)
}

fn era(text: &str) -> (&str, bool) {
    text.strip_suffix(" BC").map_or((text, false), |text| (text, true))
}

/// Days since 1970 of a date by the proleptic Gregorian calendar.
fn days(text: &str, is_bc: bool) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if is_bc { 1 - year } else { year };
    Some(day_of_date(year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_calendar_are_the_servers() {
        assert_eq!(date_of_text("4714-11-24 BC"), Some(FIRST_DAY));
        assert_eq!(date_of_text("5874897-12-31"), Some(LAST_DAY));
        assert_eq!(date_of_text("5874898-01-01"), None);
        assert_eq!(timestamp_of_text("294276-12-31 23:59:59.999999+00"), Some(END - 1));
        assert_eq!(timestamp_of_text("2000-01-01 00:00:00.5"), Some(500_000));
        assert_eq!(timestamp_of_text("294277-01-01 00:00:00"), None);
        assert_eq!((timestamp_of_text("infinity"), date_of_text("-infinity")), (Some(i64::MAX), Some(i32::MIN)));
        assert_eq!((date(EPOCH_DAYS), timestamp(EPOCH_MICROS), timestamp(i64::MIN)), (Some(0), Some(0), None));
    }
}

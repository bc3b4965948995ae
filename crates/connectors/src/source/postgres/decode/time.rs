//! Dates and timestamps: Postgres counts from 2000-01-01, Arrow from 1970-01-01, and Postgres knows infinity.
//!
//! What both can hold arrives exact. Years before 1 and after 9999 are kept and counted, since some readers can't show them.

use waybill_model::calendar::date_of_day;

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
const DAY: i64 = 86_400_000_000;
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY;
/// 0001-01-01 and 9999-12-31 in days since 1970.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;

/// What a time's bytes mean for its column.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Moment<T> {
    Plain(T),
    /// Exact, but outside the years 1 to 9999.
    Unusual(T),
    Infinite {
        text: &'static str,
        sentinel: T,
    },
    /// A real time that the column can't hold.
    Beyond(String),
}

const fn infinite<T>(text: &'static str, sentinel: T) -> Moment<T> {
    Moment::Infinite { text, sentinel }
}

/// A date's days since 2000.
#[inline]
pub(super) fn date(days: i32) -> Moment<i32> {
    match days {
        i32::MAX => infinite("infinity", LAST_DAY),
        i32::MIN => infinite("-infinity", FIRST_DAY),
        _ => match days.checked_add(EPOCH_DAYS) {
            Some(days) if (FIRST_DAY..=LAST_DAY).contains(&days) => Moment::Plain(days),
            Some(days) => Moment::Unusual(days),
            None => Moment::Beyond(date_text(i64::from(days) + i64::from(EPOCH_DAYS))),
        },
    }
}

/// A timestamp's microseconds since 2000.
#[inline]
pub(super) fn timestamp(micros: i64, zoned: bool) -> Moment<i64> {
    match micros {
        i64::MAX => infinite("infinity", LAST_DAY as i64 * DAY),
        i64::MIN => infinite("-infinity", FIRST_DAY as i64 * DAY),
        _ => match micros.checked_add(EPOCH_MICROS) {
            Some(at) if at >= FIRST_DAY as i64 * DAY && at < (LAST_DAY as i64 + 1) * DAY => Moment::Plain(at),
            Some(at) => Moment::Unusual(at),
            None => Moment::Beyond(timestamp_text(i128::from(micros) + i128::from(EPOCH_MICROS), zoned)),
        },
    }
}

/// Days since 1970 as Postgres prints a date.
pub(super) fn date_text(days: i64) -> String {
    let (year, month, day) = date_of_day(days);
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    format!("{year:04}-{month:02}-{day:02}{era}")
}

/// Microseconds since 1970 as Postgres prints a timestamp in UTC.
pub(super) fn timestamp_text(micros: i128, zoned: bool) -> String {
    let days = micros.div_euclid(i128::from(DAY));
    let rest = micros.rem_euclid(i128::from(DAY)) as i64;
    let date = date_text(i64::try_from(days).unwrap_or_default());
    let (date, era) = date.strip_suffix(" BC").map_or((date.as_str(), ""), |date| (date, " BC"));
    let (seconds, part) = (rest / 1_000_000, rest % 1_000_000);
    let mut text = format!("{date} {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if part > 0 {
        text.push_str(format!(".{part:06}").trim_end_matches('0'));
    }
    if zoned {
        text.push_str("+00");
    }
    text + era
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_calendar_are_where_they_should_be() {
        assert_eq!(date_text(i64::from(FIRST_DAY)), "0001-01-01");
        assert_eq!(date_text(i64::from(LAST_DAY)), "9999-12-31");
        assert_eq!(date_text(i64::from(FIRST_DAY) - 1), "0001-12-31 BC");
        assert_eq!(date_text(0), "1970-01-01");
        assert_eq!(date_text(i64::from(EPOCH_DAYS)), "2000-01-01");
        assert_eq!(date_text(-2_440_588), "4714-11-24 BC");
    }

    #[test]
    fn infinity_is_told_from_the_latest_real_time() {
        assert!(matches!(date(i32::MAX), Moment::Infinite { text: "infinity", .. }));
        assert!(matches!(timestamp(i64::MIN, true), Moment::Infinite { text: "-infinity", .. }));
        assert_eq!(timestamp(0, true), Moment::Plain(946_684_800_000_000));
        assert_eq!(timestamp(i64::MIN + 1, true), Moment::Unusual(i64::MIN + 1 + EPOCH_MICROS));
    }

    #[test]
    fn a_time_beyond_64_bits_keeps_its_text() {
        let latest = 9_223_371_331_199_999_999; // 294276-12-31 23:59:59.999999, the last that Postgres takes
        assert_eq!(timestamp(latest, true), Moment::Beyond("294276-12-31 23:59:59.999999+00".into()));
        assert_eq!(timestamp_text(-1, false), "1969-12-31 23:59:59.999999");
        assert_eq!(timestamp_text(500_000, false), "1970-01-01 00:00:00.5");
    }
}

//! Days and dates of the proleptic Gregorian calendar, of any year: the calendars of libraries end before those of the sources do.
//!
//! The year 0 is 1 BC. Years are counted from March, by eras of 400 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").

/// Days from 0000-03-01 to 1970-01-01.
const TO_1970: i64 = 719_468;
/// Days of an era.
const ERA: i64 = 146_097;

/// Year, month and day of a day since 1970-01-01.
#[must_use]
pub const fn date_of_day(days: i64) -> (i64, i64, i64) {
    let days = days + TO_1970;
    let of_era = days.rem_euclid(ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + days.div_euclid(ERA) * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

/// Days since 1970-01-01 of a date. Its month and day are taken as they are.
#[must_use]
pub const fn day_of_date(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    year.div_euclid(400) * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - TO_1970
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn days_are_those_of_the_calendar_as_far_as_another_one_goes() {
        for days in (-95_000_000..95_000_000).step_by(10_007).chain(-1000..1000) {
            let date = NaiveDate::from_epoch_days(days).expect("within chrono's years");
            let wanted = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
            assert_eq!(date_of_day(days.into()), wanted, "{days}");
            assert_eq!(day_of_date(wanted.0, wanted.1, wanted.2), i64::from(days), "{date}");
        }
        for days in [-784_353_015_833, -2_451_545_000, 2_147_483_647, 784_351_576_776] {
            let (year, month, day) = date_of_day(days);
            assert_eq!(day_of_date(year, month, day), days, "{days}");
        }
    }
}

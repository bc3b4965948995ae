//! When a schedule is due: the slots of a cron line, or of a fixed distance. The scheduler asks here, and whoever sets a
//! schedule does too, so that both read it the same way.

use std::time::Duration;

use waybill_model::Micros;
use waybill_model::schedule::{Every, When};
use waybill_store::Schedule;

use super::cron::{CronError, CronSlots};

/// A schedule that can be asked for its slots.
#[derive(Clone, Debug)]
pub enum Slots {
    /// Of a cron line.
    Cron(Box<CronSlots>),
    /// Of a fixed distance.
    Every(Every),
}

impl Slots {
    /// Refuses what can't be read, never comes or comes more often than `floor`.
    pub fn parse(when: &When, floor: Duration) -> Result<Self, CronError> {
        match when {
            When::Cron { line, zone } => CronSlots::parse(line, zone, floor).map(|cron| Self::Cron(Box::new(cron))),
            When::Every(every) if every.distance() < floor => Err(CronError::TooOften { floor: floor.as_secs() }),
            When::Every(every) => Ok(Self::Every(*every)),
        }
    }

    /// Of a stored schedule. Floors are checked when it is set; a raised floor does not end the ones that there are.
    pub fn of(schedule: &Schedule) -> Result<Self, CronError> {
        match when(schedule).ok_or(CronError::Pattern)? {
            When::Cron { line, zone } => CronSlots::read(&line, &zone).map(|cron| Self::Cron(Box::new(cron))),
            When::Every(every) => Ok(Self::Every(every)),
        }
    }

    /// The first slot after `after`.
    pub fn next(&self, after: Micros) -> Result<Micros, CronError> {
        match self {
            Self::Cron(cron) => cron.next(after),
            Self::Every(every) => Ok(every.next(after)),
        }
    }

    /// The last slot in `(after, until]`, if there is one: all that is caught up after an outage.
    pub fn last(&self, after: Micros, until: Micros) -> Result<Option<Micros>, CronError> {
        match self {
            Self::Cron(cron) => cron.last(after, until),
            Self::Every(every) => Ok(Some(every.at_or_before(until)).filter(|slot| *slot > after)),
        }
    }
}

/// What a stored schedule says about its slots; none for a row that says nothing.
pub(crate) fn when(schedule: &Schedule) -> Option<When> {
    match (&schedule.cron, schedule.every) {
        (Some(line), _) => Some(When::Cron { line: line.clone(), zone: schedule.zone.clone() }),
        (None, Some(distance)) => Every::new(distance).map(When::Every),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;

    fn every(millis: u64) -> When {
        When::Every(Every::try_from(millis).expect("in bounds"))
    }

    #[test]
    fn a_distance_below_the_floor_is_refused_as_a_cron_line_is() {
        let floor = Duration::from_secs(300);
        let refused = Slots::parse(&every(240_000), floor).expect_err("too often");
        assert_eq!(refused, CronError::TooOften { floor: 300 });
        assert!(Slots::parse(&every(300_000), floor).is_ok());
    }

    #[test]
    fn only_the_last_of_the_missed_slots_of_a_distance_is_found() {
        let slots = Slots::parse(&every(3_600_000), Duration::from_secs(60)).expect("a schedule");
        assert_eq!(slots.last(Micros(0), Micros(9 * HOUR + 5)), Ok(Some(Micros(9 * HOUR))));
        assert_eq!(slots.last(Micros(9 * HOUR), Micros(9 * HOUR + 5)), Ok(None));
        assert_eq!(slots.next(Micros(9 * HOUR)), Ok(Micros(10 * HOUR)));
    }
}

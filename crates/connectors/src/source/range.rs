//! A range of a cursor as conditions of a filter, for every source with cursors.
//!
//! A bound that the column's type does not have is refused here: a server would read a time without its zone, round it, or fail at it as
//! if the stream's own filter were wrong.

use chrono::DateTime;
use waybill_model::FailureCode;
use waybill_model::errand::{Bound, Range};
use waybill_model::plan::{Condition, Op};
use waybill_pipeline::{Fault, FaultResult};

/// What a cursor's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// Whole numbers of so many bits.
    Number { bits: u32, is_signed: bool },
    /// Times on a clock that the column does not name.
    Local,
    /// Times of which the column says the zone.
    Instant,
    /// No values of a column.
    Nothing,
}

impl Of {
    /// Why a bound is none of these values.
    fn check(self, bound: Bound) -> Result<(), String> {
        let why = match (self, bound) {
            (Self::Number { bits, is_signed }, Bound::Number(number)) => {
                let (low, high) = ends(bits, is_signed);
                if (low..=high).contains(&number) {
                    return Ok(());
                }
                let which = "leave a bound out that no row lies beyond";
                return Err(format!("holds whole numbers from {low} to {high}, and {number} is none of them: {which}"));
            }
            (Self::Local, Bound::Local(_)) | (Self::Instant, Bound::Instant(_)) => return Ok(()),
            (Self::Number { .. }, _) => "holds whole numbers: give the range as such, `--from 100 --to 200`",
            (Self::Local, _) => "holds times without a zone: give the range as such, `--from 2026-01-31T12:00:00`",
            (Self::Instant, _) => "holds times with a zone: give the range as such, `--from 2026-01-31T12:00:00Z`",
            (Self::Nothing, _) => {
                "is no column, so that nobody can name a range of it: forget it, or reload the stream"
            }
        };
        Err(why.to_owned())
    }
}

/// The lowest and the highest of whole numbers of so many bits, which are 64 at most.
const fn ends(bits: u32, is_signed: bool) -> (i128, i128) {
    let half = 1_i128 << (bits - 1);
    if is_signed { (-half, half - 1) } else { (0, 2 * half - 1) }
}

/// The conditions on rows of a range: from the first bound on, below the second. `write` has each in the column's words; none
/// where it has no words for it.
pub(crate) fn conditions(
    column: &str,
    of: Of,
    range: &Range,
    write: impl Fn(Bound) -> Option<String>,
) -> FaultResult<Vec<Condition>> {
    let refused = |why: &str| Fault::new(FailureCode::RequestUnusable, format!("the cursor {column} {why}"));
    let one = |(op, bound): (Op, Bound)| {
        of.check(bound).map_err(|why| refused(&why))?;
        let value = write(bound).ok_or_else(|| {
            refused("is written in larger units than a bound of the range: give days, minutes or seconds as it has")
        })?;
        Ok(Condition { column: column.to_owned(), op, value: Some(value), text: true })
    };
    let bounds = [range.from().map(|from| (Op::Ge, from)), range.to().map(|to| (Op::Lt, to))];
    bounds.into_iter().flatten().map(one).collect()
}

/// A bound as servers read it.
pub(crate) fn written(bound: Bound) -> Option<String> {
    let (micros, zone) = match bound {
        Bound::Number(number) => return Some(number.to_string()),
        Bound::Local(micros) => (micros, ""),
        Bound::Instant(micros) => (micros, "+00"),
    };
    let moment = DateTime::from_timestamp_micros(micros)?;
    Some(format!("{}{zone}", moment.format("%Y-%m-%d %H:%M:%S%.6f")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDE: Of = Of::Number { bits: 64, is_signed: true };

    fn range(from: &str, to: Option<&str>) -> Range {
        Range::new(Some(from), to).expect("a range")
    }

    #[test]
    fn a_range_is_half_open_and_its_bounds_are_written_exactly() {
        let found =
            conditions("at", Of::Instant, &range("2026-01-31T12:00:00+02:00", Some("2026-02-01T00:00:00.5Z")), written);
        let found: Vec<(Op, String)> =
            found.expect("conditions").into_iter().map(|one| (one.op, one.value.expect("a value"))).collect();
        let wanted = [(Op::Ge, "2026-01-31 10:00:00.000000+00"), (Op::Lt, "2026-02-01 00:00:00.500000+00")];
        assert_eq!(found, wanted.map(|(op, text)| (op, text.to_owned())));
        let found = conditions("id", WIDE, &range("-5", None), written).expect("conditions");
        assert_eq!((found.len(), found[0].op, found[0].value.as_deref()), (1, Op::Ge, Some("-5")));
        let unsigned = Of::Number { bits: 64, is_signed: false };
        for (of, last) in
            [(WIDE, i128::from(i64::MAX)), (WIDE, i64::MIN.into()), (unsigned, u64::MAX.into()), (unsigned, 0)]
        {
            assert!(conditions("id", of, &range(&last.to_string(), None), written).is_ok(), "{last}");
        }
    }

    #[test]
    fn a_bound_of_another_kind_is_refused_in_words() {
        for (of, from, why) in [
            (WIDE, "2026-01-31", "whole numbers"),
            (Of::Local, "5", "without a zone"),
            (Of::Local, "2026-01-31T12:00:00Z", "without a zone"),
            (Of::Instant, "2026-01-31T12:00:00", "with a zone"),
            (Of::Nothing, "5", "no column"),
            (Of::Number { bits: 32, is_signed: true }, "2147483648", "from -2147483648 to 2147483647"),
            (Of::Number { bits: 24, is_signed: false }, "-1", "from 0 to 16777215"),
            (WIDE, "9223372036854775808", "is none of them"),
        ] {
            let fault = conditions("c", of, &range(from, None), written).expect_err("refused");
            assert_eq!(fault.code, FailureCode::RequestUnusable);
            assert!(fault.text.for_customer().contains(why), "{}", fault.text.for_customer());
        }
    }
}

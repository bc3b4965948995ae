//! Examples of bodies as values of their own types, so that the API description can't hold one that does not parse.

use std::str::FromStr;

use waybill_model::Micros;

use crate::timestamp::Timestamp;

/// A body that can show what it looks like.
pub trait Example {
    /// A plausible value.
    fn example() -> Self;
}

impl<T: Example> Example for Vec<T> {
    fn example() -> Self {
        vec![T::example()]
    }
}

impl Example for () {
    fn example() -> Self {}
}

/// The id of the examples with this number; the same number gives ids that belong together.
pub(crate) fn id<T: FromStr>(prefix: &str, number: u8) -> T
where
    T::Err: std::fmt::Debug,
{
    let text = format!("{prefix}_01jd8m2v5k0000000000000{number:03}");
    text.parse().expect("the prefix of an example's id fits its type")
}

/// The point in time that the examples speak of, some seconds later.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp(Micros((1_763_690_404 + seconds) * 1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_examples_print_as_they_are_written() {
        let run: waybill_model::RunId = id("run", 7);
        assert_eq!(run.to_string(), "run_01jd8m2v5k0000000000000007");
        assert_eq!(at(0).to_string(), "2025-11-21T02:00:04.000000Z");
    }
}

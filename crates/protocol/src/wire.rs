//! What can be wrong with a received field, and the small readers that say so.
//!
//! An error holds the field's path and the rule that it broke, never the value: the other side may have sent anything.

use std::str::FromStr;

use waybill_model::Epoch;

/// A received message broke a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct WireError {
    /// The field's path in its message, such as `events[3].code`.
    pub field: String,
    /// The rule that it broke.
    pub problem: Problem,
}

/// The rule that a field broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It must be there.
    #[error("is missing")]
    Missing,
    /// An enum value that is unspecified or unknown here.
    #[error("is not a known value")]
    UnknownValue,
    /// A text that is not on the compiled list.
    #[error("is not on the list of codes")]
    UnknownCode,
    /// Not an id of the expected noun.
    #[error("is not an id of the expected kind")]
    NotAnId,
    /// Given beside another that it stands for.
    #[error("must not be given beside the other")]
    Excess,
    /// Bytes of another length.
    #[error("must have {0} bytes")]
    Length(usize),
    /// Longer or more than allowed.
    #[error("is over its limit of {0}")]
    Limit(usize),
    /// A count or time below zero, or one that a signed 64-bit number can't hold.
    #[error("is out of range")]
    OutOfRange,
}

impl WireError {
    /// A broken rule of one field.
    #[must_use]
    pub fn new(field: &str, problem: Problem) -> Self {
        Self { field: field.to_owned(), problem }
    }

    /// The same, seen from the message that holds this one in the repeated field `list`.
    #[must_use]
    pub fn within(self, list: &str, place: usize) -> Self {
        Self { field: format!("{list}[{place}].{}", self.field), ..self }
    }
}

/// The result of reading a message.
pub type WireResult<T> = Result<T, WireError>;

/// A count that fits a signed 64-bit number: a negative one that was cast does not.
pub(crate) fn count(field: &str, value: u64) -> WireResult<u64> {
    i64::try_from(value).map(|_| value).map_err(|_| WireError::new(field, Problem::OutOfRange))
}

pub(crate) fn optional_count(field: &str, value: Option<u64>) -> WireResult<Option<u64>> {
    value.map(|value| count(field, value)).transpose()
}

pub(crate) fn epoch(field: &str, value: i64) -> WireResult<Epoch> {
    if value > 0 { Ok(Epoch(value)) } else { Err(WireError::new(field, Problem::OutOfRange)) }
}

pub(crate) fn id<T: FromStr>(field: &str, text: &str) -> WireResult<T> {
    text.parse().map_err(|_| WireError::new(field, Problem::NotAnId))
}

pub(crate) fn code<T: FromStr>(field: &str, text: &str) -> WireResult<T> {
    text.parse().map_err(|_| WireError::new(field, Problem::UnknownCode))
}

pub(crate) fn array<const N: usize>(field: &str, bytes: &[u8]) -> WireResult<[u8; N]> {
    bytes.try_into().map_err(|_| WireError::new(field, Problem::Length(N)))
}

pub(crate) fn at_most<T>(field: &str, items: &[T], limit: usize) -> WireResult<()> {
    if items.len() > limit { Err(WireError::new(field, Problem::Limit(limit))) } else { Ok(()) }
}

/// Reads every element and names the one that is wrong.
pub(crate) fn each<W, T>(list: &str, items: Vec<W>, read: impl Fn(W) -> WireResult<T>) -> WireResult<Vec<T>> {
    items.into_iter().enumerate().map(|(n, item)| read(item).map_err(|e| e.within(list, n))).collect()
}

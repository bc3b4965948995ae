//! Keys as digests, in sets of a bounded number.
//!
//! Two unlike keys have one digest with a chance of (n·m + n²/2) / 2^128 for n new rows and m old ones: below 1 in 10^20 for a
//! billion against a billion. That is why equal digests are taken for equal keys. No key of a row is kept or shown.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use waybill_model::FailureCode;

use crate::digests::{Digests, can_be_told};
use crate::fault::{Fault, FaultResult};

/// Bytes that a digest takes in a set, with a little room for shares that are not all alike.
pub(super) const DIGEST_BYTES: usize = 17;

/// Digests of the rows' keys in these columns of a table.
pub(super) fn digests(schema: &SchemaRef, places: &[usize]) -> FaultResult<Digests> {
    check(schema, places)?;
    Ok(Digests::new(places.iter().map(|at| schema.field(*at).data_type().clone()).collect()))
}

/// Refuses columns by whose values in the table rows can't be told apart.
pub(crate) fn check(schema: &SchemaRef, places: &[usize]) -> FaultResult<()> {
    let odd = places.iter().map(|at| schema.field(*at)).find(|field| !can_be_told(field.data_type()));
    odd.map_or(Ok(()), |field| {
        let text =
            format!("the key's column {} is {}, by which rows can't be told apart", field.name(), field.data_type());
        Err(Fault::new(FailureCode::KeyUnusable, text))
    })
}

/// One share of the new rows' keys, in order once all were taken.
pub(super) struct KeySet {
    share: u128,
    of: u128,
    digests: Vec<u128>,
}

impl KeySet {
    /// In how many shares so many keys fit `memory` bytes.
    pub(super) fn shares(keys: u64, memory: usize) -> u64 {
        keys.div_ceil((memory / DIGEST_BYTES).max(1) as u64).max(1)
    }

    /// The share of this number out of so many keys; `fill` hands every one of them to it.
    pub(super) fn of<E: From<Fault>>(
        (share, of, keys): (u64, u64, u64),
        fill: impl FnOnce(&mut Self) -> Result<(), E>,
    ) -> Result<Self, E> {
        let room = usize::try_from(keys / of.max(1)).unwrap_or(usize::MAX);
        let digests = Vec::with_capacity(room + room / 64);
        let mut set = Self { share: share.into(), of: of.max(1).into(), digests };
        fill(&mut set)?;
        set.digests.sort_unstable();
        if set.digests.is_sorted_by(|one, next| one < next) {
            return Ok(set);
        }
        Err(Fault::new(FailureCode::KeyViolated, "two of the rows that were read have one key").into())
    }

    /// Whether this digest belongs to this share.
    pub(super) fn is_here(&self, digest: u128) -> bool {
        (digest >> 64) % self.of == self.share
    }

    /// Takes a new row's key in, if it is of this share.
    pub(super) fn take(&mut self, digest: u128) {
        if self.is_here(digest) {
            self.digests.push(digest);
        }
    }

    /// Whether a row with this key is replaced.
    pub(super) fn has(&self, digest: u128) -> bool {
        self.is_here(digest) && self.digests.binary_search(&digest).is_ok()
    }
}

/// The columns of a batch at these places.
pub(super) fn columns_at(columns: &[ArrayRef], places: &[usize]) -> Vec<ArrayRef> {
    places.iter().map(|at| Arc::clone(&columns[*at])).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn schema() -> SchemaRef {
        let fields = [("a", DataType::Utf8), ("b", DataType::Utf8), ("f", DataType::Float64), ("n", DataType::Int64)];
        Arc::new(Schema::new(fields.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
    }

    fn all(digests: &Digests, columns: &[ArrayRef]) -> Vec<u128> {
        let mut all = Vec::new();
        digests.each(columns, |_, digest| all.push(digest)).expect("digests");
        all
    }

    #[test]
    fn a_digest_tells_where_one_column_of_a_key_ends() {
        let both = digests(&schema(), &[0, 1]).expect("a key");
        let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let found = all(&both, &[text(&["ab", "a", "", "ab"]), text(&["c", "bc", "abc", "c"])]);
        assert_eq!(found[0], found[3]);
        assert_eq!(found.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn a_type_whose_values_compare_in_several_ways_is_no_key() {
        let fault = digests(&schema(), &[2]).err().expect("floats");
        assert_eq!(fault.code, FailureCode::KeyUnusable);
        assert!(fault.text.for_customer().contains("column f is Float64"), "{}", fault.text.for_customer());
    }

    #[test]
    fn all_shares_together_hold_every_key_once_and_a_second_one_is_refused() {
        let numbers = digests(&schema(), &[3]).expect("a key");
        let every = all(&numbers, &[Arc::new(Int64Array::from_iter_values(0..1000))]);
        let others = all(&numbers, &[Arc::new(Int64Array::from_iter_values(1000..2000))]);
        let shares = KeySet::shares(1000, 300 * DIGEST_BYTES);
        assert_eq!(shares, 4);
        let mut found = vec![0; every.len()];
        for share in 0..shares {
            let filled = |more: &[u128]| {
                KeySet::of((share, shares, 1000), |set| {
                    every.iter().chain(more).for_each(|digest| set.take(*digest));
                    Ok::<_, Fault>(())
                })
            };
            let set = filled(&[]).expect("each once");
            every.iter().zip(&mut found).for_each(|(digest, found)| *found += i32::from(set.has(*digest)));
            assert!(!others.iter().any(|digest| set.has(*digest)));
            let again = every.iter().find(|digest| set.has(**digest)).expect("one of this share");
            assert_eq!(filled(&[*again]).err().expect("twice").code, FailureCode::KeyViolated);
        }
        assert!(found.iter().all(|count| *count == 1));
    }
}

//! Values of rows as digests, by which equal ones are found: SipHash with 128 bits under a key of one use alone.
//!
//! Whoever writes into the source knows nothing of that key, so two unlike values of one digest are a matter of chance. No value
//! is kept or shown.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use siphasher::sip128::SipHasher24;
use waybill_model::FailureCode;

use crate::fault::{Fault, FaultResult};

/// Turns the values of some columns into one digest for each row.
pub(crate) struct Digests {
    hasher: SipHasher24,
    types: Vec<DataType>,
}

impl Digests {
    /// For columns of these types, under a new key.
    pub(crate) fn new(types: Vec<DataType>) -> Self {
        Self { hasher: SipHasher24::new_with_key(&rand::random()), types }
    }

    /// Hands the digest of each row to `take`, in order.
    pub(crate) fn each(&self, columns: &[ArrayRef], mut take: impl FnMut(usize, u128)) -> FaultResult<()> {
        let bug = |_| Fault::new(FailureCode::WorkerBug, "key columns are of other types than the table's");
        let fields = self.types.iter().map(|kind| SortField::new(kind.clone())).collect();
        let converter = RowConverter::new(fields).map_err(bug)?;
        let rows = converter.convert_columns(columns).map_err(bug)?;
        for (at, row) in rows.iter().enumerate() {
            take(at, self.hasher.hash(row.as_ref()).as_u128());
        }
        Ok(())
    }
}

/// Whether equal values are equal bytes and nothing else is.
pub(crate) fn can_be_told(kind: &DataType) -> bool {
    use DataType as D;
    let plain = matches!(kind, D::Boolean | D::Utf8 | D::Binary | D::Date32 | D::Timestamp(..) | D::Decimal128(..));
    plain || kind.is_integer()
}

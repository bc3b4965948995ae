//! Values that come again, found by the digests of all that came: in a bounded memory, of which it says what it does not hold.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, SchemaRef};
use waybill_model::size::{show_bytes, show_count};

use super::there;
use crate::digests::{Digests, can_be_told};
use crate::fault::FaultResult;
use crate::source::Batch;

const DIGEST: usize = size_of::<u128>();
/// A power of two, so that digests are shared out evenly; one grows by itself, so little is there twice while it does.
const SHARES: usize = 64;

/// Digests of the values that some columns had together.
pub(super) struct Seen {
    places: Vec<usize>,
    digests: Digests,
    kept: Mutex<Kept>,
}

struct Kept {
    shares: Vec<Vec<u128>>,
    rows: u64,
    /// Digests that there is room for.
    room: usize,
    most: usize,
}

impl Seen {
    /// For these columns, in so many bytes; why they can't be told apart otherwise.
    pub(super) fn of(schema: &SchemaRef, places: Vec<usize>, bytes: usize) -> Result<Self, String> {
        let types: Vec<DataType> = places.iter().map(|at| schema.field(*at).data_type().clone()).collect();
        if let Some((at, kind)) = places.iter().zip(&types).find(|(_, kind)| !can_be_told(kind)) {
            let name = schema.field(*at).name();
            return Err(format!("the column {name} is {kind}, by which rows can't be told apart"));
        }
        let twins = vec![DataType::Utf8; types.len()];
        let kept = Kept { shares: vec![Vec::new(); SHARES], rows: 0, room: 0, most: bytes / DIGEST };
        Ok(Self { places, digests: Digests::new([types, twins].concat()), kept: Mutex::new(kept) })
    }

    /// Takes rows in, but for those with a NULL; what is said where they do not fit the memory.
    pub(super) fn take(&self, batch: &Batch) -> FaultResult<Result<(), String>> {
        let columns = self.places.iter().map(|at| Arc::clone(batch.rows.column(*at)));
        let twins = self.places.iter().map(|at| batch.twin(*at));
        let columns: Vec<ArrayRef> = columns.chain(twins).collect();
        let there: Vec<_> = self.places.iter().filter_map(|at| there(batch, *at)).collect();
        let mut found = Vec::with_capacity(batch.rows.num_rows());
        self.digests.each(&columns, |row, digest| {
            if there.iter().all(|there| there.is_valid(row)) {
                found.push(digest);
            }
        })?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(found.into_iter().try_for_each(|digest| kept.push(digest)).map_err(|Full| kept.full()))
    }

    /// Rows whose values an earlier row had; none where nothing came.
    pub(super) fn again(&self) -> Option<u64> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let again = kept.shares.iter_mut().map(|share| {
            share.sort_unstable();
            share.windows(2).filter(|pair| pair[0] == pair[1]).count() as u64
        });
        let again = again.sum();
        (kept.rows > 0).then_some(again)
    }
}

/// There is no room for one more.
struct Full;

impl Kept {
    fn push(&mut self, digest: u128) -> Result<(), Full> {
        let share = &mut self.shares[(digest >> 64) as usize % SHARES];
        if share.len() == share.capacity() {
            let more = (share.len() / 8).max(32);
            if self.room + more > self.most {
                return Err(Full);
            }
            let before = share.capacity();
            share.reserve_exact(more);
            self.room += share.capacity() - before;
        }
        share.push(digest);
        self.rows += 1;
        Ok(())
    }

    fn full(&self) -> String {
        let (rows, bytes) = (show_count(self.rows, "row"), show_bytes((self.most * DIGEST) as u64));
        format!(
            "its {bytes} of the memory hold the digests of {rows}, and more came: about an eighth of `limits.memory` is for them"
        )
    }
}

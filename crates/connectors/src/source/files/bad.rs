//! Rows of text files that can't be read as rows of their stream: kept as they stood, and counted, in place of ending the stream.
//!
//! Only where a row begins and ends is beyond doubt may it be set aside: otherwise good rows might go with it.

use arrow::array::BooleanArray;

use super::rows::Broken;

/// A larger row ends the stream.
pub(super) const LARGEST: usize = 1 << 20;
/// Memory of one beside its bytes, about.
const EACH: usize = 128;

/// One such row.
pub(super) struct BadRow {
    pub(super) broken: Broken,
    pub(super) raw: Vec<u8>,
}

/// Those of one batch.
#[derive(Default)]
pub(super) struct BadRows {
    rows: Vec<BadRow>,
    /// Which of the rows that were made are none, in order.
    made: Vec<usize>,
}

impl BadRows {
    /// Takes a row that no columns were made of; gives the memory that it holds. One that is too large is what it would have been.
    pub(super) fn push(&mut self, broken: Broken, raw: &[u8]) -> Result<usize, Broken> {
        if raw.len() > LARGEST {
            let text = format!("{}; it is larger than 1 MiB, so it is not set aside", broken.text);
            return Err(Broken { text, ..broken });
        }
        self.rows.push(BadRow { broken, raw: raw.to_vec() });
        Ok(raw.len() + EACH)
    }

    /// The same of a row that columns were made of, which `take` then leaves out.
    pub(super) fn push_made(&mut self, broken: Broken, raw: &[u8], row: usize) -> Result<usize, Broken> {
        let size = self.push(broken, raw)?;
        self.made.push(row);
        Ok(size)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All of them, and which of so many rows stay, where not all do.
    pub(super) fn take(&mut self, rows: usize) -> (Vec<BadRow>, Option<BooleanArray>) {
        let made = std::mem::take(&mut self.made);
        let stays = (!made.is_empty()).then(|| {
            let mut stays = vec![true; rows];
            for row in made {
                stays[row] = false;
            }
            BooleanArray::from(stays)
        });
        (std::mem::take(&mut self.rows), stays)
    }
}

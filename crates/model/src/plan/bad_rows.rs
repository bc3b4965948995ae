//! Rows of text files that can't be read as rows of their stream: what becomes of them, and of which streams.

use super::{Columns, NewColumns, StreamPlan};
use crate::run::named;

named! {
    /// What becomes of a row of a text file that can't be read as a row of the stream.
    BadRows {
        /// The stream fails.
        Fail = "fail",
        /// Its text is set aside in the bucket, and the others land.
        Quarantine = "quarantine",
    }
}

impl BadRows {
    /// Whether it is what is taken where nothing is said.
    #[must_use]
    pub fn is_fail(&self) -> bool {
        *self == Self::Fail
    }
}

/// The share of bad rows where nothing is said, in percent.
pub const BAD_ROWS_SHARE: u8 = 1;

pub(super) const fn bad_rows_share() -> u8 {
    BAD_ROWS_SHARE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) const fn is_bad_rows_share(share: &u8) -> bool {
    *share == BAD_ROWS_SHARE
}

impl StreamPlan {
    /// Whether all that the source has of a row goes into the table, or may: the text of a row that is set aside holds nothing more.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let Columns { select, drop, rename: _, cast } = &self.columns;
        let keeps_columns = select.is_empty() && drop.is_empty() && cast.is_empty();
        keeps_columns && self.filter.is_empty() && self.new_columns != Some(NewColumns::Ignore)
    }
}

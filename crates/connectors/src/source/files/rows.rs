//! What the text formats share: a parser is pushed bytes, stops when a batch is full, and gives columns.

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use waybill_model::FailureCode;

use super::bad::BadRow;

/// Columns that a file gave, before filter and choice: those that the stream's choice or filter needs.
pub(super) struct Decoded {
    pub(super) columns: Vec<Column>,
    pub(super) rows: usize,
    /// Which of the rows stay; all where none.
    pub(super) stays: Option<BooleanArray>,
    /// Rows that could not be read.
    pub(super) bad: Vec<BadRow>,
}

/// One column of some rows.
pub(super) struct Column {
    pub(super) values: ArrayRef,
    /// Exact texts of the values that could not stand in `values` as they are; NULL for all others.
    pub(super) altered: Option<StringArray>,
    /// The exact texts go to a twin column; they are only counted otherwise.
    pub(super) twin: bool,
}

/// Why a file can't be read further. The text never holds anything of the file.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) code: FailureCode,
    pub(super) line: u64,
    pub(super) text: String,
}

/// A parser of one file.
pub(super) trait Parser: Send {
    /// Takes bytes until they end or a batch is full; gives how many it took.
    fn feed(&mut self, bytes: &[u8]) -> Result<usize, Broken>;

    /// The file has ended.
    fn end(&mut self) -> Result<(), Broken>;

    /// Whether a batch is full.
    fn is_full(&self) -> bool;

    /// The rows so far; none where there are none.
    fn take(&mut self) -> Option<Decoded>;
}

/// How large a batch may grow.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) rows: usize,
    pub(super) bytes: usize,
    pub(super) row_bytes: usize,
}

impl Bounds {
    pub(super) fn of(want: waybill_pipeline::source::Want) -> Self {
        Self { rows: 64 << 10, bytes: want.batch_bytes.max(1), row_bytes: want.row_bytes.max(1) }
    }
}

//! Columns of a batch that is being filled, as far as they are the same for every database server: buffers, the policies for
//! values that don't fit, and their counts.
//!
//! What the bytes of a field mean is not known here.

pub(crate) mod edge;
pub(crate) mod fixed;
pub(crate) mod text;

use arrow::array::{ArrayRef, StringArray};

/// A finished column of a batch.
pub(crate) struct Done {
    pub(crate) values: ArrayRef,
    pub(crate) twin: Option<StringArray>,
    pub(crate) coerced: u64,
}

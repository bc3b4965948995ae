//! A row that a source has read and that is none of its stream's, as it stood.
//!
//! It goes into the customer's bucket and nowhere else, so it has no `Debug`, `Display` or `Serialize`.

use std::sync::Arc;

use waybill_model::FailureCode;

/// One such row.
pub struct Aside {
    /// The file that it stands in, below the connection's URL.
    pub file: Arc<str>,
    /// The line that it begins on, from 1.
    pub line: u64,
    /// What would have ended the stream.
    pub code: FailureCode,
    /// The same in words.
    pub why: String,
    /// Its bytes without the line end. Text in another encoding is UTF-8 here.
    pub raw: Vec<u8>,
}

impl Aside {
    /// Memory that it holds, about.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.why.len() + self.raw.len()
    }
}

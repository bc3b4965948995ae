//! What happens to values that the stored type can't hold, and how many there were.
//!
//! The default keeps the exact text for the twin column. Nothing is changed without being counted.

use arrow::array::{StringArray, StringBuilder};
use waybill_model::FailureCode;
use waybill_model::plan::EdgePolicy;
use waybill_pipeline::{Fault, FaultResult};

/// The edge values of one column in one batch.
pub(crate) struct Edges {
    policy: EdgePolicy,
    texts: Vec<(usize, String)>,
    count: u64,
}

impl Edges {
    pub(crate) fn new(policy: EdgePolicy) -> Self {
        Self { policy, texts: Vec::new(), count: 0 }
    }

    /// Whether infinite times become the ends of the calendar.
    pub(crate) fn has_sentinels(&self) -> bool {
        self.policy == EdgePolicy::Sentinel
    }

    /// A value that is kept as it is, but worth counting; or one that a sentinel stands for.
    pub(crate) fn count(&mut self) {
        self.count += 1;
    }

    /// A value that can't stand in the column: its place becomes NULL. Sentinels exist for times only; elsewhere the text
    /// is kept, so that nothing is lost. Returns the bytes that it takes.
    pub(crate) fn meet(&mut self, row: usize, text: impl FnOnce() -> String) -> FaultResult<usize> {
        self.count += 1;
        match self.policy {
            EdgePolicy::Fail => {
                let text = "a value can't be stored exactly, and `edge-values` says fail";
                Err(Fault::new(FailureCode::ValueRefused, text))
            }
            EdgePolicy::Null => Ok(0),
            EdgePolicy::Twin | EdgePolicy::Sentinel => {
                let text = text();
                let bytes = text.len();
                self.texts.push((row, text));
                Ok(bytes)
            }
        }
    }

    /// The twin of a column of `rows` values and the count; begins anew.
    pub(crate) fn finish(&mut self, rows: usize) -> (Option<StringArray>, u64) {
        let (texts, count) = self.take();
        (twin(rows, &texts), count)
    }

    /// The texts that were kept, by their rows, and the count; begins anew.
    pub(crate) fn take(&mut self) -> (Vec<(usize, String)>, u64) {
        (std::mem::take(&mut self.texts), std::mem::take(&mut self.count))
    }
}

/// An array of NULLs with texts at some places, which rise; none without texts.
pub(crate) fn twin(rows: usize, texts: &[(usize, String)]) -> Option<StringArray> {
    if texts.is_empty() {
        return None;
    }
    let mut builder = StringBuilder::with_capacity(rows, texts.iter().map(|(_, text)| text.len()).sum());
    let mut next = 0;
    for (row, text) in texts {
        builder.append_nulls(row - next);
        builder.append_value(text);
        next = row + 1;
    }
    builder.append_nulls(rows - next);
    Some(builder.finish())
}

//! All parts as one list in the order of keys: of a file that stands in several the newest part knows it.

use super::part::PartReader;
use super::{Part, Shelf, TakenFile};
use crate::fault::FaultResult;

/// The files that runs before took.
#[derive(Default)]
pub struct Earlier {
    /// Oldest first.
    parts: Vec<Open>,
}

struct Open {
    reader: PartReader,
    next: Option<TakenFile>,
}

impl Earlier {
    pub(super) async fn open(shelf: &Shelf, parts: &[Part]) -> FaultResult<Self> {
        let mut open = Vec::with_capacity(parts.len());
        for part in parts {
            let mut reader = PartReader::open(shelf, part).await?;
            let next = reader.next().await?;
            open.push(Open { reader, next });
        }
        Ok(Self { parts: open })
    }

    /// The next file; none at the end of the list.
    pub async fn next(&mut self) -> FaultResult<Option<TakenFile>> {
        let keys = self.parts.iter().filter_map(|part| part.next.as_ref()).map(|file| &file.key);
        let Some(least) = keys.min().cloned() else { return Ok(None) };
        let mut newest = None;
        for part in &mut self.parts {
            if part.next.as_ref().is_some_and(|file| file.key == least) {
                newest = part.next.take();
                part.next = part.reader.next().await?;
            }
        }
        Ok(newest)
    }
}

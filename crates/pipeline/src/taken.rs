//! Which files a stream's runs have taken: a list too long for a state, kept beside it in sorted parts.
//!
//! A state names its parts with size and SHA-256, so what is in the list becomes current with the rows or not at all; a part is
//! never changed. Whoever reads gets all parts as one list in the order of keys and holds no more than a line of each; whoever
//! adds writes one part, into which small ones go, so that there are few. It holds keys and ETags: it never leaves the
//! customer's bucket, and has no `Debug`.

mod earlier;
mod part;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use waybill_model::{Epoch, FailureCode};

use crate::bucket::Bucket;
use crate::fault::{Fault, FaultResult};

pub use earlier::Earlier;
use part::PartWriter;

/// A part goes into the next one while it has at most so many times its files: then there are at most as many parts as the number
/// of files has bits, and a file is written anew a number of times that grows with its logarithm.
const GROWTH: u64 = 2;

/// A file as a run took it.
#[derive(Clone, PartialEq, Eq)]
pub struct TakenFile {
    /// Its key below the source's address.
    pub key: String,
    /// What changes with every rewrite.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
}

/// A part of the list, as a state names it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Its path below the table.
    pub(crate) path: String,
    /// Files in it.
    pub(crate) files: u64,
    /// Its size.
    pub(crate) bytes: u64,
    /// SHA-256 of its bytes.
    pub(crate) sha256: String,
}

/// Where the parts lie.
#[derive(Clone)]
pub(crate) struct Shelf {
    pub(crate) bucket: Arc<dyn Bucket>,
    /// The table's directory.
    pub(crate) table: String,
}

impl Shelf {
    fn key(&self, part: &Part) -> String {
        format!("{}/{}", self.table, part.path)
    }
}

/// What runs before took, and what this one takes.
#[derive(Clone, Default)]
pub struct Taken {
    parts: Vec<Part>,
    shelf: Option<Shelf>,
    now: Arc<Vec<TakenFile>>,
}

impl Taken {
    /// What a state names.
    pub(crate) fn of_parts(parts: Vec<Part>) -> Self {
        Self { parts, ..Self::default() }
    }

    /// The same with the place where its parts are read.
    pub(crate) fn on(self, shelf: Shelf) -> Self {
        Self { shelf: Some(shelf), ..self }
    }

    /// The same with files that this run takes besides, in the order of their keys' bytes. One that was taken before, with another
    /// ETag or size, is from then on known as it is now.
    #[must_use]
    pub fn with(&self, now: Vec<TakenFile>) -> Self {
        Self { now: Arc::new(now), ..self.clone() }
    }

    /// How many files this run takes.
    #[must_use]
    pub fn new_files(&self) -> u64 {
        self.now.len() as u64
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Reads what runs before took. A part that is not as it was written ends the reading with `commit_log_corrupt`.
    pub async fn earlier(&self) -> FaultResult<Earlier> {
        if self.parts.is_empty() {
            return Ok(Earlier::default());
        }
        let shelf = self.shelf.as_ref().ok_or_else(|| Fault::new(FailureCode::WorkerBug, "parts without a place"))?;
        Earlier::open(shelf, &self.parts).await
    }

    /// Writes what this run takes, and gives the parts of the whole list as the run's state is to name them.
    pub(crate) async fn write(&self, shelf: &Shelf, epoch: Epoch) -> FaultResult<Vec<Part>> {
        if self.now.is_empty() {
            return Ok(self.parts.clone());
        }
        let kept = kept(&self.parts, self.new_files());
        let mut earlier = Earlier::open(shelf, &self.parts[kept..]).await?;
        let path = part_path(epoch);
        let mut writer = PartWriter::begin(shelf, path).await?;
        let (mut older, mut newer) = (earlier.next().await?, self.now.iter().peekable());
        loop {
            let file = match (&older, newer.peek()) {
                (None, None) => break,
                (Some(old), Some(new)) if old.key < new.key => None,
                (Some(old), Some(new)) if old.key == new.key => {
                    older = earlier.next().await?;
                    newer.next()
                }
                (_, Some(_)) => newer.next(),
                (Some(_), None) => None,
            };
            match file {
                Some(file) => writer.add(file).await?,
                None => {
                    let Some(old) = older.take() else { break };
                    writer.add(&old).await?;
                    older = earlier.next().await?;
                }
            }
        }
        let mut parts = self.parts[..kept].to_vec();
        parts.push(writer.finish().await?);
        Ok(parts)
    }
}

impl PartialEq for Taken {
    fn eq(&self, other: &Self) -> bool {
        self.parts == other.parts && self.now == other.now
    }
}

impl Eq for Taken {}

/// Parts that stay as they are where so many files come; those behind them go into the new one.
fn kept(parts: &[Part], mut files: u64) -> usize {
    let mut kept = parts.len();
    while let Some(last) = parts[..kept].last().filter(|last| last.files <= files.saturating_mul(GROWTH)) {
        files += last.files;
        kept -= 1;
    }
    kept
}

/// Below a table, where parts lie.
pub(crate) const PARTS: &str = "_waybill/taken/";

fn part_path(epoch: Epoch) -> String {
    format!("{PARTS}{:020}-{}.jsonl.zst", epoch.0, uuid::Uuid::new_v4())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_few_parts_and_a_file_is_written_anew_rarely() {
        let (mut parts, mut written): (Vec<Part>, u64) = (Vec::new(), 0);
        for run in 1..=20_000 {
            let kept = kept(&parts, 1);
            let files = 1 + parts.drain(kept..).map(|part| part.files).sum::<u64>();
            written += files;
            parts.push(Part { path: String::new(), files, bytes: 0, sha256: String::new() });
            assert!(parts.len() <= 15, "{} parts after {run} runs", parts.len());
        }
        assert!(written < 20_000 * 15, "{written} lines for 20,000 files");
        assert_eq!(kept(&parts, 20_000), 0, "many new files take what is there with them");
    }
}

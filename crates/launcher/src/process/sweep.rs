//! Old attempt directories: which of them go. Never one of a live attempt: neither one that the caller names, nor one
//! whose log a process still holds.

use std::collections::HashSet;
use std::fs::DirEntry;
use std::io::Result;
use std::path::Path;
use std::time::{Duration, SystemTime};

use waybill_model::AttemptId;

use super::directory::AttemptDirectory;

/// What is kept of attempts that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// So many of the newest ones.
    pub newest: usize,
    /// None that was last written longer ago.
    pub age: Duration,
}

/// Removes the directories of attempts that are over beyond `keep`; says how many went.
pub(super) fn sweep(root: &Path, keep: Keep, live: &HashSet<AttemptId>) -> Result<usize> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let entry = entry?;
        // What does not bear an attempt's name is not ours to remove.
        if let Some(attempt) = entry.file_name().to_str().and_then(|name| name.parse::<AttemptId>().ok())
            && !live.contains(&attempt)
        {
            found.push((attempt, written(&entry)));
        }
    }
    // Ids rise with time.
    found.sort_by_key(|(attempt, _)| std::cmp::Reverse(*attempt));
    let now = SystemTime::now();
    let is_old = |at: SystemTime| now.duration_since(at).is_ok_and(|age| age > keep.age);
    let mut removed = 0;
    for (place, (attempt, at)) in found.into_iter().enumerate() {
        if place >= keep.newest || is_old(at) {
            removed += usize::from(AttemptDirectory::new(root, attempt).remove_if_over()?);
        }
    }
    Ok(removed)
}

/// When a directory or its log was written last; now where that can't be said.
fn written(entry: &DirEntry) -> SystemTime {
    let of = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let log = AttemptDirectory::at(entry.path()).log();
    of(&entry.path()).max(of(&log)).unwrap_or_else(SystemTime::now)
}

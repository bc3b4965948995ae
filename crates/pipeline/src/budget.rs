//! The memory budget of one worker (law 8): how much there is, and reservations drawn from it.
//!
//! Batches, row groups and upload buffers are drawn from here before they exist. What is drawn is half of the
//! limit: the rest is the program, its threads' stacks, the allocator's slack and a source's own buffers.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Less than this can't hold one lane.
pub const SMALLEST: u64 = 64 * MIB;

/// Where neither an option nor a control group bounds the worker.
const UNBOUNDED: u64 = GIB;
const GIB: u64 = 1 << 30;

/// What the program itself takes at least before the first row. More is counted where the kernel says so: how many pages of the
/// program file it maps differs by kernel and build.
const PROGRAM: u64 = 20 * MIB;

/// What the smallest worker can draw, and every other one too.
const LEAST: u64 = (SMALLEST - PROGRAM) / 2;

/// The budget of one worker. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: u64,
    usable: u64,
    left: Arc<Semaphore>,
}

/// Bytes taken from the budget; dropping it gives them back.
#[derive(Debug)]
pub struct Reservation {
    bytes: u64,
    _permit: OwnedSemaphorePermit,
}

impl Reservation {
    /// How many.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// Less memory than a worker can run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a worker needs at least 64 MiB of memory: raise --memory, `limits.memory` or the container's limit")]
pub struct TooSmall;

impl Budget {
    /// A budget for a process that may take `limit` bytes in all.
    pub fn new(limit: u64) -> Result<Self, TooSmall> {
        Self::beside(limit, PROGRAM)
    }

    /// The same, where the program itself takes so many bytes of them.
    fn beside(limit: u64, program: u64) -> Result<Self, TooSmall> {
        if limit < SMALLEST {
            return Err(TooSmall);
        }
        let usable = (limit.saturating_sub(program.max(PROGRAM)) / 2).max(LEAST);
        let permits = u32::try_from(usable / KIB).unwrap_or(u32::MAX) as usize;
        Ok(Self { limit, usable, left: Arc::new(Semaphore::new(permits)) })
    }

    /// From what was asked for, or else from the control group this process runs in; beside what the process holds by now, before
    /// it has read a row.
    pub fn detect(asked: u64) -> Result<Self, TooSmall> {
        let root = Path::new("/");
        let limit = Some(asked).filter(|asked| *asked > 0).or_else(|| control_group_limit(root)).unwrap_or(UNBOUNDED);
        Self::beside(limit, resident(root).unwrap_or(PROGRAM))
    }

    /// Bytes that the process may take in all.
    #[must_use]
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that can be drawn in all.
    #[must_use]
    pub const fn usable(&self) -> u64 {
        self.usable
    }

    /// What one of `lanes` lanes may take of the whole process's memory.
    #[must_use]
    pub fn per_lane(&self, lanes: u32) -> u64 {
        self.limit / u64::from(lanes.max(1))
    }

    /// What can be drawn where the program takes no more than it must: what limits that people meet are a part of, so that they
    /// are the same on every machine.
    #[must_use]
    pub const fn nominal(&self) -> u64 {
        (self.limit - PROGRAM) / 2
    }

    /// The largest row that is accepted.
    #[must_use]
    pub const fn row_bytes(&self) -> u64 {
        self.nominal() / 8
    }

    /// Waits until `bytes` are free and takes them. More than the whole is the whole.
    pub async fn reserve(&self, bytes: u64) -> Reservation {
        let bytes = bytes.min(self.usable);
        let permits = u32::try_from(bytes / KIB).unwrap_or(u32::MAX);
        // The semaphore lives as long as this budget and is never closed.
        match Arc::clone(&self.left).acquire_many_owned(permits).await {
            Ok(permit) => Reservation { bytes, _permit: permit },
            Err(_) => std::future::pending().await,
        }
    }

    /// Bytes that are free now.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.left.available_permits() as u64 * KIB
    }
}

/// Bytes that this process holds in memory, pages of its program file included.
fn resident(root: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(root.join("proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * KIB)
}

/// The limit of the control group of this process: version 2 (the lowest on the way up) or version 1.
fn control_group_limit(root: &Path) -> Option<u64> {
    let own = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let base = root.join("sys/fs/cgroup");
    let mut lowest: Option<u64> = None;
    let mut note = |file: &Path| {
        let limit = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
        // Version 1 writes a number near 2^63 where there is no limit.
        if let Some(limit) = limit.filter(|limit| *limit < 1 << 60) {
            lowest = Some(lowest.map_or(limit, |now| now.min(limit)));
        }
    };
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(kinds), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (top, name) = if kinds.is_empty() {
            (base.clone(), "memory.max")
        } else if kinds.split(',').any(|kind| kind == "memory") {
            (base.join("memory"), "memory.limit_in_bytes")
        } else {
            continue;
        };
        note(&top.join(name));
        let mut dir = top;
        for step in path.split('/').filter(|step| !step.is_empty() && *step != "..") {
            dir.push(step);
            note(&dir.join(name));
        }
    }
    lowest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("dirs");
        std::fs::write(path, text).expect("write");
    }

    #[test]
    fn the_lowest_limit_on_the_way_up_counts_in_version_2() {
        let root = tempfile::tempdir().expect("dir");
        lay(root.path(), "proc/self/cgroup", "0::/a/b\n");
        lay(root.path(), "sys/fs/cgroup/a/memory.max", "268435456\n");
        lay(root.path(), "sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(control_group_limit(root.path()), Some(256 * MIB));
    }

    #[test]
    fn version_1_is_read_and_its_no_limit_is_none() {
        let root = tempfile::tempdir().expect("dir");
        lay(root.path(), "proc/self/cgroup", "5:cpu:/\n4:memory:/docker/x\n");
        lay(root.path(), "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(control_group_limit(root.path()), None);
        lay(root.path(), "sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "134217728\n");
        assert_eq!(control_group_limit(root.path()), Some(128 * MIB));
    }

    #[test]
    fn what_the_program_takes_is_not_drawn_and_the_smallest_worker_still_works() {
        let usable =
            |limit: u64, program: u64| Budget::beside(limit * MIB, program * MIB).expect("budget").usable() / MIB;
        assert_eq!((usable(128, 5), usable(128, 20), usable(128, 48)), (54, 54, 40));
        assert_eq!((usable(64, 20), usable(64, 48), usable(64, 400)), (22, 22, 22));
        let rows = [20, 48].map(|program| Budget::beside(128 * MIB, program * MIB).expect("budget").row_bytes());
        assert_eq!(rows, [54 * MIB / 8; 2], "the largest row is the same on every machine");
        let root = tempfile::tempdir().expect("dir");
        assert_eq!(resident(root.path()), None);
        lay(root.path(), "proc/self/status", "Name:\tworker\nVmHWM:\t   90000 kB\nVmRSS:\t   49152 kB\n");
        assert_eq!(resident(root.path()), Some(48 * MIB));
        let own = resident(Path::new("/")).expect("the kernel tells");
        assert!(own > MIB && own < GIB, "{own}");
    }

    #[test]
    fn too_little_memory_is_refused() {
        assert_eq!(Budget::new(63 * MIB).err(), Some(TooSmall));
    }

    #[tokio::test]
    async fn what_is_drawn_comes_back_and_never_exceeds_the_whole() {
        let budget = Budget::new(128 * MIB).expect("budget");
        let all = budget.reserve(u64::MAX).await;
        assert!(all.bytes() <= budget.usable() && budget.free() == 0);
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(MIB).await.bytes() }
        });
        drop(all);
        assert_eq!(waiting.await.expect("joined"), MIB);
    }
}

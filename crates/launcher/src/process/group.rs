//! Control groups of workers: one for each, below the group that was named, with the memory that its plan gives it. Memory that
//! runs out there ends that worker and nobody else. Where the kernel gives none, workers share the named one, and it is said.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use waybill_model::AttemptId;

/// The two generations of control groups, as far as memory is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    First,
    Second,
}

impl Generation {
    fn of(root: &Path) -> Option<Self> {
        if root.join("cgroup.controllers").exists() {
            return Some(Self::Second);
        }
        root.join("memory.limit_in_bytes").exists().then_some(Self::First)
    }

    /// Files that take the limit: memory, and memory with what is swapped out, which would put off the end.
    const fn limits(self) -> [(&'static str, Swap); 2] {
        match self {
            Self::First => [("memory.limit_in_bytes", Swap::In), ("memory.memsw.limit_in_bytes", Swap::In)],
            Self::Second => [("memory.max", Swap::In), ("memory.swap.max", Swap::None)],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swap {
    In,
    None,
}

/// The group that workers are put into.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    root: PathBuf,
    /// Whether each worker gets one of its own; which files it has then.
    own: Option<Generation>,
}

impl Groups {
    /// Below this directory, which exists. Says in the log what workers get.
    pub(super) fn below(root: PathBuf) -> Self {
        let place = root.display().to_string();
        match Generation::of(&root).ok_or_else(not_memory).and_then(|own| try_one(&root, own)) {
            Ok(own) => {
                tracing::info!(group = place, "each worker gets a control group of its own, with its plan's memory");
                leftovers(&root);
                Self { root, own: Some(own) }
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    group = place,
                    "workers share this control group, since none of their own can be made in it: one that takes too much \
                     memory may take the others along"
                );
                Self { root, own: None }
            }
        }
    }

    /// Puts a worker, with what it starts from then on, into its group.
    pub(super) fn enter(&self, attempt: AttemptId, pid: Pid, memory: Option<u64>) -> io::Result<()> {
        let group = match (self.own, memory) {
            // A group of the second generation whose children have limits may hold no process itself.
            (Some(own), Some(_)) | (Some(own @ Generation::Second), None) => {
                let group = self.root.join(attempt.to_string());
                make(&group, own, memory)?;
                group
            }
            _ => self.root.clone(),
        };
        std::fs::write(group.join("cgroup.procs"), pid.as_raw_nonzero().to_string())
    }

    /// Removes the group of a worker that is over.
    pub(super) fn leave(&self, attempt: AttemptId) {
        // One that still holds a process stays, and goes at the next start.
        let _ = std::fs::remove_dir(self.root.join(attempt.to_string()));
    }
}

fn not_memory() -> io::Error {
    io::Error::other("it is no control group that limits memory")
}

fn make(group: &Path, own: Generation, memory: Option<u64>) -> io::Result<()> {
    match std::fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let Some(memory) = memory else { return Ok(()) };
    for (number, (file, swap)) in own.limits().into_iter().enumerate() {
        let most = if swap == Swap::In { memory } else { 0 };
        let wrote = std::fs::write(group.join(file), most.to_string());
        // A kernel may count no swap; the first file is the limit.
        if number == 0 {
            wrote?;
        }
    }
    Ok(())
}

/// Makes a group with a limit and removes it again.
fn try_one(root: &Path, own: Generation) -> io::Result<Generation> {
    if own == Generation::Second {
        // Where it is on already, or is not ours to turn on, the limit below says so.
        let _ = std::fs::write(root.join("cgroup.subtree_control"), "+memory");
    }
    let group = root.join(format!("waybill-probe-{}", std::process::id()));
    let made = make(&group, own, Some(64 << 20));
    let _ = std::fs::remove_dir(&group);
    made.map(|()| own)
}

/// Groups of workers that were over when nobody was there to remove them.
fn leftovers(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().parse::<AttemptId>().is_ok() {
            let _ = std::fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that only looks like a control group, as far as files do.
    fn looks_like(file: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join(file), "").expect("written");
        dir
    }

    #[test]
    fn each_generation_has_its_own_files_for_memory_and_swap() {
        for (mark, limit, swap) in [
            ("memory.limit_in_bytes", "memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", "1048576")),
            ("cgroup.controllers", "memory.max", ("memory.swap.max", "0")),
        ] {
            let root = looks_like(mark);
            let groups = Groups::below(root.path().to_owned());
            let (attempt, group) = (AttemptId::generate(), root.path());
            groups.enter(attempt, rustix::process::getpid(), Some(1 << 20)).expect("entered");
            let read = |name: &str| std::fs::read_to_string(group.join(attempt.to_string()).join(name));
            assert_eq!(read(limit).expect("a limit"), "1048576");
            assert_eq!(read(swap.0).expect("a limit of swap"), swap.1);
            assert_eq!(read("cgroup.procs").expect("a process"), std::process::id().to_string());
        }
    }

    #[test]
    fn a_directory_that_limits_no_memory_is_shared_by_all() {
        let root = tempfile::tempdir().expect("a directory");
        let groups = Groups::below(root.path().to_owned());
        groups.enter(AttemptId::generate(), rustix::process::getpid(), Some(1 << 20)).expect("entered");
        assert!(root.path().join("cgroup.procs").exists());
        assert_eq!(std::fs::read_dir(root.path()).expect("a list").count(), 1, "nothing else was made");
    }
}

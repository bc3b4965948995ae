//! Whether memory ran out for a process: the kernel's count of kills in its control group, and the last words of an
//! allocator that met the limit which the launcher set. Reads counters and one line, never anything about rows.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

/// How the kernel is told which process to end first when memory runs out: the worker, not who started it.
const FIRST_TO_GO: &str = "800";

/// What Rust's runtime writes before it aborts for want of memory.
const LAST_WORDS: &[u8] = b"memory allocation of ";

/// As much of a log's end as is looked at for them.
const TAIL: i64 = 4_096;

/// A count of processes that were killed for want of memory, and how it stood when a process began.
pub(super) struct KillCount {
    file: PathBuf,
    before: u64,
}

impl KillCount {
    /// The count that a kill of this process would raise: of its control group, or of the whole host.
    pub(super) fn of(pid: Pid) -> Option<Self> {
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())).ok()?;
        let files = groups.lines().filter_map(count_file).chain([PathBuf::from("/proc/vmstat")]);
        files.into_iter().find_map(|file| read(&file).map(|before| Self { file, before }))
    }

    /// Whether somebody was killed since.
    pub(super) fn rose(&self) -> bool {
        read(&self.file).is_some_and(|now| now > self.before)
    }
}

/// The file that counts kills in the control group of one line of `/proc/<pid>/cgroup`.
fn count_file(line: &str) -> Option<PathBuf> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (controllers, group) = (parts.next()?, parts.next()?.trim_start_matches('/'));
    let root = Path::new("/sys/fs/cgroup");
    match controllers {
        "" => Some(root.join(group).join("memory.events")),
        named if named.split(',').any(|name| name == "memory") => {
            Some(root.join("memory").join(group).join("memory.oom_control"))
        }
        _ => None,
    }
}

fn read(file: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Makes a process the first that the kernel ends; where that is not allowed, the kernel chooses the largest.
pub(super) fn offer_first(pid: Pid) {
    if let Err(error) = std::fs::write(format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero()), FIRST_TO_GO) {
        tracing::debug!(error = &error as &dyn std::error::Error, "the kernel was not told whom to end first");
    }
}

/// Whether a log ends with the words of an allocator that got no memory.
pub(super) fn gave_up(log: &Path) -> bool {
    let tail = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
        file.seek(SeekFrom::End(-length.min(TAIL)))?;
        let mut tail = Vec::new();
        file.take(TAIL.unsigned_abs()).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let is_told = |tail: Vec<u8>| tail.split(|byte| *byte == b'\n').any(|line| line.starts_with(LAST_WORDS));
    tail().is_ok_and(is_told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_either_generation_of_control_groups_is_found() {
        let file = |line| count_file(line).map(|file| file.display().to_string());
        let second = "/sys/fs/cgroup/system.slice/waybill.service/memory.events";
        assert_eq!(file("0::/system.slice/waybill.service").as_deref(), Some(second));
        let first = "/sys/fs/cgroup/memory/docker/0a1b/memory.oom_control";
        assert_eq!(file("4:memory:/docker/0a1b").as_deref(), Some(first));
        assert_eq!((file("2:cpu,cpuacct:/docker/0a1b"), file("1:name=systemd:/"), file("")), (None, None, None));
    }

    #[test]
    fn a_count_is_read_beside_its_neighbours() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let wrote = |text: &str| std::fs::write(file.path(), text).expect("written");
        wrote("low 0\nhigh 3\nmax 70\noom 2\noom_kill 1\noom_group_kill 9\n");
        let count = KillCount { file: file.path().to_owned(), before: read(file.path()).expect("a count") };
        assert!(!count.rose());
        wrote("low 0\nhigh 3\nmax 71\noom 3\noom_kill 2\noom_group_kill 9\n");
        assert!(count.rose());
        wrote("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n");
        assert_eq!(read(file.path()), Some(7));
    }

    #[test]
    fn this_process_has_a_count() {
        assert!(KillCount::of(rustix::process::getpid()).is_some_and(|count| !count.rose()));
    }

    #[test]
    fn only_the_allocators_own_line_at_the_end_of_a_log_counts() {
        let log = tempfile::NamedTempFile::new().expect("a file");
        let wrote = |text: String| {
            std::fs::write(log.path(), text).expect("written");
            gave_up(log.path())
        };
        assert!(wrote("begin\nmemory allocation of 16777216 bytes failed\n".into()));
        assert!(!wrote("a row says: memory allocation of 1 bytes failed\n".into()));
        assert!(!wrote(String::new()));
        assert!(!wrote(format!("memory allocation of 1 bytes failed\n{}", "x\n".repeat(4_096))));
        assert!(!gave_up(Path::new("/nonexistent/log")));
    }
}

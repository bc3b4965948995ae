//! A control group with a memory limit, for tests of what the kernel does where one is met.

use std::path::{Path, PathBuf};

/// A control group of this test's own, with a limit; removed at the end.
pub struct ControlGroup(PathBuf);

impl ControlGroup {
    /// With this limit; none where this machine allows no such group.
    #[must_use]
    pub fn limited_to(bytes: u64) -> Option<Self> {
        let own = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let second = own.lines().find_map(|line| line.strip_prefix("0::"));
        let first = own.lines().find_map(|line| line.split_once(":memory:").map(|(_, group)| group));
        let (parent, file) = match first {
            Some(group) => (format!("/sys/fs/cgroup/memory{group}"), "memory.limit_in_bytes"),
            None => (format!("/sys/fs/cgroup{}", second?), "memory.max"),
        };
        let group = Path::new(&parent).join(format!("waybill-test-{}", std::process::id()));
        std::fs::create_dir(&group).ok()?;
        let group = Self(group);
        std::fs::write(group.0.join(file), bytes.to_string()).ok()?;
        // Swapped out, nothing would ever run out.
        let _ = std::fs::write(group.0.join("memory.swap.max"), "0");
        Some(group)
    }

    /// Its directory.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.0
    }

    /// Groups in it.
    #[must_use]
    pub fn inner(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }

    /// Kills by the kernel for want of memory here.
    ///
    /// # Panics
    /// When the kernel shows no such count.
    #[must_use]
    pub fn kills(&self) -> u64 {
        let files = ["memory.events", "memory.oom_control"].map(|name| std::fs::read_to_string(self.0.join(name)));
        let text = files.into_iter().find_map(Result::ok).expect("the group's counters");
        text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()).expect("a count of kills")
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // One that is not empty stays, and so does what it is in.
        for group in self.inner().iter().chain([&self.0]) {
            let _ = std::fs::remove_dir(group);
        }
    }
}

//! What this host can say about a process: the boot and the pid namespace tell hosts apart, the start time tells a
//! process from a later one with the same number.

use std::io::Result;

use rustix::process::Pid;

use super::reference::ProcessRef;

/// This host, as references name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host(String);

/// What can be seen of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It belongs to another host, boot or namespace.
    OtherHost,
    /// It lives.
    Alive,
    /// It has ended.
    Over,
}

impl Host {
    pub(super) fn this() -> Result<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let namespace = std::fs::read_link("/proc/self/ns/pid")?;
        Ok(Self(format!("{} {}", boot.trim(), namespace.display())))
    }

    #[cfg(test)]
    pub(super) fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    pub(super) fn see(&self, task: &ProcessRef) -> Sight {
        if task.host != self.0 {
            return Sight::OtherHost;
        }
        match task.pid().and_then(stat) {
            Some((state, started)) if started == task.started && !matches!(state, 'Z' | 'X') => Sight::Alive,
            _ => Sight::Over,
        }
    }

    /// Clock ticks from the boot to the start of a process.
    pub(super) fn start_time(&self, pid: Pid) -> Option<u64> {
        stat(pid).map(|(_, started)| started)
    }
}

/// State and start time; the name in between may hold anything, brackets too.
fn stat(pid: Pid) -> Option<(char, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

//! Processes as a test sees and signals them: by their number, never by their name.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

/// Sends a signal such as `STOP` to a process.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status()?;
    ensure!(status.success(), "kill -s {name} {pid}");
    Ok(())
}

/// Whether the process exists and has not ended; one that nobody collected yet has.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// Whether the process is stopped, as the kernel says.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    state(pid) == Some('T')
}

/// Continues a process, again where it stops itself once more, until it has not been stopped for a fifth of a second.
pub async fn wake(pid: u32) -> Result<()> {
    let mut awake = 0;
    while awake < 10 && is_alive(pid) {
        match is_stopped(pid) {
            true => {
                signal(pid, "CONT")?;
                awake = 0;
            }
            false => awake += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // looks, not a guess at how long it takes
    }
    Ok(())
}

/// Process ids of the workers that a launcher ever started below this directory of attempts.
#[must_use]
pub fn workers(attempts: &Path) -> Vec<u32> {
    let found = std::fs::read_dir(attempts).into_iter().flatten().flatten();
    found.filter_map(|entry| worker_of(&entry.path())).collect()
}

/// Ends those of them that live, with what they started: each leads a group of its own.
pub fn end_workers(attempts: &Path) {
    for pid in workers(attempts).into_iter().filter(|pid| is_alive(*pid)) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

fn worker_of(attempt: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(attempt.join("task")).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok()?["pid"].as_u64()?.try_into().ok()
}

/// The letter after the name, which may hold anything, brackets too.
fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

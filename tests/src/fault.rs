//! Faults that real processes act out: how a test orders them, sees that they fired, and lets what they hold go on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The file that says that a fault fired: a line for each time, with the process that it happened to.
#[derive(Clone)]
pub struct Marker(PathBuf);

impl Marker {
    /// At this place, where nothing is yet.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Its place.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Another marker in the same directory.
    #[must_use]
    pub fn beside(&self, name: &str) -> Self {
        Self(self.0.with_file_name(name))
    }

    /// One fault for [`crate::sandbox::Options::with_faults`]: `point=action`, marked here.
    #[must_use]
    pub fn order(&self, fault: &str) -> String {
        format!("{fault};{}", self.0.display())
    }

    /// The processes that it happened to, in order. An error where it did not fire.
    pub fn fired(&self) -> Result<Vec<u32>> {
        let text = std::fs::read_to_string(&self.0).context("the fault did not fire")?;
        let pid = |line: &str| line.rsplit(' ').next().and_then(|pid| pid.parse().ok());
        text.lines().map(pid).collect::<Option<Vec<u32>>>().context("a half-written marker")
    }

    /// Waits until it fired this many times, in 30 s; the process that it happened to last.
    pub async fn fires(&self, times: usize) -> Result<u32> {
        for _ in 0..1_200 {
            if let Ok(pids) = self.fired()
                && pids.len() >= times
                && let Some(last) = pids.last()
            {
                return Ok(*last);
            }
            tokio::time::sleep(Duration::from_millis(25)).await; // a poll for the marker, bounded
        }
        anyhow::bail!("the fault fired {} times in 30 s, not {times}", self.fired().map_or(0, |pids| pids.len()))
    }

    /// Lets what the fault holds go on. A process that is stopped has to be continued as well.
    pub fn release(&self) -> Result<()> {
        let mut go = self.0.clone().into_os_string();
        go.push(".go");
        Ok(std::fs::write(go, "")?)
    }
}

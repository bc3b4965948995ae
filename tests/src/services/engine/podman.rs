//! Podman's service as an engine: the same language at the same kind of socket, and another program behind it.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use super::{Engine, address};

/// Limits that every host grants (soft as hard: version 4.3 swaps the two), and no record of the service's in the host's journal.
const SETTINGS: &str = r#"
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"#;

impl Engine {
    /// Starts Podman's service without images.
    pub fn podman() -> Result<Self> {
        ensure!(has("podman"), "podman is missing. As root: apt-get install podman runc");
        let dir = tempfile::Builder::new().prefix("waybill-podman-").tempdir()?;
        let place = |name: &str| dir.path().join(name);
        // crun refuses hosts that have both versions of control groups.
        let runtime = if has("runc") { "runtime = \"runc\"\n" } else { "" };
        std::fs::write(place("settings"), format!("{SETTINGS}{runtime}"))?;
        let (data, exec) = (place("data").display().to_string(), place("exec").display().to_string());
        let socket = address(dir.path());
        let service = ["podman", "--root", &data, "--runroot", &exec, "--storage-driver", "vfs", "system", "service"];
        let command = [&service[..], &["--time", "0", &socket]].concat();
        let variables = [("CONTAINERS_CONF", place("settings"))];
        Self::serve(dir, &command, &variables)
    }
}

fn has(program: &str) -> bool {
    let asked = Command::new(program).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

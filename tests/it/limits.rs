//! What a machine gives tests: those that its kernel forbids may be left out, those that only want a tool may not where all tools
//! are to be there.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use waybill_tests::binaries::repository;

/// `limits.sh` says which of both it is by its exit code, by which `test.sh` decides.
#[test]
fn a_tool_that_is_missing_is_not_taken_for_a_machine_that_forbids_something() -> Result<()> {
    let (empty, script) = (tempfile::tempdir()?, repository().join("deploy/dev/limits.sh"));
    for (what, tool) in [("disk", "unshare"), ("netns", "ip"), ("users", "setpriv")] {
        let asked = Command::new("/bin/bash").arg(&script).arg(what).env("PATH", empty.path()).output();
        let asked = asked.context("run bash")?;
        let said = String::from_utf8_lossy(&asked.stderr);
        ensure!(asked.status.code() == Some(2) && said.contains(&format!("{tool} is missing")), "{what}: {said}");
    }
    Ok(())
}

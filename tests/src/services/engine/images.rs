//! Images that an engine is given: the worker's as it ships, and one with nothing in it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::Engine;
use crate::binaries::{binary, repository};

/// What a container of the empty image mounts to find this host's shell.
pub const PROGRAMS: &[(&str, &str)] = &[("/usr", "/usr"), ("/bin", "/bin"), ("/lib", "/lib"), ("/lib64", "/lib64")];

impl Engine {
    /// The worker's image as it ships, from the binaries under test; its name by digest.
    pub fn worker_image(&self) -> Result<String> {
        let (binaries, out) = (binary("waybill-worker"), self.dir.path().join("images"));
        let mut build = Command::new("python3");
        build.arg(repository().join("deploy/images/build.py")).args(["--level", "0", "--binaries"]);
        build.arg(binaries.parent().context("a directory")?).arg("--out").arg(&out).arg("worker");
        let output = build.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.docker(&["load", "--quiet", "--input", &out.join("worker.tar").display().to_string()])?;
        self.docker(&["images", "--no-trunc", "--quiet"])
    }

    /// An image with nothing in it but the places where a container finds this host's programs, which it has to mount.
    pub fn empty_image(&self) -> Result<String> {
        let root = self.dir.path().join("empty");
        for name in PROGRAMS.iter().map(|(_, target)| *target).chain(["/tmp"]) {
            std::fs::create_dir_all(root.join(name.trim_start_matches('/')))?;
        }
        let archive = self.dir.path().join("empty.tar");
        let packed = Command::new("tar").arg("-cf").arg(&archive).arg("-C").arg(&root).arg(".").status()?;
        ensure!(packed.success(), "tar");
        let said = self.docker(&["import", &archive.display().to_string()])?;
        // Podman says it twice.
        said.split([' ', '\n']).next_back().map(str::to_owned).context("an id")
    }
}

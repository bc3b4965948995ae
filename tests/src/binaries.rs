//! Finds the product's binaries beside the running test: `make test` builds them first.

use std::path::{Path, PathBuf};

/// The path of a binary of this workspace, from the directory that the test itself was built into.
///
/// # Panics
/// When the binary is not there, with the command that builds it.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("path of the running test");
    let place = test.parent().expect("a directory");
    // A test stands in `deps` below what it tests, a program of ours beside it.
    let place = if place.ends_with("deps") { place.parent().expect("a target directory") } else { place };
    let built = place.join(name);
    assert!(built.exists(), "{} is missing: run `cargo build --workspace --bins` first", built.display());
    built
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the repository").to_path_buf()
}

/// The python of one of the pinned virtual environments in `deploy/dev/requirements`.
///
/// # Panics
/// When the environment can't be made; the script says why.
#[must_use]
pub fn python(set: &str) -> PathBuf {
    let script = repository().join("deploy/dev/python.sh");
    let output = std::process::Command::new(script).arg(set).output().expect("run python.sh");
    assert!(output.status.success(), "python.sh {set}: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// The directory of one of the pinned Node programs in `deploy/dev`, with its packages beside it.
///
/// # Panics
/// When the packages can't be fetched; the script says why.
#[must_use]
pub fn node(set: &str) -> PathBuf {
    let script = repository().join("deploy/dev/node.sh");
    let output = std::process::Command::new(script).arg(set).output().expect("run node.sh");
    assert!(output.status.success(), "node.sh {set}: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

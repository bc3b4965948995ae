//! A real file system with little space: the running test is run once more, as a child in a mount of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the mounted directory in the child.
const INSIDE: &str = "WAYBILL_TEST_SMALL_DISK";

/// The directory with `size` (as `mount -t tmpfs` takes it) for the child, which goes on with the story. None for the parent, which has
/// seen the child pass the test `name`.
///
/// # Panics
/// When the child fails, or this machine allows no mount.
#[must_use]
pub fn inside(name: &str, size: &str) -> Option<PathBuf> {
    if let Some(dir) = std::env::var_os(INSIDE) {
        return Some(dir.into());
    }
    let dir = tempfile::tempdir().expect("a directory");
    // A mount of its own: as root directly, otherwise as root of a user namespace.
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let mount = format!("mount -t tmpfs -o size={size} tmpfs \"$1\"");
    let allowed = Command::new("unshare").args([flags, "sh", "-c", &mount, "sh"]).arg(dir.path()).output();
    let allowed = allowed.is_ok_and(|output| output.status.success());
    assert!(allowed, "this machine allows no mount; deploy/dev/test.sh leaves this test out where that is so");
    let script = format!("{mount} && exec \"$2\" --exact {name} --nocapture");
    let child = Command::new("unshare")
        .args([flags, "sh", "-c", &script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().expect("this program"))
        .env(INSIDE, dir.path())
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    assert!(text.contains("1 passed"), "{text}");
    None
}

/// Takes all space but about `free` bytes; removing the file that it names gives it back.
///
/// # Panics
/// When no file can be made.
#[must_use]
pub fn fill(dir: &Path, free: u64) -> PathBuf {
    let path = dir.join("filler");
    let mut file = std::fs::File::create(&path).expect("a filler");
    while file.write_all(&[0; 4096]).is_ok() {}
    let size = file.metadata().expect("its size").len();
    file.set_len(size.saturating_sub(free)).expect("a cut");
    path
}

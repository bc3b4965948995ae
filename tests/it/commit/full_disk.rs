//! A real file system without space, mounted for one child process.

use std::path::Path;
use std::process::Command;

use waybill_model::FailureCode;
use waybill_model::plan::Load;

use super::fixture::{Place, code, ids, run, try_run};

/// Names the mounted directory in the child.
const INSIDE: &str = "WAYBILL_TEST_FULL_DISK";
const NAME: &str = "commit::full_disk::f39_a_full_file_system_fails_cleanly_and_recovers";

#[test]
fn f39_a_full_file_system_fails_cleanly_and_recovers() {
    if let Some(dir) = std::env::var_os(INSIDE) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(fill_and_recover(Path::new(&dir)));
        println!("the disk was full, then it was not");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    // A mount of its own: as root directly, otherwise as root of a user namespace.
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let mount = "mount -t tmpfs -o size=192k tmpfs \"$1\"";
    let allowed = Command::new("unshare").args([flags, "sh", "-c", mount, "sh"]).arg(dir.path()).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("this kernel allows no mount, so only the simulated full store is tested");
        return;
    }
    let script = format!("{mount} && exec \"$2\" --exact {NAME} --nocapture");
    let child = Command::new("unshare")
        .args([flags, "sh", "-c", &script, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().expect("this program"))
        .env(INSIDE, dir.path())
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{text}{}", String::from_utf8_lossy(&child.stderr));
    assert!(text.contains("the disk was full, then it was not"), "{text}");
}

async fn fill_and_recover(dir: &Path) {
    let place = Place::at(dir);
    run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a first run");
    // Less and less space, so that data file, receipt, state and commit each meet the end of it.
    let mut full = 0;
    for free in [0_usize, 4096, 8192, 12_288, 16_384] {
        let filler = fill(dir, free);
        match code(try_run(&place.bucket, Load::Full, &ids(10..13)).await) {
            Some(FailureCode::BucketFull) => {
                full += 1;
                assert_eq!(place.ids(), [0, 1, 2], "with {free} bytes free");
            }
            other => assert_eq!(other, None, "with {free} bytes free"), // there was just enough
        }
        std::fs::remove_file(filler).expect("space");
        run(&place.bucket, Load::Full, &ids(0..3)).await.expect("a run with space");
        assert_eq!(place.ids(), [0, 1, 2]);
    }
    assert!(full >= 2, "the disk was full only {full} times");
    let left = place.contents().into_keys().filter(|path| path.to_string_lossy().contains(".waybill-tmp-")).count();
    assert_eq!(left, 0, "temporary files stay behind");
}

/// Leaves about `free` bytes.
fn fill(dir: &Path, free: usize) -> std::path::PathBuf {
    use std::io::Write;
    let path = dir.join("filler");
    let mut file = std::fs::File::create(&path).expect("a filler");
    while file.write_all(&[0; 4096]).is_ok() {}
    let size = file.metadata().expect("its size").len();
    file.set_len(size.saturating_sub(free as u64)).expect("a cut");
    path
}

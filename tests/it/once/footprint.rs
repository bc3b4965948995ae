//! What a worker takes of its machine while rows pass through it: memory within its limit, and no file but the table's.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use waybill_tests::binaries::binary;

use super::{Shop, report, rows};

/// The memory that a process has made its own, in KiB; none when it has ended. The program's own code, which the system can drop
/// and read again, is not in it: unoptimized, that alone is 40 MiB.
fn own(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Regular files that a process holds open for writing.
fn written(child: &Child) -> Vec<PathBuf> {
    let folder = format!("/proc/{}/fd", child.id());
    let open = std::fs::read_dir(folder).map(|entries| entries.flatten().collect::<Vec<_>>()).unwrap_or_default();
    let writes = |entry: &std::fs::DirEntry| {
        let note = format!("/proc/{}/fdinfo/{}", child.id(), entry.file_name().display());
        let note = std::fs::read_to_string(note).unwrap_or_default();
        let flags = note.lines().find_map(|line| line.strip_prefix("flags:")).map(str::trim).unwrap_or("0");
        u32::from_str_radix(flags, 8).is_ok_and(|flags| flags & 3 != 0)
    };
    let places = open.iter().filter(|entry| writes(entry)).filter_map(|entry| std::fs::read_link(entry.path()).ok());
    // Pipes and sockets are no files; what is unlinked is one all the same.
    places.filter(|place| place.starts_with("/") && !place.starts_with("/dev") && !place.starts_with("/proc")).collect()
}

/// Runs a worker to its end: the memory that it made its own at the most, in KiB, and what it said.
pub(super) fn watched(mut command: Command) -> (u64, Output) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a worker");
    let mut most = 0;
    while child.try_wait().expect("a state").is_none() {
        most = most.max(own(&child).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(1)); // leaves the worker its time
    }
    (most, child.wait_with_output().expect("its end"))
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).expect("a folder").next().is_none()
}

#[test]
fn p8_a_table_many_times_the_memory_passes_through_and_leaves_nothing_outside_the_table() {
    // 300,000 rows of 1 KiB that do not compress away before they are encoded: five times the worker's limit.
    let shop = Shop::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, pad TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
         INSERT INTO t SELECT i, hex(randomblob(16)) || printf('%.*c', 992, 'x') FROM n;",
        "      t: {}",
    );
    let scratch = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(binary("waybill-worker"));
    command
        .args(["once", "--json", "--memory", "64MiB", "--spec"])
        .arg(shop.path("shop.yaml"))
        .env("TMPDIR", scratch.path())
        .current_dir(scratch.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a worker");
    let (mut most, mut files) = (0, std::collections::BTreeSet::new());
    while child.try_wait().expect("a state").is_none() {
        most = most.max(own(&child).unwrap_or(0));
        files.extend(written(&child));
        assert!(is_empty(scratch.path()), "something is spooled");
    }
    let output = child.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(report(&output)["streams"][0]["rows"], 300_000);
    assert!(most > 10 << 10 && most < 64 << 10, "{most} KiB at the most, of 64 MiB");
    let lake = shop.path("lake");
    assert!(!files.is_empty(), "no file was seen open: nothing is proven");
    let others: Vec<_> = files.iter().filter(|file| !file.starts_with(&lake)).collect();
    assert!(others.is_empty(), "written outside the table: {others:?}");
    assert!(is_empty(scratch.path()));
    assert_eq!(
        rows(&shop.table("t"), "select count(*), count(distinct pad) from t"),
        serde_json::json!([[300_000, 300_000]])
    );
}

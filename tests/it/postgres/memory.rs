//! What a worker of 128 MiB holds at most of a wide table whose columns are of very different lengths, and of a cell that is larger
//! than all it may hold, by the kernel's own count.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::services::postgres::Postgres;

use crate::reading::table_of;

const BUDGET_MIB: u64 = 128;

/// Runs what follows it, and says the most memory that it held at once, in KiB, in the last line.
const MEASURE: &str = "import resource, subprocess, sys
ended = subprocess.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(ended.returncode)";

/// Moves `t` in so much memory; what it said, and the most that it held, in MiB.
fn moved(server: &Postgres, folder: &Path) -> (Output, Value, u64) {
    let document = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, \
         tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  all: {{ from: db, to: lake, streams: {{ public.t: {{}} }} }}\n",
        server.port(),
        folder.join("lake").display()
    );
    let spec = folder.join("spec.yaml");
    std::fs::write(&spec, document).expect("write the spec");
    let mut worker = Command::new("python3");
    worker.args(["-c", MEASURE]).arg(binary("waybill-worker")).args(["once", "--json", "--memory"]);
    let output = worker.arg(format!("{BUDGET_MIB}MiB")).arg("--spec").arg(&spec).output().expect("run the worker");
    let said = String::from_utf8_lossy(&output.stderr);
    let peak: u64 = said.lines().last().and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("{said}"));
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    (output, report, peak >> 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_a_table_of_400_uneven_columns_is_moved_within_the_memory() {
    let server = Postgres::start();
    // In each row another column holds what all the others together don't.
    let column = |n: i64| {
        format!("CASE g % 400 WHEN {n} THEN repeat(md5((g * {n})::text), 8000) ELSE repeat('x', g % 3) END AS c{n}")
    };
    let columns: Vec<String> = (0..400).map(column).collect();
    let made = format!("CREATE TABLE t AS SELECT g::int8 AS id, {} FROM generate_series(1, 500) g", columns.join(", "));
    server.run(&made).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (output, _, peak) = moved(&server, folder.path());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = table_of(&folder.path().join("lake"));
    let sums = "SELECT count(*), CAST(sum(length(c7)) AS BIGINT), CAST(sum(length(c399)) AS BIGINT) FROM t";
    let of = |n: i64| (1..=500).map(|g| if g % 400 == n { 256_000 } else { g % 3 }).sum::<i64>();
    assert_eq!(readers::query(&table, sums).expect("readers").agreed(), json!([[500, of(7), of(399)]]));
    assert!(peak <= BUDGET_MIB, "{peak} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn d7_a_cell_of_500_mb_is_refused_by_name_within_the_memory() {
    let server = Postgres::start();
    server.run("CREATE VIEW t AS SELECT 1::int8 AS id, repeat('x', 500000000) AS pad").await;
    let folder = tempfile::tempdir().expect("a folder");
    let (output, report, peak) = moved(&server, folder.path());
    assert!(!output.status.success());
    assert_eq!(report["streams"][0]["failure"], json!("row_too_large"), "{report}");
    assert!(peak <= BUDGET_MIB, "{peak} MiB");
}

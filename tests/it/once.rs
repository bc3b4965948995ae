//! `waybill-worker once` as a real process over SQLite: exact rows, honest exits, nothing half done.

mod backfill;
mod casts;
mod changed;
mod checkpoints;
mod cursors;
mod ddl;
mod drift;
mod expected;
mod footprint;
mod formats;
mod limited;
mod partitions;
mod power;
mod preview;
mod reload;
mod taken_over;
mod upkeep;

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rusqlite::Connection;
use serde_json::{Value, json};
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::small_disk;

/// A shop with a source file, a lake and a pipeline file.
struct Shop {
    dir: tempfile::TempDir,
}

impl Shop {
    fn with(sql: &str, streams: &str) -> Self {
        Self::below(&std::env::temp_dir(), sql, streams)
    }

    /// The same in a directory below this one.
    fn below(parent: &Path, sql: &str, streams: &str) -> Self {
        let shop = Self { dir: tempfile::tempdir_in(parent).expect("dir") };
        shop.sql(sql);
        shop.spec(streams, "");
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn table(&self, name: &str) -> PathBuf {
        self.path("lake").join(name)
    }

    fn sql(&self, sql: &str) {
        Connection::open(self.path("shop.db")).expect("open").execute_batch(sql).expect("sql");
    }

    fn count(&self, table: &str) -> u64 {
        let source = Connection::open(self.path("shop.db")).expect("open");
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 = source.query_row(&sql, [], |row| row.get(0)).expect("count");
        rows.unsigned_abs()
    }

    fn spec(&self, streams: &str, more: &str) {
        let (shop, lake) = (self.path("shop.db"), self.path("lake"));
        let text = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {} }}\n  lake: {{ type: local, path: {} }}\n\
             pipelines:\n  nightly:\n    from: shop\n    to: lake\n    streams:\n{streams}\n{more}",
            shop.display(),
            lake.display()
        );
        std::fs::write(self.path("shop.yaml"), text).expect("write the spec");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(binary(program));
        command.arg("once").arg("--spec").arg(self.path("shop.yaml")).args(["--memory", "128MiB", "--json"]);
        command
    }

    fn once(&self) -> Output {
        self.command("waybill-worker").output().expect("run the worker")
    }

    /// Runs and expects all streams delivered; returns the report.
    fn delivered(&self) -> Value {
        let output = self.once();
        assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
        let report = report(&output);
        let run = report["run"].as_str().expect("a run");
        assert!(talk(&output).contains(&format!("--run {run}")), "people are told its id: {}", talk(&output));
        report
    }
}

/// State, receipts and commits agree, down to the bytes.
fn verified(shop: &Shop) {
    waybill_tests::verify::verified(&shop.path("lake")).expect("the lake is whole");
}

fn talk(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("a report in JSON")
}

fn rows(table: &Path, sql: &str) -> Value {
    readers::query(table, sql).expect("both readers").agreed()
}

/// Ten thousand orders; `extra` is run after them.
fn orders(extra: &str) -> String {
    format!(
        "CREATE TABLE orders (id integer primary key, customer text, total decimal(12,2), day date, made timestamp);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO orders SELECT i, 'customer ' || (i % 97), i / 100.0, date('2024-01-01', (i % 300) || ' days'),
             datetime('2024-01-01', i || ' minutes') FROM n; {extra}"
    )
}

#[test]
fn what_a_full_load_left_is_replaced_by_the_first_new_one_and_not_doubled() {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO c VALUES (1, 'a'), (2, 'b');",
        "      c: { load: new, cursor: id }",
    );
    shop.delivered();
    // The way that a changed schema advises: refused, one full load, and back.
    shop.sql("ALTER TABLE c ADD COLUMN more TEXT; INSERT INTO c VALUES (3, 'c', 'x')");
    assert_eq!(shop.once().status.code(), Some(10));
    shop.spec("      c: { load: full }", "");
    shop.delivered();
    shop.spec("      c: { load: new, cursor: id }", "");
    for (row, delivered) in [("", 3), ("INSERT INTO c VALUES (4, 'd', 'y')", 1), ("", 0)] {
        shop.sql(row);
        let report = shop.delivered();
        assert_eq!(report["streams"][0]["rows"], delivered, "{report}");
        let sql = "select count(*), count(distinct id), count(more) from t";
        let (many, more) = (shop.count("c"), shop.count("c") - 2);
        assert_eq!(rows(&shop.table("c"), sql), json!([[many, many, more]]));
    }
}

#[test]
fn rows_in_the_files_are_rows_reported_and_rows_of_the_source() {
    let shop = Shop::with(&orders(""), "      orders: { load: full, verify-count: true }");
    let report = shop.delivered();
    let stream = &report["streams"][0];
    assert_eq!((stream["rows"].as_u64(), stream["grade"].as_str()), (Some(shop.count("orders")), Some("verified")));
    let receipt_rows: u64 = stream["receipt"]["files"].as_array().expect("files").iter().map(rows_of).sum();
    assert_eq!(receipt_rows, 10_000);
    let sums =
        rows(&shop.table("orders"), "SELECT count(*), cast(sum(id) AS bigint), sum(total), min(day), max(made) FROM t");
    assert_eq!(sums, json!([[10_000, 50_005_000, "500050.00", "2024-01-01", "2024-01-07T22:40:00"]]));
}

#[test]
fn a_number_and_a_text_in_a_filter_on_an_untyped_column_take_the_rows_that_sqlite_takes() {
    let sql = "CREATE TABLE nt (id integer, a); INSERT INTO nt VALUES (1, 1), (2, 2), (3, NULL), (4, '1')";
    for (value, wanted) in [("1", 1), ("'1'", 4)] {
        let filter = format!("filter: [{{ column: a, op: eq, value: {value} }}]");
        let shop = Shop::with(sql, &format!("      nt: {{ load: full, verify-count: true, {filter} }}"));
        assert_eq!(shop.delivered()["streams"][0]["rows"], 1, "{value}");
        assert_eq!(rows(&shop.table("nt"), "SELECT id, a FROM t"), json!([[wanted, "1"]]), "{value}");
    }
}

#[test]
fn h47_a_deleted_commit_log_fails_verify_and_the_next_run_and_nothing_is_delivered_again() {
    let shop = Shop::with(&orders(""), "      orders: { load: new, cursor: id }");
    let verify = |place: &Path| {
        let url = format!("file://{}", place.display());
        let output = Command::new(binary("waybill-worker")).args(["verify", &url]).output().expect("run the worker");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said)
    };
    shop.delivered();
    shop.sql("INSERT INTO orders VALUES (10001, 'late', 1, NULL, NULL)");
    shop.delivered();
    assert_eq!(verify(&shop.path("lake")).0, Some(0));
    std::fs::remove_dir_all(shop.table("orders").join("_delta_log")).expect("the log");
    let (code, said) = verify(&shop.path("lake"));
    assert!(
        code != Some(0) && said.contains("FAILED orders") && said.contains("the log was deleted"),
        "{code:?} {said}"
    );
    let output = shop.once();
    assert_ne!(output.status.code(), Some(0));
    assert_eq!(report(&output)["streams"][0]["failure"], "commit_log_corrupt", "{}", talk(&output));
    assert!(!shop.table("orders").join("_delta_log").exists(), "nothing was committed");
    let nowhere = shop.path("nowhere");
    let (code, said) = verify(&nowhere);
    assert!(code != Some(0) && said.contains(&nowhere.display().to_string()) && said.contains("path"), "{said}");
}

fn rows_of(file: &Value) -> u64 {
    file["rows"].as_u64().expect("rows")
}

#[test]
fn values_of_another_type_are_recoverable_from_their_twins() {
    let odd = "INSERT INTO orders VALUES (20001, x'00ff', 'no number', '0000-00-00', 'infinity'),
                                         (20002, 'it''s', 0.1, '2024-02-30', 1700000000), (20003, NULL, 1e300, NULL, NULL)";
    let shop = Shop::with(&orders(odd), "      orders: { load: full }");
    let report = shop.delivered();
    assert_eq!(report["streams"][0]["coerced"], json!(7));
    let columns = "customer, customer__text, total, total__text, day, day__text, made, made__text";
    let found = rows(&shop.table("orders"), &format!("SELECT {columns} FROM t WHERE id > 20000 ORDER BY id"));
    assert_eq!(
        found,
        json!([
            [null, "X'00FF'", null, "'no number'", null, "'0000-00-00'", null, "'infinity'"],
            ["it's", null, "0.10", null, null, "'2024-02-30'", null, "1700000000"],
            [null, null, null, "1e300", null, null, null, null]
        ])
    );
}

#[test]
fn new_rows_are_appended_once_and_nothing_new_commits_nothing() {
    let shop = Shop::with(&orders(""), "      orders: { load: new, cursor: id }");
    assert_eq!(shop.delivered()["streams"][0]["rows"], json!(10_000));
    shop.sql("INSERT INTO orders (id, customer) VALUES (10001, 'a'), (10007, 'b')");
    assert_eq!(shop.delivered()["streams"][0]["rows"], json!(2));
    let third = shop.delivered();
    assert_eq!((&third["streams"][0]["version"], &third["streams"][0]["rows"]), (&Value::Null, &json!(0)));
    assert_eq!(rows(&shop.table("orders"), "SELECT count(*), count(DISTINCT id) FROM t"), json!([[10_002, 10_002]]));
}

#[test]
fn the_receipt_says_what_the_end_of_a_window_rests_on() {
    let shop = Shop::with(&orders(""), "      orders: { load: new, cursor: id }");
    let window = |fixed_lag: bool| json!({"fixed_lag": fixed_lag, "held": false, "null_cursors": 0});
    assert_eq!(shop.delivered()["streams"][0]["receipt"]["window"], window(false));
    std::fs::remove_dir_all(shop.path("lake")).expect("another lake");
    shop.spec("      orders: { load: new, cursor: made, cursor-zone: UTC }", "");
    assert_eq!(shop.delivered()["streams"][0]["receipt"]["window"], window(true), "nobody sees when a writer began");
}

#[test]
fn a_size_that_only_a_cloud_has_is_said_to_do_nothing() {
    let shop = Shop::with(&orders(""), "      orders: { load: full }");
    assert!(!talk(&shop.once()).contains("limits."));
    shop.spec("      orders: { load: full }", "    limits: { cpu: 1, disk: 30GiB, architecture: arm64 }\n");
    let output = shop.once();
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    for limit in ["limits.cpu", "limits.disk", "limits.architecture"] {
        assert!(
            talk(&output).contains(&format!("`{limit}` of the pipeline nightly does nothing here")),
            "{}",
            talk(&output)
        );
    }
}

#[test]
fn a_killed_worker_leaves_the_old_table_and_the_next_one_succeeds() {
    for point in ["snapshot_open", "first_part", "last_part", "files_closed", "before_prepare", "prepare_granted"] {
        let shop = Shop::with(&orders(""), "      orders: { load: full }");
        shop.delivered();
        shop.sql("UPDATE orders SET customer = 'changed'");
        let marker = shop.path("fired");
        let fault = format!("{point}=kill;{}", marker.display());
        let killed = shop.command("waybill-worker-faults").env("WAYBILL_FAULT", fault).output().expect("run");
        assert_eq!(killed.status.signal(), Some(9), "{point}: {}", talk(&killed));
        assert!(std::fs::read_to_string(&marker).expect("the fault fired").starts_with(point));
        let old =
            rows(&shop.table("orders"), "SELECT count(*), count(CASE WHEN customer = 'changed' THEN 1 END) FROM t");
        assert_eq!(old, json!([[10_000, 0]]), "{point}");
        shop.delivered();
        let new =
            rows(&shop.table("orders"), "SELECT count(*), count(CASE WHEN customer = 'changed' THEN 1 END) FROM t");
        assert_eq!(new, json!([[10_000, 10_000]]), "{point}");
    }
}

/// `once` over a source whose password Vault has, a door that takes whoever connects and never answers, and its port.
fn waiting_for_vault(shop: &Shop) -> (Command, std::net::TcpListener, u16) {
    let door = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = door.local_addr().expect("its address").port();
    let from = format!(
        "{{ type: postgres, host: 127.0.0.1, port: {port}, database: d, user: u, tls: disable, password: vault://kv/shop#p }}"
    );
    let text = format!(
        "waybill: 1\nconnections:\n  shop: {from}\n  lake: {{ type: local, path: {} }}\n\
         pipelines: {{ p: {{ from: shop, to: lake, streams: {{ public.t: {{ load: full }} }} }} }}\n",
        shop.path("lake").display()
    );
    std::fs::write(shop.path("shop.yaml"), text).expect("write the spec");
    let mut command = shop.command("waybill-worker");
    command.env("VAULT_ADDR", format!("http://127.0.0.1:{port}"));
    command.envs([("WAYBILL_VAULT_AUTH", "token"), ("WAYBILL_VAULT_TOKEN", "env://TOKEN"), ("TOKEN", "t")]);
    (command, door, port)
}

#[test]
fn a_run_that_still_waits_for_a_secret_ends_when_it_is_told_to() {
    let shop = Shop::with("", "");
    let (mut command, door, _) = waiting_for_vault(&shop);
    let worker = command.stderr(std::process::Stdio::piped()).spawn().expect("start");
    let (_held, _) = door.accept().expect("the worker asks for its secret");
    let told = Command::new("kill").args(["-s", "TERM", &worker.id().to_string()]).status().expect("kill");
    assert!(told.success());
    let output = worker.wait_with_output().expect("its end");
    assert_eq!(output.status.code(), Some(12), "canceled: {}", talk(&output));
    assert!(!shop.path("lake").exists(), "nothing was begun");
}

#[test]
fn no_proxy_of_the_environment_is_asked_for_a_server_that_keeps_secrets() {
    let shop = Shop::with("", "");
    let (mut command, door, port) = waiting_for_vault(&shop);
    command.env("VAULT_ADDR", "https://vault.invalid:8200");
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"] {
        command.env(name, format!("http://127.0.0.1:{port}"));
    }
    let output = command.output().expect("run the worker");
    assert!(output.status.code() == Some(10) && talk(&output).contains("secret_unreachable"), "{}", talk(&output));
    door.set_nonblocking(true).expect("a mode");
    assert!(door.accept().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "the proxy was asked");
}

#[test]
fn streams_fail_each_by_itself() {
    let streams = "      orders: { load: full }\n      missing: { load: full }";
    let shop = Shop::with(&orders(""), streams);
    let output = shop.once();
    assert_eq!(output.status.code(), Some(11), "{}", talk(&output));
    let report = report(&output);
    let states = |at: usize| (report["streams"][at]["state"].clone(), report["streams"][at]["failure"].clone());
    assert_eq!(states(0), (json!("committed"), Value::Null));
    assert_eq!(states(1), (json!("failed"), json!("stream_not_found")));
    assert!(talk(&output).contains("help: ") && talk(&output).contains("missing"));
    let alone = shop.command("waybill-worker").args(["--stream", "missing"]).output().expect("run");
    assert_eq!(alone.status.code(), Some(10));
}

#[test]
fn a_table_that_shrank_is_kept() {
    let shop = Shop::with(&orders(""), "      orders: { load: full }");
    shop.delivered();
    shop.sql("DELETE FROM orders WHERE id > 10");
    let output = shop.once();
    assert_eq!(report(&output)["streams"][0]["failure"], json!("table_shrank"));
    assert_eq!(rows(&shop.table("orders"), "SELECT count(*) FROM t"), json!([[10_000]]));
}

#[test]
fn h48_an_unknown_key_is_refused_with_its_line() {
    let shop = Shop::with(&orders(""), "      orders: { load: full, colums: { drop: [id] } }");
    let output = shop.once();
    assert_eq!(output.status.code(), Some(6));
    let said = talk(&output);
    assert!(said.contains("shop.yaml:10:") && said.contains("did you mean `columns`?"), "{said}");
    assert!(output.stdout.is_empty() && !shop.path("lake").exists());
}

#[test]
fn h48_a_missing_or_open_secret_is_named_and_never_shown() {
    let shop = Shop::with("CREATE TABLE t (x)", "      t: { load: full }");
    let secret = shop.path("password");
    std::fs::write(&secret, "correct horse").expect("write");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("mode");
    let file = format!("file://{}", secret.display());
    let unset = "env://WAYBILL_TEST_UNSET";
    for (reference, code, hint) in
        [(unset, "secret_not_found", unset), (file.as_str(), "secret_unresolved", "chmod o-r")]
    {
        let text = format!(
            "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: 1, database: d, user: u, tls: disable, \
             password: \"{reference}\" }}\n  lake: {{ type: local, path: {} }}\npipelines:\n  p: {{ from: db, to: lake, \
             streams: {{ public.t: {{ load: full }} }} }}\n",
            shop.path("lake").display()
        );
        std::fs::write(shop.path("shop.yaml"), text).expect("write");
        let output = shop.once();
        let said = talk(&output);
        assert_eq!(output.status.code(), Some(10), "{said}");
        assert!(said.contains(code) && said.contains(hint) && !said.contains("correct horse"), "{said}");
    }
}

#[test]
fn h48_a_file_with_windows_line_ends_runs_and_one_that_is_missing_is_a_usage_error() {
    let shop = Shop::with(&orders(""), "      orders: { load: full }");
    let spec = shop.path("shop.yaml");
    let text = std::fs::read_to_string(&spec).expect("read").replace('\n', "\r\n");
    std::fs::write(&spec, text).expect("write");
    assert_eq!(shop.delivered()["streams"][0]["rows"], json!(10_000));
    std::fs::remove_file(&spec).expect("remove");
    assert_eq!(shop.once().status.code(), Some(2));
}

#[test]
fn f41_wide_rows_end_in_row_too_large_and_other_streams_are_delivered() {
    let wide = "CREATE TABLE wide (id integer, x blob); INSERT INTO wide VALUES (1, zeroblob(60000000));";
    let shop = Shop::with(&orders(wide), "      wide: { load: full }\n      orders: { load: full }");
    let output = shop.once();
    assert_eq!(output.status.code(), Some(11), "{}", talk(&output));
    assert_eq!(report(&output)["streams"][0]["failure"], json!("row_too_large"));
    assert_eq!(report(&output)["streams"][1]["state"], json!("committed"));
}

#[test]
fn a_full_disk_is_said_plainly_and_the_next_run_succeeds_with_room() {
    let Some(disk) = small_disk::inside("once::a_full_disk_is_said_plainly_and_the_next_run_succeeds_with_room", "24m")
    else {
        return;
    };
    let noise = "CREATE TABLE noise (id integer, x blob); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
                 WHERE i < 4000) INSERT INTO noise SELECT i, randomblob(1000) FROM n";
    let shop = Shop::below(&disk, noise, "      noise: { load: full }");
    let filler = small_disk::fill(&disk, 1 << 20);
    let output = shop.once();
    assert_eq!(output.status.code(), Some(10), "{}", talk(&output));
    assert_eq!(report(&output)["streams"][0]["failure"], json!("bucket_full"));
    assert!(talk(&output).contains("help: make room where the table is written"), "{}", talk(&output));
    assert!(!shop.table("noise").join("_delta_log").exists(), "a commit was begun");
    std::fs::remove_file(filler).expect("make room");
    assert_eq!(shop.delivered()["streams"][0]["rows"], json!(4000));
    let sums = "SELECT count(*), count(DISTINCT id), count(DISTINCT x) FROM t";
    assert_eq!(rows(&shop.table("noise"), sums), json!([[4000, 4000, 4000]]));
}

#[test]
fn the_full_log_is_in_the_bucket_and_a_panic_leaves_only_a_hash() {
    let shop = Shop::with(&orders(""), "      orders: { load: full }");
    let fault = format!("first_part=panic;{}", shop.path("fired").display());
    let output = shop.command("waybill-worker-faults").env("WAYBILL_FAULT", fault).output().expect("run");
    assert!(shop.path("fired").exists(), "the fault fired");
    assert_eq!(output.status.code(), Some(10), "{}", talk(&output));
    let report = report(&output);
    assert_eq!(report["streams"][0]["failure"], json!("worker_bug"));
    assert!(talk(&output).contains("worker_bug at ") && !talk(&output).contains("fault at first_part"));
    let run = report["run"].as_str().expect("a run");
    let lake = format!("file://{}", shop.path("lake").display());
    let log = Command::new(binary("waybill-worker")).args(["logs", &lake, "--run", run]).output().expect("logs");
    let lines: Vec<Value> =
        String::from_utf8_lossy(&log.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let codes: Vec<&str> = lines.iter().filter_map(|line| line["event"]["code"].as_str()).collect();
    assert!(codes.contains(&"snapshot_opened") && codes.contains(&"worker_panicked"), "{codes:?}");
    assert!(!String::from_utf8_lossy(&log.stdout).contains("fault at"));
}

#[test]
fn t13_no_value_of_a_row_is_printed_or_logged() {
    let canary = "CANARY-7f3c9a";
    let sql = format!(
        "CREATE TABLE t (id integer, n decimal(4,2), \"x\" text); \
         INSERT INTO t VALUES (1, '{canary}', '{canary}'), ('{canary}', 1, NULL)"
    );
    let filter = "filter: [{ column: n, op: eq, value: \"1\" }]";
    for stream in
        ["load: full", "load: new, cursor: id", "load: full, edge-values: fail", &format!("load: full, {filter}")]
    {
        let shop = Shop::with(&sql, &format!("      t: {{ {stream} }}"));
        let output = shop.once();
        let logs = logs_below(&shop.path("lake"));
        assert!(!logs.is_empty(), "{stream}: a log was written");
        for place in [talk(&output), String::from_utf8_lossy(&output.stdout).into_owned(), logs] {
            assert!(!place.contains(canary), "{stream}: {place}");
        }
    }
}

fn logs_below(lake: &Path) -> String {
    let mut text = String::new();
    let mut open = vec![lake.join("_waybill/logs")];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(path).expect("list").map(|entry| entry.expect("entry").path()));
        } else {
            text.push_str(&std::fs::read_to_string(path).expect("read"));
        }
    }
    text
}

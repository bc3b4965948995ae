//! Files and S3 through the real worker: `once` from a directory of files, and into an S3 bucket.

mod bad_rows;
mod new;
mod steered;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::{Value, json};
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

fn once(dir: &Path, spec: &str) -> Output {
    std::fs::write(dir.join("spec.yaml"), spec).expect("write the spec");
    Command::new(binary("waybill-worker"))
        .args(["once", "--memory", "128MiB", "--json", "--spec"])
        .arg(dir.join("spec.yaml"))
        .envs([("LAKE_KEY", "waybill"), ("LAKE_SECRET", "very-secret-key")])
        .output()
        .expect("run the worker")
}

fn delivered(dir: &Path, spec: &str) -> Value {
    let output = once(dir, spec);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

fn lay(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    std::fs::write(path, text).expect("write");
}

#[test]
fn a_directory_of_files_becomes_tables_that_two_readers_agree_on() {
    let dir = tempfile::tempdir().expect("dir");
    lay(dir.path(), "in/orders/a.csv", "id,name\n007,Ada\n008,\"x,y\"\n");
    lay(dir.path(), "in/orders/b.csv", "name,id\nBob,009\n");
    lay(dir.path(), "in/events.jsonl", "{\"id\":9223372036854775807,\"ok\":true,\"x\":{\"d\":1.10}}\n{\"id\":1}\n");
    let root = dir.path().display();
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/in\" }}\n  \
         lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
         \"orders/*.csv\": {{ load: full }}\n      events.jsonl: {{ load: full, verify-count: true }}\n"
    );
    let report = delivered(dir.path(), &spec);
    let rows: Vec<_> = report["streams"].as_array().expect("streams").iter().map(|s| s["rows"].as_u64()).collect();
    assert_eq!(rows, [Some(3), Some(2)]);
    assert_eq!(report["streams"][1]["grade"], "verified");
    let lake = dir.path().join("lake");
    let orders = std::fs::read_dir(&lake).expect("the lake").filter_map(Result::ok).map(|entry| entry.path());
    let orders = orders.into_iter().find(|path| path.to_string_lossy().contains("orders")).expect("the table");
    let seen = readers::query(&orders, "SELECT id, name FROM t ORDER BY id").expect("readers").agreed();
    assert_eq!(seen, json!([["007", "Ada"], ["008", "x,y"], ["009", "Bob"]]));
    let seen =
        readers::query(&lake.join("events.jsonl"), "SELECT id, ok, x FROM t ORDER BY id").expect("readers").agreed();
    assert_eq!(seen, json!([[1, null, null], [9_223_372_036_854_775_807_i64, true, "{\"d\":1.10}"]]));
}

#[test]
fn h26_a_malformed_file_commits_nothing_and_its_report_holds_none_of_it() {
    let dir = tempfile::tempdir().expect("dir");
    lay(dir.path(), "in/hidden-name.csv", "a,b\nSECRET,1\nSECRET\n");
    let root = dir.path().display();
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/in\" }}\n  \
         lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
         \"*.csv\": {{ load: full }}\n"
    );
    let output = once(dir.path(), &spec);
    assert_ne!(output.status.code(), Some(0));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let lake = dir.path().join("lake");
    let left: Vec<_> = std::fs::read_dir(&lake).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    assert!(left.iter().all(|path| !path.join("_delta_log").exists()), "{left:?}");
    assert!(said.contains("csv_malformed") && said.contains("line 3"), "{said}");
    assert!(!said.contains("SECRET") && !said.contains("hidden-name"), "{said}");
}

#[test]
fn a_directory_that_is_not_there_is_a_source_that_can_not_be_reached() {
    let dir = tempfile::tempdir().expect("dir");
    let root = dir.path().display();
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/nowhere\" }}\n  \
         lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
         \"*.csv\": {{ load: full }}\n"
    );
    let output = once(dir.path(), &spec);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_ne!(output.status.code(), Some(0));
    assert!(said.contains("source_unreachable") && !said.contains("bucket_unreachable"), "{said}");
}

/// DuckDB reads the file itself in the same types: that is what the table must hold, but for what no type takes.
#[test]
fn typed_csv_reads_back_as_other_readers_of_the_file_take_it() {
    let dir = tempfile::tempdir().expect("dir");
    let line = |n: i64| {
        let (day, cents) = (n % 28 + 1, n * 7919 % 100_000_000 - 50_000_000);
        format!(
            "{n},{}{}.{:02},2026-02-{day:02},2026-02-{day:02} 10:11:12.{:06},2026-02-{day:02}T10:11:12+02:00,{},{}\n",
            if cents < 0 { "-" } else { "" },
            cents.abs() / 100,
            cents.abs() % 100,
            n * 31 % 1_000_000,
            n % 2 == 0,
            f64::from(i32::try_from(n).expect("small")) / 8.0,
        )
    };
    let rows: String = (0..20_000).map(line).collect();
    let file = dir.path().join("in/numbers.csv");
    lay(dir.path(), "in/numbers.csv", &format!("id,price,day,at,seen,ok,ratio\n{rows}-1,free,,,,,1e3\n"));
    let root = dir.path().display();
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/in\" }}\n  \
         lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
         numbers.csv:\n        format:\n          type: csv\n          types: {{ id: bigint, price: 'decimal(12,2)', day: date, \
         at: timestamp, seen: timestamptz, ok: boolean, ratio: double }}\n"
    );
    let report = delivered(dir.path(), &spec);
    assert_eq!(report["streams"][0]["coerced"], json!(1), "{report}");
    let table = dir.path().join("lake/numbers.csv");
    let types = "{'id': 'BIGINT', 'price': 'VARCHAR', 'day': 'DATE', 'at': 'TIMESTAMP', 'seen': 'TIMESTAMPTZ', 'ok': 'BOOLEAN', \
                 'ratio': 'DOUBLE'}";
    let differ = format!(
        "SELECT count(*), count(price__text), max(price__text) FROM t JOIN read_csv('{}', types = {types}) f USING (id) \
         WHERE t.price = try_cast(f.price AS DECIMAL(12,2)) AND t.day = f.day AND t.at = f.at AND t.seen = f.seen AND t.ok = f.ok \
         AND t.ratio = f.ratio OR f.id = -1 AND t.price IS NULL AND t.price__text = f.price AND t.ratio = 1000 AND t.day IS NULL",
        file.display()
    );
    let seen = readers::duckdb(&table, &differ).expect("DuckDB");
    assert_eq!(seen, json!([[20_001, 1, "free"]]));
    let both = readers::query(&table, "SELECT count(*), sum(price), max(id), max(day), max(ratio) FROM t");
    let rows = both.expect("readers").agreed();
    assert_eq!((&rows[0][0], &rows[0][4]), (&json!(20_001), &json!(2_499.875)));
}

#[test]
fn parquet_files_without_rows_become_an_empty_table() {
    let dir = tempfile::tempdir().expect("dir");
    let root = dir.path().display();
    std::fs::create_dir_all(dir.path().join("in/none")).expect("a directory");
    readers::empty_parquet(&dir.path().join("in/none")).expect("files of another program");
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/in\" }}\n  \
         lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
         \"none/*.parquet\": {{ load: full, verify-count: true }}\n"
    );
    assert_eq!(std::fs::read_dir(dir.path().join("in/none")).expect("files").count(), 4);
    let report = delivered(dir.path(), &spec);
    assert_eq!((&report["streams"][0]["rows"], &report["streams"][0]["grade"]), (&json!(0), &json!("verified")));
    let lake = dir.path().join("lake");
    let table = std::fs::read_dir(&lake).expect("the lake").filter_map(Result::ok).map(|entry| entry.path());
    let table = table.into_iter().find(|path| path.join("_delta_log").exists()).expect("the table");
    let seen = readers::query(&table, "SELECT id, name FROM t").expect("readers").agreed();
    assert_eq!(seen, json!([]));
}

#[test]
fn int96_times_of_every_year_read_back_exact_and_finer_ones_stand_in_the_twin() {
    let dir = tempfile::tempdir().expect("dir");
    let root = dir.path().display();
    std::fs::create_dir_all(dir.path().join("in/old")).expect("a directory");
    let times = [
        "0001-01-01T00:00:00",
        "1582-10-15T00:00:00.000001",
        "1677-09-21T00:12:43.145224",
        "1969-12-31T23:59:59.999999",
        "1970-01-01T00:00:00",
        "2024-02-29T12:00:00.123456",
        "2262-04-11T23:47:16.854776",
        "9999-12-31T23:59:59.999999",
    ];
    readers::int96_parquet(&dir.path().join("in/old"), &times).expect("files of another program");
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/in\" }}\n  \
         lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
         \"old/*.parquet\": {{ load: full, verify-count: true }}\n"
    );
    let report = delivered(dir.path(), &spec);
    let stream = &report["streams"][0];
    assert_eq!((&stream["rows"], &stream["coerced"]), (&json!(4 * 9), &json!(4 * 8)), "{report}");
    let lake = std::fs::read_dir(dir.path().join("lake")).expect("the lake").filter_map(Result::ok);
    let table = lake.map(|entry| entry.path()).find(|path| path.join("_delta_log").exists()).expect("the table");
    let sql = "SELECT \"at\", fine, fine__text, count(*) FROM t GROUP BY id, \"at\", fine, fine__text ORDER BY id";
    let seen = readers::query(&table, sql).expect("readers").agreed();
    let fine = "2024-02-29T12:00:00.123456789";
    for (row, time) in times.iter().enumerate() {
        // A time without a fraction is shown without one.
        assert_eq!(seen[row], json!([time, null, fine, 4]));
    }
    assert_eq!(seen[times.len()], json!([null, null, null, 4]));
}

/// A Parquet file with one column that says it is JSON.
fn json_in_parquet(values: &[&[u8]]) -> Vec<u8> {
    use parquet::data_type::{ByteArray, ByteArrayType};
    let schema = parquet::schema::parser::parse_message_type("message m { required binary doc (JSON); }");
    let schema = Arc::new(schema.expect("a schema"));
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Arc::default()).expect("a file");
    let mut group = writer.next_row_group().expect("a row group");
    let mut column = group.next_column().expect("a column").expect("one");
    let values: Vec<_> = values.iter().map(|value| ByteArray::from(value.to_vec())).collect();
    column.typed::<ByteArrayType>().write_batch(&values, None, None).expect("write");
    column.close().expect("the column's end");
    group.close().expect("the group's end");
    writer.into_inner().expect("the file's end")
}

#[test]
fn h28_json_in_parquet_is_text_and_what_is_no_utf8_in_it_ends_as_parquet_malformed() {
    let dir = tempfile::tempdir().expect("dir");
    let root = dir.path().display();
    std::fs::create_dir(dir.path().join("in")).expect("a directory");
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/in\" }}\n  \
         lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
         rows.parquet: {{ load: full }}\n"
    );
    let place = dir.path().join("in/rows.parquet");
    let long = format!("[{}]", vec!["\"ü\""; 100].join(","));
    let values: Vec<&[u8]> = (0..100).map(|n| if n % 2 == 0 { long.as_bytes() } else { b"{\"n\": 1.10}" }).collect();
    std::fs::write(&place, json_in_parquet(&values)).expect("write");
    delivered(dir.path(), &spec);
    let sql = format!("SELECT count(*), count(CASE WHEN doc = '{long}' THEN 1 END), min(doc) FROM t");
    let seen = readers::query(&dir.path().join("lake/rows.parquet"), &sql).expect("readers").agreed();
    assert_eq!(seen, json!([[100, 50, long]]));
    std::fs::write(&place, json_in_parquet(&[b"{}", b"\"\xff\xfe\""])).expect("write");
    let output = once(dir.path(), &spec);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("parquet_malformed"), "{said}");
}

fn into_s3(dir: &Path, endpoint: &str) -> String {
    format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {}/shop.db }}\n  \
         lake: {{ type: s3, bucket: {BUCKET}, prefix: raw, region: us-east-1, endpoint: \"{endpoint}\", \
         access-key: env://LAKE_KEY, secret-key: env://LAKE_SECRET }}\n\
         pipelines:\n  p:\n    from: shop\n    to: lake\n    streams:\n      t: {{ load: full, verify-count: true }}\n",
        dir.display()
    )
}

#[tokio::test]
async fn sqlite_rows_land_in_s3_and_a_second_run_replaces_them() {
    let server = Roto::start().await;
    let dir = tempfile::tempdir().expect("dir");
    let source = rusqlite::Connection::open(dir.path().join("shop.db")).expect("open");
    let sql = "CREATE TABLE t (id integer primary key, name text); \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
               INSERT INTO t SELECT i, 'name ' || i FROM n";
    source.execute_batch(sql).expect("rows");
    let spec = into_s3(dir.path(), &server.endpoint());
    let sums = "SELECT count(*), count(DISTINCT id), CAST(sum(id) AS BIGINT), \
                count(CASE WHEN name = 'name ' || CAST(id AS VARCHAR) THEN 1 END) FROM t";
    for (version, rows) in [(0, 5000), (1, 4999)] {
        let report = delivered(dir.path(), &spec);
        let stream = &report["streams"][0];
        assert_eq!((&stream["rows"], &stream["version"]), (&json!(rows), &json!(version)), "{version}");
        let copy = tempfile::tempdir().expect("dir");
        server.copy("raw/t/", copy.path()).await.expect("a copy");
        let seen = readers::query(&copy.path().join("raw/t"), sums).expect("readers").agreed();
        assert_eq!(seen, json!([[rows, rows, rows * (rows + 1) / 2, rows]]), "version {version}");
        source.execute_batch("DELETE FROM t WHERE id = 5000").expect("one row less");
    }
    assert_eq!(server.open_uploads().await, 0);
}

#[tokio::test]
async fn rows_of_sqlite_that_change_take_their_place_in_a_table_in_s3() {
    let server = Roto::start().await;
    let dir = tempfile::tempdir().expect("dir");
    let source = rusqlite::Connection::open(dir.path().join("shop.db")).expect("open");
    let sql = "CREATE TABLE t (id integer primary key, rev integer not null, noise blob); \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) \
               INSERT INTO t SELECT i, i, randomblob(1000) FROM n";
    source.execute_batch(sql).expect("rows");
    let spec = into_s3(dir.path(), &server.endpoint());
    let spec = spec.replace("load: full, verify-count: true", "load: changed, cursor: rev, verify-count: true");
    let again = "UPDATE t SET rev = rev + 20000, noise = randomblob(1000) WHERE id % 7 = 0; \
                 INSERT INTO t VALUES (12001, 40000, randomblob(1000))";
    for (rows, change) in [(12_000, again), (1_715, "")] {
        let report = delivered(dir.path(), &spec);
        assert_eq!(report["streams"][0]["rows"], rows, "{report}");
        let copy = tempfile::tempdir().expect("dir");
        server.copy("raw/t/", copy.path()).await.expect("a copy");
        let all = "SELECT id, rev, noise FROM t WHERE id % 50 = 0 OR id % 7 = 0 AND id % 3 = 0 ORDER BY id";
        let seen = readers::query(&copy.path().join("raw/t"), all).expect("readers").agreed();
        let mut wanted = source.prepare(&all.replace("noise", "lower(hex(noise))")).expect("a query");
        let row = |row: &rusqlite::Row<'_>| {
            Ok(json!([row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?]))
        };
        let wanted: Vec<_> = wanted.query_map([], row).expect("rows").collect::<Result<_, _>>().expect("rows");
        assert!(seen == json!(wanted), "a sample of the table is not the source's after {rows} rows");
        let many = readers::query(&copy.path().join("raw/t"), "SELECT count(*), count(DISTINCT id) FROM t");
        let there = if change.is_empty() { 12_001 } else { 12_000 };
        assert_eq!(many.expect("readers").agreed(), json!([[there, there]]));
        source.execute_batch(change).expect("changes");
    }
    assert_eq!(server.open_uploads().await, 0);
}

/// Keys are unique and an upload is completed without a condition, so no store has a reason to answer like this.
#[tokio::test(flavor = "multi_thread")]
async fn f35_a_run_whose_upload_conflicts_for_ever_commits_nothing_and_the_next_one_is_exact() {
    let server = Roto::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    let dir = tempfile::tempdir().expect("dir");
    let source = rusqlite::Connection::open(dir.path().join("shop.db")).expect("open");
    let sql = "CREATE TABLE t (id integer primary key, noise blob); \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) \
               INSERT INTO t SELECT i, randomblob(1000) FROM n";
    source.execute_batch(sql).expect("rows");
    let spec = into_s3(dir.path(), &proxy.endpoint());
    let conflict = Break::Answer(409, "ConditionalRequestConflict");
    proxy.inject(Rule { method: "POST", holds: "uploadId=", times: 8, breaks: conflict });
    let output = tokio::task::block_in_place(|| once(dir.path(), &spec));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), proxy.fired()), (Some(10), vec![8]), "{said}");
    assert!(said.contains("bucket_failed"), "{said}");
    let tables = async || server.keys().await.into_iter().filter(|key| key.contains("/t/")).collect::<Vec<_>>();
    assert_eq!((tables().await, server.open_uploads().await), (vec![], 0));
    let report = tokio::task::block_in_place(|| delivered(dir.path(), &spec));
    let stream = &report["streams"][0];
    assert_eq!(
        (&stream["rows"], &stream["grade"], &stream["version"]),
        (&json!(12_000), &json!("verified"), &json!(0))
    );
    assert_eq!(server.open_uploads().await, 0);
    server.copy("raw/t/", dir.path()).await.expect("a copy");
    let sums = "SELECT count(*), count(DISTINCT id), CAST(sum(id) AS BIGINT), count(noise) FROM t";
    let seen = readers::query(&dir.path().join("raw/t"), sums).expect("readers").agreed();
    assert_eq!(seen, json!([[12_000, 12_000, 12_000 * 12_001 / 2, 12_000]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn f33_a_run_whose_stores_are_busy_says_so_and_delivers() {
    let server = Roto::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    server.put("in/a.csv", b"id\n1\n2\n").await;
    let dir = tempfile::tempdir().expect("dir");
    let endpoint = proxy.endpoint();
    let keys = "region: us-east-1, access-key: env://LAKE_KEY, secret-key: env://LAKE_SECRET";
    let spec = format!(
        "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"s3://{BUCKET}/in\", endpoint: \"{endpoint}\", {keys} }}\n  \
         lake: {{ type: s3, bucket: {BUCKET}, prefix: raw, endpoint: \"{endpoint}\", {keys} }}\n\
         pipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \"*.csv\": {{ load: full }}\n"
    );
    let busy = |method, holds, times| Rule { method, holds, times, breaks: Break::Answer(503, "SlowDown") };
    proxy.inject(busy("GET", "in/a.csv", 2));
    proxy.inject(busy("PUT", "/data/", 3));
    let output = tokio::task::block_in_place(|| once(dir.path(), &spec));
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), proxy.fired()), (Some(0), vec![2, 3]), "{talk}");
    let told = talk.split("store throttled (").skip(1).filter_map(|rest| rest.split(')').next()?.parse::<u64>().ok());
    assert_eq!(told.sum::<u64>(), 5, "{talk}");
    // A run that nothing held up does not speak of it.
    let output = tokio::task::block_in_place(|| once(dir.path(), &spec));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("throttled"));
}

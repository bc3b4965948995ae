//! Tables that are partitioned: where rows lie, what the log says of it, and that readers find them and skip the rest.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use waybill_tests::readers::{self, Foreign};

use super::{Shop, report, rows, talk};

fn shop(sql: &str, stream: &str, partition: &str) -> Shop {
    let shop = Shop::with(sql, "");
    again(&shop, stream, partition);
    shop
}

fn again(shop: &Shop, stream: &str, partition: &str) {
    shop.spec(&format!("      {stream}\n"), &format!("    files: {{ partition-by: {partition} }}\n"));
}

/// The actions of one kind in a version of the log.
fn actions(table: &Path, version: u64, kind: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(table.join(format!("_delta_log/{version:020}.json"))).expect("a commit");
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter_map(|line| line.get(kind).cloned()).collect()
}

const SALES: &str = "CREATE TABLE s (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, country TEXT, day DATE, big BOOLEAN, n DOUBLE);
    INSERT INTO s VALUES (1, 1, 'SE', '2024-02-29', 1, 0.5), (2, 2, 'a b/ü%=', '2024-02-29', 0, 1), (3, 3, NULL, '0001-01-01', NULL, 2),
      (4, 4, 'SE', NULL, 1, 3), (5, 5, 'null', '9999-12-31', 1, 4), (6, 6, '.', '2024-03-01', 0, 5)";

#[test]
fn rows_lie_in_directories_of_their_values_and_readers_skip_the_others() {
    let shop = shop(SALES, "s: { load: new, cursor: id }", "[country]");
    shop.delivered();
    let table = shop.table("s");
    assert_eq!(actions(&table, 0, "metaData")[0]["partitionColumns"], json!(["country"]));
    let adds = actions(&table, 0, "add");
    let mut places: BTreeMap<String, Value> = BTreeMap::new();
    for add in &adds {
        let segment = add["path"]
            .as_str()
            .expect("a path")
            .split('/')
            .find(|part| part.starts_with("country"))
            .expect("a segment");
        places.insert(segment.to_owned(), add["partitionValues"]["country"].clone());
    }
    let wanted = [
        ("country=.", json!(".")),
        ("country=SE", json!("SE")),
        ("country=__HIVE_DEFAULT_PARTITION__", Value::Null),
        ("country=a%2520b%252F%25C3%25BC%2525%253D", json!("a b/ü%=")),
        ("country=null", json!("null")),
    ];
    assert_eq!(places, wanted.map(|(segment, value)| (segment.to_owned(), value)).into());
    assert!(
        table
            .join("data")
            .read_dir()
            .expect("runs")
            .flatten()
            .any(|run| run.path().join("country=a%20b%2F%C3%BC%25%3D").is_dir())
    );
    let all = rows(&table, "SELECT id, country, CAST(day AS VARCHAR), n FROM t ORDER BY id");
    assert_eq!(all[1], json!([2, "a b/ü%=", "2024-02-29", 1.0]));
    assert_eq!((all[2][1].clone(), all.as_array().map(Vec::len)), (Value::Null, Some(6)));
    for (condition, ids) in
        [("country = 'SE'", json!([[1], [4]])), ("country IS NULL", json!([[3]])), ("country = 'null'", json!([[5]]))]
    {
        assert_eq!(rows(&table, &format!("SELECT id FROM t WHERE {condition} ORDER BY id")), ids, "{condition}");
    }
    let pruned = readers::pruned(&table, ("country", "SE")).expect("readers");
    assert_eq!(pruned, json!({"delta_rs": [1, 5], "duckdb": [1, 5]}), "files that are read of all");

    // The next run adds to them; what was cleaned up or put back is told by the same records.
    shop.sql("INSERT INTO s VALUES (7, 7, 'SE', NULL, NULL, 6)");
    shop.delivered();
    assert_eq!(rows(&table, "SELECT count(*) FROM t WHERE country = 'SE'"), json!([[3]]));
    super::verified(&shop);
}

#[test]
fn changed_rows_leave_their_partition_for_another() {
    let shop = shop(SALES, "s: { load: changed, cursor: rev }", "[country, day]");
    shop.delivered();
    shop.sql("UPDATE s SET country = 'NO', rev = 10 WHERE id = 1; UPDATE s SET n = 9, rev = 11 WHERE id = 3");
    let second = shop.delivered();
    assert_eq!(second["streams"][0]["rows"], 2);
    let found = rows(&shop.table("s"), "SELECT id, country, CAST(day AS VARCHAR), n FROM t ORDER BY id");
    assert_eq!((&found[0], &found[2]), (&json!([1, "NO", "2024-02-29", 0.5]), &json!([3, null, "0001-01-01", 9.0])));
    assert_eq!(found.as_array().map(Vec::len), Some(6));
    for remove in actions(&shop.table("s"), 1, "remove") {
        assert_eq!(remove["partitionValues"].as_object().map(serde_json::Map::len), Some(2), "{remove}");
    }
    super::verified(&shop);
}

#[test]
fn the_day_of_the_run_is_a_column_and_a_partition() {
    let shop = shop(SALES, "s: { load: new, cursor: id }", "[run.day, big]");
    let before = chrono::Utc::now().date_naive();
    shop.delivered();
    shop.sql("INSERT INTO s VALUES (7, 7, 'SE', NULL, 1, 6)");
    shop.delivered();
    let days = rows(&shop.table("s"), "SELECT CAST(run_day AS VARCHAR), count(*) FROM t GROUP BY 1");
    let today = chrono::Utc::now().date_naive();
    assert!(days.as_array().is_some_and(|days| days.len() == 1 || before != today), "{days}");
    assert!([before, today].iter().any(|day| days[0][0] == day.to_string()), "{days}");
    assert_eq!(rows(&shop.table("s"), "SELECT count(*) FROM t WHERE big AND run_day IS NOT NULL"), json!([[4]]));
    assert_eq!(actions(&shop.table("s"), 0, "metaData")[0]["partitionColumns"], json!(["run_day", "big"]));
    super::verified(&shop);
}

/// Rows of no order: what waits is bounded, and the files are not one for each row.
#[test]
fn many_partitions_in_no_order_stay_within_the_memory_and_lose_no_row() {
    let sql = "CREATE TABLE s (id INTEGER PRIMARY KEY, p INTEGER, noise TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO s SELECT i, (i * 7919) % 300, hex(randomblob(300)) FROM n";
    // In memory: hundreds of files would wait for a disk otherwise.
    let shop = Shop::below(Path::new("/dev/shm"), sql, "");
    again(&shop, "s: {}", "[p]");
    let report = shop.delivered();
    assert_eq!(report["streams"][0]["rows"], 60_000, "{report}");
    let files = actions(&shop.table("s"), 0, "add").len();
    assert!(
        (301..3000).contains(&files),
        "{files} files: some partitions had to be written before their last row came"
    );
    let sums = "SELECT count(*), count(DISTINCT p), CAST(sum(id) AS BIGINT), CAST(sum(length(noise)) AS BIGINT) FROM t";
    assert_eq!(rows(&shop.table("s"), sums), json!([[60_000, 300, 1_800_030_000, 36_000_000]]));
    assert_eq!(rows(&shop.table("s"), "SELECT count(*) FROM t WHERE p = 7"), json!([[200]]));
}

/// Each batch has rows of all partitions: they take no more memory than the rows do, and none is written before its last row came.
#[test]
fn a_thousand_partitions_in_no_order_take_a_file_each_and_the_memory_of_their_rows() {
    let sql = "CREATE TABLE s (id INTEGER PRIMARY KEY, p INTEGER);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO s SELECT i, (i * 7919) % 1000 FROM n";
    // In memory: a thousand files would wait for a disk otherwise.
    let shop = Shop::below(Path::new("/dev/shm"), sql, "");
    shop.spec("      s: {}\n", "    files: { partition-by: [p] }\n    limits: { parallel: 1 }\n");
    let mut command = std::process::Command::new(waybill_tests::binaries::binary("waybill-worker"));
    command.args(["once", "--memory", "64MiB", "--spec"]).arg(shop.path("shop.yaml"));
    let (most, output) = super::footprint::watched(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(most > 10 << 10 && most < 64 << 10, "{most} KiB at the most, of 64 MiB");
    assert_eq!(actions(&shop.table("s"), 0, "add").len(), 1_000);
    let sums = "SELECT count(*), count(DISTINCT p), CAST(sum(id) AS BIGINT), count(*) FILTER (WHERE p = 919) FROM t";
    assert_eq!(rows(&shop.table("s"), sums), json!([[60_000, 1_000, 1_800_030_000, 60]]));
}

/// Texts that mean something in paths, addresses and logs, and one that no directory can be named by.
#[test]
fn hostile_values_are_partitions_like_others() {
    let long = "é".repeat(2000);
    let values = [
        "../../etc",
        "a/b",
        "%2F",
        "#?&=",
        "a\u{0}b",
        " ",
        "null",
        "NaN",
        "x\n\ty",
        "日本/語",
        "..",
        "\\",
        "'\"",
        "{}[]",
        &long,
    ];
    let quoted = |value: &str| format!("CAST(x'{}' AS TEXT)", hex(value));
    let of: Vec<String> = values.iter().enumerate().map(|(id, value)| format!("({id}, {})", quoted(value))).collect();
    let sql = format!("CREATE TABLE s (id INTEGER PRIMARY KEY, p TEXT); INSERT INTO s VALUES {}", of.join(", "));
    let shop = shop(&sql, "s: { load: changed, cursor: id, deletes: remove }", "[p]");
    shop.delivered();
    let wanted: Vec<Value> = values.iter().enumerate().map(|(id, value)| json!([id, value])).collect();
    assert_eq!(rows(&shop.table("s"), "SELECT id, p FROM t ORDER BY id"), json!(wanted));
    let lengths = rows(&shop.table("s"), "SELECT id FROM t WHERE length(p) = 2000");
    assert_eq!(lengths, json!([[values.len() - 1]]));
    // Where a filter skips the files of other values, none of these is mistaken.
    let plain = || values.iter().enumerate().filter(|(_, value)| !value.contains('\0'));
    let one = |(id, value): (usize, &&str)| {
        format!("SELECT {id} AS wanted, id FROM t WHERE p = '{}'", value.replace('\'', "''"))
    };
    let sql = plain().map(one).collect::<Vec<_>>().join(" UNION ALL ");
    let found = rows(&shop.table("s"), &format!("SELECT wanted, id FROM ({sql}) AS found ORDER BY wanted"));
    assert_eq!(found, json!(plain().map(|(id, _)| [id, id]).collect::<Vec<_>>()));
    super::verified(&shop);
    shop.sql("DELETE FROM s WHERE id % 2 = 1");
    shop.delivered();
    let even: Vec<Value> = wanted.iter().step_by(2).cloned().collect();
    assert_eq!(rows(&shop.table("s"), "SELECT id, p FROM t ORDER BY id"), json!(even));
    super::verified(&shop);
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// Another writer leaves the columns of partitions out of the files: a merge takes them from the log.
#[test]
fn a_merge_into_files_without_their_partitions_columns_keeps_the_values() {
    let shop = shop(SALES, "s: { load: changed, cursor: rev, deletes: mark }", "[country, day, big]");
    shop.delivered();
    shop.sql(
        "INSERT INTO s VALUES (7, 7, 'SE', '2024-02-29', 1, 6), (8, 8, NULL, '0001-01-01', NULL, 7),
           (9, 9, 'a b/ü%=', '2024-02-29', 0, 8)",
    );
    shop.delivered();
    let table = shop.table("s");
    readers::change(&table, Foreign::Compact).expect("an OPTIMIZE");
    let compacted = actions(&table, 2, "add");
    assert!(!compacted.is_empty() && compacted.iter().all(|add| !has_column(&table, add, "country")), "{compacted:?}");
    let before = rows(&table, "SELECT id, country, CAST(day AS VARCHAR), big, n FROM t WHERE id <> 7 ORDER BY id");
    shop.sql("UPDATE s SET n = 60, rev = 20 WHERE id = 7; DELETE FROM s WHERE id = 8");
    shop.delivered();
    let after = rows(&table, "SELECT id, country, CAST(day AS VARCHAR), big, n FROM t WHERE id <> 7 ORDER BY id");
    assert_eq!(after, before);
    let sql = "SELECT id, country, CAST(day AS VARCHAR), big, n FROM t WHERE id = 7";
    assert_eq!(rows(&table, sql), json!([[7, "SE", "2024-02-29", true, 60.0]]));
    assert_eq!(rows(&table, "SELECT id FROM t WHERE _waybill_deleted_at IS NOT NULL"), json!([[8]]));
    super::verified(&shop);
}

fn has_column(table: &Path, add: &Value, name: &str) -> bool {
    let path =
        percent_encoding::percent_decode_str(add["path"].as_str().expect("a path")).decode_utf8().expect("UTF-8");
    let file = std::fs::File::open(table.join(&*path)).expect("a file");
    let reader = parquet::file::reader::SerializedFileReader::new(file).expect("Parquet");
    let schema = parquet::file::reader::FileReader::metadata(&reader).file_metadata().schema_descr_ptr();
    schema.columns().iter().any(|column| column.name() == name)
}

/// A file of an attempt that never was committed goes from the directory of a partition as from any other.
#[test]
fn a_clean_up_finds_what_lies_in_directories_of_partitions() {
    let shop = shop(SALES, "s: {}", "[country, day]");
    shop.delivered();
    let add = &actions(&shop.table("s"), 0, "add")[0];
    let path =
        percent_encoding::percent_decode_str(add["path"].as_str().expect("a path")).decode_utf8().expect("UTF-8");
    let file = shop.table("s").join(&*path);
    let attempt = file.file_name().and_then(|name| name.to_str()?.split_once('-')).expect("an attempt").0.to_owned();
    let beside = |name: &str| {
        let copy = file.with_file_name(name);
        std::fs::copy(&file, &copy).expect("a copy");
        let then = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 86_400);
        std::fs::File::options().write(true).open(&copy).and_then(|file| file.set_modified(then)).expect("a time");
        copy
    };
    let ours = beside(&format!("{attempt}-9-00000000-0000-4000-8000-000000000000.parquet"));
    let theirs = beside("part-00000.parquet");
    let gc = super::formats::worker(&shop, "gc", &[]);
    assert!(gc.status.success(), "{}", talk(&gc));
    assert!(!ours.exists() && theirs.exists() && file.exists(), "ours went, and what others put there stays");
    assert_eq!(rows(&shop.table("s"), "SELECT count(*) FROM t"), json!([[6]]));
    super::verified(&shop);
}

/// What docs/formats.md shows is the file that runs here.
#[test]
fn the_example_of_partitions_runs_and_its_page_shows_it() {
    let root = waybill_tests::binaries::repository();
    let example = std::fs::read_to_string(root.join("examples/partitions.waybill.yaml")).expect("the example");
    let page = std::fs::read_to_string(root.join("docs/formats.md")).expect("the page");
    let shown = example.split_once("waybill: 1").expect("a head").1;
    assert!(page.contains(&format!("```yaml\nwaybill: 1{shown}```")), "the page shows something else:{shown}");
    let shop = Shop::with(&std::fs::read_to_string(root.join("examples/shop.sql")).expect("the shop"), "");
    let mut worker = std::process::Command::new(waybill_tests::binaries::binary("waybill-worker"));
    let spec = root.join("examples/partitions.waybill.yaml");
    let output =
        worker.args(["once", "--spec"]).arg(spec).current_dir(shop.dir.path()).output().expect("run the worker");
    assert!(output.status.success(), "{}", talk(&output));
    let table = shop.path("lake/by-customer/orders");
    let found = rows(&table, "SELECT id, customer_id, total, run_day IS NULL FROM t WHERE customer_id = 1 ORDER BY id");
    assert_eq!(found, json!([[1, 1, "12.50", false], [3, 1, "1048.00", false]]));
}

#[test]
fn what_readers_would_take_for_something_else_is_refused_before_a_commit() {
    for (value, partition, code) in [
        ("''", "[country]", "value_refused"),
        ("'__HIVE_DEFAULT_PARTITION__'", "[country]", "value_refused"),
        ("'x'", "[n]", "spec_refused"),
        ("'x'", "[run.day, country]", "column_name_unusable"),
        ("'x'", "[nowhere]", "column_not_found"),
        ("'x'", "[id, rev, country, day, big, n]", "spec_refused"),
    ] {
        let more = if partition.contains("run") { "; ALTER TABLE s RENAME big TO Run_Day" } else { "" };
        let shop = shop(&format!("{SALES}{more}; UPDATE s SET country = {value} WHERE id = 4"), "s: {}", partition);
        let output = shop.once();
        assert_eq!(report(&output)["streams"][0]["failure"], code, "{partition} {}", talk(&output));
        assert!(!shop.table("s").join("_delta_log").exists(), "{partition}");
    }
}

#[test]
fn a_table_is_partitioned_otherwise_by_a_full_load_only() {
    let shop = shop(SALES, "s: { load: new, cursor: id }", "[country]");
    shop.delivered();
    shop.sql("INSERT INTO s VALUES (7, 7, 'SE', NULL, NULL, 6)");
    again(&shop, "s: { load: new, cursor: id }", "[big]");
    let output = shop.once();
    assert_eq!(report(&output)["streams"][0]["failure"], "schema_changed", "{}", talk(&output));
    assert!(talk(&output).contains("by [country] and the pipeline wants [big]: one `full` load"), "{}", talk(&output));
    again(&shop, "s: {}", "[big]");
    shop.delivered();
    assert_eq!(actions(&shop.table("s"), 1, "metaData")[0]["partitionColumns"], json!(["big"]));
    assert_eq!(rows(&shop.table("s"), "SELECT count(*), count(country) FROM t"), json!([[7, 6]]));
    again(&shop, "s: {}", "[]");
    shop.delivered();
    assert_eq!(actions(&shop.table("s"), 2, "metaData")[0]["partitionColumns"], json!([]));
    let lake = shop.path("lake").display().to_string();
    let mut back = std::process::Command::new(waybill_tests::binaries::binary("waybill-worker"));
    assert!(back.args(["rollback", &lake, "--table", "s", "--to-version", "0"]).status().expect("run it").success());
    assert_eq!(rows(&shop.table("s"), "SELECT count(*) FROM t WHERE country = 'SE'"), json!([[2]]));
    super::verified(&shop);
}

//! Rows of files that can't be read, by the real worker: set aside as they stand and counted, or the end of the stream.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use waybill_connectors::bucket::local::LocalBucket;
use waybill_model::Micros;
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::gc::{Age, Collected, collect};
use waybill_tests::binaries::binary;
use waybill_tests::readers;

const DAY: Duration = Duration::from_hours(24);

/// A directory of files and a lake beside it.
struct Yard {
    dir: tempfile::TempDir,
    /// The stream's pattern and its keys.
    stream: (String, String),
}

impl Yard {
    fn new(stream: &str, keys: &str, files: &[(&str, &[u8])]) -> Self {
        let yard = Self { dir: tempfile::tempdir().expect("dir"), stream: (stream.to_owned(), keys.to_owned()) };
        fs::create_dir(yard.dir.path().join("in")).expect("a directory");
        files.iter().for_each(|(name, text)| yard.put(name, text));
        yard
    }

    fn put(&self, name: &str, text: &[u8]) {
        fs::write(self.dir.path().join("in").join(name), text).expect("a file");
    }

    fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    fn worker(&self, program: &str, fault: Option<String>) -> Output {
        self.worker_with(program, fault, &[])
    }

    fn worker_with(&self, program: &str, fault: Option<String>, more: &[&str]) -> Output {
        let (root, (stream, keys)) = (self.dir.path().display(), &self.stream);
        let spec = format!(
            "waybill: 1\nconnections:\n  yard: {{ type: files, url: \"file://{root}/in\" }}\n  \
             lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: yard\n    to: lake\n    streams:\n      \
             \"{stream}\": {{ {keys} }}\n"
        );
        fs::write(self.dir.path().join("spec.yaml"), spec).expect("the spec");
        let mut worker = Command::new(binary(program));
        worker
            .args(["once", "--memory", "128MiB", "--json", "--spec"])
            .arg(self.dir.path().join("spec.yaml"))
            .args(more);
        worker.envs(fault.map(|fault| ("WAYBILL_FAULT", fault))).output().expect("run the worker")
    }

    /// A run that lands so many rows; what it said.
    fn lands(&self, rows: u64) -> String {
        let output = self.worker("waybill-worker", None);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{talk}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["streams"][0]["rows"], rows, "{report}\n{talk}");
        talk
    }

    /// A run that fails with this code; what it said.
    fn refused(&self, code: &str) -> String {
        let output = self.worker("waybill-worker", None);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no report: {talk}"));
        assert_eq!(report["streams"][0]["failure"], code, "{report}\n{talk}");
        talk
    }

    /// Files of rows that were set aside, by their paths below the lake.
    fn aside(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.lake(), &mut found);
        found.retain(|path| path.to_string_lossy().contains("/_waybill/quarantine/"));
        found.sort();
        found
    }

    /// What DuckDB reads in them.
    fn told(&self, columns: &str) -> Value {
        let sql = format!(
            "SELECT {columns} FROM read_json('*/_waybill/quarantine/*/*.jsonl.zst', columns = {{file: 'VARCHAR', \
             line: 'BIGINT', code: 'VARCHAR', why: 'VARCHAR', raw: 'VARCHAR', raw_hex: 'VARCHAR'}}) ORDER BY file, line"
        );
        readers::typed(&self.lake(), &sql).expect("DuckDB")
    }

    fn has(&self, sql: &str, rows: &Value) {
        let table = fs::read_dir(self.lake()).expect("a lake").flatten().map(|entry| entry.path());
        let table = table.into_iter().find(|path| path.join("_delta_log").is_dir()).expect("a table");
        assert_eq!(&readers::query(&table, sql).expect("readers").agreed(), rows);
    }

    fn is_sound(&self) {
        waybill_tests::verify::verified(&self.lake()).expect("the lake is whole");
    }

    async fn collected(&self, days: u32) -> Collected {
        let bucket: Arc<dyn Bucket> = Arc::new(LocalBucket::open(&self.lake()).expect("the lake"));
        let table = fs::read_dir(self.lake()).expect("a lake").flatten();
        let table = table.into_iter().find(|entry| entry.path().join("_delta_log").is_dir()).expect("a table");
        let age = Age { retention: 7 * DAY, now: Micros::now().plus(DAY * days) };
        collect(&bucket, &table.file_name().to_string_lossy(), age, false).await.expect("a clean-up")
    }
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
    }
}

const CSV: &str = "load: full, bad-rows: quarantine, bad-rows-share: off, edge-values: fail, invalid-text: fail, format: \
                   { type: csv, types: { id: bigint } }";

#[test]
fn lines_of_csv_that_are_no_rows_are_set_aside_as_they_stand_and_the_others_land() {
    let a = b"id,name\r\n1,\"one\"\r\nhidden-2,two\r\n3\r\n4,\"fo\"\"ur\",\"hidden-\"\"x\"\"\"\r\n5,\xff\r\n6,\"six,\nseven\"\r\n";
    let yard = Yard::new("*.csv", CSV, &[("a.csv", a), ("b.csv", b"name,id\neight,8\nnine,9,hidden-9")]);
    let talk = yard.lands(3);
    assert!(talk.contains("*.csv: rows quarantined (5)"), "{talk}");
    assert!(!talk.contains("hidden-"), "rows are told of by number alone: {talk}");
    yard.has("SELECT id, name FROM t ORDER BY id", &json!([[1, "one"], [6, "six,\nseven"], [8, "eight"]]));
    let wanted = json!([
        ["a.csv", 3, "value_refused", "hidden-2,two", null],
        ["a.csv", 4, "csv_malformed", "3", null],
        ["a.csv", 5, "csv_malformed", "4,\"fo\"\"ur\",\"hidden-\"\"x\"\"\"", null],
        ["a.csv", 6, "text_undecodable", null, "352cff"],
        ["b.csv", 3, "csv_malformed", "nine,9,hidden-9", null],
    ]);
    assert_eq!(yard.told("file, line, code, raw, raw_hex"), wanted);
    assert_eq!(yard.told("why")[1], json!(["the record has 1 field, and the table 2"]));
    yard.is_sound();
    // The next load sets them aside anew, for an epoch of its own, and what stands there already stays.
    let first = yard.aside();
    yard.lands(3);
    let both = yard.aside();
    assert!(both.len() > first.len() && first.iter().all(|path| both.contains(path)), "{both:?}");
    // One that is not what the run wrote is a finding; one that its owner has deleted is none.
    let mut bytes = fs::read(&first[0]).expect("a file");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&first[0], bytes).expect("a file");
    let said = waybill_tests::verify::verified(&yard.lake()).expect_err("one was altered").to_string();
    assert!(said.contains("quarantine"), "{said}");
    for path in both {
        fs::remove_file(path).expect("deleted");
    }
    yard.is_sound();
}

#[test]
fn lines_of_json_that_are_no_objects_are_set_aside_and_change_no_type() {
    let lines = b"{\"id\":1,\"n\":1.5}\n{\"id\":\"hidden\",\"id\":2}\n{\"id\":2,\"new\":{\"x\":\n7\n\n{\"id\":3,\"n\":2}\n{\"id\":\"\xff\"}\n{\"other\":1,\"other\":2}\r\n";
    let keys = "load: full, verify-count: true, bad-rows: quarantine, bad-rows-share: off";
    let yard = Yard::new("*.jsonl", keys, &[("a.jsonl", lines)]);
    assert!(yard.lands(2).contains("*.jsonl: rows quarantined (5)"));
    yard.has("SELECT * FROM t ORDER BY id", &json!([[1, 1.5], [3, 2.0]]));
    let wanted = json!([
        [2, "{\"id\":\"hidden\",\"id\":2}", null],
        [3, "{\"id\":2,\"new\":{\"x\":", null],
        [4, "7", null],
        [7, null, "7b226964223a22ff227d"],
        [8, "{\"other\":1,\"other\":2}\r", null],
    ]);
    assert_eq!(yard.told("line, raw, raw_hex"), wanted);
    yard.is_sound();
    // Elements of an array, where the array says where each of them ends.
    let yard = Yard::new("*.json", keys, &[("a.json", b"[{\"id\":1},\n 7, {\"id\":2,\"id\":3},\n{\"id\":4}]")]);
    yard.lands(2);
    assert_eq!(yard.told("line, raw"), json!([[2, "7"], [2, "{\"id\":2,\"id\":3}"]]));
}

#[test]
fn a_bad_row_whose_end_is_in_doubt_ends_the_stream_and_leaves_nothing() {
    // Rows that are set aside before it, of many bytes that no compressor makes few.
    let mut before = String::from("id,name\n");
    let mut state = 7_u64;
    for _ in 0..20_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        writeln!(before, "{state:x},{:x},bad", state.rotate_left(17)).expect("text");
    }
    let large = format!("1,2,{}\n", "x".repeat(1 << 20));
    for (row, code, what) in [
        ("1,\"two\n2,two\n3,three\n", "csv_malformed", "not closed before the end"),
        ("1,\"two\n2,\"two\n", "csv_malformed", "after a closing quote"),
        ("1,\"two\n2\",two\n", "csv_malformed", "spans several lines"),
        ("one,\"a\nb\"\n", "value_refused", "spans several lines"),
        ("1,tw\"o\n", "csv_malformed", "inside an unquoted field"),
        ("\n1,two\n", "csv_malformed", "an empty line"),
        (&large, "csv_malformed", "larger than 1 MiB"),
    ] {
        let yard = Yard::new("*.csv", CSV, &[("a.csv", format!("{before}{row}").as_bytes())]);
        let talk = yard.refused(code);
        assert!(talk.contains(what), "{what}: {talk}");
        assert!(yard.aside().is_empty(), "an upload that was given up leaves nothing");
    }
    let keys = "load: full, bad-rows: quarantine, bad-rows-share: off";
    for (name, text) in [
        ("a.json", "[{\"id\":1},{\"id\": \"x},{\"id\":2},{\"y\":\"}]"),
        ("a.jsonl", "[\n  1\n]\n"),
        ("a.jsonl", "\u{feff}"),
    ] {
        let yard = Yard::new("a.*", &format!("{keys}, format: {}", &name[2..]), &[(name, text.as_bytes())]);
        yard.refused("json_malformed");
    }
}

#[test]
fn more_bad_rows_than_the_stream_allows_commit_nothing_and_are_there_to_be_looked_at() {
    let text = |good: u64, bad: u64| {
        let good = (0..good).map(|n| format!("{n},x\n"));
        format!("id,name\n{}{}", good.collect::<String>(), "bad\n".repeat(usize::try_from(bad).expect("few")))
    };
    let mut yard = Yard::new("*.csv", "load: full, bad-rows: quarantine", &[("a.csv", text(99, 1).as_bytes())]);
    yard.lands(99);
    yard.put("a.csv", text(98, 1).as_bytes());
    let talk = yard.refused("too_many_bad_rows");
    assert!(talk.contains("1 of 99 rows could not be read, more than 1 % (`bad-rows-share`)"), "{talk}");
    let place = talk.split("they are in ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a place");
    let there = yard.lake().join(place.trim_end_matches(['\u{1b}', ';', ',']));
    assert_eq!(fs::read_dir(&there).expect("the place that it names").count(), 1, "{}", there.display());
    assert!(talk.contains("bad-rows-share: 5%"), "it says what to do: {talk}");
    yard.has("SELECT count(*) FROM t", &json!([[99]]));
    yard.is_sound();
    yard.stream.1 = "load: full, bad-rows: quarantine, bad-rows-share: 2%".to_owned();
    yard.lands(98);
    yard.stream.1 = "load: full, bad-rows: quarantine, bad-rows-share: off, shrink-guard: off".to_owned();
    yard.put("a.csv", text(0, 3).as_bytes());
    yard.lands(0);
    assert_eq!(yard.told("count(*) OVER ()")[0], json!([6]));
    // Without a word of it the first one ends the stream, as ever.
    yard.stream.1 = "load: full".to_owned();
    yard.refused("csv_malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_commit_names_is_collected_and_what_one_names_stays() {
    let yard = Yard::new("*.csv", CSV, &[("a.csv", b"id,name\n1,one\n2\n")]);
    yard.lands(1);
    let named = yard.aside();
    // Dies when all is written but the commit, and once more before a state names what it set aside.
    for point in ["before_prepare", "files_closed"] {
        let marker = yard.dir.path().join(point);
        let fault = format!("{point}=kill;{}", marker.display());
        let output = yard.worker("waybill-worker-faults", Some(fault));
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(fs::read_to_string(&marker).expect("the fault fired").starts_with(point), "{talk}");
    }
    assert_eq!(yard.aside().len(), 3);
    yard.lands(1);
    let young = yard.collected(6).await;
    assert_eq!((young.files, yard.aside().len()), (0, 4));
    yard.collected(8).await;
    let left = yard.aside();
    assert!(left.len() == 3 && left.contains(&named[0]), "only the one that no state names is gone: {left:?}");
    assert_eq!(yard.collected(20).await.files, 0);
    yard.is_sound();
}

#[test]
fn a_new_file_with_bad_rows_is_taken_once_and_they_are_set_aside_once() {
    let keys = "load: new, bad-rows: quarantine, bad-rows-share: off";
    let yard = Yard::new("*.csv", keys, &[("a.csv", b"id,name\n1,one\nbad\n")]);
    yard.lands(1);
    yard.put("b.csv", b"id,name\nbad\n");
    yard.lands(0);
    yard.lands(0);
    assert_eq!(yard.told("file, line"), json!([["a.csv", 3], ["b.csv", 2]]));
    yard.has("SELECT id FROM t", &json!([["1"]]));
    yard.is_sound();
}

#[test]
fn a_run_with_a_limit_is_not_held_to_the_share() {
    let rows: String = (0..50).map(|n| format!("{n},x\nbad\n")).collect();
    let yard =
        Yard::new("*.csv", "load: full, bad-rows: quarantine", &[("a.csv", format!("id,name\n{rows}").as_bytes())]);
    yard.refused("too_many_bad_rows");
    let output = yard.worker_with("waybill-worker", None, &["--limit", "10"]);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
    yard.has("SELECT count(*) FROM t", &json!([[10]]));
    yard.is_sound();
}

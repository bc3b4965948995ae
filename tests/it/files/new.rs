//! `load: new` of files by the real worker: each file's rows come once, whatever its times say, and whenever a worker dies.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::SystemTime;

use serde_json::{Value, json};
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::services::azurite::{ACCOUNT, Azurite, CONTAINER};
use waybill_tests::services::gcs::{self, Emulator, Gcs};
use waybill_tests::services::s3::{BUCKET, Roto};

/// An inbox of files and a lake beside it.
struct Inbox {
    dir: tempfile::TempDir,
    pattern: String,
    /// Of the stream, besides `load: new`.
    keys: String,
}

impl Inbox {
    fn new(files: &[(&str, &str)]) -> Self {
        let inbox = Self { dir: tempfile::tempdir().expect("dir"), keys: String::new(), pattern: "*.csv".to_owned() };
        fs::create_dir(inbox.dir.path().join("in")).expect("an inbox");
        files.iter().for_each(|(name, text)| inbox.put(name, text));
        inbox
    }

    /// Puts a file in place as a whole, as programs do that others read from, always with the same time.
    fn put(&self, name: &str, text: &str) {
        let place = self.dir.path().join("in").join(name);
        let beside = self.dir.path().join("beside");
        fs::write(&beside, text).expect("write");
        let file = File::options().write(true).open(&beside).expect("open");
        file.set_modified(SystemTime::UNIX_EPOCH).expect("a time");
        fs::rename(beside, place).expect("put in place");
    }

    fn root(&self) -> &Path {
        self.dir.path()
    }

    fn worker(&self, program: &str, fault: Option<String>, more: &[&str]) -> Output {
        let root = self.root().display();
        let spec = format!(
            "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"file://{root}/in\" }}\n  \
             lake: {{ type: local, path: {root}/lake }}\npipelines:\n  p:\n    from: inbox\n    to: lake\n    streams:\n      \
             \"{}\": {{ load: new{} }}\n",
            self.pattern, self.keys
        );
        fs::write(self.root().join("spec.yaml"), spec).expect("the spec");
        let mut worker = Command::new(binary(program));
        worker.args(["once", "--memory", "128MiB", "--json", "--spec"]).arg(self.root().join("spec.yaml")).args(more);
        worker.envs(fault.map(|fault| ("WAYBILL_FAULT", fault))).output().expect("run the worker")
    }

    /// A run that delivers so many rows.
    fn delivers(&self, rows: u64) -> Value {
        let output = self.worker("waybill-worker", None, &[]);
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{talk}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["streams"][0]["rows"], rows, "{report}\n{talk}");
        report
    }

    /// A run that fails with this code; what it said.
    fn refused(&self, code: &str) -> String {
        let output = self.worker("waybill-worker", None, &[]);
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        assert_eq!(report["streams"][0]["failure"], code, "{report}\n{talk}");
        talk
    }

    fn table(&self) -> PathBuf {
        let tables = fs::read_dir(self.root().join("lake")).expect("a lake").flatten().map(|entry| entry.path());
        tables.into_iter().find(|path| path.join("_delta_log").is_dir()).expect("a table")
    }

    fn has(&self, ids: &[&str]) {
        let seen = readers::query(&self.table(), "SELECT id FROM t ORDER BY id").expect("readers").agreed();
        assert_eq!(seen, json!(ids.iter().map(|id| [id]).collect::<Vec<_>>()));
    }

    fn is_sound(&self) {
        waybill_tests::verify::verified(&self.root().join("lake")).expect("the lake is whole");
    }
}

#[test]
fn each_run_takes_the_files_that_no_run_has_taken_whatever_their_times() {
    let inbox = Inbox::new(&[("b.csv", "id\n1\n2\n"), ("d.csv", "id\n3\n")]);
    inbox.delivers(3);
    let nothing = inbox.delivers(0);
    assert_eq!(nothing["streams"][0]["version"], Value::Null, "nothing is committed where nothing is new");
    // Before, between and behind those that are known, all with one time; one of them without a row.
    for (name, text) in [("a.csv", "id\n4\n"), ("c.csv", "id\n5\n"), ("e.csv", "id\n6\n"), ("f.csv", "id\n")] {
        inbox.put(name, text);
    }
    inbox.delivers(3);
    inbox.put("g.csv", "id\n");
    assert_ne!(inbox.delivers(0)["streams"][0]["version"], Value::Null, "a file without rows is taken too");
    assert_eq!(inbox.delivers(0)["streams"][0]["version"], Value::Null);
    // What was taken may be tidied away, and all of it.
    fs::remove_dir_all(inbox.root().join("in")).expect("tidied");
    fs::create_dir(inbox.root().join("in")).expect("an inbox");
    inbox.delivers(0);
    inbox.put("d.csv", "id\n3\n");
    assert!(
        inbox.refused("files_rewritten").contains("rewritten since an earlier run took them: 1 file"),
        "another file has the name of one that was taken"
    );
    inbox.has(&["1", "2", "3", "4", "5", "6"]);
    inbox.is_sound();
}

#[test]
fn a_file_that_is_rewritten_ends_the_run_or_comes_again_or_stays_as_the_stream_says() {
    let mut inbox = Inbox::new(&[("hidden-a.csv", "id\n1\n"), ("hidden-b.csv", "id\n2\n")]);
    inbox.delivers(2);
    // Of the same size and time.
    inbox.put("hidden-a.csv", "id\n9\n");
    inbox.put("hidden-c.csv", "id\n3\n");
    let talk = inbox.refused("files_rewritten");
    assert!(!talk.contains("hidden"), "{talk}");
    inbox.has(&["1", "2"]);
    inbox.keys = ", changed-files: ignore".to_owned();
    inbox.delivers(1);
    inbox.delivers(0);
    inbox.has(&["1", "2", "3"]);
    inbox.keys = ", changed-files: append".to_owned();
    inbox.delivers(1);
    inbox.delivers(0);
    inbox.has(&["1", "2", "3", "9"]);
    // It is known as it is now.
    inbox.keys = String::new();
    inbox.delivers(0);
    let reload = inbox.worker("waybill-worker", None, &["--reload", "*.csv"]);
    assert_eq!(reload.status.code(), Some(0), "{}", String::from_utf8_lossy(&reload.stderr));
    inbox.has(&["2", "3", "9"]);
    inbox.put("hidden-d.csv", "id\n4\n");
    inbox.delivers(1);
    inbox.has(&["2", "3", "4", "9"]);
    inbox.is_sound();
}

#[test]
fn a_killed_worker_takes_no_file_twice_and_forgets_none() {
    for (point, landed) in [
        ("last_part", false),
        ("files_listed", false),
        ("prepared", false),
        ("before_commit_put", false),
        ("commit_applied", true),
    ] {
        let inbox = Inbox::new(&[("a.csv", "id\n1\n")]);
        inbox.delivers(1);
        inbox.put("b.csv", "id\n2\n3\n");
        let marker = inbox.root().join("fired");
        let killed = inbox.worker("waybill-worker-faults", Some(format!("{point}=kill;{}", marker.display())), &[]);
        let talk = String::from_utf8_lossy(&killed.stderr);
        assert!(fs::read_to_string(&marker).expect("the fault fired").starts_with(point), "{talk}");
        inbox.has(if landed { &["1", "2", "3"] } else { &["1"] });
        inbox.put("c.csv", "id\n4\n");
        inbox.delivers(if landed { 1 } else { 3 });
        inbox.delivers(0);
        inbox.has(&["1", "2", "3", "4"]);
        inbox.is_sound();
    }
}

#[test]
fn keys_stand_in_the_list_and_not_in_state_or_receipt() {
    let inbox = Inbox::new(&[("secret-name.csv", "id\n1\n")]);
    let report = inbox.delivers(1);
    assert!(!report.to_string().contains("secret-name"), "{report}");
    for (place, holds) in [("_waybill/state", "\"taken\":[{"), ("_waybill/receipts", "\"taken\":{\"files\":1,")] {
        let records = fs::read_dir(inbox.table().join(place)).expect("records").flatten().map(|entry| entry.path());
        let text = fs::read_to_string(records.into_iter().max().expect("a record")).expect("a record");
        assert!(text.contains(holds) && !text.contains("secret-name"), "{text}");
    }
}

#[test]
fn an_archive_that_another_program_wrote_is_its_files_and_comes_once() {
    let mut inbox = Inbox::new(&[("z.csv", "id\n9\n")]);
    inbox.keys = ", format: csv".to_owned();
    let program = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED)\nz.mkdir('d')\n\
                   z.writestr('d/a.csv', 'id\\n1\\n' * 1 + '2\\n' * 50000)\n\
                   with z.open('b.csv', 'w', force_zip64=True) as f: f.write(b'id\\n3\\n')\nz.comment = b'PK\\x05\\x06'\nz.close()\n";
    let made =
        Command::new("python3").args(["-c", program]).arg(inbox.root().join("in/a.csv.zip")).output().expect("python3");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    inbox.pattern = "*.csv*".to_owned();
    inbox.delivers(50_003);
    inbox.delivers(0);
    let seen = readers::query(&inbox.table(), "SELECT id, count(*) FROM t GROUP BY id ORDER BY id").expect("readers");
    assert_eq!(seen.agreed(), json!([["1", 1], ["2", 50_000], ["3", 1], ["9", 1]]));
    inbox.is_sound();
}

/// A store that takes files and can be read.
enum Store {
    S3(Roto),
    Gcs(Gcs),
    Azure(Azurite),
}

impl Store {
    async fn put(&self, name: &str, text: &str) {
        let (name, body) = (format!("in/{name}"), text.as_bytes());
        match self {
            Self::S3(server) => server.put(&name, body).await,
            Self::Gcs(server) => server.put(&name, body).await,
            Self::Azure(server) => server.put(&name, body).await,
        }
    }

    async fn copy(&self, to: &Path) {
        match self {
            Self::S3(server) => server.copy("lake/", to).await,
            Self::Gcs(server) => server.copy("lake/", to).await,
            Self::Azure(server) => server.copy("lake/", to).await,
        }
        .expect("a copy");
    }

    /// How both ends are named.
    fn ends(&self) -> (String, String) {
        match self {
            Self::S3(server) => {
                let access = format!(
                    "region: us-east-1, endpoint: \"{}\", access-key: env://KEY, secret-key: env://SECRET",
                    server.endpoint()
                );
                (
                    format!("type: files, url: \"s3://{BUCKET}/in\", {access}"),
                    format!("type: s3, bucket: {BUCKET}, prefix: lake, {access}"),
                )
            }
            Self::Gcs(server) => {
                let access = format!("endpoint: \"{}\", anonymous: true", server.endpoint());
                let bucket = gcs::BUCKET;
                (
                    format!("type: files, url: \"gs://{bucket}/in\", {access}"),
                    format!("type: gcs, bucket: {bucket}, prefix: lake, {access}"),
                )
            }
            Self::Azure(server) => {
                let access = format!("endpoint: \"{}\", account-key: env://AZURE_KEY", server.endpoint());
                (
                    format!("type: files, url: \"azure://{ACCOUNT}/{CONTAINER}/in\", {access}"),
                    format!("type: azure, account: {ACCOUNT}, container: {CONTAINER}, prefix: lake, {access}"),
                )
            }
        }
    }

    fn once(&self, dir: &Path) -> Value {
        let (inbox, lake) = self.ends();
        let spec = format!(
            "waybill: 1\nconnections:\n  inbox: {{ {inbox} }}\n  lake: {{ {lake} }}\npipelines:\n  p:\n    from: inbox\n    \
             to: lake\n    streams:\n      \"**/*.csv\": {{ load: new }}\n"
        );
        fs::write(dir.join("spec.yaml"), spec).expect("the spec");
        let mut worker = Command::new(binary("waybill-worker"));
        worker.args(["once", "--memory", "128MiB", "--json", "--spec"]).arg(dir.join("spec.yaml"));
        worker.envs([
            ("KEY", "waybill".to_owned()),
            ("SECRET", "very-secret-key".to_owned()),
            ("AZURE_KEY", Azurite::key()),
        ]);
        let output = tokio::task::block_in_place(|| worker.output()).expect("run the worker");
        let report = serde_json::from_slice(&output.stdout);
        report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }
}

async fn comes_once(store: Store) {
    let dir = tempfile::tempdir().expect("dir");
    for n in 0..3 {
        store.put(&format!("{n}.csv"), &format!("id\n{n}\n")).await;
    }
    let rows = |report: &Value| report["streams"][0]["rows"].clone();
    assert_eq!(rows(&store.once(dir.path())), 3);
    assert_eq!(rows(&store.once(dir.path())), 0);
    store.put("0/late.csv", "id\n3\n").await;
    store.put("1.csv.csv", "id\n4\n").await;
    assert_eq!(rows(&store.once(dir.path())), 2);
    store.put("2.csv", "id\n8\n").await;
    let refused = store.once(dir.path());
    assert_eq!(refused["streams"][0]["failure"], "files_rewritten", "{refused}");
    store.copy(dir.path()).await;
    let tables = fs::read_dir(dir.path().join("lake")).expect("a lake").flatten().map(|entry| entry.path());
    let table = tables.into_iter().find(|path| path.join("_delta_log").is_dir()).expect("a table");
    let seen = readers::query(&table, "SELECT id FROM t ORDER BY id").expect("readers").agreed();
    assert_eq!(seen, json!([["0"], ["1"], ["2"], ["3"], ["4"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_of_s3_come_once() {
    comes_once(Store::S3(Roto::start().await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_of_google_come_once() {
    comes_once(Store::Gcs(Gcs::start(Emulator::FakeGcs).await)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_files_of_azure_come_once() {
    comes_once(Store::Azure(Azurite::start().await)).await;
}

//! Whole runs into Google Cloud Storage by the real worker, read by two independent readers and verified by address; the
//! page's own example.

use std::path::Path;

use serde_json::{Value, json};
use waybill_tests::binaries::repository;
use waybill_tests::readers;
use waybill_tests::services::gcs::{BUCKET, Emulator, Gcs};
use waybill_tests::services::s3_proxy::{Break, S3Proxy};

use crate::remote::once::{COMMIT, SUMS, once, report, rows, worker};
use crate::remote::rule;

fn spec(dir: &Path, endpoint: &str) -> String {
    format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {}/shop.db }}\n  lake: {{ type: gcs, bucket: {BUCKET}, \
         prefix: raw, endpoint: \"{endpoint}\", anonymous: true }}\npipelines:\n  p:\n    from: shop\n    to: lake\n    \
         streams:\n      t: {{ load: full, verify-count: true }}\n",
        dir.display()
    )
}

/// `verify` by address, as the customer runs it with the variable that Google's own tools read.
fn verified(server: &Gcs) -> Value {
    let variables = [("STORAGE_EMULATOR_HOST", server.endpoint())];
    report(&worker(&["verify", "--json", &format!("gs://{BUCKET}/raw")], &variables))
}

async fn seen(server: &Gcs) -> Value {
    let copy = tempfile::tempdir().expect("dir");
    server.copy("raw/t/", copy.path()).await.expect("a copy");
    readers::query(&copy.path().join("raw/t"), SUMS).expect("readers").agreed()
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_rows_land_in_google_and_a_second_run_replaces_them() {
    let server = Gcs::start(Emulator::FakeGcs).await;
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    let source = rusqlite::Connection::open(dir.path().join("shop.db")).expect("open");
    for (version, rows) in [(0, 5000), (1, 4999)] {
        let delivered = report(&once(dir.path(), &spec(dir.path(), &server.endpoint()), &[]));
        let stream = &delivered["streams"][0];
        assert_eq!((&stream["rows"], &stream["version"]), (&json!(rows), &json!(version)));
        assert_eq!(seen(&server).await, json!([[rows, rows, rows * (rows + 1) / 2, rows]]), "version {version}");
        let verified = verified(&server);
        assert_eq!((&verified["ok"], &verified["tables"][0]["rows"]), (&json!(true), &json!(rows)));
        source.execute_batch("DELETE FROM t WHERE id = 5000").expect("one row less");
    }
}

/// F34 by the worker: the commit took effect and its answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn f34_a_run_into_google_whose_commit_is_not_answered_is_settled_and_exact() {
    let server = Gcs::start(Emulator::FakeGcs).await;
    let proxy = S3Proxy::before(server.port()).await;
    proxy.inject(rule("POST", COMMIT, 1, Break::LoseAnswer));
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    let delivered = report(&once(dir.path(), &spec(dir.path(), &proxy.endpoint()), &[]));
    let stream = &delivered["streams"][0];
    assert_eq!((&stream["rows"], &stream["version"], proxy.fired()), (&json!(5000), &json!(0), vec![1]));
    assert_eq!(proxy.answers("POST", COMMIT), [200]);
    assert_eq!(seen(&server).await, json!([[5000, 5000, 5000 * 5001 / 2, 5000]]));
}

/// F36 by the worker: nothing is written to a store that would not refuse a second commit, such as this emulator.
#[tokio::test(flavor = "multi_thread")]
async fn f36_a_run_into_a_google_that_ignores_the_condition_is_refused() {
    let server = Gcs::start(Emulator::Storage).await;
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    let output = once(dir.path(), &spec(dir.path(), &server.endpoint()), &[]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.code() != Some(0) && said.contains("bucket_unconditional"), "{said}");
    assert!(!server.names().await.iter().any(|name| name.contains("_delta_log")), "{said}");
}

/// The example of the page, with the emulator in the service's place and nobody in the service account's.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_page_about_google_runs() {
    let page = std::fs::read_to_string(repository().join("docs/gcs.md")).expect("the page");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let server = Gcs::start(Emulator::FakeGcs).await;
    server.put("inbox/orders/a.csv", b"id,name\n1,Ada\n2,Bob\n").await;
    server.put("inbox/orders/b.csv", b"id,name\n3,Eve\n").await;
    let account = "service-account: \"file:///run/secrets/lake-key.json\"";
    assert_eq!(example.matches(account).count(), 2, "{example}");
    let here = format!("anonymous: true\n    endpoint: \"{}\"", server.endpoint());
    let dir = tempfile::tempdir().expect("dir");
    let text = example.replace("examplelake", BUCKET).replace(account, &here);
    let delivered = report(&once(dir.path(), &text, &[]));
    assert_eq!(delivered["streams"][0]["rows"], 3);
    assert!(server.names().await.iter().any(|name| name.starts_with("raw/shop/")));
}

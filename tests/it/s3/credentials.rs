//! A worker's role while it writes: sessions that end and are renewed, and a role that is taken away.
//!
//! The store before which the proxy stands checks no signature; which key a request was signed with is the proxy's to check.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;
use waybill_tests::binaries::binary;
use waybill_tests::services::s3::{BUCKET, Roto};
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};
use waybill_tests::services::sessions::Sessions;

/// A run into S3 as the role whose sessions are given there.
async fn run(dir: &Path, proxy: &S3Proxy, sessions: &Sessions) -> Output {
    let spec = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {}/shop.db }}\n  lake: {{ type: s3, bucket: {BUCKET}, \
         prefix: raw, region: us-east-1, endpoint: \"{}\" }}\npipelines:\n  p:\n    from: shop\n    to: lake\n    \
         streams:\n      t: {{ load: full, verify-count: true }}\n",
        dir.display(),
        proxy.endpoint()
    );
    std::fs::write(dir.join("spec.yaml"), spec).expect("write the spec");
    let mut worker = Command::new(binary("waybill-worker"));
    worker.args(["once", "--memory", "128MiB", "--json", "--spec"]).arg(dir.join("spec.yaml")).env_clear();
    worker.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &sessions.address).env("AWS_EC2_METADATA_DISABLED", "true");
    worker.kill_on_drop(true).output().await.expect("run the worker")
}

/// Rows that take several parts.
fn rows(dir: &Path) {
    let source = rusqlite::Connection::open(dir.join("shop.db")).expect("open");
    let sql = "CREATE TABLE t (id integer primary key, noise blob); \
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 24000) \
               INSERT INTO t SELECT i, randomblob(1000) FROM n";
    source.execute_batch(sql).expect("rows");
}

/// Waits for the first part of an upload.
async fn first_part(proxy: &S3Proxy) {
    while proxy.count("PUT", "partNumber=1") == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await; // a poll; the run's end bounds it
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_session_that_ends_in_the_middle_of_an_upload_is_renewed() {
    let server = Roto::start().await;
    let (proxy, sessions) = (S3Proxy::before(server.port()).await, Sessions::start().await);
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    let mut ended = 0;
    let output = tokio::select! {
        output = run(dir.path(), &proxy, &sessions) => output,
        never = async {
            first_part(&proxy).await;
            // Whichever session it is that writes, however long it took to get here.
            ended = sessions.given();
            sessions.end_at(&proxy);
            std::future::pending::<std::convert::Infallible>().await
        } => match never {},
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(proxy.expired() > 0 && sessions.given() > ended, "{} refused, {} given", proxy.expired(), sessions.given());
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!((&report["streams"][0]["rows"], &report["streams"][0]["grade"]), (&json!(24_000), &json!("verified")));
    assert_eq!(server.open_uploads().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_role_that_is_revoked_in_the_middle_of_an_upload_ends_the_run_with_action_and_arn() {
    let server = Roto::start().await;
    let (proxy, sessions) = (S3Proxy::before(server.port()).await, Sessions::start().await);
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    // The first part passes; whatever is written after it is refused.
    proxy.inject(Rule { method: "PUT", holds: "partNumber=2", times: 100, breaks: Break::Answer(403, "AccessDenied") });
    let output = run(dir.path(), &proxy, &sessions).await;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert_eq!((output.status.code(), proxy.fired()), (Some(10), vec![1]), "asked once: {said}");
    assert!(said.contains("bucket_denied"), "{said}");
    assert!(said.contains("s3:PutObject on arn:aws:s3:::lake/raw/*"), "{said}");
    let tables: Vec<_> = server.keys().await.into_iter().filter(|key| key.contains("/t/")).collect();
    assert_eq!((tables, server.open_uploads().await), (Vec::<String>::new(), 0), "and nothing was committed");
}

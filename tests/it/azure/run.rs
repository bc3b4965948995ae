//! Whole runs into Azure by the real worker, read by two independent readers and verified by address; the page's own example.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use waybill_tests::binaries::repository;
use waybill_tests::readers;
use waybill_tests::services::azurite::{ACCOUNT, Azurite, CONTAINER};
use waybill_tests::services::s3_proxy::{Break, S3Proxy};

use crate::remote::once::{COMMIT, SUMS, once as run_once, report, rows, worker};
use crate::remote::rule;

fn spec(dir: &Path, endpoint: &str, keys: &str) -> String {
    format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {}/shop.db }}\n  lake: {{ type: azure, account: \
         {ACCOUNT}, container: {CONTAINER}, prefix: raw, endpoint: \"{endpoint}\", {keys} }}\npipelines:\n  p:\n    \
         from: shop\n    to: lake\n    streams:\n      t: {{ load: full, verify-count: true }}\n",
        dir.display()
    )
}

fn once(dir: &Path, spec: &str) -> Output {
    run_once(dir, spec, &[("LAKE_KEY", Azurite::key()), ("LAKE_SAS", Azurite::signature("rwdlc"))])
}

/// `verify` by address, as the customer runs it with variables that Azure's own tools read.
fn verified(server: &Azurite) -> Value {
    let variables =
        [("AZURE_STORAGE_SERVICE_ENDPOINT", server.endpoint()), ("AZURE_STORAGE_SAS_TOKEN", Azurite::signature("rl"))];
    report(&worker(&["verify", "--json", &format!("azure://{ACCOUNT}/{CONTAINER}/raw")], &variables))
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite_rows_land_in_azure_and_a_second_run_replaces_them() {
    let server = Azurite::start().await;
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    let source = rusqlite::Connection::open(dir.path().join("shop.db")).expect("open");
    for (version, rows, keys) in [(0, 5000, "account-key: \"env://LAKE_KEY\""), (1, 4999, "sas: \"env://LAKE_SAS\"")] {
        let delivered = report(&once(dir.path(), &spec(dir.path(), &server.endpoint(), keys)));
        let stream = &delivered["streams"][0];
        assert_eq!((&stream["rows"], &stream["version"]), (&json!(rows), &json!(version)));
        let copy = tempfile::tempdir().expect("dir");
        server.copy("raw/t/", copy.path()).await.expect("a copy");
        let seen = readers::query(&copy.path().join("raw/t"), SUMS).expect("readers").agreed();
        assert_eq!(seen, json!([[rows, rows, rows * (rows + 1) / 2, rows]]), "version {version}");
        let store = json!({"azure_storage_account_name": ACCOUNT, "azure_storage_account_key": Azurite::key(),
            "azure_storage_endpoint": format!("{}/{ACCOUNT}", server.endpoint()), "allow_http": "true"});
        let place = format!("az://{CONTAINER}/raw/t");
        let read = tokio::task::block_in_place(|| readers::in_store(&place, &store, SUMS)).expect("delta-rs");
        assert_eq!(read, seen, "delta-rs out of the store itself");
        let verified = verified(&server);
        assert_eq!((&verified["ok"], &verified["tables"][0]["rows"]), (&json!(true), &json!(rows)));
        source.execute_batch("DELETE FROM t WHERE id = 5000").expect("one row less");
    }
}

/// F34 by the worker: the commit took effect and its answer was lost.
#[tokio::test(flavor = "multi_thread")]
async fn f34_a_run_into_azure_whose_commit_is_not_answered_is_settled_and_exact() {
    let server = Azurite::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    proxy.inject(rule("PUT", COMMIT, 1, Break::LoseAnswer));
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    let delivered = report(&once(dir.path(), &spec(dir.path(), &proxy.endpoint(), "sas: \"env://LAKE_SAS\"")));
    let stream = &delivered["streams"][0];
    assert_eq!((&stream["rows"], &stream["version"], proxy.fired()), (&json!(5000), &json!(0), vec![1]));
    assert_eq!(proxy.answers("PUT", COMMIT), [201]);
    server.copy("raw/t/", dir.path()).await.expect("a copy");
    let seen = readers::query(&dir.path().join("raw/t"), SUMS).expect("readers").agreed();
    assert_eq!(seen, json!([[5000, 5000, 5000 * 5001 / 2, 5000]]));
}

/// F36 by the worker: nothing is written to a store that would not refuse a second commit.
#[tokio::test(flavor = "multi_thread")]
async fn f36_a_run_into_an_azure_that_ignores_the_condition_is_refused() {
    let server = Azurite::start().await;
    let proxy = S3Proxy::before(server.port()).await;
    proxy.inject(rule("PUT", "", usize::MAX, Break::DropCondition));
    let dir = tempfile::tempdir().expect("dir");
    rows(dir.path());
    let output = once(dir.path(), &spec(dir.path(), &proxy.endpoint(), "sas: \"env://LAKE_SAS\""));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.code() != Some(0) && said.contains("bucket_unconditional"), "{said}");
    assert!(proxy.fired()[0] >= 2 && !server.names().await.iter().any(|name| name.contains("_delta_log")), "{said}");
}

/// The example of the page, with the emulator in the account's place.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_of_the_page_about_azure_runs() {
    let page = std::fs::read_to_string(repository().join("docs/azure.md")).expect("the page");
    let example = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let server = Azurite::start().await;
    server.put("inbox/orders/a.csv", b"id,name\n1,Ada\n2,Bob\n").await;
    server.put("inbox/orders/b.csv", b"id,name\n3,Eve\n").await;
    let signature = "sas: \"env://LAKE_SAS\"";
    assert_eq!(example.matches(signature).count(), 2, "{example}");
    let here = format!("{signature}\n    endpoint: \"{}\"", server.endpoint());
    let dir = tempfile::tempdir().expect("dir");
    let delivered = report(&once(dir.path(), &example.replace(signature, &here)));
    assert_eq!(delivered["streams"][0]["rows"], 3);
    assert!(server.names().await.iter().any(|name| name.starts_with("raw/shop/")));
}

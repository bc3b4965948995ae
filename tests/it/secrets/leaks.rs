//! Where resolved secrets must not be: planted values, searched for in everything that a run writes on either side.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::json;
use waybill_tests::binaries::binary;
use waybill_tests::canary::{Canary, files};
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::openbao::OpenBao;

use super::Story;
use super::vault::by_role;

/// The product with workers that log in at this OpenBao.
async fn sandbox(story: &Story, bao: &OpenBao, ids: &(String, String)) -> Sandbox {
    let mut options = Options::default();
    for (name, value) in by_role(story, bao.address(), ids) {
        options.orchestrator.push((name.to_owned(), value));
        options.passed.push(name.to_owned());
    }
    Sandbox::start(options).await.expect("a sandbox")
}

/// The command line against this product.
fn waybill(story: &Story, sandbox: &Sandbox, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(binary("waybill"));
    command.args(arguments).arg("--state").arg(sandbox.path("state")).current_dir(story.path(""));
    command.env_clear().env("XDG_CONFIG_HOME", story.path("config"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start waybill");
    // A command that reads no input may have ended already.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_a_resolved_secret_is_in_no_log_event_state_or_receipt_of_either_side() {
    let (password, rotated) = (Canary::new("password"), Canary::new("rotated"));
    let (story, bao) = tokio::join!(Story::with(password.text()), OpenBao::start());
    bao.put("shop", json!({ "password": password.text() })).await;
    let ids = bao.role("worker", &["shop"], json!({})).await;
    let sandbox = sandbox(&story, &bao, &ids).await;
    sandbox.apply(&story.document("vault://kv/shop#password")).await.expect("applied");
    let run = sandbox.trigger("nightly").await.expect("a run");
    assert_eq!(sandbox.ended(run).await.expect("its end").run.state.to_string(), "succeeded");
    // A wrong password: the refusal of the server, and all that follows from it, must not show it either.
    bao.put("shop", json!({ "password": rotated.text() })).await;
    let run = sandbox.trigger("nightly").await.expect("a run");
    assert_eq!(sandbox.ended(run).await.expect("its end").run.state.to_string(), "failed");

    let mut places = files(sandbox.dir.path(), &[]);
    places.extend(files(&story.path("lake"), &[]));
    assert!(places.iter().any(|place| place.extension().is_some_and(|kind| kind == "parquet")), "nothing was moved");
    for place in places.iter().filter(|place| place.is_file()) {
        let bytes = std::fs::read(place).expect("read");
        for canary in [&password, &rotated] {
            assert!(!canary.is_in(&bytes), "{} is in {}", canary.text(), place.display());
        }
        let id = ids.1.as_bytes();
        assert!(!bytes.windows(id.len()).any(|window| window == id), "the secret id is in {}", place.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_check_says_which_reference_failed_and_why() {
    let (story, bao) = tokio::join!(Story::with("right"), OpenBao::start());
    bao.put("shop", json!({ "password": "right" })).await;
    let ids = bao.role("worker", &["shop"], json!({})).await;
    let sandbox = sandbox(&story, &bao, &ids).await;
    let login = ["login", "--email", "admin@example.com", "--password-stdin"];
    assert!(waybill(&story, &sandbox, &login, "a long enough phrase for tests\n").status.success());
    for (reference, exit, parts) in [
        ("vault://kv/shop#password", 0, &["reached, logged in"][..]),
        ("vault://kv/shop#pass", 10, &["secret_not_found", "check name, key and version"]),
        ("vault://kv/other#password", 10, &["secret_access_denied", "grant the worker's own role"]),
    ] {
        sandbox.apply(&story.document(reference)).await.expect("applied");
        let checked = waybill(&story, &sandbox, &["connection", "check", "shop"], "");
        let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
        assert_eq!(checked.status.code(), Some(exit), "{reference}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{reference}: {said}");
        if exit != 0 {
            assert!(said.contains(&format!("`password` of connection shop, {reference},")), "{said}");
        }
    }
}

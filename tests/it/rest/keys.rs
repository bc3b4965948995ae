//! F24 and F25 with the real program: keys of access tokens rotate under requests; what another process revokes is refused.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn kid(access: &str) -> String {
    let head = URL_SAFE_NO_PAD.decode(access.split('.').next().unwrap_or_default()).expect("base64");
    serde_json::from_slice::<Value>(&head).expect("JSON")["kid"].as_str().expect("a key's name").to_owned()
}

fn keys(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let state = sandbox.path("state").display().to_string();
    let output = program(&[&["keys"][..], arguments, &["--dev", "--state", &state]].concat(), &[]);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8(output.stdout).expect("text")
}

/// Asks until `done`; every question is one that may not take longer than this in all.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn f24_access_tokens_are_signed_with_a_new_key_and_no_request_fails_meanwhile() {
    let (sandbox, mut door) = with(&[("WAYBILL__HTTP__ADDRESS_QUOTA", "10000")]).await;
    let (old, first) = (door.access.clone(), kid(&door.access));
    assert!(keys(&sandbox, &["list"]).contains(&format!("{first}  active")));
    let listed = keys(&sandbox, &["rotate"]);
    assert!(listed.contains("pending") && listed.contains(&format!("{first}  active")), "{listed}");
    let deadline = Instant::now() + PATIENCE;
    while kid(&door.access) == first {
        assert!(Instant::now() < deadline, "the new key never signed: {}", keys(&sandbox, &["list"]));
        let next = door.refreshed(&door.refresh).await;
        assert_eq!(next.status, StatusCode::OK, "{}", next.body);
        door.take(&next);
        assert_eq!(door.whoami(&door.access).await, StatusCode::OK);
        assert_eq!(door.whoami(&old).await, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
    }
    assert_eq!(door.whoami(&old).await, StatusCode::OK, "a token of the key before is good until it runs out");
    let listed = keys(&sandbox, &["list"]);
    assert!(listed.contains(&format!("{first}  retiring")), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn f24_a_key_that_leaked_is_refused_at_once_and_sessions_go_on() {
    let (sandbox, mut door) = with(&[("WAYBILL__HTTP__ADDRESS_QUOTA", "10000")]).await;
    let old = door.access.clone();
    let listed = keys(&sandbox, &["rotate", "--now"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(!listed.contains(&kid(&old)));
    let deadline = Instant::now() + PATIENCE;
    while door.whoami(&old).await == StatusCode::OK {
        assert!(Instant::now() < deadline, "the old key is accepted still");
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
    }
    assert_eq!(door.whoami(&old).await, StatusCode::UNAUTHORIZED);
    let next = door.refreshed(&door.refresh).await;
    assert_eq!(next.status, StatusCode::OK, "a refresh token is not signed: {}", next.body);
    door.take(&next);
    assert_eq!(door.whoami(&door.access).await, StatusCode::OK);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(sandbox.path("state/keys/access-token.keys")).expect("the key file").permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn f25_what_another_process_revokes_is_refused_here_as_well() {
    let (sandbox, door) = sandbox().await;
    let org = door.get("/v1/whoami").await.body["organization"]["id"].as_str().expect("an id").to_owned();
    let attempt = waybill_model::AttemptId::generate();
    // As the process does it that saw a ticket come with another key.
    let file = rusqlite::Connection::open(sandbox.path("state/waybill.db")).expect("the database");
    file.busy_timeout(Duration::from_secs(5)).expect("patience");
    let sql = "insert into denial (organization_id, subject, created_at, until) values (?1, ?2, 0, 9000000000000000)";
    file.execute(sql, [&org, &attempt.to_string()]).expect("revoked");
    let deadline = Instant::now() + PATIENCE;
    let told = || {
        sandbox
            .log()
            .lines()
            .any(|line| line.contains("revoked by another process") && line.contains(&attempt.to_string()))
    };
    while !told() {
        assert!(Instant::now() < deadline, "{}", sandbox.log());
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the log, bounded above
    }
}

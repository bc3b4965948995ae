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

/// A worker stands still while another process revokes its attempt. Once it goes on, nothing that it says is heard: it
/// delivers nothing, and another attempt does.
#[tokio::test(flavor = "multi_thread")]
async fn f25_what_another_process_revokes_is_refused_here_as_well() {
    let (sandbox, door) = sandbox().await;
    let org = door.get("/v1/whoami").await.body["organization"]["id"].as_str().expect("an id").to_owned();
    let run = copying(&sandbox).await;
    let seen = sandbox.until(run, |seen| seen.run.state.to_string() == "running").await.expect("its worker");
    let attempt = seen.attempt_list[0].id;
    let worker = worker_of(&sandbox, attempt);
    rustix::process::kill_process_group(worker, rustix::process::Signal::STOP).expect("stopped");
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
    let still = sandbox.client.run_get(run).await.expect("the run");
    assert_eq!(still.run.state.to_string(), "running", "the worker was done before it was revoked");
    rustix::process::kill_process_group(worker, rustix::process::Signal::CONT).expect("goes on");
    let ended = sandbox.ended(run).await.expect("its end");
    let states: Vec<String> = ended.attempt_list.iter().map(|attempt| attempt.state.to_string()).collect();
    assert_eq!(states, ["lost", "succeeded"], "{}", sandbox.log());
    assert_eq!(ended.streams[0].rows, Some(ROWS));
}

const ROWS: u64 = 200_000;

/// A run that takes its worker some seconds.
async fn copying(sandbox: &Sandbox) -> waybill_model::RunId {
    let source = rusqlite::Connection::open(sandbox.path("shop.db")).expect("a source");
    let rows = format!(
        "create table t (id integer primary key, note text not null);
         insert into t with recursive n(id) as (select 1 union all select id + 1 from n where id < {ROWS})
         select id, 'note ' || id from n"
    );
    source.execute_batch(&rows).expect("rows");
    let document = "waybill: 1\nconnections:\n  shop: { type: sqlite, path: DIR/shop.db }\n  \
                    lake: { type: local, path: DIR/lake }\n\
                    pipelines:\n  shop: { from: shop, to: lake, streams: { t: {} } }\n";
    sandbox.apply(&document.replace("DIR", &sandbox.dir.path().display().to_string())).await.expect("applied");
    sandbox.trigger("shop").await.expect("a run")
}

/// The process of an attempt's worker, as the launcher wrote it down.
fn worker_of(sandbox: &Sandbox, attempt: waybill_model::AttemptId) -> rustix::process::Pid {
    let task = std::fs::read(sandbox.path("state/attempts").join(attempt.to_string()).join("task")).expect("its task");
    let pid = serde_json::from_slice::<Value>(&task).expect("JSON")["pid"].as_i64().expect("a process");
    rustix::process::Pid::from_raw(i32::try_from(pid).expect("a process id")).expect("a process")
}

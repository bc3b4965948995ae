//! Connections that no pipeline uses yet, and what is done by hand: switches, requests as they are, logs of a look.

use serde_json::json;

use super::{Cli, logged_in, said};

const LONE: &str = "waybill: 1
connections:
  far: { type: postgres, host: 127.0.0.1, database: far, user: far, password: \"env://NOWHERE\" }
  shop: { type: sqlite, path: DIR/lone.db }
  lake: { type: local, path: DIR/PLACE }
";

/// Connections whose bucket stands at this place, and no pipeline. The first source of all can't be reached: its password is
/// nowhere.
fn write(dir: &std::path::Path, place: &str) {
    let text = LONE.replace("DIR", &dir.display().to_string()).replace("PLACE", place);
    std::fs::write(dir.join("shop.waybill.yaml"), text).expect("a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_no_pipeline_uses_yet_is_reached_and_nothing_else_is() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    // A directory can't be made below a file: the bucket is as unusable as the first source.
    write(sandbox.dir.path(), "shop.db/lake");
    assert_eq!(cli.json(0, &["apply", "--prune"])["dry_run"], false);
    let failed = cli.json(10, &["connection", "check", "shop"]);
    assert_eq!(
        (&failed["failure"]["code"], &failed["streams"]),
        (&json!("source_unreachable"), &json!([])),
        "{failed}"
    );
    // No bucket was opened: there is no log, and nobody is sent to look for it.
    let id = failed["id"].as_str().expect("an id").to_owned();
    assert_eq!(cli.refused(4, &["run", "logs", &id]), "no_bucket");
    let why = cli.json(0, &["run", "why", &id]);
    let next = why["next"].as_str().unwrap_or_default();
    assert!(next.contains("waybill run events") && !next.contains("run logs"), "{why}");
    let failed = cli.json(10, &["connection", "check", "lake"]);
    let code = failed["failure"]["code"].as_str().unwrap_or_default();
    assert!(code.starts_with("bucket_"), "{failed}");

    rusqlite::Connection::open(sandbox.path("lone.db"))
        .expect("a file")
        .execute_batch("create table t (id)")
        .expect("a table");
    let checked = cli.run(&["connection", "check", "shop"]);
    assert!(String::from_utf8_lossy(&checked.stdout).starts_with("✓ shop: reached"), "{}", said(&checked));
    let found = cli.json(0, &["connection", "discover", "shop"]);
    assert_eq!((&found["items"][0]["name"], found["items"].as_array().map(Vec::len)), (&json!("t"), Some(1)));

    write(sandbox.dir.path(), "lake");
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let checked = cli.json(0, &["connection", "check", "lake"]);
    assert_eq!(checked["state"], "succeeded");
    let log = cli.run(&["run", "logs", checked["id"].as_str().expect("an id")]);
    let text = String::from_utf8_lossy(&log.stdout);
    assert!(log.status.code() == Some(0) && text.contains("check_passed"), "{}", said(&log));
    // A destination has no tables, and the source's are not its own.
    assert_eq!(cli.refused(6, &["connection", "discover", "lake"]), "unusable");
    let failed = cli.json(10, &["connection", "check", "far"]);
    assert_eq!(failed["failure"]["code"], "secret_not_found", "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_pipeline_says_so_until_it_is_resumed() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    assert_eq!(cli.json(0, &["pipeline", "pause", "shop"])["paused"], true);
    assert_eq!(cli.refused(5, &["run", "start", "shop"]), "state_conflict");
    let people = cli.run(&["run", "start", "shop"]);
    assert!(said(&people).contains("waybill pipeline resume"), "{}", said(&people));
    assert_eq!(cli.json(0, &["pipeline", "resume", "shop"])["paused"], false);
    assert_eq!(cli.json(0, &["run", "start", "shop", "--watch"])["state"], "succeeded");
    assert_eq!(cli.refused(5, &["pipeline", "accept-epoch", "shop"]), "state_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_by_hand_changes_what_is_there_and_not_what_somebody_else_changed_since() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let pipeline = cli.json(0, &["pipeline", "show", "shop"])["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/pipelines/{pipeline}");
    let pause = ["api", "PATCH", &path, "--body", "{\"paused\":true}"];
    assert_eq!(cli.run(&pause).status.code(), Some(0));
    assert_eq!(cli.json(0, &["pipeline", "show", "shop"])["paused"], true);
    let stale = cli.refused(5, &[&pause[..], &["--if-match", "\"0\""]].concat());
    assert_eq!(stale, "precondition_failed");
    // The first schedule and the one that replaces it, and its end.
    let schedule = format!("{path}/schedule");
    for line in ["{\"cron\":\"0 3 * * *\"}", "{\"cron\":\"0 4 * * *\"}"] {
        let set = cli.run(&["api", "PUT", &schedule, "--body", line]);
        assert_eq!(set.status.code(), Some(0), "{}", said(&set));
    }
    assert_eq!(cli.json(0, &["pipeline", "show", "shop"])["schedule"]["cron"], "0 4 * * *");
    assert_eq!(cli.run(&["api", "DELETE", &schedule]).status.code(), Some(0));
    assert_eq!(cli.refused(4, &["api", "DELETE", &schedule]), "not_found");
}

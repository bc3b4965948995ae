//! Connections that no pipeline uses yet, and what is done by hand: switches, requests as they are, logs of a look.

use serde_json::json;

use super::{Cli, logged_in, said};

const LONE: &str = "waybill: 1
connections:
  shop: { type: sqlite, path: DIR/lone.db }
  lake: { type: local, path: DIR/PLACE }
";

/// Connections whose bucket stands at this place, and no pipeline.
fn write(dir: &std::path::Path, place: &str) {
    let text = LONE.replace("DIR", &dir.display().to_string()).replace("PLACE", place);
    std::fs::write(dir.join("shop.waybill.yaml"), text).expect("a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_no_pipeline_uses_yet_is_reached_all_the_same() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    write(sandbox.dir.path(), "lake");
    assert_eq!(cli.json(0, &["apply", "--prune"])["dry_run"], false);
    let failed = cli.json(10, &["connection", "check", "shop"]);
    assert_eq!(
        (&failed["failure"]["code"], &failed["streams"]),
        (&json!("source_unreachable"), &json!([])),
        "{failed}"
    );
    // Both ends were opened, so its log is in the bucket, and is read there.
    let id = failed["id"].as_str().expect("an id").to_owned();
    let log = cli.run(&["run", "logs", &id]);
    assert!(
        log.status.code() == Some(0) && String::from_utf8_lossy(&log.stdout).contains("source_unreachable"),
        "{}",
        said(&log)
    );
    let why = cli.json(0, &["run", "why", &id]);
    assert!(why["next"].as_str().is_some_and(|next| next.contains("waybill run logs")), "{why}");

    rusqlite::Connection::open(sandbox.path("lone.db"))
        .expect("a file")
        .execute_batch("create table t (id)")
        .expect("a table");
    let checked = cli.run(&["connection", "check", "shop"]);
    assert!(String::from_utf8_lossy(&checked.stdout).starts_with("✓ shop: reached"), "{}", said(&checked));

    // The other end counts as well: a directory can't be made below a file.
    write(sandbox.dir.path(), "lone.db/lake");
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let failed = cli.json(10, &["connection", "check", "lake"]);
    let code = failed["failure"]["code"].as_str().unwrap_or_default();
    assert!(code.starts_with("bucket_"), "{failed}");
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

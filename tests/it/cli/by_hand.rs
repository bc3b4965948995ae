//! What people meet who try the product by hand: paths, secrets of their own shell, and runs that have ended.

use serde_json::json;
use waybill_tests::sandbox::Options;

use super::{Cli, logged_in, logged_in_with, said};

#[tokio::test(flavor = "multi_thread")]
async fn a_relative_path_is_neither_planned_nor_applied_and_its_line_is_told() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    let file = sandbox.path("shop.waybill.yaml");
    let text = std::fs::read_to_string(&file).expect("a file");
    let relative = text.replace(&format!("{}/lake", sandbox.dir.path().display()), "./lake");
    assert_ne!(text, relative);
    std::fs::write(&file, relative).expect("a file");
    for command in ["plan", "apply"] {
        assert_eq!(cli.refused(6, &[command]), "spec_invalid");
        let people = said(&cli.run(&[command]));
        assert!(people.contains("line 4: `path` of connection `lake` is relative"), "{people}");
        assert!(people.contains("/data/lake"), "{people}");
    }
    assert_eq!(cli.json(0, &["connection", "list"])["items"], json!([]));
    let connection = json!({ "name": "lake", "system": { "type": "local", "path": "lake" },
                             "project_id": cli.json(0, &["project", "list"])["items"][0]["id"] });
    let made = cli.refused(6, &["api", "POST", "/v1/connections", "--body", &connection.to_string()]);
    assert_eq!(made, "spec_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_is_passed_to_local_workers_once_it_is_listed() {
    let mut options = Options::default();
    options.orchestrator.push(("FAR_PASSWORD".into(), "a password of nobody".into()));
    let sandbox = logged_in_with(options).await;
    let cli = Cli { dir: sandbox.dir.path() };
    // Nothing listens on port 1 of loopback.
    let text = "waybill: 1
connections:
  far: { type: postgres, host: 127.0.0.1, port: 1, database: far, user: far, tls: disable, password: \"env://FAR_PASSWORD\" }
";
    std::fs::write(sandbox.path("shop.waybill.yaml"), text).expect("a file");
    assert_eq!(cli.json(0, &["apply", "--prune"])["dry_run"], false);
    let failed = cli.json(10, &["connection", "check", "far"]);
    assert_eq!(failed["failure"]["code"], "secret_not_found", "{failed}");
    assert!(failed["failure"]["hint"].as_str().is_some_and(|hint| hint.contains("data-plane pass-env")), "{failed}");

    let set = cli.json(0, &["data-plane", "pass-env", "local", "FAR_PASSWORD", "OTHER"]);
    assert_eq!(set["settings"]["environment"], json!(["FAR_PASSWORD", "OTHER"]));
    let set = cli.json(0, &["data-plane", "pass-env", "local", "OTHER", "--remove"]);
    assert_eq!(set["settings"]["environment"], json!(["FAR_PASSWORD"]));
    assert!(said(&cli.run(&["data-plane", "show", "local"])).contains("FAR_PASSWORD"));
    let failed = cli.json(10, &["connection", "check", "far"]);
    assert_eq!(failed["failure"]["code"], "source_unreachable", "the secret was found: {failed}");
    assert!(failed["failure"]["hint"].as_str().is_some_and(|hint| hint.contains("path of a file")), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_ended_says_so_and_a_retry_counts_what_is_left() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    let file = sandbox.path("shop.waybill.yaml");
    let text =
        std::fs::read_to_string(&file).expect("a file").replace("absent: {}", "absent: {}, gone: {}, people: {}");
    std::fs::write(&file, text).expect("a file");
    rusqlite::Connection::open(sandbox.path("shop.db"))
        .expect("a file")
        .execute_batch("create table people (id)")
        .expect("a table");
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let whole = cli.json(0, &["run", "start", "shop", "--watch"])["id"].as_str().expect("an id").to_owned();
    let stopped = said(&cli.run(&["run", "cancel", &whole]));
    assert!(stopped.contains("has ended: it is succeeded") && stopped.contains("waybill run why"), "{stopped}");
    let again = said(&cli.run(&["run", "retry", &whole]));
    assert!(again.contains("every stream of the run was delivered") && again.contains("waybill run start"), "{again}");

    let torn = cli.run(&["run", "start", "torn", "--watch", "-o", "json"]);
    let torn: serde_json::Value = serde_json::from_slice(&torn.stdout).expect("a run");
    assert_eq!((&torn["streams_total"], &torn["streams_delivered"]), (&json!(3), &json!(1)), "{torn}");
    let again = said(&cli.run(&["run", "retry", torn["id"].as_str().expect("an id")]));
    assert!(again.contains("runs the 2 streams that"), "{again}");
}

//! The command line as a program: what it prints where, and how it ends; offline and against a running product.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use waybill_tests::binaries::{binary, repository};
use waybill_tests::sandbox::{Options, Sandbox};

/// The program in a directory of its own, with nothing of the caller's environment.
struct Cli<'a> {
    dir: &'a Path,
}

impl Cli<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        self.with_input(arguments, "")
    }

    fn with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new(binary("waybill"));
        command.args(arguments).current_dir(self.dir).env_clear().env("XDG_CONFIG_HOME", self.dir.join("config"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start waybill");
        let mut stdin = child.stdin.take().expect("its input");
        // A command that reads no input may have ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("its end")
    }

    /// The one JSON value on standard output of a command that ends with `exit`.
    #[track_caller]
    fn json(&self, exit: i32, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", said(&output));
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", said(&output)));
        assert_eq!(value["format"], "waybill/v1", "{arguments:?}");
        value
    }

    /// The problem code on standard error of a command that ends with `exit`, and nothing on standard output.
    #[track_caller]
    fn refused(&self, exit: i32, arguments: &[&str]) -> String {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", said(&output));
        let text = String::from_utf8(output.stderr).expect("text");
        let error: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).expect("an error");
        assert!(error["error"]["next"].is_string(), "{arguments:?} says no next step: {text}");
        error["error"]["code"].as_str().expect("a code").to_owned()
    }
}

fn said(output: &Output) -> String {
    format!("stdout: {}\nstderr: {}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const BROKEN: &str = "waybill: 1\nconnections:\n  a: { type: local, path: x, passwort: hunter2 }\n";

#[test]
fn offline_commands_print_json_that_parses() {
    let dir = tempfile::tempdir().expect("a directory");
    let cli = Cli { dir: dir.path() };
    let example = repository().join("examples/shop.waybill.yaml");
    std::fs::copy(example, dir.path().join("shop.waybill.yaml")).expect("an example");
    assert_eq!(cli.json(0, &["validate"])["items"][0]["valid"], true);
    std::fs::write(dir.path().join("broken.waybill.yaml"), BROKEN).expect("a broken file");
    let found = cli.json(6, &["validate"]);
    assert_eq!(found["items"][0]["diagnostics"][0]["code"], "spec_unknown_field");
    assert_eq!(
        (found["items"][0]["diagnostics"][0]["line"].as_u64(), found["items"][1]["valid"].as_bool()),
        (Some(3), Some(true))
    );
    let schema = cli.run(&["schema"]);
    assert!(serde_json::from_slice::<Value>(&schema.stdout).is_ok_and(|schema| schema["properties"].is_object()));
    assert_eq!(cli.run(&["schema", "--write"]).status.code(), Some(0));
    assert_eq!(std::fs::read(dir.path().join(".waybill/schema.json")).expect("the schema"), schema.stdout);
    let steps = cli.json(1, &["doctor"]);
    assert!(steps["items"].as_array().expect("steps").iter().any(|step| step["status"] == "broken"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(String::from_utf8_lossy(&cli.run(&["completions", shell]).stdout).contains("discover"));
    }
}

#[test]
fn a_mistake_is_drawn_on_standard_error_without_its_secret_and_without_colour() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("broken.waybill.yaml"), BROKEN).expect("a broken file");
    let output = Cli { dir: dir.path() }.run(&["validate"]);
    let drawn = String::from_utf8(output.stderr.clone()).expect("text");
    assert!(drawn.contains("broken.waybill.yaml:3:30") && drawn.contains("[spec_unknown_field]"), "{drawn}");
    assert!(!said(&output).contains("hunter2") && !drawn.contains('\u{1b}'), "{drawn}");
}

#[test]
fn without_a_way_in_the_exit_code_tells_what_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let cli = Cli { dir: dir.path() };
    assert_eq!(cli.run(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(cli.run(&["run", "show"]).status.code(), Some(2));
    assert_eq!(cli.refused(2, &["validate"]), "no_file");
    assert_eq!(cli.refused(4, &["validate", "nowhere.yaml"]), "file_not_found");
    assert_eq!(cli.refused(3, &["whoami"]), "no_orchestrator");
    assert_eq!(cli.refused(4, &["whoami", "--state", "nowhere"]), "state_unreadable");
    assert_eq!(cli.refused(3, &["whoami", "--url", "https://127.0.0.1:1"]), "not_logged_in");
    // Nothing listens on port 1 of loopback.
    assert_eq!(cli.refused(7, &["whoami", "--url", "https://127.0.0.1:1", "--token", "x"]), "unreachable");
    assert_eq!(cli.refused(6, &["whoami", "--url", "http://127.0.0.1:1", "--token", "x"]), "setting_unusable");
    assert_eq!(cli.refused(2, &["login", "--url", "https://127.0.0.1:1", "--no-input"]), "input_needed");
}

/// A source of `rows` orders, and a file that moves it; the column `nope` of the second pipeline does not exist.
fn shop(sandbox: &Sandbox, rows: i64) {
    let source = rusqlite::Connection::open(sandbox.path("shop.db")).expect("a source");
    source
        .execute_batch(&format!(
            "create table orders (id integer primary key, name text not null);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
             insert into orders select i, 'order ' || i from n;"
        ))
        .expect("rows");
    let text = "waybill: 1
connections:
  shop: { type: sqlite, path: DIR/shop.db }
  lake: { type: local, path: DIR/lake }
pipelines:
  shop: { from: shop, to: lake, streams: { orders: { load: full } } }
  torn: { from: shop, to: lake, streams: { absent: {} } }
";
    let text = text.replace("DIR", &sandbox.dir.path().display().to_string());
    std::fs::write(sandbox.path("shop.waybill.yaml"), text).expect("a pipeline file");
}

/// A product with a logged-in command line beside it.
async fn logged_in() -> Sandbox {
    let sandbox = Sandbox::start(Options::default()).await.expect("a product");
    shop(&sandbox, 1_000);
    let cli = Cli { dir: sandbox.dir.path() };
    let login = ["login", "--state", "state", "--email", "admin@example.com", "--password-stdin"];
    let output = cli.with_input(&login, "a long enough phrase for tests\n");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(output.stdout.is_empty(), "{}", said(&output));
    sandbox
}

#[tokio::test(flavor = "multi_thread")]
async fn every_commands_json_parses_and_stands_alone_on_standard_output() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["whoami"])["user"]["email"], "admin@example.com");
    assert_eq!(cli.json(20, &["plan", "--exit-code"])["dry_run"], true);
    let applied = cli.json(0, &["apply", "-f", "shop.waybill.yaml"]);
    assert!(applied["changes"].as_array().is_some_and(|changes| changes.len() >= 4), "{applied}");
    assert_eq!(cli.json(0, &["plan", "--exit-code"])["changes"], serde_json::json!([]));

    assert_eq!(cli.json(0, &["connection", "list"])["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(cli.json(0, &["connection", "show", "shop"])["kind"], "sqlite");
    assert_eq!(cli.json(0, &["pipeline", "list"])["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(cli.json(0, &["pipeline", "show", "shop"])["current"]["plan"]["streams"][0]["name"], "orders");

    let run = cli.json(0, &["run", "start", "shop", "--watch"]);
    assert_eq!((&run["state"], &run["streams"][0]["rows"]), (&"succeeded".into(), &1_000.into()));
    let id = run["id"].as_str().expect("an id").to_owned();
    assert_eq!(cli.json(0, &["run", "watch", &id])["state"], "succeeded");
    assert_eq!(cli.json(0, &["run", "show", "--last"])["id"], *id);
    assert_eq!(cli.json(0, &["run", "list", "--pipeline", "shop"])["items"].as_array().map(Vec::len), Some(1));
    assert!(cli.json(0, &["run", "events", &id])["items"].as_array().is_some_and(|events| !events.is_empty()));
    assert_eq!(cli.json(0, &["run", "receipt", &id])["streams"][0]["rows"], 1_000);
    assert!(cli.json(0, &["run", "why", &id])["kept"].as_str().is_some_and(|kept| kept.starts_with("1 of 1")));
    let place = cli.json(0, &["run", "logs", &id, "--where"]);
    assert_eq!(place["url"], format!("file://{}", sandbox.path("lake").display()));
    assert!(cli.json(0, &["doctor"])["items"].as_array().is_some_and(|steps| steps.len() > 5));
    let answer = cli.run(&["api", "GET", "/v1/runs?limit=1"]);
    assert!(
        serde_json::from_slice::<Value>(&answer.stdout).is_ok_and(|page| page["items"].is_array()),
        "{}",
        said(&answer)
    );
    assert_eq!(cli.run(&["logout"]).status.code(), Some(0));
    assert_eq!(cli.refused(3, &["whoami", "--state", "state"]), "not_logged_in");
    assert_eq!(cli.refused(3, &["whoami"]), "no_orchestrator");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_went_wrong() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    assert_eq!(cli.refused(4, &["pipeline", "show", "nowhere"]), "not_found");
    assert_eq!(cli.refused(4, &["connection", "check", "nowhere"]), "not_found");
    assert_eq!(cli.refused(2, &["run", "show", "pl_1"]), "not_a_run_id");
    assert_eq!(cli.refused(5, &["apply", "--plan", "000000000000"]), "plan_changed");
    let torn = cli.json(10, &["run", "start", "torn", "--watch"]);
    let id = torn["id"].as_str().expect("an id");
    let why = cli.json(0, &["run", "why", id]);
    assert_eq!(why["code"], "stream_not_found", "{why}");
    assert!(why["next"].as_str().is_some_and(|next| next.contains("waybill run retry")), "{why}");
    assert_eq!(cli.refused(5, &["run", "cancel", id]), "state_conflict");
    std::fs::write(sandbox.path("shop.waybill.yaml"), BROKEN).expect("a broken file");
    assert_eq!(cli.refused(6, &["apply"]), "spec_invalid");
    assert_eq!(cli.refused(3, &["whoami", "--token", "no-such-token"]), "token_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_login_file_is_for_its_owner_only() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    let file = sandbox.path("config/waybill/login.json");
    let mode = |path: &Path| std::fs::metadata(path).expect("the file").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().expect("its folder"))), (0o600, 0o700));
    assert!(!std::fs::read_to_string(&file).expect("the file").contains("a long enough phrase"));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    assert_eq!(cli.refused(6, &["whoami"]), "login_file_unusable");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_over_leaves_the_run_alone() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let seen = cli.json(13, &["run", "start", "shop", "--watch", "--timeout", "1ms"]);
    let id = seen["id"].as_str().expect("an id").parse().expect("a run id");
    assert_eq!(sandbox.ended(id).await.expect("its end").run.state.to_string(), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_full_log_comes_from_the_bucket_through_the_worker() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let run = cli.json(0, &["run", "start", "shop", "--watch"]);
    let output = cli.run(&["run", "logs", run["id"].as_str().expect("an id")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!output.stdout.is_empty(), "{}", said(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the orchestrator has no log"), "{}", said(&output));
}

//! The command line as a program: what it prints where, and how it ends; offline and against a running product.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use waybill_tests::binaries::{binary, repository};
use waybill_tests::sandbox::{Options, Sandbox};

mod by_hand;
mod completion;
mod describe;
mod keys;
mod people;
mod preview;
mod regions;
mod test_task;
mod unused;

/// The program in a directory of its own, with nothing of the caller's environment.
pub(crate) struct Cli<'a> {
    pub(crate) dir: &'a Path,
}

impl Cli<'_> {
    fn run(&self, arguments: &[&str]) -> Output {
        self.with_input(arguments, "")
    }

    pub(crate) fn with_input(&self, arguments: &[&str], input: &str) -> Output {
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
    pub(crate) fn json(&self, exit: i32, arguments: &[&str]) -> Value {
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
    let steps = cli.json(1, &["doctor", "--url", "https://127.0.0.1:1"]);
    let way = steps["items"].as_array().expect("steps").last().expect("a step").to_string();
    assert!(
        way.contains("Connection refused") && way.contains("waybill login --url") && !way.contains("doctor"),
        "{way}"
    );
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
    logged_in_with(Options::default()).await
}

async fn logged_in_with(options: Options) -> Sandbox {
    let sandbox = Sandbox::start(options).await.expect("a product");
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
    assert_eq!(cli.json(0, &["run", "trail", &id])["items"], serde_json::json!([]), "nothing was called in a cloud");
    std::fs::write(sandbox.path("trail.json"), "{\"Records\":[]}").expect("an export");
    assert_eq!(cli.refused(4, &["trail", "match", "trail.json"]), "no_cloud");
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
async fn h19_apply_demands_the_secret_of_a_connection_that_moves() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    let write = |host: &str| {
        let shop = format!("{{ type: postgres, host: {host}, database: d, user: u, password: env://SHOP }}");
        let text = format!("waybill: 1\nconnections:\n  far: {shop}\n");
        std::fs::write(sandbox.path("shop.waybill.yaml"), text).expect("a pipeline file");
    };
    write("db.internal");
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    write("db.example.org");
    assert_eq!(cli.json(0, &["plan"])["secrets_required"], serde_json::json!(["far.password"]));
    let shown = cli.run(&["plan"]);
    assert!(said(&shown).contains("--secret far.password=REFERENCE"), "{}", said(&shown));
    assert_eq!(cli.refused(6, &["apply"]), "secret_required");
    assert_eq!(cli.refused(2, &["apply", "--secret", "far.password=hunter2"]), "secret_unreadable");
    assert_eq!(cli.refused(6, &["apply", "--secret", "far.password=env://OTHER"]), "secret_required");
    assert_eq!(cli.json(0, &["apply", "--secret", "far.password=env://SHOP"])["dry_run"], false);
    assert_eq!(cli.json(0, &["plan", "--exit-code"])["changes"], serde_json::json!([]));
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

#[test]
fn a_mistake_tells_its_suggestion_once_in_every_program() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("broken.waybill.yaml"), BROKEN).expect("a broken file");
    let validated = Cli { dir: dir.path() }.run(&["validate"]);
    let mut once = Command::new(binary("waybill-worker"));
    let once = once.args(["once", "--spec", "broken.waybill.yaml"]).current_dir(dir.path()).output().expect("a worker");
    assert_eq!((validated.status.code(), once.status.code()), (Some(6), Some(6)));
    for output in [validated, once] {
        let told = said(&output);
        // Nothing is near `passwort`: the known keys are listed instead, once.
        assert_eq!(told.matches("known here:").count() + told.matches("did you mean").count(), 1, "{told}");
    }
    std::fs::write(dir.path().join("broken.waybill.yaml"), BROKEN.replace("passwort", "pth")).expect("a broken file");
    let validated = Cli { dir: dir.path() }.run(&["validate"]);
    let mut once = Command::new(binary("waybill-worker"));
    let once = once.args(["once", "--spec", "broken.waybill.yaml"]).current_dir(dir.path()).output().expect("a worker");
    for output in [validated, once] {
        let told = said(&output);
        assert_eq!((told.matches("did you mean").count(), told.matches("`path`?").count()), (1, 1), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_checked_and_discovered_by_a_worker() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    for connection in ["shop", "lake"] {
        let checked = cli.json(0, &["connection", "check", connection]);
        assert_eq!((&checked["state"], &checked["kind"]), (&"succeeded".into(), &"check".into()), "{checked}");
        let people = cli.run(&["connection", "check", connection]);
        let told = String::from_utf8_lossy(&people.stdout).into_owned();
        assert!(told.starts_with(&format!("✓ {connection}: reached")), "{}", said(&people));
    }
    let found = cli.json(0, &["connection", "discover", "shop"]);
    assert_eq!((&found["items"][0]["name"], &found["items"][0]["key"]), (&"orders".into(), &serde_json::json!(["id"])));
    assert_eq!(found["items"][0]["columns"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(String::from_utf8_lossy(&cli.run(&["connection", "discover", "shop", "-o", "name"]).stdout), "orders\n");
    std::fs::remove_file(sandbox.path("shop.db")).expect("gone");
    for command in ["check", "discover"] {
        let output = cli.run(&["connection", command, "shop"]);
        assert_eq!(output.status.code(), Some(10), "{command}: {}", said(&output));
        let told = said(&output);
        assert!(told.contains("source_unreachable") && told.contains("next"), "{command}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn yaml_and_names_say_what_json_says() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let run = cli.json(0, &["run", "start", "shop", "--watch"])["id"].as_str().expect("an id").to_owned();
    for (command, names) in [
        (vec!["connection", "list"], vec!["lake", "shop"]),
        (vec!["connection", "show", "lake"], vec!["lake"]),
        (vec!["pipeline", "list"], vec!["shop", "torn"]),
        (vec!["pipeline", "show", "shop"], vec!["shop"]),
        (vec!["run", "list"], vec![run.as_str()]),
        (vec!["run", "show", "--last"], vec![run.as_str()]),
        (vec!["run", "receipt", "--last"], vec![run.as_str()]),
        (vec!["whoami"], vec!["admin@example.com"]),
    ] {
        let json = cli.json(0, &command);
        let yaml = cli.run(&[command.as_slice(), &["-o", "yaml"]].concat());
        assert_eq!(yaml.status.code(), Some(0), "{command:?}: {}", said(&yaml));
        let text = String::from_utf8(yaml.stdout).expect("text");
        let read: Value = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{command:?}: {error}: {text}"));
        assert_eq!(read, json, "{command:?}");
        let output = cli.run(&[command.as_slice(), &["-o", "name"]].concat());
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, names, "{command:?}");
    }
    assert_eq!(cli.run(&["run", "list", "-o", "csv"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_of_a_distance_goes_through_apply_and_shows_its_next_run() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    let plain = std::fs::read_to_string(sandbox.path("shop.waybill.yaml")).expect("the file");
    let with = |schedule: &str| {
        let text = plain.replace("load: full } } }", &format!("load: full }} }}, schedule: {schedule} }}"));
        std::fs::write(sandbox.path("shop.waybill.yaml"), text).expect("a pipeline file");
    };
    with("{ every: 6h }");
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let shown = cli.json(0, &["pipeline", "show", "shop"]);
    assert_eq!((&shown["schedule"]["every_ms"], shown["schedule"].get("cron")), (&21_600_000.into(), None), "{shown}");
    let next = shown["schedule"]["next_at"].as_str().expect("a next run");
    assert!(["00", "06", "12", "18"].contains(&&next[11..13]) && next.ends_with(":00:00.000000Z"), "{next}");
    let people = cli.run(&["pipeline", "show", "shop"]);
    let told = String::from_utf8_lossy(&people.stdout).into_owned();
    assert!(told.contains("every 6h") && told.contains(next), "{told}");
    assert_eq!(cli.json(0, &["plan", "--exit-code"])["changes"], serde_json::json!([]), "a plan after apply is empty");
    with("{ cron: \"0 2 * * *\" }");
    let plan = cli.json(20, &["plan", "--exit-code"]);
    let paths: Vec<_> = plan["changes"][0]["fields"].as_array().expect("fields").iter().map(|f| &f["path"]).collect();
    assert_eq!(paths, ["schedule.every", "schedule.cron", "schedule.zone"], "{plan}");
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    assert_eq!(cli.json(0, &["pipeline", "show", "shop"])["schedule"]["cron"], "0 2 * * *");
}

/// Eight commands find the access token refused at once; a refresh token that were used twice would end the session.
#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_renew_one_login_without_ending_it() {
    let sandbox = logged_in().await;
    let file = sandbox.path("config/waybill/login.json");
    let kept = || std::fs::read_to_string(&file).expect("the login");
    let mut seen = vec![kept()];
    for _ in 0..4 {
        // A damaged access token is refused as a stale one is, and nobody has to wait for it.
        let login: Value = serde_json::from_str(&kept()).expect("a login");
        let login = login["logins"].as_object().and_then(|logins| logins.values().next()).expect("one login");
        let access = login["tokens"]["access_token"].as_str().expect("a token").to_owned();
        std::fs::write(&file, kept().replace(&access, "stale")).expect("the login");
        let many: Vec<_> = (0..8)
            .map(|_| {
                let mut command = Command::new(binary("waybill"));
                command.args(["whoami", "--state", "state", "-o", "name"]).current_dir(sandbox.dir.path()).env_clear();
                command.env("XDG_CONFIG_HOME", sandbox.path("config"));
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("waybill")
            })
            .collect();
        for child in many {
            let output = child.wait_with_output().expect("its end");
            assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        }
        assert_ne!(seen.last(), Some(&kept()), "the login was not renewed");
        assert!(!kept().contains("\"stale\""), "the login was not renewed");
        seen.push(kept());
    }
}

/// Runs the program on a terminal of its own, presses Ctrl+C once `mark` is shown, and prints all that was shown.
const ON_A_TERMINAL: &str = r#"
import os, pty, sys
mark = sys.argv[1].encode()
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
seen, pressed = b"", False
while True:
    try:
        some = os.read(terminal, 65536)
    except OSError:
        break
    if not some:
        break
    seen += some
    if not pressed and mark in seen:
        os.write(terminal, b"\x03")
        pressed = True
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.stdout.buffer.write(seen)
sys.exit(status if pressed else 99)
"#;

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_detaches_and_says_so_and_the_run_goes_on() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let mut command = Command::new("python3");
    command.args(["-c", ON_A_TERMINAL, "Ctrl+C detaches, the run goes on"]).arg(binary("waybill"));
    command.args(["run", "start", "shop", "--watch", "--state", "state"]).current_dir(sandbox.dir.path()).env_clear();
    command
        .env("XDG_CONFIG_HOME", sandbox.path("config"))
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("TERM", "xterm");
    let output = command.output().expect("a terminal");
    let shown = said(&output);
    assert_eq!(output.status.code(), Some(13), "{shown}");
    assert!(shown.contains("detached; the run goes on") && shown.contains("waybill run watch run_"), "{shown}");
    assert!(shown.contains('\u{1b}'), "a person saw progress: {shown}");
    let run = cli.json(0, &["run", "show", "--last"])["id"].as_str().expect("an id").parse().expect("a run id");
    assert_eq!(sandbox.ended(run).await.expect("its end").run.state.to_string(), "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_gets_no_progress_and_no_colour() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    for command in [vec!["apply"], vec!["run", "start", "shop", "--watch"], vec!["run", "start", "torn", "--watch"]] {
        let output = cli.run(&command);
        for stream in [&output.stdout, &output.stderr] {
            let moved = stream.iter().any(|byte| matches!(byte, 0x1b | b'\r'));
            assert!(!moved, "{command:?} moved a terminal that is not there: {}", said(&output));
        }
        assert!(!said(&output).contains("Ctrl+C"), "{command:?}: {}", said(&output));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_enrolled_anew_keeps_its_data_plane() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    let invited = cli.json(0, &["agent", "enrol", "office-1", "--data-plane", "office"]);
    let id = invited["agent"]["id"].as_str().expect("an id");
    assert_eq!(cli.refused(5, &["agent", "enrol", "office-1", "--data-plane", "elsewhere"]), "unusable");
    // By its name, by the id that the agent prints, and with its own data plane named.
    for arguments in [&["office-1"][..], &[id], &["office-1", "--data-plane", "office"]] {
        let again = cli.json(0, &[&["agent", "enrol"], arguments].concat());
        assert_eq!(again["agent"]["id"], id);
        assert_eq!(again["agent"]["data_plane_id"], invited["agent"]["data_plane_id"]);
    }
    assert_eq!(cli.json(0, &["agent", "list"])["items"].as_array().map(Vec::len), Some(1));
}

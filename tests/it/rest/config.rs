//! Settings of the real program: every mistake is told with its line before anything is opened.

use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::*;

/// A directory with a configuration file; its state would go to `state`.
struct Place {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("orchestrator.toml");
        std::fs::write(&file, text.replace("DIR", &dir.path().display().to_string())).expect("a file");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        Self { dir, file }
    }

    fn serve(&self, environment: &[(&str, &str)]) -> Output {
        program(&["serve", "--config", &self.file.display().to_string()], environment)
    }

    /// What is said about a file that is refused, with nothing opened.
    #[track_caller]
    fn refused(&self, environment: &[(&str, &str)]) -> String {
        let output = self.serve(environment);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert_eq!(left(self.dir.path()), ["orchestrator.toml"], "nothing is made");
        said(&output)
    }
}

fn left(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).expect("the directory").map(|entry| entry.expect("an entry").file_name());
    names.map(|name| name.to_string_lossy().into_owned()).collect()
}

const GOOD: &str = "[server]
api = \"127.0.0.1:0\"
worker = \"127.0.0.1:0\"
private = \"127.0.0.1:0\"
[state]
directory = \"DIR/state\"
[keys]
directory = \"DIR/keys\"
[database]
url = \"sqlite://DIR/waybill.db\"
";

#[test]
fn h48_a_mistake_is_told_with_file_and_line_and_nothing_is_opened() {
    for (change, line, words) in [
        (("[state]", "[state]\r"), 5, "carriage return"),
        (("[state]", "\t[state]"), 5, "tab"),
        (("[state]", "[stat]"), 6, "there is no setting"),
        (("worker = \"127.0.0.1:0\"", "worker = \"localhost\""), 3, "an address and a port"),
        (("DIR/state", "state"), 6, "absolute path"),
        (("sqlite://DIR/waybill.db", "env://WAYBILL_TEST_NOWHERE"), 10, "not set"),
        (("[state]", "[bounds]\nlease = \"1ms\"\n[state]"), 6, "at least"),
        (("[state]", "[retention]\nruns = \"1d\"\n[state]"), 1, "must not be longer than runs"),
        (("[state]", "[retention]\nsessions = \"0s\"\n[state]"), 6, "at least 1s"),
        (("[state]", "[http]\ntrusted-proxies = [\"10.0.0.1/8\"]\n[state]"), 6, "bits behind its prefix"),
        (("[state]", "[state"), 5, ""),
    ] {
        let place = Place::new(&GOOD.replace(change.0, change.1));
        let said = place.refused(&[]);
        let named = if words.contains("longer than runs") {
            "run-events".to_owned()
        } else {
            format!("{}:{line}", place.file.display())
        };
        assert!(said.contains(&named) && said.contains(words), "{change:?}: {said}");
    }
}

#[test]
fn h48_a_password_in_a_file_that_others_can_read_is_refused_and_not_repeated() {
    let place = Place::new(&GOOD.replace("sqlite://DIR/waybill.db", "postgres://w:hunter2@127.0.0.1:1/w"));
    std::fs::set_permissions(&place.file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let said = place.refused(&[]);
    assert!(said.contains("chmod 600") && !said.contains("hunter2"), "{said}");
}

#[test]
fn h48_every_mistake_is_told_at_once_and_the_environment_overrides_the_file_by_name() {
    let place = Place::new(&GOOD.replace("[state]", "[log]\nlevel = \"loud\"\n[state]"));
    let said = place.refused(&[("WAYBILL__SERVER__API", "nowhere"), ("WAYBILL__NO__SUCH", "1")]);
    for words in ["log.level takes one of", "environment variable WAYBILL__SERVER__API", "WAYBILL__NO__SUCH"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let fixed = place.refused(&[("WAYBILL__LOG__LEVEL", "info"), ("WAYBILL__SERVER__API", "nowhere")]);
    assert!(!fixed.contains("log.level"), "what stands in the environment counts: {fixed}");
}

#[test]
fn a_missing_key_is_not_made_outside_dev() {
    let place = Place::new(GOOD);
    let output = place.serve(&[]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("is missing") || said(&output).contains("read the keys"), "{}", said(&output));
    assert!(!place.dir.path().join("waybill.db").exists(), "the database is opened after the keys");
}

#[test]
fn the_printed_settings_are_the_default_ones_and_are_read() {
    let printed = program(&["config", "print"], &[]);
    let text = String::from_utf8(printed.stdout).expect("text");
    assert!(text.contains("[retention]") && text.contains("trusted-proxies = []"));
    let place = Place::new(&text);
    let refused = place.refused(&[]);
    for key in ["state.directory", "keys.directory", "database.url"] {
        assert!(refused.contains(&format!("{key} is not set")), "only what has no default is missing: {refused}");
    }
}

#[test]
fn an_address_from_outside_bears_a_name_of_the_certificate_and_a_port() {
    let text = GOOD.replace("[state]", "names = [\"w.example.com\"]\npublic-worker = \"OUTSIDE\"\n[state]");
    for (outside, words) in [
        ("other.example.com:443", "begins with a name that stands in server.names"),
        ("w.example.com", "a name and a port"),
        ("w.example.com:0", "a name and a port"),
        ("w.example.com:https", "a name and a port"),
    ] {
        let said = Place::new(&text.replace("OUTSIDE", outside)).refused(&[]);
        assert!(said.contains(":6: server.public-worker") && said.contains(words), "{outside}: {said}");
    }
}

#[test]
fn one_port_for_both_needs_a_name_of_the_workers_own() {
    let names = "names = [\"a.example.com\", \"w.example.com\", \"127.0.0.1\"]\n";
    let one = GOOD.replacen("127.0.0.1:0", "127.0.0.1:7443", 2);
    for outside in ["", "public-worker = \"a.example.com:443\"\n", "public-worker = \"127.0.0.1:443\"\n"] {
        let said = Place::new(&one.replace("[state]", &format!("{names}{outside}[state]"))).refused(&[]);
        assert!(said.contains("server.public-worker") && said.contains("workers' own name"), "{outside}: {said}");
    }
}

#[test]
fn keys_are_made_once_before_a_start_and_a_start_takes_them() {
    let place = Place::new(GOOD);
    let config = place.file.display().to_string();
    let contents = || -> Vec<(String, Vec<u8>)> {
        let mut names = left(&place.dir.path().join("keys"));
        names.sort();
        names
            .into_iter()
            .map(|name| (name.clone(), std::fs::read(place.dir.path().join("keys").join(name)).expect("a key")))
            .collect()
    };
    let made = program(&["keys", "make", "--config", &config], &[]);
    assert!(made.status.success() && made.stdout.is_empty(), "{}", said(&made));
    let first = contents();
    assert!(first.len() >= 4, "{:?}", left(&place.dir.path().join("keys")));
    assert!(program(&["keys", "make", "--config", &config], &[]).status.success());
    assert!(first == contents(), "what is there stays as it is");

    let mut child = std::process::Command::new(binary("waybill-orchestrator"))
        .args(["serve", "--config", &config])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("start the orchestrator");
    let lines = std::io::BufReader::new(child.stderr.take().expect("its output")).lines();
    // Bounded by the test runner; its end ends the lines as well.
    let told = lines.map_while(Result::ok).find(|line| line.starts_with("setup ")).unwrap_or_default();
    drop((child.kill(), child.wait()));
    assert!(told.contains("the one-time setup token is in /") && !told.contains("setup_"), "a log is kept: {told:?}");
    assert!(first == contents(), "a start outside of --dev makes no key");

    let token = program(&["setup-token", "--config", &config], &[]);
    let printed = String::from_utf8(token.stdout.clone()).expect("text");
    assert!(token.status.success() && printed.starts_with("setup_") && printed.trim().len() == 70, "{}", said(&token));
}

/// Every file at the top of a directory with what it holds, the database's own files aside: the first server goes on writing.
fn held(dir: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let names = left(dir).into_iter().filter(|name| !name.contains(".db") && dir.join(name).is_file());
    names.map(|name| (name.clone(), std::fs::read(dir.join(&name)).expect("a file"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_a_state_directory_says_who_has_it_and_changes_nothing_there() {
    let mut sandbox = Sandbox::start(Options::default()).await.expect("a sandbox");
    let (state, ports) = (sandbox.path("state"), sandbox.ports().expect("ports"));
    let before = held(&state);
    assert!(before.contains_key("ports.json"), "{:?}", before.keys());
    // Free ports: the directory alone is reason enough. Then the first one's: nothing of it may be lost either.
    for [api, worker, private] in [["127.0.0.1:0"; 3], [&ports.api, &ports.worker, &ports.private]] {
        let settings = [("API", api), ("WORKER", worker), ("PRIVATE", private)];
        let settings = settings.map(|(name, value)| (format!("WAYBILL__SERVER__{name}"), value));
        let mut second = Command::new(binary("waybill-orchestrator"));
        second.args(["serve", "--dev", "--state"]).arg(&state).env_clear().envs(settings);
        let output = tokio::process::Command::from(second).kill_on_drop(true).output();
        let output = tokio::time::timeout(std::time::Duration::from_secs(30), output).await;
        let output = output.expect("it ends by itself").expect("a process");
        let holder = format!("process {}", sandbox.orchestrator_pid().expect("a process"));
        let text = said(&output);
        assert!(!output.status.success() && text.contains(&holder), "{text}");
        assert!(text.contains(&state.display().to_string()), "{text}");
        assert!(held(&state) == before, "{:?}", left(&state));
    }
    // A server that was killed holds nothing: the next one takes its place.
    sandbox.kill_orchestrator().expect("killed");
    sandbox.restart(&ports).await.expect("the next one");
    assert_ne!(held(&state)["lock"], before["lock"]);
}

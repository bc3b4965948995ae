//! Completion in a real shell, and the manual pages: what a person gets by Tab and by `man`.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use waybill_tests::binaries::binary;

use super::{Cli, logged_in, said};

/// Sources the script as people do, puts a line into bash's own variables as Tab does, and prints what bash got.
const TAB: &str = r#"
set -e
source <(waybill completions bash)
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; COMPREPLY=()
handler=$(complete -p waybill | sed 's/.*-F \([^ ]*\).*/\1/')
"$handler" waybill "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
[ ${#COMPREPLY[@]} = 0 ] || printf '%s\n' "${COMPREPLY[@]}"
"#;

/// What Tab gives behind these words, of which the last one is completed. Nothing may be written beside it.
#[track_caller]
fn tab(cli: &Cli<'_>, words: &[&str]) -> Vec<String> {
    let programs = binary("waybill");
    let programs = programs.parent().expect("a directory");
    let mut command = Command::new("bash");
    command.args(["--norc", "--noprofile", "-c", TAB, "tab", "waybill"]).args(words);
    command.current_dir(cli.dir).env_clear().env("XDG_CONFIG_HOME", cli.dir.join("config"));
    command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display())).stdin(Stdio::null());
    let output = command.output().expect("bash");
    assert!(output.status.success() && output.stderr.is_empty(), "{words:?}: {}", said(&output));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// Only words, no options: those stand beside them where nothing is typed yet.
#[track_caller]
fn words(cli: &Cli<'_>, line: &[&str]) -> Vec<String> {
    tab(cli, line).into_iter().filter(|word| !word.starts_with('-')).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tab_completes_the_names_of_what_there_is() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let enrolled = cli.json(0, &["agent", "enrol", "office-1", "--data-plane", "office"]);
    assert_eq!(enrolled["agent"]["name"], "office-1");
    let run = |pipeline| cli.json(0, &["run", "start", pipeline])["id"].as_str().expect("an id").to_owned();
    let runs = [run("shop"), run("torn")];

    assert_eq!(words(&cli, &["run", "start", ""]), ["shop", "torn"]);
    assert_eq!(words(&cli, &["run", "start", "to"]), ["torn"]);
    assert_eq!(words(&cli, &["run", "list", "--pipeline", "s"]), ["shop"]);
    assert_eq!(words(&cli, &["pipeline", "show", ""]), ["shop", "torn"]);
    assert_eq!(words(&cli, &["connection", "check", ""]), ["lake", "shop"]);
    assert!(words(&cli, &["data-plane", "check", ""]).contains(&"office".to_owned()));
    assert_eq!(words(&cli, &["agent", "show", ""]), ["office-1"]);
    assert_eq!(words(&cli, &["project", "show", ""]), ["default"]);
    assert_eq!(words(&cli, &["user", "show", ""]), ["admin@example.com"]);
    assert_eq!(words(&cli, &["member", "add", "x@example.com", "--role", "o"]), ["operator", "owner"]);
    // Newest first, as the list has them.
    assert_eq!(words(&cli, &["run", "why", ""]), [runs[1].as_str(), runs[0].as_str()]);
    assert_eq!(words(&cli, &["run", "why", &runs[0]]), [runs[0].as_str()]);
    // Without the orchestrator: commands, options, and values that the command line knows.
    assert_eq!(words(&cli, &["run", "st"]), ["start"]);
    assert_eq!(words(&cli, &["run", "list", "--status", "su"]), ["succeeded"]);
    assert_eq!(tab(&cli, &["run", "start", "--wa"]), ["--watch"]);

    // Which orchestrator and which project the line itself says, cut up as bash cuts it.
    assert_eq!(words(&cli, &["--project", "=", "def"]), ["default"]);
    assert_eq!(words(&cli, &["--project", "nowhere", "pipeline", "show", ""]), [""; 0]);
    assert_eq!(words(&cli, &["pipeline", "show", "--url", "https", ":", "//127.0.0.1", ":", "1", ""]), [""; 0]);
    assert_eq!(words(&cli, &["pipeline", "show", "--state", "state", ""]), ["shop", "torn"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tab_renews_a_stale_login_and_keeps_it() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    assert_eq!(cli.json(0, &["apply"])["dry_run"], false);
    let file = sandbox.path("config/waybill/login.json");
    let kept = || std::fs::read_to_string(&file).expect("the login");
    let login: serde_json::Value = serde_json::from_str(&kept()).expect("a login");
    let login = login["logins"].as_object().and_then(|logins| logins.values().next()).expect("one login");
    let access = login["tokens"]["access_token"].as_str().expect("a token").to_owned();
    std::fs::write(&file, kept().replace(&access, "stale")).expect("the login");
    assert_eq!(words(&cli, &["run", "start", ""]), ["shop", "torn"]);
    assert!(!kept().contains("\"stale\""), "the login was not renewed");
    assert_eq!(cli.json(0, &["whoami"])["user"]["email"], "admin@example.com");
}

#[test]
fn tab_gives_nothing_soon_and_says_nothing_where_nobody_answers() {
    let dir = tempfile::tempdir().expect("a directory");
    let cli = Cli { dir: dir.path() };
    assert_eq!(words(&cli, &["run", "start", ""]), [""; 0], "without a login");
    // A listener that accepts and never answers: the worst that a network does.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", silent.local_addr().expect("its address"));
    let began = Instant::now();
    assert_eq!(words(&cli, &["run", "start", "--url", &url, "--token", "x", ""]), [""; 0]);
    // Well below the time that a call is given; the rest is the start of bash and of two processes on a busy machine.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    silent.set_nonblocking(true).expect("no wait");
    silent.accept().expect("it was asked");
    std::fs::create_dir_all(dir.path().join("config/waybill")).expect("a directory");
    std::fs::write(dir.path().join("config/waybill/login.json"), "{").expect("a damaged file");
    assert_eq!(words(&cli, &["run", "start", ""]), [""; 0], "with a damaged login");
}

#[test]
fn every_shell_gets_a_script_that_asks_the_program() {
    let dir = tempfile::tempdir().expect("a directory");
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = Cli { dir: dir.path() }.run(&["completions", shell]);
        let script = String::from_utf8(script.stdout).expect("text");
        assert!(script.contains("WAYBILL_COMPLETE") && script.contains("waybill"), "{shell}: {script}");
        assert!(!script.contains(&*dir.path().to_string_lossy()), "{shell}: {script}");
    }
}

fn pages(dir: &Path) -> Vec<String> {
    let output = Cli { dir }.run(&["man", "--dir", "man", "-o", "name"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let pages = pages(dir.path());
    assert!(pages.len() > 40 && pages[0] == "man/waybill.1", "{pages:?}");
    for page in ["man/waybill-run-start.1", "man/waybill-data-plane-add-aws.1", "man/waybill-man.1"] {
        let text = std::fs::read_to_string(dir.path().join(page)).expect("a page");
        assert!(text.contains(".SH EXAMPLES"), "{page}: {text}");
    }
    assert!(pages.iter().all(|page| dir.path().join(page).is_file()));
}

/// groff tells of what it does not understand.
#[test]
fn manual_pages_are_read_by_groff_without_a_warning() {
    let dir = tempfile::tempdir().expect("a directory");
    for page in pages(dir.path()) {
        let mut command = Command::new("groff");
        command.args(["-k", "-man", "-Tutf8", "-P-cbou", "-ww", &page]).current_dir(dir.path());
        let output = command.output().expect("groff; as root: apt-get install groff-base");
        assert!(output.status.success() && output.stderr.is_empty(), "{page}: {}", said(&output));
        let shown = String::from_utf8(output.stdout).expect("text");
        assert!(shown.contains("EXAMPLES") && shown.contains("waybill"), "{page}: {shown}");
    }
}

//! `data-plane check --start-test-task` as a program: what it tells step by step, and how it ends.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use waybill_tests::process::is_alive;
use waybill_tests::sandbox::{Options, Sandbox};

use super::{Cli, logged_in, said};

#[tokio::test(flavor = "multi_thread")]
async fn a_test_task_is_told_step_by_step_and_stands_alone_as_json() {
    let sandbox = logged_in().await;
    let cli = Cli { dir: sandbox.dir.path() };
    let test = ["data-plane", "check", "local", "--start-test-task"];
    let people = cli.run(&test);
    let told = String::from_utf8_lossy(&people.stdout).into_owned();
    assert_eq!(people.status.code(), Some(0), "{}", said(&people));
    for step in ["launching", "task_started", "enrolled", "ended", "task_stopped"] {
        assert!(
            told.lines().any(|line| line.starts_with("✓ ") && line.contains(&format!(" s  {step}"))),
            "{step}: {told}"
        );
    }
    assert!(
        told.contains("exit code 0") && String::from_utf8_lossy(&people.stderr).contains("passed"),
        "{}",
        said(&people)
    );

    let tested = cli.json(0, &test);
    assert_eq!((&tested["test"]["passed"], &tested["check"]), (&true.into(), &Value::Null), "{tested}");
    let steps = tested["test"]["steps"].as_array().expect("steps");
    let after: Vec<u64> = steps.iter().map(|step| step["after_ms"].as_u64().expect("a time")).collect();
    assert!(after.last().is_some_and(|last| *last < 60_000), "under a minute: {after:?}");
    let run = tested["test"]["run_id"].as_str().expect("an id").to_owned();
    assert_eq!(cli.json(0, &["run", "show", &run])["kind"], "test");
    assert_eq!(cli.refused(6, &["run", "retry", &run]), "unusable");
    assert_eq!(cli.refused(6, &["data-plane", "check", "local"]), "unusable");
}

/// A worker that never enrols: it is stopped within the bound of a test, and the command says which step failed.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_task_that_never_enrols_leaves_no_process_and_its_step_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let (program, pid) = (dir.path().join("worker"), dir.path().join("pid"));
    let script = format!("#!/bin/sh\necho $$ > {}\nexec /bin/sleep 600\n", pid.display());
    std::fs::write(&program, script).expect("a program");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    let options = Options::default().with("WORKER__PROGRAM", &program.display().to_string());
    let sandbox = Sandbox::start(options.with("BOUNDS__TEST_START_TIMEOUT", "2s")).await.expect("a product");
    let cli = Cli { dir: sandbox.dir.path() };
    let token = sandbox.client.tokens().expect("a login").access_token;
    let test = ["data-plane", "check", "local", "--start-test-task", "--state", "state", "--token", token.reveal()];
    let output = cli.run(&test);
    assert_eq!(output.status.code(), Some(10), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("start_timeout") && told.contains("stop_sent") && told.contains("task_stopped"), "{told}");
    assert!(told.contains("waybill run why"), "{told}");
    let pid = std::fs::read_to_string(&pid).expect("it was started").trim().parse().expect("a process id");
    assert!(!is_alive(pid), "the process is left");
}

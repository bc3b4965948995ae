//! The process launcher with real processes: small shell scripts as tasks.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::LaunchSpec;
use crate::conformance::{self, Behaviour, Subject};

struct Shell {
    directory: TempDir,
    launcher: ProcessLauncher,
}

impl Shell {
    fn new() -> Self {
        let directory = TempDir::new().expect("a directory");
        let launcher = ProcessLauncher::open(&directory.path().join("attempts")).expect("a launcher");
        Self { directory, launcher: launcher.with_stop_grace(Duration::from_millis(200)) }
    }

    fn script(&self, attempt: AttemptId, script: &str, environment: &[&str]) -> LaunchRequest {
        let args = vec!["-c".into(), script.into()];
        let mut spec = LaunchSpec::new(attempt, "token".into(), "/bin/sh".into(), args);
        spec.environment = environment.iter().map(|name| (*name).to_owned()).collect();
        let bytes = spec.to_bytes().expect("serialises");
        LaunchRequest::from_bytes(&bytes, Zeroizing::new("the-ticket".into())).expect("reads back")
    }

    async fn run_to_end(&self, script: &str, environment: &[&str]) -> (AttemptId, TaskStatus) {
        let attempt = AttemptId::generate();
        let task = self.launcher.start(&self.script(attempt, script, environment)).await.expect("starts");
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.launcher.describe(&task).await.expect("a look");
            if matches!(status, TaskStatus::Stopped { exit_code: Some(_), .. }) {
                return (attempt, status);
            }
            assert!(Instant::now() < until, "the task did not end: {status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn log(&self, attempt: AttemptId) -> String {
        std::fs::read_to_string(self.launcher.log_file(attempt)).expect("a log")
    }
}

#[async_trait]
impl Subject for Shell {
    fn launcher(&self) -> &dyn Launcher {
        &self.launcher
    }

    fn request(&self, attempt: AttemptId, behaviour: Behaviour) -> LaunchRequest {
        let begun = self.directory.path().join(format!("begun-{attempt}"));
        let head = format!("read ticket || exit 1; echo begun >> {}; ", begun.display());
        let tail = match behaviour {
            Behaviour::Stay => "exec sleep 300".to_owned(),
            Behaviour::StayStubbornly => "while :; do sleep 1; done".to_owned(),
            Behaviour::Exit(code) => format!("exit {code}"),
        };
        let trap = if behaviour == Behaviour::StayStubbornly { "trap '' TERM; " } else { "" };
        self.script(attempt, &format!("{trap}{head}{tail}"), &["PATH"])
    }

    async fn begun(&self, attempt: AttemptId) -> usize {
        let begun = self.directory.path().join(format!("begun-{attempt}"));
        std::fs::read_to_string(begun).map_or(0, |text| text.lines().count())
    }
}

#[tokio::test]
async fn the_process_launcher_conforms() {
    conformance::all(&Shell::new()).await;
}

#[tokio::test]
async fn only_listed_variables_pass_and_the_ticket_comes_over_standard_input() {
    let shell = Shell::new();
    let (attempt, _) = shell.run_to_end("read ticket; echo got=$ticket; echo args=$#; /usr/bin/env", &["PATH"]).await;
    let log = shell.log(attempt);
    assert!(log.contains("got=the-ticket") && log.contains("args=0"), "{log}");
    let names: Vec<_> = log.lines().skip(2).filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    // The shell itself sets the other three.
    assert!(names.iter().all(|name| ["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(name)), "{names:?}");
    assert!(std::env::vars_os().count() > names.len(), "the test has more variables than it passed");
}

#[tokio::test]
async fn a_task_has_its_own_group_and_no_core_dump_and_its_memory_ends_somewhere() {
    let shell = Shell::new();
    let attempt = AttemptId::generate();
    let script = "read ticket; echo core=$(ulimit -c) data=$(ulimit -d); cut -d' ' -f1,5 /proc/self/stat; echo $$";
    let request = shell.script(attempt, script, &["PATH"]);
    let mut spec = request.spec().clone();
    spec.memory = Some(256 << 20);
    let bytes = spec.to_bytes().expect("serialises");
    let request = LaunchRequest::from_bytes(&bytes, Zeroizing::new("t".into())).expect("reads back");
    let task = shell.launcher.start(&request).await.expect("starts");
    let until = Instant::now() + Duration::from_secs(20);
    while !matches!(shell.launcher.describe(&task).await, Ok(TaskStatus::Stopped { .. })) {
        assert!(Instant::now() < until, "the task did not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let log = shell.log(attempt);
    let lines: Vec<_> = log.lines().collect();
    assert_eq!(lines[0], format!("core=0 data={}", (2 * 256 + 512) * 1024));
    let group = lines[1].split(' ').nth(1).expect("a group");
    assert_eq!(group, lines[2], "the shell leads the group of its children");
}

#[tokio::test]
async fn a_signal_death_shows_as_128_and_its_number() {
    let (_, status) = Shell::new().run_to_end("read ticket; kill -9 $$", &[]).await;
    assert_eq!(status, TaskStatus::Stopped { exit_code: Some(137), cause: None });
}

#[tokio::test]
async fn another_host_answers_unknown_and_never_gone() {
    let shell = Shell::new();
    let request = shell.request(AttemptId::generate(), Behaviour::Stay);
    let task = shell.launcher.start(&request).await.expect("starts");
    let elsewhere = shell.launcher.clone().seen_from("another boot pid:[1]");
    assert_eq!(elsewhere.describe(&task).await.expect("a look"), TaskStatus::Unknown);
    assert!(matches!(elsewhere.stop(&task).await, Err(LaunchError::OutOfReach)));
    assert_eq!(shell.launcher.describe(&task).await.expect("a look"), TaskStatus::Running);
    assert_eq!(elsewhere.left_behind(&task).expect("a look"), None, "its log is held");
    shell.launcher.stop(&task).await.expect("a stop");
}

#[tokio::test]
async fn a_task_of_another_boot_is_over_once_nobody_holds_its_log() {
    let shell = Shell::new();
    let (attempt, _) = shell.run_to_end("read ticket; exit 3", &[]).await;
    let task = shell.launcher.find(attempt).await.expect("a look").expect("a task");
    let elsewhere = shell.launcher.clone().seen_from("another boot pid:[1]");
    assert_eq!(elsewhere.describe(&task).await.expect("a look"), TaskStatus::Unknown);
    let over = TaskStatus::Stopped { exit_code: Some(3), cause: None };
    assert_eq!(elsewhere.left_behind(&task).expect("a look"), Some(over));
}

#[tokio::test]
async fn a_later_process_with_the_same_number_is_not_taken_for_the_task() {
    let shell = Shell::new();
    let request = shell.request(AttemptId::generate(), Behaviour::Stay);
    let task = shell.launcher.start(&request).await.expect("starts");
    let mut other = ProcessRef::read(&task).expect("a process");
    other.started += 1;
    let status = shell.launcher.describe(&other.to_task()).await.expect("a look");
    assert!(matches!(status, TaskStatus::Stopped { .. }));
    shell.launcher.stop(&other.to_task()).await.expect("nothing to stop");
    assert_eq!(shell.launcher.describe(&task).await.expect("a look"), TaskStatus::Running);
    shell.launcher.stop(&task).await.expect("a stop");
}

/// The starter died between the process and its record: the process met the end of its input and left.
#[tokio::test]
async fn a_start_that_broke_off_before_its_record_is_made_anew() {
    let shell = Shell::new();
    let attempt = AttemptId::generate();
    let directory = AttemptDirectory::new(&shell.launcher.root, attempt);
    let Entry::Ours(log) = directory.enter().expect("entered") else { panic!("nobody was here") };
    let request = shell.request(attempt, Behaviour::Stay);
    let (program, args) = (request.spec().program.as_str(), request.spec().args.as_slice());
    let mut half = command(&request, log, (program, args)).expect("a command").spawn().expect("spawned");
    assert!(matches!(directory.enter().expect("a look"), Entry::Busy), "the half-started process holds the lock");
    drop(half.stdin.take());
    assert_eq!(half.wait().await.expect("it leaves").code(), Some(1));
    let task = shell.launcher.start(&shell.request(attempt, Behaviour::Stay)).await.expect("started anew");
    assert_eq!(shell.launcher.describe(&task).await.expect("a look"), TaskStatus::Running);
    shell.launcher.stop(&task).await.expect("a stop");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_failed_start_and_leaves_the_way_free() {
    let shell = Shell::new();
    let attempt = AttemptId::generate();
    let spec = LaunchSpec::new(attempt, "t".into(), "/nonexistent/worker".into(), vec![]);
    let bytes = spec.to_bytes().expect("serialises");
    let request = LaunchRequest::from_bytes(&bytes, Zeroizing::new("t".into())).expect("reads back");
    let error = shell.launcher.start(&request).await.expect_err("no program");
    assert!(matches!(error, LaunchError::Start(_)) && !error.passes());
    assert_eq!(shell.launcher.find(attempt).await.expect("a look"), None);
    assert!(shell.launcher.start(&shell.request(attempt, Behaviour::Exit(0))).await.is_ok());
}

#[tokio::test]
async fn nobody_else_can_read_the_attempts() {
    let shell = Shell::new();
    let (attempt, _) = shell.run_to_end("read ticket", &[]).await;
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&shell.launcher.root), 0o700);
    assert_eq!(mode(&shell.launcher.log_file(attempt)), 0o600);
    assert!(!shell.log(attempt).contains("the-ticket"));
}

#[tokio::test]
async fn old_attempts_go_by_count_and_by_age_and_live_ones_never() {
    let shell = Shell::new();
    let living = AttemptId::generate();
    let task = shell.launcher.start(&shell.request(living, Behaviour::Stay)).await.expect("starts");
    let mut over = Vec::new();
    for _ in 0..4 {
        over.push(shell.run_to_end("read ticket", &[]).await.0);
    }
    let foreign = shell.launcher.root.join("notes");
    std::fs::create_dir(&foreign).expect("a directory that is not an attempt's");
    let there = |attempt: AttemptId| shell.launcher.directory(attempt).log().exists();
    let keep = |newest, age| Keep { newest, age: Duration::from_secs(age) };
    // Asked about still: the oldest of those that are over stays, though two newer ones are kept.
    let asked = HashSet::from([over[0]]);
    assert_eq!(shell.launcher.sweep(keep(2, 3_600), &asked).expect("a sweep"), 1);
    assert_eq!(over.iter().map(|attempt| there(*attempt)).collect::<Vec<_>>(), [true, false, true, true]);
    // By age all go but the one whose process lives, whatever the caller knows of it.
    while shell.launcher.sweep(keep(100, 0), &HashSet::new()).expect("a sweep") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(over.iter().all(|attempt| !there(*attempt)) && there(living) && foreign.exists());
    assert_eq!(shell.launcher.describe(&task).await.expect("a look"), TaskStatus::Running);
    shell.launcher.stop(&task).await.expect("a stop");
}

#[tokio::test]
async fn a_worker_that_gives_up_at_the_limit_around_it_ran_out_of_memory() {
    let shell = Shell::new();
    let words = "echo 'memory allocation of 16777216 bytes failed' >&2; kill -ABRT $$";
    let (_, status) = shell.run_to_end(&format!("read ticket; {words}"), &[]).await;
    assert_eq!(status, TaskStatus::Stopped { exit_code: Some(134), cause: Some(FailureCode::OutOfMemory) });
    let (_, status) = shell.run_to_end("read ticket; kill -ABRT $$", &[]).await;
    assert_eq!(status, TaskStatus::Stopped { exit_code: Some(134), cause: None });
    let (_, status) = shell.run_to_end("read ticket; kill -KILL $$", &[]).await;
    assert_eq!(status, TaskStatus::Stopped { exit_code: Some(137), cause: None });
}

//! Workers with shell scripts in their place.

use std::path::Path;

use tempfile::TempDir;
use waybill_protocol::agent::StartOrder;
use zeroize::Zeroizing;

use super::*;

struct Site {
    directory: TempDir,
}

impl Site {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// The agent's workers, each of which runs this script.
    async fn workers(&self, script: &str, slots: u32) -> Workers {
        let state = State::open(self.directory.path()).unwrap();
        let settings = Settings {
            place: Wanted::Processes { group: None, users: None },
            program: "/bin/sh".into(),
            args: vec!["-c".into(), format!("read ticket || exit 1; {script}")],
            environment: vec!["PATH".into()],
            stop_grace: Duration::from_millis(200),
            slots,
        };
        Workers::open(state, settings).await.unwrap()
    }

    fn of(&self, attempt: AttemptId) -> std::path::PathBuf {
        self.directory.path().join("attempts").join(attempt.to_string())
    }

    async fn until_it_says(&self, attempt: AttemptId, word: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_to_string(self.of(attempt).join("worker.log")).unwrap_or_default().contains(word) {
            assert!(Instant::now() < until, "the worker did not say {word}");
            tokio::time::sleep(Duration::from_millis(5)).await; // a poll of a file, bounded above
        }
    }

    /// Makes a task's record one of another boot.
    fn reboot(&self, attempt: AttemptId) {
        let path = self.of(attempt).join("task");
        let mut task: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        task["host"] = "another boot".into();
        std::fs::write(path, task.to_string()).unwrap();
    }
}

fn order(attempt: AttemptId) -> StartOrder {
    StartOrder { attempt, ticket: Zeroizing::new("the-ticket".into()), memory: None }
}

async fn started(workers: &mut Workers) -> AttemptId {
    let attempt = AttemptId::generate();
    workers.start(order(attempt)).await;
    attempt
}

fn phase(workers: &mut Workers, attempt: AttemptId) -> Option<Phase> {
    workers.all().into_iter().find(|task| task.attempt == attempt).map(|task| task.phase)
}

/// Waits until a worker has ended; how.
async fn ended(workers: &mut Workers, attempt: AttemptId) -> Phase {
    let signal = workers.ended();
    let ends = async {
        loop {
            workers.look().await;
            match phase(workers, attempt) {
                Some(Phase::Running) => signal.notified().await,
                other => return other.unwrap(),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ends).await.unwrap()
}

#[tokio::test]
async fn an_agent_starts_no_more_workers_than_it_has_slots_whatever_it_is_told() {
    let site = Site::new();
    let mut workers = site.workers("exec sleep 300", 1).await;
    let first = started(&mut workers).await;
    let second = started(&mut workers).await;
    assert_eq!(phase(&mut workers, first), Some(Phase::Running));
    assert_eq!(phase(&mut workers, second), Some(Phase::Failed(FailureCode::NoCapacity)), "the order goes back");
    assert!(!site.of(second).exists(), "something was started for it");
    assert_eq!(workers.state().tasks(), [first], "it is not this agent's");
    workers.stop(first).await;
    ended(&mut workers, first).await;
    // The same order again, now that there is room.
    workers.start(order(second)).await;
    assert_eq!(phase(&mut workers, second), Some(Phase::Running));
    workers.stop(second).await;
    ended(&mut workers, second).await;
}

#[tokio::test]
async fn an_order_that_goes_back_is_forgotten_when_it_is_heard_and_one_that_runs_does_not_go_back() {
    let site = Site::new();
    let mut workers = site.workers("exec sleep 300", 4).await;
    let refused = AttemptId::generate();
    workers.refuse(refused);
    assert_eq!(workers.changed().len(), 1);
    workers.forget(refused);
    assert_eq!(phase(&mut workers, refused), None);
    let running = started(&mut workers).await;
    workers.refuse(running);
    assert_eq!(phase(&mut workers, running), Some(Phase::Running));
    workers.stop(running).await;
    ended(&mut workers, running).await;
}

#[tokio::test]
async fn a_worker_that_is_asked_to_end_is_told_of_once_when_it_has_ended() {
    let site = Site::new();
    let mut workers = site.workers("trap '' TERM; echo deaf; while :; do sleep 0.05; done", 4).await;
    let attempt = started(&mut workers).await;
    site.until_it_says(attempt, "deaf").await;
    assert_eq!(workers.changed().len(), 1);
    for _ in 0..3 {
        workers.stop(attempt).await;
        assert!(workers.changed().is_empty(), "a stop that is under way is answered at once, and so asked for again");
    }
    let Phase::Stopped { exit_code: Some(137), cause: None } = ended(&mut workers, attempt).await else {
        panic!("it was not killed");
    };
    assert!(workers.changed().is_empty());
    // Asked for once more: whoever asks does not know yet that it has ended.
    workers.stop(attempt).await;
    assert_eq!(workers.changed().len(), 1);
}

#[tokio::test]
async fn a_stop_ends_what_nothing_can_be_found_out_about() {
    let site = Site::new();
    let mut workers = site.workers("exit 0", 4).await;
    let (unseen, never) = (AttemptId::generate(), AttemptId::generate());
    workers.describe(unseen);
    assert_eq!(phase(&mut workers, unseen), Some(Phase::Unknown));
    assert!(!workers.is_busy(), "an agent that is to end would wait for it");
    for attempt in [unseen, never] {
        workers.stop(attempt).await;
        assert_eq!(phase(&mut workers, attempt), Some(ENDED));
    }
}

#[tokio::test]
async fn a_worker_of_another_boot_has_ended_once_nobody_holds_its_log() {
    let site = Site::new();
    let mut workers = site.workers("exec sleep 300", 1).await;
    let attempt = started(&mut workers).await;
    let log = std::fs::File::options().append(true).open(site.of(attempt).join("worker.log")).unwrap();
    site.reboot(attempt);
    drop(workers);
    let mut workers = site.workers("exec sleep 300", 1).await;
    assert_eq!(phase(&mut workers, attempt), Some(Phase::Unknown), "its log is held: it may live");
    workers.stop(attempt).await;
    assert_eq!(phase(&mut workers, attempt), Some(Phase::Unknown));
    assert!(workers.is_busy(), "it holds its slot");
    kill(&site.of(attempt));
    log.lock().unwrap(); // comes back when the process is gone
    drop(log);
    workers.look().await;
    assert!(matches!(phase(&mut workers, attempt), Some(Phase::Stopped { .. })));
    let next = started(&mut workers).await;
    assert_eq!(phase(&mut workers, next), Some(Phase::Running), "the slot is free");
    workers.stop(next).await;
    ended(&mut workers, next).await;
}

#[tokio::test]
async fn a_worker_that_ran_out_of_memory_is_told_of_as_that() {
    let site = Site::new();
    let words = "echo 'memory allocation of 16777216 bytes failed' >&2; kill -ABRT $$";
    let mut workers = site.workers(words, 4).await;
    let attempt = started(&mut workers).await;
    let told = Phase::Stopped { exit_code: Some(134), cause: Some(FailureCode::OutOfMemory) };
    assert_eq!(ended(&mut workers, attempt).await, told);
}

fn kill(attempt: &Path) {
    let task: serde_json::Value = serde_json::from_slice(&std::fs::read(attempt.join("task")).unwrap()).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(task["pid"].as_i64().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).unwrap();
}

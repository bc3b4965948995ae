//! A guard that changes while a run is under way, on a paused clock.

use waybill_model::run::StreamState;
use waybill_pipeline::{StopSignal, stop_pair};

use super::*;

const GUARD: &str = "guard = 1\n[read]\nconnectors = [\"sqlite\"]\npaths = [\"/data\"]\n[write]\nconnectors = [\"local\"]\n\
                     paths = [\"/data\"]\n[limits]\nrows_per_run = 100\nbytes_per_run = \"1KiB\"\n";
const SPEC: &str = "waybill: 1\nconnections:\n  a: { type: sqlite, path: /data/x.db }\n  b: { type: local, path: /data/y }\n\
                    pipelines: { p: { from: a, to: b, streams: { t: { load: full } } } }\n";

struct Run {
    file: tempfile::NamedTempFile,
    watch: Arc<Watch>,
    stop: StopSignal,
}

fn run() -> Run {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), GUARD).expect("write");
    let plan = waybill_spec::parse(SPEC).expect("a spec").plan("p").expect("a plan");
    let subject = Subject { plan, bytes: Vec::new(), signature: None, images: Vec::new() };
    let guard = Guard::parse(GUARD).expect("a guard");
    assert_eq!(subject.judge(&guard), []);
    let (switch, stop) = stop_pair();
    let watch = Watch::new(Origin::File(file.path().to_owned()), guard, subject, switch);
    Run { file, watch: Arc::new(watch), stop }
}

impl Run {
    fn guard_says(&self, text: &str) {
        std::fs::write(self.file.path(), text).expect("write");
    }

    /// The guard was read long enough ago to be read again.
    async fn later(&self) {
        tokio::time::advance(FRESH).await;
    }
}

fn progress(stream: u32, rows: u64, bytes: u64) -> Progress {
    Progress { stream, state: StreamState::Reading, rows, bytes, files: 0, rows_estimate: None }
}

#[tokio::test(start_paused = true)]
async fn the_kill_switch_ends_a_run_within_seconds() {
    let run = run();
    run.guard_says(&GUARD.replace("guard = 1\n", "guard = 1\nstop = true\n"));
    assert!(run.watch.allows().await, "a reading counts for seconds");
    run.later().await;
    assert!(!run.watch.allows().await);
    assert_eq!(run.stop.halt(), Some(waybill_pipeline::Halt::Forbidden));
    run.guard_says(GUARD);
    run.later().await;
    assert!(!run.watch.allows().await, "what was forbidden stays so");
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_is_gone_wrong_over_or_narrower_ends_the_run() {
    for text in [
        "",
        "guard = 1\nnonsense = true\n",
        "guard = 1\nexpires = 2020-01-01\n",
        &GUARD.replace("[\"/data\"]", "[\"/other\"]"),
        &format!("require_signed_specs = true\n{GUARD}[signers.a]\nkey = \"ed25519:{}=\"\n", "A".repeat(43)),
    ] {
        let run = run();
        run.guard_says(text);
        run.later().await;
        assert!(!run.watch.allows().await, "{text}");
    }
    let run = run();
    std::fs::remove_file(run.file.path()).expect("remove");
    run.later().await;
    assert!(!run.watch.allows().await);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_everybody_can_write_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let run = run();
    std::fs::set_permissions(run.file.path(), std::fs::Permissions::from_mode(0o666)).expect("mode");
    run.later().await;
    assert!(!run.watch.allows().await);
}

#[tokio::test(start_paused = true)]
async fn ceilings_count_all_streams_and_the_newest_numbers() {
    let run = run();
    run.watch.count(&progress(0, 60, 10));
    run.watch.count(&progress(0, 70, 10));
    run.watch.count(&progress(1, 30, 10));
    assert_eq!(run.stop.halt(), None);
    assert!(run.watch.allows().await);
    run.watch.count(&progress(1, 31, 10));
    assert_eq!(run.stop.halt(), Some(waybill_pipeline::Halt::Forbidden));
    assert!(!run.watch.allows().await, "nothing commits afterwards");
    let other = self::run();
    other.watch.count(&progress(0, 1, 1025));
    assert_eq!(other.stop.halt(), Some(waybill_pipeline::Halt::Forbidden));
}

#[tokio::test(start_paused = true)]
async fn looking_again_ends_by_itself_once_the_guard_refuses() {
    let run = run();
    let looking = tokio::spawn(Arc::clone(&run.watch).look_again());
    run.guard_says("guard = 1\nstop = true\n");
    looking.await.expect("it ends");
    assert_eq!(run.stop.halt(), Some(waybill_pipeline::Halt::Forbidden));
}

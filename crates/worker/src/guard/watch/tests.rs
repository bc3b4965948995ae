//! A guard that changes while a run is under way, on a paused clock.

#[cfg(feature = "aws")]
use std::sync::atomic::{AtomicUsize, Ordering};

use std::time::SystemTime;

use waybill_model::FailureCode;
use waybill_model::errand::Range;
use waybill_model::run::StreamState;
use waybill_pipeline::{StopSignal, stop_pair};

use super::*;

pub(in crate::guard) const GUARD: &str = "guard = 1\n[read]\nconnectors = [\"sqlite\"]\npaths = [\"/data\"]\n[write]\nconnectors = [\"local\"]\n\
                     paths = [\"/data\"]\n[limits]\nrows_per_run = 100\nbytes_per_run = \"1KiB\"\n";
const SPEC: &str = "waybill: 1\nconnections:\n  a: { type: sqlite, path: /data/x.db }\n  b: { type: local, path: /data/y }\n\
                    pipelines: { p: { from: a, to: b, streams: { t: { load: full } } } }\n";

/// How a run ends that its guard does not allow any more.
const DENIED: Option<Halt> = Some(Halt::Forbidden(FailureCode::PolicyDenied));

struct Run {
    file: tempfile::NamedTempFile,
    watch: Arc<Watch>,
    stop: StopSignal,
}

fn run() -> Run {
    run_with(Vec::new())
}

fn run_with(images: Vec<String>) -> Run {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), GUARD).expect("write");
    let (watch, stop) = watch(Origin::file(file.path()), images);
    Run { file, watch, stop }
}

pub(in crate::guard) fn watch(origin: Origin, images: Vec<String>) -> (Arc<Watch>, StopSignal) {
    let plan = waybill_spec::parse(SPEC).expect("a spec").plan("p").expect("a plan");
    let subject = Subject { plan, bytes: Vec::new(), signature: None, images, errands: Vec::new() };
    let guard = Guard::parse(GUARD).expect("a guard");
    assert_eq!(subject.judge(&guard), []);
    let (switch, stop) = stop_pair();
    (Arc::new(Watch::new(origin, guard, subject, switch)), stop)
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
    assert!(run.watch.allows().await.is_ok(), "a reading counts for seconds");
    run.later().await;
    assert!(run.watch.allows().await.is_err());
    assert_eq!(run.stop.halt(), DENIED);
    run.guard_says(GUARD);
    run.later().await;
    assert!(run.watch.allows().await.is_err(), "what was forbidden stays so");
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
        assert!(run.watch.allows().await.is_err(), "{text}");
    }
    let run = run();
    std::fs::remove_file(run.file.path()).expect("remove");
    run.later().await;
    assert!(run.watch.allows().await.is_err());
}

/// The plan is the same with and without them: the guard alone tells them apart.
#[test]
fn a_reload_and_a_backfill_are_refused_where_the_guard_says_so_or_asks_for_signatures() {
    let plan = waybill_spec::parse(SPEC).expect("a spec").plan("p").expect("a plan");
    let range = Range::new(Some("5"), None).expect("a range");
    let refuses = |guard: &str, errand: Option<&Errand>, reason| {
        let guard = Guard::parse(guard).expect("a guard");
        let errands = errand.into_iter().cloned().collect();
        let subject = Subject { plan: plan.clone(), bytes: Vec::new(), signature: None, images: Vec::new(), errands };
        let found = subject.judge(&guard);
        found.iter().any(|one| one.reason == reason && one.reason.failure() == FailureCode::PolicyDenied)
    };
    let signed = format!("require_signed_specs = true\n{GUARD}[signers.a]\nkey = \"ed25519:{}=\"\n", "A".repeat(43));
    for (key, reason, errand) in [
        ("reload", Reason::Reload, Errand::Reload),
        ("backfill", Reason::Backfill, Errand::ForgetCursor),
        ("backfill", Reason::Backfill, Errand::Backfill(range)),
    ] {
        for (guard, refused) in [
            (GUARD.to_owned(), false),
            (format!("{key} = false\n{GUARD}"), true),
            (signed.clone(), true),
            (format!("{key} = true\n{signed}"), false),
        ] {
            let found = (refuses(&guard, Some(&errand), reason), refuses(&guard, None, reason));
            assert_eq!(found, (refused, false), "{guard}");
        }
    }
    let no_reload = format!("reload = false\n{GUARD}");
    assert!(!refuses(&no_reload, Some(&Errand::ForgetCursor), Reason::Reload), "it replaces nothing");
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_everybody_can_write_is_none() {
    use std::os::unix::fs::PermissionsExt;
    let run = run();
    std::fs::set_permissions(run.file.path(), std::fs::Permissions::from_mode(0o666)).expect("mode");
    run.later().await;
    assert!(run.watch.allows().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_its_agent_does_not_renew_counts_for_a_minute() {
    let dir = tempfile::tempdir().expect("a directory");
    let (copy, mark) = (dir.path().join("guard.toml"), dir.path().join("guard.toml.renewed"));
    std::fs::write(&copy, GUARD).expect("write");
    let file = std::fs::File::create(&mark).expect("a mark");
    let renewed = |ago: u64| file.set_modified(SystemTime::now() - Duration::from_secs(ago)).expect("its time");
    let (watch, stop) = watch(Origin::file(&copy), Vec::new());
    for ago in [0, 3600, 0, 3600] {
        renewed(ago);
        tokio::time::advance(STALE - FRESH).await;
        assert!(watch.allows().await.is_ok(), "{ago} s: an agent that starts anew is waited for");
    }
    // It is gone or of the future: neither says that the guard is as it was.
    for step in 0..2 {
        let run = self::watch(Origin::file(&copy), Vec::new());
        if step == 0 {
            file.set_modified(SystemTime::now() + STALE).expect("its time")
        } else {
            std::fs::remove_file(&mark).expect("remove")
        }
        tokio::time::advance(STALE).await;
        assert!(run.0.allows().await.is_err(), "{step}");
        assert_eq!(run.1.halt(), Some(Halt::Forbidden(FailureCode::GuardUnreachable)));
    }
    tokio::time::advance(FRESH).await;
    assert!(watch.allows().await.is_err());
    assert_eq!(stop.halt(), Some(Halt::Forbidden(FailureCode::GuardUnreachable)));
    // A file that nobody renews as a copy counts as it is.
    let (watch, _stop) = self::watch(Origin::file(&copy), Vec::new());
    tokio::time::advance(STALE * 2).await;
    assert!(watch.allows().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn ceilings_count_all_streams_and_the_newest_numbers() {
    let run = run();
    run.watch.count(&progress(0, 60, 10));
    run.watch.count(&progress(0, 70, 10));
    run.watch.count(&progress(1, 30, 10));
    assert_eq!(run.stop.halt(), None);
    assert!(run.watch.allows().await.is_ok());
    run.watch.count(&progress(1, 31, 10));
    assert_eq!(run.stop.halt(), DENIED);
    assert!(run.watch.allows().await.is_err(), "nothing commits afterwards");
    let other = self::run();
    other.watch.count(&progress(0, 1, 1025));
    assert_eq!(other.stop.halt(), DENIED);
}

#[tokio::test(start_paused = true)]
async fn looking_again_ends_by_itself_once_the_guard_refuses() {
    let run = run();
    let looking = tokio::spawn(Arc::clone(&run.watch).look_again());
    run.guard_says("guard = 1\nstop = true\n");
    looking.await.expect("it ends");
    assert_eq!(run.stop.halt(), DENIED);
}

#[cfg(feature = "aws")]
#[tokio::test(start_paused = true)]
async fn a_guard_that_can_not_be_reached_ends_the_run_a_minute_later_and_says_so() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let origin = Origin::Script(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
        let refusal = Refusal::without_guard(Reason::Unreached, "no answer".to_owned());
        Box::pin(async move { Err(Lost::Unreached(refusal)) })
    }));
    let (watch, stop) = watch(origin, Vec::new());
    let begun = Instant::now();
    let looking = tokio::spawn(Arc::clone(&watch).look_again());
    tokio::time::sleep(STALE - Duration::from_secs(1)).await;
    assert!(asked.load(Ordering::SeqCst) >= 5, "it was asked again and again");
    assert!(watch.allows_now().await.is_ok() && stop.halt().is_none(), "the last reading still counts");
    assert_eq!(stop.halted().await, Halt::Forbidden(FailureCode::GuardUnreachable));
    looking.await.expect("it ends");
    assert!(begun.elapsed() >= STALE && begun.elapsed() <= STALE + EVERY, "{:?}", begun.elapsed());
    assert_eq!(watch.allows().await, Err(Halt::Forbidden(FailureCode::GuardUnreachable)));
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_signature_ends_says_so_and_not_that_the_plan_is_denied() {
    let run = run();
    let signed = GUARD.replace("guard = 1\n", "guard = 1\nrequire_signed_specs = true\n");
    run.guard_says(&format!("{signed}[signers.a]\nkey = \"ed25519:{}=\"\n", "A".repeat(43)));
    run.later().await;
    let halt = Halt::Forbidden(FailureCode::SignatureRejected);
    assert_eq!(run.watch.allows().await, Err(halt));
    assert_eq!(run.stop.halt(), Some(halt));
}

#[tokio::test(start_paused = true)]
async fn images_that_are_listed_while_a_run_is_under_way_hold_for_it() {
    let (own, other) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
    let listed = |image: &str| GUARD.replace("guard = 1\n", &format!("guard = 1\nimages = [\"{image}\"]\n"));
    let run = run_with(vec![own.clone()]);
    run.guard_says(&listed(&own));
    run.later().await;
    assert!(run.watch.allows().await.is_ok(), "its own image was known from the start");
    run.guard_says(&listed(&other));
    run.later().await;
    assert!(run.watch.allows().await.is_err());
    let unknown = self::run();
    unknown.guard_says(&listed(&own));
    unknown.later().await;
    assert!(unknown.watch.allows().await.is_err(), "an image that is not known is none of the listed");
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_gets_narrower_counts_for_the_connections_of_a_run_under_way() {
    let network = |lines: &str| GUARD.replace("[limits]", &format!("[network]\n{lines}\n[limits]"));
    let run = run();
    let in_use = run.watch.ways().means().dialer;
    assert!(in_use.check("10.9.0.1").is_ok());
    run.guard_says(&network("egress = [\"10.0.0.0/8\"]"));
    run.later().await;
    assert!(run.watch.allows().await.is_ok(), "what is in use lies within");
    assert!(in_use.check("192.0.2.1").is_err(), "nothing outside is dialed any more");
    run.guard_says(&network("egress = [\"10.1.0.0/16\"]"));
    run.later().await;
    assert_eq!(run.watch.allows().await.err(), DENIED, "a connection outside may be open");
    assert_eq!(run.stop.halt(), DENIED);
}

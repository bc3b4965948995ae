//! The worker's calls: enrolment, reports, leave to commit, outcomes.

use std::collections::BTreeMap;
use std::time::Duration;

use waybill_model::report::{Completion, Directive, Outcome};
use waybill_model::run::{AttemptState, RunState, StreamState};
use waybill_model::{AttemptId, Epoch, FailureCode, Micros, OrgId};
use waybill_orchestrator::service::attempt::{AttemptError, CommitAnswer, EnrolError, Peer, TicketClaim};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_orchestrator::service::run::RunError;

use super::fixture::{Database, World, bounds, claim, failed, outcome, peer, report, succeeded, until, with_epoch};

#[tokio::test]
async fn a_run_goes_its_whole_way_on_both_databases() {
    for database in [Database::sqlite(), Database::postgres()] {
        let world = World::new(database, bounds()).await;
        let (run, attempt) = world.running().await;
        assert_eq!((run.state, attempt.state), (RunState::Running, AttemptState::Running));
        let assignment = world.attempts.assignment(&peer(&attempt)).await.expect("an assignment");
        assert_eq!(assignment, world.attempts.assignment(&peer(&attempt)).await.expect("the same again"));
        assert_eq!((assignment.streams, assignment.epoch), (vec![0, 1], attempt.epoch));
        assert_eq!(String::from_utf8(assignment.plan).expect("JSON"), run.plan);
        let told = world.attempts.report(&peer(&attempt), report(&attempt, 1, 50)).await.expect("an answer");
        assert_eq!(told, Directive::Continue);
        let leave = world.attempts.prepare_commit(&peer(&attempt), attempt.epoch, 0, [1; 32]).await.expect("an answer");
        assert_eq!(leave, CommitAnswer::Granted);
        assert_eq!(world.complete(&attempt, succeeded()).await, Directive::Continue);
        // Its answer was lost: asked again, it is answered the same; with another outcome it is not.
        assert_eq!(world.complete(&attempt, succeeded()).await, Directive::Continue);
        assert_eq!(world.complete(&attempt, failed(FailureCode::SourceDenied)).await, Directive::Fenced);
        let run = world.run(run.id).await;
        assert_eq!((run.state, run.failure, run.attempts), (RunState::Succeeded, None, 1));
        let codes = world.codes(run.id).await;
        let way = ["queued", "launching", "task_started", "enrolled", "part_uploaded", "commit_granted", "ended"];
        assert_eq!(codes, way);
        let head = world.store.audit_verify(world.org).await.expect("a walk").expect("a whole chain");
        assert_eq!(head.seq, 3, "trigger, enrol, end");
        assert!(!world.attempts.may_renew(&peer(&attempt)).await.expect("an answer"));
    }
}

#[tokio::test]
async fn a_ticket_is_used_once_and_the_same_key_is_answered_again_for_a_while() {
    let bounds = Bounds { enrol_again: Duration::from_millis(300), ..bounds() };
    let world = World::new(Database::sqlite(), bounds).await;
    let run = world.trigger().await;
    world.dispatch().await;
    let attempt = world.attempt(run.id).await;
    assert!(!world.attempts.enrol(&claim(&attempt), [7; 32]).await.expect("granted").again);
    assert!(world.attempts.enrol(&claim(&attempt), [7; 32]).await.expect("granted again").again);
    until("the same key is refused", async || {
        matches!(world.attempts.enrol(&claim(&attempt), [7; 32]).await, Err(EnrolError::Used { other_key: false }))
    })
    .await;
    assert_eq!(world.attempt(run.id).await.fenced_at, None, "late is no alarm");
}

#[tokio::test]
async fn t05_a_ticket_with_another_key_is_refused_alarms_and_fences() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let (run, attempt) = world.running().await;
    let answer = world.attempts.enrol(&claim(&attempt), [8; 32]).await;
    assert!(matches!(answer, Err(EnrolError::Used { other_key: true })), "{answer:?}");
    assert!(world.attempt(run.id).await.fenced_at.is_some());
    assert!(world.codes(run.id).await.contains(&"ticket_reused".to_owned()));
    let last = world.store.audit_list(world.org, None, 1).await.expect("entries").remove(0);
    assert_eq!((last.action.as_str(), last.outcome.as_str()), ("attempt.enrol", "refused"));
    // Nobody who holds a key of this attempt can do anything any more.
    let told = world.attempts.report(&peer(&attempt), report(&attempt, 1, 1)).await.expect("an answer");
    assert_eq!(told, Directive::Fenced);
    assert!(!world.attempts.may_renew(&peer(&attempt)).await.expect("an answer"));
    assert!(matches!(world.attempts.assignment(&peer(&attempt)).await, Err(AttemptError::Fenced)));
}

#[tokio::test]
async fn t03_foreign_and_unknown_attempts_are_not_found_alike() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let (_, attempt) = world.running().await;
    let foreign = Peer { org: OrgId::generate(), attempt: attempt.id };
    let unknown = Peer { org: world.org, attempt: AttemptId::generate() };
    for peer in [foreign, unknown] {
        let attempts = &world.attempts;
        assert!(matches!(attempts.assignment(&peer).await, Err(AttemptError::NotFound)));
        assert!(matches!(attempts.report(&peer, report(&attempt, 1, 1)).await, Err(AttemptError::NotFound)));
        let leave = attempts.prepare_commit(&peer, attempt.epoch, 0, [0; 32]).await;
        assert!(matches!(leave, Err(AttemptError::NotFound)));
        assert!(matches!(attempts.complete(&peer, attempt.epoch, succeeded()).await, Err(AttemptError::NotFound)));
        assert!(matches!(attempts.may_renew(&peer).await, Err(AttemptError::NotFound)));
        let claim = TicketClaim { org: peer.org, attempt: peer.attempt, epoch: attempt.epoch };
        assert!(matches!(attempts.enrol(&claim, [7; 32]).await, Err(EnrolError::NotFound)));
    }
    assert_eq!(world.attempt(attempt.run).await.report_seq, 0, "nothing was taken");
}

#[tokio::test]
async fn f21_repeated_and_late_reports_change_nothing_twice() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let (run, attempt) = world.running().await;
    for (seq, rows) in [(1, 10), (2, 20), (2, 20), (1, 10), (3, 30), (2, 20)] {
        let told = world.attempts.report(&peer(&attempt), report(&attempt, seq, rows)).await.expect("an answer");
        assert_eq!(told, Directive::Continue);
    }
    let streams = world.store.run_stream_list(world.org, run.id).await.expect("streams");
    assert_eq!(streams[0].rows, 30);
    let uploads = world.codes(run.id).await.iter().filter(|code| *code == "part_uploaded").count();
    assert_eq!((uploads, world.attempt(run.id).await.report_seq), (3, 3));
}

#[tokio::test]
async fn a_wrong_epoch_is_fenced_whatever_it_asks() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let (run, attempt) = world.running().await;
    let other = Epoch(attempt.epoch.0 - 1);
    let mut late = report(&attempt, 1, 1);
    late.epoch = other;
    assert_eq!(world.attempts.report(&peer(&attempt), late).await.expect("an answer"), Directive::Fenced);
    let leave = world.attempts.prepare_commit(&peer(&attempt), other, 0, [0; 32]).await.expect("an answer");
    assert_eq!(leave, CommitAnswer::Refused(Directive::Fenced));
    let told = world.attempts.complete(&peer(&attempt), other, succeeded()).await.expect("an answer");
    assert_eq!((told, world.run(run.id).await.state), (Directive::Fenced, RunState::Running));
}

#[tokio::test]
async fn h37_what_can_not_be_true_is_refused_by_field() {
    let small = Bounds { events_per_report: 2, events_per_attempt: 3, ..bounds() };
    let world = World::new(Database::sqlite(), small).await;
    let (run, attempt) = world.running().await;
    let mut flood = report(&attempt, 1, 1);
    flood.events = vec![flood.events[0].clone(); 3];
    let refused = |answer: Result<Directive, AttemptError>| match answer {
        Err(AttemptError::Invalid { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(world.attempts.report(&peer(&attempt), flood.clone()).await), "events");
    let mut stray = report(&attempt, 1, 1);
    stray.progress[0].stream = 9;
    assert_eq!(refused(world.attempts.report(&peer(&attempt), stray).await), "stream");
    let mut huge = report(&attempt, 1, u64::MAX);
    huge.progress[0].bytes = u64::MAX;
    assert_eq!(world.attempts.report(&peer(&attempt), huge).await.expect("kept at the end"), Directive::Continue);
    // The quota of the whole attempt: two more fit, the rest is dropped, and that is said once.
    flood.events.truncate(2);
    for seq in 2..6 {
        flood.seq = seq;
        world.attempts.report(&peer(&attempt), flood.clone()).await.expect("an answer");
    }
    let codes = world.codes(run.id).await;
    let count = |code: &str| codes.iter().filter(|c| *c == code).count();
    assert_eq!((count("part_uploaded"), count("events_dropped")), (3, 1));
    let mut short = succeeded();
    short.streams.pop();
    assert_eq!(refused(world.attempts.complete(&peer(&attempt), attempt.epoch, short).await), "streams");
    let mut twice = succeeded();
    twice.streams.push(outcome(1, StreamState::Committed));
    assert_eq!(refused(world.attempts.complete(&peer(&attempt), attempt.epoch, twice).await), "streams");
    let mut text = succeeded();
    text.streams[0].receipt = Some("not a digest".into());
    assert_eq!(refused(world.attempts.complete(&peer(&attempt), attempt.epoch, text).await), "receipt");
    assert_eq!(world.run(run.id).await.state, RunState::Running);
}

#[tokio::test]
async fn f44_a_cancel_before_the_grant_refuses_it_and_one_after_the_end_comes_too_late() {
    for database in [Database::sqlite(), Database::postgres()] {
        let world = World::new(database, bounds()).await;
        let (run, attempt) = world.running().await;
        let granted = world.attempts.prepare_commit(&peer(&attempt), attempt.epoch, 0, [1; 32]).await;
        assert_eq!(granted.expect("an answer"), CommitAnswer::Granted);
        world.runs.cancel(&world.caller(), run.id).await.expect("asked");
        let refused = world.attempts.prepare_commit(&peer(&attempt), attempt.epoch, 1, [1; 32]).await;
        assert_eq!(refused.expect("an answer"), CommitAnswer::Refused(Directive::Cancel));
        let told = world.attempts.report(&peer(&attempt), report(&attempt, 1, 1)).await.expect("an answer");
        assert_eq!(told, Directive::Cancel);
        assert_eq!(world.run(run.id).await.state, RunState::Running, "a cancel sets only what is desired");
        // The first stream's commit had landed: the run is canceled, and what was delivered is shown.
        let mut done = succeeded();
        done.outcome = Outcome::Canceled;
        done.streams = vec![outcome(0, StreamState::Committed), outcome(1, StreamState::Skipped)];
        assert_eq!(world.complete(&attempt, done).await, Directive::Continue);
        let run = world.run(run.id).await;
        let streams = world.store.run_stream_list(world.org, run.id).await.expect("streams");
        let delivered: Vec<_> = streams.iter().map(|s| s.delivered_at.is_some()).collect();
        assert_eq!((run.state, delivered), (RunState::Canceled, vec![true, false]));
        let late = world.runs.cancel(&world.caller(), run.id).await;
        assert!(matches!(late, Err(RunError::WrongState { state: RunState::Canceled })));
        // A new run brings only what is missing.
        let again = world.runs.retry(&world.caller(), run.id).await.expect("a new run");
        let streams = world.store.run_stream_list(world.org, again.id).await.expect("streams");
        assert_eq!(streams.iter().map(|s| s.selected).collect::<Vec<_>>(), [false, true]);
    }
}

#[tokio::test]
async fn a_drained_attempt_is_no_try_whether_it_delivered_or_not() {
    for first in [StreamState::Committed, StreamState::Skipped] {
        let world = World::new(Database::sqlite(), bounds()).await;
        let (run, attempt) = world.running().await;
        let streams = vec![outcome(0, first), outcome(1, StreamState::Skipped)];
        let drained = Completion { streams, ..failed(FailureCode::Drained) };
        assert_eq!(world.complete(&attempt, drained).await, Directive::Continue);
        let run = world.run(run.id).await;
        assert_eq!((run.state, run.tries, run.failure), (RunState::Queued, 0, Some(FailureCode::Drained)), "{first}");
    }
}

#[tokio::test]
async fn a_commit_of_a_fenced_attempt_is_shown_as_delivered_late() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let (run, attempt) = world.running().await;
    let _ = world.attempts.enrol(&claim(&attempt), [8; 32]).await.expect_err("another key");
    assert_eq!(world.complete(&attempt, succeeded()).await, Directive::Fenced);
    let streams = world.store.run_stream_list(world.org, run.id).await.expect("streams");
    assert!(streams.iter().all(|s| s.delivered_late && s.delivered_at.is_some()));
    assert!(streams.iter().all(|s| s.state == StreamState::Waiting), "the run's own states do not move");
    assert_eq!(world.run(run.id).await.state, RunState::Running);
}

#[tokio::test]
async fn f50_an_epoch_found_in_the_bucket_raises_the_pipelines() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let (_, attempt) = world.running().await;
    let found = Epoch(Micros::now().plus(Duration::from_secs(3_600)).0);
    world.complete(&attempt, with_epoch(succeeded(), found)).await;
    let (_, next) = world.running().await;
    assert_eq!(next.epoch, Epoch(found.0 + 1));
    // One more than a day ahead is not believed: it would lock the pipeline.
    let forged = Epoch(Micros::now().plus(Duration::from_secs(48 * 3_600)).0);
    let run = next.run;
    world.complete(&next, with_epoch(succeeded(), forged)).await;
    assert!(world.codes(run).await.contains(&"epoch_ahead".to_owned()));
    assert_eq!(world.running().await.1.epoch, Epoch(found.0 + 2));
}

#[tokio::test]
async fn f50_a_restored_database_gives_epochs_above_those_that_it_forgot() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let Database::Sqlite(directory) = &world.database else { panic!("SQLite") };
    let backup = directory.path().join("backup.db");
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    file.execute("vacuum into ?1", [backup.to_str().expect("a path")]).expect("a backup");
    let (_, forgotten) = world.running().await;
    let restored = World::new(Database::Sqlite(tempfile::TempDir::new().expect("a directory")), bounds()).await;
    let Database::Sqlite(place) = &restored.database else { panic!("SQLite") };
    restored.store.close().await;
    for old in ["waybill.db-wal", "waybill.db-shm"] {
        let _ = std::fs::remove_file(place.path().join(old));
    }
    std::fs::copy(&backup, place.path().join("waybill.db")).expect("restored");
    let store = waybill_store::Store::open(&restored.database.url()).await.expect("a store");
    let pipeline = store.pipeline_get(world.org, world.pipeline).await.expect("a read").expect("the pipeline");
    assert_eq!(pipeline.last_epoch, None, "the backup knows nothing of the run");
    let now = store.clock().await.expect("the clock");
    assert!(Epoch::next(pipeline.last_epoch, now) > forgotten.epoch);
}

#[tokio::test]
async fn failures_follow_their_policy_up_to_the_limit() {
    let world = World::new(Database::sqlite(), Bounds { attempts: 2, ..bounds() }).await;
    let (run, attempt) = world.running().await;
    world.complete(&attempt, failed(FailureCode::SourceUnreachable)).await;
    assert_eq!(world.run(run.id).await.state, RunState::Queued, "a passing failure is tried again");
    until("the wait is over", async || {
        world.dispatch().await;
        world.run(run.id).await.state == RunState::Launching
    })
    .await;
    let second = world.attempt(run.id).await;
    assert!(second.epoch > attempt.epoch);
    world.enrol(&second).await;
    world.complete(&second, failed(FailureCode::SourceUnreachable)).await;
    let ended = world.run(run.id).await;
    assert_eq!((ended.state, ended.failure), (RunState::Failed, Some(FailureCode::SourceUnreachable)));
    let (run, attempt) = world.running().await;
    world.complete(&attempt, failed(FailureCode::SourceDenied)).await;
    assert_eq!(world.run(run.id).await.state, RunState::Failed, "what a person must mend is not tried again");
}

#[tokio::test]
async fn f47_the_same_failure_in_three_runs_pauses_the_pipeline() {
    let world = World::new(Database::sqlite(), bounds()).await;
    for n in 1..=3 {
        let paused = world.store.pipeline_get(world.org, world.pipeline).await.expect("a read").expect("it").paused;
        assert_eq!(paused, None, "before run {n}");
        let (_, attempt) = world.running().await;
        world.complete(&attempt, failed(FailureCode::SourceDenied)).await;
    }
    let pipeline = world.store.pipeline_get(world.org, world.pipeline).await.expect("a read").expect("it");
    assert_eq!((pipeline.paused.as_deref(), pipeline.poison_runs), (Some("poison"), 3));
    let trigger = waybill_orchestrator::service::run::Trigger::Manual {
        kind: waybill_model::run::RunKind::Sync,
        streams: vec![],
        errands: BTreeMap::new(),
        rows: None,
    };
    let answer = world.runs.trigger(&world.caller(), world.pipeline, trigger).await;
    assert!(matches!(answer, Err(RunError::Paused { .. })), "{answer:?}");
}

//! Attempts that do not end by themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use waybill_launcher::TaskStatus;
use waybill_model::report::Directive;
use waybill_model::run::{AttemptState, RunState};
use waybill_orchestrator::loops::reap::Reaper;
use waybill_orchestrator::service::attempt::{AttemptError, CommitAnswer};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_store::StoreError;

use super::fixture::{Database, World, bounds, peer, reap_until, report, succeeded, until};

/// Leases that run out while a test looks on; the grants go with them.
fn short_leases() -> Bounds {
    let ms = Duration::from_millis;
    Bounds { heartbeat: ms(100), lease: ms(300), grant: ms(200), offline_grace: ms(400), ..bounds() }
}

#[tokio::test]
async fn an_unreachable_worker_is_fenced_first_stopped_second_and_lost_third() {
    let world = World::new(Database::sqlite(), short_leases()).await;
    let (run, attempt) = world.running().await;
    until("it counts as unreachable", async || {
        world.reap().await;
        world.attempt(run.id).await.unreachable_since.is_some()
    })
    .await;
    assert_eq!(world.attempt(run.id).await.fenced_at, None, "unreachable is not lost: the grace has begun");
    assert_eq!(world.task_status(&attempt).await, TaskStatus::Running);
    reap_until(&world, run.id, RunState::Queued).await;
    assert!(matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. }), "confirmed before lost");
    let codes = world.codes(run.id).await;
    let place = |code: &str| codes.iter().position(|c| c == code).unwrap_or_else(|| panic!("{code} in {codes:?}"));
    let order = ["unreachable", "fenced", "stop_sent", "attempt_lost"].map(place);
    assert!(order.is_sorted(), "{codes:?}");
    // The late worker hears of it at any call.
    assert_eq!(world.attempts.report(&peer(&attempt), report(&attempt, 1, 1)).await.expect("told"), Directive::Fenced);
    let leave = world.attempts.prepare_commit(&peer(&attempt), attempt.epoch, 0, [1; 32]).await.expect("told");
    assert_eq!(leave, CommitAnswer::Refused(Directive::Fenced));
    until("the next attempt", async || {
        world.dispatch().await;
        world.attempt_states(run.id).await == [AttemptState::Lost, AttemptState::Launching]
    })
    .await;
    assert!(world.attempt(run.id).await.epoch > attempt.epoch);
}

#[tokio::test]
async fn a_worker_that_speaks_again_within_the_grace_goes_on() {
    let bounds = Bounds { offline_grace: Duration::from_secs(600), ..short_leases() };
    let world = World::new(Database::sqlite(), bounds).await;
    let (run, attempt) = world.running().await;
    until("it counts as unreachable", async || {
        world.reap().await;
        world.attempt(run.id).await.unreachable_since.is_some()
    })
    .await;
    assert_eq!(
        world.attempts.report(&peer(&attempt), report(&attempt, 1, 1)).await.expect("told"),
        Directive::Continue
    );
    assert_eq!(world.attempt(run.id).await.unreachable_since, None);
    assert_eq!(world.complete(&attempt, succeeded()).await, Directive::Continue);
    assert_eq!(world.run(run.id).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn f20_an_orchestrator_that_was_away_loses_no_run() {
    let ms = Duration::from_millis;
    let world = World::new(Database::sqlite(), Bounds { offline_grace: ms(200), ..bounds() }).await;
    let mut pipelines = vec![];
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    for n in 0..50 {
        let id = waybill_model::PipelineId::generate();
        let new = waybill_store::NewPipeline {
            org: world.org,
            project: world.project,
            id,
            name: format!("p{n}"),
            data_plane: world.plane,
            plan: serde_json::to_string(&super::fixture::plan("p")).expect("a plan"),
            source: None,
            digest: "d".into(),
            created_by: "user:test".into(),
        };
        waybill_store::Store::pipeline_insert_in_txn(&mut tx, &new).await.expect("a pipeline");
        pipelines.push(id);
    }
    tx.commit().await.expect("committed");
    let mut attempts = vec![];
    for pipeline in pipelines {
        let trigger = waybill_orchestrator::service::run::Trigger::Manual {
            kind: waybill_model::run::RunKind::Sync,
            streams: vec![],
            errands: BTreeMap::new(),
            rows: None,
        };
        let run = world.runs.trigger(&world.caller(), pipeline, trigger).await.expect("a run");
        world.dispatch().await;
        let attempt = world.attempt(run.id).await;
        world.enrol(&attempt).await;
        attempts.push(attempt);
    }
    // What being away for an hour does to every lease.
    let Database::Sqlite(directory) = &world.database else { panic!("SQLite") };
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    file.busy_timeout(Duration::from_secs(5)).expect("patience");
    let moved = file.execute("update attempt set lease_until = lease_until - 3600000000", []).expect("moved");
    assert_eq!((moved, world.store.attempt_leases_held().await.expect("a count")), (50, 0));
    let mut context = world.context.clone();
    context.holder = "after the restart".into();
    let restarted = Reaper::new(context);
    let lease = world.store.loop_lease_take("reap", "test", ms(60_000)).await.expect("a lease").expect("ours");
    let round = restarted.round(&lease).await.expect("a round");
    assert_eq!((round.seen, round.failed), (50, 0));
    for attempt in &attempts {
        let found = world.attempt(attempt.run).await;
        assert_eq!((found.state, found.unreachable_since, found.fenced_at), (AttemptState::Running, None, None));
        assert_eq!(world.complete(attempt, succeeded()).await, Directive::Continue);
        assert_eq!(world.run(attempt.run).await.state, RunState::Succeeded);
    }
}

#[tokio::test]
async fn f22_a_jump_of_a_clock_gives_every_lease_a_fresh_window() {
    let ms = Duration::from_millis;
    let bounds = Bounds { offline_grace: ms(200), clock_gap: ms(100), lease: ms(60_000), ..bounds() };
    let world = World::new(Database::sqlite(), bounds).await;
    let (run, attempt) = world.running().await;
    // What a jump of the database's clock by an hour does to this lease.
    let Database::Sqlite(directory) = &world.database else { panic!("SQLite") };
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    file.busy_timeout(Duration::from_secs(5)).expect("patience");
    let moved = file.execute("update attempt set lease_until = lease_until - 3600000000", []).expect("moved");
    assert_eq!(moved, 1);
    assert!(world.attempt(run.id).await.lease_until < world.store.clock().await.expect("the clock"));
    // A reaper that has not seen the clocks side by side can't trust the lease.
    let lease = world.store.loop_lease_take("reap", "test", ms(60_000)).await.expect("a lease").expect("ours");
    Reaper::new(world.context.clone()).round(&lease).await.expect("a round");
    let found = world.attempt(run.id).await;
    assert!(found.lease_until > world.store.clock().await.expect("the clock"));
    assert_eq!((found.state, found.unreachable_since), (attempt.state, None));
}

#[tokio::test]
async fn f46_a_worker_that_exits_without_a_report_is_lost_at_once() {
    let world = World::with_worker(Database::sqlite(), bounds(), "exit 0").await;
    let (run, attempt) = world.running().await;
    until("the task has ended", async || matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. })).await;
    world.reap().await;
    assert_eq!(world.run(run.id).await.state, RunState::Queued, "its lease has most of a minute to go");
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Lost]);
    assert!(world.attempt(run.id).await.task_over);
}

#[tokio::test]
async fn f46_a_worker_that_hangs_after_its_final_report_is_stopped() {
    let bounds = Bounds { final_grace: Duration::from_millis(200), ..bounds() };
    let world = World::with_worker(Database::sqlite(), bounds, "trap '' TERM; while :; do sleep 1; done").await;
    let (run, attempt) = world.running().await;
    world.until_begun(attempt.id).await;
    assert_eq!(world.complete(&attempt, succeeded()).await, Directive::Continue);
    world.reap().await;
    assert_eq!(world.task_status(&attempt).await, TaskStatus::Running, "it may take a moment to leave");
    until("it is stopped by force", async || {
        world.reap().await;
        world.attempt(run.id).await.task_over
    })
    .await;
    assert!(matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. }));
    assert!(world.codes(run.id).await.contains(&"stop_sent".to_owned()));
    assert_eq!(world.run(run.id).await.state, RunState::Succeeded);
}

#[tokio::test]
async fn a_worker_that_ignores_a_cancel_is_stopped_and_the_run_is_canceled() {
    let bounds = Bounds { cancel_grace: Duration::from_millis(200), ..bounds() };
    let world = World::new(Database::sqlite(), bounds).await;
    let (run, attempt) = world.running().await;
    world.runs.cancel(&world.caller(), run.id).await.expect("asked");
    reap_until(&world, run.id, RunState::Canceled).await;
    assert!(matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. }));
    assert_eq!(world.attempt_states(run.id).await, [AttemptState::Lost]);
    assert!(matches!(world.attempts.assignment(&peer(&attempt)).await, Err(AttemptError::Fenced)));
}

#[tokio::test]
async fn every_run_ends_at_its_time_limit() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let Database::Sqlite(directory) = &world.database else { panic!("SQLite") };
    let (run, _) = world.running().await;
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    file.busy_timeout(Duration::from_secs(5)).expect("patience");
    file.execute("update run set time_limit_us = 1", []).expect("shortened");
    reap_until(&world, run.id, RunState::Failed).await;
    assert_eq!(world.run(run.id).await.failure, Some(waybill_model::FailureCode::RunTimeout));
}

#[tokio::test]
async fn f14_a_former_leaders_writes_fail() {
    for database in [Database::sqlite(), Database::postgres()] {
        let world = World::with_worker(database, bounds(), "exit 0").await;
        let (run, attempt) = world.running().await;
        until("the task has ended", async || matches!(world.task_status(&attempt).await, TaskStatus::Stopped { .. }))
            .await;
        let store = &world.store;
        let old = store.loop_lease_take("reap", "test", Duration::from_secs(60)).await.expect("a lease").expect("ours");
        assert_eq!(store.loop_lease_take("reap", "other", Duration::from_secs(60)).await.expect("asked"), None);
        // It stood still for so long that another took over.
        store.loop_lease_release(&old).await.expect("ran out");
        let new = store.loop_lease_take("reap", "other", Duration::from_secs(60)).await.expect("asked").expect("taken");
        assert_eq!(new.epoch, old.epoch + 1);
        let stale = world.reaper.round(&old).await;
        assert!(matches!(stale, Err(StoreError::StaleLeader { name: "reap" })), "{stale:?}");
        assert_eq!(world.run(run.id).await.state, RunState::Running, "it changed nothing");
        world.reaper.round(&new).await.expect("the leader's round");
        assert_eq!(world.run(run.id).await.state, RunState::Queued);
    }
}

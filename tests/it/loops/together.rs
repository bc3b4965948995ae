//! Several orchestrators, several organizations, and databases that fail: nothing twice, nothing lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waybill_model::report::Directive;
use waybill_model::run::{AttemptState, RunKind, RunState};
use waybill_model::{PipelineId, RunId};
use waybill_orchestrator::loops::{self, AllLoopStats, dispatch::Dispatcher};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_orchestrator::service::run::{Caller, RunError, Trigger};
use waybill_store::{NewPipeline, RunFilter, Store, StoreError, StoreOptions};

use super::fixture::{Database, LaunchFault, World, bounds, claim, failed, peer, plan, report, seed, succeeded, until};

const MANUAL: fn() -> Trigger =
    || Trigger::Manual { kind: RunKind::Sync, streams: vec![], errands: BTreeMap::new(), rows: None };

async fn pipelines(world: &World, count: usize) -> Vec<PipelineId> {
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    let mut ids = vec![];
    for n in 0..count {
        let new = NewPipeline {
            org: world.org,
            project: world.project,
            id: PipelineId::generate(),
            name: format!("p{n}"),
            data_plane: world.plane,
            plan: serde_json::to_string(&plan("p")).expect("a plan"),
            source: None,
            digest: "d".into(),
            created_by: "user:test".into(),
        };
        Store::pipeline_insert_in_txn(&mut tx, &new).await.expect("a pipeline");
        ids.push(new.id);
    }
    tx.commit().await.expect("committed");
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_dispatchers_at_once_give_every_run_one_attempt() {
    for database in [Database::sqlite(), Database::postgres()] {
        let world = World::new(database, bounds()).await;
        let mut runs = vec![];
        for pipeline in pipelines(&world, 12).await {
            runs.push(world.runs.trigger(&world.caller(), pipeline, MANUAL()).await.expect("a run").id);
        }
        let mut dispatchers = JoinSet::new();
        for n in 0..8 {
            let mut context = world.context.clone();
            context.holder = Arc::from(format!("orchestrator {n}"));
            dispatchers.spawn(async move {
                let dispatcher = Dispatcher::new(context);
                let round = dispatcher.round().await.expect("a round");
                dispatcher.finish().await;
                round.failed
            });
        }
        while let Some(failed) = dispatchers.join_next().await {
            assert_eq!(failed.expect("a dispatcher"), 0);
        }
        for run in runs {
            assert_eq!(world.attempt_states(run).await, [AttemptState::Launching]);
            let attempt = world.attempt(run).await;
            world.until_begun(attempt.id).await;
            assert_eq!(world.begun(attempt.id), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn f13_two_orchestrators_on_one_postgres_launch_nothing_twice() {
    let world = World::new(Database::postgres(), bounds()).await;
    // The reaper of the fixture steps down.
    world.store.loop_lease_take("reap", "test", Duration::from_micros(1)).await.expect("a lease").expect("ours");
    let stop = CancellationToken::new();
    let mut orchestrators = JoinSet::new();
    let mut stats = vec![];
    for name in ["first", "second"] {
        let store = Store::open_with(&world.database.url(), &StoreOptions::default()).await.expect("a store");
        let bounds = Bounds {
            dispatch_every: Duration::from_millis(20),
            reconcile_every: Duration::from_millis(20),
            schedule_every: Duration::from_millis(20),
            ..world.context.bounds.as_ref().clone()
        };
        let context = loops::Context { store, bounds: Arc::new(bounds), holder: name.into(), ..world.context.clone() };
        let counts = AllLoopStats::default();
        stats.push(counts.clone());
        orchestrators.spawn(loops::run(context, counts, stop.clone()));
    }
    let mut runs = vec![];
    for pipeline in pipelines(&world, 20).await {
        runs.push(world.runs.trigger(&world.caller(), pipeline, MANUAL()).await.expect("a run").id);
    }
    for run in runs {
        until("the attempt is launched", async || {
            let attempts = world.store.attempt_list(world.org, run).await.expect("attempts");
            attempts.len() == 1 && attempts[0].task.is_some()
        })
        .await;
        let attempt = world.attempt(run).await;
        world.until_begun(attempt.id).await;
        assert_eq!((world.begun(attempt.id), attempt.number), (1, 1));
        world.enrol(&attempt).await;
        assert_eq!(world.complete(&attempt, succeeded()).await, Directive::Continue);
    }
    until("one of them leads", async || stats.iter().any(|s| s.reap.read().leads)).await;
    let leads: Vec<_> = stats.iter().map(|s| s.reap.read().leads).collect();
    assert_eq!(leads.iter().filter(|leads| **leads).count(), 1, "one of them leads: {leads:?}");
    assert!(stats.iter().all(|s| s.dispatch.read().rounds > 0 && s.dispatch.read().failed_rounds == 0));
    stop.cancel();
    while orchestrators.join_next().await.is_some() {}
    // Given back, so nobody waits for its end.
    let free = world.store.loop_lease_take("reap", "third", Duration::from_secs(1)).await.expect("asked");
    assert!(free.is_some());
}

/// Workers, users and the reaper at once; then every history must be one that the model allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_happens_at_once_every_run_ends_once_and_epochs_rise() {
    for database in [Database::sqlite(), Database::postgres()] {
        let world = World::new(database, bounds()).await;
        let pipelines = pipelines(&world, 10).await;
        let actors = pipelines.into_iter().enumerate().map(async |(n, pipeline)| {
            let run = world.runs.trigger(&world.caller(), pipeline, MANUAL()).await.expect("a run");
            drive(&world, run.id, n).await;
            run.id
        });
        let ended = futures::future::join_all(actors).await;
        for run in ended {
            let found = world.run(run).await;
            assert!(found.state.is_final(), "{found:?}");
            let attempts = world.store.attempt_list(world.org, run).await.expect("attempts");
            assert!(attempts.iter().all(|a| a.state.is_final()));
            assert!(attempts.is_sorted_by(|a, b| a.epoch < b.epoch && a.number + 1 == b.number));
            let successes = attempts.iter().filter(|a| a.state == AttemptState::Succeeded).count();
            assert_eq!(successes, usize::from(found.state == RunState::Succeeded));
            let ends = world.codes(run).await.iter().filter(|code| *code == "ended").count();
            assert_eq!(ends, 1, "one end in the timeline");
        }
        world.store.audit_verify(world.org).await.expect("a walk").expect("a whole chain");
    }
}

/// One worker with its user: reports from two connections at once, a failure, sometimes a cancel in between.
async fn drive(world: &World, run: RunId, n: usize) {
    for round in 0.. {
        until("the run has an attempt or has ended", async || {
            world.dispatch().await;
            let state = world.run(run).await.state;
            state == RunState::Launching || state.is_final()
        })
        .await;
        if world.run(run).await.state.is_final() {
            return;
        }
        let attempt = world.attempt(run).await;
        if world.attempts.enrol(&claim(&attempt), [7; 32]).await.is_err() {
            continue;
        }
        let (who, peer) = (world.caller(), peer(&attempt));
        let cancel = async { if n.is_multiple_of(3) { world.runs.cancel(&who, run).await.is_ok() } else { false } };
        let done = if round == 0 { failed(waybill_model::FailureCode::SourceFailed) } else { succeeded() };
        let _ = tokio::join!(
            world.attempts.report(&peer, report(&attempt, 1, 10)),
            world.attempts.report(&peer, report(&attempt, 2, 20)),
            world.attempts.complete(&peer, attempt.epoch, done),
            cancel,
            world.reap(),
        );
    }
}

#[tokio::test]
async fn f42_a_locked_database_makes_writers_wait_and_then_says_so() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let Database::Sqlite(directory) = &world.database else { panic!("SQLite") };
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    let options = StoreOptions { patience: Duration::from_millis(200), ..StoreOptions::default() };
    let hasty = Store::open_with(&world.database.url(), &options).await.expect("a store");
    file.execute_batch("begin immediate").expect("locked");
    let error = hasty.write_tx_of_all().await.err().expect("locked");
    assert!(error.is_unavailable(), "{error:?}");
    // Readers do not wait, and a patient writer gets its turn.
    assert_eq!(world.runs.list(world.org, &RunFilter::default(), 10).await.expect("a list").len(), 0);
    let (unlock, run) = tokio::join!(
        async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            file.execute_batch("commit")
        },
        world.trigger()
    );
    unlock.expect("unlocked");
    assert_eq!(world.run(run.id).await.state, RunState::Queued);
}

/// A world of more queued runs than a round takes, and launches that end so.
async fn queue(launches: LaunchFault) -> World {
    let patient = Bounds { dispatch_every: Duration::from_secs(600), live_per_organization: 1_000, ..bounds() };
    let world = World::new(Database::sqlite(), patient).await;
    *world.launcher.fault.lock().expect("the fault") = launches;
    for pipeline in pipelines(&world, 250).await {
        world.runs.trigger(&world.caller(), pipeline, MANUAL()).await.expect("a run");
    }
    world
}

async fn queued(world: &World) -> u64 {
    let states = world.store.run_count_by_state().await.expect("counts");
    states.into_iter().filter(|(state, _)| *state == RunState::Queued).map(|(_, runs)| runs).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_round_that_took_all_it_may_is_followed_by_another_at_once() {
    let world = queue(LaunchFault::Busy).await;
    let (stop, stats) = (CancellationToken::new(), AllLoopStats::default());
    let counts = Arc::clone(&stats.dispatch);
    let orchestrator = tokio::spawn(loops::run(world.context.clone(), stats, stop.clone()));
    until("no run is queued", async || queued(&world).await == 0).await;
    stop.cancel();
    orchestrator.await.expect("the loops");
    assert_eq!(counts.read().rounds, 3, "and none after the last one, which was not full");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_runs_are_taken_than_can_be_launched() {
    let world = queue(LaunchFault::DiesBefore).await;
    world.dispatcher.round().await.expect("a round");
    assert_eq!(queued(&world).await, 150);
    assert!(world.dispatcher.more().now_or_never().is_none(), "their calls are under way");
}

#[tokio::test]
async fn f42_a_database_that_drops_its_connections_loses_no_transition() {
    let world = World::new(Database::postgres(), bounds()).await;
    let Database::Postgres(server) = &world.database else { panic!("Postgres") };
    let admin = server.client().await;
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()
               and backend_type = 'client backend'";
    let (mut begun, mut refused) = (0, 0);
    for pipeline in pipelines(&world, 30).await {
        let caller = world.caller();
        let (cut, answer) = tokio::join!(admin.query(cut, &[]), world.runs.trigger(&caller, pipeline, MANUAL()));
        cut.expect("cut");
        match answer {
            Ok(_) => begun += 1,
            Err(RunError::Store(error)) => {
                assert!(error.is_unavailable(), "{error:?}");
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    let found = until_answered(&world).await;
    // An answer may get lost after the commit, but what was answered is there, and nothing is there by half.
    assert!(
        (begun..=begun + refused).contains(&found.len()),
        "{begun} begun, {refused} refused, {} found",
        found.len()
    );
    for run in &found {
        assert_eq!(world.codes(*run).await, ["queued"]);
    }
    world.store.audit_verify(world.org).await.expect("a walk").expect("a whole chain");
    drop(admin);
}

async fn until_answered(world: &World) -> Vec<RunId> {
    let mut found = vec![];
    until("the database answers again", async || {
        match world.store.run_list(world.org, &RunFilter::default(), 100).await {
            Ok(runs) => {
                found = runs.iter().map(|run| run.id).collect();
                true
            }
            Err(error) => {
                assert!(error.is_unavailable(), "{error:?}");
                false
            }
        }
    })
    .await;
    found
}

#[tokio::test]
async fn f42_a_database_that_is_away_is_unavailable_and_not_a_defect() {
    let server = waybill_tests::services::postgres::Postgres::start();
    let options = StoreOptions { patience: Duration::from_millis(500), ..StoreOptions::default() };
    let store = Store::open_with(&server.url(), &options).await.expect("a store");
    store.ready().await.expect("ready");
    drop(server);
    for _ in 0..3 {
        let error = store.ready().await.expect_err("away");
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test]
async fn f52_a_flood_of_one_organization_does_not_hold_up_another() {
    let small = Bounds { live_per_organization: 3, ..bounds() };
    let world = World::new(Database::sqlite(), small).await;
    for pipeline in pipelines(&world, 30).await {
        world.runs.trigger(&world.caller(), pipeline, MANUAL()).await.expect("a run");
    }
    let (org, _, _, pipeline) = seed(&world.store, "quiet").await;
    let quiet = Caller { org, actor: "user:other".into(), ip: None };
    let run = world.runs.trigger(&quiet, pipeline, MANUAL()).await.expect("a run");
    world.dispatch().await;
    let found = world.store.run_get(org, run.id).await.expect("a read").expect("the run");
    assert_eq!(found.state, RunState::Launching);
    let live = RunFilter { state: Some(RunState::Launching), ..RunFilter::default() };
    assert_eq!(world.store.run_list(world.org, &live, 100).await.expect("runs").len(), 3, "its own cap");
}

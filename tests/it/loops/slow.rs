//! A cloud that never answers: what runs elsewhere is looked after all the same, and the leader stays leader.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use waybill_launcher::{LaunchError, LaunchRequest, Launcher, TaskRef, TaskStatus};
use waybill_model::run::{AttemptState, RunState};
use waybill_model::{AttemptId, DataPlaneId, PipelineId, RunId};
use waybill_orchestrator::loops::dispatch::Dispatcher;
use waybill_orchestrator::loops::reap::Reaper;
use waybill_orchestrator::loops::{AllLoopStats, Launchers};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_orchestrator::service::run::Trigger;
use waybill_store::{LoopLease, Store};

use super::fixture::{Database, Faulty, World, bounds, pipeline_on, until};

/// A launcher one of whose calls is never answered; it counts them.
struct Slow {
    inner: Arc<Faulty>,
    hangs: Mutex<&'static str>,
    met: AtomicUsize,
}

impl Slow {
    async fn answered(&self, call: &'static str) {
        if *self.hangs.lock().expect("the fault") == call {
            self.met.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
    }

    fn met(&self) -> usize {
        self.met.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Launcher for Slow {
    async fn start(&self, request: &LaunchRequest) -> Result<TaskRef, LaunchError> {
        self.inner.start(request).await
    }

    async fn describe(&self, task: &TaskRef) -> Result<TaskStatus, LaunchError> {
        self.answered("describe").await;
        self.inner.describe(task).await
    }

    async fn stop(&self, task: &TaskRef) -> Result<(), LaunchError> {
        self.answered("stop").await;
        self.inner.stop(task).await
    }

    async fn find(&self, attempt: AttemptId) -> Result<Option<TaskRef>, LaunchError> {
        self.answered("find").await;
        self.inner.find(attempt).await
    }
}

/// A world with a second data plane, whose launcher never answers `hangs`, and a running attempt on each.
struct Both {
    world: World,
    slow: Arc<Slow>,
    on_slow: RunId,
    elsewhere: RunId,
}

impl Both {
    async fn running(bounds: Bounds, hangs: &'static str, script: &str) -> Self {
        let mut world = World::with_worker(Database::sqlite(), bounds, script).await;
        let slow = Slow { inner: Arc::clone(&world.launcher), hangs: Mutex::new(""), met: AtomicUsize::new(0) };
        let slow = Arc::new(slow);
        let (plane, pipeline) = (DataPlaneId::generate(), PipelineId::generate());
        let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
        let settings = ("slow", r#"{"environment":["PATH"]}"#);
        Store::data_plane_insert_in_txn(&mut tx, world.org, plane, "far", settings).await.expect("a data plane");
        pipeline_on(&mut tx, (world.org, world.project, plane, pipeline), "far").await;
        tx.commit().await.expect("committed");
        let launchers = Launchers::default().with("process", Arc::clone(&world.launcher) as Arc<dyn Launcher>);
        world.context.launchers = Arc::new(launchers.with("slow", Arc::clone(&slow) as Arc<dyn Launcher>));
        world.dispatcher = Dispatcher::new(world.context.clone());
        world.reaper = Reaper::new(world.context.clone());
        world.reap().await;
        let trigger = Trigger::Manual {
            kind: waybill_model::run::RunKind::Sync,
            streams: vec![],
            errands: BTreeMap::new(),
            rows: None,
        };
        let far = world.runs.trigger(&world.caller(), pipeline, trigger).await.expect("a run");
        let near = world.trigger().await;
        world.dispatch().await;
        for run in [far.id, near.id] {
            let attempt = world.attempt(run).await;
            world.until_begun(attempt.id).await;
            world.enrol(&attempt).await;
        }
        *slow.hangs.lock().expect("the fault") = hangs;
        Self { world, slow, on_slow: far.id, elsewhere: near.id }
    }

    async fn lease(&self) -> LoopLease {
        let lease = self.world.store.loop_lease_take("reap", "test", Duration::from_secs(60)).await;
        lease.expect("a lease").expect("ours")
    }

    async fn ended_elsewhere(&self) -> bool {
        self.world.attempt_states(self.elsewhere).await == [AttemptState::Lost]
    }
}

#[tokio::test]
async fn a_cloud_that_never_answers_a_look_keeps_no_other_planes_attempt_from_being_ended() {
    let patient = Bounds { look: Duration::from_secs(600), ..bounds() };
    let both = Both::running(patient, "describe", "exit 0").await;
    let lease = both.lease().await;
    let near = both.world.attempt(both.elsewhere).await;
    until("the task has ended", async || matches!(both.world.task_status(&near).await, TaskStatus::Stopped { .. }))
        .await;
    tokio::select! {
        round = both.world.reaper.round(&lease) => panic!("the look is never answered: {round:?}"),
        () = until("the other attempt is lost", async || both.ended_elsewhere().await) => {}
    }
    assert_eq!(both.slow.met(), 1, "the fault fired");
    assert_eq!(both.world.run(both.elsewhere).await.state, RunState::Queued);
    assert_eq!(both.world.attempt_states(both.on_slow).await, [AttemptState::Running]);
}

#[tokio::test]
async fn a_look_ends_at_its_bound_and_says_nothing_about_the_tasks() {
    let brief = Bounds { look: Duration::from_millis(100), ..bounds() };
    let both = Both::running(brief, "describe", "exit 0").await;
    let lease = both.lease().await;
    until("a round ends and has found the other one's end", async || {
        both.world.reaper.round(&lease).await.expect("a round");
        both.ended_elsewhere().await
    })
    .await;
    assert!(both.slow.met() > 0, "the fault fired");
    assert_eq!(both.world.attempt_states(both.on_slow).await, [AttemptState::Running], "its lease is good");
    *both.slow.hangs.lock().expect("the fault") = "";
    both.world.reaper.round(&lease).await.expect("a round");
    assert_eq!(both.world.attempt_states(both.on_slow).await, [AttemptState::Lost], "once it answers, it is believed");
}

#[tokio::test]
async fn a_cloud_that_never_takes_a_stop_keeps_no_other_planes_task_from_being_stopped() {
    let ms = Duration::from_millis;
    let brief = Bounds { cancel_grace: ms(50), look: ms(200), ..bounds() };
    let both = Both::running(brief, "stop", super::fixture::STAYS).await;
    let lease = both.lease().await;
    for run in [both.on_slow, both.elsewhere] {
        both.world.runs.cancel(&both.world.caller(), run).await.expect("asked");
    }
    until("the other run is canceled", async || {
        both.world.reaper.round(&lease).await.expect("a round");
        both.world.run(both.elsewhere).await.state == RunState::Canceled
    })
    .await;
    until("the stop was asked for in vain", async || {
        both.world.reaper.round(&lease).await.expect("a round");
        both.slow.met() > 0
    })
    .await;
    assert_eq!(both.world.attempt_states(both.on_slow).await, [AttemptState::Running], "nobody confirmed its end");
}

/// A task whose reference was never recorded, on a cloud that can't be asked: it is not taken for gone.
#[tokio::test]
async fn an_attempt_whose_task_nobody_can_look_for_is_not_taken_for_over() {
    let ms = Duration::from_millis;
    let brief = Bounds { look: ms(100), launch_claim: ms(50), final_grace: ms(50), ..bounds() };
    let both = Both::running(brief, "find", super::fixture::STAYS).await;
    let Database::Sqlite(directory) = &both.world.database else { panic!("SQLite") };
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    file.busy_timeout(Duration::from_secs(5)).expect("patience");
    let forgotten = "update attempt set task_ref = null, launch_until = 0 where run_id = ?1";
    assert_eq!(file.execute(forgotten, [both.on_slow.to_string()]).expect("forgotten"), 1);
    let attempt = both.world.attempt(both.on_slow).await;
    both.world.complete(&attempt, super::fixture::succeeded()).await;
    let lease = both.lease().await;
    both.world.reaper.round(&lease).await.expect("a round");
    both.world.reaper.round(&lease).await.expect("a round");
    assert!(both.slow.met() > 0, "the fault fired");
    assert!(!both.world.attempt(both.on_slow).await.task_over, "it may still run");
    *both.slow.hangs.lock().expect("the fault") = "";
    until("it is found and stopped", async || {
        both.world.reaper.round(&lease).await.expect("a round");
        both.world.attempt(both.on_slow).await.task_over
    })
    .await;
    assert!(matches!(both.world.task_status(&attempt).await, TaskStatus::Stopped { .. }));
}

#[tokio::test]
async fn a_leader_whose_round_takes_long_stays_leader() {
    let ms = Duration::from_millis;
    let patient = Bounds { look: Duration::from_secs(600), leader_lease: ms(400), reconcile_every: ms(50), ..bounds() };
    let both = Both::running(patient, "describe", super::fixture::STAYS).await;
    // The lease that the story itself used.
    both.world.store.loop_lease_release(&both.lease().await).await.expect("given back");
    let stop = tokio_util::sync::CancellationToken::new();
    let stats = AllLoopStats::default();
    let loops = tokio::spawn(waybill_orchestrator::loops::run(both.world.context.clone(), stats, stop.clone()));
    until("a round waits for the slow cloud", async || both.slow.met() > 0).await;
    let began = std::time::Instant::now();
    until("its lease would have run out three times", async || {
        let other = both.world.store.loop_lease_take("reap", "other", ms(400)).await.expect("asked");
        assert_eq!(other, None, "another took over from a leader that lives");
        began.elapsed() > ms(1_200)
    })
    .await;
    assert_eq!(both.slow.met(), 1, "it was one round all the time");
    loops.abort();
    assert!(loops.await.expect_err("ended").is_cancelled());
}

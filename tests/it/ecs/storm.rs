//! Many launches while the cloud throttles, loses answers, hides and forgets tasks, and orchestrators die. `LAUNCHES` and
//! `SEED` choose how many and which; both are printed, so that a storm can be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use waybill_model::run::RunKind;
use waybill_model::run::RunState;
use waybill_model::{AttemptId, DataPlaneId, Epoch, OrgId, PipelineId, RunId};
use waybill_orchestrator::loops::{self, AllLoopStats, Context, LoopStats};
use waybill_orchestrator::service::attempt::{AttemptService, CommitAnswer, EnrolError, Peer, TicketClaim};
use waybill_orchestrator::service::bounds::Bounds;
use waybill_orchestrator::service::run::Trigger;
use waybill_tests::aws::{Aws, Chaos, Fault, Program, Seat};

use super::fixture::{granted, world};
use crate::loops::fixture::{World, pipeline_on, succeeded};

mod watch;

use watch::Watch;

/// Of a thousand calls, how many meet a fault.
const FAULTS: u32 = 150;
/// Of a thousand workers, how many die without a word, and how many hang until they are fenced.
const DIE: u32 = 40;
const HANG: u32 = 40;
/// One of so many workers hangs until it is stopped.
const DEAF: usize = 25;
/// One of so many workers that reported their end does not leave until it is stopped.
const LINGER: usize = 5;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn bounds() -> Bounds {
    Bounds {
        lease: Duration::from_secs(2),
        heartbeat: Duration::from_millis(500),
        grant: Duration::from_secs(1),
        offline_grace: Duration::from_secs(3),
        start_timeout: Duration::from_secs(12),
        cancel_grace: Duration::from_millis(500),
        final_grace: Duration::from_millis(500),
        stop_confirm: Duration::from_secs(3),
        launch_claim: Duration::from_millis(700),
        leader_lease: Duration::from_secs(2),
        dispatch_every: Duration::from_millis(50),
        reconcile_every: Duration::from_millis(200),
        attempts: 20,
        poison_runs: 1_000,
        ..super::fixture::bounds()
    }
}

/// Workers of the storm: who committed for which attempt.
struct Workers {
    org: OrgId,
    attempts: AttemptService,
    random: Mutex<StdRng>,
    committed: Mutex<BTreeMap<AttemptId, BTreeSet<String>>>,
    /// How many enrolled.
    enrolled: AtomicUsize,
    /// How many reported their end.
    complete: AtomicUsize,
}

impl Workers {
    fn draw(&self, below: u32) -> u32 {
        self.random.lock().expect("the random source").random_range(0..below)
    }

    /// What a worker does: enrol, commit both streams with leave, report. Whatever is fenced leaves with 75.
    async fn work(&self, seat: &Seat) -> i32 {
        let Some((attempt, epoch)) = seat.variable("WAYBILL_TICKET").and_then(|ticket| ticket.split_once(' ')) else {
            return 2;
        };
        let attempt: AttemptId = attempt.parse().expect("an attempt");
        let epoch = Epoch(epoch.parse().expect("an epoch"));
        let claim = TicketClaim { org: self.org, attempt, epoch };
        let mut key = [0; 32];
        self.random.lock().expect("the random source").fill(&mut key);
        loop {
            match self.attempts.enrol(&claim, key).await {
                Ok(_) => break,
                Err(EnrolError::Store(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(_) => return 75,
            }
        }
        let peer = Peer { org: self.org, attempt };
        if self.enrolled.fetch_add(1, Ordering::Relaxed) % DEAF == DEAF / 2 {
            return std::future::pending().await;
        }
        match self.draw(1_000) {
            fate if fate < DIE => return 137,
            fate if fate < DIE + HANG => return self.hang(&peer).await,
            _ => {}
        }
        for stream in 0..2 {
            match self.attempts.prepare_commit(&peer, epoch, stream, [7; 32]).await {
                Ok(CommitAnswer::Granted) => {
                    let mut committed = self.committed.lock().expect("the commits");
                    committed.entry(attempt).or_default().insert(seat.arn.clone());
                }
                _ => return 75,
            }
        }
        match self.attempts.complete(&peer, epoch, succeeded()).await {
            // Its attempt is over, and it would outlive it for ever.
            Ok(_) if self.complete.fetch_add(1, Ordering::Relaxed) % LINGER == LINGER / 2 => {
                std::future::pending().await
            }
            Ok(_) => 0,
            Err(_) => 75,
        }
    }

    /// It says nothing more, and leaves when it learns that it is fenced, as a worker does by its next report.
    async fn hang(&self, peer: &Peer) -> i32 {
        while self.attempts.may_renew(peer).await.unwrap_or(true) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        75
    }
}

/// One orchestrator: its loops until it is dropped, without any farewell.
struct Orchestrator(tokio::task::JoinHandle<()>);

impl Orchestrator {
    fn start((context, reaped): (&Context, &Arc<LoopStats>), number: usize) -> Self {
        let mut context = context.clone();
        context.holder = Arc::from(format!("orchestrator {number}"));
        let stats = AllLoopStats { reap: Arc::clone(reaped), ..AllLoopStats::default() };
        Self(tokio::spawn(loops::run(context, stats, CancellationToken::new())))
    }
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) async fn runs(world: &World, numbers: Range<u64>) -> Vec<RunId> {
    let mut pipelines = Vec::new();
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    for n in numbers {
        let pipeline = PipelineId::generate();
        let ids: (_, _, DataPlaneId, _) = (world.org, world.project, world.plane, pipeline);
        pipeline_on(&mut tx, ids, &format!("p{n}")).await;
        pipelines.push(pipeline);
    }
    tx.commit().await.expect("committed");
    let mut runs = Vec::new();
    for pipeline in pipelines {
        let trigger = Trigger::Manual { kind: RunKind::Sync, streams: vec![], errands: BTreeMap::new(), rows: None };
        runs.push(world.runs.trigger(&world.caller(), pipeline, trigger).await.expect("a run").id);
    }
    runs
}

/// Waits for every run's end while orchestrators die and are replaced. How many died.
async fn weather(world: &World, runs: &[RunId], seed: u64, reaped: &Arc<LoopStats>) -> usize {
    let (mut random, mut deaths, of) = (StdRng::seed_from_u64(seed ^ 0x5eed), 0, (&world.context, reaped));
    let mut orchestrators = [Orchestrator::start(of, 0), Orchestrator::start(of, 1)];
    let deadline = Instant::now() + Duration::from_secs(120 + runs.len() as u64 * 2);
    let mut open: Vec<RunId> = runs.to_vec();
    while !open.is_empty() {
        assert!(Instant::now() < deadline, "{} runs did not end", open.len());
        // Most die before a grace is over; some must outlive one, or nothing is ever fenced.
        let life = if random.random_ratio(1, 4) { 7_000..8_000 } else { 200..900 };
        tokio::time::sleep(Duration::from_millis(random.random_range(life))).await;
        let victim = random.random_range(0..orchestrators.len());
        orchestrators[victim] = Orchestrator::start(of, deaths + 2);
        deaths += 1;
        let mut still = Vec::new();
        for run in open {
            if !world.run(run).await.state.is_final() {
                still.push(run);
            }
        }
        open = still;
    }
    deaths
}

/// The tasks that the database names. One whose start was not answered, and that the cloud then hides for good, is named by
/// nobody: it can't be asked to end.
async fn named(world: &World, runs: &[RunId]) -> String {
    let mut named = String::new();
    for run in runs {
        let attempts = world.store.attempt_list(world.org, *run).await.expect("attempts");
        attempts.into_iter().filter_map(|attempt| attempt.task).for_each(|task| named += &task);
    }
    named
}

/// Waits until no task is left; of those that the cloud shows no more, the ones in `unseen` count.
async fn none_left(aws: &Aws, unseen: &str) {
    let settled = Instant::now();
    loop {
        let left =
            aws.tasks().into_iter().filter(|task| !task.is_over() && (!task.vanished || unseen.contains(&task.arn)));
        let left: Vec<_> = left.map(|task| (task.arn, task.vanished)).collect();
        if left.is_empty() {
            return;
        }
        assert!(settled.elapsed() < Duration::from_secs(10), "tasks outlive their attempts: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What every storm meets once at least, whatever its seed.
const MET_AT_LEAST: &[(&str, Fault)] = &[
    ("RunTask", Fault::Throttle),
    ("RunTask", Fault::LostAnswer),
    ("RunTask", Fault::Hidden(3)),
    ("DescribeTasks", Fault::Vanish),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storm_every_run_ends_no_task_outlives_its_attempt_and_no_attempt_commits_from_two_tasks() {
    let (launches, seed) = (number("LAUNCHES", 30), number("SEED", 20_260_921));
    println!("storm: launches={launches} seed={seed}");
    let aws = Arc::new(granted().await);
    let world = world(&aws, bounds()).await;
    let workers = Arc::new(Workers {
        org: world.org,
        attempts: world.attempts.clone(),
        random: Mutex::new(StdRng::seed_from_u64(seed)),
        committed: Mutex::default(),
        enrolled: AtomicUsize::default(),
        complete: AtomicUsize::default(),
    });
    aws.run_as(Program::Seat(Arc::new({
        let workers = Arc::clone(&workers);
        move |seat: Seat| {
            let workers = Arc::clone(&workers);
            tokio::spawn(async move {
                let code = tokio::select! {
                    code = workers.work(&seat) => code,
                    () = seat.stopped.notified() => 143,
                };
                seat.leave(code);
            });
        }
    })));
    let runs = runs(&world, 0..launches).await;
    // Chance alone may leave a kind out of a small storm.
    for (action, fault) in MET_AT_LEAST {
        aws.fault(action, fault.clone(), 1);
    }
    aws.chaos(Some(Chaos::new(seed, FAULTS)));
    let (reaped, stop) = (Arc::new(LoopStats::default()), CancellationToken::new());
    let (store, grace) = (world.store.clone(), bounds().final_grace);
    let watch = Watch { aws: Arc::clone(&aws), store, org: world.org, grace, reaped: Arc::clone(&reaped) };
    let watch = tokio::spawn(watch.until(stop.clone()));
    let deaths = weather(&world, &runs, seed, &reaped).await;
    stop.cancel();
    let watched = watch.await.expect("the watch");
    println!("storm: watched={watched:?}");
    aws.chaos(None);
    // The last orchestrators are gone; one reconcile after the grace of a final report settles what is left.
    tokio::time::sleep(bounds().final_grace + bounds().leader_lease).await;
    world.reap().await;
    none_left(&aws, "").await;
    // A task that the cloud shows no more is believed gone at the second look, and stopped all the same at the third.
    world.reap().await;
    world.reap().await;
    none_left(&aws, &named(&world, &runs).await).await;
    let mut ends = BTreeMap::<String, usize>::new();
    for run in &runs {
        let run = world.run(*run).await;
        let failure = run.failure.map_or_else(String::new, |failure| format!(" {failure}"));
        *ends.entry(format!("{}{failure}", run.state)).or_default() += 1;
    }
    let committed = workers.committed.lock().expect("the commits").clone();
    let twice: Vec<_> = committed.iter().filter(|(_, tasks)| tasks.len() > 1).collect();
    assert!(twice.is_empty(), "attempts with two tasks that commit: {twice:?}");
    let fired = aws.fired_by_kind();
    println!("storm: ends={ends:?} tasks={} orchestrator deaths={deaths} faults={fired:?}", aws.tasks().len());
    for (_, fault) in MET_AT_LEAST {
        assert!(fired.get(fault.kind()).is_some_and(|times| *times > 0), "{} was not met: {fired:?}", fault.kind());
    }
    assert!(deaths > 0, "no orchestrator died");
    assert!(watched.passed_by.is_empty(), "a reconcile passed by tasks whose attempts were over: {watched:?}");
    assert!(watched.looks > 0 && watched.tasks > 0, "no task was seen to outlive its attempt: {watched:?}");
    assert!(workers.enrolled.load(Ordering::Relaxed) > DEAF / 2, "no worker had to be stopped");
    assert!(ends.get(RunState::Succeeded.as_str()).is_some_and(|good| *good * 10 >= runs.len() * 9), "{ends:?}");
}

//! The loops: schedule, dispatch, reap, retention. Each reads the database, acts idempotently and reports counts; a nudge only
//! makes a round come earlier. A loop that fails tries again at its next tick: nothing is kept in memory that matters.

use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waybill_model::Micros;
use waybill_store::{LoopLease, Store, StoreError, StoreResult};
use zeroize::Zeroizing;

use crate::service::attempt::TicketClaim;
use crate::service::bounds::Bounds;
use crate::service::nudge::Nudges;
use crate::service::retention::Retention;

pub mod agent_launcher;
pub mod clock;
pub mod dispatch;
pub mod launchers;
pub mod reap;
pub mod retention;
pub mod schedule;

pub use launchers::Launchers;

/// Makes the line that a worker gets as its ticket: from the claim and the end of its life, the same each time.
pub type TicketMint = Arc<dyn Fn(&TicketClaim, Micros) -> Zeroizing<String> + Send + Sync>;

/// The program that is launched, and how it finds its way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerProgram {
    /// Its path.
    pub program: String,
    /// Its arguments: where to enrol, which CA to expect. Never a secret.
    pub args: Vec<String>,
    /// The same as environment variables, for images whose arguments are fixed. Never a secret.
    pub variables: Vec<(String, String)>,
}

/// What all loops share.
#[derive(Clone)]
pub struct Context {
    /// The database.
    pub store: Store,
    /// Time bounds and limits.
    pub bounds: Arc<Bounds>,
    /// How long what is kept.
    pub retention: Arc<Retention>,
    /// Who wakes the loops.
    pub nudges: Arc<Nudges>,
    /// Where tasks run.
    pub launchers: Arc<Launchers>,
    /// What is launched.
    pub worker: Arc<WorkerProgram>,
    /// Makes tickets.
    pub mint: TicketMint,
    /// One id per process: who holds leases and claims.
    pub holder: Arc<str>,
}

/// What one round of a loop did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Objects that were looked at.
    pub seen: u64,
    /// Objects that were acted on.
    pub acted: u64,
    /// Objects that an error kept from being acted on.
    pub failed: u64,
    /// Slots of schedules that passed without a run, since their rule for overlaps says so.
    pub skipped: u64,
    /// How long the longest overdue object had waited.
    pub lag: Duration,
}

impl Round {
    pub(crate) fn count<E: std::error::Error + 'static>(&mut self, what: &'static str, result: Result<bool, E>) {
        self.seen += 1;
        match result {
            Ok(acted) => self.acted += u64::from(acted),
            Err(error) => {
                self.failed += 1;
                tracing::warn!(error = &error as &dyn std::error::Error, "{what} failed and is tried again");
            }
        }
    }

    pub(crate) fn lagged(&mut self, lag: Duration) {
        self.lag = self.lag.max(lag);
    }
}

/// Counts of one loop since the start, for the metrics.
#[derive(Debug, Default)]
pub struct LoopStats {
    rounds: AtomicU64,
    failed_rounds: AtomicU64,
    seen: AtomicU64,
    acted: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    lag_us: AtomicI64,
    leads: AtomicU64,
}

/// A reading of [`LoopStats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopReading {
    /// Rounds that came to their end.
    pub rounds: u64,
    /// Rounds that an error ended.
    pub failed_rounds: u64,
    /// Objects that were looked at.
    pub seen: u64,
    /// Objects that were acted on.
    pub acted: u64,
    /// Objects that an error kept from being acted on.
    pub failed: u64,
    /// Slots that passed without a run; only the scheduler has some.
    pub skipped: u64,
    /// Lag of the last round.
    pub lag: Duration,
    /// Whether this process leads the loop; loops without a leader always do.
    pub leads: bool,
}

impl LoopStats {
    fn add(&self, round: Round) {
        self.rounds.fetch_add(1, Ordering::Relaxed);
        self.seen.fetch_add(round.seen, Ordering::Relaxed);
        self.acted.fetch_add(round.acted, Ordering::Relaxed);
        self.failed.fetch_add(round.failed, Ordering::Relaxed);
        self.skipped.fetch_add(round.skipped, Ordering::Relaxed);
        self.lag_us.store(Micros(0).plus(round.lag).0, Ordering::Relaxed);
    }

    /// The counts now.
    #[must_use]
    pub fn read(&self) -> LoopReading {
        LoopReading {
            rounds: self.rounds.load(Ordering::Relaxed),
            failed_rounds: self.failed_rounds.load(Ordering::Relaxed),
            seen: self.seen.load(Ordering::Relaxed),
            acted: self.acted.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            lag: Micros(self.lag_us.load(Ordering::Relaxed)).since(Micros(0)),
            leads: self.leads.load(Ordering::Relaxed) == 1,
        }
    }
}

/// The counts of all loops.
#[derive(Clone, Debug, Default)]
pub struct AllLoopStats {
    /// The scheduler.
    pub schedule: Arc<LoopStats>,
    /// The dispatcher.
    pub dispatch: Arc<LoopStats>,
    /// The reaper.
    pub reap: Arc<LoopStats>,
    /// The keeper, who removes what has been kept long enough.
    pub retention: Arc<LoopStats>,
}

impl AllLoopStats {
    /// Every loop by its name.
    #[must_use]
    pub fn readings(&self) -> [(&'static str, LoopReading); 4] {
        [
            ("schedule", self.schedule.read()),
            ("dispatch", self.dispatch.read()),
            ("reap", self.reap.read()),
            ("retention", self.retention.read()),
        ]
    }
}

/// Runs the loops until `stop`; then gives the leases back and returns.
pub async fn run(context: Context, stats: AllLoopStats, stop: CancellationToken) {
    let mut loops = JoinSet::new();
    let (bounds, nudges) = (Arc::clone(&context.bounds), Arc::clone(&context.nudges));
    loops.spawn({
        let (context, stop, stats) = (context.clone(), stop.clone(), stats.schedule);
        let scheduler = schedule::Scheduler::new(context.clone());
        let leader = Leader::new(&context, "schedule");
        async move {
            while wait(bounds.schedule_every, std::future::pending(), &stop).await {
                if let Some(lease) = leader.take(&stats).await {
                    record(leader.name, &stats, leader.lead(scheduler.round(&lease)).await);
                }
            }
            leader.give_back().await;
        }
    });
    let bounds = Arc::clone(&context.bounds);
    loops.spawn({
        let (dispatcher, stop, stats) = (dispatch::Dispatcher::new(context.clone()), stop.clone(), stats.dispatch);
        let nudges = Arc::clone(&nudges);
        stats.leads.store(1, Ordering::Relaxed);
        async move {
            let sooner = async || tokio::select! { () = nudges.dispatch_nudged() => {}, () = dispatcher.more() => {} };
            while wait(dispatcher.pause(bounds.dispatch_every).await, sooner(), &stop).await {
                record("dispatch", &stats, dispatcher.round().await);
            }
            dispatcher.finish().await;
        }
    });
    loops.spawn(keep(context.clone(), stats.retention, stop.clone()));
    let bounds = Arc::clone(&context.bounds);
    loops.spawn(async move {
        let (reaper, leader) = (reap::Reaper::new(context.clone()), Leader::new(&context, "reap"));
        while wait(bounds.reconcile_every, nudges.reap_nudged(), &stop).await {
            if let Some(lease) = leader.take(&stats.reap).await {
                record(leader.name, &stats.reap, leader.lead(reaper.round(&lease)).await);
            }
        }
        leader.give_back().await;
    });
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(error = &error as &dyn std::error::Error, "a loop ended");
        }
    }
}

async fn keep(context: Context, stats: Arc<LoopStats>, stop: CancellationToken) {
    let (keeper, leader) = (retention::Keeper::new(context.clone()), Leader::new(&context, "retention"));
    loop {
        if let Some(lease) = leader.take(&stats).await {
            record(leader.name, &stats, leader.lead(keeper.round(&lease)).await);
        }
        if !wait(keeper.pause(), std::future::pending(), &stop).await {
            break;
        }
    }
    leader.give_back().await;
}

/// Waits for the tick or a nudge; false when it is time to stop.
async fn wait(tick: Duration, nudge: impl Future<Output = ()>, stop: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = nudge => true,
        () = tokio::time::sleep(tick) => true,
    }
}

fn record(name: &'static str, stats: &LoopStats, round: StoreResult<Round>) {
    match round {
        Ok(round) => stats.add(round),
        Err(error @ StoreError::StaleLeader { .. }) => {
            stats.leads.store(0, Ordering::Relaxed);
            tracing::info!(error = &error as &dyn std::error::Error, "the loop {name} is led by another now");
        }
        Err(error) => {
            stats.failed_rounds.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(error = &error as &dyn std::error::Error, "a round of the loop {name} failed");
        }
    }
}

/// Our claim to lead one loop.
struct Leader {
    store: Store,
    name: &'static str,
    holder: Arc<str>,
    life: Duration,
    lease: Mutex<Option<(LoopLease, Instant)>>,
}

impl Leader {
    fn new(context: &Context, name: &'static str) -> Self {
        let (store, holder) = (context.store.clone(), Arc::clone(&context.holder));
        Self { store, name, holder, life: context.bounds.leader_lease, lease: Mutex::new(None) }
    }

    /// The lease, if this process leads now.
    async fn take(&self, stats: &LoopStats) -> Option<LoopLease> {
        let lease = self.renew().await.unwrap_or_else(|error| {
            record(self.name, stats, Err(error));
            None
        });
        stats.leads.store(u64::from(lease.is_some()), Ordering::Relaxed);
        lease
    }

    /// Takes or renews; a renewal only when a third of the life is gone, so that fast rounds cost no write.
    async fn renew(&self) -> StoreResult<Option<LoopLease>> {
        let known = self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((lease, since)) = known
            && since.elapsed() < self.life / 3
        {
            return Ok(Some(lease));
        }
        let asked = Instant::now();
        let lease = self.store.loop_lease_take(self.name, &self.holder, self.life).await?;
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease.clone().map(|lease| (lease, asked));
        Ok(lease)
    }

    /// A round in the name of the lease, which is renewed for as long as the round takes.
    async fn lead<T>(&self, round: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            done = round => done,
            never = self.renewals() => match never {},
        }
    }

    async fn renewals(&self) -> Infallible {
        loop {
            tokio::time::sleep(self.life / 3).await;
            // One that is lost shows at the round's next write.
            if let Err(error) = self.renew().await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the lease of the loop {} could not be renewed", self.name);
            }
        }
    }

    async fn give_back(&self) {
        let held = self.lease.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((lease, _)) = held
            && let Err(error) = self.store.loop_lease_release(&lease).await
        {
            tracing::debug!(error = &error as &dyn std::error::Error, "a loop's lease could not be given back");
        }
    }
}

//! Wakes the loops early and tells watchers that a run changed. Losing a nudge costs a timer tick, nothing else: the
//! loops read the database and take no input from here.

use tokio::sync::{Notify, broadcast, watch};
use waybill_model::RunId;

/// Who may be woken.
#[derive(Debug)]
pub struct Nudges {
    dispatch: Notify,
    reap: Notify,
    runs: broadcast::Sender<RunId>,
    agents: watch::Sender<u64>,
}

impl Default for Nudges {
    fn default() -> Self {
        Self {
            dispatch: Notify::new(),
            reap: Notify::new(),
            runs: broadcast::channel(1024).0,
            agents: watch::channel(0).0,
        }
    }
}

impl Nudges {
    /// A run changed: the dispatcher looks, watchers read anew.
    pub fn run_changed(&self, run: RunId) {
        self.dispatch.notify_one();
        // Nobody watches: that is no failure.
        let _ = self.runs.send(run);
    }

    /// A run's numbers moved; nothing for the loops in it.
    pub fn run_progressed(&self, run: RunId) {
        let _ = self.runs.send(run);
    }

    /// A task may have ended: the reaper looks.
    pub fn task_changed(&self) {
        self.reap.notify_one();
    }

    /// Something is new for an agent, or of one: its session and whoever waits for it look.
    pub fn agents_changed(&self) {
        self.agents.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Ticks with every change that is told here. Changes by other replicas are found by reading.
    #[must_use]
    pub fn watch_agents(&self) -> watch::Receiver<u64> {
        self.agents.subscribe()
    }

    /// Ids of runs that changed on this replica, from now on. Changes by other replicas are found by reading.
    #[must_use]
    pub fn watch_runs(&self) -> broadcast::Receiver<RunId> {
        self.runs.subscribe()
    }

    pub(crate) async fn dispatch_nudged(&self) {
        self.dispatch.notified().await;
    }

    pub(crate) async fn reap_nudged(&self) {
        self.reap.notified().await;
    }
}

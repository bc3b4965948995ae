//! Wakes the loops early and tells watchers that a run changed. Losing a nudge costs a timer tick, nothing else: the
//! loops read the database and take no input from here.

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast};
use waybill_model::{DataPlaneId, RunId};

/// Who may be woken.
#[derive(Debug)]
pub struct Nudges {
    dispatch: Notify,
    reap: Notify,
    runs: broadcast::Sender<RunId>,
    agents: broadcast::Sender<DataPlaneId>,
}

/// Waits for changes among the agents of one data plane; those of others wake nobody here.
#[derive(Debug)]
pub struct PlaneWatch {
    plane: DataPlaneId,
    ticks: broadcast::Receiver<DataPlaneId>,
}

impl PlaneWatch {
    /// What was told until now counts as seen: to be called before the database is read.
    pub fn mark_seen(&mut self) {
        while !matches!(self.ticks.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
    }

    /// Comes back when something changed since, or may have: where too much was told at once, nothing is passed over.
    pub async fn changed(&mut self) {
        loop {
            match self.ticks.recv().await {
                Ok(plane) if plane != self.plane => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}

impl Default for Nudges {
    fn default() -> Self {
        Self {
            dispatch: Notify::new(),
            reap: Notify::new(),
            runs: broadcast::channel(1024).0,
            agents: broadcast::channel(1024).0,
        }
    }
}

impl Nudges {
    /// More may be dispatched than before: the dispatcher looks.
    pub fn room_made(&self) {
        self.dispatch.notify_one();
    }

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

    /// Something is new for an agent of this data plane, or of one: its session and whoever waits for it look.
    pub fn agents_changed(&self, plane: DataPlaneId) {
        // Nobody watches: that is no failure.
        let _ = self.agents.send(plane);
    }

    /// Ticks with every change of a data plane's agents that is told here. Changes by other replicas are found by reading.
    #[must_use]
    pub fn watch_agents(&self, plane: DataPlaneId) -> PlaneWatch {
        PlaneWatch { plane, ticks: self.agents.subscribe() }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn ticks(watch: &mut PlaneWatch) -> bool {
        tokio::time::timeout(Duration::from_millis(50), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn a_change_among_agents_wakes_who_watches_their_data_plane_and_nobody_else() {
        let nudges = Nudges::default();
        let (here, elsewhere) = (DataPlaneId::generate(), DataPlaneId::generate());
        let mut watch = nudges.watch_agents(here);
        nudges.agents_changed(elsewhere);
        assert!(!ticks(&mut watch).await, "another data plane's change woke it");
        nudges.agents_changed(here);
        assert!(ticks(&mut watch).await);
        nudges.agents_changed(here);
        watch.mark_seen();
        assert!(!ticks(&mut watch).await, "what was seen before is told again");
        (0..5_000).for_each(|_| nudges.agents_changed(elsewhere));
        assert!(ticks(&mut watch).await, "what may have been missed is looked for");
    }
}

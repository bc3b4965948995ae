//! Guard and orchestrator before a commit, each as slow as a test wants, on a paused clock.

use std::sync::Mutex;
use std::time::Duration;

use waybill_model::FailureCode;
use waybill_pipeline::StopSignal;

use super::super::find::Origin;
use super::super::watch::tests::{GUARD, watch};
use super::*;

type Asked = Arc<Mutex<Vec<&'static str>>>;

fn note(asked: &Asked, who: &'static str) -> usize {
    let mut asked = asked.lock().expect("a lock");
    asked.push(who);
    asked.iter().filter(|one| **one == who).count()
}

/// Gives leave after this long: the first time, and each time after it.
struct Leave {
    asked: Asked,
    first: Duration,
    later: Duration,
}

#[async_trait]
impl CommitGate for Leave {
    async fn prepare(&self, _: u32, _: [u8; 32]) -> Result<(), Halt> {
        let is_first = note(&self.asked, "leave") == 1;
        tokio::time::sleep(if is_first { self.first } else { self.later }).await;
        Ok(())
    }
}

/// A gate whose guard says stop from its reading with this number on.
fn held(stop_at: usize, first: u64, later: u64) -> (Held, Asked, StopSignal) {
    let asked = Asked::default();
    let of_guard = Arc::clone(&asked);
    let origin = Origin::Script(Box::new(move || {
        let stopped = note(&of_guard, "guard") >= stop_at;
        let text = if stopped { "guard = 1\nstop = true\n" } else { GUARD };
        Box::pin(async move { Ok(text.to_owned()) })
    }));
    let (watch, stop) = watch(origin, Vec::new());
    let seconds = Duration::from_secs;
    let leave = Leave { asked: Arc::clone(&asked), first: seconds(first), later: seconds(later) };
    (Held::new(Arc::new(leave), watch), asked, stop)
}

#[tokio::test(start_paused = true)]
async fn the_guard_is_asked_anew_before_leave_is() {
    let (gate, asked, _) = held(usize::MAX, 1, 1);
    assert_eq!(gate.prepare(0, [0; 32]).await, Ok(()));
    assert_eq!(*asked.lock().expect("a lock"), ["guard", "leave"]);
    let (gate, asked, stop) = held(1, 1, 1);
    let denied = Halt::Forbidden(FailureCode::PolicyDenied);
    assert_eq!(gate.prepare(0, [0; 32]).await, Err(denied));
    assert_eq!(*asked.lock().expect("a lock"), ["guard"], "nobody is asked for leave that the guard forbids");
    assert_eq!(stop.halt(), Some(denied));
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_stops_the_run_while_leave_is_waited_for_is_heard_before_the_commit() {
    let (gate, asked, _) = held(2, 60, 0);
    assert_eq!(gate.prepare(0, [0; 32]).await, Err(Halt::Forbidden(FailureCode::PolicyDenied)));
    assert_eq!(*asked.lock().expect("a lock"), ["guard", "leave", "guard"]);
    let (gate, asked, _) = held(usize::MAX, 60, 0);
    assert_eq!(gate.prepare(0, [0; 32]).await, Ok(()), "leave that is still young is given again at once");
    assert_eq!(*asked.lock().expect("a lock"), ["guard", "leave", "guard", "leave"]);
}

#[tokio::test(start_paused = true)]
async fn where_leave_is_always_late_no_commit_is_made_and_the_asking_ends() {
    let (gate, asked, _) = held(usize::MAX, 60, 60);
    assert_eq!(gate.prepare(0, [0; 32]).await, Err(Halt::Offline));
    assert_eq!(asked.lock().expect("a lock").len(), 2 * ROUNDS);
}

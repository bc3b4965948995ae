//! Watches a storm all the time for tasks that outlive their attempts by more than one reconcile.
//!
//! One reconcile may be under way when an attempt is over, and have judged it before. The next one that comes to its end, with
//! its list of tasks answered by the cloud, must have asked the task to end. One that dies with its orchestrator never comes to
//! its end and so does not count; nobody's death gives a task more time otherwise.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use waybill_model::{AttemptId, Micros, OrgId};
use waybill_orchestrator::loops::LoopStats;
use waybill_store::Store;
use waybill_tests::aws::{Aws, Called, Task};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// A task that runs though its attempt is over.
struct Outliving {
    since: Instant,
    /// Requests that this task end, when the rest was taken.
    stops: usize,
    /// Lists that the cloud had answered, and reconciles that had come to their end.
    lists: usize,
    rounds: u64,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Looks at tasks that run.
    pub(super) looks: usize,
    /// Tasks that were seen to outlive their attempts.
    pub(super) tasks: usize,
    /// The longest time that one did.
    pub(super) longest: Duration,
    /// Those that a reconcile passed by which began when their attempts were over.
    pub(super) passed_by: Vec<String>,
}

/// Who watches.
pub(super) struct Watch {
    pub(super) aws: Arc<Aws>,
    pub(super) store: Store,
    pub(super) org: OrgId,
    /// How long a worker may take to leave after its last word.
    pub(super) grace: Duration,
    /// What the reapers of all orchestrators did.
    pub(super) reaped: Arc<LoopStats>,
}

impl Watch {
    /// Looks until `stop`.
    pub(super) async fn until(self, stop: CancellationToken) -> Seen {
        let (mut seen, mut outliving) = (Seen::default(), HashMap::new());
        while !stop.is_cancelled() {
            self.look(&mut seen, &mut outliving).await;
            tokio::time::sleep(LOOK).await;
        }
        seen
    }

    async fn look(&self, seen: &mut Seen, outliving: &mut HashMap<String, Outliving>) {
        let mut now = HashMap::new();
        for task in self.aws.tasks() {
            if task.is_over() || task.vanished || task.hidden > 0 {
                continue;
            }
            seen.looks += 1;
            if !self.is_past_its_attempt(&task).await {
                continue;
            }
            let arn = task.arn;
            // Rounds first: what they asked for is counted then.
            let (rounds, lists) = (self.reaped.read().rounds, self.lists());
            let stops = self.stops(&arn);
            let first = !outliving.contains_key(&arn);
            let fresh = || Outliving { since: Instant::now(), stops, lists, rounds };
            let mut one = outliving.remove(&arn).unwrap_or_else(fresh);
            seen.tasks += usize::from(first);
            seen.longest = seen.longest.max(one.since.elapsed());
            if one.stops != stops {
                (one.stops, one.lists, one.rounds) = (stops, lists, rounds);
            }
            if lists - one.lists > 1 && rounds - one.rounds > 1 && !seen.passed_by.contains(&arn) {
                seen.passed_by.push(arn.clone());
            }
            now.insert(arn, one);
        }
        *outliving = now;
    }

    /// Whether the task's attempt was over for longer than its worker may take to leave.
    async fn is_past_its_attempt(&self, task: &Task) -> bool {
        let id = task.started_by.strip_prefix("wb/").and_then(|id| id.parse::<AttemptId>().ok());
        let Some(id) = id else { return false };
        let attempt = self.store.attempt_get(self.org, id).await.ok().flatten();
        attempt.and_then(|attempt| attempt.finished_at).is_some_and(|end| Micros::now() > end.plus(self.grace))
    }

    /// Lists of the family's tasks that the cloud answered.
    fn lists(&self) -> usize {
        let answered = |call: &Called| call.served == Some(None) && call.body.contains("\"family\"");
        self.aws.count("ListTasks", answered)
    }

    fn stops(&self, arn: &str) -> usize {
        self.aws.count("StopTask", |call| call.body.contains(arn))
    }
}

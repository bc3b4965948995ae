//! Watches a storm all the time for tasks that outlive their attempts by more than one reconcile.
//!
//! A reconcile counts where the cloud answered its list of tasks and the orchestrator that asked lived on. One may have judged
//! the attempt before it was over; the next one asks the task to end, and so none may come behind it without that.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use waybill_model::{AttemptId, Micros, OrgId};
use waybill_store::Store;
use waybill_tests::aws::{Aws, Called, Task};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A task that runs though its attempt is over.
struct Outliving {
    since: Instant,
    /// Orchestrators that had died, and requests that this task end, when `lists` was taken.
    known: (usize, usize),
    /// Reconciles until then.
    lists: usize,
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
    /// Those that two reconciles passed by.
    pub(super) passed_by: Vec<String>,
}

/// Who watches.
pub(super) struct Watch {
    pub(super) aws: Arc<Aws>,
    pub(super) store: Store,
    pub(super) org: OrgId,
    /// How long a worker may take to leave after its last word.
    pub(super) grace: Duration,
    /// Orchestrators that have died.
    pub(super) deaths: Arc<AtomicUsize>,
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
            let (arn, lists) = (task.arn, self.lists());
            let known = (self.deaths.load(Ordering::SeqCst), self.stops(&arn));
            let first = !outliving.contains_key(&arn);
            let fresh = || Outliving { since: Instant::now(), known, lists };
            let mut one = outliving.remove(&arn).unwrap_or_else(fresh);
            seen.tasks += usize::from(first);
            seen.longest = seen.longest.max(one.since.elapsed());
            if one.known != known {
                (one.known, one.lists) = (known, lists);
            }
            if lists - one.lists > 2 && !seen.passed_by.contains(&arn) {
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

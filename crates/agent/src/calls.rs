//! The calls that this agent made to its own cloud, until the orchestrator has heard of them.
//!
//! They are told with the messages that go out anyway. A session that broke off is followed by one in which they are told
//! again; where too many wait, the oldest make room and are counted, and so is the count told again. No call waits for any
//! of this.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use waybill_launcher::TaskRef;
use waybill_launcher::trail::{self, Witness};
use waybill_model::AttemptId;
use waybill_protocol::agent::{CloudAction, CloudCall, MAX_CALLS};

/// Most calls that wait to be heard.
const ROOM: usize = 5_000;

/// The calls.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    last: u64,
    waiting: VecDeque<Waiting>,
    /// How many found no room and are not told of.
    lost: u64,
    /// Those that are told of and not heard: in the message with which call, and how many.
    told_lost: Vec<(u64, u64)>,
    /// Whose tasks are being stopped: their attempts are not part of the call.
    stopping: HashMap<TaskRef, AttemptId>,
}

#[derive(Debug)]
struct Waiting {
    call: CloudCall,
    is_told: bool,
}

impl Witness for Calls {
    fn saw(&self, call: trail::CloudCall) {
        let Some(action) = CloudAction::named(call.action) else {
            tracing::warn!(action = call.action, "a call that no agent makes is not told of");
            return;
        };
        let mut kept = self.kept();
        kept.last += 1;
        let of_task = call.task.and_then(|task| kept.stopping.get(&TaskRef(task)).copied());
        let call = CloudCall {
            seq: kept.last,
            action,
            attempt: call.attempt.or(of_task),
            at: call.at,
            request_id: call.request_id,
            outcome: call.outcome.to_owned(),
            again: false,
        };
        kept.waiting.push_back(Waiting { call, is_told: false });
        if kept.waiting.len() > ROOM {
            kept.waiting.pop_front();
            kept.lost += 1;
        }
    }
}

impl Calls {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task of this attempt is about to be stopped, or no more.
    pub(crate) fn stops(&self, task: &TaskRef, attempt: Option<AttemptId>) {
        match attempt {
            Some(attempt) => self.kept().stopping.insert(task.clone(), attempt),
            None => self.kept().stopping.remove(task),
        };
    }

    /// A session begins: what was told in the one before and not heard is told again.
    pub(crate) fn begin(&self) {
        let mut kept = self.kept();
        for waiting in kept.waiting.iter_mut().filter(|waiting| waiting.is_told) {
            (waiting.call.again, waiting.is_told) = (true, false);
        }
        let unheard = std::mem::take(&mut kept.told_lost);
        kept.lost += unheard.iter().map(|(_, lost)| lost).sum::<u64>();
    }

    /// What a message tells: calls that this session has not told yet, and how many found no room since the last time. What
    /// found none is told with a call, by whose number it is heard.
    pub(crate) fn take(&self) -> (Vec<CloudCall>, u64) {
        let mut kept = self.kept();
        let untold = kept.waiting.iter_mut().filter(|waiting| !waiting.is_told).take(MAX_CALLS);
        let calls = untold.map(|waiting| {
            waiting.is_told = true;
            waiting.call.clone()
        });
        let calls: Vec<CloudCall> = calls.collect();
        let Some(last) = calls.last().filter(|_| kept.lost > 0) else { return (calls, 0) };
        let lost = std::mem::take(&mut kept.lost);
        kept.told_lost.push((last.seq, lost));
        (calls, lost)
    }

    /// The orchestrator heard this call and those before.
    pub(crate) fn heard(&self, seq: u64) {
        let mut kept = self.kept();
        kept.waiting.retain(|waiting| waiting.call.seq > seq);
        kept.told_lost.retain(|(with, _)| *with > seq);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use waybill_model::Micros;

    use super::*;

    pub(crate) fn call(action: &'static str, task: Option<&str>) -> trail::CloudCall {
        trail::CloudCall {
            owner: None,
            action,
            role: String::new(),
            session: String::new(),
            region: "eu-central-1".into(),
            attempt: None,
            task: task.map(str::to_owned),
            at: Micros(5),
            request_id: None,
            outcome: trail::OK,
        }
    }

    fn seqs(calls: &Calls) -> Vec<(u64, bool)> {
        calls.take().0.iter().map(|call| (call.seq, call.again)).collect()
    }

    #[test]
    fn a_call_is_told_once_in_a_session_and_again_in_the_next_until_it_is_heard() {
        let calls = Calls::default();
        for _ in 0..3 {
            calls.saw(call("ecs:ListTasks", None));
        }
        assert_eq!(seqs(&calls), [(1, false), (2, false), (3, false)]);
        assert_eq!(seqs(&calls), []);
        calls.heard(1);
        calls.saw(call("ecs:ListTasks", None));
        calls.begin();
        assert_eq!(seqs(&calls), [(2, true), (3, true), (4, false)]);
        calls.heard(4);
        calls.begin();
        assert_eq!(seqs(&calls), []);
    }

    #[test]
    fn a_message_is_bounded_and_what_finds_no_room_is_counted_until_it_is_heard() {
        let calls = Calls::default();
        for _ in 0..ROOM + 2 {
            calls.saw(call("ecs:DescribeTasks", None));
        }
        let (first, lost) = calls.take();
        assert_eq!((first.len(), first[0].seq, lost), (MAX_CALLS, 3, 2), "the oldest made room");
        assert_eq!(calls.take().1, 0);
        calls.begin();
        let (again, lost) = calls.take();
        assert_eq!((again[0].seq, lost), (3, 2), "nobody is known to have heard it");
        calls.heard(again[0].seq);
        calls.begin();
        let (again, lost) = calls.take();
        assert_eq!((again[0].seq, lost), (4, 2), "its message was not heard to the end");
        calls.heard(again[MAX_CALLS - 1].seq);
        calls.begin();
        assert_eq!(calls.take().1, 0, "heard");
        calls.saw(call("ecs:DescribeTasks", None));
        for _ in 0..ROOM {
            calls.saw(call("ecs:DescribeTasks", None));
        }
        calls.saw(call("s3:GetObject", None));
        assert_eq!(calls.kept().waiting.len(), ROOM, "no call of an agent");
    }

    #[test]
    fn a_stop_is_told_with_the_attempt_of_its_task() {
        let (calls, attempt, task) = (Calls::default(), AttemptId::generate(), TaskRef("arn:task".into()));
        calls.stops(&task, Some(attempt));
        calls.saw(call("ecs:StopTask", Some("arn:task")));
        calls.stops(&task, None);
        calls.saw(call("ecs:StopTask", Some("arn:task")));
        let told: Vec<_> = calls.take().0.into_iter().map(|call| call.attempt).collect();
        assert_eq!(told, [Some(attempt), None]);
    }
}

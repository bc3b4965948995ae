//! The way out of a session: each message with the calls that the agent made since the last one, weighed, and taken by the stream
//! or not made at all. A call must never count as told that no stream has taken.

use tokio::sync::mpsc;
use waybill_protocol::agent::Told;
use waybill_protocol::egress::Unclassified;
use waybill_protocol::pb::agent as pb;

use crate::calls::Calls;
use crate::egress;

/// The message with what the agent called since the last one, weighed. Whoever makes it sends it.
pub(super) fn sealed(calls: Option<&Calls>, mut told: Told) -> Result<pb::SessionRequest, Unclassified> {
    if let Some(calls) = calls {
        (told.cloud_calls, told.cloud_calls_lost) = calls.take();
    }
    egress::clear(told.into())
}

/// Sends a message where the stream has room. One that does not take it shows its end by its answers; what it would have told
/// of workers stands in the next heartbeat, and calls wait for it.
pub(super) fn send(
    sender: &mpsc::Sender<pb::SessionRequest>,
    calls: Option<&Calls>,
    told: Told,
) -> Result<(), Unclassified> {
    if let Ok(room) = sender.try_reserve() {
        room.send(sealed(calls, told)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use waybill_launcher::trail::Witness as _;

    use super::*;
    use crate::calls::tests::call;

    fn told() -> Told {
        Told {
            version: None,
            worker_role: None,
            cloud_caller: None,
            cloud_calls: Vec::new(),
            cloud_calls_lost: 0,
            generation: 1,
            complete: true,
            draining: false,
            slots: 1,
            tasks: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_message_that_finds_no_room_takes_no_call_along() {
        let (calls, (sender, mut outgoing)) = (Calls::default(), mpsc::channel::<pb::SessionRequest>(1));
        let mut next =
            || outgoing.try_recv().expect("a message").cloud_calls.iter().map(|call| call.seq).collect::<Vec<_>>();
        calls.saw(call("ecs:ListTasks", None));
        send(&sender, Some(&calls), told()).expect("sent");
        calls.saw(call("ecs:DescribeTasks", None));
        send(&sender, Some(&calls), told()).expect("no room");
        assert_eq!(next(), [1]);
        calls.saw(call("ecs:ListTasks", None));
        send(&sender, Some(&calls), told()).expect("sent");
        assert_eq!(next(), [2, 3], "with the next one that is taken");
    }
}

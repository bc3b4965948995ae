//! What leaves the customer's cloud, weighed per class.
//!
//! The table comes from the protos' own field options. A message is weighed from its *encoded* bytes, so a field that is
//! not in the table can't slip through: the message is refused as a whole.

use waybill_model::egress::EgressClass;

use crate::pb::{agent, enrolment, worker};

include!(concat!(env!("OUT_DIR"), "/egress_table.rs"));

/// A message that a worker or an agent may send.
pub trait Outgoing: prost::Message + Sized + 'static {
    /// Its full name in the protos.
    const NAME: &'static str;
}

macro_rules! outgoing {
    ($($message:ty = $name:literal,)+) => { $(impl Outgoing for $message { const NAME: &'static str = $name; })+
        /// The names of all messages that a worker or an agent may send.
        pub const OUTGOING: &[&str] = &[$($name),+];
    };
}

outgoing! {
    enrolment::HelloRequest = "waybill.enrolment.v1.HelloRequest",
    enrolment::EnrolRequest = "waybill.enrolment.v1.EnrolRequest",
    worker::GetAssignmentRequest = "waybill.worker.v1.GetAssignmentRequest",
    worker::ReportRequest = "waybill.worker.v1.ReportRequest",
    worker::PrepareCommitRequest = "waybill.worker.v1.PrepareCommitRequest",
    worker::CompleteRequest = "waybill.worker.v1.CompleteRequest",
    worker::RenewRequest = "waybill.worker.v1.RenewRequest",
    agent::EnrolRequest = "waybill.agent.v1.EnrolRequest",
    agent::SessionRequest = "waybill.agent.v1.SessionRequest",
    agent::RenewRequest = "waybill.agent.v1.RenewRequest",
}

/// A message held a field without a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("field {field} of {message} has no egress class and may not leave")]
pub struct Unclassified {
    /// The message.
    pub message: &'static str,
    /// The field's number.
    pub field: u32,
}

/// Bytes that left, per class; the bytes between the fields of nested messages are `framing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    classes: [u64; EgressClass::ALL.len()],
    /// Tags and lengths of nested messages.
    pub framing: u64,
    /// Messages.
    pub messages: u64,
}

impl Ledger {
    /// Bytes of one class.
    #[must_use]
    pub const fn bytes(&self, class: EgressClass) -> u64 {
        self.classes[class as usize]
    }

    /// Bytes of everything.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.classes.iter().sum::<u64>() + self.framing
    }

    /// Adds what another ledger counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.classes.iter_mut().zip(other.classes) {
            *mine += theirs;
        }
        self.framing += other.framing;
        self.messages += other.messages;
    }

    /// Tells the customer's own log what left so far.
    pub fn tell(&self) {
        let classes: Vec<String> =
            EgressClass::ALL.iter().map(|class| format!("{class} {}", self.bytes(*class))).collect();
        tracing::info!(
            messages = self.messages,
            bytes = self.total(),
            framing = self.framing,
            classes = classes.join(", "),
            "what left for the orchestrator, in bytes per class"
        );
    }
}

/// Encodes a message and weighs it. The bytes are exactly what will be sent.
pub fn weigh<M: Outgoing>(message: &M) -> Result<(Vec<u8>, Ledger), Unclassified> {
    let bytes = message.encode_to_vec();
    let mut ledger = Ledger { messages: 1, ..Ledger::default() };
    let place = MESSAGES.iter().position(|m| m.name == M::NAME);
    let place = place.ok_or(Unclassified { message: M::NAME, field: 0 })?;
    walk(&MESSAGES[place], &bytes, &mut ledger)?;
    Ok((bytes, ledger))
}

struct Message {
    name: &'static str,
    fields: &'static [(u32, Content)],
}

#[derive(Clone, Copy)]
enum Content {
    /// Place in `EgressClass::ALL`.
    Class(usize),
    /// Place in `MESSAGES`.
    Message(usize),
}

fn walk(message: &Message, mut bytes: &[u8], ledger: &mut Ledger) -> Result<(), Unclassified> {
    while !bytes.is_empty() {
        let before = bytes.len();
        let refuse = |field| Unclassified { message: message.name, field };
        let tag = varint(&mut bytes).ok_or(refuse(0))?;
        let field = u32::try_from(tag >> 3).map_err(|_| refuse(0))?;
        let content = message.fields.iter().find(|(number, _)| *number == field).map(|(_, c)| *c);
        let body = body(tag & 7, &mut bytes).ok_or(refuse(field))?;
        match content.ok_or(refuse(field))? {
            Content::Class(class) => ledger.classes[class] += (before - bytes.len()) as u64,
            Content::Message(inner) => {
                ledger.framing += (before - bytes.len() - body.len()) as u64;
                walk(&MESSAGES[inner], body, ledger)?;
            }
        }
    }
    Ok(())
}

/// The value after a tag, taken off the front.
fn body<'a>(wire_type: u64, bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match wire_type {
        0 => {
            let whole = *bytes;
            varint(bytes)?;
            return Some(&whole[..whole.len() - bytes.len()]);
        }
        1 => 8,
        2 => usize::try_from(varint(bytes)?).ok()?,
        5 => 4,
        _ => return None,
    };
    let (body, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(body)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_a_message_is_accounted_for() {
        let report = worker::ReportRequest {
            seq: 7,
            epoch: 1_700_000_000_000_000,
            progress: vec![worker::StreamProgress { stream: 3, state: 2, rows: 1 << 40, ..Default::default() }; 4],
            events: vec![worker::Event {
                at_us: 5,
                code: "part_uploaded".into(),
                location: Some(u64::MAX),
                ..Default::default()
            }],
        };
        let (bytes, ledger) = weigh(&report).expect("all fields have classes");
        assert_eq!(ledger.total(), bytes.len() as u64);
        assert_eq!(ledger.bytes(EgressClass::Index), 4 * 2);
        assert_eq!(ledger.bytes(EgressClass::Code), 15 + 9);
        assert_eq!(ledger.bytes(EgressClass::Name), 0);
        assert_eq!(ledger.framing, 5 * 2);
    }

    #[test]
    fn a_field_that_is_not_in_the_table_is_refused() {
        let message = MESSAGES.iter().find(|m| m.name == worker::RenewRequest::NAME).expect("in the table");
        // Field 9, two bytes of text.
        let refused = walk(message, &[0x4a, 2, b'h', b'i'], &mut Ledger::default());
        assert_eq!(refused, Err(Unclassified { message: worker::RenewRequest::NAME, field: 9 }));
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic() {
        let message = MESSAGES.iter().find(|m| m.name == worker::ReportRequest::NAME).expect("in the table");
        for bytes in [&[0x1a, 0xff, 0xff, 0xff, 0xff, 0x7f][..], &[0x80; 12], &[0x0b], &[0x08]] {
            assert!(walk(message, bytes, &mut Ledger::default()).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn every_request_of_the_services_may_be_sent_and_no_other() {
        for name in OUTGOING {
            assert!(MESSAGES.iter().any(|m| m.name == *name), "{name}");
        }
    }
}

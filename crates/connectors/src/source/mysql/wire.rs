//! Packets of the protocol in both directions, with every length bounded.
//!
//! It must never buffer a packet because its header says so: the caller's cap comes first. What a row holds is not known here.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::bytes::Bytes;
use super::refusal::ServerError;
use crate::source::server::malformed;
use crate::source::server::transport::{Stream, Transport};

/// A packet that is not a row is never longer.
const PACKET_CAP: usize = 16 << 20;
/// A payload of this length goes on in the next packet.
const CONTINUED: usize = 0xff_ffff;
const HEADER: usize = 4;

/// Leaves the session.
const QUIT: u8 = 0x01;

/// A connection's two directions.
pub(super) struct Wire {
    transport: Transport,
    sequence: u8,
    /// The server's number of this connection.
    pub(super) thread: u32,
}

/// What a packet of an answer is, by its first byte.
pub(super) enum Answer<'a> {
    /// Something else: a row, a column, a count.
    Data(&'a [u8]),
    /// The end of columns or rows.
    End,
    Error(ServerError),
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { transport: Transport::new(stream), sequence: 0, thread: 0 }
    }

    /// The stream itself, for the change to TLS. What came before it is never taken for an answer.
    pub(super) fn into_stream(self) -> FaultResult<(Stream, u8)> {
        if !self.transport.at_hand().is_empty() {
            return Err(malformed("the server sent something before TLS began"));
        }
        Ok((self.transport.into_stream(), self.sequence))
    }

    /// Goes on with a number of packets that were counted before.
    pub(super) const fn resume(&mut self, sequence: u8) {
        self.sequence = sequence;
    }

    pub(super) const fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }

    /// Whether the connection itself ended, whatever was said on it before.
    pub(super) const fn is_lost(&self) -> bool {
        self.transport.is_lost()
    }

    /// Begins a command.
    pub(super) async fn command(&mut self, command: u8, body: &[u8]) -> FaultResult<()> {
        self.sequence = 0;
        let mut packet = Vec::with_capacity(body.len() + 1);
        packet.push(command);
        packet.extend_from_slice(body);
        self.send(&packet).await
    }

    /// Sends one packet.
    pub(super) async fn send(&mut self, payload: &[u8]) -> FaultResult<()> {
        if payload.len() >= CONTINUED {
            return Err(Fault::new(FailureCode::SpecRefused, "a statement is longer than 16 MiB"));
        }
        let mut packet = Vec::with_capacity(payload.len() + HEADER);
        packet.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
        packet.push(self.sequence);
        packet.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.transport.send(&packet).await
    }

    /// Tells the server that we leave. Nobody waits for it: who meets a session that still counts asks again.
    pub(super) async fn quit(mut self) {
        // The work is done by now: a server that is gone already changes nothing.
        let _ = self.command(QUIT, &[]).await;
    }

    /// The next packet, which is no row.
    pub(super) async fn packet(&mut self) -> FaultResult<Vec<u8>> {
        self.packet_within(PACKET_CAP, || malformed("a packet of the server is longer than 16 MiB")).await
    }

    /// The next packet, put together where it came in several; one that is longer than `cap` is refused before it is read.
    pub(super) async fn packet_within(&mut self, cap: usize, refuse: impl Fn() -> Fault) -> FaultResult<Vec<u8>> {
        let mut payload = Vec::new();
        loop {
            while self.transport.at_hand().len() < HEADER {
                self.transport.fill(HEADER).await?;
            }
            let length = length_of(self.transport.at_hand(), self.sequence)?;
            if payload.len() + length > cap {
                return Err(refuse());
            }
            self.transport.consume(HEADER);
            self.sequence = self.sequence.wrapping_add(1);
            let mut left = length;
            while left > 0 {
                if self.transport.at_hand().is_empty() {
                    self.transport.fill(1).await?;
                }
                let bytes = self.transport.at_hand();
                let taken = bytes.len().min(left);
                payload.extend_from_slice(&bytes[..taken]);
                self.transport.consume(taken);
                left -= taken;
            }
            if length < CONTINUED {
                return Ok(payload);
            }
        }
    }

    /// Gives packets that are whole and at hand to `each`, as long as it goes on; what is not at hand is left to
    /// `packet_within`.
    pub(super) fn each_at_hand<T>(
        &mut self,
        mut each: impl FnMut(&[u8]) -> FaultResult<Option<T>>,
    ) -> FaultResult<Option<T>> {
        let bytes = self.transport.at_hand();
        let (mut at, mut sequence, mut found) = (0, self.sequence, None);
        while found.is_none() && bytes.len() - at >= HEADER {
            let length = length_of(&bytes[at..], sequence)?;
            let Some(packet) = bytes.get(at + HEADER..at + HEADER + length).filter(|_| length < CONTINUED) else {
                break;
            };
            at += HEADER + length;
            sequence = sequence.wrapping_add(1);
            found = each(packet)?;
        }
        self.transport.consume(at);
        self.sequence = sequence;
        Ok(found)
    }
}

/// Length of the packet whose header begins here; its number must be the next one.
fn length_of(header: &[u8], sequence: u8) -> FaultResult<usize> {
    if header[3] != sequence {
        return Err(malformed("packets of the server come out of order"));
    }
    Ok(u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize)
}

/// The server has more to say than was asked for.
const MORE_RESULTS: u16 = 0x0008;

/// Tells an end or an error from data.
pub(super) fn answer(packet: &[u8]) -> FaultResult<Answer<'_>> {
    match packet.first() {
        None => Err(malformed("a packet of the server is empty")),
        Some(0xff) => Ok(Answer::Error(ServerError::parse(packet))),
        Some(0xfe) if packet.len() < 9 => {
            let mut bytes = Bytes::new(&packet[1..]);
            let (_warnings, status) = (bytes.u16()?, bytes.u16()?);
            if status & MORE_RESULTS != 0 {
                return Err(malformed("the server gives more results than were asked for"));
            }
            Ok(Answer::End)
        }
        Some(_) => Ok(Answer::Data(packet)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_out_of_order_are_refused() {
        assert!(length_of(&[1, 0, 0, 3], 2).is_err());
        assert_eq!(length_of(&[1, 2, 0, 3], 3).expect("a header"), 513);
    }

    #[test]
    fn an_end_is_told_from_data_and_promises_nothing_more() {
        assert!(matches!(answer(&[0xfe, 0, 0, 2, 0]), Ok(Answer::End)));
        assert!(answer(&[0xfe, 0, 0, 8, 0]).is_err());
        assert!(answer(&[0xfe]).is_err());
        assert!(answer(&[]).is_err());
        assert!(matches!(answer(&[0xfe; 9]), Ok(Answer::Data(_))));
        assert!(matches!(answer(&[0xff, 0x48, 4]), Ok(Answer::Error(_))));
    }
}

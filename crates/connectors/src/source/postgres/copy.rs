//! One COPY from the wire into the decoder: frames are taken as a stream of bytes, wherever rows begin or end in them.
//!
//! Its end counts only with the binary trailer, a clean CopyDone and the server ready again.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::decode::Decoder;
use super::refusal::ServerError;
use super::wire::{Wire, header_of, malformed};

/// A COPY under way.
pub(super) struct CopyOut {
    /// Bytes of the current frame that are not taken yet.
    left: usize,
    /// The beginning of a field whose end is in a later frame.
    carry: Vec<u8>,
}

/// Why reading stopped.
pub(super) enum Stop {
    /// The batch must be taken.
    Full,
    /// The COPY is over, and was complete.
    Complete,
}

impl CopyOut {
    /// Begins a COPY.
    pub(super) async fn begin(wire: &mut Wire, sql: &str) -> FaultResult<Self> {
        wire.send_query(sql).await?;
        let message = wire.message().await?;
        match message.tag {
            b'H' if message.body.first() == Some(&1) => Ok(Self { left: 0, carry: Vec::new() }),
            b'E' => Err(wire.refused(&message.body).await.into()),
            _ => Err(malformed("the server did not begin a binary COPY")),
        }
    }

    /// Reads until the batch is full or the COPY is over.
    pub(super) async fn read(&mut self, wire: &mut Wire, into: &mut Decoder) -> FaultResult<Stop> {
        loop {
            if !self.carry.is_empty() {
                let taken = into.feed(&self.carry)?;
                self.carry.drain(..taken);
            } else if self.left == 0 {
                self.take_whole_frames(wire, into)?;
            }
            if into.is_full() {
                return Ok(Stop::Full);
            }
            if self.left > 0 {
                self.take_frame(wire, into).await?;
                continue;
            }
            let (tag, length) = wire.header().await?;
            match tag {
                b'd' => self.left = length,
                b'c' => return self.end(wire, into).await,
                b'E' => {
                    let body = wire.body(length).await?;
                    return Err(ServerError::parse(&body).into());
                }
                _ => {
                    wire.body(length).await?;
                    if !wire.is_aside(tag)? {
                        return Err(malformed("an unexpected message inside a COPY"));
                    }
                }
            }
        }
    }

    /// The usual case, a frame per row: all frames at hand that are whole, without a wait between them.
    fn take_whole_frames(&mut self, wire: &mut Wire, into: &mut Decoder) -> FaultResult<()> {
        let bytes = wire.at_hand();
        let mut at = 0;
        while let Some(frame) = bytes.get(at..).filter(|rest| rest.len() >= 5 && rest[0] == b'd') {
            let (_, length) = header_of(frame)?;
            let Some(frame) = frame.get(5..5 + length) else { break };
            let taken = into.feed(frame)?;
            at += 5 + taken;
            self.left = length - taken;
            if self.left > 0 || into.is_full() {
                break;
            }
        }
        wire.consume(at);
        Ok(())
    }

    async fn take_frame(&mut self, wire: &mut Wire, into: &mut Decoder) -> FaultResult<()> {
        let bytes = wire.at_hand();
        let bytes = &bytes[..self.left.min(bytes.len())];
        if !self.carry.is_empty() {
            // The field in carry goes on here. The decoder has checked its length against the row's bound.
            let taken = into.need().saturating_sub(self.carry.len()).clamp(1, bytes.len().max(1)).min(bytes.len());
            self.carry.extend_from_slice(&bytes[..taken]);
            wire.consume(taken);
            self.left -= taken;
            return if taken == 0 { wire.fill(1).await } else { Ok(()) };
        }
        let taken = into.feed(bytes)?;
        let is_rest = bytes.len() == self.left;
        if taken < bytes.len() && is_rest && !into.is_full() {
            self.carry.extend_from_slice(&bytes[taken..]);
            wire.consume(self.left);
            self.left = 0;
            return Ok(());
        }
        wire.consume(taken);
        self.left -= taken;
        if is_rest || into.is_full() {
            return Ok(());
        }
        wire.fill(into.need().min(self.left)).await
    }

    async fn end(&mut self, wire: &mut Wire, into: &Decoder) -> FaultResult<Stop> {
        if !into.is_complete() || !self.carry.is_empty() {
            let text = "the COPY ended without its trailer: rows may be missing";
            return Err(Fault::new(FailureCode::SourceIncomplete, text));
        }
        loop {
            let message = wire.message().await?;
            match message.tag {
                b'C' => {}
                b'Z' => return Ok(Stop::Complete),
                b'E' => return Err(wire.refused(&message.body).await.into()),
                _ => return Err(malformed("an unexpected message at the end of a COPY")),
            }
        }
    }
}

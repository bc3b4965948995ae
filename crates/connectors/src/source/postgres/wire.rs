//! Framing of the protocol in both directions, with every length bounded.
//!
//! It must never buffer a message because its header says so: the caller's cap comes first. What a row holds is not known
//! here.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::refusal::ServerError;
pub(crate) use crate::source::server::malformed;
use crate::source::server::transport::{Stream, Transport};

/// A message outside of COPY is never longer.
const MESSAGE_CAP: usize = 16 << 20;
/// Notices and parameter changes that one exchange may bring.
const NOTICE_CAP: u32 = 10_000;

/// A connection's two directions.
pub(crate) struct Wire {
    transport: Transport,
    notices: u32,
}

/// A message that the caller has to look at. Notices and parameter changes never come through.
pub(crate) struct Message {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { transport: Transport::new(stream), notices: 0 }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> FaultResult<()> {
        self.transport.send(bytes).await
    }

    /// Whether the connection itself ended, whatever was said on it before.
    pub(crate) const fn is_lost(&self) -> bool {
        self.transport.is_lost()
    }

    /// Sends a simple query and forgets the notices of the last one.
    pub(crate) async fn send_query(&mut self, sql: &str) -> FaultResult<()> {
        self.notices = 0;
        let mut out = BytesMut::with_capacity(sql.len() + 8);
        frontend::query(sql, &mut out)
            .map_err(|_| Fault::new(FailureCode::SpecRefused, "a name or value holds a NUL character"))?;
        self.send(&out).await
    }

    /// Tells the server that we leave. Nobody waits for it: who meets a session that still counts asks again.
    pub(crate) async fn terminate(&mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        // The work is done by now: a server that is gone already changes nothing.
        let _ = self.send(&out).await;
    }

    /// Unread bytes at hand.
    pub(crate) fn at_hand(&self) -> &[u8] {
        self.transport.at_hand()
    }

    /// Marks bytes at hand as read.
    pub(crate) fn consume(&mut self, count: usize) {
        self.transport.consume(count);
    }

    /// Reads once; `need` bytes in all must have room.
    pub(crate) async fn fill(&mut self, need: usize) -> FaultResult<()> {
        self.transport.fill(need).await
    }

    /// Tag and length of the next message, which is read up to its body.
    pub(crate) async fn header(&mut self) -> FaultResult<(u8, usize)> {
        while self.at_hand().len() < 5 {
            self.fill(5).await?;
        }
        let (tag, length) = header_of(self.at_hand())?;
        self.consume(5);
        Ok((tag, length))
    }

    /// The body of a message that is not row data.
    pub(crate) async fn body(&mut self, length: usize) -> FaultResult<Vec<u8>> {
        if length > MESSAGE_CAP {
            return Err(malformed("a message of the server is longer than 16 MiB"));
        }
        while self.at_hand().len() < length {
            self.fill(length).await?;
        }
        let body = self.at_hand()[..length].to_vec();
        self.consume(length);
        Ok(body)
    }

    /// The next message that matters, or the server's error.
    pub(crate) async fn message(&mut self) -> FaultResult<Message> {
        loop {
            let (tag, length) = self.header().await?;
            let body = self.body(length).await?;
            if !self.is_aside(tag)? {
                return Ok(Message { tag, body });
            }
        }
    }

    /// Whether a message is a notice or the like, which are skipped, but not for ever.
    pub(crate) fn is_aside(&mut self, tag: u8) -> FaultResult<bool> {
        if !matches!(tag, b'N' | b'S' | b'A') {
            return Ok(false);
        }
        self.notices += 1;
        if self.notices > NOTICE_CAP {
            return Err(malformed("the server sends notices without end"));
        }
        Ok(true)
    }

    /// Reads an error's body and what follows up to the server being ready again, so that the connection stays usable.
    pub(crate) async fn refused(&mut self, body: &[u8]) -> ServerError {
        let error = ServerError::parse(body);
        while let Ok(message) = self.message().await {
            if message.tag == b'Z' {
                break;
            }
        }
        error
    }
}

/// Tag and body length of a message header; `bytes` are at least five.
pub(crate) fn header_of(bytes: &[u8]) -> FaultResult<(u8, usize)> {
    let length = i32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]);
    match usize::try_from(i64::from(length) - 4) {
        Ok(length) => Ok((bytes[0], length)),
        Err(_) => Err(malformed("the length of a message is impossible")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_length_is_refused() {
        assert!(header_of(&[b'D', 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(header_of(&[b'D', 0, 0, 0, 3]).is_err());
        assert_eq!(header_of(&[b'Z', 0, 0, 0, 5]).expect("a header"), (b'Z', 1));
    }
}

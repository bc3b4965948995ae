//! The bytes between us and a server, over TCP or TLS, and the unread ones at hand.
//!
//! It must never buffer what a header announces: the caller's cap comes first. What the bytes mean is not known here.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::loss::broken;
use super::socket::Socket;

/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;
/// How long a connection that broke is listened to: what was said is here already.
const LAST_WORD: Duration = Duration::from_secs(1);

/// What carries the bytes.
pub(crate) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

/// A connection's two directions.
pub(crate) struct Transport {
    stream: Stream,
    inbox: Inbox,
    is_lost: bool,
}

impl Transport {
    pub(crate) fn new(stream: Stream) -> Self {
        Self { stream, inbox: Inbox::default(), is_lost: false }
    }

    /// The stream itself, for a handshake that changes it; nothing may be at hand.
    #[cfg(feature = "mysql")]
    pub(crate) fn into_stream(self) -> Stream {
        self.stream
    }

    #[cfg(feature = "mysql")]
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> FaultResult<()> {
        let sent = match &mut self.stream {
            Stream::Plain(tcp) => tcp.write_all(bytes).await,
            Stream::Tls(tls) => match write_whole(tls, bytes).await {
                Ok(()) => Ok(()),
                Err(error) => Err(last_word(tls).await.unwrap_or(error)),
            },
        };
        self.is_lost |= sent.is_err();
        sent.map_err(|error| broken(&error))
    }

    /// Whether the connection itself ended, whatever was said on it before.
    pub(crate) const fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Unread bytes at hand.
    pub(crate) fn at_hand(&self) -> &[u8] {
        self.inbox.bytes()
    }

    /// Marks bytes at hand as read.
    pub(crate) fn consume(&mut self, count: usize) {
        self.inbox.start += count;
    }

    /// Reads once; `need` bytes in all must have room. An end of the stream is `source_incomplete`.
    pub(crate) async fn fill(&mut self, need: usize) -> FaultResult<()> {
        let room = self.inbox.room(need);
        let read = match &mut self.stream {
            Stream::Plain(tcp) => tcp.read(room).await,
            Stream::Tls(tls) => tls.read(room).await,
        };
        self.is_lost |= !matches!(read, Ok(1..));
        match read.map_err(|error| broken(&error))? {
            0 => Err(Fault::new(FailureCode::SourceIncomplete, "the server closed the connection before it was done")),
            count => {
                self.inbox.end += count;
                Ok(())
            }
        }
    }
}

async fn write_whole(tls: &mut TlsStream<Socket>, bytes: &[u8]) -> std::io::Result<()> {
    tls.write_all(bytes).await?;
    tls.flush().await
}

/// Why a server hung up, where it said so before: a client learns what becomes of its certificate after its first words only.
async fn last_word(tls: &mut TlsStream<Socket>) -> Option<std::io::Error> {
    let said = timeout(LAST_WORD, tls.read(&mut [0])).await.ok()?.err()?;
    said.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()).then_some(said)
}

/// Bytes received and not yet read.
#[derive(Default)]
struct Inbox {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Inbox {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Free space behind the unread bytes, moved to the front if that makes `need` bytes fit.
    fn room(&mut self, need: usize) -> &mut [u8] {
        let wanted = need.max(CHUNK);
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() > 4 * CHUNK && wanted == CHUNK && self.end < CHUNK {
            self.buffer.truncate(CHUNK);
            self.buffer.shrink_to_fit();
        }
        if self.buffer.len() < wanted || self.end == self.buffer.len() {
            self.buffer.resize(wanted.max(self.end + CHUNK), 0);
        }
        &mut self.buffer[self.end..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inbox_gives_large_buffers_back() {
        let mut inbox = Inbox::default();
        assert!(inbox.room(8 << 20).len() >= 8 << 20);
        inbox.end = 8 << 20;
        inbox.start = (8 << 20) - 10;
        assert!(inbox.room(5).len() >= CHUNK - 10);
        assert_eq!((inbox.buffer.len(), inbox.bytes().len()), (CHUNK, 10));
    }
}

//! One connection within an SSH session, which tells an end of the session from an end of the connection.

use std::fmt;
use std::io::{Error, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use russh::ChannelStream;
use russh::client::Msg;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Session;

/// A channel to the database.
pub(crate) struct Channel {
    stream: ChannelStream<Msg>,
    session: Arc<Session>,
}

/// The session ended, and all its channels with it.
#[derive(Debug)]
pub(crate) struct Lost;

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the SSH session ended")
    }
}

impl std::error::Error for Lost {}

impl Channel {
    pub(super) const fn new(stream: ChannelStream<Msg>, session: Arc<Session>) -> Self {
        Self { stream, session }
    }

    /// The session closes before it lets go of its channels.
    fn lost(&self, otherwise: Result<()>) -> Result<()> {
        if self.session.is_closed() { Err(Error::other(Lost)) } else { otherwise }
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = into.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, into));
        let is_over = read.is_err() || (into.filled().len() == before && into.remaining() > 0);
        Poll::Ready(if is_over { self.lost(read) } else { read })
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(written.or_else(|error| self.lost(Err(error)).map(|()| 0)))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(flushed.or_else(|error| self.lost(Err(error))))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

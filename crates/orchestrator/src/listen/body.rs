//! A request body that ends itself when its sender only pretends to send.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// Why a body was ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// Too many empty frames in a row: they cost work and flow control does not count them.
    #[error("too many empty frames")]
    EmptyFrames,
    /// The connection broke.
    #[error("read a request body")]
    Http(#[source] hyper::Error),
}

/// Counts empty frames.
pub(super) struct Guarded {
    inner: Incoming,
    empty: u32,
    limit: u32,
}

impl Guarded {
    pub(super) const fn new(inner: Incoming, limit: u32) -> Self {
        Self { inner, empty: 0, limit }
    }

    pub(super) fn boxed(self) -> axum::body::Body {
        axum::body::Body::new(BoxBody::new(self))
    }
}

impl Body for Guarded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(frame) = ready!(Pin::new(&mut self.inner).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame.map_err(BodyError::Http)?;
        let is_empty = frame.data_ref().is_some_and(Bytes::is_empty);
        self.empty = if is_empty { self.empty + 1 } else { 0 };
        if self.empty > self.limit {
            Poll::Ready(Some(Err(BodyError::EmptyFrames)))
        } else {
            Poll::Ready(Some(Ok(frame)))
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

//! The answers of a stream, which its peer has to read: one that does not is hung up on, whatever it still sends.
//!
//! Ending the stream would not do: its end waits behind the answers that nobody reads.

use std::pin::Pin;
use std::time::Duration;

use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::listen::HangUp;

/// Answers that may wait to be read.
const UNREAD: usize = 8;

/// What a peer reads.
pub(super) type Read<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The end that is written.
pub(super) struct Answers<T> {
    to_peer: mpsc::Sender<Result<T, Status>>,
    patience: Duration,
    hang_up: HangUp,
}

/// The peer left, or was hung up on: nobody reads what is said next.
pub(super) struct Gone;

impl<T: Send + 'static> Answers<T> {
    /// Both ends. A peer that reads nothing for `patience` is hung up on.
    pub(super) fn open(patience: Duration, hang_up: HangUp) -> (Self, Read<T>) {
        let (to_peer, answers) = mpsc::channel(UNREAD);
        (Self { to_peer, patience, hang_up }, Box::pin(ReceiverStream::new(answers)))
    }

    /// Gives an answer.
    pub(super) async fn send(&self, answer: T) -> Result<(), Gone> {
        self.give(Ok(answer)).await
    }

    /// Ends the stream with a reason.
    pub(super) async fn end(self, reason: Status) {
        // Whoever is gone needs no reason.
        let _ = self.give(Err(reason)).await;
    }

    /// Waits until the peer has left.
    pub(super) async fn closed(&self) {
        self.to_peer.closed().await;
    }

    async fn give(&self, answer: Result<T, Status>) -> Result<(), Gone> {
        match tokio::time::timeout(self.patience, self.to_peer.send(answer)).await {
            Ok(taken) => taken.map_err(|_| Gone),
            Err(_) => {
                tracing::warn!(seconds = self.patience.as_secs(), "hung up on a peer that reads no answer");
                self.hang_up.now();
                Err(Gone)
            }
        }
    }
}

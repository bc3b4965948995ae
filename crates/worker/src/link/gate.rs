//! Leave to commit, asked of the orchestrator: granted only by an answer that is younger than the bound.
//!
//! While the orchestrator is away a commit waits; when the offline grace is over it is not made.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;
use waybill_model::fault;
use waybill_model::report::Directive as Told;
use waybill_pipeline::{CommitGate, Directive, Halt};
use waybill_protocol::pb::worker::PrepareCommitRequest;
use waybill_protocol::worker::{PrepareCommit, read_directive};

use super::channel::{self, Backoff};
use super::{LinkError, Shared};

pub(super) struct Gate {
    shared: Arc<Shared>,
    granted: Mutex<HashMap<u32, Grant>>,
}

/// Leave that was given: counted from when it was asked for, so that a slow answer does not stretch it.
#[derive(Clone, Copy)]
struct Grant {
    digest: [u8; 32],
    asked: Instant,
}

impl Gate {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, granted: Mutex::default() }
    }

    /// Whether leave for exactly this commit is young enough to be used again, as when a commit is rebuilt.
    fn still_good(&self, stream: u32, digest: &[u8; 32]) -> bool {
        let granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let half = self.shared.assignment.bounds.grant / 2;
        granted.get(&stream).is_some_and(|grant| grant.digest == *digest && grant.asked.elapsed() < half)
    }

    /// Asks once. `None`: no usable answer, ask again.
    async fn ask(&self, stream: u32, digest: [u8; 32]) -> Result<Option<Result<(), Halt>>, LinkError> {
        let shared = &self.shared;
        let asked = Instant::now();
        let ask = PrepareCommit { epoch: shared.assignment.epoch, stream, digest };
        let cleared = shared.egress.clear(PrepareCommitRequest::from(ask))?;
        let mut client = shared.channels.client();
        let call = client.prepare_commit(cleared.into_request());
        let answer = match channel::bounded(shared.assignment.bounds.heartbeat, call).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return channel::unless_final(&status).map(|()| None),
        };
        shared.heard();
        let directive = obey(shared, read_directive(answer.directive())?);
        if !answer.granted {
            return Ok(Some(Err(halt_of(directive))));
        }
        if asked.elapsed() >= shared.assignment.bounds.grant {
            return Ok(None);
        }
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, Grant { digest, asked });
        Ok(Some(Ok(())))
    }
}

#[async_trait]
impl CommitGate for Gate {
    async fn prepare(&self, stream: u32, digest: [u8; 32]) -> Result<(), Halt> {
        let mut pause = Backoff::default();
        loop {
            if self.shared.contact.is_over() {
                return Err(Halt::Offline);
            }
            if self.still_good(stream, &digest) {
                return Ok(());
            }
            match self.ask(stream, digest).await {
                Ok(Some(Ok(()))) => {
                    fault::point("granted");
                    return Ok(());
                }
                Ok(Some(Err(halt))) => return Err(halt),
                Ok(None) => pause.wait().await,
                Err(LinkError::Fenced) => {
                    self.shared.switch.raise(Directive::Fenced);
                    return Err(Halt::Fenced);
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "leave to commit can't be asked for");
                    return Err(Halt::Offline);
                }
            }
        }
    }
}

/// Passes what the orchestrator told on to everybody who works.
pub(super) fn obey(shared: &Shared, told: Told) -> Directive {
    let directive = match told {
        Told::Continue => Directive::Continue,
        Told::Drain => {
            shared.drain_told.store(true, Ordering::Release);
            Directive::Drain
        }
        Told::Cancel => {
            shared.cancel_told.store(true, Ordering::Release);
            Directive::Cancel
        }
        Told::Fenced => Directive::Fenced,
    };
    shared.switch.raise(directive);
    directive
}

const fn halt_of(directive: Directive) -> Halt {
    match directive {
        Directive::Cancel => Halt::Cancel,
        Directive::Drain => Halt::Drain,
        Directive::TimeOut => Halt::TimeOut,
        Directive::Forbidden(why) => Halt::Forbidden(why),
        // No leave and told to go on makes no sense: nothing is touched.
        Directive::Continue | Directive::Fenced => Halt::Fenced,
    }
}

//! What a worker may ask of the control plane during its attempt, behind the wire: enrol, assignment, report, leave to
//! commit, outcome. Who asks is the [`Peer`] of the certificate; an id that is foreign or unknown is simply not found.
//!
//! Each call is one transaction that begins with the run's row, so a cancel, a fence and a grant have one order.

use std::sync::Arc;

use waybill_model::report::{Assignment, Bounds as WorkerBounds, Directive};
use waybill_model::run::{Desired, RunKind};
use waybill_model::{AttemptId, Micros, OrgId, RunId};
use waybill_store::{Attempt, Certificate, Run, Store, StoreError, StoreResult, Tx};

use crate::service::bounds::Bounds;
use crate::service::digest_of;
use crate::service::nudge::Nudges;

mod complete;
mod enrol;
mod prove;
mod report;

pub use waybill_identity::{Peer, TicketClaim};

/// The answer to a request for leave to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitAnswer {
    /// The commit may be made, within the grant's bound.
    Granted,
    /// It may be made as well, and nothing else is to be begun: the data plane is being drained.
    GrantedLast,
    /// It may not; this is what to do instead.
    Refused(Directive),
}

/// A ticket was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnrolGrant {
    /// For whom the certificate is to be made.
    pub peer: Peer,
    /// The run that the attempt belongs to.
    pub run: RunId,
    /// The same ticket with the same key came again: answer with the same certificate.
    pub again: bool,
}

/// Why no certificate is given.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No such attempt.
    #[error("not found")]
    NotFound,
    /// The attempt is fenced or has ended: the worker exits without touching anything.
    #[error("the attempt is fenced")]
    Fenced,
    /// The ticket was used: with this key too long ago, or with another key, which is an alarm.
    #[error("the ticket was used before")]
    Used {
        /// It came with another key.
        other_key: bool,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a worker's call was not served.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// No such attempt in the certificate's organization.
    #[error("not found")]
    NotFound,
    /// The attempt is fenced or has ended.
    #[error("the attempt is fenced")]
    Fenced,
    /// A field can't be right.
    #[error("{field} {what}")]
    Invalid {
        /// Which one.
        field: &'static str,
        /// What is wrong with it; never a value.
        what: &'static str,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The worker's side of attempts.
#[derive(Clone)]
pub struct AttemptService {
    store: Store,
    bounds: Arc<Bounds>,
    nudges: Arc<Nudges>,
}

/// An attempt and its run, read under the run's lock.
struct Held {
    run: Run,
    attempt: Attempt,
}

impl AttemptService {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store, bounds: Arc<Bounds>, nudges: Arc<Nudges>) -> Self {
        Self { store, bounds, nudges }
    }

    /// What to do. Asked again, it is answered the same.
    pub async fn assignment(&self, peer: &Peer) -> Result<Assignment, AttemptError> {
        let attempt = self.store.attempt_get(peer.org, peer.attempt).await?.ok_or(AttemptError::NotFound)?;
        if attempt.state.is_final() || attempt.fenced_at.is_some() {
            return Err(AttemptError::Fenced);
        }
        let run = self.store.run_get(peer.org, attempt.run).await?.ok_or(AttemptError::NotFound)?;
        let project = self.store.project_get(peer.org, run.project).await?.ok_or(AttemptError::NotFound)?;
        let streams = self.store.run_stream_list(peer.org, run.id).await?;
        let pipeline = match run.pipeline {
            Some(pipeline) => self.store.pipeline_get(peer.org, pipeline).await?,
            None => None,
        };
        let signature = self.store.plan_signature_get(peer.org, &digest_of(&run.plan)).await?;
        Ok(Assignment {
            run: run.id,
            pipeline: run.owner,
            epoch: attempt.epoch,
            accepted_epoch: pipeline.and_then(|pipeline| pipeline.accepted_epoch),
            kind: run.kind,
            plan: run.plan.into_bytes(),
            streams: streams.iter().filter(|s| s.selected).map(|s| s.stream).collect(),
            errands: (streams.iter().filter(|s| s.selected))
                .filter_map(|s| Some((s.stream, s.errand.clone()?)))
                .collect(),
            bounds: WorkerBounds {
                heartbeat: self.bounds.heartbeat,
                offline_grace: self.bounds.offline_grace,
                grant: self.bounds.grant,
            },
            signature,
            preview_rows: run.preview_rows.unwrap_or(0),
            name_ceiling_bytes: if run.kind == RunKind::Discover { project.name_ceiling } else { 0 },
        })
    }

    /// Whether the attempt may have a new certificate: only while it is live and not fenced.
    pub async fn may_renew(&self, peer: &Peer) -> Result<bool, AttemptError> {
        let attempt = self.store.attempt_get(peer.org, peer.attempt).await?.ok_or(AttemptError::NotFound)?;
        Ok(attempt.enrolled_at.is_some() && !attempt.state.is_final() && attempt.fenced_at.is_none())
    }

    /// Where an attempt stands before its worker shows a ticket: fenced and ended ones learn of it at once.
    pub async fn may_enrol(&self, attempt: AttemptId) -> Result<(), EnrolError> {
        let found = self.store.attempt_find(attempt).await?.ok_or(EnrolError::NotFound)?;
        if found.state.is_final() || found.fenced_at.is_some() { Err(EnrolError::Fenced) } else { Ok(()) }
    }
    /// Records a certificate that was issued: its serial number in hex, its key and the end of its life.
    pub async fn issued(
        &self,
        peer: &Peer,
        serial: String,
        spki_sha256: [u8; 32],
        not_after: Micros,
    ) -> Result<(), AttemptError> {
        let spki = hex::encode(spki_sha256);
        let (org, attempt) = (peer.org, peer.attempt);
        let mut tx = self.store.write_tx(peer.org).await?;
        let certificate = Certificate { org, serial, attempt, spki, not_after, revoked_at: None };
        Store::certificate_insert_in_txn(&mut tx, &certificate).await?;
        Ok(tx.commit().await?)
    }

    /// Begins a transaction that holds the run of an attempt.
    async fn hold(&self, org: OrgId, attempt: AttemptId) -> StoreResult<Option<(Tx, Held)>> {
        let Some(known) = self.store.attempt_get(org, attempt).await? else { return Ok(None) };
        let mut tx = self.store.write_tx(org).await?;
        let Some(run) = Store::run_lock_in_txn(&mut tx, org, known.run).await? else { return Ok(None) };
        let Some(attempt) = Store::attempt_get_in_txn(&mut tx, org, attempt).await? else { return Ok(None) };
        Ok(Some((tx, Held { run, attempt })))
    }
}

impl Held {
    /// Whether what a live attempt of this run has begun may be committed.
    fn directive(&self) -> Directive {
        match self.run.desired {
            Desired::Run => Directive::Continue,
            Desired::Cancel => Directive::Cancel,
        }
    }

    /// What a live attempt of this run should do: where its data plane is drained, it begins nothing more.
    async fn directive_in_txn(&self, tx: &mut Tx) -> StoreResult<Directive> {
        let (directive, attempt) = (self.directive(), &self.attempt);
        let may_begin = directive == Directive::Continue && self.run.kind != RunKind::Test;
        let drains = may_begin && Store::data_plane_drains_in_txn(tx, attempt.org, attempt.data_plane).await?;
        Ok(if drains { Directive::Drain } else { directive })
    }
}

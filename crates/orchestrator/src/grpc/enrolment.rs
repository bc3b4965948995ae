//! Enrolment: nonce, then ticket + certificate request + attestation for a short certificate.
//!
//! A refusal is one answer whatever the reason; the reason goes to the log.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use tonic::{Request, Response, Status};
use waybill_identity::attest::aws::Caller;
use waybill_identity::nonce::NonceError;
use waybill_identity::{Binding, IssuedLeaf, Nonces, Peer, TicketClaim, WorkerRequest};
use waybill_model::Micros;
use waybill_protocol::enrolment::{Enrol, Hello};
use waybill_protocol::pb::enrolment as pb;

use super::attempts::Refusal;
use super::issued::{Issued, life_ms};
use super::prove::{self, Unproven};
use super::{Services, status};

pub(super) struct Service {
    shared: Arc<Services>,
    nonces: Nonces,
    issued: Issued,
}

impl Service {
    pub(super) fn new(shared: Arc<Services>, nonces: Nonces) -> Self {
        Self { shared, nonces, issued: Issued::default() }
    }

    /// What a good ticket and a good request say; the nonce is spent when both are.
    fn check(&self, enrol: &Enrol) -> Result<(TicketClaim, WorkerRequest), Status> {
        let now = Micros::now();
        let refuse = |reason: &dyn std::fmt::Display| {
            tracing::warn!(%reason, "enrolment refused");
            status::refused()
        };
        self.nonces.check(&enrol.nonce, now).map_err(|e| refuse(&e))?;
        let claim = self.shared.tickets.check(&enrol.ticket, now).map_err(|e| refuse(&e))?;
        let request = WorkerRequest::read(&enrol.csr).map_err(|error| {
            tracing::warn!(attempt = %claim.attempt, %error, "enrolment refused");
            status::csr_rejected()
        })?;
        Ok((claim, request))
    }

    /// What is proven of where the worker runs. A good ticket without the proof that its data plane asks for is a stolen
    /// one where tasks can be described by others: the attempt is fenced.
    async fn attest(&self, claim: &TicketClaim, enrol: &Enrol, binding: Binding) -> Result<Option<Caller>, Status> {
        let expected = self.shared.attempts.expected(claim).await.map_err(status::of)?;
        match prove::check(&self.shared, (claim, enrol), &expected, binding).await {
            Ok(caller) => Ok(caller),
            Err(Unproven::Unavailable) => Err(Status::unavailable("try_again")),
            Err(Unproven::NotVouched(reason)) => {
                tracing::warn!(attempt = %claim.attempt, %reason, remote = %binding.remote, "enrolment refused");
                Err(status::refused())
            }
            Err(Unproven::Refused(reason)) => {
                tracing::warn!(attempt = %claim.attempt, %reason, remote = %binding.remote, "enrolment refused");
                if expected.guards_the_ticket() {
                    self.shared.attempts.unproven(claim, reason.0).await.map_err(status::of)?;
                    self.shared.deny.revoke_attempt(claim.attempt);
                    tracing::error!(attempt = %claim.attempt, "ALARM: a good ticket came without the proof of its role");
                    crate::metrics::enrolment_alarm();
                }
                Err(status::refused())
            }
        }
    }

    async fn certificate(&self, claim: TicketClaim, request: &WorkerRequest) -> Result<IssuedLeaf, Status> {
        let spki = request.spki_sha256();
        self.shared.attempts.enrol(&claim, spki).await.map_err(|refusal| {
            if matches!(refusal, Refusal::TicketUsed { other_key: true }) {
                // Whoever enrolled first may not be the worker that was started: neither goes on.
                self.shared.deny.revoke_attempt(claim.attempt);
                tracing::error!(attempt = %claim.attempt, "ALARM: a ticket was presented again with another key");
                crate::metrics::enrolment_alarm();
            }
            status::of(refusal)
        })?;
        if let Some(leaf) = self.issued.again(&claim, &spki) {
            return Ok(leaf);
        }
        let peer = Peer { org: claim.org, attempt: claim.attempt };
        let leaf = self.shared.authority.issue_worker(&peer, request, Micros::now()).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "issue a worker certificate");
            Status::unavailable("try_again")
        })?;
        self.shared.attempts.issued(&peer, &leaf, spki).await.map_err(status::of)?;
        self.issued.keep(claim, spki, leaf.clone());
        Ok(leaf)
    }
}

#[tonic::async_trait]
impl pb::enrolment_server::Enrolment for Service {
    async fn hello(&self, request: Request<pb::HelloRequest>) -> Result<Response<pb::HelloResponse>, Status> {
        let hello = Hello::try_from(request.into_inner()).map_err(|e| status::invalid(&e))?;
        if !self.shared.version.serves(hello.version) {
            tracing::warn!(attempt = %hello.attempt, worker = %hello.version, "the worker's version is not served");
            return Err(status::upgrade_required());
        }
        if self.shared.deny.denies_attempt(hello.attempt) {
            return Err(status::fenced());
        }
        self.shared.attempts.may_enrol(hello.attempt).await.map_err(status::of)?;
        Ok(Response::new(pb::HelloResponse { nonce: self.nonces.issue(Micros::now()).to_vec() }))
    }

    async fn enrol(&self, request: Request<pb::EnrolRequest>) -> Result<Response<pb::EnrolResponse>, Status> {
        let remote = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let remote = remote.ok_or_else(status::refused)?;
        let enrol = Enrol::try_from(request.into_inner()).map_err(|e| status::invalid(&e))?;
        let (claim, csr) = self.check(&enrol)?;
        let binding = Binding { nonce: enrol.nonce, spki_sha256: csr.spki_sha256(), remote };
        let caller = self.attest(&claim, &enrol, binding).await?;
        self.nonces.spend(&enrol.nonce, Micros::now()).map_err(|error| {
            tracing::warn!(attempt = %claim.attempt, %error, "enrolment refused");
            if error == NonceError::Busy { status::quota() } else { status::refused() }
        })?;
        let leaf = self.certificate(claim, &csr).await?;
        if let Some(caller) = caller {
            self.shared.attempts.proven(&claim, &caller).await.map_err(status::of)?;
        }
        tracing::info!(org = %claim.org, attempt = %claim.attempt, "a worker enrolled");
        let life_ms = life_ms(&leaf, Micros::now());
        Ok(Response::new(pb::EnrolResponse {
            certificate_chain: leaf.chain,
            roots: vec![self.shared.authority.root().to_vec()],
            worker_endpoint: self.shared.worker.endpoint.clone(),
            worker_server_name: self.shared.worker.server_name.clone(),
            not_after_us: leaf.not_after.0,
            life_ms,
        }))
    }
}

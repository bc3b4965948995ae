//! The worker service: one call each of assignment, leave to commit, outcome and renewal; the report stream stands apart.

use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status, Streaming};
use waybill_identity::{Certified, Peer, WorkerRequest};
use waybill_model::report::Directive;
use waybill_model::{Micros, fault};
use waybill_protocol::enrolment::MAX_CSR_BYTES;
use waybill_protocol::pb::worker as pb;
use waybill_protocol::worker::{PrepareCommit, Submission, directive};
use waybill_protocol::{Problem, WireError};

use super::answers::Read;
use super::issued::life_ms;
use super::quota::Meter;
use super::{Services, admit, report, status};
use crate::listen::HangUp;

pub(super) struct Service {
    shared: Arc<Services>,
    meter: Arc<Meter>,
}

impl Service {
    pub(super) fn new(shared: Arc<Services>) -> Self {
        let meter = Arc::new(Meter::new(shared.quota));
        Self { shared, meter }
    }

    /// Who calls, if the call may be heard and is within its quota.
    fn admit<T>(&self, request: &Request<T>) -> Result<Arc<Certified>, Status> {
        let certified = admit::certified(request)?;
        admit::admit(&certified, &self.shared.deny, Micros::now())?;
        if self.meter.take(certified.peer.attempt, 0, Instant::now()) { Ok(certified) } else { Err(status::quota()) }
    }

    fn peer<T>(&self, request: &Request<T>) -> Result<Peer, Status> {
        Ok(self.admit(request)?.peer)
    }
}

#[tonic::async_trait]
impl pb::worker_server::Worker for Service {
    async fn get_assignment(
        &self,
        request: Request<pb::GetAssignmentRequest>,
    ) -> Result<Response<pb::GetAssignmentResponse>, Status> {
        let peer = self.peer(&request)?;
        let assignment = self.shared.attempts.assignment(&peer).await.map_err(status::of)?;
        Ok(Response::new(assignment.into()))
    }

    type ReportStream = Read<pb::ReportResponse>;

    async fn report(
        &self,
        request: Request<Streaming<pb::ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let certified = self.admit(&request)?;
        // A foreign or unknown attempt is refused before the stream opens, in the same words as by every other call.
        self.shared.attempts.may_renew(&certified.peer).await.map_err(status::of)?;
        let conversation =
            report::Conversation { shared: Arc::clone(&self.shared), meter: Arc::clone(&self.meter), certified };
        let hang_up = HangUp::of(request.extensions());
        Ok(Response::new(conversation.begin(request.into_inner(), hang_up)))
    }

    async fn prepare_commit(
        &self,
        request: Request<pb::PrepareCommitRequest>,
    ) -> Result<Response<pb::PrepareCommitResponse>, Status> {
        let peer = self.peer(&request)?;
        let ask = PrepareCommit::try_from(request.into_inner()).map_err(|e| status::invalid(&e))?;
        let answer = self.shared.attempts.prepare_commit(&peer, ask.epoch, ask.stream, ask.digest).await;
        let answer = answer.map_err(status::of)?;
        // A drain lets what has begun be committed.
        let granted = matches!(answer, Directive::Continue | Directive::Drain);
        Ok(Response::new(pb::PrepareCommitResponse { granted, directive: directive(answer).into() }))
    }

    async fn complete(&self, request: Request<pb::CompleteRequest>) -> Result<Response<pb::CompleteResponse>, Status> {
        let peer = self.peer(&request)?;
        let Submission { epoch, completion } =
            Submission::try_from(request.into_inner()).map_err(|e| status::invalid(&e))?;
        let answer = self.shared.attempts.complete(&peer, epoch, completion).await.map_err(status::of)?;
        Ok(Response::new(pb::CompleteResponse { directive: directive(answer).into() }))
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::RenewResponse>, Status> {
        let peer = self.peer(&request)?;
        if fault::asked("renew", "repeat") {
            return Err(Status::unavailable("try_again"));
        }
        let csr = request.into_inner().csr;
        if csr.len() > MAX_CSR_BYTES {
            return Err(status::invalid(&WireError::new("csr", Problem::Limit(MAX_CSR_BYTES))));
        }
        if !self.shared.attempts.may_renew(&peer).await.map_err(status::of)? {
            return Err(status::fenced());
        }
        let request = WorkerRequest::read(&csr).map_err(|error| {
            tracing::warn!(attempt = %peer.attempt, %error, "a renewal was refused");
            status::csr_rejected()
        })?;
        let leaf = self.shared.authority.issue_worker(&peer, &request, Micros::now()).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "renew a worker certificate");
            Status::unavailable("try_again")
        })?;
        self.shared.attempts.issued(&peer, &leaf, request.spki_sha256()).await.map_err(status::of)?;
        let life_ms = life_ms(&leaf, Micros::now());
        Ok(Response::new(pb::RenewResponse { certificate_chain: leaf.chain, not_after_us: leaf.not_after.0, life_ms }))
    }
}

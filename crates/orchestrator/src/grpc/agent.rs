//! The agent services: enrolment on the public listener, session and renewal on the mTLS listener.
//!
//! They translate and bound; every decision is the agent service's. Who speaks is read from the certificate only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::{Request, Response, Status, Streaming};
use waybill_identity::{CertifiedAgent, Invitation, IssuedLeaf, WorkerRequest};
use waybill_model::Micros;
use waybill_protocol::agent::{Enrol, Orders, Told};
use waybill_protocol::enrolment::MAX_CSR_BYTES;
use waybill_protocol::pb::agent as pb;
use waybill_protocol::{Problem, WireError};
use waybill_store::AgentCertificate;

use super::answers::{Answers, Gone, Read};
use super::issued::life_ms;
use super::{Services, status};
use crate::listen::HangUp;
use crate::service::agent::{AgentError, AgentService, OpenSession, Presented, Renewal};

/// How long an agent waits before it asks again whether its key was approved.
const AGAIN: Duration = Duration::from_secs(5);
/// Between two looks for orders, where no nudge comes.
const LOOK: Duration = Duration::from_secs(3);
#[derive(Clone)]
pub(super) struct Service {
    pub(super) shared: Arc<Services>,
    pub(super) agents: AgentService,
}

impl Service {
    async fn issue(&self, renewal: &Renewal, request: &WorkerRequest) -> Result<IssuedLeaf, Status> {
        let (authority, life) = (&self.shared.authority, self.agents.certificate_life());
        let leaf = authority.issue_agent(&renewal.peer, request, life, Micros::now()).map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "issue an agent's certificate");
            Status::unavailable("try_again")
        })?;
        let (spki, serial) = (hex::encode(request.spki_sha256()), hex::encode(&leaf.serial));
        let certificate = AgentCertificate { spki: &spki, serial: &serial, not_after: leaf.not_after };
        self.agents.certify(renewal, certificate).await.map_err(of)?;
        tracing::info!(
            org = %renewal.peer.org, agent = %renewal.peer.agent, generation = renewal.generation, "certified an agent"
        );
        Ok(leaf)
    }

    fn enrolled(&self, renewal: &Renewal, leaf: IssuedLeaf) -> pb::EnrolResponse {
        pb::EnrolResponse {
            state: pb::EnrolState::Enrolled.into(),
            again_ms: 0,
            agent_id: renewal.peer.agent.to_string(),
            life_ms: life_ms(&leaf, Micros::now()),
            certificate_chain: leaf.chain,
            roots: vec![self.shared.authority.root().to_vec()],
            endpoint: self.shared.worker.endpoint.clone(),
            server_name: self.shared.worker.server_name.clone(),
            generation: renewal.generation.unsigned_abs(),
        }
    }
}

fn read_request(csr: &[u8]) -> Result<WorkerRequest, Status> {
    if csr.len() > MAX_CSR_BYTES {
        return Err(status::invalid(&WireError::new("csr", Problem::Limit(MAX_CSR_BYTES))));
    }
    WorkerRequest::read(csr).map_err(|error| {
        tracing::warn!(%error, "an agent's request for a certificate was refused");
        status::csr_rejected()
    })
}

#[tonic::async_trait]
impl pb::agent_enrolment_server::AgentEnrolment for Service {
    async fn enrol(&self, request: Request<pb::EnrolRequest>) -> Result<Response<pb::EnrolResponse>, Status> {
        let enrol = Enrol::try_from(request.into_inner()).map_err(|e| status::invalid(&e))?;
        if !self.shared.version.serves(enrol.version) {
            return Err(status::upgrade_required());
        }
        let invitation = Invitation::check(&enrol.token, &self.shared.tickets).map_err(|reason| {
            tracing::warn!(%reason, "an agent's enrolment was refused");
            status::refused()
        })?;
        let request = read_request(&enrol.csr)?;
        match self.agents.present(&invitation, &hex::encode(request.spki_sha256())).await.map_err(of)? {
            Presented::Pending => Ok(Response::new(pb::EnrolResponse {
                state: pb::EnrolState::Pending.into(),
                again_ms: u64::try_from(AGAIN.as_millis()).unwrap_or(u64::MAX),
                agent_id: invitation.agent.to_string(),
                ..Default::default()
            })),
            Presented::Granted(renewal) => {
                let leaf = self.issue(&renewal, &request).await?;
                Ok(Response::new(self.enrolled(&renewal, leaf)))
            }
        }
    }
}

#[tonic::async_trait]
impl pb::agent_server::Agent for Service {
    type SessionStream = Read<pb::SessionResponse>;

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let certified = certified(&request)?;
        let hang_up = HangUp::of(request.extensions());
        let messages = request.into_inner();
        let (to_agent, answers) = Answers::open(self.shared.read_time, hang_up);
        let this = self.clone();
        tokio::spawn(async move {
            if let Err(end) = this.converse(&certified, messages, &to_agent).await {
                to_agent.end(end).await;
            }
        });
        Ok(Response::new(answers))
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::RenewResponse>, Status> {
        let certified = certified(&request)?;
        let pb::RenewRequest { csr, generation } = request.into_inner();
        let request = read_request(&csr)?;
        let spki = hex::encode(request.spki_sha256());
        let renewal = self.agents.next_certificate(&certified, generation, &spki).await.map_err(of)?;
        let leaf = self.issue(&renewal, &request).await?;
        let (life_ms, generation) = (life_ms(&leaf, Micros::now()), renewal.generation.unsigned_abs());
        Ok(Response::new(pb::RenewResponse { certificate_chain: leaf.chain, life_ms, generation }))
    }
}

type Sender = Answers<pb::SessionResponse>;

impl Service {
    async fn converse(
        &self,
        certified: &CertifiedAgent,
        mut messages: Streaming<pb::SessionRequest>,
        to_agent: &Sender,
    ) -> Result<(), Status> {
        let first = tokio::time::timeout(self.agents.silence(), messages.message()).await;
        let Some(first) = first.map_err(|_| Status::deadline_exceeded("idle"))?? else { return Ok(()) };
        let told = read(first)?;
        if !told.version.is_some_and(|version| self.shared.version.serves(version)) {
            return Err(status::upgrade_required());
        }
        let mut session = self.agents.open(certified, &told).await.map_err(of)?;
        let ended = self.session_of(certified, &mut session, (told, messages), to_agent).await;
        if let Err(error) = self.agents.close(&session).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a session could not be closed");
        }
        tracing::info!(agent = %session.peer().agent, "an agent's session ended");
        ended
    }

    async fn session_of(
        &self,
        certified: &CertifiedAgent,
        session: &mut OpenSession,
        (told, mut messages): (Told, Streaming<pb::SessionRequest>),
        to_agent: &Sender,
    ) -> Result<(), Status> {
        let mut orders = self.agents.hear(session, &told).await.map_err(of)?;
        orders.heartbeat = Some(self.agents.heartbeat());
        send(to_agent, orders).await?;
        let (mut changes, mut heard_at) = (self.agents.changes(session), Instant::now());
        loop {
            changes.mark_seen();
            if Micros::now() >= certified.not_after {
                return Err(status::unauthenticated());
            }
            send(to_agent, self.agents.orders(session, &self.shared.tickets).await.map_err(of)?).await?;
            let look = tokio::time::sleep(LOOK);
            let next = tokio::select! {
                biased;
                () = self.shared.stop.cancelled() => return Err(status::going_away()),
                () = to_agent.closed() => return Ok(()),
                next = messages.message() => Some(next?),
                () = changes.changed() => None,
                () = look => None,
            };
            match next {
                Some(None) => return Ok(()),
                Some(Some(message)) => {
                    heard_at = Instant::now();
                    let orders = self.agents.hear(session, &read(message)?).await.map_err(of)?;
                    send(to_agent, orders).await?;
                }
                None if heard_at.elapsed() >= self.agents.silence() => return Err(Status::deadline_exceeded("idle")),
                None => {}
            }
        }
    }
}

fn certified<T>(request: &Request<T>) -> Result<Arc<CertifiedAgent>, Status> {
    let certified = request.extensions().get::<Arc<CertifiedAgent>>().cloned().ok_or_else(status::unauthenticated)?;
    if Micros::now() >= certified.not_after { Err(status::unauthenticated()) } else { Ok(certified) }
}

fn read(message: pb::SessionRequest) -> Result<Told, Status> {
    Told::try_from(message).map_err(|e| status::invalid(&e))
}

async fn send(to_agent: &Sender, orders: Orders) -> Result<(), Status> {
    if orders.is_empty() {
        return Ok(());
    }
    to_agent.send(orders.into()).await.map_err(|Gone| Status::cancelled("gone"))
}

/// The closed list of what an agent is told.
fn of(error: AgentError) -> Status {
    match error {
        AgentError::Refused => status::refused(),
        AgentError::Disabled => Status::permission_denied("agent_disabled"),
        AgentError::Locked => Status::permission_denied("agent_locked"),
        AgentError::RenewFirst => Status::failed_precondition("renew_first"),
        AgentError::EnrolAnew => Status::failed_precondition("enrol_anew"),
        AgentError::Role => status::invalid(&WireError::new("worker_role", Problem::UnknownValue)),
        AgentError::Caller => status::invalid(&WireError::new("cloud_caller", Problem::UnknownValue)),
        AgentError::Superseded => Status::aborted("superseded"),
        AgentError::Store(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an agent's call could not be answered");
            Status::unavailable("try_again")
        }
    }
}

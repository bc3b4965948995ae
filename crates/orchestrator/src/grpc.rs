//! The gRPC services: enrolment of workers and agents on the public listener, their work on the mTLS listener.
//!
//! They translate and bound; every decision is the attempt service's. Who speaks is read from the certificate only, and
//! whatever a peer may not know of is answered with the same bytes as what does not exist.

mod admit;
mod agent;
mod answers;
mod attempts;
mod enrolment;
mod issued;
mod principal;
mod prove;
mod quota;
mod report;
mod status;
mod stored;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;
use waybill_identity::{Attestation, Authority, DenyList, Nonces, Pin, ProcessAttestation, TicketKey};
use waybill_protocol::pb::agent::agent_enrolment_server::{AgentEnrolmentServer, SERVICE_NAME as AGENT_ENROLMENT};
use waybill_protocol::pb::agent::agent_server::{AgentServer, SERVICE_NAME as AGENT};
use waybill_protocol::pb::enrolment::enrolment_server::{EnrolmentServer, SERVICE_NAME as ENROLMENT};
use waybill_protocol::pb::worker::worker_server::{SERVICE_NAME as WORKER, WorkerServer};
use waybill_protocol::{MAX_MESSAGE_BYTES, Version};

use crate::service::agent::AgentService;

pub use attempts::{Attempts, Refusal};
pub use prove::{Expected, IssuerDoor, IssuerError, StsDoor};
pub use quota::Quota;

/// Largest enrolment message.
const MAX_ENROLMENT_BYTES: usize = 64 << 10;

/// Where a worker finds the worker listener.
#[derive(Clone, Debug)]
pub struct WorkerAddress {
    /// Host and port.
    pub endpoint: String,
    /// The name in its certificate.
    pub server_name: String,
}

/// How many workers have an open report stream now. Clones count the same.
#[derive(Clone, Debug, Default)]
pub struct WorkersConnected(Arc<AtomicUsize>);

impl WorkersConnected {
    /// The number now.
    #[must_use]
    pub fn now(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// What both services work with.
pub struct Services {
    /// Decides.
    pub attempts: Arc<dyn Attempts>,
    /// Issues certificates.
    pub authority: Arc<Authority>,
    /// What workers are told to expect of this server's TLS: a task binds its proof to it.
    pub pin: Pin,
    /// Decides for agents; without it none is served.
    pub agents: Option<AgentService>,
    /// Checks tickets.
    pub tickets: Arc<TicketKey>,
    /// The kinds of proof that are accepted.
    pub attestations: Vec<Arc<dyn Attestation>>,
    /// Where roles of AWS are proven.
    pub sts: StsDoor,
    /// What is revoked.
    pub deny: Arc<DenyList>,
    /// Where enrolled workers go.
    pub worker: WorkerAddress,
    /// What one attempt may send.
    pub quota: Quota,
    /// The version that workers are compared with.
    pub version: Version,
    /// A report stream on which nothing came for so long is closed.
    pub report_idle: Duration,
    /// A worker or an agent that reads no answer for so long is hung up on.
    pub read_time: Duration,
    /// Counts workers.
    pub connected: WorkersConnected,
    /// Ends report streams, so that workers go to another replica.
    pub stop: CancellationToken,
}

impl Services {
    /// With the defaults of a deployment whose workers are local processes.
    #[must_use]
    pub fn new(
        attempts: Arc<dyn Attempts>,
        authority: Arc<Authority>,
        tickets: Arc<TicketKey>,
        worker: WorkerAddress,
        sts: StsDoor,
    ) -> Self {
        Self {
            attempts,
            pin: authority.pin(),
            authority,
            agents: None,
            tickets,
            attestations: vec![Arc::new(ProcessAttestation)],
            sts,
            deny: Arc::default(),
            worker,
            quota: Quota::default(),
            version: Version::current(),
            report_idle: Duration::from_secs(120),
            read_time: Duration::from_secs(20),
            connected: WorkersConnected::default(),
            stop: CancellationToken::new(),
        }
    }

    /// The routes of both services: for the public listener, beside REST, and for the worker listener.
    pub fn routers(self) -> (Router, Router) {
        let shared = Arc::new(self);
        let nonces = Nonces::new(&shared.tickets);
        let enrolment = EnrolmentServer::new(enrolment::Service::new(Arc::clone(&shared), nonces))
            .max_decoding_message_size(MAX_ENROLMENT_BYTES);
        let worker =
            WorkerServer::new(worker::Service::new(Arc::clone(&shared))).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let route = |name: &str| format!("/{name}/{{*rpc}}");
        let public = Router::new().route_service(&route(ENROLMENT), enrolment);
        let mutual = Router::new().route_service(&route(WORKER), worker);
        let declared = |router: Router| router.route_layer(axum::middleware::from_fn(principal::check));
        let Some(agents) = shared.agents.clone() else { return (declared(public), declared(mutual)) };
        let service = agent::Service { shared, agents };
        let enrolment = AgentEnrolmentServer::new(service.clone()).max_decoding_message_size(MAX_ENROLMENT_BYTES);
        let agent = AgentServer::new(service).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let public = public.route_service(&route(AGENT_ENROLMENT), enrolment);
        (declared(public), declared(mutual.route_service(&route(AGENT), agent)))
    }
}

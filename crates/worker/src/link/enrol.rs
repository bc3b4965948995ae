//! Enrolment: Hello, a key in memory, then ticket, request and proof for a certificate. A lost answer is asked for again
//! with the same key, which gets the same certificate.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::time::Instant;
use tonic::Status;
use waybill_identity::{Ticket, WorkerKey, client};
use waybill_model::AttemptId;
use waybill_model::report::Assignment;
use waybill_protocol::pb::enrolment as pb;
use waybill_protocol::pb::enrolment::enrolment_client::EnrolmentClient;
use waybill_protocol::pb::worker::GetAssignmentRequest;
use waybill_protocol::{Problem, Version, WireError};

use super::channel::{self, Backoff, Channels};
use super::egress::Egress;
use super::prove::Prover;
use super::{Address, LinkError};

/// A worker that has its first certificate.
pub(super) struct Enrolled {
    pub(super) attempt: AttemptId,
    key: WorkerKey,
    answer: pb::EnrolResponse,
}

impl Enrolled {
    /// The channel to the worker listener, how long the certificate lives, and the roots to trust there.
    pub(super) fn connect(&self, egress: &Egress) -> Result<(Channels, Duration, Vec<Vec<u8>>), LinkError> {
        let tls = client::worker(&self.answer.roots, &self.answer.certificate_chain, &self.key)?;
        let name = server_name(&self.answer.worker_server_name)?;
        let channels = Channels::new(self.answer.worker_endpoint.clone(), name, tls, egress.meter().clone())?;
        Ok((channels, Duration::from_millis(self.answer.life_ms), self.answer.roots.clone()))
    }
}

/// Enrols with a ticket.
pub(super) async fn enrol(
    address: &Address,
    ticket: &Ticket,
    egress: &Egress,
    start: Duration,
) -> Result<Enrolled, LinkError> {
    let attempt = ticket.attempt().ok_or(LinkError::Address("the ticket is not one"))?;
    let host = address.endpoint.rsplit_once(':').map(|(host, _)| host);
    let name = server_name(host.ok_or(LinkError::Address("endpoint: host:port"))?)?;
    let channel = channel::open(&address.endpoint, name, client::pinned(address.pin)?, egress.meter())?;
    let mut enrolment = EnrolmentClient::new(channel);
    let key = WorkerKey::generate()?;
    let (prover, deployment) = (Prover::find(ticket)?, address.pin.to_string());
    let showing = Showing { ticket, attempt, key: &key, prover: &prover, deployment: &deployment };
    let (mut pause, began) = (Backoff::default(), Instant::now());
    loop {
        let last = match once(&mut enrolment, &showing, egress).await {
            Ok(answer) => return Ok(Enrolled { attempt, key, answer }),
            Err(Failed::Link(later @ LinkError::ProofLater(_))) => {
                tracing::warn!("{later}; trying again");
                later
            }
            Err(Failed::Link(error)) => return Err(error),
            Err(Failed::Status(status)) => {
                tracing::warn!(code = ?status.code(), "enrolment was not answered; trying again");
                channel::unless_final(&status)?;
                LinkError::Unreachable(start)
            }
        };
        if began.elapsed() >= start {
            return Err(last);
        }
        pause.wait().await;
    }
}

enum Failed {
    Status(Status),
    Link(LinkError),
}

impl<E: Into<LinkError>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Link(error.into())
    }
}

/// What a worker shows to get its certificate.
struct Showing<'a> {
    ticket: &'a Ticket,
    attempt: AttemptId,
    key: &'a WorkerKey,
    prover: &'a Prover<'a>,
    deployment: &'a str,
}

const ANSWER: Duration = Duration::from_secs(3);
/// The orchestrator may have to ask a cloud who signed.
const ENROL_ANSWER: Duration = Duration::from_secs(12);

async fn once(
    enrolment: &mut EnrolmentClient<tonic::transport::Channel>,
    showing: &Showing<'_>,
    egress: &Egress,
) -> Result<pb::EnrolResponse, Failed> {
    let version = Some(Version::current().into());
    let hello = egress.clear(pb::HelloRequest { attempt_id: showing.attempt.to_string(), version })?;
    let answer = channel::bounded(ANSWER, enrolment.hello(hello.into_request())).await.map_err(Failed::Status)?;
    let nonce: [u8; 32] = answer
        .into_inner()
        .nonce
        .try_into()
        .map_err(|_| LinkError::Answer(WireError::new("nonce", Problem::Length(32))))?;
    let request = pb::EnrolRequest {
        ticket: showing.ticket.reveal().to_vec(),
        nonce: nonce.to_vec(),
        csr: showing.key.request().map_err(LinkError::Identity)?,
        ..pb::EnrolRequest::default()
    };
    let request = showing.prover.complete(request, (&nonce, showing.key, showing.deployment)).await?;
    let request = egress.clear(request)?;
    let answer =
        channel::bounded(ENROL_ANSWER, enrolment.enrol(request.into_request())).await.map_err(Failed::Status)?;
    Ok(answer.into_inner())
}

/// What to do. The first answered call on the worker listener: only now is the worker connected.
pub(super) async fn assignment(channels: &Channels, egress: &Egress, start: Duration) -> Result<Assignment, LinkError> {
    let (mut pause, began) = (Backoff::default(), Instant::now());
    loop {
        let request = egress.clear(GetAssignmentRequest {})?;
        match channel::bounded(ANSWER, channels.client().get_assignment(request.into_request())).await {
            Ok(answer) => return Ok(answer.into_inner().try_into()?),
            Err(status) => channel::unless_final(&status)?,
        }
        if began.elapsed() >= start {
            return Err(LinkError::Unreachable(start));
        }
        pause.wait().await;
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, LinkError> {
    waybill_identity::channel::server_name(host)
        .map_err(|_| LinkError::Address("the orchestrator's name is not a host name"))
}

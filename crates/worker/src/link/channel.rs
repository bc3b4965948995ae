//! Channels to the orchestrator over our own TLS, how often to try again, and which answers end it.

use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Code, Status};
use waybill_identity::channel::{self, Meter};
use waybill_protocol::MAX_MESSAGE_BYTES;
use waybill_protocol::pb::worker::worker_client::WorkerClient;

use super::LinkError;

pub(super) use waybill_identity::channel::Backoff;

/// The channel of the current certificate; a renewal puts another one in.
pub(super) struct Channels {
    current: watch::Sender<Channel>,
    pub(super) endpoint: String,
    pub(super) server_name: ServerName<'static>,
    meter: Meter,
}

impl Channels {
    pub(super) fn new(
        endpoint: String,
        server_name: ServerName<'static>,
        tls: rustls::ClientConfig,
        meter: Meter,
    ) -> Result<Self, LinkError> {
        let channel = open(&endpoint, server_name.clone(), tls, &meter)?;
        Ok(Self { current: watch::Sender::new(channel), endpoint, server_name, meter })
    }

    /// Later calls use a channel of this configuration.
    pub(super) fn replace(&self, tls: rustls::ClientConfig) -> Result<(), LinkError> {
        self.current.send_replace(open(&self.endpoint, self.server_name.clone(), tls, &self.meter)?);
        Ok(())
    }

    pub(super) fn client(&self) -> WorkerClient<Channel> {
        WorkerClient::new(self.current.borrow().clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Tells of replaced channels.
    pub(super) fn changes(&self) -> watch::Receiver<Channel> {
        self.current.subscribe()
    }
}

/// A lazy channel: it is connected when its first call was answered, not before.
pub(super) fn open(
    endpoint: &str,
    server_name: ServerName<'static>,
    tls: rustls::ClientConfig,
    meter: &Meter,
) -> Result<Channel, LinkError> {
    channel::open(endpoint, server_name, tls, meter).map_err(|_| LinkError::Address("endpoint: host:port"))
}

/// A call that ends in time: a peer that takes a call and is silent counts as away.
pub(super) async fn bounded<T>(
    heartbeat: Duration,
    call: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let limit = heartbeat.max(Duration::from_secs(2)) * 3;
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("silent")))
}

/// Whether an answer leaves any sense in asking again.
pub(super) fn unless_final(status: &Status) -> Result<(), LinkError> {
    match status.code() {
        Code::FailedPrecondition if status.message() == "upgrade_required" => Err(LinkError::UpgradeRequired),
        Code::FailedPrecondition => Err(LinkError::Fenced),
        // Nobody knows this attempt any more: it is not ours to go on with.
        Code::NotFound => Err(LinkError::Fenced),
        Code::InvalidArgument | Code::PermissionDenied | Code::OutOfRange | Code::Unimplemented => {
            Err(LinkError::Refused(status.message().to_owned()))
        }
        _ => Ok(()),
    }
}

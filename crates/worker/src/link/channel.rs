//! Channels to the orchestrator over our own TLS, how often to try again, and which answers end it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};
use waybill_protocol::MAX_MESSAGE_BYTES;
use waybill_protocol::pb::worker::worker_client::WorkerClient;

use super::LinkError;

const CONNECT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The channel of the current certificate; a renewal puts another one in.
pub(super) struct Channels {
    current: watch::Sender<Channel>,
    pub(super) endpoint: String,
    pub(super) server_name: ServerName<'static>,
}

impl Channels {
    pub(super) fn new(
        endpoint: String,
        server_name: ServerName<'static>,
        tls: rustls::ClientConfig,
    ) -> Result<Self, LinkError> {
        let channel = open(&endpoint, server_name.clone(), tls)?;
        Ok(Self { current: watch::Sender::new(channel), endpoint, server_name })
    }

    /// Later calls use a channel of this configuration.
    pub(super) fn replace(&self, tls: rustls::ClientConfig) -> Result<(), LinkError> {
        self.current.send_replace(open(&self.endpoint, self.server_name.clone(), tls)?);
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
) -> Result<Channel, LinkError> {
    // The scheme is only for tonic, which must not add TLS of its own: ours stands below.
    let uri = Uri::try_from(format!("http://{endpoint}")).map_err(|_| LinkError::Address("endpoint: host:port"))?;
    let address: Arc<str> = endpoint.into();
    let connector = TlsConnector::from(Arc::new(tls));
    let connect = tower::service_fn(move |_: Uri| {
        let (address, name, connector) = (Arc::clone(&address), server_name.clone(), connector.clone());
        async move {
            let stream = TcpStream::connect(&*address).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(hyper_util::rt::TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    Ok(Endpoint::from(uri)
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connect))
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

/// Waits with full jitter between tries, from a tenth of a second to five seconds.
#[derive(Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    pub(super) async fn wait(&mut self) {
        let most = Duration::from_millis(100 << self.0.min(6)).min(Duration::from_secs(5));
        self.0 += 1;
        tokio::time::sleep(Duration::from_millis(50) + most.mul_f64(rand::random::<f64>())).await;
    }

    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }
}

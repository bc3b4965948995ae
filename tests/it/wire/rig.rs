//! The orchestrator's two listeners with a real attempt service on SQLite, and attempts that wait for their worker.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustls::pki_types::ServerName as TlsName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Status};
use waybill_identity::{
    Acceptor, Authority, CertificateSlot, DenyList, KeyDirectory, ProcessAttestation, ServerName, Ticket, TicketClaim,
    TicketKey, TrustDomain, WorkerKey, client,
};
use waybill_model::run::{RunKind, RunState};
use waybill_model::{AttemptId, DataPlaneId, Epoch, Micros, OrgId, PipelineId, ProjectId, RunId};
use waybill_orchestrator::grpc::{IssuerDoor, Quota, Services, StsDoor, WorkerAddress, WorkersConnected};
use waybill_orchestrator::listen::{Limits, Listener};
use waybill_orchestrator::service::agent::AgentService;
use waybill_orchestrator::service::attempt::AttemptService;
use waybill_orchestrator::service::bounds::Bounds;
use waybill_orchestrator::service::nudge::Nudges;
use waybill_protocol::pb::enrolment as enrolment_pb;
use waybill_protocol::pb::enrolment::enrolment_client::EnrolmentClient;
use waybill_protocol::pb::worker::worker_client::WorkerClient;
use waybill_protocol::{MAX_MESSAGE_BYTES, Version};
use waybill_store::{Attempt, NewAttempt, NewRun, Store, StoreOptions};
use waybill_tests::cut::Proxy;

/// What differs between rigs.
pub(super) struct Options {
    pub(super) worker_life: Duration,
    pub(super) bounds: Bounds,
    pub(super) quota: Quota,
    pub(super) report_idle: Duration,
    pub(super) read_time: Duration,
    pub(super) version: Version,
    pub(super) store: StoreOptions,
    /// Another STS than the regions' own.
    pub(super) sts: Option<String>,
    /// Another place of issuers' keys than their own.
    pub(super) issuer: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        let bounds = Bounds {
            heartbeat: Duration::from_millis(200),
            offline_grace: Duration::from_secs(20),
            ..Bounds::default()
        };
        Self {
            worker_life: Duration::from_secs(3600),
            bounds,
            quota: Quota::default(),
            report_idle: Duration::from_secs(30),
            read_time: Duration::from_secs(20),
            version: Version::current(),
            store: StoreOptions::default(),
            sts: None,
            issuer: None,
        }
    }
}

/// The orchestrator's wire.
pub(super) struct Rig {
    pub(super) store: Store,
    pub(super) authority: Arc<Authority>,
    pub(super) tickets: Arc<TicketKey>,
    pub(super) deny: Arc<DenyList>,
    pub(super) connected: WorkersConnected,
    pub(super) public: SocketAddr,
    pub(super) workers: SocketAddr,
    /// Stands before the worker listener: enrolled workers are sent here.
    pub(super) proxy: Proxy,
    pub(super) slot: Arc<CertificateSlot>,
    _dir: tempfile::TempDir,
}

/// An attempt that waits for its worker.
pub(super) struct Made {
    pub(super) org: OrgId,
    pub(super) run: RunId,
    pub(super) attempt: AttemptId,
    pub(super) epoch: Epoch,
    pub(super) ticket: Ticket,
}

/// A client of the worker service.
pub(super) type Worker = WorkerClient<Channel>;

/// A worker's certificate and key.
pub(super) struct Identity {
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) roots: Vec<Vec<u8>>,
    pub(super) key: WorkerKey,
}

impl Rig {
    pub(super) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(super) async fn start_with(options: Options) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let keys = KeyDirectory::created(dir.path().join("keys"));
        let url = format!("sqlite://{}", dir.path().join("waybill.db").display());
        let store = Store::open_with(&url, &options.store).await.expect("a store");
        let domain = TrustDomain::new("waybill.test").expect("a domain");
        let authority = Arc::new(Authority::open(&keys, domain.clone(), options.worker_life).expect("an authority"));
        let tickets = Arc::new(TicketKey::open(&keys).expect("a ticket key"));
        let names = vec![ServerName::Dns("localhost".into()), ServerName::Ip("127.0.0.1".parse().expect("an address"))];
        let slot = CertificateSlot::new(&authority, names).expect("a certificate");
        let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let public = Acceptor::public(Arc::clone(&slot)).expect("TLS");
        let public = Listener::public(any, public, Limits::default()).await.expect("a port");
        let mutual = Acceptor::mutual(Arc::clone(&slot), &authority).expect("TLS");
        let mutual = Listener::workers(any, mutual, domain, Limits::default()).await.expect("a port");
        let (public_address, worker_address) = (public.address().expect("bound"), mutual.address().expect("bound"));
        let proxy = Proxy::before(worker_address).await.expect("a proxy");
        let (bounds, nudges) = (Arc::new(options.bounds), Arc::new(Nudges::default()));
        let service = AttemptService::new(store.clone(), Arc::clone(&bounds), Arc::clone(&nudges));
        let issuers = Arc::new(IssuerDoor::new(options.issuer).expect("a client"));
        let sts = StsDoor::new(options.sts, issuers).expect("a client");
        let worker = WorkerAddress { endpoint: proxy.address.to_string(), server_name: "localhost".into() };
        let services = Services {
            quota: options.quota,
            report_idle: options.report_idle,
            read_time: options.read_time,
            version: options.version,
            agents: Some(AgentService::new(store.clone(), bounds, nudges, Arc::default())),
            ..Services::new(Arc::new(service), Arc::clone(&authority), Arc::clone(&tickets), worker, sts)
        };
        let (deny, connected, stop) = (Arc::clone(&services.deny), services.connected.clone(), services.stop.clone());
        let (enrolment, workers) = services.routers();
        let rest = Router::new().route("/v1/ping", axum::routing::get(|| async { "pong" }));
        let patience = Duration::from_secs(2);
        tokio::spawn(public.serve(rest.merge(enrolment), stop.clone(), patience));
        tokio::spawn(mutual.serve(workers, stop, patience));
        Self {
            store,
            authority,
            tickets,
            deny,
            connected,
            public: public_address,
            workers: worker_address,
            proxy,
            slot,
            _dir: dir,
        }
    }

    /// An attempt of a new organization, launched and waiting.
    pub(super) async fn attempt(&self) -> Made {
        self.attempt_on(("process", "{}")).await
    }

    /// The same on a data plane of this kind with these settings.
    pub(super) async fn attempt_on(&self, kind: (&str, &str)) -> Made {
        let (org, project, plane) = (OrgId::generate(), ProjectId::generate(), DataPlaneId::generate());
        let (run, attempt, epoch) = (RunId::generate(), AttemptId::generate(), Epoch(Micros::now().0));
        let mut tx = self.store.write_tx_of_all().await.expect("a transaction");
        Store::organization_insert_in_txn(&mut tx, org, "org").await.expect("an organization");
        Store::project_insert_in_txn(&mut tx, org, project, "project", 0).await.expect("a project");
        Store::data_plane_insert_in_txn(&mut tx, org, plane, "here", kind).await.expect("a data plane");
        assert!(Store::data_plane_name_external_in_txn(&mut tx, org, plane, "wb-id").await.expect("an id"));
        let new = NewRun {
            org,
            project,
            id: run,
            pipeline: None,
            connection: None,
            owner: PipelineId::generate(),
            pipeline_version: None,
            subject: "shop".into(),
            data_plane: plane,
            kind: RunKind::Sync,
            trigger: "manual",
            slot: None,
            retry_of: None,
            requested_by: "test".into(),
            plan: "{}".into(),
            time_limit: Duration::from_secs(3600),
            preview_rows: None,
        };
        Store::run_insert_in_txn(&mut tx, &new).await.expect("a run");
        for stream in 0..2 {
            let name = format!("t{stream}");
            Store::run_stream_insert_in_txn(&mut tx, (org, run), stream, &name, (true, None)).await.expect("a stream");
        }
        let row = Store::run_lock_in_txn(&mut tx, org, run).await.expect("readable").expect("the run");
        assert!(Store::run_move_in_txn(&mut tx, &row, RunState::Launching, None).await.expect("moved"));
        let new = NewAttempt {
            org,
            id: attempt,
            run,
            number: 1,
            epoch,
            data_plane: plane,
            launch_request: Vec::new(),
            launch_holder: "test".into(),
            launch_claim: Duration::from_secs(60),
            start_timeout: Duration::from_secs(900),
        };
        Store::attempt_insert_in_txn(&mut tx, &new).await.expect("an attempt");
        tx.commit().await.expect("committed");
        let claim = TicketClaim { org, attempt, epoch };
        let ticket = self.tickets.issue(&claim, Micros::now().plus(Duration::from_secs(900)));
        Made { org, run, attempt, epoch, ticket }
    }

    pub(super) async fn row(&self, made: &Made) -> Attempt {
        self.store.attempt_get(made.org, made.attempt).await.expect("readable").expect("the attempt")
    }

    /// Takes the attempt away from its worker, as the reaper would.
    pub(super) async fn fence(&self, made: &Made) {
        let row = self.row(made).await;
        let mut tx = self.store.write_tx_of_all().await.expect("a transaction");
        assert!(Store::attempt_fence_in_txn(&mut tx, &row).await.expect("fenced"));
        tx.commit().await.expect("committed");
    }

    /// Codes of the events that the worker told of.
    pub(super) async fn events(&self, made: &Made) -> Vec<String> {
        let rows = self.store.run_event_list(made.org, made.run, 0, 10_000).await.expect("readable");
        rows.into_iter().filter(|row| row.origin == "worker").map(|row| row.code).collect()
    }

    pub(super) fn enrolment(&self) -> EnrolmentClient<Channel> {
        let tls = client::pinned(self.authority.pin()).expect("TLS");
        EnrolmentClient::new(channel(self.public, tls))
    }

    /// Enrols as a worker would.
    pub(super) async fn enrol(&self, made: &Made) -> Identity {
        let key = WorkerKey::generate().expect("a key");
        let answer = self.enrol_with(made, &key).await.expect("enrolled");
        Identity { chain: answer.certificate_chain, roots: answer.roots, key }
    }

    pub(super) async fn enrol_with(&self, made: &Made, key: &WorkerKey) -> Result<enrolment_pb::EnrolResponse, Status> {
        let nonce = self.hello(made.attempt).await?;
        let request = enrol_request(made, key, &nonce);
        Ok(self.enrolment().enrol(request).await?.into_inner())
    }

    pub(super) async fn hello(&self, attempt: AttemptId) -> Result<[u8; 32], Status> {
        let version = Some(Version::current().into());
        let request = enrolment_pb::HelloRequest { attempt_id: attempt.to_string(), version };
        let answer = self.enrolment().hello(request).await?.into_inner();
        Ok(answer.nonce.try_into().expect("32 bytes"))
    }

    /// A client of the worker service with this identity.
    pub(super) fn worker(&self, identity: &Identity) -> Worker {
        WorkerClient::new(self.worker_channel(identity)).max_encoding_message_size(MAX_MESSAGE_BYTES * 64)
    }

    pub(super) fn worker_channel(&self, identity: &Identity) -> Channel {
        let tls = client::worker(&identity.roots, &identity.chain, &identity.key).expect("TLS");
        channel(self.workers, tls)
    }

    /// A bare connection to the worker listener, after its handshake.
    pub(super) async fn worker_stream(&self, identity: &Identity) -> tokio_rustls::client::TlsStream<TcpStream> {
        let tls = client::worker(&identity.roots, &identity.chain, &identity.key).expect("TLS");
        let stream = TcpStream::connect(self.workers).await.expect("connected");
        let name = TlsName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(tls)).connect(name, stream).await.expect("a handshake")
    }
}

/// A correct request to enrol.
pub(super) fn enrol_request(made: &Made, key: &WorkerKey, nonce: &[u8; 32]) -> enrolment_pb::EnrolRequest {
    enrolment_pb::EnrolRequest {
        ticket: made.ticket.reveal().to_vec(),
        nonce: nonce.to_vec(),
        csr: key.request().expect("a request"),
        attestation_kind: enrolment_pb::AttestationKind::Process.into(),
        attestation: ProcessAttestation::proof(nonce, &key.spki_sha256()).to_vec(),
        aws: None,
        aws_token: String::new(),
    }
}

/// A channel to an address over this TLS configuration.
pub(super) fn channel(address: SocketAddr, tls: rustls::ClientConfig) -> Channel {
    let connector = TlsConnector::from(Arc::new(tls));
    let connect = tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let name = TlsName::try_from("localhost").expect("a name");
            Ok::<_, io::Error>(hyper_util::rt::TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(connect)
}

/// Everything of a refusal that a peer can see but the date.
pub(super) fn visible<T>(result: Result<T, Status>) -> String {
    let status = result.err().expect("must be refused");
    let mut metadata = status.metadata().clone();
    metadata.remove("date");
    format!("{:?} {:?} {:?} {:?}", status.code(), status.message(), status.details(), metadata)
}

/// A request stream of these messages that then stays open.
pub(super) fn stream_of<T: Send + 'static>(
    messages: Vec<T>,
) -> Request<impl futures::Stream<Item = T> + Send + 'static> {
    use futures::StreamExt as _;
    Request::new(futures::stream::iter(messages).chain(futures::stream::pending()))
}

/// Waits until `done` says so; fails after 20 seconds.
pub(super) async fn eventually(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never happened: {what}");
}

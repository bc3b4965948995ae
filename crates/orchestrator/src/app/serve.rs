//! Up and down: what is opened in which order, and how it is closed again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use secrecy::ExposeSecret;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use waybill_identity::{
    Acceptor, Authority, CertificateSlot, KeyDirectory, OnePort, Pin, ServerName, TicketKey, TrustDomain,
};
use waybill_launcher::ProcessLauncher;
use waybill_model::Micros;
use waybill_store::{Attempt, RowSecurity, Store, StoreOptions};

use super::{Reach, Shared, StartError, follow, state, tidy};
use crate::config::{Config, Server};
use crate::grpc::{self, WorkerAddress};
use crate::http;
use crate::listen::{Limits, Listener};
use crate::loops::agent_launcher::AgentLauncher;
use crate::loops::launchers::{Launchers, PROCESS};
use crate::loops::{self, Context, WorkerProgram};
use crate::service::account;
use crate::service::agent::{AGENT, AgentService};
use crate::service::attempt::AttemptService;

/// How often the listeners' certificate is looked at, and how long before its end it is replaced.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(60 * 60);
const CERTIFICATE_REST: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// Attempts that a stopping server tells of.
const MOST_TOLD: i64 = 100;

/// The bound addresses.
#[derive(Clone, Debug, Serialize)]
pub struct Ports {
    /// REST and enrolment.
    pub api: SocketAddr,
    /// Workers.
    pub worker: SocketAddr,
    /// Health and metrics.
    pub private: SocketAddr,
}

/// A server that serves.
pub struct Running {
    /// Where.
    pub ports: Ports,
    /// With what.
    pub shared: Arc<Shared>,
    /// Where the setup token lies, if nobody has an account yet.
    pub setup_token: Option<PathBuf>,
    held: state::Held,
    drain: Duration,
    tasks: JoinSet<()>,
    loops_stop: CancellationToken,
}

/// What stands open before anything is served.
struct Doors {
    /// The API's, and the workers' too where they have none of their own.
    public: Listener,
    workers: Option<Listener>,
    private: TcpListener,
    ports: Ports,
    slot: Arc<CertificateSlot>,
}

/// Opens everything and begins to serve. Nothing is bound before settings, keys and database are good.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    crate::metrics::install();
    let held = state::Held::take(&config.state)?;
    let keys =
        if config.make_keys { KeyDirectory::created(&config.keys) } else { KeyDirectory::existing(&config.keys) };
    let domain = TrustDomain::new(&config.server.trust_domain)?;
    let authority = Arc::new(Authority::open(&keys, domain.clone(), config.bounds.worker_certificate)?);
    let options = StoreOptions { connections: config.database.connections, patience: config.database.patience };
    let store = Store::open_with(config.database.url.expose_secret(), &options).await?;
    if store.row_security().await? == RowSecurity::Bypassed {
        tracing::warn!(
            "the database's user passes row-level security, the second wall between organizations: use one that is no \
             superuser and has no BYPASSRLS (docs/operate.md)"
        );
    }
    let shared = Arc::new(Shared::new(config, store, &keys).await?);
    let tickets = Arc::clone(&shared.tickets);
    let setup_token = setup_token(config, &shared).await?;
    let doors = open_doors(&config.server, &authority, domain).await?;
    state::put(&config.state, state::CA, 0o644, &state::pem(authority.root()))?;
    let ports = doors.ports.clone();
    let endpoint = reachable(&config.server, config.server.public_api.as_ref(), ports.api);
    // One pin for all who come: whoever ends the API's TLS, tasks and agents are told of the same CA.
    let pin = config.ca_pin.unwrap_or_else(|| authority.pin());
    let reach = Reach { endpoint, pin: pin.to_string() };
    // Set once: a server starts once.
    let _ = shared.reach.set(reach);
    let loops_stop = CancellationToken::new();
    let launcher = ProcessLauncher::open(&config.state.join("attempts"))?;
    let launcher = launcher.with_control_group(config.worker_group.clone());
    let context = context(config, &shared, (&tickets, pin), ports.api, launcher.clone())?;
    let mut tasks = JoinSet::new();
    tasks.spawn(tidy::tidy(launcher, config.keep_attempts, shared.store.clone(), shared.stop.clone()));
    tasks.spawn(keep_trail(Arc::clone(&shared)));
    tasks.spawn(loops::run(context, shared.loops.clone(), loops_stop.clone()));
    serve(config, &shared, (&authority, &tickets, pin), doors, &mut tasks)?;
    let text = serde_json::to_string_pretty(&ports).unwrap_or_default();
    state::put(&config.state, state::PORTS, 0o644, &text)?;
    Ok(Running { ports, shared, setup_token, held, drain: config.server.drain, tasks, loops_stop })
}

async fn setup_token(config: &Config, shared: &Shared) -> Result<Option<PathBuf>, StartError> {
    let token = account::setup_token(&shared.store, config.login.setup).await.map_err(|_| StartError::Setup)?;
    let Some(token) = token else {
        state::remove(&config.state, state::SETUP_TOKEN);
        return Ok(None);
    };
    state::put(&config.state, state::SETUP_TOKEN, 0o600, &format!("{}\n", token.reveal()))?;
    Ok(Some(shared.setup_file.clone()))
}

async fn open_doors(server: &Server, authority: &Authority, domain: TrustDomain) -> Result<Doors, StartError> {
    let name = |name: &String| name.parse().map_or_else(|_| ServerName::Dns(name.clone()), ServerName::Ip);
    let slot = CertificateSlot::new(authority, server.names.iter().map(name).collect())?;
    let bind = |what: &str, address: SocketAddr| StartError::io(format!("listen for {what} on {address}"));
    let (public, mutual) = (Acceptor::public(Arc::clone(&slot))?, Acceptor::mutual(Arc::clone(&slot), authority)?);
    let limits = Limits::default();
    let (public, workers) = match server.name_on_one_port() {
        Some(name) => (Listener::both(server.api, OnePort::new(public, mutual, name), domain, limits).await, None),
        None => {
            let workers = Listener::workers(server.worker, mutual, domain, limits).await;
            let workers = workers.map_err(bind("workers", server.worker))?;
            (Listener::public(server.api, public, limits).await, Some(workers))
        }
    };
    let public = public.map_err(bind("the API", server.api))?;
    let private = TcpListener::bind(server.private).await.map_err(bind("health checks", server.private))?;
    let address = || StartError::io("ask for the bound address");
    let ports = Ports {
        api: public.address().map_err(address())?,
        worker: workers.as_ref().unwrap_or(&public).address().map_err(address())?,
        private: private.local_addr().map_err(address())?,
    };
    Ok(Doors { public, workers, private, ports, slot })
}

/// How a process on another host reaches an address that may be bound to all of them, or stand behind something else.
fn reachable(server: &Server, outside: Option<&String>, bound: SocketAddr) -> String {
    match (outside, server.names.first()) {
        (Some(outside), _) => outside.clone(),
        (None, Some(name)) if bound.ip().is_unspecified() => format!("{name}:{}", bound.port()),
        _ => bound.to_string(),
    }
}

fn context(
    config: &Config,
    shared: &Arc<Shared>,
    (tickets, pin): (&Arc<TicketKey>, Pin),
    api: SocketAddr,
    launcher: ProcessLauncher,
) -> Result<Context, StartError> {
    let nudges = Arc::clone(&shared.nudges);
    let launcher = launcher.on_exit(move || nudges.task_changed());
    let (bounds, nudges) = (Arc::clone(&shared.bounds), Arc::clone(&shared.nudges));
    let agents = AgentLauncher::new(shared.store.clone(), bounds, nudges);
    let launchers = Launchers::default().with(PROCESS, Arc::new(launcher)).with(AGENT, Arc::new(agents));
    #[cfg(feature = "aws")]
    let launchers = launchers.with_aws(Arc::clone(&shared.aws));
    let tickets = Arc::clone(tickets);
    let program = worker_program(config)?;
    let pin = pin.to_string();
    let address = reachable(&config.server, config.server.public_api.as_ref(), api);
    let args = ["run", "--orchestrator", &address, "--ca-pin", &pin].map(str::to_owned).to_vec();
    let variables = vec![("WAYBILL_ORCHESTRATOR".to_owned(), address), ("WAYBILL_CA_PIN".to_owned(), pin)];
    Ok(Context {
        store: shared.store.clone(),
        bounds: Arc::clone(&shared.bounds),
        retention: Arc::clone(&shared.retention),
        nudges: Arc::clone(&shared.nudges),
        launchers: Arc::new(launchers),
        worker: Arc::new(WorkerProgram { program, args, variables }),
        mint: Arc::new(move |claim, expires| tickets.issue(claim, expires).reveal_line()),
        holder: hex::encode(crate::random::<8>()).into(),
    })
}

/// The worker that is named, or the one beside this program.
fn worker_program(config: &Config) -> Result<String, StartError> {
    let beside = || std::env::current_exe().map(|this| this.with_file_name("waybill-worker"));
    let program = config.worker_program.clone().map_or_else(beside, Ok).map_err(StartError::io("find the worker"))?;
    Ok(program.display().to_string())
}

fn serve(
    config: &Config,
    shared: &Arc<Shared>,
    (authority, tickets, pin): (&Arc<Authority>, &Arc<TicketKey>, Pin),
    doors: Doors,
    tasks: &mut JoinSet<()>,
) -> Result<(), StartError> {
    let issuers = Arc::clone(&shared.issuers);
    let sts = grpc::StsDoor::new(config.aws.sts_endpoint.clone(), issuers).map_err(StartError::Client)?;
    let attempts = AttemptService::new(shared.store.clone(), Arc::clone(&shared.bounds), Arc::clone(&shared.nudges));
    let outside = config.server.public_worker.as_ref();
    let name = config.server.worker_name().map(str::to_owned);
    let worker = WorkerAddress {
        endpoint: reachable(&config.server, outside, doors.ports.worker),
        server_name: name.or_else(|| config.server.names.first().cloned()).unwrap_or_default(),
    };
    let (authority_of, tickets_of) = (Arc::clone(authority), Arc::clone(tickets));
    let mut services = grpc::Services::new(Arc::new(attempts), authority_of, tickets_of, worker, sts);
    let (store, bounds) = (shared.store.clone(), Arc::clone(&shared.bounds));
    services.pin = pin;
    services.agents = Some(AgentService::new(store, bounds, Arc::clone(&shared.nudges), Arc::clone(&shared.trail)));
    services.report_idle = shared.bounds.lease * 2;
    services.connected = shared.connected.clone();
    services.stop = shared.stop.clone();
    tasks.spawn(follow::follow(Arc::clone(shared), Arc::clone(&services.deny)));
    let (enrolment, workers) = services.routers();
    let public = http::router(Arc::clone(shared)).merge(enrolment);
    let (stop, drain) = (&shared.stop, config.server.drain);
    if let Some(door) = doors.workers {
        tasks.spawn(door.serve(workers.clone(), stop.clone(), drain));
    }
    tasks.spawn(doors.public.serve_both((public, workers), stop.clone(), drain));
    tasks.spawn(serve_private(doors.private, http::private::router(Arc::clone(shared)), stop.clone()));
    tasks.spawn(renew_certificate(doors.slot, Arc::clone(authority), stop.clone()));
    Ok(())
}

async fn keep_trail(shared: Arc<Shared>) {
    shared.trail.keep(&shared.store, &shared.stop).await;
}

async fn serve_private(listener: TcpListener, router: Router, stop: CancellationToken) {
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(error = &error as &dyn std::error::Error, "the private listener ended");
    }
}

/// Replaces the listeners' certificate well before its end.
async fn renew_certificate(slot: Arc<CertificateSlot>, authority: Arc<Authority>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(CERTIFICATE_LOOK) => {}
        }
        if slot.not_after().since(Micros::now()) < CERTIFICATE_REST
            && let Err(error) = slot.swap(&authority)
        {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the listeners' certificate could not be renewed"
            );
        }
    }
}

impl Running {
    /// Attempts whose tasks may still run: nobody here waits for them, they go on without us.
    pub async fn at_work(&self) -> Vec<Attempt> {
        let open = self.shared.store.attempt_open(None, MOST_TOLD).await.unwrap_or_default();
        open.into_iter().filter(|attempt| !attempt.state.is_final()).collect()
    }

    /// Stops: no new work, open work may end until the deadline, then the rest is dropped. True where all ended in time.
    pub async fn stop(mut self) -> bool {
        self.held.close();
        self.loops_stop.cancel();
        self.shared.stop.cancel();
        let deadline = self.drain + Duration::from_secs(2);
        let ended = tokio::time::timeout(deadline, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.abort_all();
        // The last launches have left word by now.
        let kept = tokio::time::timeout(Duration::from_secs(2), self.shared.trail.flush(&self.shared.store)).await;
        if !matches!(kept, Ok(Ok(()))) {
            tracing::warn!("the last calls to clouds could not be kept in the trail");
        }
        // A worker that lost us goes on and finds the next orchestrator; its lease is in the database.
        let closed = tokio::time::timeout(Duration::from_secs(2), self.shared.store.close()).await;
        ended.is_ok() && closed.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_told_the_address_from_outside_before_any_other() {
        let server = |names: &[&str]| Server {
            api: ([0, 0, 0, 0], 0).into(),
            worker: ([0, 0, 0, 0], 0).into(),
            private: ([127, 0, 0, 1], 0).into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            public_api: None,
            public_worker: None,
            trust_domain: "waybill".into(),
            drain: Duration::ZERO,
        };
        let (everywhere, one): (SocketAddr, SocketAddr) = (([0, 0, 0, 0], 7443).into(), ([10, 0, 0, 5], 7443).into());
        let outside = "waybill.example.com:443".to_owned();
        let named = server(&["waybill.example.com"]);
        assert_eq!(reachable(&named, Some(&outside), everywhere), outside);
        assert_eq!(reachable(&named, Some(&outside), one), outside);
        assert_eq!(reachable(&named, None, everywhere), "waybill.example.com:7443");
        assert_eq!(reachable(&named, None, one), "10.0.0.5:7443");
    }
}

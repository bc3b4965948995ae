//! Wiring: settings to store, keys, services, listeners and loops; and back down again within the drain's deadline.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;
use waybill_identity::{KeyDirectory, TicketKey};
use waybill_store::Store;

use crate::auth::password::Passwords;
use crate::auth::quota;
use crate::auth::throttle::Throttle;
use crate::auth::token::TokenKeys;
use crate::config::{Config, Http, Login};
use crate::grpc::WorkersConnected;
use crate::http::Pager;
use crate::loops::AllLoopStats;
use crate::service::bounds::Bounds;
use crate::service::nudge::Nudges;
use crate::service::retention::Retention;
use crate::service::run::RunService;
use crate::service::trail::Trail;

mod follow;
mod prepare;
mod pulse;
mod serve;
mod state;
mod tidy;

pub use prepare::{make_keys, setup_token};
pub use pulse::Pulse;
pub use serve::{Ports, Running, start};

/// What requests are served with.
pub struct Shared {
    /// The database.
    pub store: Store,
    /// Keys of access tokens.
    pub tokens: TokenKeys,
    /// Threads that hash passwords.
    pub passwords: Passwords,
    /// What logins have failed of late.
    pub throttle: Throttle,
    /// How many requests who may make.
    pub quotas: quota::Meter,
    /// Signs page cursors.
    pub pager: Pager,
    /// Lives of tokens and sessions.
    pub login: Login,
    /// Bounds of requests.
    pub limits: Http,
    /// Bounds of runs.
    pub bounds: Arc<Bounds>,
    /// How long what is kept.
    pub retention: Arc<Retention>,
    /// Runs.
    pub runs: RunService,
    /// Wakes loops and watchers.
    pub nudges: Arc<Nudges>,
    /// What the loops did.
    pub loops: AllLoopStats,
    /// Whether the loops turn.
    pub pulse: Pulse,
    /// Workers with an open report stream.
    pub connected: WorkersConnected,
    /// Makes and checks tickets and agents' tokens.
    pub tickets: Arc<TicketKey>,
    /// How agents reach this server, once it listens.
    pub reach: OnceLock<Reach>,
    /// Calls to clouds on their way into the store.
    pub trail: Arc<Trail>,
    /// The way to AWS.
    #[cfg(feature = "aws")]
    pub aws: Arc<waybill_launcher::ecs::Cloud>,
    /// The issuers of the tokens by which workers prove their role.
    pub issuers: Arc<crate::grpc::IssuerDoor>,
    /// Where the setup token lies until it is used.
    pub setup_file: PathBuf,
    /// Set when the server stops.
    pub stop: CancellationToken,
}

/// How agents reach the server: what an administrator takes to an agent's host.
#[derive(Clone, Debug)]
pub struct Reach {
    /// Host and port of the public listener.
    pub endpoint: String,
    /// The CA's fingerprint.
    pub pin: String,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key can't be read or made.
    #[error("read the keys")]
    Keys(#[from] waybill_identity::IdentityError),
    /// The database can't be opened.
    #[error("open the database")]
    Store(#[from] waybill_store::StoreError),
    /// Workers can't be launched.
    #[error("open the process launcher")]
    Launch(#[from] waybill_launcher::LaunchError),
    /// No client for other services can be made.
    #[error("make the client that asks STS")]
    Client(#[source] reqwest::Error),
    /// Another server uses the state directory.
    #[error("another orchestrator{by} serves with {}; end that one first, or name another state directory", directory.display())]
    Held {
        /// Which directory.
        directory: PathBuf,
        /// Its process, as text that follows a noun; empty where it has not said yet.
        by: String,
    },
    /// The setup token can't be made.
    #[error("make the setup token")]
    Setup,
    /// A thread, file or port can't be had.
    #[error("{what}")]
    Io {
        /// What for.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl StartError {
    fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl Shared {
    /// What requests are served with, over this store and these keys.
    pub async fn new(config: &Config, store: Store, keys: &KeyDirectory) -> Result<Self, StartError> {
        let (nudges, trail) = (Arc::new(Nudges::default()), Arc::new(Trail::default()));
        #[cfg(feature = "aws")]
        let aws = waybill_launcher::ecs::Cloud::open(cloud_options(config)).await.seen_by(Arc::clone(&trail) as _);
        let issuers = crate::grpc::IssuerDoor::new(config.aws.issuer_endpoint.clone()).map_err(StartError::Client)?;
        let passwords = Passwords::start().map_err(StartError::io("start the threads that hash passwords"))?;
        Ok(Self {
            runs: RunService::new(store.clone(), Arc::clone(&nudges)),
            store,
            tokens: TokenKeys::open(keys, &config.server.trust_domain, config.login.access)?,
            passwords,
            throttle: Throttle::default(),
            pager: Pager::open(keys)?,
            login: config.login,
            quotas: quota::Meter::new(config.http.quotas),
            limits: config.http.clone(),
            bounds: Arc::new(config.bounds.clone()),
            retention: Arc::new(config.retention.clone()),
            nudges,
            loops: AllLoopStats::default(),
            pulse: Pulse::default(),
            connected: WorkersConnected::default(),
            tickets: Arc::new(TicketKey::open(keys)?),
            reach: OnceLock::new(),
            #[cfg(feature = "aws")]
            aws: Arc::new(aws),
            issuers: Arc::new(issuers),
            trail,
            setup_file: config.state.join(state::SETUP_TOKEN),
            stop: CancellationToken::new(),
        })
    }
}

#[cfg(feature = "aws")]
fn cloud_options(config: &Config) -> waybill_launcher::ecs::CloudOptions {
    waybill_launcher::ecs::CloudOptions {
        ecs_endpoint: config.aws.ecs_endpoint.clone(),
        sts_endpoint: config.aws.sts_endpoint.clone(),
        s3_endpoint: config.aws.s3_endpoint.clone(),
        principal: config.aws.principal.clone(),
        ..Default::default()
    }
}

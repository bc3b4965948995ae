//! The settings: one struct, read from a commented default inside the binary, one file and the environment.
//!
//! Everything is checked before a port opens, and every mistake names its line. Passed down, never global. A password
//! stands in no message.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use waybill_identity::Pin;
use waybill_launcher::ecs::Principal;
use waybill_launcher::process::Keep;
use waybill_model::net::Range;

use crate::auth::quota::Quotas;
use crate::service::bounds::Bounds;
use crate::service::retention::Retention;

mod secret;
mod settings;

pub use settings::{ConfigError, Settings};

/// The default file, with comments.
pub const DEFAULT: &str = include_str!("config/default.toml");

/// All settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses and names.
    pub server: Server,
    /// Where ports, pin, setup token and attempt directories go.
    pub state: PathBuf,
    /// The database.
    pub database: Database,
    /// Where keys stand.
    pub keys: PathBuf,
    /// Whether missing keys are made.
    pub make_keys: bool,
    /// The worker program; the one beside this program where none is named.
    pub worker_program: Option<PathBuf>,
    /// The control group that the process launcher puts workers into, other than ours.
    pub worker_group: Option<PathBuf>,
    /// What is kept of the process launcher's attempts that are over.
    pub keep_attempts: Keep,
    /// The CA that the API's certificate comes from, where it is not our own.
    pub ca_pin: Option<Pin>,
    /// Time bounds of attempts and loops.
    pub bounds: Bounds,
    /// How long what is kept.
    pub retention: Retention,
    /// Lives of tokens and sessions.
    pub login: Login,
    /// Bounds of requests.
    pub http: Http,
    /// Logging.
    pub log: Log,
    /// How Amazon's services are reached.
    pub aws: Aws,
}

/// How Amazon's services are reached.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    /// Another ECS endpoint than each region's own.
    pub ecs_endpoint: Option<String>,
    /// Another STS endpoint than each region's own.
    pub sts_endpoint: Option<String>,
    /// Another S3 endpoint than each region's own.
    pub s3_endpoint: Option<String>,
    /// Where the keys of every issuer of tokens are, in place of each issuer's own address.
    pub issuer_endpoint: Option<String>,
    /// Who we are to customers, where STS is not asked.
    pub principal: Option<Principal>,
}

/// Addresses and names.
#[derive(Clone, Debug)]
pub struct Server {
    /// REST and enrolment.
    pub api: SocketAddr,
    /// Workers.
    pub worker: SocketAddr,
    /// Health and metrics.
    pub private: SocketAddr,
    /// Names in the server's certificate; the first one is what workers are told.
    pub names: Vec<String>,
    /// Name and port of `api` from outside, where they are not its own.
    pub public_api: Option<String>,
    /// The same of `worker`.
    pub public_worker: Option<String>,
    /// What identities begin with.
    pub trust_domain: String,
    /// How long a stopping server lets work end.
    pub drain: Duration,
}

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its URL, which may hold a password.
    pub url: SecretString,
    /// Most connections at once.
    pub connections: u32,
    /// How long a request waits for a connection.
    pub patience: Duration,
}

/// Lives of tokens and sessions.
#[derive(Clone, Copy, Debug)]
pub struct Login {
    /// Life of an access token.
    pub access: Duration,
    /// A session that is not refreshed for so long ends.
    pub idle: Duration,
    /// A session ends after so long.
    pub session: Duration,
    /// Life of the setup token.
    pub setup: Duration,
}

/// Bounds of requests.
#[derive(Clone, Debug)]
pub struct Http {
    /// Largest body.
    pub body: usize,
    /// Longest time for one request.
    pub timeout: Duration,
    /// Requests in one minute.
    pub quotas: Quotas,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Range>,
}

/// Logging.
#[derive(Clone, Debug)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// JSON lines instead of text.
    pub json: bool,
}

impl Config {
    /// Reads the settings. `dev` is the state directory of `serve --dev`: what stands in no file is placed below it.
    pub fn load(
        file: Option<&Path>,
        dev: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Vec<ConfigError>> {
        let mut settings = Settings::defaults();
        if let Some(file) = file {
            settings.add_file(file);
        }
        settings.add_environment(environment);
        let config = Self::read(&mut settings, dev);
        settings.finish(config)
    }

    fn read(settings: &mut Settings, dev: Option<&Path>) -> Option<Self> {
        let below = |name: &str| dev.map(|state| state.join(name));
        let state = settings.path("state.directory").or_else(|| dev.map(Path::to_owned));
        let keys = settings.path("keys.directory").or_else(|| below("keys"));
        let url = settings.secret("database.url").or_else(|| {
            let path = below("waybill.db")?;
            Some(SecretString::from(format!("sqlite://{}", path.display())))
        });
        // Every section is read before one that is missing ends it, so that all mistakes are told at once.
        let database = Database::read(settings, url);
        let (state, keys) = (settings.required("state.directory", state), settings.required("keys.directory", keys));
        let (server, bounds, retention) = (Server::read(settings), bounds(settings), retention(settings));
        let (login, http, log) = (Login::read(settings), Http::read(settings), Log::read(settings));
        let keep_attempts = keep_attempts(settings);
        let ca_pin = settings.optional("worker.ca-pin", CA_PIN, |text| text.parse().ok());
        Some(Self {
            server: server?,
            state: state?,
            keys: keys?,
            make_keys: dev.is_some(),
            worker_program: settings.path("worker.program"),
            worker_group: worker_group(settings),
            keep_attempts: keep_attempts?,
            ca_pin,
            bounds: bounds?,
            retention: retention?,
            login: login?,
            http: http?,
            log: log?,
            aws: Aws {
                ecs_endpoint: settings.url("aws.ecs-endpoint"),
                sts_endpoint: settings.url("aws.sts-endpoint"),
                s3_endpoint: settings.url("aws.s3-endpoint"),
                issuer_endpoint: settings.url("aws.issuer-endpoint"),
                principal: settings.optional("aws.principal-arn", PRINCIPAL, |text| text.parse().ok()),
            },
            database: database?,
        })
    }
}

/// The whole section as the services know it, floors and order checked.
fn bounds(settings: &mut Settings) -> Option<Bounds> {
    let bounds: Bounds = settings.section("bounds")?;
    if let Err(error) = bounds.check() {
        settings.refuse(&format!("bounds.{}", error.field), &error.what);
    }
    Some(bounds)
}

/// The whole section, floors and order checked.
fn retention(settings: &mut Settings) -> Option<Retention> {
    let retention: Retention = settings.section("retention")?;
    if let Err(error) = retention.check() {
        settings.refuse(&format!("retention.{}", error.field), &error.what);
    }
    Some(retention)
}

impl Server {
    fn read(settings: &mut Settings) -> Option<Self> {
        let names = settings.list("server.names", 1)?;
        let server = Self {
            api: settings.address("server.api")?,
            worker: settings.address("server.worker")?,
            private: settings.address("server.private")?,
            public_api: settings.outside("server.public-api", &names),
            public_worker: settings.outside("server.public-worker", &names),
            names,
            trust_domain: settings.text("server.trust-domain")?,
            drain: settings.duration("server.drain", Duration::ZERO)?,
        };
        if server.is_one_port() && server.name_on_one_port().is_none() {
            let message = "must be the workers' own name and port where server.worker is server.api: not the API's name and no \
                           IP address, such as workers.example.com:443; server.names lists it too";
            settings.refuse("server.public-worker", message);
        }
        Some(server)
    }

    fn is_one_port(&self) -> bool {
        self.api == self.worker && self.api.port() != 0
    }

    /// The name that tells workers from others, where both come to one port.
    #[must_use]
    pub fn name_on_one_port(&self) -> Option<&str> {
        let name = self.worker_name()?;
        let api = self.public_api.as_deref().map(name_of).or_else(|| self.names.first().map(String::as_str))?;
        // Clients never ask for an address by name.
        let is_name = name.parse::<std::net::IpAddr>().is_err();
        (self.is_one_port() && is_name && !name.eq_ignore_ascii_case(api)).then_some(name)
    }

    /// The name by which workers come from outside, where one is given.
    #[must_use]
    pub fn worker_name(&self) -> Option<&str> {
        self.public_worker.as_deref().map(name_of)
    }
}

/// Of a name and a port.
fn name_of(outside: &str) -> &str {
    outside.rsplit_once(':').map_or(outside, |(name, _)| name)
}

impl Database {
    fn read(settings: &mut Settings, url: Option<SecretString>) -> Option<Self> {
        let url = settings.required("database.url", url);
        Some(Self {
            connections: settings.number("database.connections", 2, 1_000)?,
            patience: settings.duration("database.patience", Duration::from_millis(100))?,
            url: url?,
        })
    }
}

impl Log {
    fn read(settings: &mut Settings) -> Option<Self> {
        Some(Self {
            level: settings.one_of("log.level", &["error", "warn", "info", "debug", "trace"])?,
            json: settings.one_of("log.format", &["text", "json"])? == "json",
        })
    }
}

impl Http {
    fn read(settings: &mut Settings) -> Option<Self> {
        const MOST: u32 = 10_000_000;
        Some(Self {
            body: settings.bytes("http.body", 1 << 10, 64 << 20)?,
            timeout: settings.duration("http.timeout", Duration::from_millis(100))?,
            quotas: Quotas {
                caller: settings.number("http.caller-quota", 1, MOST)?,
                organization: settings.number("http.organization-quota", 1, MOST)?,
                address: settings.number("http.address-quota", 1, MOST)?,
            },
            trusted_proxies: settings.parsed_list("http.trusted-proxies")?,
        })
    }
}

const PRINCIPAL: &str = "takes the ARN of one role or user, such as arn:aws:iam::123456789012:role/path/name";
const CA_PIN: &str = "must be sha256: and 64 hexadecimal digits";

/// Looked at before anything is started, since each launch would fail on it.
fn worker_group(settings: &mut Settings) -> Option<PathBuf> {
    let group = settings.path("worker.control-group")?;
    if std::fs::OpenOptions::new().write(true).open(group.join("cgroup.procs")).is_ok() {
        return Some(group);
    }
    let message = "must be the directory of a control group whose `cgroup.procs` may be written to";
    settings.refuse("worker.control-group", message);
    None
}

fn keep_attempts(settings: &mut Settings) -> Option<Keep> {
    let newest = settings.number("worker.keep-attempts", 1, 100_000);
    let age = settings.duration("worker.keep-attempts-for", Duration::from_secs(60));
    Some(Keep { newest: newest? as usize, age: age? })
}

impl Login {
    fn read(settings: &mut Settings) -> Option<Self> {
        let floor = Duration::from_secs(1);
        let login = Self {
            access: settings.duration("login.access", floor)?,
            idle: settings.duration("login.idle", floor)?,
            session: settings.duration("login.session", floor)?,
            setup: settings.duration("login.setup", floor)?,
        };
        if login.access > Duration::from_secs(3_600) {
            settings.refuse("login.access", "must be at most 1h: a stolen access token works that long");
        }
        Some(login)
    }
}

#[cfg(test)]
mod tests;

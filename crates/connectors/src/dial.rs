//! The one way out: a host becomes addresses, every address is checked, and a checked one is dialed.
//!
//! Metadata and credential servers, link-local, loopback in a cloud and the like are never dialed, however the host is
//! spelled and whatever its name resolves to, unless the guard names them. A name is resolved once per connection, and
//! what was checked is what is dialed: a second answer of a name server changes nothing.

mod cause;
#[cfg(feature = "http")]
pub mod http;
mod resolve;
mod rules;
#[cfg(feature = "s3")]
pub mod sdk;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use waybill_model::FailureCode;
use waybill_model::net::{Host, HostError};
use waybill_pipeline::Fault;

pub use cause::{causes, denial};
pub use resolve::{Resolve, SystemResolver};
pub use rules::{Denied, Rules};

/// What a look-up or one address may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// More addresses of one name are not tried.
const MOST: usize = 8;

/// Resolves, checks and dials. Clones share the rules and the resolver.
#[derive(Clone)]
pub struct Dialer {
    state: Arc<Mutex<State>>,
    resolver: Arc<dyn Resolve>,
}

struct State {
    rules: Rules,
    /// Addresses that were handed out: connections to them may be open.
    given: HashSet<IpAddr>,
}

/// An address that was checked. Only a dialer makes one, and only such a one is dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked(SocketAddr);

impl Checked {
    /// The address, for messages.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.0
    }
}

/// Why nothing was dialed.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The text is no host.
    #[error("{host}: {source}")]
    Host {
        /// As it was written, cut short.
        host: String,
        /// What is wrong with it.
        #[source]
        source: HostError,
    },
    /// It is, or leads to, an address that is not dialed.
    #[error("{host}: {source}")]
    Denied {
        /// The name or address.
        host: String,
        /// Which address, and why.
        #[source]
        source: Denied,
    },
    /// The name can't be resolved.
    #[error("{0}: the name is not known")]
    Unknown(String),
    /// The look-up did not end.
    #[error("{0}: the look-up of the name took too long")]
    Slow(String),
}

impl DialError {
    /// Whether a rule forbids it; otherwise it may work another time.
    #[must_use]
    pub const fn is_denied(&self) -> bool {
        matches!(self, Self::Host { .. } | Self::Denied { .. })
    }
}

impl From<DialError> for Fault {
    fn from(error: DialError) -> Self {
        let code = if error.is_denied() { FailureCode::EgressDenied } else { FailureCode::SourceUnreachable };
        Self::new(code, error.to_string())
    }
}

impl Dialer {
    /// A dialer under these rules, with the system's resolver.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self::with(rules, Arc::new(SystemResolver))
    }

    /// The same with another resolver.
    #[must_use]
    pub fn with(rules: Rules, resolver: Arc<dyn Resolve>) -> Self {
        let state = State { rules, given: HashSet::new() };
        Self { state: Arc::new(Mutex::new(state)), resolver }
    }

    /// From now on these rules count, in all clones. Refuses where an address that was handed out is not dialed any more:
    /// what was connected to it lasts.
    pub fn follow(&self, rules: Rules) -> Result<(), DialError> {
        let mut state = self.state();
        state.rules = rules;
        state.given.iter().try_for_each(|address| state.allow(&Host::Address(*address), *address))
    }

    /// Checks what can be told of a host without a look-up: its spelling, and its address where it is one.
    pub fn check(&self, text: &str) -> Result<Host, DialError> {
        let host = Host::read(text).map_err(|source| DialError::Host { host: shown(text), source })?;
        if let Host::Address(address) = &host {
            let mut state = self.state();
            state.allow(&host, *address)?;
            state.given.insert(*address);
        }
        Ok(host)
    }

    /// Resolves a host once and checks every address; one that is not allowed refuses them all.
    pub async fn addresses(&self, text: &str, port: u16) -> Result<Vec<Checked>, DialError> {
        let host = self.check(text)?;
        let found = match &host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => match timeout(PATIENCE, self.resolver.resolve(name)).await {
                Ok(Ok(found)) if !found.is_empty() => found,
                Ok(_) => return Err(DialError::Unknown(shown(text))),
                Err(_) => return Err(DialError::Slow(shown(text))),
            },
        };
        // Checked and noted as one step: rules that follow see every address that was handed out under others.
        let mut state = self.state();
        found.iter().try_for_each(|address| state.allow(&host, *address))?;
        let found: Vec<IpAddr> = found.into_iter().take(MOST).collect();
        state.given.extend(&found);
        Ok(found.into_iter().map(|address| Checked(SocketAddr::new(address, port))).collect())
    }

    /// Connects to a checked address.
    pub async fn connect(&self, to: Checked) -> std::io::Result<TcpStream> {
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer");
        timeout(PATIENCE, TcpStream::connect(to.0)).await.unwrap_or_else(|_| Err(late()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn allow(&self, host: &Host, address: IpAddr) -> Result<(), DialError> {
        self.rules.check(address).map_err(|source| DialError::Denied { host: host.to_string(), source })
    }
}

/// A host as a message may repeat it.
fn shown(text: &str) -> String {
    text.chars().take(253).map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect()
}

//! What connections are made with: the dialer and the servers that keep secrets, both as the guard says now.
//!
//! A guard that gets narrower holds for every connection that is made from then on. Where the run has a way open that the
//! guard does not leave open any more, it is refused: such a connection may last for as long as the run.

use waybill_connectors::dial::{Dialer, Rules};
use waybill_spec::Guard;
use waybill_spec::guard::{Reason, Refusal};

use crate::connect::Means;
use crate::secret::{Resolver, Servers};

/// Shared with everything that dials or logs in for a run.
pub(super) struct Ways {
    dialer: Dialer,
    servers: Servers,
}

impl Ways {
    pub(super) fn of(guard: &Guard) -> Self {
        Self { dialer: Dialer::new(rules(guard)), servers: Servers::listed(guard.network.endpoints.clone()) }
    }

    /// Dials what the guard leaves open, and logs in for secrets only where the guard lists the server.
    pub(super) fn means(&self) -> Means {
        let secrets = Resolver::new(self.dialer.clone(), self.servers.clone());
        Means { secrets, dialer: self.dialer.clone() }
    }

    /// Takes the guard's newest word; refuses where a way that is in use is none any more.
    pub(super) fn follow(&self, guard: &Guard) -> Option<Refusal> {
        self.servers.follow(guard.network.endpoints.clone());
        let barred = self.dialer.follow(rules(guard)).err()?;
        Some(Refusal::without_guard(
            Reason::Address,
            format!("the run has a connection open that may not be: {barred}"),
        ))
    }
}

fn rules(guard: &Guard) -> Rules {
    let network = &guard.network;
    Rules { loopback: false, special: network.special.clone(), egress: network.egress.clone() }
}

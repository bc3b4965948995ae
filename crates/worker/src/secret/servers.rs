//! Which servers of Vault a worker may log in at. Their address stands in its environment, which whoever starts the worker
//! may have written; so a guard has to name them too.

use std::sync::{Arc, PoisonError, RwLock};

use waybill_model::net::{Host, HostPattern};

/// Servers that may be logged in at. Clones share the list.
#[derive(Clone, Debug)]
pub enum Servers {
    /// The one of the environment: nobody else writes it.
    Any,
    /// Only what the guard lists below `network.endpoints`.
    Listed(Arc<RwLock<Vec<HostPattern>>>),
}

impl Servers {
    /// Those that a guard lists.
    #[must_use]
    pub fn listed(patterns: Vec<HostPattern>) -> Self {
        Self::Listed(Arc::new(RwLock::new(patterns)))
    }

    /// From now on these count, where a list counts at all.
    pub fn follow(&self, patterns: Vec<HostPattern>) {
        if let Self::Listed(listed) = self {
            *listed.write().unwrap_or_else(PoisonError::into_inner) = patterns;
        }
    }

    /// Whether this server is one of them.
    #[must_use]
    pub fn allow(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(listed) => {
                let patterns = listed.read().unwrap_or_else(PoisonError::into_inner);
                Host::read(host).is_ok_and(|host| patterns.iter().any(|pattern| pattern.covers(&host, port)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_that_lists_no_server_allows_none() {
        assert!(Servers::Any.allow("vault.example", 8200) && !Servers::listed(Vec::new()).allow("vault.example", 8200));
        let listed = Servers::listed(vec!["vault.example:8200".parse().expect("a pattern")]);
        for (host, port, is_allowed) in [
            ("vault.example", 8200, true),
            ("vault.example", 443, false),
            ("evil.vault.example", 8200, false),
            ("vault.example.evil", 8200, false),
        ] {
            assert_eq!(listed.allow(host, port), is_allowed, "{host}:{port}");
        }
        let in_use = listed.clone();
        listed.follow(Vec::new());
        assert!(!in_use.allow("vault.example", 8200), "a list that gets shorter counts where it is in use");
    }
}

//! Which servers of Vault a worker may log in at. Their address stands in its environment, which whoever starts the worker
//! may have written; so a guard has to name them too.

use waybill_model::net::{Host, HostPattern};

/// Servers that may be logged in at.
#[derive(Clone, Debug)]
pub enum Servers {
    /// The one of the environment: nobody else writes it.
    Any,
    /// Only what the guard lists below `network.endpoints`.
    Listed(Vec<HostPattern>),
}

impl Servers {
    /// Whether this server is one of them.
    #[must_use]
    pub fn allow(&self, host: &str, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(patterns) => {
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
        assert!(Servers::Any.allow("vault.example", 8200) && !Servers::Listed(Vec::new()).allow("vault.example", 8200));
        let listed = Servers::Listed(vec!["vault.example:8200".parse().expect("a pattern")]);
        for (host, port, is_allowed) in [
            ("vault.example", 8200, true),
            ("vault.example", 443, false),
            ("evil.vault.example", 8200, false),
            ("vault.example.evil", 8200, false),
        ] {
            assert_eq!(listed.allow(host, port), is_allowed, "{host}:{port}");
        }
    }
}

//! The dialer as HTTP clients ask it. Hosts that are addresses are not asked for: they are checked beforehand.

use std::sync::Arc;

use reqwest::ClientBuilder;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;

use super::Dialer;

struct CheckedNames(Dialer);

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let dialer = self.0.clone();
        Box::pin(async move {
            let found = dialer.addresses(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter().map(|checked| checked.address())) as Addrs)
        })
    }
}

/// The beginnings of a client that dials checked addresses only. It follows no redirect and goes straight: behind a proxy
/// nobody would check which address a name leads to.
pub fn client(dialer: Dialer) -> ClientBuilder {
    straight().dns_resolver(Arc::new(CheckedNames(dialer)))
}

/// The same without the dialer: for servers that the worker's environment names, such as the one of its own identity.
pub fn straight() -> ClientBuilder {
    ClientBuilder::new().no_proxy().redirect(Policy::none()).referer(false)
}

//! Secrets: resolved here from their references, by the worker's own identity, and handed to the connector that needs them.
//!
//! A secret has no `Debug`, `Display` or `Serialize` and is wiped when it is dropped. A text that leaves this module names
//! the reference and what went wrong in our own words; never a value, and nothing that a server said.

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "aws")]
mod bounded;
mod http;
mod json;
mod local;
#[cfg(not(feature = "aws"))]
mod no_aws;
mod problem;
mod resolver;
mod servers;
mod vault;

use async_trait::async_trait;
use zeroize::Zeroizing;

#[cfg(feature = "aws")]
use aws::Aws;
#[cfg(not(feature = "aws"))]
use no_aws::Aws;
use problem::Problem;
pub use resolver::{Patience, Resolver};
pub use servers::Servers;

/// The longest text that is taken for a secret, bytes. AWS and Vault keep shorter ones.
const LONGEST: u64 = 64 << 10;

/// A resolved secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The value, for the connector that logs in with it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The value itself, still wiped when it is dropped.
    #[must_use]
    pub fn into_inner(self) -> Zeroizing<String> {
        self.0
    }

    /// Takes a text for a secret unless it can't be one.
    fn of(text: Zeroizing<String>) -> Result<Self, Problem> {
        if text.is_empty() {
            Err(Problem::unusable("is empty"))
        } else if text.len() as u64 > LONGEST {
            Err(Problem::unusable("is longer than 64 KiB"))
        } else {
            Ok(Self(text))
        }
    }
}

/// Whoever keeps secrets of one kind. One try; retries and time bounds are the resolver's.
#[async_trait]
trait Keeper<R: Sync + ?Sized>: Send + Sync {
    /// The present value of what the reference names.
    async fn fetch(&self, reference: &R) -> Result<Secret, Problem>;
}

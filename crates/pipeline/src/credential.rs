//! What a connector logs in with, and how it gets the present value after the one that it had was refused.
//!
//! A connector never keeps a value longer than one log-in takes: a secret that is rotated during a run reaches the next one.

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::fault::FaultResult;

/// A secret that may change during a run.
#[async_trait]
pub trait Credential: Send + Sync {
    /// The value for the next log-in. It may have been resolved some minutes ago.
    async fn value(&self) -> FaultResult<Zeroizing<String>>;

    /// The value after `refused` was refused: resolved anew, and equal to it where nothing changed.
    async fn anew(&self, refused: &str) -> FaultResult<Zeroizing<String>>;
}

/// A secret that stays as it is.
pub struct Fixed(Zeroizing<String>);

impl Fixed {
    /// From its value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }
}

#[async_trait]
impl Credential for Fixed {
    async fn value(&self) -> FaultResult<Zeroizing<String>> {
        Ok(self.0.clone())
    }

    async fn anew(&self, _: &str) -> FaultResult<Zeroizing<String>> {
        Ok(self.0.clone())
    }
}

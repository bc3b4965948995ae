//! The ways to what the references of a connection's settings lead to, besides the password.
//!
//! What they lead to is never kept here: it may be rotated while a run is under way, so it is asked for at each log-in.

use std::sync::Arc;

use waybill_model::FailureCode;
use waybill_model::secret::SecretRef;
use waybill_pipeline::{Credential, Fault, FaultResult};

/// A way for each reference; none where the settings name none.
#[derive(Clone, Default)]
pub struct References {
    /// To `ca`, where it is a reference.
    pub ca: Option<Arc<dyn Credential>>,
    /// To `client-cert`.
    pub client_cert: Option<Arc<dyn Credential>>,
    /// To `client-key`.
    pub client_key: Option<Arc<dyn Credential>>,
    /// To `ssh.key`.
    pub ssh_key: Option<Arc<dyn Credential>>,
}

/// A reference and the way to what it leads to.
#[derive(Clone)]
pub(crate) struct Referred {
    pub(crate) reference: SecretRef,
    pub(crate) way: Arc<dyn Credential>,
}

impl Referred {
    /// That of a field. A way that nobody gave is no reason to go without.
    pub(crate) fn of(field: &str, reference: &SecretRef, way: Option<&Arc<dyn Credential>>) -> FaultResult<Self> {
        let text = || format!("`{field}` {reference} was not looked up");
        let way = way.ok_or_else(|| Fault::new(FailureCode::SecretUnresolved, text()))?;
        Ok(Self { reference: reference.clone(), way: Arc::clone(way) })
    }
}

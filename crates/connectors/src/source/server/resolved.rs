//! What the references of a connection's settings led to, besides the password: that one is asked for anew at each log-in.

use waybill_model::plan::{Ca, Ssh};
use waybill_model::secret::SecretRef;
use waybill_pipeline::FaultResult;
use zeroize::Zeroizing;

use super::tls::Roots;
use super::tls::client::Client;
use super::tunnel::Tunnel;

/// Texts that were looked up; none where the settings name no reference.
#[derive(Default)]
pub struct Resolved {
    /// That of `ca`, where it is a reference.
    pub ca: Option<Zeroizing<String>>,
    /// That of `client-cert`.
    pub client_cert: Option<Zeroizing<String>>,
    /// That of `client-key`.
    pub client_key: Option<Zeroizing<String>>,
    /// That of `ssh.key`.
    pub ssh_key: Option<Zeroizing<String>>,
}

impl Resolved {
    /// Whom the settings trust.
    pub(crate) fn roots<'a>(&'a self, ca: Option<&'a Ca>) -> FaultResult<Roots<'a>> {
        Roots::of(ca, text(&self.ca))
    }

    /// The way through the server between, where the settings name one.
    pub(crate) fn tunnel(&self, ssh: Option<&Ssh>) -> FaultResult<Option<Tunnel>> {
        ssh.map(|ssh| Tunnel::new(ssh, text(&self.ssh_key))).transpose()
    }

    /// By what the worker proves itself.
    pub(crate) fn client(
        &self,
        certificate: Option<&SecretRef>,
        key: Option<&SecretRef>,
    ) -> FaultResult<Option<Client>> {
        Client::of((certificate, text(&self.client_cert)), (key, text(&self.client_key)))
    }
}

fn text(given: &Option<Zeroizing<String>>) -> Option<&str> {
    given.as_ref().map(|text| text.as_str())
}

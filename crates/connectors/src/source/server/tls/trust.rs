//! Whom a connection trusts and by what it proves itself, as files and references say at each log-in.
//!
//! What was made of them serves until they lead to something else. Where a handshake fails, they are followed anew: a
//! certificate may have been rotated since.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::sync::Mutex;
use waybill_model::FailureCode;
use waybill_model::plan::{Ca, TlsMode};
use waybill_model::secret::SecretRef;
use waybill_pipeline::{Fault, FaultResult};
use zeroize::Zeroizing;

use super::client::Client;
use super::{Roots, Tls, read, unusable};
use crate::source::server::references::{References, Referred};
use crate::source::server::rotation::{Rotation, Waits};

/// What TLS to one server is made of. Clones share what was made last.
#[derive(Clone)]
pub(crate) struct Trust(Arc<Inner>);

struct Inner {
    name: ServerName<'static>,
    ca: Authority,
    /// The worker's certificate and its key.
    client: Option<(Referred, Referred)>,
    made: Mutex<Option<Made>>,
    rotation: Rotation,
}

/// Whom a server's certificate must come from.
enum Authority {
    System,
    File(String),
    Referred(Referred),
}

/// TLS, and the texts that it was made of.
#[derive(Clone)]
pub(crate) struct Made {
    from: Texts,
    pub(crate) tls: Tls,
}

#[derive(Clone, PartialEq, Eq)]
struct Texts {
    ca: Option<Vec<u8>>,
    client: Option<(Zeroizing<String>, Zeroizing<String>)>,
}

impl Trust {
    /// What the settings of a server ask for: none where they turn TLS off.
    pub(crate) fn of(
        mode: TlsMode,
        host: &str,
        ca: Option<&Ca>,
        client: (Option<&SecretRef>, Option<&SecretRef>),
        ways: &References,
    ) -> FaultResult<Option<Self>> {
        let refuse = |text: &str| Err(Fault::new(FailureCode::SpecRefused, text));
        let client = match client {
            (None, None) => None,
            (Some(_), Some(_)) if mode == TlsMode::Disable => {
                return refuse("`client-cert` has no meaning with `tls: disable`: leave `tls` at verify-full");
            }
            (Some(certificate), Some(key)) => Some((
                Referred::of("client-cert", certificate, ways.client_cert.as_ref())?,
                Referred::of("client-key", key, ways.client_key.as_ref())?,
            )),
            _ => return refuse("`client-cert` and `client-key` go together: give both"),
        };
        if mode == TlsMode::Disable {
            return Ok(None);
        }
        let ca = match ca {
            None => Authority::System,
            Some(Ca::Path(path)) => Authority::File(path.clone()),
            Some(Ca::Reference(reference)) => Authority::Referred(Referred::of("ca", reference, ways.ca.as_ref())?),
        };
        let Ok(name) = ServerName::try_from(host.to_owned()) else {
            return refuse("`host` is neither a DNS name nor an address");
        };
        Ok(Some(Self(Arc::new(Inner { name, ca, client, made: Mutex::default(), rotation: Rotation::default() }))))
    }

    /// Whether the worker has a certificate of its own.
    #[cfg(feature = "postgres")]
    pub(crate) fn has_client(&self) -> bool {
        self.0.client.is_some()
    }

    /// TLS for the next handshake. New texts that don't fit each other, as while a certificate and its key are exchanged one
    /// after the other, leave what worked in place.
    pub(crate) async fn now(&self) -> FaultResult<Made> {
        let read = self.0.texts(None).await;
        let mut made = self.0.made.lock().await;
        let found = match (read, made.as_ref()) {
            (Ok(found), _) => found,
            (Err(fault), Some(earlier)) if self.0.is_between(&fault) => return Ok(earlier.clone()),
            (Err(fault), _) => return Err(fault),
        };
        if let Some(same) = made.as_ref().filter(|made| made.from == found) {
            return Ok(same.clone());
        }
        match (self.0.make(found), made.as_ref()) {
            (Ok(new), _) => Ok(made.insert(new).clone()),
            (Err(fault), Some(earlier)) if self.0.rotation.has_worked() => {
                let text = fault.text.for_customer();
                tracing::warn!(text, "the certificates have changed to what can't be used: the earlier ones are kept");
                Ok(earlier.clone())
            }
            (Err(fault), _) => Err(fault),
        }
    }

    /// A handshake was made.
    pub(crate) fn worked(&self) {
        self.0.rotation.worked();
    }

    /// Other TLS than what failed this way; the failure where there is none.
    pub(crate) async fn next(&self, refused: &Made, fault: Fault, waits: &mut Waits) -> FaultResult<Made> {
        let concerns = [FailureCode::TlsFailed, FailureCode::ClientCertificateRefused].contains(&fault.code);
        if !concerns || !self.0.may_change() {
            return Err(fault);
        }
        let look = || async {
            let found = match self.0.texts(Some(&refused.from)).await {
                Err(fault) if self.0.is_between(&fault) => return Ok(None),
                read => read?,
            };
            if found == refused.from {
                return Ok(None);
            }
            match self.0.make(found) {
                Ok(new) => Ok(Some(self.0.made.lock().await.insert(new).clone())),
                Err(_) if self.0.rotation.has_worked() => Ok(None),
                Err(fault) => Err(fault),
            }
        };
        let found = self.0.rotation.next(waits, look).await?.ok_or(fault)?;
        tracing::info!("the handshake failed and certificates have changed since: trying the new ones");
        Ok(found)
    }
}

impl Inner {
    const fn may_change(&self) -> bool {
        self.client.is_some() || !matches!(self.ca, Authority::System)
    }

    /// Whether a file of CAs that has served is gone for now, as while another one takes its place.
    fn is_between(&self, fault: &Fault) -> bool {
        matches!(self.ca, Authority::File(_)) && fault.code == FailureCode::TlsFailed && self.rotation.has_worked()
    }

    /// What files and references lead to: now, or after these were refused.
    async fn texts(&self, refused: Option<&Texts>) -> FaultResult<Texts> {
        let ca = match &self.ca {
            Authority::System => None,
            Authority::File(path) => Some(read(path).map_err(|error| unusable(path, &error.to_string()))?),
            Authority::Referred(ca) => {
                let earlier = refused.and_then(|texts| std::str::from_utf8(texts.ca.as_deref()?).ok());
                Some(follow(ca, earlier).await?.as_bytes().to_vec())
            }
        };
        let client = match &self.client {
            None => None,
            Some((certificate, key)) => {
                let earlier = refused.and_then(|texts| texts.client.as_ref());
                let first = follow(certificate, earlier.map(|(text, _)| text.as_str())).await?;
                Some((first, follow(key, earlier.map(|(_, text)| text.as_str())).await?))
            }
        };
        Ok(Texts { ca, client })
    }

    fn make(&self, from: Texts) -> FaultResult<Made> {
        let named;
        let roots = match (&self.ca, &from.ca) {
            (Authority::File(path), Some(pem)) => Roots::Text { from: path, pem },
            (Authority::Referred(ca), Some(pem)) => {
                named = ca.reference.to_string();
                Roots::Text { from: &named, pem }
            }
            _ => Roots::System,
        };
        let client = match (&self.client, &from.client) {
            (Some((certificate, key)), Some((chain, text))) => {
                Some(Client::read((&certificate.reference, chain), (&key.reference, text))?)
            }
            _ => None,
        };
        Ok(Made { tls: Tls::new(&self.name, roots, client)?, from })
    }
}

async fn follow(to: &Referred, refused: Option<&str>) -> FaultResult<Zeroizing<String>> {
    match refused {
        Some(text) => to.way.anew(text).await,
        None => to.way.value().await,
    }
}

#[cfg(test)]
mod tests;

//! Who speaks: the certificate authority, tickets, nonces, attestation, peer identities and TLS for both ends.
//!
//! Identities are made by the server from its own ids and compared byte for byte; nothing that a peer writes into a request
//! chooses who it is. Keys and tickets have no `Debug`, `Display` or `Serialize`.

pub mod attest;
pub mod authority;
#[cfg(feature = "channel")]
pub mod channel;
pub mod client;
pub mod deny;
pub mod error;
pub mod invitation;
pub mod keydir;
pub mod nonce;
pub mod peer;
pub mod request;
pub mod server;
pub mod ticket;

pub use attest::aws::{AwsProof, AwsRole};
pub use attest::{AgentAttestation, Attestation, AttestationError, AttestationKind, Binding, ProcessAttestation};
pub use authority::{Authority, IssuedLeaf, ServerName};
pub use client::Pin;
pub use deny::DenyList;
pub use error::IdentityError;
pub use invitation::{Invitation, InvitationError};
pub use keydir::KeyDirectory;
pub use nonce::Nonces;
pub use peer::{AgentPeer, Certified, CertifiedAgent, Peer, TrustDomain};
pub use request::{WorkerKey, WorkerRequest};
pub use server::{Acceptor, CertificateSlot, OnePort};
pub use ticket::{TICKET_LIFE, Ticket, TicketClaim, TicketError, TicketKey};

/// The TLS stream that the acceptor hands out, with the peer's certificates in it.
pub use tokio_rustls::server::TlsStream;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// The one crypto provider. Given explicitly everywhere, so that no process-wide default can change it.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

//! What can go wrong with keys and certificates. No variant holds key material or bytes of a request.

use std::path::PathBuf;

/// A key, certificate or request could not be made, read or accepted.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file of the key directory can't be used.
    #[error("key file {}: {what}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: &'static str,
    },
    /// A file of the key directory can't be read or written.
    #[error("key file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A certificate request breaks a rule.
    #[error("csr_rejected: {0}")]
    CsrRejected(&'static str),
    /// A certificate could not be made.
    #[error("make a certificate")]
    Issue(#[source] rcgen::Error),
    /// TLS could not be set up.
    #[error("set up TLS")]
    Tls(#[source] rustls::Error),
    /// A setting breaks a rule.
    #[error("{0}")]
    Setting(&'static str),
    /// The certificate names no identity of ours.
    #[error("the certificate names no worker of this trust domain")]
    NoIdentity,
}

/// The result of everything that can go wrong with keys and certificates.
pub type IdentityResult<T> = Result<T, IdentityError>;

//! What connections to every database server share: the way from a host name to a socket, TLS, the password, and bytes whose
//! number is bounded before they are buffered.
//!
//! It knows no protocol: what is said on a connection stands with its source.

pub(crate) mod loss;
pub(crate) mod name;
pub(crate) mod password;
pub(crate) mod reach;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod transport;

use waybill_model::FailureCode;
use waybill_pipeline::Fault;

/// A breach of the protocol.
pub(crate) fn malformed(text: &str) -> Fault {
    Fault::new(FailureCode::SourceMalformed, text)
}

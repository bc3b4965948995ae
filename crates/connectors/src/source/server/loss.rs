//! Connections that end before they should: what is told of it, and which code it has at which place.

use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::tls::witness::reason;
use super::tunnel::channel::Lost;

/// SQLSTATEs with which a server ends a connection itself: Postgres' shutdowns, and MySQL's.
const ENDED: [&str; 2] = ["57P", "08S01"];

/// A connection that broke; TLS errors come through the same door.
pub(crate) fn broken(error: &std::io::Error) -> Fault {
    if let Some(lost) = error.get_ref().and_then(|inner| inner.downcast_ref::<Lost>()) {
        return Fault::new(FailureCode::SshTunnelLost, lost.to_string());
    }
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) if is_of_ours(tls) => {
            let text =
                format!("the server refuses the client certificate, or that there is none; TLS: {}", reason(tls));
            Fault::new(FailureCode::ClientCertificateRefused, text)
        }
        Some(tls) => Fault::new(FailureCode::TlsFailed, format!("TLS: {}", reason(tls))),
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Fault::new(FailureCode::SourceIncomplete, "the connection was cut")
        }
        None => Fault::new(FailureCode::SourceFailed, format!("the connection broke: {}", error.kind())),
    }
}

/// Whether an error is what a server says of a client's certificate: of its own it has nothing to say.
fn is_of_ours(error: &rustls::Error) -> bool {
    use rustls::AlertDescription as A;
    let rustls::Error::AlertReceived(alert) = error else { return false };
    matches!(
        alert,
        A::NoCertificate
            | A::BadCertificate
            | A::UnsupportedCertificate
            | A::CertificateRevoked
            | A::CertificateExpired
            | A::CertificateUnknown
            | A::UnknownCA
            | A::CertificateRequired
            // One that bears the name of a known authority and is of another.
            | A::DecryptError
    )
}

/// Whether the server said that it ends the connection.
pub(crate) fn was_ended(fault: &Fault) -> bool {
    fault.sqlstate.is_some_and(|state| ENDED.iter().any(|ended| state.starts_with(ended)))
}

/// Gives a lost connection its meaning at this place: `code` instead of a cut or broken connection.
pub(crate) fn lost_as<T>(result: FaultResult<T>, code: FailureCode) -> FaultResult<T> {
    result.map_err(|mut fault| {
        let cut = fault.code == FailureCode::SourceIncomplete
            || (fault.code == FailureCode::SourceFailed && (was_ended(&fault) || fault.sqlstate.is_none()));
        if cut {
            fault.code = code;
        }
        fault
    })
}

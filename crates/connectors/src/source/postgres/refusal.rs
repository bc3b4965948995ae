//! What the server refused, as a public code and, where the SQLSTATE's class can't hold values, its message.
//!
//! DETAIL, HINT, CONTEXT and QUERY are never read: they print keys and rows. Messages of the data classes aren't either.

use waybill_model::FailureCode;
use waybill_pipeline::Fault;

/// Classes whose messages name objects and settings, never values.
const SPEAKABLE: [&str; 12] = ["08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58"];

/// An ErrorResponse, cut down to what may be kept.
pub(crate) struct ServerError {
    state: String,
    message: String,
    routine: String,
}

/// Why an exchange failed: the server said no and is ready again, or the connection can't be used any more.
pub(crate) enum Failure {
    Server(ServerError),
    Fault(Fault),
}

/// The result of an exchange.
pub(crate) type Exchange<T> = Result<T, Failure>;

impl ServerError {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut error = Self { state: String::new(), message: String::new(), routine: String::new() };
        let mut rest = body;
        while let Some((&field, tail)) = rest.split_first() {
            let Some(end) = tail.iter().position(|b| *b == 0) else { break };
            let text = || String::from_utf8_lossy(&tail[..end.min(1000)]).into_owned();
            match field {
                b'C' => error.state = text(),
                b'M' => error.message = text(),
                b'R' => error.routine = text(),
                _ => {}
            }
            rest = &tail[end + 1..];
        }
        error
    }

    /// The SQLSTATE that the server gave.
    pub(crate) fn state(&self) -> &str {
        &self.state
    }

    /// Whether a policy would hide rows, where the session said that none may.
    pub(crate) fn is_row_security(&self) -> bool {
        self.code() == FailureCode::RowSecurity
    }

    fn code(&self) -> FailureCode {
        use FailureCode as C;
        match (self.state.as_str(), self.routine.as_str()) {
            ("42501", "check_enable_rls") => C::RowSecurity,
            ("40001" | "40P01", _) => C::RecoveryConflict,
            ("42P01" | "3F000", _) => C::StreamNotFound,
            ("42703", _) => C::ColumnNotFound,
            ("57P03", _) => C::SourceUnreachable,
            ("28000", _) if self.message.contains("certificate") => C::ClientCertificateRefused,
            ("22021" | "22P05", _) => C::ValueRefused,
            (state, _) if state == "42501" || state.starts_with("28") || state.starts_with("3D") => C::SourceDenied,
            _ => C::SourceFailed,
        }
    }
}

impl From<ServerError> for Fault {
    fn from(error: ServerError) -> Self {
        let class = error.state.get(..2).unwrap_or_default();
        // 42601 quotes the statement, which holds bounds.
        let speakable = SPEAKABLE.contains(&class) && error.state != "42601";
        let said = if speakable { error.message.as_str() } else { "the message may hold values and is not kept" };
        Self::new(error.code(), format!("the server answered {}: {said}", error.state)).with_sqlstate(&error.state)
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Server(error) => error.into(),
            Failure::Fault(fault) => fault,
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(state: &str, message: &str, routine: &str) -> Fault {
        let body = format!("SERROR\0C{state}\0M{message}\0DKey (ssn)=(123) exists\0R{routine}\0\0");
        ServerError::parse(body.as_bytes()).into()
    }

    #[test]
    fn a_detail_and_the_message_of_a_data_class_are_not_kept() {
        let fault = answer("22P02", "invalid input syntax for type integer: \"secret\"", "x");
        assert!(!fault.text.for_customer().contains("secret"));
        let fault = answer("42P01", "relation \"shop.orders\" does not exist", "x");
        assert!(fault.text.for_customer().contains("shop.orders"));
        assert!(!fault.text.for_customer().contains("123"));
        assert_eq!((fault.code, fault.sqlstate), (FailureCode::StreamNotFound, Some("42P01")));
    }

    #[test]
    fn a_refused_client_certificate_is_told_from_a_refused_user() {
        for message in
            ["connection requires a valid client certificate", "certificate authentication failed for user \"u\""]
        {
            assert_eq!(answer("28000", message, "ClientAuthentication").code, FailureCode::ClientCertificateRefused);
        }
        assert_eq!(answer("28000", "role \"u\" does not exist", "x").code, FailureCode::SourceDenied);
    }

    #[test]
    fn row_security_is_told_from_a_missing_grant() {
        assert_eq!(answer("42501", "query would be affected", "check_enable_rls").code, FailureCode::RowSecurity);
        assert_eq!(answer("42501", "permission denied", "aclcheck_error").code, FailureCode::SourceDenied);
    }

    #[test]
    fn a_broken_error_response_is_no_panic() {
        for body in [&b"C"[..], b"C42", b"\0", b"C\0M\0", b"\xff\xff\0"] {
            let _ = Fault::from(ServerError::parse(body));
        }
    }
}

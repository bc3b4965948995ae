//! What the server refused, as a public code and, where the error's number can't hold values, its message.

use waybill_model::FailureCode;
use waybill_pipeline::Fault;

use super::bytes::Bytes;

/// Errors whose messages name objects, accounts and settings, never values.
const SPEAKABLE: [u16; 30] = [
    1040, 1044, 1045, 1049, 1053, 1054, 1129, 1130, 1142, 1143, 1146, 1193, 1203, 1205, 1213, 1226, 1227, 1231, 1251,
    1317, 1356, 1412, 1698, 1820, 1862, 1927, 1969, 3024, 3159, 4151,
];

/// An error of the server, cut down to what may be kept.
pub(super) struct ServerError {
    pub(super) number: u16,
    state: String,
    message: String,
}

/// Why an exchange failed: the server said no and is ready again, or the connection can't be used any more.
pub(super) enum Failure {
    Server(ServerError),
    Fault(Fault),
}

/// The result of an exchange.
pub(super) type Exchange<T> = Result<T, Failure>;

impl ServerError {
    /// Reads an error packet. One that is broken has the number 0.
    pub(super) fn parse(packet: &[u8]) -> Self {
        let mut bytes = Bytes::new(packet.get(1..).unwrap_or_default());
        let number = bytes.u16().unwrap_or_default();
        let (state, message) = match bytes.rest() {
            [b'#', a, b, c, d, e, message @ ..] => {
                (String::from_utf8_lossy(&[*a, *b, *c, *d, *e]).into_owned(), message)
            }
            message => ("HY000".to_owned(), message),
        };
        let message = String::from_utf8_lossy(&message[..message.len().min(1000)]);
        Self { number, state, message: message.chars().filter(|c| !c.is_control()).collect() }
    }

    /// A right that the user does not have.
    pub(super) const fn is_denied(&self) -> bool {
        matches!(self.number, 1044 | 1045 | 1142 | 1143 | 1227 | 1370)
    }

    const fn code(&self) -> FailureCode {
        use FailureCode as C;
        match self.number {
            1044 | 1045 | 1049 | 1129 | 1130 | 1142 | 1143 | 1227 | 1251 | 1370 | 1698 | 1820 | 1862 | 3159 | 4151 => {
                C::SourceDenied
            }
            1040 | 1203 | 1226 => C::SourceUnreachable,
            // The server ends the connection: it shuts down, or somebody killed it.
            1053 | 1927 => C::SourceIncomplete,
            1051 | 1146 => C::StreamNotFound,
            1054 => C::ColumnNotFound,
            1412 => C::SourceChanged,
            _ => C::SourceFailed,
        }
    }
}

impl From<ServerError> for Fault {
    fn from(error: ServerError) -> Self {
        let speakable = SPEAKABLE.contains(&error.number);
        let said = if speakable { error.message.as_str() } else { "the message may hold values and is not kept" };
        let text = format!("the server answered {} ({}): {said}", error.number, error.state);
        Self::new(error.code(), text).with_sqlstate(&error.state)
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

    fn answer(number: u16, state: &str, message: &str) -> Fault {
        let mut packet = vec![0xff];
        packet.extend_from_slice(&number.to_le_bytes());
        packet.extend_from_slice(format!("#{state}{message}").as_bytes());
        ServerError::parse(&packet).into()
    }

    #[test]
    fn a_message_that_may_hold_values_is_not_kept() {
        let fault = answer(1062, "23000", "Duplicate entry 'secret' for key 'PRIMARY'");
        assert!(!fault.text.for_customer().contains("secret"));
        let fault = answer(1146, "42S02", "Table 'shop.orders' doesn't exist");
        assert!(fault.text.for_customer().contains("shop.orders"));
        assert_eq!((fault.code, fault.sqlstate), (FailureCode::StreamNotFound, Some("42S02")));
    }

    #[test]
    fn a_broken_error_packet_is_no_panic() {
        for packet in [&b""[..], b"\xff", b"\xff\x01", b"\xff\x01\x02#", b"\xff\x01\x02#123", b"\xff\x01\x02\xff\xfe"] {
            let _ = Fault::from(ServerError::parse(packet));
        }
    }
}

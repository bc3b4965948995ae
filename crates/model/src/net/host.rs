//! A host as a plan names it: one DNS name, or one address in its usual spelling.
//!
//! Systems take many texts for an address (`127.1`, `0x7f000001`, `017700000001`). Nobody needs them in a plan, and they
//! hide where a connection goes, so they are refused together with what they stand for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::class::{AddressClass, class_of};

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A DNS name: lower case, without a dot at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Empty or too long.
    #[error("a host has 1 to 253 characters")]
    Length,
    /// A path.
    #[error("a socket path is no host: connections go over TCP")]
    Socket,
    /// Letters that only look like others, or full-width digits and dots.
    #[error("a host is written in ASCII; an international name in its xn-- form")]
    NotAscii,
    /// An address in another spelling.
    #[error("{address} ({class}) stands here in another spelling; write the address itself")]
    Spelling {
        /// What it stands for.
        address: IpAddr,
        /// Its class.
        class: AddressClass,
    },
    /// Anything else.
    #[error("a host is one name of letters, digits, -, _ and dots, or one address")]
    NotAHost,
}

impl Host {
    /// Reads a host. IPv6 addresses may stand in square brackets.
    pub fn read(text: &str) -> Result<Self, HostError> {
        if text.is_empty() || text.len() > 254 {
            return Err(HostError::Length);
        }
        if text.starts_with(['/', '@']) {
            return Err(HostError::Socket);
        }
        if !text.is_ascii() {
            return Err(HostError::NotAscii);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(HostError::NotAHost)?;
            return inner.parse::<Ipv6Addr>().map(|a| Self::Address(a.into())).map_err(|_| HostError::NotAHost);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if ends_in_number(name) {
            return Err(other_spelling(name).map_or(HostError::NotAHost, |address| HostError::Spelling {
                address: address.into(),
                class: class_of(address.into()),
            }));
        }
        if name.len() <= 253 && name.split('.').all(is_label) {
            Ok(Self::Name(name.to_ascii_lowercase()))
        } else {
            Err(HostError::NotAHost)
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

fn is_label(label: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(fits) && !label.starts_with('-') && !label.ends_with('-')
}

/// Whether some system would take the text for a number instead of a name.
fn ends_in_number(name: &str) -> bool {
    name.rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()) && !last.is_empty() || number(last).is_some())
}

/// One part of an address in decimal, octal or hexadecimal, as C libraries read it.
fn number(part: &str) -> Option<u64> {
    let hex = part.strip_prefix("0x").or_else(|| part.strip_prefix("0X"));
    match (hex, part.strip_prefix('0')) {
        (Some(""), _) => Some(0),
        (Some(hex), _) => u64::from_str_radix(hex, 16).ok(),
        (None, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => part.parse().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit())),
    }
}

/// The address that C libraries take the text for: one to four parts, of which the last fills what is left.
fn other_spelling(name: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = name.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) || *last >= 1 << (8 * (4 - first.len())) {
        return None;
    }
    let high = first.iter().enumerate().map(|(n, part)| part << (24 - 8 * n)).sum::<u64>();
    u32::try_from(high | last).ok().map(Ipv4Addr::from)
}

/// Host and port of `https://host:port`; none where the text is more or less than scheme, host and port.
#[must_use]
pub fn endpoint_of(endpoint: &str) -> Option<(&str, u16)> {
    let (rest, default) = match (endpoint.strip_prefix("https://"), endpoint.strip_prefix("http://")) {
        (Some(rest), _) => (rest, 443),
        (_, Some(rest)) => (rest, 80),
        _ => return None,
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.contains(['/', '@', '?', '#', '\\']) {
        return None;
    }
    match rest.rsplit_once(':') {
        Some((host, port)) if !rest.ends_with(']') => Some((host, port.parse().ok()?)),
        _ => Some((rest, default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_read_and_folded() {
        for (text, shown) in [
            ("db.internal", "db.internal"),
            ("DB.Internal.", "db.internal"),
            ("db_1", "db_1"),
            ("10.0.0.5", "10.0.0.5"),
            ("[::1]", "::1"),
            ("0:0::1", "::1"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(Host::read(text).expect(text).to_string(), shown);
        }
    }

    #[test]
    fn h14_an_address_in_another_spelling_is_named_and_refused() {
        for text in [
            "127.1",
            "0x7f000001",
            "017700000001",
            "2130706433",
            "0177.0.0.1",
            "127.0.1",
            "0x7f.0.0x0.1",
            "127.0.0.1.",
            "0x7F.1",
        ] {
            let error = Host::read(text).expect_err(text);
            let HostError::Spelling { address, class } = error else { panic!("{text}: {error}") };
            assert_eq!((address.to_string().as_str(), class), ("127.0.0.1", AddressClass::Loopback), "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        let cases = [
            "",
            "/run/postgresql",
            "@abstract",
            "a b",
            "a,b",
            "u@h",
            "a..b",
            "-a",
            "a-",
            "1.2.3.4.5",
            "256.1.1.1",
            "a.1",
            "[::1",
            "::1%eth0",
            "a%2eb",
            "１２７.0.0.1",
            "127。0。0。1",
            "ⓛocalhost",
            "db:5432",
            ".",
            "0x",
        ];
        for text in cases {
            let refused = Host::read(text);
            assert!(refused.is_err(), "{text}: {refused:?}");
        }
    }

    #[test]
    fn an_endpoint_is_scheme_host_and_port_and_nothing_else() {
        assert_eq!(endpoint_of("https://s3.example/"), Some(("s3.example", 443)));
        assert_eq!(endpoint_of("http://[::1]:9000"), Some(("[::1]", 9000)));
        assert_eq!(endpoint_of("http://[::1]"), Some(("[::1]", 80)));
        for text in ["file:///x", "https://a@b", "https://a/b", "https://a?b", "https://a:99999", "gopher://a", "a:1"] {
            assert_eq!(endpoint_of(text), None, "{text}");
        }
    }
}

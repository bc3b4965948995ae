//! Ranges of addresses and patterns of hosts, as a guard lists them.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::host::Host;

/// A range of addresses such as `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    base: IpAddr,
    bits: u8,
}

/// Why a text is no pattern or range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// No address and no range.
    #[error("write a range as 10.0.0.0/8, or one address")]
    Range,
    /// Bits are set behind the prefix.
    #[error("the address has bits behind its prefix: write the range's first address")]
    HostBits,
    /// The port is missing or no port.
    #[error("write a port behind a colon: 5432, 5432-5439, or * for any")]
    Port,
    /// The host is neither name, wildcard nor range.
    #[error("write a name, *.domain, an address or a range, then a colon and the port: db.internal:5432")]
    Host,
}

impl Range {
    /// Whether an address lies in it. A mapped IPv4 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same_bits(u128::from(base.to_bits()), u128::from(address.to_bits()), 32, self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => same_bits(base.to_bits(), address.to_bits(), 128, self.bits),
            _ => false,
        }
    }

    /// How many of the leading bits are fixed.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }
}

fn same_bits(a: u128, b: u128, width: u8, bits: u8) -> bool {
    (a ^ b).checked_shr(u32::from(width - bits)).unwrap_or(0) == 0
}

impl FromStr for Range {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_| PatternError::Range)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().map_err(|_| PatternError::Range)?,
            Some(_) => return Err(PatternError::Range),
        };
        if bits > most || base != base.to_canonical() {
            return Err(PatternError::Range);
        }
        let number = match base {
            IpAddr::V4(base) => u128::from(base.to_bits()),
            IpAddr::V6(base) => base.to_bits(),
        };
        let behind = u32::from(most - bits);
        let is_first = number.checked_shr(behind).and_then(|n| n.checked_shl(behind)).unwrap_or(0) == number;
        if is_first { Ok(Self { base, bits }) } else { Err(PatternError::HostBits) }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// Hosts and ports that may be dialed: `db.internal:5432`, `*.shop.internal:*`, `10.1.0.0/16:5432-5439`, `[fd12::/64]:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    hosts: Hosts,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    Name(String),
    /// Every name that ends in this one, which begins with a dot.
    Below(String),
    Addresses(Range),
}

impl HostPattern {
    /// Whether it covers this host and port. A name is covered by names only: what it resolves to is another question.
    #[must_use]
    pub fn covers(&self, host: &Host, port: u16) -> bool {
        let fits = match (&self.hosts, host) {
            (Hosts::Name(wanted), Host::Name(name)) => wanted == name,
            (Hosts::Below(suffix), Host::Name(name)) => name.len() > suffix.len() && name.ends_with(suffix),
            (Hosts::Addresses(range), Host::Address(address)) => range.contains(*address),
            _ => false,
        };
        fits && self.ports.contains(&port)
    }

    /// Whether it stands for more than one host.
    #[must_use]
    pub fn is_wide(&self) -> bool {
        match &self.hosts {
            Hosts::Name(_) => false,
            Hosts::Below(_) => true,
            Hosts::Addresses(range) => range.bits() < if range.base.is_ipv4() { 32 } else { 128 },
        }
    }
}

impl FromStr for HostPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (host, ports) = text.rsplit_once(':').ok_or(PatternError::Port)?;
        Ok(Self { hosts: read_hosts(host)?, ports: read_ports(ports)? })
    }
}

fn read_hosts(text: &str) -> Result<Hosts, PatternError> {
    if let Some(domain) = text.strip_prefix("*.") {
        return match Host::read(domain) {
            Ok(Host::Name(name)) => Ok(Hosts::Below(format!(".{name}"))),
            _ => Err(PatternError::Host),
        };
    }
    let bare = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    match bare.unwrap_or(text).parse::<Range>() {
        Ok(range) if range.base.is_ipv4() == bare.is_none() => return Ok(Hosts::Addresses(range)),
        Err(PatternError::HostBits) => return Err(PatternError::HostBits),
        _ => {}
    }
    match Host::read(text) {
        Ok(Host::Name(name)) => Ok(Hosts::Name(name)),
        _ => Err(PatternError::Host),
    }
}

fn read_ports(text: &str) -> Result<RangeInclusive<u16>, PatternError> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0).ok_or(PatternError::Port)
    };
    if text == "*" {
        return Ok(1..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let ports = port(first)?..=port(last)?;
    if ports.is_empty() { Err(PatternError::Port) } else { Ok(ports) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, host: &str, port: u16) -> bool {
        let pattern: HostPattern = pattern.parse().expect("a pattern");
        pattern.covers(&Host::read(host).expect("a host"), port)
    }

    #[test]
    fn a_pattern_covers_what_it_names_and_nothing_beside() {
        assert!(covers("db.internal:5432", "DB.internal.", 5432));
        assert!(!covers("db.internal:5432", "db.internal", 5433));
        assert!(!covers("db.internal:5432", "db.internal.evil.example", 5432));
        assert!(covers("*.internal:*", "a.b.internal", 1));
        assert!(!covers("*.internal:*", "internal", 1));
        assert!(!covers("*.internal:*", "evilinternal", 1));
        assert!(covers("10.1.0.0/16:5432-5439", "10.1.255.1", 5439));
        assert!(!covers("10.1.0.0/16:5432-5439", "10.2.0.1", 5432));
        assert!(covers("10.1.0.0/16:5432", "::ffff:10.1.0.1", 5432));
        assert!(covers("[fd12::/64]:5432", "fd12::9", 5432));
        assert!(!covers("0.0.0.0/0:*", "db.internal", 5432), "a name is no address");
    }

    #[test]
    fn a_range_ends_where_its_bits_say() {
        let all: Range = "::/0".parse().expect("a range");
        assert!(all.contains("2a00::1".parse().expect("an address")));
        assert!(!all.contains("10.0.0.1".parse().expect("an address")));
        let one: Range = "10.0.0.1".parse().expect("a range");
        assert!(one.contains("10.0.0.1".parse().expect("an address")) && one.to_string() == "10.0.0.1/32");
        assert!(!one.contains("10.0.0.2".parse().expect("an address")));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in [
            "db",
            "db:",
            "db:0",
            "db:65536",
            "db:+1",
            "db:2-1",
            "*:5432",
            "**.x:1",
            "*.*.x:1",
            "a*.x:1",
            "10.0.0.1/8:1",
            "10.0.0.0/33:1",
            "::1:5432",
            "[10.0.0.1]:1",
            "127.1:1",
            ":1",
            "",
            "a b:1",
            "10.0.0.0/+8:1",
        ] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
        assert_eq!("10.0.0.1/8".parse::<Range>(), Err(PatternError::HostBits));
        assert!("::ffff:10.0.0.0/104".parse::<Range>().is_err());
    }
}

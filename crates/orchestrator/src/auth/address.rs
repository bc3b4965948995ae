//! Where a request came from: the peer of the connection, or what proxies of ours say in `X-Forwarded-For`.
//!
//! The header is read from its end, and only as far as the hops are ours: whatever a client writes there itself stands
//! before that and is not believed.

use std::net::IpAddr;
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName};

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A range of addresses, such as `10.0.0.0/8` or `2001:db8::1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    base: IpAddr,
    bits: u32,
}

impl FromStr for Range {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| "takes addresses and ranges such as 10.0.0.0/8")?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).ok().filter(|bits| *bits <= most);
        let bits = bits.ok_or("holds a range whose length is not one of its address")?;
        let range = Self { base: base.to_canonical(), bits };
        // A range that begins inside itself is a typing mistake, and would trust more than what is written.
        if prefix(range.base, bits) == number(range.base) {
            Ok(range)
        } else {
            Err("holds a range with bits behind its length")
        }
    }
}

impl Range {
    /// Whether it holds this address.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.base.is_ipv4() && prefix(address, self.bits) == number(self.base)
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The first bits of an address.
fn prefix(address: IpAddr, bits: u32) -> u128 {
    number(address) & u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// The address of the client: the last hop that is none of our proxies.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Range]) -> IpAddr {
    let ours = |address: IpAddr| proxies.iter().any(|range| range.holds(address));
    let mut client = peer.to_canonical();
    let all: Vec<&str> = headers.get_all(&FORWARDED_FOR).iter().map(|value| value.to_str().unwrap_or("?")).collect();
    for hop in all.iter().flat_map(|list| list.split(',')).rev() {
        if !ours(client) {
            break;
        }
        // A hop that is no address was not written by a proxy of ours; the one before it is the last that is known.
        let Ok(hop) = hop.trim().parse::<IpAddr>() else { break };
        client = hop.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|text| text.parse().expect("a range")).collect()
    }

    fn seen(peer: &str, forwarded: &[&str], proxies: &[&str]) -> String {
        let headers = forwarded.iter().map(|text| (FORWARDED_FOR.clone(), text.parse().expect("a header"))).collect();
        client(peer.parse().expect("an address"), &headers, &ranges(proxies)).to_string()
    }

    #[test]
    fn a_header_from_nobody_of_ours_is_not_believed() {
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &[]), "203.0.113.9");
        assert_eq!(seen("203.0.113.9", &["198.51.100.1"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn proxies_of_ours_are_believed_from_the_end_and_what_the_client_wrote_is_not() {
        let ours = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(seen("10.1.2.3", &["198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(seen("::ffff:10.1.2.3", &["198.51.100.1"], &ours), "198.51.100.1");
        assert_eq!(seen("10.1.2.3", &["127.0.0.1, 198.51.100.1, 2001:db8::5"], &ours), "198.51.100.1");
        assert_eq!(seen("10.1.2.3", &["127.0.0.1, 198.51.100.1", "10.9.9.9"], &ours), "198.51.100.1");
        assert_eq!(seen("10.1.2.3", &["198.51.100.1, unknown"], &ours), "10.1.2.3");
        assert_eq!(seen("10.1.2.3", &[], &ours), "10.1.2.3");
    }

    #[test]
    fn ranges_hold_what_is_written_and_mistakes_are_refused() {
        let holds = |range: &str, address: &str| {
            range.parse::<Range>().expect("a range").holds(address.parse().expect("an address"))
        };
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("0.0.0.0/0", "8.8.8.8") && !holds("0.0.0.0/0", "::1") && holds("::/0", "::1"));
        for wrong in ["", "10.0.0.0/33", "10.0.0.0/x", "10.0.0.1/8", "::1/129", "localhost", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}

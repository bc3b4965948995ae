//! Where a request came from: the peer of the connection, or what proxies of ours say in `X-Forwarded-For`.
//!
//! The header is read from its end, and only as far as the hops are ours: whatever a client writes there itself stands
//! before that and is not believed.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::{HeaderMap, HeaderName};
use waybill_model::net::Range;

static FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the client: the last hop that is none of our proxies.
#[must_use]
pub fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Range]) -> IpAddr {
    let ours = |address: IpAddr| proxies.iter().any(|range| range.contains(address));
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

/// What one client is counted by: who has one address of IPv6 has all of its /64.
#[must_use]
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip => ip,
    }
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
}

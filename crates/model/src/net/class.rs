//! Classes of addresses. An IPv6 address that carries an IPv4 address is of the class of what it carries.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::run::named;

named! {
    /// What an address leads to.
    AddressClass {
        /// A server that hands out instance data or credentials to whoever asks from this machine.
        Metadata = "metadata",
        /// Only this link: 169.254.0.0/16 and fe80::/10.
        LinkLocal = "link_local",
        /// This machine.
        Loopback = "loopback",
        /// No address, which most systems take for this machine.
        Unspecified = "unspecified",
        /// Many receivers.
        Multicast = "multicast",
        /// Reserved, broadcast or retired.
        Reserved = "reserved",
        /// Any other, private or public.
        Ordinary = "ordinary",
    }
}

/// Metadata and credential servers of the clouds, where they are no part of the link-local range too.
const METADATA_V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The class of an address.
#[must_use]
pub fn class_of(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    }
}

fn class_v4(address: Ipv4Addr) -> AddressClass {
    let [first, second, ..] = address.octets();
    if METADATA_V4.contains(&address) {
        AddressClass::Metadata
    } else if (first, second) == (169, 254) {
        AddressClass::LinkLocal
    } else {
        match first {
            127 => AddressClass::Loopback,
            0 => AddressClass::Unspecified,
            224..=239 => AddressClass::Multicast,
            240..=255 => AddressClass::Reserved,
            _ => AddressClass::Ordinary,
        }
    }
}

fn class_v6(address: Ipv6Addr) -> AddressClass {
    // The classes stand in the order of their danger.
    let carried = carried_v4(address).map(class_v4).min().filter(|class| *class != AddressClass::Ordinary);
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => AddressClass::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0xfd00, 0xec2, ..] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => AddressClass::Metadata,
        [first, ..] if first & 0xffc0 == 0xfe80 => AddressClass::LinkLocal,
        [first, ..] if first & 0xff00 == 0xff00 => AddressClass::Multicast,
        [first, ..] if first & 0xffc0 == 0xfec0 => AddressClass::Reserved,
        [0x100, 0, 0, 0, ..] => AddressClass::Reserved,
        _ => carried.unwrap_or(AddressClass::Ordinary),
    }
}

/// Every IPv4 address that this one may stand for: some forms put it in more than one place.
fn carried_v4(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let s = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let last = join(s[6], s[7]);
    // Behind the eighth byte of some prefixes stands a zero byte that is no part of the address.
    let around = Ipv4Addr::from((u32::from(s[3]) << 16) | (u32::from(s[4] & 0xff) << 8) | u32::from(s[5] >> 8));
    let found = match s {
        // Mapped, compatible, and translated (RFC 4291, RFC 2765).
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => [Some(last), None],
        // NAT64, well known and local (RFC 6052, RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => [Some(last), None],
        [0x64, 0xff9b, 1, ..] => [last, around].map(|found| Some(found).filter(|found| !found.is_unspecified())),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [Some(join(high, low)), None],
        // Teredo (RFC 4380): its server, and its client with every bit turned.
        [0x2001, 0, high, low, ..] => [Some(join(high, low)), Some(join(!s[6], !s[7]))],
        // ISATAP (RFC 5214) below any prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => [Some(last), None],
        _ => [None, None],
    };
    found.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_class_of_what_it_carries() {
        use AddressClass as C;
        let table = [
            ("169.254.169.254", C::Metadata),
            ("::ffff:169.254.169.254", C::Metadata),
            ("::169.254.169.254", C::Metadata),
            ("::ffff:0:169.254.170.2", C::Metadata),
            ("64:ff9b::a9fe:a9fe", C::Metadata),
            ("64:ff9b:1::a9fe:a9fe", C::Metadata),
            ("64:ff9b:1:a9fe:a9:fe00::", C::Metadata),
            ("2002:a9fe:a9fe::1", C::Metadata),
            ("2001:0:a9fe:a9fe::", C::Metadata),
            ("2001:0:808:808:0:0:5601:5601", C::Metadata),
            ("2001:db8::5efe:169.254.170.2", C::Metadata),
            ("fd00:ec2::254", C::Metadata),
            ("fd00:ec2::23", C::Metadata),
            ("fd20:ce::254", C::Metadata),
            ("100.100.100.200", C::Metadata),
            ("169.254.0.1", C::LinkLocal),
            ("fe80::1", C::LinkLocal),
            ("febf::1", C::LinkLocal),
            ("127.255.255.254", C::Loopback),
            ("::1", C::Loopback),
            ("::ffff:127.0.0.1", C::Loopback),
            ("2002:7f00:1::", C::Loopback),
            ("0.0.0.0", C::Unspecified),
            ("::", C::Unspecified),
            ("::ffff:0.0.0.0", C::Unspecified),
            ("224.0.0.1", C::Multicast),
            ("ff02::1", C::Multicast),
            ("255.255.255.255", C::Reserved),
            ("fec0::1", C::Reserved),
            ("100::1", C::Reserved),
            ("10.0.0.5", C::Ordinary),
            ("100.64.0.1", C::Ordinary),
            ("8.8.8.8", C::Ordinary),
            ("2a00::1", C::Ordinary),
            ("fd12::1", C::Ordinary),
            ("64:ff9b::808:808", C::Ordinary),
            ("64:ff9b:1::808:808", C::Ordinary),
            ("64:ff9b:1:808:8:800::", C::Ordinary),
            ("2002:808:808::1", C::Ordinary),
        ];
        for (text, class) in table {
            assert_eq!(class_of(text.parse().expect("an address")), class, "{text}");
        }
    }
}

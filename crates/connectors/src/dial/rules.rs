//! Which addresses are dialed.

use std::net::IpAddr;

use waybill_model::net::{AddressClass, Range, class_of};

/// Which addresses are dialed: ordinary ones within the egress ranges, and special ones that are named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether this machine itself may be dialed: only where nobody else's instructions are followed on it.
    pub loopback: bool,
    /// Addresses of other classes than the ordinary that are wanted all the same.
    pub special: Vec<Range>,
    /// What ordinary addresses must lie in; any where absent.
    pub egress: Option<Vec<Range>>,
}

/// An address that is not dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Its class is refused.
    #[error("{address} is a {class} address, which is never dialed unless the guard names it")]
    Class {
        /// The address.
        address: IpAddr,
        /// Its class.
        class: AddressClass,
    },
    /// It lies outside.
    #[error("{0} lies outside the egress ranges of the guard")]
    Outside(IpAddr),
}

impl Rules {
    /// For a worker on somebody's own machine, without a guard.
    #[must_use]
    pub fn local() -> Self {
        Self { loopback: true, ..Self::default() }
    }

    /// Whether an address is dialed.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let named = |ranges: &[Range]| ranges.iter().any(|range| range.contains(address));
        match class_of(address) {
            AddressClass::Ordinary if self.egress.as_deref().is_none_or(named) => Ok(()),
            AddressClass::Ordinary => Err(Denied::Outside(address)),
            AddressClass::Loopback if self.loopback => Ok(()),
            _ if named(&self.special) => Ok(()),
            class => Err(Denied::Class { address, class }),
        }
    }
}

//! Addresses and hosts as both the guard and the dialer see them: what class an address is of, however it is wrapped, how
//! a host may be written, what a pattern covers, and which partition a region belongs to.
//!
//! Pure: it resolves no name. What a name resolves to is the dialer's to find, and to check with the same classes.

mod class;
mod host;
mod pattern;
mod region;

pub use class::{AddressClass, class_of};
pub use host::{Host, HostError, endpoint_of};
pub use pattern::{HostPattern, PatternError, Range};
pub use region::{is_region, partition_of, token_issuer_host};

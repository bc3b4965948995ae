//! The first packets of a connection: what the server says it is, and what we say we are.
//!
//! Never among our capabilities: local files and several statements at once. A server that uses either all the same is refused.

use waybill_pipeline::FaultResult;

use super::bytes::{Bytes, put_string};
use super::refusal::{Exchange, Failure, ServerError};
use crate::source::server::malformed;

const LONG_PASSWORD: u32 = 0x1;
const LONG_FLAG: u32 = 0x4;
const CONNECT_WITH_DB: u32 = 0x8;
const PROTOCOL_41: u32 = 0x200;
const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;
const CONNECT_ATTRS: u32 = 0x10_0000;
const PLUGIN_AUTH_LENENC: u32 = 0x20_0000;

/// What every server must be able to do: all since MySQL 5.5.7 and MariaDB 5.5 are.
const NEEDED: u32 = PROTOCOL_41 | SECURE_CONNECTION | PLUGIN_AUTH;
const OURS: u32 = NEEDED | LONG_PASSWORD | LONG_FLAG | CONNECT_WITH_DB | TRANSACTIONS;
/// What is used where the server has it.
const WHERE_KNOWN: u32 = CONNECT_ATTRS | PLUGIN_AUTH_LENENC;

/// utf8mb4_general_ci, which every server knows.
const UTF8MB4: u8 = 45;
/// The longest packet that we say we take: what is longer comes in several. Bounds of ours are smaller.
const LARGEST_PACKET: u32 = 1 << 30;
/// Bytes of a challenge.
pub(super) const CHALLENGE: usize = 20;

/// What the server says first.
pub(super) struct Greeting {
    pub(super) thread: u32,
    capabilities: u32,
    pub(super) challenge: [u8; CHALLENGE],
    pub(super) plugin: String,
}

impl Greeting {
    pub(super) fn read(packet: &[u8]) -> Exchange<Self> {
        match packet.first() {
            Some(0xff) => return Err(Failure::Server(ServerError::parse(packet))),
            Some(10) => {}
            _ => return Err(malformed("the server does not begin as MySQL and MariaDB do").into()),
        }
        Ok(Self::parse(&packet[1..])?)
    }

    fn parse(packet: &[u8]) -> FaultResult<Self> {
        let mut bytes = Bytes::new(packet);
        // Which server it is, is asked later: here some say 5.5.5 whatever they are.
        bytes.until_nul();
        let thread = bytes.u32()?;
        let first = bytes.array::<8>()?;
        bytes.byte()?;
        let low = bytes.u16()?;
        bytes.byte()?;
        bytes.u16()?;
        let capabilities = u32::from(low) | u32::from(bytes.u16()?) << 16;
        bytes.byte()?;
        bytes.take(10)?;
        if capabilities & NEEDED != NEEDED {
            return Err(malformed("the server is too old: it lacks what MySQL 5.5.7 and MariaDB 5.5 have"));
        }
        let second = bytes.array::<12>()?;
        bytes.byte()?;
        let plugin = String::from_utf8_lossy(bytes.until_nul()).into_owned();
        Ok(Self { thread, capabilities, challenge: joined(first, second), plugin })
    }

    pub(super) const fn has_tls(&self) -> bool {
        self.capabilities & SSL != 0
    }
}

fn joined(first: [u8; 8], second: [u8; 12]) -> [u8; CHALLENGE] {
    let mut challenge = [0; CHALLENGE];
    challenge[..8].copy_from_slice(&first);
    challenge[8..].copy_from_slice(&second);
    challenge
}

/// What we say we are.
pub(super) struct Introduction<'a> {
    pub(super) user: &'a str,
    pub(super) database: &'a str,
    pub(super) application: &'a str,
    pub(super) is_tls: bool,
}

impl Introduction<'_> {
    /// What we can do, which is also the whole request for TLS.
    pub(super) fn head(&self, greeting: &Greeting) -> Vec<u8> {
        let tls = if self.is_tls { SSL } else { 0 };
        let capabilities = OURS | tls | (WHERE_KNOWN & greeting.capabilities);
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&capabilities.to_le_bytes());
        out.extend_from_slice(&LARGEST_PACKET.to_le_bytes());
        out.push(UTF8MB4);
        out.extend_from_slice(&[0; 23]);
        out
    }

    /// The whole answer, with the proof of the log-in.
    pub(super) fn whole(&self, greeting: &Greeting, plugin: &str, proof: &[u8]) -> Vec<u8> {
        let mut out = self.head(greeting);
        let terminated = |out: &mut Vec<u8>, text: &str| {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        };
        terminated(&mut out, self.user);
        // Servers differ in how they read a length over 250; the first proof has 32 bytes at most.
        put_string(&mut out, proof);
        terminated(&mut out, self.database);
        terminated(&mut out, plugin);
        if greeting.capabilities & CONNECT_ATTRS != 0 {
            let mut attributes = Vec::new();
            for (key, value) in [("program_name", self.application), ("_client_name", "waybill")] {
                put_string(&mut attributes, key.as_bytes());
                put_string(&mut attributes, value.as_bytes());
            }
            put_string(&mut out, &attributes);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_greeting_is_no_panic() {
        let mut whole =
            b"\x0a10.11.6-MariaDB\0\x07\0\0\0abcdefgh\0\xff\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\0\0\0\0".to_vec();
        whole.extend_from_slice(b"ijklmnopqrst\0mysql_native_password\0");
        let greeting = Greeting::read(&whole).ok().expect("a greeting");
        assert_eq!((greeting.thread, greeting.plugin.as_str()), (7, "mysql_native_password"));
        assert_eq!(&greeting.challenge, b"abcdefghijklmnopqrst");
        for end in 0..60 {
            assert!(Greeting::read(&whole[..end]).is_err(), "{end}");
        }
        assert!(Greeting::read(b"\x09x").is_err() && Greeting::read(b"HTTP/1.1").is_err());
    }

    #[test]
    fn local_files_and_several_statements_are_never_offered() {
        const LOCAL_FILES: u32 = 0x80;
        const MULTI_STATEMENTS: u32 = 0x1_0000;
        const MULTI_RESULTS: u32 = 0x2_0000;
        assert_eq!((OURS | WHERE_KNOWN | SSL) & (LOCAL_FILES | MULTI_STATEMENTS | MULTI_RESULTS), 0);
    }
}

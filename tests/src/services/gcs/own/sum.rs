//! CRC32C by its table: of the server's own making, so that it shares no mistake with the client's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

/// CRC32C as the service spells it.
pub(super) fn spelled(bytes: &[u8]) -> String {
    BASE64.encode(crc32c(bytes).to_be_bytes())
}

fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    let step = |sum: u32, byte: &u8| TABLE[usize::from(sum.to_le_bytes()[0] ^ byte)] ^ (sum >> 8);
    !bytes.iter().fold(u32::MAX, step)
}

/// Castagnoli's polynomial, reflected.
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at: u32 = 0;
    while at < 256 {
        let (mut sum, mut bit) = (at, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { (sum >> 1) ^ 0x82f6_3b78 } else { sum >> 1 };
            bit += 1;
        }
        table[at as usize] = sum;
        at += 1;
    }
    table
}

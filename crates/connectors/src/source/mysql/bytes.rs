//! Numbers and strings as the protocol writes them. Every read is checked; a short packet is an error, never a panic.

use waybill_pipeline::FaultResult;

use crate::source::server::malformed;

/// What is left of a packet.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(&'a [u8]);

fn short() -> waybill_pipeline::Fault {
    malformed("a packet is shorter than it says")
}

impl<'a> Bytes<'a> {
    pub(super) const fn new(packet: &'a [u8]) -> Self {
        Self(packet)
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> FaultResult<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> FaultResult<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or_else(short)?;
        self.0 = rest;
        Ok(*taken)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> FaultResult<u8> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> FaultResult<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> FaultResult<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A number of one to nine bytes.
    #[inline]
    pub(super) fn number(&mut self) -> FaultResult<u64> {
        match self.byte()? {
            small @ 0..=0xfa => Ok(u64::from(small)),
            0xfc => Ok(u64::from(self.u16()?)),
            0xfd => {
                let [a, b, c] = self.array()?;
                Ok(u64::from(u32::from_le_bytes([a, b, c, 0])))
            }
            0xfe => Ok(u64::from_le_bytes(self.array()?)),
            _ => Err(malformed("a length in a packet is impossible")),
        }
    }

    /// A string behind its length.
    #[inline]
    pub(super) fn string(&mut self) -> FaultResult<&'a [u8]> {
        let length = usize::try_from(self.number()?).map_err(|_| short())?;
        self.take(length)
    }

    /// A field of a text row: none for NULL.
    pub(super) fn field(&mut self) -> FaultResult<Option<&'a [u8]>> {
        if self.0.first() == Some(&0xfb) {
            self.0 = &self.0[1..];
            return Ok(None);
        }
        self.string().map(Some)
    }

    /// A string up to a NUL, or up to the packet's end where it has none.
    pub(super) fn until_nul(&mut self) -> &'a [u8] {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = &self.0[..end.unwrap_or(self.0.len())];
        self.0 = end.map_or(&[], |end| &self.0[end + 1..]);
        text
    }
}

/// Writes a string behind its length.
pub(super) fn put_string(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        length @ 0..=0xfa => out.push(length as u8),
        length @ 0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&(length as u16).to_le_bytes());
        }
        length => {
            out.push(0xfe);
            out.extend_from_slice(&(length as u64).to_le_bytes());
        }
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_read_back_and_short_packets_are_refused() {
        for length in [0, 1, 250, 251, 65_535, 65_536] {
            let (text, mut out) = (vec![b'x'; length], Vec::new());
            put_string(&mut out, &text);
            let mut bytes = Bytes::new(&out);
            assert_eq!(bytes.string().expect("a string"), text);
            assert!(bytes.is_empty());
            assert!(length == 0 || Bytes::new(&out[..out.len() - 1]).string().is_err());
        }
        for bad in [
            &b""[..],
            b"\xfb",
            b"\xff",
            b"\xfc\x01",
            b"\xfd\x01\x00",
            b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x02a",
        ] {
            assert!(Bytes::new(bad).string().is_err(), "{bad:?}");
        }
        assert_eq!(Bytes::new(b"\xfb").field().expect("a field"), None);
        assert_eq!(Bytes::new(b"ab\0c").until_nul(), b"ab");
    }
}

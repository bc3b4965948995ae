//! Just enough of Thrift's compact protocol to check a footer and a page header before a full reader sees them.
//!
//! It allocates nothing by a size that a file claims, and its depth is bounded.

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bad {
    /// They end inside a value.
    Short,
    /// They break the protocol, or nest too deeply.
    Broken,
}

/// Deeper Thrift structures than Parquet's own.
const THRIFT_DEPTH: usize = 16;
/// Deeper schemas are refused.
const SCHEMA_DEPTH: usize = 64;

/// What a page header says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageHead {
    pub(super) is_dictionary: bool,
    pub(super) unpacked: i64,
    pub(super) packed: i64,
    pub(super) crc: Option<u32>,
    pub(super) values: i64,
    /// Bytes of the header itself.
    pub(super) length: usize,
}

/// Checks a footer: every length within its bytes, the schema a tree of bounded depth.
pub(super) fn check_footer(bytes: &[u8]) -> Result<(), Bad> {
    let mut skim = Skim { bytes, at: 0 };
    let mut schema = false;
    skim.fields(0, &mut |skim, id, kind| {
        if id != 2 || kind != LIST {
            return skim.skip(kind, 1);
        }
        schema = true;
        skim.schema()
    })?;
    if schema { Ok(()) } else { Err(Bad::Broken) }
}

/// Reads a page header at the start of these bytes.
pub(super) fn page_head(bytes: &[u8]) -> Result<PageHead, Bad> {
    let mut skim = Skim { bytes, at: 0 };
    let mut head = PageHead::default();
    skim.fields(0, &mut |skim, id, kind| {
        match (id, kind) {
            (1, I32) => head.is_dictionary = skim.zigzag()? == 2,
            (2, I32) => head.unpacked = skim.zigzag()?,
            (3, I32) => head.packed = skim.zigzag()?,
            // The checksum is kept as a signed number.
            (4, I32) => head.crc = Some(skim.zigzag()? as u32),
            (5 | 7 | 8, STRUCT) => skim.fields(1, &mut |skim, id, kind| {
                if id != 1 || kind != I32 {
                    return skim.skip(kind, 2);
                }
                head.values = skim.zigzag()?;
                Ok(())
            })?,
            _ => skim.skip(kind, 1)?,
        }
        Ok(())
    })?;
    head.length = skim.at;
    if head.unpacked < 0 || head.packed < 0 || head.values < 0 { Err(Bad::Broken) } else { Ok(head) }
}

const I32: u8 = 5;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

struct Skim<'a> {
    bytes: &'a [u8],
    at: usize,
}

type OnField<'f, 'a> = &'f mut dyn FnMut(&mut Skim<'a>, i64, u8) -> Result<(), Bad>;

impl<'a> Skim<'a> {
    fn byte(&mut self) -> Result<u8, Bad> {
        let byte = *self.bytes.get(self.at).ok_or(Bad::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Result<u64, Bad> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Bad::Broken)
    }

    fn zigzag(&mut self) -> Result<i64, Bad> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn pass(&mut self, bytes: u64) -> Result<(), Bad> {
        let left = (self.bytes.len() - self.at) as u64;
        if bytes > left {
            return Err(Bad::Short);
        }
        self.at += usize::try_from(bytes).map_err(|_| Bad::Broken)?;
        Ok(())
    }

    /// Every field of a struct.
    fn fields(&mut self, depth: usize, on: OnField<'_, 'a>) -> Result<(), Bad> {
        if depth > THRIFT_DEPTH {
            return Err(Bad::Broken);
        }
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            id = match head >> 4 {
                0 => self.zigzag()?,
                delta => id + i64::from(delta),
            };
            on(self, id, head & 0x0f)?;
        }
    }

    /// Elements of a list and their kind. Each takes a byte at least.
    fn list(&mut self) -> Result<(u64, u8), Bad> {
        let head = self.byte()?;
        let size = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
        if size > (self.bytes.len() - self.at) as u64 {
            return Err(Bad::Short);
        }
        Ok((size, head & 0x0f))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Result<(), Bad> {
        if depth > THRIFT_DEPTH {
            return Err(Bad::Broken);
        }
        match kind {
            1 | 2 => Ok(()),
            3 => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.pass(8),
            8 => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | 10 => {
                let (size, kind) = self.list()?;
                (0..size).try_for_each(|_| self.element(kind, depth))
            }
            11 => {
                let size = self.varint()?;
                if size == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                (0..size).try_for_each(|_| {
                    self.element(kinds >> 4, depth)?;
                    self.element(kinds & 0x0f, depth)
                })
            }
            STRUCT => self.fields(depth + 1, &mut |skim, _, kind| skim.skip(kind, depth + 2)),
            _ => Err(Bad::Broken),
        }
    }

    /// An element of a list: there a flag takes a byte of its own.
    fn element(&mut self, kind: u8, depth: usize) -> Result<(), Bad> {
        if matches!(kind, 1 | 2) { self.pass(1) } else { self.skip(kind, depth + 1) }
    }

    /// The schema: a flattened tree in which each element tells how many of the following are its children.
    fn schema(&mut self) -> Result<(), Bad> {
        let (size, kind) = self.list()?;
        if kind != STRUCT || size == 0 {
            return Err(Bad::Broken);
        }
        let mut open: Vec<u64> = Vec::new();
        for at in 0..size {
            let mut children = 0;
            self.fields(1, &mut |skim, id, kind| {
                if id == 5 && kind == I32 {
                    children = u64::try_from(skim.zigzag()?).map_err(|_| Bad::Broken)?;
                    return Ok(());
                }
                skim.skip(kind, 2)
            })?;
            match open.last_mut() {
                Some(left) => *left -= 1,
                None if at == 0 => {}
                None => return Err(Bad::Broken),
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > SCHEMA_DEPTH || children > size {
                return Err(Bad::Broken);
            }
            while open.last() == Some(&0) {
                open.pop();
            }
        }
        if open.is_empty() { Ok(()) } else { Err(Bad::Broken) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_beyond_the_bytes_are_refused_without_memory() {
        // A list of 2^31 structs in a footer of nine bytes.
        assert_eq!(check_footer(&[0x29, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x08, 0, 0]), Err(Bad::Short));
        assert_eq!(check_footer(&[0]), Err(Bad::Broken));
        assert_eq!(check_footer(&[]), Err(Bad::Short));
    }

    #[test]
    fn a_schema_nested_without_end_is_refused() {
        // Elements with one child each: 0x55 is field 5 as an i32, 2 is one in zigzag.
        let mut bytes = vec![0x29, 0xfc, 0xe8, 0x07];
        bytes.extend([0x55, 2, 0].repeat(1000));
        bytes.push(0);
        assert_eq!(check_footer(&bytes), Err(Bad::Broken));
    }

    #[test]
    fn a_page_header_is_read_with_its_length() {
        let bytes = [0x15, 4, 0x15, 200, 1, 0x15, 100, 0x15, 3, 0x3c, 0x15, 20, 0, 0, 0xff];
        let head = page_head(&bytes).expect("head");
        let expect = PageHead {
            is_dictionary: true,
            unpacked: 100,
            packed: 50,
            crc: Some(u32::MAX - 1),
            values: 10,
            length: 14,
        };
        assert_eq!(head, expect);
        assert_eq!(page_head(&bytes[..8]), Err(Bad::Short));
    }
}

//! What is in a zip archive: the entries of its directory, each read as a file of its own.
//!
//! Nothing that the archive says of itself is believed before it is checked: places, sizes, overlaps, names. An entry's name tells its
//! format and nothing else: nothing is ever written where it says.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use waybill_model::FailureCode;
use waybill_pipeline::{Bucket, Fault, FaultResult, ObjectMeta};

use super::set::{read_fault, told};

/// An end record with the longest comment, and a zip64 locator before it.
const TAIL: u64 = 22 + 65_535 + 20;
/// A zip64 record, without what may be added to it.
const RECORD: u64 = 56;
/// The directory that is read.
const DIRECTORY: u64 = 4 << 20;
/// Entries of one archive.
const ENTRIES: u64 = 10_000;
/// What stands for a number that is in the zip64 record.
const ELSEWHERE: u64 = u32::MAX as u64;

/// Packed bytes that are asked for at once.
const PIECE: u64 = 1 << 20;

/// A file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Where its packed bytes begin.
    pub(super) start: u64,
    /// How many they are.
    pub(super) packed: u64,
    /// How many it has unpacked.
    pub(super) size: u64,
    /// Their checksum.
    pub(super) crc: u32,
    /// Deflated, or stored as it is.
    pub(super) is_deflated: bool,
}

/// The files in an archive with their names, in the order of its directory.
pub(super) async fn entries(bucket: &dyn Bucket, meta: &ObjectMeta) -> FaultResult<Vec<(String, Entry)>> {
    let refused =
        |text: &str| Fault::new(FailureCode::ArchiveRefused, format!("the archive ({}): {text}", told(&meta.key)));
    let range = |from: u64, to: u64| async move {
        let bytes = bucket.get_range(&meta.key, from..to).await.map_err(read_fault)?;
        if bytes.len() as u64 != to - from {
            let text = "an archive gave fewer bytes than were asked for";
            return Err(Fault::new(FailureCode::SourceIncomplete, text));
        }
        Ok::<Bytes, Fault>(bytes)
    };
    let from = meta.size.saturating_sub(TAIL);
    let tail = range(from, meta.size).await?;
    let mut end = End::find(&tail, from).map_err(refused)?;
    if let Some(at) = end.zip64 {
        let behind = at.checked_add(RECORD).filter(|behind| *behind <= meta.size);
        let record = range(at, behind.ok_or_else(|| refused("its zip64 record lies behind its end"))?).await?;
        end.take_zip64(&record).map_err(refused)?;
    }
    end.check().map_err(refused)?;
    let directory = range(end.start, end.start + end.bytes).await?;
    let mut listed = listed(&directory, &end).map_err(refused)?;
    // In the order of their places each must begin behind the one before.
    let mut order: Vec<usize> = (0..listed.len()).collect();
    order.sort_unstable_by_key(|at| listed[*at].header);
    let mut free = 0;
    for at in order {
        let one = &mut listed[at];
        if one.header < free {
            return Err(refused("entries lie over each other"));
        }
        let head = 30 + one.name.len() as u64;
        if one.header.saturating_add(head) > end.start {
            return Err(refused("an entry reaches into the directory"));
        }
        let header = range(one.header, one.header + head).await?;
        let length = Local::read(&header).and_then(|local| local.fits(one, &header[30..])).map_err(refused)?;
        one.entry.start = one.header + length;
        free = one.entry.start.saturating_add(one.entry.packed);
        if free > end.start {
            return Err(refused("an entry reaches into the directory"));
        }
    }
    let files: Vec<_> = listed.into_iter().filter(|one| !one.is_aside()).map(|one| (one.told(), one.entry)).collect();
    if files.is_empty() {
        return Err(refused("there is no file in it"));
    }
    Ok(files)
}

/// The packed bytes of an entry in order.
pub(super) fn read(bucket: &Arc<dyn Bucket>, key: &str, entry: Entry) -> BoxStream<'static, FaultResult<Bytes>> {
    let (bucket, key, end) = (Arc::clone(bucket), key.to_owned(), entry.start + entry.packed);
    stream::try_unfold(entry.start, move |from| {
        let (bucket, key, to) = (Arc::clone(&bucket), key.clone(), end.min(from.saturating_add(PIECE)));
        async move {
            if from >= end {
                return Ok(None);
            }
            let piece = bucket.get_range(&key, from..to).await.map_err(read_fault)?;
            Ok(Some((piece, to)))
        }
    })
    .boxed()
}

/// Where the directory is.
struct End {
    start: u64,
    bytes: u64,
    entries: u64,
    /// Where it must end.
    at: u64,
    /// Where the record of large archives is.
    zip64: Option<u64>,
}

impl End {
    /// The record at the very end; a comment that looks like one is none.
    fn find(tail: &[u8], from: u64) -> Result<Self, &'static str> {
        let is_end = |at: &usize| {
            tail[*at..].starts_with(b"PK\x05\x06") && at + 22 + usize::from(u16_at(tail, at + 20)) == tail.len()
        };
        let last = tail.len().checked_sub(22).ok_or("it is too short")?;
        let at = (0..=last).rev().find(is_end).ok_or("its end is missing or damaged")?;
        if u16_at(tail, at + 4) != 0 || u16_at(tail, at + 6) != 0 {
            return Err("it is one of several parts");
        }
        let mut end = Self {
            entries: u16_at(tail, at + 10).into(),
            bytes: u32_at(tail, at + 12).into(),
            start: u32_at(tail, at + 16).into(),
            at: from + at as u64,
            zip64: None,
        };
        let is_large = end.entries == u64::from(u16::MAX) || end.bytes == ELSEWHERE || end.start == ELSEWHERE;
        let locator = at.checked_sub(20).filter(|at| tail[*at..].starts_with(b"PK\x06\x07"));
        if let Some(locator) = locator.filter(|_| is_large) {
            end.at -= 20;
            end.zip64 = Some(u64_at(tail, locator + 8));
        }
        Ok(end)
    }

    fn take_zip64(&mut self, record: &[u8]) -> Result<(), &'static str> {
        if !record.starts_with(b"PK\x06\x06") {
            return Err("its zip64 record is missing or damaged");
        }
        self.at = self.zip64.unwrap_or(self.at);
        (self.entries, self.bytes, self.start) = (u64_at(record, 32), u64_at(record, 40), u64_at(record, 48));
        Ok(())
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.entries > ENTRIES || self.bytes > DIRECTORY {
            return Err("it has more than 10,000 entries, or more than 4 MiB of their names");
        }
        if self.start.checked_add(self.bytes) != Some(self.at) {
            return Err("its directory is not where its end says, or something stands before or behind it");
        }
        Ok(())
    }
}

/// An entry as the directory has it.
struct Listed {
    name: Vec<u8>,
    header: u64,
    method: u16,
    is_directory: bool,
    entry: Entry,
}

impl Listed {
    /// A directory, or what a Macintosh puts beside files.
    fn is_aside(&self) -> bool {
        self.is_directory || self.name.starts_with(b"__MACOSX/") || self.name.ends_with(b".DS_Store")
    }

    /// Old programs write names in other encodings: only the ends matter.
    fn told(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }
}

fn listed(mut rest: &[u8], end: &End) -> Result<Vec<Listed>, &'static str> {
    let mut all = Vec::new();
    while !rest.is_empty() {
        if rest.len() < 46 || !rest.starts_with(b"PK\x01\x02") {
            return Err("its directory is damaged");
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(rest, at)));
        let (name, more) = rest[46..].split_at_checked(lengths[0]).ok_or("its directory is damaged")?;
        let (extra, more) = more.split_at_checked(lengths[1]).ok_or("its directory is damaged")?;
        let more = more.get(lengths[2]..).ok_or("its directory is damaged")?;
        all.push(one(rest, name, extra)?);
        rest = more;
    }
    if all.len() as u64 != end.entries {
        return Err("its directory has another number of entries than its end says");
    }
    Ok(all)
}

fn one(head: &[u8], name: &[u8], extra: &[u8]) -> Result<Listed, &'static str> {
    /// Set where a link's or a device's mode of Unix stands.
    const KIND: u32 = 0o170_000;
    let (flags, method) = (u16_at(head, 8), u16_at(head, 10));
    // Encrypted, strongly so, or with masked headers.
    if flags & (1 | 1 << 6 | 1 << 13) != 0 {
        return Err("an entry is encrypted");
    }
    if !matches!(method, 0 | 8) {
        return Err("an entry is packed in another way than deflate");
    }
    let mode = u32_at(head, 38) >> 16 & KIND;
    if !matches!(mode, 0 | 0o100_000 | 0o040_000) {
        return Err("an entry is a link or a device");
    }
    let is_directory = name.ends_with(b"/");
    let mut steps = name.strip_suffix(b"/").unwrap_or(name).split(|byte| matches!(byte, b'/' | b'\\'));
    if name.iter().any(u8::is_ascii_control) || steps.any(|step| matches!(step, b"" | b"." | b"..")) {
        return Err("the name of an entry leads out of the archive");
    }
    let (mut packed, mut size) = (u64::from(u32_at(head, 20)), u64::from(u32_at(head, 24)));
    let mut header = u64::from(u32_at(head, 42));
    large(extra, [&mut size, &mut packed, &mut header])?;
    if (is_directory && size > 0) || (method == 0 && packed != size) {
        return Err("the sizes of an entry do not fit each other");
    }
    let entry = Entry { start: 0, packed, size, crc: u32_at(head, 16), is_deflated: method == 8 };
    Ok(Listed { name: name.to_vec(), header, method, is_directory, entry })
}

/// Takes numbers that do not fit their field from the zip64 field of an entry, which has only those, in this order.
fn large(mut extra: &[u8], numbers: [&mut u64; 3]) -> Result<(), &'static str> {
    const DAMAGED: &str = "the zip64 sizes of an entry are missing or damaged";
    if numbers.iter().all(|number| **number != ELSEWHERE) {
        return Ok(());
    }
    while extra.len() >= 4 {
        let (head, more) = extra.split_at(4);
        let (mut field, more) = more.split_at_checked(usize::from(u16_at(head, 2))).ok_or(DAMAGED)?;
        if u16_at(head, 0) != 1 {
            extra = more;
            continue;
        }
        for number in numbers.into_iter().filter(|number| **number == ELSEWHERE) {
            let (own, more) = field.split_at_checked(8).ok_or(DAMAGED)?;
            *number = u64_at(own, 0);
            field = more;
        }
        return Ok(());
    }
    Err(DAMAGED)
}

/// What stands before an entry's bytes.
struct Local {
    flags: u16,
    method: u16,
    name: usize,
    extra: u64,
}

impl Local {
    fn read(header: &[u8]) -> Result<Self, &'static str> {
        if header.len() < 30 || !header.starts_with(b"PK\x03\x04") {
            return Err("an entry is not where the directory says");
        }
        let [flags, method, name, extra] = [6, 8, 26, 28].map(|at| u16_at(header, at));
        Ok(Self { flags, method, name: name.into(), extra: extra.into() })
    }

    /// Its length with the name, where it says what the directory says.
    fn fits(&self, one: &Listed, name: &[u8]) -> Result<u64, &'static str> {
        if self.flags & 1 != 0 || self.method != one.method || self.name != name.len() || name != one.name {
            return Err("an entry is another than the directory says");
        }
        Ok(30 + name.len() as u64 + self.extra)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

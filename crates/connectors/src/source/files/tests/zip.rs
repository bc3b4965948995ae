//! Archives of several files, and archives that lie.

use flate2::write::DeflateEncoder;
use tempfile::TempDir;
use waybill_model::FailureCode;
use waybill_model::plan::{Csv, FileFormat};

use super::*;

/// An entry as its headers tell it, before anything is bent.
struct Entry {
    name: &'static str,
    text: Vec<u8>,
    deflated: bool,
    flags: u16,
    mode: u32,
    /// What the directory says in place of the true size, checksum and place.
    size: Option<u32>,
    crc: Option<u32>,
    at: Option<u32>,
    /// The name in the header before the bytes.
    local: Option<&'static str>,
}

fn entry(name: &'static str, text: &[u8]) -> Entry {
    let text = text.to_vec();
    Entry { name, text, deflated: true, flags: 0, mode: 0o100_644, size: None, crc: None, at: None, local: None }
}

fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("write");
    encoder.finish().expect("finish")
}

fn number(value: usize) -> [u8; 4] {
    u32::try_from(value).expect("small").to_le_bytes()
}

fn short(value: usize) -> [u8; 2] {
    u16::try_from(value).expect("small").to_le_bytes()
}

/// The archive, with so many entries by its end's word.
fn archive_of(entries: &[Entry], count: usize) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let packed = if entry.deflated { deflate(&entry.text) } else { entry.text.clone() };
        let mut crc = flate2::Crc::new();
        crc.update(&entry.text);
        let method = if entry.deflated { 8 } else { 0 };
        let size = entry.size.unwrap_or(u32::try_from(entry.text.len()).expect("small"));
        let mut common = [short(20), entry.flags.to_le_bytes(), short(method), short(0), short(0)].concat();
        common.extend(entry.crc.unwrap_or(crc.sum()).to_le_bytes());
        common.extend([number(packed.len()), size.to_le_bytes()].concat());
        let at = entry.at.unwrap_or(u32::try_from(out.len()).expect("small"));
        let local = entry.local.unwrap_or(entry.name);
        out.extend([b"PK\x03\x04".as_slice(), &common, &short(local.len()), &short(0), local.as_bytes()].concat());
        out.extend(&packed);
        directory.extend([b"PK\x01\x02".as_slice(), &short(0x0314), &common, &short(entry.name.len())].concat());
        directory.extend([short(0), short(0), short(0), short(0)].concat());
        directory.extend([(entry.mode << 16).to_le_bytes(), at.to_le_bytes()].concat());
        directory.extend(entry.name.as_bytes());
    }
    let end = [short(0), short(0), short(count), short(count)].concat();
    let end = [end, number(directory.len()).to_vec(), number(out.len()).to_vec(), short(0).to_vec()].concat();
    [out, directory, b"PK\x05\x06".to_vec(), end].concat()
}

/// The same archive whose end says that a record of zip64 lies at this place.
fn large(mut bytes: Vec<u8>, at: u64) -> Vec<u8> {
    let mut end = bytes.split_off(bytes.len() - 22);
    end[8..12].fill(0xFF);
    [bytes, b"PK\x06\x07".to_vec(), number(0).to_vec(), at.to_le_bytes().to_vec(), number(1).to_vec(), end].concat()
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    archive_of(entries, entries.len())
}

#[tokio::test]
async fn the_files_of_an_archive_are_read_in_order_each_as_a_file() {
    let dir = TempDir::new().expect("dir");
    let many: String = (0..200_000).map(|n| format!("{n},note {n}\n")).collect();
    let stored = Entry { deflated: false, ..entry("deep/down/b.csv", b"note,id\nlast,-1\n") };
    let rows = entry("a.csv", format!("id,note\n{many}").as_bytes());
    let aside = entry("__MACOSX/._a.csv", b"\0\x05\x16\x07");
    let folder = Entry { deflated: false, mode: 0o040_755, ..entry("deep/", b"") };
    lay(&dir, "in.zip", archive(&[rows, folder, stored, aside]));
    lay(&dir, "beside.csv", "id,note\nx,y\n");
    let read = read(&dir, "in.zip").await.expect("rows");
    let ids = read.text("id");
    assert_eq!((ids.len(), ids[0].as_deref(), ids[200_000].as_deref()), (200_001, Some("0"), Some("-1")));
    assert!(read.proof.snapshot.starts_with("files:2:sha256:"), "{}", read.proof.snapshot);
    // One of the pattern's files among others.
    let mut plan = stream("*");
    plan.format = Some(FileFormat::Csv(Csv::default()));
    let all = read_with(dir.path(), &plan, WANT).await.expect("rows");
    assert_eq!(all.text("note").len(), 200_002);
    lay(&dir, "lines.jsonl.zip", archive(&[entry("x", b"{\"a\":1}\n"), entry("y.jsonl", b"{\"a\":2}\n")]));
    assert_eq!(super::read(&dir, "lines.jsonl.zip").await.expect("rows").batches.len(), 2);
}

#[tokio::test]
async fn h29_archives_that_lie_or_hide_are_refused() {
    let text = b"id\n1\n";
    let plain = || entry("a.csv", text);
    let two = || [plain(), entry("b.csv", text)];
    let whole = archive(&two());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut", whole[..whole.len() - 1].to_vec(), "its end is missing"),
        ("too short", b"PK\x03\x04".to_vec(), "too short"),
        ("something in front", [b"MZ".as_slice(), &whole].concat(), "before or behind"),
        ("fewer than it says", archive_of(&[plain()], 2), "another number of entries"),
        ("zip64 far away", large(whole.clone(), u64::MAX - 3), "lies behind its end"),
        ("no zip64", large(whole.clone(), 0), "zip64 record is missing"),
        ("encrypted", archive(&[Entry { flags: 1, ..plain() }]), "encrypted"),
        ("link", archive(&[Entry { mode: 0o120_777, ..plain() }]), "a link or a device"),
        ("slip", archive(&[entry("../../a.csv", text)]), "leads out"),
        ("slip of Windows", archive(&[entry("..\\a.csv", text)]), "leads out"),
        ("absolute", archive(&[entry("/etc/a.csv", text)]), "leads out"),
        ("line break", archive(&[entry("a\n.csv", text)]), "leads out"),
        (
            "overlap",
            archive(&[plain(), Entry { at: Some(0), local: Some("a.csv"), ..entry("b.csv", text) }]),
            "over each other",
        ),
        ("in the directory", archive(&[Entry { at: Some(40), ..plain() }]), "reaches into"),
        (
            "elsewhere",
            archive(&[plain(), Entry { at: Some(45), ..entry("b.csv", text) }]),
            "not where the directory says",
        ),
        ("another name", archive(&[Entry { local: Some("b.csv"), ..plain() }]), "another than the directory says"),
        ("another size", archive(&[Entry { size: Some(4), ..plain() }]), "another size"),
        ("another checksum", archive(&[Entry { crc: Some(1), ..plain() }]), "another checksum"),
        ("inside", archive(&[entry("a.csv", &whole)]), "another archive"),
        ("nested", archive(&[entry("a.csv.gz", &gzip(text))]), "packed twice"),
        ("nested archive", archive(&[entry("a.zip", &whole)]), "packed twice"),
        ("parquet", archive(&[entry("a.parquet", b"PAR1")]), "can't be read inside"),
        ("no file", archive(&[]), "no file in it"),
    ];
    for (what, bytes, tells) in cases {
        let dir = TempDir::new().expect("dir");
        lay(&dir, "hidden.csv.zip", bytes);
        let (code, text) = fault(&dir, "hidden.csv.zip").await;
        assert!(code == FailureCode::ArchiveRefused && text.contains(tells), "{what}: {code} {text}");
        assert!(!text.contains("hidden") && !text.contains("etc"), "{what}: {text}");
    }
}

//! Whole files in other encodings than UTF-8.

use tempfile::TempDir;
use waybill_model::FailureCode;
use waybill_model::plan::{Csv, Encoding, FileFormat, Json};

use super::*;

/// Bytes of a text in UTF-16, with its mark.
fn utf16(text: &str) -> Vec<u8> {
    format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn files_in_other_encodings_read_as_in_utf8() {
    let dir = TempDir::new().expect("dir");
    let rows: String = (0..30_000).map(|n| format!("{n},Größe {n}\n")).collect();
    lay(&dir, "16.csv", utf16(&format!("id,größe\n{rows}")));
    lay(&dir, "16.csv.gz", gzip(&utf16("id,größe\n1,ü\n")));
    let wide = read(&dir, "16.csv").await.expect("UTF-16");
    assert_eq!((wide.text("größe").len(), wide.text("größe")[29_999].as_deref()), (30_000, Some("Größe 29999")));
    assert_eq!(read(&dir, "16.csv.gz").await.expect("packed").text("größe"), some(&["ü"]));
    let coded = |name: &str, encoding| {
        let mut plan = stream(name);
        plan.format = Some(match name.rsplit_once('.').expect("an ending").1 {
            "jsonl" => FileFormat::Jsonl(Json { encoding }),
            "json" => FileFormat::Json(Json { encoding }),
            _ => FileFormat::Csv(Csv { encoding, ..Csv::default() }),
        });
        plan
    };
    lay(&dir, "w.csv", b"id,caf\xe9\n1,\x80 \x93x\x94\n");
    let read = read_with(dir.path(), &coded("w.csv", Encoding::Windows1252), WANT).await.expect("windows-1252");
    assert_eq!(read.text("café"), some(&["€ “x”"]));
    lay(&dir, "s.jsonl", b"{\"a\":\"\x95\x5c\x8e\xa6\"}\n{\"a\":\"x\"}\n");
    let read = read_with(dir.path(), &coded("s.jsonl", Encoding::ShiftJis), WANT).await.expect("Shift JIS");
    assert_eq!(read.text("a"), some(&["表示", "x"]));
    lay(&dir, "b.json", "[{\"a\":\"ü\"}]".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
    let read = read_with(dir.path(), &coded("b.json", Encoding::Utf16Be), WANT).await.expect("UTF-16BE");
    assert_eq!(read.text("a"), some(&["ü"]));
}

#[tokio::test]
async fn h26_bytes_that_are_no_text_in_their_encoding_end_the_stream() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "hidden.csv", [utf16("id\nSECRET\n").as_slice(), b"x"].concat());
    let (code, text) = fault(&dir, "hidden.csv").await;
    assert!(code == FailureCode::TextUndecodable && text.contains("line 3"), "{code} {text}");
    assert!(!text.contains("SECRET") && !text.contains("hidden"), "{text}");
}

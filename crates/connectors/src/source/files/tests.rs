//! Files as hostile as they come, read from a real directory through the source as the engine reads it.

mod csv;
mod encodings;
mod parquet;
mod zip;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use tempfile::TempDir;
use waybill_model::FailureCode;
use waybill_model::plan::{
    ArrayPolicy, BAD_ROWS_SHARE, BadRows, ChangedFiles, Checksums, Columns, Condition, Csv, Deletes, EdgePolicy,
    FileFormat, Load, Op, StreamPlan, TextPolicy,
};
use waybill_model::receipt::Grade;
use waybill_pipeline::source::Want;
use waybill_pipeline::{Batch, Fault, Proof, Source};

use super::Files;
use crate::bucket::local::LocalBucket;

const WANT: Want = Want { lanes: 2, most: 2, batch_bytes: 1 << 20, row_bytes: 1 << 20 };

fn stream(name: &str) -> StreamPlan {
    StreamPlan {
        name: name.into(),
        load: Load::Full,
        cursor: None,
        key: Vec::new(),
        deletes: Deletes::Keep,
        columns: Columns::default(),
        new_columns: None,
        changed_files: ChangedFiles::Fail,
        bad_rows: BadRows::Fail,
        bad_rows_share: BAD_ROWS_SHARE,
        filter: Vec::new(),
        edge_values: EdgePolicy::Twin,
        arrays: ArrayPolicy::Fail,
        invalid_text: TextPolicy::Replace,
        verify_count: false,
        checksums: Checksums::default(),
        expect: Vec::new(),
        shrink_guard: 50,
        take_over: false,
        table: None,
        format: None,
    }
}

fn source(dir: &Path) -> Files {
    Files::new(Arc::new(LocalBucket::existing(dir).expect("directory")))
}

fn lay(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.path().join(name);
    std::fs::create_dir_all(path.parent().expect("parent")).expect("directories");
    std::fs::write(path, bytes).expect("write");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("write");
    encoder.finish().expect("finish")
}

struct Read {
    batches: Vec<Batch>,
    proof: Proof,
    rows: RecordBatch,
}

impl Read {
    /// A text column's values, in the order read.
    fn text(&self, name: &str) -> Vec<Option<String>> {
        let column = self.rows.column_by_name(name).expect("column");
        column.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
    }

    fn twin(&self, at: usize) -> Vec<Option<String>> {
        let twins = self.batches.iter().flat_map(|batch| batch.twins.iter().filter(|twin| twin.0 == at));
        twins.flat_map(|(_, texts)| texts.iter().map(|v| v.map(str::to_owned))).collect()
    }
}

async fn read_with(dir: &Path, stream: &StreamPlan, want: Want) -> Result<Read, Fault> {
    let snapshot = source(dir).open(stream, None, want).await?;
    let mut batches = Vec::new();
    let mut lane = snapshot.lane().await?;
    while let Some(batch) = lane.next().await? {
        batches.push(batch);
    }
    let schema = snapshot.schema();
    let rows = concat_batches(&schema, batches.iter().map(|batch| &batch.rows)).expect("one schema");
    let proof = snapshot.finish().await?;
    Ok(Read { batches, proof, rows })
}

async fn read(dir: &TempDir, name: &str) -> Result<Read, Fault> {
    read_with(dir.path(), &stream(name), WANT).await
}

async fn fault(dir: &TempDir, name: &str) -> (FailureCode, String) {
    let fault = read(dir, name).await.err().expect("a fault");
    (fault.code, fault.text.for_customer().to_owned())
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|v| Some((*v).to_owned())).collect()
}

#[tokio::test]
async fn csv_columns_are_text_exactly_as_written_over_all_files_of_a_pattern() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "in/a.csv", "id,name\r\n007,\"Ada, \"\"L\"\"\"\r\n008,\r\n");
    lay(&dir, "in/b.csv", "\u{feff}name,id\nBob,009");
    lay(&dir, "in/sub/c.csv", "id,name\n1,x\n");
    let read = read(&dir, "in/*.csv").await.expect("rows");
    assert_eq!(read.text("id"), some(&["007", "008", "009"]));
    assert_eq!(read.text("name"), some(&["Ada, \"L\"", "", "Bob"]));
    assert_eq!(read.rows.schema().field(0).metadata()["waybill.src_type"], "csv text");
    assert_eq!(read.proof.grade, Grade::Counted);
    assert!(read.proof.snapshot.starts_with("files:2:sha256:"));
}

#[tokio::test]
async fn csv_dialects_null_texts_and_numbered_columns() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "data.txt", "1|NULL\n2|'NULL'\n");
    let mut plan = stream("data.txt");
    let csv = Csv { delimiter: '|', quote: '\'', header: false, null: Some("NULL".into()), ..Csv::default() };
    plan.format = Some(FileFormat::Csv(csv));
    let read = read_with(dir.path(), &plan, WANT).await.expect("rows");
    assert_eq!(read.text("column_1"), some(&["1", "2"]));
    assert_eq!(read.text("column_2"), [None, Some("NULL".to_owned())]);
}

#[tokio::test]
async fn h26_a_malformed_csv_names_the_file_by_hash_and_the_line_but_nothing_it_holds() {
    let cases: &[(&str, &[u8], &str)] = &[
        ("ragged", b"a,b\nSECRET,2\nSECRET\n", "line 3"),
        ("lone quote", b"a,b\nSEC\"RET,2\n", "line 2"),
        ("open quote", b"a,b\n1,\"SECRET\n", "line 3"),
        ("text after a quote", b"a,b\n1,\"SECRET\"x\n", "line 2"),
        ("UTF-16 without a mark", b"S\0E\0C\0R\0", "NUL"),
        ("NUL", b"a,b\nSECRET,\0\n", "line 2"),
        ("same name twice", b"SECRET,SECRET\n1,2\n", "columns 1 and 2"),
        ("empty name", b"a,\n1,2\n", "column 2 has no name"),
        ("empty", b"", "empty"),
        ("empty line", b"a,b\n\n1,2\n", "line 2"),
    ];
    for (what, bytes, tells) in cases {
        let dir = TempDir::new().expect("dir");
        lay(&dir, "hidden-name.csv", bytes);
        let (code, text) = fault(&dir, "*.csv").await;
        assert_eq!(code, FailureCode::CsvMalformed, "{what}");
        assert!(text.contains(tells) && text.contains("SHA-256 of its key begins"), "{what}: {text}");
        assert!(!text.contains("SECRET") && !text.contains("hidden-name"), "{what}: {text}");
    }
}

#[tokio::test]
async fn h26_csv_with_mixed_line_ends_and_marks_reads_the_same_rows() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.csv", b"\xef\xbb\xbfa,b\r1,2\n3,\"x\r\ny\"\r\n5,6");
    let read = read(&dir, "a.csv").await.expect("rows");
    assert_eq!(read.text("a"), some(&["1", "3", "5"]));
    assert_eq!(read.text("b"), some(&["2", "x\r\ny", "6"]));
}

/// H26: a field of 1 GiB, never on disk nor in memory: packed with zstd, with a quote before it.
#[tokio::test]
async fn h26_a_field_of_a_gigabyte_is_refused_before_it_is_buffered() {
    let dir = TempDir::new().expect("dir");
    let head = zstd::encode_all(b"a,b\n1,\"".as_slice(), 1).expect("zstd");
    let piece = zstd::encode_all(vec![b'x'; 64 << 20].as_slice(), 1).expect("zstd");
    lay(&dir, "a.csv.zst", [head, piece.repeat(16)].concat());
    let (code, text) = fault(&dir, "a.csv.zst").await;
    assert_eq!(code, FailureCode::RowTooLarge, "{text}");
    assert!(text.contains("line 2"), "{text}");
}

#[tokio::test]
async fn files_of_one_stream_have_the_same_columns() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.csv", "a,b\n1,2\n");
    lay(&dir, "b.csv", "a,c\n1,2\n");
    let (code, text) = fault(&dir, "*.csv").await;
    assert_eq!(code, FailureCode::CsvMalformed);
    assert!(text.contains("file 2 of 2"), "{text}");
}

#[tokio::test]
async fn text_that_is_not_utf8_is_replaced_counted_and_kept_in_hex_or_fails() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.csv", b"a,b\ncaf\xe9,1\nok,2\n");
    let read = read(&dir, "a.csv").await.expect("rows");
    assert_eq!(read.text("a"), some(&["caf\u{fffd}", "ok"]));
    assert_eq!(read.twin(0), [Some("636166e9".to_owned()), None]);
    assert_eq!(read.batches[0].coerced, [(0, 1)]);
    let mut plan = stream("a.csv");
    plan.invalid_text = TextPolicy::Fail;
    let fault = read_with(dir.path(), &plan, WANT).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::TextUndecodable);
}

#[tokio::test]
async fn json_lines_have_exact_types_and_missing_names_are_null() {
    let dir = TempDir::new().expect("dir");
    let big = "{\"id\":9223372036854775807,\"f\":0.5,\"ok\":true,\"s\":\"é\\n\",\"n\":{\"x\":1.10},\"w\":1}\n";
    lay(&dir, "a.jsonl", format!("{big}\n{{\"id\":-1,\"f\":2,\"w\":18446744073709551616}}"));
    lay(&dir, "b.ndjson", "{\"late\":null}\n");
    let read = read_with(dir.path(), &stream("a.jsonl"), WANT).await.expect("rows");
    let types: Vec<_> = read.rows.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    use DataType::{Boolean, Float64, Int64, Utf8};
    assert_eq!(types, [Int64, Float64, Boolean, Utf8, Utf8, Utf8]);
    let ids: Vec<_> = read.rows.column(0).as_primitive::<Int64Type>().iter().flatten().collect();
    assert_eq!(ids, [i64::MAX, -1]);
    assert_eq!(read.rows.column(1).as_primitive::<Float64Type>().value(1), 2.0);
    assert_eq!(read.text("s"), [Some("é\n".to_owned()), None]);
    assert_eq!(read.text("n"), [Some("{\"x\":1.10}".to_owned()), None]);
    assert_eq!(read.text("w"), some(&["1", "18446744073709551616"]));
}

#[tokio::test]
async fn a_json_array_reads_as_the_same_lines_do() {
    let dir = TempDir::new().expect("dir");
    let rows = ["{\"id\":1,\"s\":\"a,]\"}", "{\"id\":9007199254740993,\"s\":null}", "{\"id\":3,\"n\":{\"x\":[1.10]}}"];
    lay(&dir, "a.jsonl", rows.join("\n"));
    lay(&dir, "a.json", format!("[\n  {}\n]\n", rows.join(",\n  ")));
    let (lines, array) = (read(&dir, "a.jsonl").await.expect("rows"), read(&dir, "a.json").await.expect("rows"));
    assert_eq!(lines.rows, array.rows);
    assert_eq!(array.text("n"), [None, None, Some("{\"x\":[1.10]}".to_owned())]);
    lay(&dir, "b.json", "[{\"id\":1},\n7]");
    let (code, text) = fault(&dir, "b.json").await;
    assert_eq!(code, FailureCode::JsonMalformed);
    assert!(text.contains("line 2") && text.contains("the element is not a JSON object"), "{text}");
}

#[tokio::test]
async fn h27_malformed_json_lines_end_with_the_line_and_integers_are_exact_or_text() {
    let deep = format!("{{\"a\":{}}}", "[".repeat(100_000));
    let cases: &[(&str, &str, &str)] = &[
        ("trailing comma", "{\"a\":1}\n{\"a\":1,}\n", "line 2"),
        ("more than one value", "{\"a\":1} {\"a\":2}\n", "line 1"),
        ("array", "[{\"a\":1}]\n", "array"),
        ("same name twice", "{\"SECRET\":1,\"SECRET\":2}\n", "same name twice"),
        ("deep", &deep, "nested"),
        ("cut off", "{\"a\":1}\n{\"a\":\"SECRET", "line 2"),
        ("no JSON", "SECRET\n", "not a JSON object"),
        ("control character", "{\"a\":\"SEC\u{1}RET\"}\n", "line 1"),
    ];
    for (what, text, tells) in cases {
        let dir = TempDir::new().expect("dir");
        lay(&dir, "a.jsonl", text);
        let (code, text) = fault(&dir, "a.jsonl").await;
        assert_eq!(code, FailureCode::JsonMalformed, "{what}");
        assert!(text.contains(tells) && !text.contains("SECRET"), "{what}: {text}");
    }
}

/// H27: 2 GiB without a line end.
#[tokio::test]
async fn h27_a_json_line_of_two_gigabytes_is_refused_before_it_is_buffered() {
    let dir = TempDir::new().expect("dir");
    let chunk = zstd::encode_all(vec![b' '; 64 << 20].as_slice(), 1).expect("zstd");
    lay(&dir, "a.jsonl.zst", chunk.repeat(32));
    let (code, text) = fault(&dir, "a.jsonl.zst").await;
    assert_eq!(code, FailureCode::RowTooLarge, "{text}");
}

#[tokio::test]
async fn half_a_surrogate_pair_is_kept_as_hex_beside_its_replacement() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.jsonl", "{\"s\":\"x\\ud800\"}\n{\"s\":\"y\"}\n");
    let read = read(&dir, "a.jsonl").await.expect("rows");
    assert_eq!(read.text("s"), some(&["x\u{fffd}", "y"]));
    assert_eq!(read.twin(0), [Some(hex::encode("x\\ud800")), None]);
}

#[tokio::test]
async fn h29_archives_bombs_and_packed_surprises_are_refused() {
    let dir = TempDir::new().expect("dir");
    let rows = b"a,b\n1,2\n".repeat(1000);
    let half = gzip(&rows);
    lay(&dir, "nested.csv.gz", gzip(&half));
    lay(&dir, "inside.csv.gz", gzip(b"PK\x03\x04../../etc/passwd"));
    lay(&dir, "named.csv", b"PK\x03\x04rest");
    lay(&dir, "cut.csv.gz", &half[..half.len() - 9]);
    lay(&dir, "tail.csv.gz", [half.as_slice(), b"a tail that is no gzip"].concat());
    lay(&dir, "no.csv.zst", b"not zstd at all");
    lay(&dir, "a.zip", b"PK\x03\x04");
    lay(&dir, "b.tar.gz", &half);
    lay(&dir, "c.parquet.gz", &half);
    let mut bomb = zstd::stream::Encoder::new(Vec::new(), 1).expect("zstd");
    let line = b"1,2\n".repeat(1 << 18);
    bomb.write_all(b"a,b\n").expect("write");
    for _ in 0..300 {
        bomb.write_all(&line).expect("write");
    }
    lay(&dir, "bomb.csv.zst", bomb.finish().expect("finish"));
    for (name, tells) in [
        ("nested.csv.gz", "holds another archive"),
        ("inside.csv.gz", "holds another archive"),
        ("named.csv", "holds another archive"),
        ("cut.csv.gz", "ends too early"),
        ("tail.csv.gz", "followed by something else"),
        ("no.csv.zst", "zstd data is damaged"),
        ("a.zip", "it is too short"),
        ("b.tar.gz", "archives are not read"),
        ("c.parquet.gz", "can't be read inside another compression"),
        ("bomb.csv.zst", "compression bomb"),
    ] {
        let (code, text) = fault(&dir, name).await;
        assert!(code == FailureCode::ArchiveRefused && text.contains(tells), "{name}: {text}");
    }
}

#[tokio::test]
async fn h29_several_gzip_members_and_zstd_frames_are_one_file() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.csv.gz", [gzip(b"a\n1\n"), gzip(b""), gzip(b"2\n3")].concat());
    let frame = |bytes: &[u8]| zstd::encode_all(bytes, 1).expect("zstd");
    lay(&dir, "b.csv.zst", [frame(b"a\n1\n"), frame(b"2\n3")].concat());
    for name in ["a.csv.gz", "b.csv.zst"] {
        assert_eq!(read(&dir, name).await.expect("rows").text("a"), some(&["1", "2", "3"]), "{name}");
    }
}

/// H31
#[tokio::test]
async fn names_that_climb_are_refused_and_odd_names_are_read() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "inside/Ünï [1]+%20.csv", "a\n1\n");
    let inside = dir.path().join("inside");
    for name in ["../inside/x.csv", "/etc/passwd", "a//b.csv", "./x.csv", "a\u{0}b.csv", "a\nb.csv"] {
        let fault = read_with(&inside, &stream(name), WANT).await.err().expect("refused");
        assert_eq!(fault.code, FailureCode::SpecRefused, "{name:?}");
    }
    let read = read_with(&inside, &stream("Ünï [1]+%20.csv"), WANT).await.expect("rows");
    assert_eq!(read.text("a"), some(&["1"]));
    let long = format!("{}.csv", "x/".repeat(600));
    let fault = read_with(&inside, &stream(&long), WANT).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::SpecRefused);
}

/// H31
#[tokio::test]
async fn a_file_that_changes_while_it_is_read_fails_the_stream() {
    let dir = TempDir::new().expect("dir");
    let rows: String = (0..200_000).map(|n| format!("{n},{n}\n")).collect();
    lay(&dir, "a.csv", format!("a,b\n{rows}"));
    let want = Want { batch_bytes: 64 << 10, ..WANT };
    let snapshot = source(dir.path()).open(&stream("a.csv"), None, want).await.expect("open");
    let mut lane = snapshot.lane().await.expect("lane");
    assert!(lane.next().await.expect("a batch").is_some());
    std::fs::OpenOptions::new()
        .append(true)
        .open(dir.path().join("a.csv"))
        .expect("open")
        .write_all(b"1,2\n")
        .expect("append");
    let fault = loop {
        match lane.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the change was not seen"),
            Err(fault) => break fault,
        }
    };
    assert_eq!(fault.code, FailureCode::SourceChanged);
    let fault = snapshot.finish().await.expect_err("not all was read");
    assert_eq!(fault.code, FailureCode::SourceIncomplete);
}

#[tokio::test]
async fn columns_are_chosen_named_and_filtered_by_exact_text() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.csv", "id,kind,x\n1,a,p\n2,b,q\n3,a,r\n");
    let mut plan = stream("a.csv");
    plan.columns.select = vec!["x".into(), "id".into()];
    plan.columns.rename.insert("x".into(), "letter".into());
    plan.filter = vec![Condition { column: "kind".into(), op: Op::Eq, value: Some("a".into()), text: false }];
    let read = read_with(dir.path(), &plan, WANT).await.expect("rows");
    assert_eq!((read.text("letter"), read.text("id")), (some(&["p", "r"]), some(&["1", "3"])));
    plan.filter[0].op = Op::Lt;
    let fault = read_with(dir.path(), &plan, WANT).await.err().expect("no order");
    assert_eq!(fault.code, FailureCode::SpecRefused);
    plan.filter[0] = Condition { column: "gone".into(), op: Op::IsNull, value: None, text: false };
    let fault = read_with(dir.path(), &plan, WANT).await.err().expect("no column");
    assert_eq!(fault.code, FailureCode::ColumnNotFound);
}

#[tokio::test]
async fn json_numbers_are_filtered_as_numbers() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.jsonl", "{\"id\":9,\"f\":0.5}\n{\"id\":10,\"f\":-0.0}\n{\"id\":null}\n");
    let mut plan = stream("a.jsonl");
    plan.filter = vec![Condition { column: "id".into(), op: Op::Gt, value: Some("9".into()), text: false }];
    assert_eq!(read_with(dir.path(), &plan, WANT).await.expect("rows").rows.num_rows(), 1);
    plan.filter = vec![Condition { column: "f".into(), op: Op::Eq, value: Some("0".into()), text: false }];
    assert_eq!(read_with(dir.path(), &plan, WANT).await.expect("rows").rows.num_rows(), 1);
    plan.filter[0].value = Some("zero".into());
    let fault = read_with(dir.path(), &plan, WANT).await.err().expect("no number");
    assert_eq!(fault.code, FailureCode::SpecRefused);
}

#[tokio::test]
async fn a_count_that_is_asked_for_is_made_in_the_same_snapshot() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.csv", "a\n1\n2\n");
    let mut plan = stream("a.csv");
    plan.verify_count = true;
    let read = read_with(dir.path(), &plan, WANT).await.expect("rows");
    assert_eq!((read.proof.grade, read.proof.source_count), (Grade::Verified, Some(2)));
}

#[tokio::test]
async fn lanes_share_the_files_and_batches_stay_small() {
    let dir = TempDir::new().expect("dir");
    for file in 0..5 {
        let rows: String = (0..5000).map(|n| format!("{file}-{n},{}\n", "y".repeat(50))).collect();
        lay(&dir, &format!("{file}.csv"), format!("a,b\n{rows}"));
    }
    let want = Want { lanes: 3, most: 3, batch_bytes: 64 << 10, ..WANT };
    let snapshot = source(dir.path()).open(&stream("*.csv"), None, want).await.expect("open");
    assert_eq!((snapshot.lanes(), snapshot.ranges()), (3, 5));
    let mut lanes = Vec::new();
    for _ in 0..3 {
        lanes.push(snapshot.lane().await.expect("lane"));
    }
    let mut rows = 0;
    while !lanes.is_empty() {
        let mut at = 0;
        while at < lanes.len() {
            match lanes[at].next().await.expect("batch") {
                Some(batch) => {
                    assert!(batch.rows.num_rows() < 2500);
                    rows += batch.rows.num_rows();
                    at += 1;
                }
                None => drop(lanes.remove(at)),
            }
        }
    }
    assert_eq!(rows, 25_000);
    snapshot.finish().await.expect("proof");
}

#[tokio::test]
async fn files_are_not_merged_and_only_known_formats_are_accepted() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.csv", "a\n1\n");
    lay(&dir, "a.dat", "a\n1\n");
    lay(&dir, "b.jsonl", "{}\n");
    let mut plan = stream("a.csv");
    plan.load = Load::New;
    source(dir.path()).check(&plan).await.expect("new files");
    plan.load = Load::Changed;
    assert_eq!(source(dir.path()).check(&plan).await.expect_err("changed").code, FailureCode::SpecRefused);
    assert_eq!(fault(&dir, "a.dat").await.0, FailureCode::SpecRefused);
    assert_eq!(fault(&dir, "[ab].csv").await.0, FailureCode::StreamNotFound);
    assert_eq!(fault(&dir, "?.*l").await.0, FailureCode::JsonMalformed);
    assert_eq!(fault(&dir, "*").await.0, FailureCode::SpecRefused);
    source(dir.path()).check(&stream("a.csv")).await.expect("a table");
}

#[tokio::test]
async fn file_sets_are_discovered_with_their_columns() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "orders/1.csv", "id,total\n");
    lay(&dir, "orders/2.csv", "id,total\n");
    lay(&dir, "events.jsonl", "{\"at\":1}\n");
    lay(&dir, "broken.parquet", "no");
    lay(&dir, "notes.txt", "no");
    let tables = source(dir.path()).discover().await.expect("tables");
    let names: Vec<_> = tables.iter().map(|t| (t.name.as_str(), t.columns.len())).collect();
    assert_eq!(names, [("events.jsonl", 1), ("broken.parquet", 0), ("orders/*.csv", 2)]);
}

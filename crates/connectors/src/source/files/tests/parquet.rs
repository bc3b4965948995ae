//! Parquet files: honest ones of every type, and ones that lie about themselves.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, Time64MicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tempfile::TempDir;
use waybill_model::FailureCode;
use waybill_model::plan::{Condition, EdgePolicy, Op};

use super::{WANT, Want, fault, lay, read, read_with, some, stream};

fn write(columns: Vec<(&str, ArrayRef)>, properties: WriterProperties) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("batch");
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).expect("writer");
    writer.write(&batch).expect("write");
    writer.close().expect("close");
    out
}

fn plain() -> WriterProperties {
    WriterProperties::builder().set_statistics_enabled(EnabledStatistics::None).build()
}

#[tokio::test]
async fn parquet_types_arrive_exact_or_as_exact_text() {
    let dir = TempDir::new().expect("dir");
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("u", Arc::new(UInt64Array::from(vec![u64::MAX, 1]))),
        ("d", Arc::new(Decimal128Array::from(vec![12345, -1]).with_precision_and_scale(10, 2).expect("decimal"))),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![1_001, 2_000]).with_timezone("UTC"))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![5, i64::MAX]))),
        ("t", Arc::new(Time64MicrosecondArray::from(vec![1, 3_600_000_000]))),
        ("b", Arc::new(BinaryArray::from(vec![&b"\xff"[..], b""]))),
        ("l", Arc::new(list)),
        ("s", Arc::new(StringArray::from(vec![Some("ü"), None]))),
    ];
    lay(&dir, "a.parquet", write(columns, plain()));
    let read = read(&dir, "a.parquet").await.expect("rows");
    let rows = &read.rows;
    assert_eq!(rows.column(0).as_primitive::<Decimal128Type>().value(0), i128::from(u64::MAX));
    assert_eq!(rows.column(1).as_primitive::<Decimal128Type>().values(), &[12345, -1]);
    let ns = rows.column(2).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(ns.iter().collect::<Vec<_>>(), [None, Some(2)]);
    assert_eq!(read.twin(2), [Some("1970-01-01T00:00:00.000001001Z".to_owned()), None]);
    assert_eq!(
        rows.column(3).as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>(),
        [Some(5000), None]
    );
    assert_eq!(read.twin(3), [None, Some("9223372036854775807 ms since 1970-01-01T00:00:00".to_owned())]);
    assert_eq!(read.text("t"), some(&["00:00:00.000001", "01:00:00"]));
    assert_eq!(rows.column(5).as_binary::<i32>().value(0), b"\xff");
    assert_eq!(rows.column(6).as_list::<i32>().value(0).as_primitive::<Int32Type>().len(), 2);
    assert_eq!(read.text("s"), [Some("ü".to_owned()), None]);
    assert_eq!(read.batches[0].coerced, [(2, 1), (3, 1)]);
    let mut plan = stream("a.parquet");
    plan.edge_values = EdgePolicy::Fail;
    assert_eq!(read_with(dir.path(), &plan, WANT).await.err().expect("fail").code, FailureCode::ValueRefused);
}

#[tokio::test]
async fn a_test_for_null_takes_a_value_that_microseconds_do_not_hold_for_the_value_that_it_is() {
    let dir = TempDir::new().expect("dir");
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![Some(1_001), Some(2_000), None]))),
    ];
    lay(&dir, "a.parquet", write(columns, plain()));
    for edge in [EdgePolicy::Twin, EdgePolicy::Null] {
        for (op, ids) in [(Op::NotNull, &[1, 2][..]), (Op::IsNull, &[3])] {
            let mut plan = stream("a.parquet");
            plan.edge_values = edge;
            plan.filter = vec![Condition { column: "ns".into(), op, value: None, text: false }];
            let read = read_with(dir.path(), &plan, WANT).await.expect("rows");
            assert_eq!(read.rows.column(0).as_primitive::<Int64Type>().values(), ids, "{op} {edge}");
            let coerced = if op == Op::NotNull { vec![(1, 1)] } else { Vec::new() };
            assert_eq!(read.batches[0].coerced, coerced, "{op} {edge}");
        }
    }
}

#[tokio::test]
async fn a_column_without_nulls_in_the_first_file_may_have_them_in_the_next() {
    let dir = TempDir::new().expect("dir");
    let file = |values: Vec<Option<i64>>, nullable: bool| {
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        let batch = RecordBatch::try_from_iter_with_nullable([("id", column, nullable)]).expect("batch");
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("writer");
        writer.write(&batch).expect("write");
        writer.into_inner().expect("a file")
    };
    lay(&dir, "a.parquet", file(vec![Some(1), Some(2)], false));
    lay(&dir, "b.parquet", file(vec![None, Some(3)], true));
    let read = read(&dir, "*.parquet").await.unwrap_or_else(|fault| panic!("{}", fault.text.for_customer()));
    let ids = read.rows.column(0).as_primitive::<Int64Type>();
    assert_eq!(ids.iter().collect::<Vec<_>>(), [Some(1), Some(2), None, Some(3)]);
    assert!(read.rows.schema().field(0).is_nullable());
}

#[tokio::test]
async fn parquet_row_groups_pages_and_choices_add_up() {
    let dir = TempDir::new().expect("dir");
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..50_000));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..50_000).map(|n| format!("name {}", n % 100))));
    let wide: ArrayRef = Arc::new(StringArray::from_iter_values((0..50_000).map(|n| format!("{n:0100}"))));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(7_000))
        .set_data_page_size_limit(10_000)
        .set_compression(Compression::SNAPPY)
        .build();
    lay(&dir, "a.parquet", write(vec![("id", ids), ("name", names), ("wide", wide)], properties));
    let mut plan = stream("a.parquet");
    plan.columns.select = vec!["wide".into(), "id".into()];
    plan.filter = vec![
        Condition { column: "id".into(), op: Op::Ge, value: Some("100".into()), text: false },
        Condition { column: "name".into(), op: Op::Eq, value: Some("name 7".into()), text: false },
    ];
    let want = Want { batch_bytes: 100_000, ..WANT };
    let read = read_with(dir.path(), &plan, want).await.expect("rows");
    let ids: Vec<_> = read.rows.column(1).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(ids, (1..500).map(|n| n * 100 + 7).collect::<Vec<i64>>());
    assert_eq!(read.text("wide")[0].as_deref(), Some(format!("{:0100}", 107).as_str()));
    assert!(read.batches.len() > 20, "{} batches", read.batches.len());
}

/// H28: one value of 512 KiB in the dictionary and 300 rows that name it: 150 MiB when expanded.
#[tokio::test]
async fn h28_a_huge_dictionary_value_is_expanded_a_batch_at_a_time() {
    let dir = TempDir::new().expect("dir");
    let value = "x".repeat(512 << 10);
    let properties = WriterProperties::builder()
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_page_size_limit(1 << 20)
        .build();
    let keys = Int32Array::from(vec![0; 300]);
    let dictionary = arrow::array::DictionaryArray::new(keys, Arc::new(StringArray::from(vec![value.as_str()])));
    lay(&dir, "a.parquet", write(vec![("s", Arc::new(dictionary))], properties));
    let source = super::source(dir.path());
    let snapshot = waybill_pipeline::Source::open(&source, &stream("a.parquet"), None, WANT).await.expect("open");
    let mut lane = snapshot.lane().await.expect("lane");
    let (mut rows, mut largest) = (0, 0);
    while let Some(batch) = lane.next().await.expect("batch") {
        largest = largest.max(batch.rows.get_array_memory_size());
        rows += batch.rows.num_rows();
    }
    assert!(rows == 300 && largest < 3 << 20, "{rows} rows, {largest} bytes");
}

/// H28: a few small rows promise a small file, then wide ones come.
#[tokio::test]
async fn h28_wide_rows_after_narrow_ones_do_not_outgrow_the_batch() {
    let dir = TempDir::new().expect("dir");
    let wide = "z".repeat(200 << 10);
    let values =
        (0..10_000).map(|n| if (5000..5060).contains(&n) { wide.clone() + &n.to_string() } else { n.to_string() });
    let column: ArrayRef = Arc::new(StringArray::from_iter_values(values));
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_compression(Compression::ZSTD(Default::default()))
        .set_data_page_size_limit(256 << 10)
        .set_write_batch_size(16)
        .build();
    lay(&dir, "a.parquet", write(vec![("s", column)], properties));
    let want = Want { batch_bytes: 512 << 10, ..WANT };
    let read = read_with(dir.path(), &stream("a.parquet"), want).await.expect("rows");
    assert_eq!(read.rows.num_rows(), 10_000);
    assert!(read.batches.len() < 500, "{} batches", read.batches.len());
    let largest = read.batches.iter().map(|batch| batch.rows.get_array_memory_size()).max();
    assert!(largest < Some(8 << 20), "{largest:?}");
}

#[tokio::test]
async fn h28_damaged_parquet_files_end_as_parquet_malformed() {
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values((0..10_000).map(f64::from)));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..10_000).map(|n| n.to_string())));
    let good = write(vec![("f", floats), ("s", texts)], plain());
    let length = good.len();
    let footer = u32::from_le_bytes(good[length - 8..length - 4].try_into().expect("four")) as usize;
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bad
    };
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("empty".into(), Vec::new()),
        ("cut".into(), good[..length - 100].to_vec()),
        ("only an end".into(), good[length - 12..].to_vec()),
        ("a footer longer than the file".into(), with(length - 8, &u32::MAX.to_le_bytes())),
        ("an encrypted footer".into(), with(length - 4, b"PARE")),
        ("a footer of zeros".into(), with(length - 8 - footer, &vec![0; footer])),
        ("a list of 2^31 elements".into(), with(length - 8 - footer, &[0x29, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x08])),
        ("a damaged page header".into(), with(4, &[0xff; 8])),
    ];
    // Every single byte of the footer set to another value must give rows or a clean fault, never a crash.
    for at in (length - 8 - footer..length - 8).step_by(11) {
        cases.push((format!("byte {at}"), with(at, &[good[at] ^ 0x55])));
    }
    for (what, bytes) in cases {
        let dir = TempDir::new().expect("dir");
        lay(&dir, "a.parquet", bytes);
        match read(&dir, "a.parquet").await {
            Ok(_) => assert!(what.starts_with("byte"), "{what}"),
            Err(fault) if what.starts_with("byte") => {
                let known = [
                    FailureCode::ParquetMalformed,
                    FailureCode::RowTooLarge,
                    FailureCode::ColumnNameUnusable,
                    FailureCode::SpecRefused,
                    FailureCode::ValueRefused,
                ];
                assert!(known.contains(&fault.code), "{what}: {:?}", fault.code);
            }
            Err(fault) => assert_eq!(fault.code, FailureCode::ParquetMalformed, "{what}"),
        }
    }
}

/// The same file with other claims on its first row group and on where its column lies.
fn claiming(good: &[u8], rows: i64, values: i64, [data, dictionary, length]: [i64; 3]) -> Vec<u8> {
    use parquet::file::metadata::{FileMetaData, ParquetMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
    let at = good.len() - 8;
    let footer = u32::from_le_bytes(good[at..at + 4].try_into().expect("four")) as usize;
    let metadata = ParquetMetaDataReader::decode_metadata(&good[at - footer..at]).expect("a footer");
    let (file, group) = (metadata.file_metadata(), metadata.row_group(0));
    let column = group.column(0).clone().into_builder().set_num_values(values).set_total_compressed_size(length);
    let column = column.set_data_page_offset(data).set_dictionary_page_offset((dictionary != 0).then_some(dictionary));
    let column = column.build().expect("a chunk");
    let group = group.clone().into_builder().set_num_rows(rows).set_column_metadata(vec![column]);
    let file = FileMetaData::new(1, rows, None, None, file.schema_descr_ptr(), None);
    let metadata = ParquetMetaData::new(file, vec![group.build().expect("a group")]);
    let mut out = good[..at - footer].to_vec();
    ParquetMetaDataWriter::new(&mut out, &metadata).finish().expect("a footer");
    out
}

#[tokio::test]
async fn h28_only_a_chunk_without_values_in_a_group_without_rows_may_lie_anywhere() {
    let good = write(vec![("id", Arc::new(Int64Array::from(vec![1, 2])))], plain());
    let dir = TempDir::new().expect("dir");
    // The first three as writers leave them, the last over the bytes of another column.
    for place in [[0, 0, 0], [0, 4, 15], [-1, 0, 0], [-1, -1, -1], [1 << 40, 1 << 40, 5], [6, 0, 1 << 40]] {
        lay(&dir, "a.parquet", claiming(&good, 0, 0, place));
        let read =
            read(&dir, "a.parquet").await.unwrap_or_else(|fault| panic!("{place:?}: {}", fault.text.for_customer()));
        assert_eq!((read.rows.num_rows(), read.rows.num_columns()), (0, 1), "{place:?}");
        for (rows, values) in [(2, 2), (2, 0), (0, 2), (0, -1)] {
            lay(&dir, "a.parquet", claiming(&good, rows, values, place));
            let (code, text) = fault(&dir, "a.parquet").await;
            assert_eq!(code, FailureCode::ParquetMalformed, "{place:?}: {rows} rows, {values} values");
            assert!(text.contains("points outside the file"), "{place:?}: {rows} rows, {values} values: {text}");
        }
    }
}

/// Three rows by pyarrow 26.0.1 with `write_page_checksum=True`: our own writer makes no checksums.
const CHECKED: &str = "5041523115001524152415d0fbc793041c15061500150615061c0000000200000006010000000001000000020000001504192c3500\
    1806736368656d611502001502250218026964001606191c191c26001c150219250600191802696415001606165616562608491c150015001502003c\
    2906192600060000001656160626081656002820706172717565742d6370702d6172726f772076657273696f6e2032362e302e31191c1c0000007c00\
    000050415231";

/// H28: a page's bytes changed under its checksum.
#[tokio::test]
async fn h28_a_page_that_does_not_match_its_checksum_is_refused() {
    let mut bytes = hex::decode(CHECKED).expect("hex");
    let dir = TempDir::new().expect("dir");
    lay(&dir, "good.parquet", &bytes);
    let read = read(&dir, "good.parquet").await.expect("rows");
    assert_eq!(read.rows.column(0).as_primitive::<Int32Type>().values(), &[0, 1, 2]);
    bytes[39] ^= 1;
    lay(&dir, "bad.parquet", bytes);
    let (code, text) = fault(&dir, "bad.parquet").await;
    assert_eq!(code, FailureCode::ParquetMalformed);
    assert!(text.contains("checksum"), "{text}");
}

#[tokio::test]
async fn columns_that_no_table_type_holds_can_be_dropped_but_not_taken() {
    let dir = TempDir::new().expect("dir");
    let interval: ArrayRef = Arc::new(arrow::array::IntervalYearMonthArray::from(vec![1, 2]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    lay(&dir, "a.parquet", write(vec![("id", ids), ("i", interval)], plain()));
    let (code, text) = fault(&dir, "a.parquet").await;
    assert_eq!(code, FailureCode::SpecRefused, "{text}");
    let mut plan = stream("a.parquet");
    plan.columns.drop = vec!["i".into()];
    let read = read_with(dir.path(), &plan, WANT).await.expect("rows");
    assert_eq!(read.rows.schema().field(0).data_type(), &DataType::Int64);
}

/// A file with one column `at`, as Spark, Hive and Impala wrote times: `REQUIRED` or `OPTIONAL`, with the day and its nanoseconds.
fn int96(repetition: &str, values: &[Option<(u32, u64)>]) -> Vec<u8> {
    use parquet::data_type::{Int96, Int96Type};
    let schema = format!("message m {{ {repetition} int96 at; }}");
    let schema = Arc::new(parquet::schema::parser::parse_message_type(&schema).expect("a schema"));
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Arc::default()).expect("a file");
    let mut group = writer.next_row_group().expect("a row group");
    let mut column = group.next_column().expect("a column").expect("one");
    let held = values.iter().flatten().map(|(day, nanos)| Int96::from(vec![*nanos as u32, (nanos >> 32) as u32, *day]));
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let (held, levels): (Vec<_>, _) = (held.collect(), (repetition != "REQUIRED").then_some(levels.as_slice()));
    let repeated = levels.filter(|_| repetition == "REPEATED");
    column.typed::<Int96Type>().write_batch(&held, levels, repeated).expect("write");
    column.close().expect("the column's end");
    group.close().expect("the group's end");
    writer.into_inner().expect("the file's end")
}

#[tokio::test]
async fn int96_times_are_exact_or_follow_the_policy_and_are_counted() {
    let dir = TempDir::new().expect("dir");
    // 1970-01-02, the end of 9999, its last nanosecond, and a day beyond the calendar.
    let day = 86_400_000_000_000;
    let values = [
        Some((2_440_589, 0)),
        None,
        Some((5_373_484, day - 1000)),
        Some((5_373_484, day - 1)),
        Some((i32::MAX as u32, 0)),
    ];
    lay(&dir, "a.parquet", int96("OPTIONAL", &values));
    let end = 253_402_300_799_999_999_i64;
    let held = [Some(86_400_000_000), None, Some(end), None, None];
    let all = read(&dir, "a.parquet").await.expect("rows");
    let times = all.rows.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.iter().collect::<Vec<_>>(), held);
    let far = (i128::from(i32::MAX) - 2_440_588) * i128::from(day);
    let texts = [
        None,
        None,
        None,
        Some("9999-12-31T23:59:59.999999999".to_owned()),
        Some(format!("{far} ns since 1970-01-01T00:00:00")),
    ];
    assert_eq!((all.twin(0), all.batches[0].coerced.clone()), (texts.to_vec(), vec![(0, 2)]));
    assert_eq!(all.rows.schema().field(0).metadata()["waybill.src_type"], "parquet int96");
    let mut plan = stream("a.parquet");
    plan.edge_values = EdgePolicy::Null;
    let nulled = read_with(dir.path(), &plan, WANT).await.expect("rows");
    assert!(nulled.batches[0].twins.is_empty() && nulled.batches[0].coerced == [(0, 2)]);
    plan.edge_values = EdgePolicy::Fail;
    assert_eq!(read_with(dir.path(), &plan, WANT).await.err().expect("fail").code, FailureCode::ValueRefused);
    // A comparison would leave a value out unseen that only its twin holds.
    plan.filter = vec![Condition { column: "at".into(), op: Op::Ge, value: Some("2024-01-01".into()), text: false }];
    assert_eq!(read_with(dir.path(), &plan, WANT).await.err().expect("refused").code, FailureCode::SpecRefused);
}

#[tokio::test]
async fn int96_stands_beside_int64_times_but_not_beside_other_twelve_bytes_or_inside_of_lists() {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "a.parquet", int96("REQUIRED", &[Some((2_440_589, 0))]));
    let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![2_000, 1]));
    lay(&dir, "b.parquet", write(vec![("at", nanos)], plain()));
    let both = read(&dir, "*.parquet").await.expect("rows");
    let times = both.rows.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(times.iter().collect::<Vec<_>>(), [Some(86_400_000_000), Some(2), None]);
    let bytes = arrow::array::FixedSizeBinaryArray::try_from_iter([[0_u8; 12]].iter()).expect("bytes");
    lay(&dir, "b.parquet", write(vec![("at", Arc::new(bytes))], plain()));
    let (code, text) = fault(&dir, "*.parquet").await;
    assert!(code == FailureCode::ParquetMalformed && text.contains("another type"), "{text}");
    lay(&dir, "c.parquet", int96("REPEATED", &[]));
    let (code, text) = fault(&dir, "c.parquet").await;
    assert!(code == FailureCode::SpecRefused && text.contains("no exact type"), "{text}");
}

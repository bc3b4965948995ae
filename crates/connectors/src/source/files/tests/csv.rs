//! CSV whose columns have types: what is exactly of one, what goes beside it, and what ends the stream.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use tempfile::TempDir;
use waybill_model::FailureCode;
use waybill_model::plan::{Condition, Csv, EdgePolicy, FileFormat, Op, StreamPlan};

use super::{Read, WANT, lay, read_with, some, stream};

fn typed(types: &[(&str, &str)]) -> StreamPlan {
    let types = types.iter().map(|(column, kind)| ((*column).to_owned(), kind.parse().expect("a type"))).collect();
    StreamPlan { format: Some(FileFormat::Csv(Csv { types, ..Csv::default() })), ..stream("data.csv") }
}

async fn read(text: impl AsRef<[u8]>, plan: &StreamPlan) -> Result<Read, (FailureCode, String)> {
    let dir = TempDir::new().expect("dir");
    lay(&dir, "data.csv", text);
    let read = read_with(dir.path(), plan, WANT).await;
    read.map_err(|fault| (fault.code, fault.text.for_customer().to_owned()))
}

#[tokio::test]
async fn typed_columns_hold_what_is_exactly_of_their_type_and_nothing_else() {
    let plan = typed(&[
        ("id", "bigint"),
        ("price", "decimal(10,2)"),
        ("day", "date"),
        ("at", "timestamp"),
        ("seen", "timestamptz"),
        ("ok", "boolean"),
    ]);
    let text = "note,id,price,day,at,seen,ok\n\
                a,007,12.5,2024-02-29,2024-02-29 12:00:00.25,2024-02-29T12:00:00+02:00,t\n\
                ,,,,,,\n\
                b,1e3,0.005,2023-02-29,2024-02-29,2024-02-29 12:00:00,2\n\
                c,\"\",n/a,0000-00-00,soon,soon,\"\"\n";
    let read = read(text, &plan).await.expect("rows");
    let kinds: Vec<DataType> = read.rows.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let micros = TimeUnit::Microsecond;
    let utc = DataType::Timestamp(micros, Some("UTC".into()));
    let expected = [
        DataType::Utf8,
        DataType::Int64,
        DataType::Decimal128(10, 2),
        DataType::Date32,
        DataType::Timestamp(micros, None),
        utc,
        DataType::Boolean,
    ];
    assert_eq!(kinds, expected);
    assert_eq!(read.rows.schema().field(2).metadata()["waybill.src_type"], "csv decimal(10, 2)");
    let column = |at: usize| read.rows.column(at);
    assert_eq!(column(1).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(7), None, None, None]);
    assert_eq!(column(2).as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), [Some(1250), None, None, None]);
    assert_eq!(column(3).as_primitive::<Date32Type>().iter().collect::<Vec<_>>(), [Some(19_782), None, None, None]);
    let at = 1_709_208_000_250_000;
    let times = |at: usize| column(at).as_primitive::<TimestampMicrosecondType>().iter().collect::<Vec<_>>();
    assert_eq!(times(4), [Some(at), None, None, None]);
    assert_eq!(times(5), [Some(at - 250_000 - 2 * 3_600_000_000), None, None, None]);
    assert_eq!(column(6).as_boolean().iter().collect::<Vec<_>>(), [Some(true), None, None, None]);
    // Text stays as written, an empty one too.
    assert_eq!(read.text("note"), some(&["a", "", "b", "c"]));
    let twin = |at: usize, third: &str, fourth: &str| {
        assert_eq!(read.twin(at), [None, None, Some(third.to_owned()), Some(fourth.to_owned())], "column {at}");
    };
    twin(1, "1e3", "");
    twin(2, "0.005", "n/a");
    twin(3, "2023-02-29", "0000-00-00");
    twin(4, "2024-02-29", "soon");
    twin(5, "2024-02-29 12:00:00", "soon");
    twin(6, "2", "");
    assert_eq!(read.batches[0].coerced, (1..7).map(|at| (at, 2)).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_type_can_not_hold_goes_by_the_policy() {
    let text = "id,name\n1,a\nx,b\n";
    let mut plan = typed(&[("id", "bigint")]);
    plan.edge_values = EdgePolicy::Null;
    let nulled = read(text, &plan).await.expect("rows");
    assert_eq!(nulled.rows.column(0).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
    assert_eq!((nulled.twin(0), nulled.batches[0].coerced.as_slice()), (Vec::new(), &[(0, 1)][..]));
    assert_eq!(nulled.rows.schema().field(0).metadata()["waybill.policy"], "null");

    plan.edge_values = EdgePolicy::Fail;
    let (code, said) = read(text, &plan).await.err().expect("a fault");
    assert_eq!(code, FailureCode::ValueRefused);
    assert!(said.contains("line 3") && said.contains("column 1 of the record") && !said.contains('x'), "{said}");
}

#[tokio::test]
async fn bytes_that_are_no_text_never_stand_for_a_number() {
    let plan = typed(&[("id", "bigint")]);
    let (code, said) = read(b"id\n1\n\xff\n", &plan).await.err().expect("a fault");
    assert_eq!(code, FailureCode::TextUndecodable);
    assert!(said.contains("line 3") && said.contains("not valid UTF-8"), "{said}");
}

#[tokio::test]
async fn types_name_columns_of_the_file_and_filters_compare_by_them() {
    let plan = typed(&[("idd", "bigint")]);
    let (code, said) = read("id\n1\n", &plan).await.err().expect("a fault");
    assert!(
        code == FailureCode::ColumnNotFound && said.contains("`types` of the format names the column idd"),
        "{said}"
    );

    let mut plan = typed(&[("id", "bigint")]);
    plan.filter = vec![Condition { column: "id".into(), op: Op::Ge, value: Some("9".into()), text: false }];
    let text = "id,name\n10,a\n9,b\n8,c\n,e\n";
    let told = read(text, &plan).await.expect("rows");
    assert_eq!(told.text("name"), some(&["a", "b"]));
}

/// A value that is no number can be neither less nor more: its row is not left out as if it were less.
#[tokio::test]
async fn a_filter_leaves_no_row_out_because_its_value_can_t_be_read() {
    let mut plan = typed(&[("id", "bigint")]);
    plan.filter = vec![Condition { column: "id".into(), op: Op::Ge, value: Some("9".into()), text: false }];
    let text = "id,name\n10,a\nx,d\n,e\n";
    let (code, said) = read(text, &plan).await.err().expect("a fault");
    assert!(code == FailureCode::ValueRefused && said.contains("column id, and 1 of its values"), "{said}");

    // Where another condition leaves the row out anyway, the value does not matter.
    let other = Condition { column: "name".into(), op: Op::Ne, value: Some("d".into()), text: false };
    plan.filter.push(other);
    assert_eq!(read(text, &plan).await.expect("rows").text("name"), some(&["a"]));
    plan.filter.pop();

    // NULL is what the user made of it, and a NULL fulfils no comparison.
    plan.edge_values = EdgePolicy::Null;
    assert_eq!(read(text, &plan).await.expect("rows").text("name"), some(&["a"]));
}

#[tokio::test]
async fn a_null_text_of_the_dialect_is_null_in_every_column() {
    let mut plan = typed(&[("id", "bigint")]);
    let Some(FileFormat::Csv(csv)) = &mut plan.format else { unreachable!("it is CSV") };
    csv.null = Some("-".into());
    let read = read("id,name\n-,-\n\"-\",\"-\"\n", &plan).await.expect("rows");
    assert_eq!(read.text("name"), [None, Some("-".to_owned())]);
    assert_eq!(read.twin(0), [None, Some("-".to_owned())]);
}

/// Halves of a character on both sides of a delimiter are no character, however the record is looked at.
#[tokio::test]
async fn half_characters_of_two_fields_make_no_whole_one() {
    for text in [&b"a,b\nx\xc3,\xa9y\n"[..], b"a,b\n\"x\xc3\",\"\xa9y\"\n"] {
        let read = read(text, &stream("data.csv")).await.expect("rows");
        assert_eq!((read.text("a"), read.text("b")), (some(&["x\u{FFFD}"]), some(&["\u{FFFD}y"])));
        assert_eq!((read.twin(0), read.twin(1)), (some(&["78c3"]), some(&["a979"])));
    }
}

//! The source against real files.

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use rusqlite::Connection;
use waybill_model::FailureCode;
use waybill_model::plan::{Columns, Condition, Cursor, Load, NullCursor, Op, StreamPlan};
use waybill_model::receipt::Grade;
use waybill_pipeline::{Batch, CursorState, Fault, Snapshot, Source, Want};

use super::SqliteSource;

const WANT: Want = Want { lanes: 4, most: 4, batch_bytes: 1 << 20, row_bytes: 1 << 20 };

struct Shop {
    _dir: tempfile::TempDir,
    path: std::path::PathBuf,
}

impl Shop {
    fn with(sql: &str) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("shop.db");
        let shop = Self { _dir: dir, path };
        shop.run(sql);
        shop
    }

    fn run(&self, sql: &str) {
        Connection::open(&self.path).expect("open").execute_batch(sql).expect("sql");
    }

    async fn open(&self, stream: &StreamPlan, after: Option<&CursorState>) -> Result<Box<dyn Snapshot>, Fault> {
        SqliteSource::new(&self.path).open(stream, after, WANT).await
    }
}

fn stream(name: &str) -> StreamPlan {
    serde_json::from_value(serde_json::json!({ "name": name, "load": "full" })).expect("a plan")
}

fn new_rows(name: &str, column: &str) -> StreamPlan {
    let cursor = Cursor { column: column.into(), zone: Some("UTC".into()), nulls: NullCursor::Fail, margin_ms: 1_000 };
    StreamPlan { load: Load::New, cursor: Some(cursor), ..stream(name) }
}

async fn read(snapshot: &dyn Snapshot) -> Result<Vec<Batch>, Fault> {
    let mut lane = snapshot.lane().await?;
    let mut batches = Vec::new();
    while let Some(batch) = lane.next().await? {
        batches.push(batch);
    }
    Ok(batches)
}

fn ids(batches: &[Batch]) -> Vec<i64> {
    let columns = batches.iter().map(|batch| batch.rows.column(0).as_primitive::<Int64Type>().clone());
    columns.flat_map(|ids| ids.values().to_vec()).collect()
}

#[tokio::test]
async fn a_snapshot_does_not_see_what_is_written_after_it() {
    let shop = Shop::with("PRAGMA journal_mode = wal; CREATE TABLE t (id integer); INSERT INTO t VALUES (1), (2)");
    let plan = StreamPlan { verify_count: true, ..stream("t") };
    let snapshot = shop.open(&plan, None).await.expect("open");
    shop.run("INSERT INTO t VALUES (3); DELETE FROM t WHERE id = 1");
    assert_eq!(ids(&read(snapshot.as_ref()).await.expect("read")), [1, 2]);
    let proof = snapshot.finish().await.expect("finish");
    assert_eq!((proof.grade, proof.source_count), (Grade::Verified, Some(2)));
}

#[tokio::test]
async fn columns_and_filters_are_pushed_down_with_names_quoted() {
    let shop = Shop::with("CREATE TABLE \"odd \"\" name\" (id integer, \"sel\"\"ect\" text, x text)");
    shop.run("INSERT INTO \"odd \"\" name\" VALUES (1, 'a', 'p'), (2, 'b''; --', 'q'), (3, NULL, 'r')");
    let mut plan = stream("odd \" name");
    plan.columns = Columns { drop: vec!["x".into()], ..Columns::default() };
    plan.filter = vec![Condition { column: "sel\"ect".into(), op: Op::Eq, value: Some("b'; --".into()), text: false }];
    let snapshot = shop.open(&plan, None).await.expect("open");
    assert_eq!(snapshot.schema().fields().len(), 2);
    assert_eq!(ids(&read(snapshot.as_ref()).await.expect("read")), [2]);
}

/// A value of every class under each of these declared types; `id` tells which.
const CLASSES: &str = "(1, NULL), (2, 1), (3, 2), (4, 2.5), (5, '1'), (6, '2.5'), (7, 'abc'), (8, '2024-05-01'), (9, 20240501), \
                       (10, X'31'), (11, -3), (12, 9007199254740993), (13, 1e300), (14, '01'), (15, 0)";

/// What stands in a filter, and how it stands there: the YAML text, whether it is text that reads as a number, and the
/// literal that says the same to SQLite.
const VALUES: [(&str, bool, &str); 10] = [
    ("1", false, "1"),
    ("1", true, "'1'"),
    ("2.50", false, "2.50"),
    ("2.5", true, "'2.5'"),
    ("-3", false, "-3"),
    ("9007199254740993", false, "9007199254740993"),
    ("abc", false, "'abc'"),
    ("2024-05-01", false, "'2024-05-01'"),
    ("31", false, "31"),
    ("31", true, "'31'"),
];

/// Filters `in_` by SQLite itself.
fn by_sqlite(shop: &Shop, in_: &str, sign: &str, literal: &str) -> Vec<i64> {
    let connection = Connection::open(&shop.path).expect("open");
    let sql = format!("SELECT id FROM {in_} WHERE c {sign} {literal} ORDER BY id");
    let mut statement = connection.prepare(&sql).expect("a query");
    statement.query_map([], |row| row.get(0)).expect("rows").collect::<Result<_, _>>().expect("ids")
}

#[tokio::test]
async fn a_filter_takes_the_rows_that_sqlites_own_literal_takes_under_every_affinity() {
    let texts = ["text", "varchar(9)", "time", "json", "uuid", "string", "date", "datetime"];
    let others = ["", "any", "numeric", "numeric(30,2)", "decimal", "interval", "integer", "real", "boolean", "blob"];
    let signs = [(Op::Eq, "="), (Op::Ne, "<>"), (Op::Lt, "<"), (Op::Le, "<="), (Op::Gt, ">"), (Op::Ge, ">=")];
    let mut compared = 0;
    for declared in texts.into_iter().chain(others) {
        let shop = Shop::with(&format!(
            "CREATE TABLE t (id integer, c {declared}); INSERT INTO t VALUES {CLASSES};
             CREATE VIEW v AS SELECT id, c FROM t"
        ));
        for ((value, text, literal), (op, sign)) in
            VALUES.into_iter().flat_map(|value| signs.iter().map(move |sign| (value, *sign)))
        {
            for name in ["t", "v"] {
                // SQLite calls a view's column without a type BLOB.
                let is_bytes = declared == "blob" || (declared.is_empty() && name == "v");
                let literal = match declared {
                    _ if is_bytes => format!("X'{value}'"),
                    _ if texts.contains(&declared) => format!("'{value}'"),
                    _ => literal.to_owned(),
                };
                let mut plan = stream(name);
                plan.columns.select = vec!["id".into()];
                plan.filter = vec![Condition { column: "c".into(), op, value: Some(value.into()), text }];
                let found = match shop.open(&plan, None).await {
                    Ok(snapshot) => ids(&read(snapshot.as_ref()).await.expect("read")),
                    Err(fault) => {
                        let is_number = value.parse::<f64>().is_ok();
                        let refused = if is_bytes { !(text && value == "31") } else { !is_number };
                        assert!(refused && fault.code == FailureCode::SpecRefused, "{name} of {declared:?}: {value}");
                        continue;
                    }
                };
                let wanted = by_sqlite(&shop, name, sign, &literal);
                assert_eq!(
                    found, wanted,
                    "{name} of {declared:?}: c {sign} {value} (text: {text}), {literal} to SQLite"
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 1_500, "{compared} comparisons");
}

#[tokio::test]
async fn a_number_in_an_expression_or_a_strict_column_of_any_type_is_found() {
    let shop = Shop::with(
        "CREATE TABLE s (id integer, c any) STRICT; INSERT INTO s VALUES (1, 1), (2, '1'), (3, NULL);
         CREATE TABLE t (id integer, x); INSERT INTO t VALUES (1, 1), (2, '1'), (3, NULL);
         CREATE VIEW sums AS SELECT id, x + 0 AS c FROM t",
    );
    for (name, wanted) in [("s", vec![1]), ("sums", vec![1, 2])] {
        let mut plan = stream(name);
        plan.columns.select = vec!["id".into()];
        plan.filter = vec![Condition { column: "c".into(), op: Op::Eq, value: Some("1".into()), text: false }];
        let snapshot =
            shop.open(&plan, None).await.unwrap_or_else(|fault| panic!("{name}: {}", fault.text.for_customer()));
        assert_eq!(ids(&read(snapshot.as_ref()).await.expect("read")), wanted, "{name}");
    }
}

#[tokio::test]
async fn integer_windows_bring_each_row_once() {
    let shop = Shop::with("CREATE TABLE t (id integer primary key, x text); INSERT INTO t VALUES (1, 'a'), (7, 'b')");
    let plan = new_rows("t", "id");
    let first = shop.open(&plan, None).await.expect("open");
    assert_eq!(ids(&read(first.as_ref()).await.expect("read")), [1, 7]);
    assert!(!first.window().fixed_lag, "of one writer, none is under way with a lower number");
    let cursor = first.cursor().expect("a cursor");
    first.finish().await.expect("finish");
    shop.run("INSERT INTO t VALUES (8, 'c')");
    let second = shop.open(&plan, Some(&cursor)).await.expect("open");
    assert_eq!(ids(&read(second.as_ref()).await.expect("read")), [8]);
    let third = shop.open(&plan, second.cursor().as_ref()).await.expect("open");
    assert!(read(third.as_ref()).await.expect("read").is_empty());
    assert!(third.cursor() == second.cursor(), "nothing new leaves the cursor where it was");
}

#[tokio::test]
async fn numbers_that_began_anew_end_the_run_and_an_emptied_table_does_not() {
    for (key, survives) in
        [("id integer primary key", false), ("id integer primary key autoincrement", true), ("id integer", false)]
    {
        let shop = Shop::with(&format!(
            "CREATE TABLE t ({key}, x text); INSERT INTO t (id) VALUES (8), (9), (10);
             CREATE TABLE other (id integer primary key autoincrement); INSERT INTO other VALUES (99)"
        ));
        let plan = new_rows("t", "id");
        let mut cursor = None;
        assert_eq!(next_run(&shop, &plan, &mut cursor).await, [8, 9, 10], "{key}");
        let last = cursor.clone();
        shop.run("DELETE FROM t");
        assert!(next_run(&shop, &plan, &mut cursor).await.is_empty() && cursor == last, "{key}: emptied");
        shop.run("INSERT INTO t (id) VALUES (8), (9)");
        let again = shop.open(&plan, last.as_ref()).await;
        if survives {
            let again = again.unwrap_or_else(|fault| panic!("{}", fault.text.for_customer()));
            assert!(again.cursor() == last, "{key}: the next number is above the last one");
            drop(again);
            shop.run("INSERT INTO t (x) VALUES ('new')");
            assert_eq!(next_run(&shop, &plan, &mut cursor).await, [11], "{key}");
        } else {
            let fault = again.err().unwrap_or_else(|| panic!("{key}: the next 10 would never come"));
            assert_eq!(fault.code, FailureCode::CursorFellBack, "{key}");
        }
    }
}

#[tokio::test]
async fn another_column_of_a_table_with_autoincrement_may_fall_back() {
    let shop = Shop::with(
        "CREATE TABLE t (id integer primary key autoincrement, v integer); INSERT INTO t (v) VALUES (1), (2)",
    );
    let plan = new_rows("t", "v");
    let mut cursor = None;
    next_run(&shop, &plan, &mut cursor).await;
    shop.run("UPDATE t SET v = 1");
    assert_eq!(shop.open(&plan, cursor.as_ref()).await.err().expect("in doubt").code, FailureCode::CursorFellBack);
}

#[tokio::test]
async fn time_windows_leave_what_is_younger_than_the_margin_for_later() {
    let shop = Shop::with(
        "CREATE TABLE t (id integer, at datetime);
         INSERT INTO t VALUES (1, '2024-05-01 10:00:00'), (2, '2024-05-01 10:00:00.5'), (3, '9999-01-01 00:00:00')",
    );
    let plan = new_rows("t", "at");
    let first = shop.open(&plan, None).await.expect("open");
    assert_eq!(ids(&read(first.as_ref()).await.expect("read")), [1, 2]);
    assert!(first.window().fixed_lag, "SQLite shows to nobody when a writer began");
    let second = shop.open(&plan, first.cursor().as_ref()).await.expect("open");
    assert!(read(second.as_ref()).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_cursor_that_cannot_be_ordered_is_refused() {
    let shop = Shop::with(
        "CREATE TABLE mixed (id integer, at datetime);
         INSERT INTO mixed VALUES (1, '2024-05-01 10:00:00'), (2, '2024-05-01T09:00:00');
         CREATE TABLE classes (id integer); INSERT INTO classes VALUES (1), ('x');
         CREATE TABLE nulls (id integer); INSERT INTO nulls VALUES (1), (NULL);
         CREATE TABLE words (id integer, w text); INSERT INTO words VALUES (1, 'a')",
    );
    let cases = [("mixed", "at"), ("classes", "id"), ("nulls", "id"), ("words", "w"), ("words", "gone")];
    let mut codes = Vec::new();
    for (table, column) in cases {
        codes.push(shop.open(&new_rows(table, column), None).await.err().expect("refused").code);
    }
    let (unusable, null, gone) = (FailureCode::CursorUnusable, FailureCode::CursorNull, FailureCode::ColumnNotFound);
    assert_eq!(codes, [unusable, unusable, null, unusable, gone]);
    let mut zoneless = new_rows("mixed", "at");
    zoneless.filter.clear();
    if let Some(cursor) = &mut zoneless.cursor {
        cursor.zone = None;
    }
    shop.run("DELETE FROM mixed WHERE id = 2");
    assert_eq!(shop.open(&zoneless, None).await.err().expect("refused").code, FailureCode::CursorZoneUnknown);
}

/// Times that do not sort as text: of days that sort above the bound no row would ever come, of later ones that sort below
/// the last bound neither.
#[tokio::test]
async fn times_that_do_not_sort_as_text_are_refused_with_the_form_that_does() {
    let forms = "YYYY-MM-DD";
    let cases = [
        ("datetime", "'05.01.2026 10:00:00'", forms),
        ("datetime", "'01/05/2026 10:00:00'", forms),
        ("timestamp", "'2026-05-01 10:00:00', '2026-05-01 1:00:00 PM'", forms),
        ("date", "'05.01.2026'", forms),
        ("date", "'2026-05-01', '5/2/2026'", forms),
        ("date", "'2026-31-12'", forms),
        ("date", "20260501", forms),
        ("datetime", "1767600000, '2026-05-01 10:00:00'", forms),
        ("datetime", "'2026-05-01 10:00:00-05:00', '2026-05-01 10:00:00+00:00'", "several ways"),
        ("datetime", "'2026-05-01 10:00:00Z', '2026-05-01 10:00:00'", "several ways"),
        ("datetime", "'2026-05-01 10:00Z', '2026-05-01 10:00:30Z'", "several ways"),
        ("datetime", "'2026-05-01T10:00:00', '2026-05-01 10:00:00'", "several ways"),
        ("date", "'2026-05-01', '2026-05-01 10:00:00'", "several ways"),
    ];
    for (declared, values, told) in cases {
        let shop = Shop::with(&format!("CREATE TABLE t (id integer, at {declared})"));
        for (id, value) in values.split(", ").enumerate() {
            shop.run(&format!("INSERT INTO t VALUES ({id}, {value})"));
        }
        let fault = shop.open(&new_rows("t", "at"), None).await.err().unwrap_or_else(|| panic!("{declared}: {values}"));
        assert_eq!(fault.code, FailureCode::CursorUnusable, "{declared}: {values}");
        assert!(fault.text.for_customer().contains(told), "{values}: {}", fault.text.for_customer());
    }
}

/// The rows of each run after the one that the cursor is of.
async fn next_run(shop: &Shop, plan: &StreamPlan, cursor: &mut Option<CursorState>) -> Vec<i64> {
    let snapshot =
        shop.open(plan, cursor.as_ref()).await.unwrap_or_else(|fault| panic!("{}", fault.text.for_customer()));
    *cursor = snapshot.cursor();
    ids(&read(snapshot.as_ref()).await.expect("read"))
}

#[tokio::test]
async fn times_in_a_zone_of_their_own_come_once_whatever_zone_the_spec_names() {
    for (modifier, zone) in [("+0 hours", "Z"), ("-5 hours", "-05:00"), ("+9 hours", " +0900")] {
        let shop = Shop::with("CREATE TABLE t (id integer, at datetime)");
        let insert = |id: u32, ago: &str| {
            let time = format!("strftime('%Y-%m-%dT%H:%M:%f', 'now', '{ago}', '{modifier}') || '{zone}'");
            shop.run(&format!("INSERT INTO t VALUES ({id}, {time})"));
        };
        let mut plan = new_rows("t", "at");
        if let Some(cursor) = &mut plan.cursor {
            cursor.zone = Some("Asia/Tokyo".into());
        }
        let mut cursor = None;
        insert(1, "-10 minutes");
        insert(2, "+1 hours");
        assert_eq!(next_run(&shop, &plan, &mut cursor).await, [1], "{zone}");
        insert(3, "-0 minutes");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let mut came = Vec::new();
        while came.is_empty() {
            assert!(std::time::Instant::now() < deadline, "{zone}: what is written now never came");
            came = next_run(&shop, &plan, &mut cursor).await;
        }
        assert_eq!(came, [3], "{zone}");
    }
}

#[tokio::test]
async fn an_empty_column_of_times_moves_no_cursor_and_a_changed_way_of_writing_is_refused() {
    let shop = Shop::with("CREATE TABLE t (id integer, at datetime)");
    let plan = new_rows("t", "at");
    let mut cursor = None;
    assert!(next_run(&shop, &plan, &mut cursor).await.is_empty() && cursor.is_none());
    // Nothing was passed by while nobody could know how times are written here.
    shop.run("INSERT INTO t VALUES (1, '2024-05-01T10:00:00.5Z')");
    assert_eq!(next_run(&shop, &plan, &mut cursor).await, [1]);
    shop.run("DELETE FROM t");
    let before = cursor.clone();
    assert!(next_run(&shop, &plan, &mut cursor).await.is_empty() && cursor == before);
    shop.run("INSERT INTO t VALUES (2, '2099-05-01 10:00:00Z')");
    let fault = shop.open(&plan, cursor.as_ref()).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::CursorUnusable);
    assert!(fault.text.for_customer().contains("last read"), "{}", fault.text.for_customer());
}

/// A time that is written to the minute bears the minute's beginning until the minute is over.
#[tokio::test]
async fn rows_of_a_minute_or_a_day_that_is_not_over_come_when_it_is() {
    for form in ["%Y-%m-%d %H:%M", "%Y-%m-%d"] {
        let shop = Shop::with("CREATE TABLE t (id integer, at timestamp)");
        shop.run(&format!("INSERT INTO t VALUES (1, strftime('{form}', 'now', '-2 days'))"));
        let mut cursor = None;
        let plan = new_rows("t", "at");
        let (first, now) = (next_run(&shop, &plan, &mut cursor).await, "strftime('{}', 'now', '-1 seconds')");
        assert_eq!(first, [1], "{form}");
        // What is written from the bound's moment on must not lie below it.
        shop.run(&format!("INSERT INTO t VALUES (2, {})", now.replace("{}", form)));
        let (_, bound) = super::written::Written::bound(
            cursor.as_ref().and_then(|c| c.reveal().strip_prefix("time:")).expect("a time"),
        )
        .expect("a bound");
        let connection = Connection::open(&shop.path).expect("open");
        let lost: i64 = connection
            .query_row("SELECT count(*) FROM t WHERE id = 2 AND at < ?1", [&bound], |row| row.get(0))
            .expect("a count");
        assert_eq!(lost, 0, "{form}");
    }
}

#[tokio::test]
async fn a_row_over_the_limit_ends_before_it_is_buffered() {
    let shop = Shop::with("CREATE TABLE t (id integer, x blob); INSERT INTO t VALUES (1, zeroblob(5000000))");
    let snapshot = shop.open(&stream("t"), None).await.expect("open");
    let fault = read(snapshot.as_ref()).await.err().expect("too large");
    assert_eq!(fault.code, FailureCode::RowTooLarge);
    assert_eq!(snapshot.finish().await.expect_err("unproven").code, FailureCode::SourceIncomplete);
}

#[tokio::test]
async fn what_is_missing_or_broken_is_told_apart() {
    let shop = Shop::with("CREATE TABLE t (id integer)");
    assert_eq!(shop.open(&stream("u"), None).await.err().expect("missing").code, FailureCode::StreamNotFound);
    let nowhere = SqliteSource::new("/nonexistent/waybill.db");
    assert_eq!(nowhere.check(&stream("t")).await.expect_err("missing").code, FailureCode::SourceUnreachable);
    let text = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(text.path(), "this is no database, but it is long enough to be looked at as one").expect("write");
    let fault = SqliteSource::new(text.path()).check(&stream("t")).await.expect_err("broken");
    assert_eq!(fault.code, FailureCode::SourceMalformed);
}

#[tokio::test]
async fn discovery_lists_tables_views_keys_and_estimates() {
    let shop = Shop::with(
        "CREATE TABLE b (x integer, y text NOT NULL, PRIMARY KEY (y, x)); INSERT INTO b VALUES (1, 'a'), (2, 'b');
         CREATE VIEW a AS SELECT y FROM b",
    );
    let tables = SqliteSource::new(&shop.path).discover().await.expect("tables");
    assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(
        (tables[1].key.as_slice(), tables[1].rows_estimate),
        (["y".to_owned(), "x".to_owned()].as_slice(), Some(2))
    );
    assert!(!tables[1].columns[1].nullable && tables[0].rows_estimate.is_none());
}

#[tokio::test]
async fn batches_stay_within_what_was_wanted() {
    let shop = Shop::with(
        "CREATE TABLE t (id integer, x text);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO t SELECT i, hex(randomblob(500)) FROM n",
    );
    let snapshot = shop.open(&stream("t"), None).await.expect("open");
    let batches = read(snapshot.as_ref()).await.expect("read");
    assert!(batches.len() >= 4 && ids(&batches).len() == 5000);
    assert!(batches.iter().all(|batch| batch.rows.column(1).get_array_memory_size() < 4 << 20));
}

#[tokio::test]
async fn a_long_value_in_the_cursor_column_is_refused_before_the_window_loads_it() {
    for (kind, column) in [("timestamp", "at"), ("integer", "seq")] {
        let shop = Shop::with(&format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, {column} {kind}); \
             INSERT INTO t VALUES (1, replace(hex(zeroblob(2500000)), '0', 'x'));"
        ));
        let opened = shop.open(&new_rows("t", column), None).await;
        assert_eq!(opened.err().expect("refused").code, FailureCode::RowTooLarge, "{kind}");
        let checked = SqliteSource::new(&shop.path).check(&new_rows("t", column)).await;
        let code = checked.err().map(|fault| fault.code);
        assert_eq!(code, Some(FailureCode::CursorUnusable), "{kind}: a check takes up to 8 MiB");
    }
    let shop = Shop::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at timestamp); INSERT INTO t VALUES (1, zeroblob(9000000));",
    );
    let checked = SqliteSource::new(&shop.path).check(&new_rows("t", "at")).await;
    assert_eq!(checked.expect_err("refused").code, FailureCode::RowTooLarge);
}

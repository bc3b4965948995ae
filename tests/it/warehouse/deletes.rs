//! Rows that the source has no more, in a database: removed or marked in the transaction of the new rows, and nothing besides.

use serde_json::Value;
use waybill_tests::fault::Marker;
use waybill_tests::services::commit_proxy::{CommitProxy, Cut};
use waybill_tests::services::postgres::Postgres;

use super::{Copy, numbers, report, talk};

const STREAM: &str = "t: { load: changed, cursor: rev, deletes: remove }";
const MARKED: &str = "t: { load: changed, cursor: rev, deletes: mark }";

/// Rows by a key of two columns, one of them text, and a cursor that some rows have not.
const ROWS: &str = "CREATE TABLE t (a TEXT NOT NULL, b INTEGER NOT NULL, rev INTEGER, note TEXT, PRIMARY KEY (a, b));
    INSERT INTO t VALUES ('x', 1, 1, 'one'), ('x', 2, 2, 'two'), ('y', 1, 3, 'three'), ('a''b\\ü', -5, 4, NULL), ('', 0, 5, ''),
      (' ', 0, 6, 'blank')";

const ALL: &str = "SELECT a, b, rev, note FROM t ORDER BY a COLLATE \"C\", b";

impl Copy {
    /// The table is the source, row for row.
    async fn is_the_source(&self) {
        let source = rusqlite::Connection::open(self.path("shop.db")).expect("open");
        let mut statement = source.prepare("SELECT a, b, rev, note FROM t ORDER BY a, b").expect("a query");
        type Row = (String, i64, Option<i64>, Option<String>);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let wanted: Vec<Row> = statement.query_map([], row).expect("rows").map(|row| row.expect("a row")).collect();
        let sql = format!("SELECT a, b::bigint, rev::bigint, note FROM ({ALL}) r");
        let found = self.server.client().await.query(&sql, &[]).await.expect("rows");
        let found: Vec<Row> = found.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
        assert_eq!(found, wanted);
    }

    async fn version(&self) -> String {
        self.one("SELECT version FROM _waybill_commit").await
    }

    /// What the last state says of it.
    async fn swept(&self) -> Value {
        let state = self.one("SELECT state FROM _waybill_commit").await;
        let state: Value = serde_json::from_str(&state).expect("JSON");
        state["swept"].clone()
    }
}

fn counts(removed: u64, marked: u64, unmarked: u64) -> Value {
    serde_json::json!({"removed": removed, "marked": marked, "unmarked": unmarked})
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_source_has_no_more_go_with_the_commit_of_the_new_ones_or_alone() {
    let copy = Copy::with(ROWS, STREAM);
    copy.delivered();
    copy.is_the_source().await;
    assert_eq!(copy.swept().await, counts(0, 0, 0));
    // One changes, one comes, two go, one of them by a change of its key alone; one leaves the window for good.
    copy.source(
        "UPDATE t SET note = 'ONE', rev = 10 WHERE b = 1 AND a = 'x'; INSERT INTO t VALUES ('z', 9, 11, 'new');
         DELETE FROM t WHERE a = 'y'; UPDATE t SET b = -6, rev = 12 WHERE b = -5; UPDATE t SET rev = -1 WHERE a = ' '",
    );
    let report = copy.delivered();
    assert_eq!(report["streams"][0]["rows"], 3, "{report}");
    assert_eq!((copy.version().await, copy.swept().await), ("2".to_owned(), counts(2, 0, 0)));
    copy.source("UPDATE t SET rev = 6 WHERE a = ' '");
    copy.is_the_source().await;
    // No row is new: what goes has a commit of its own; and none where nothing goes.
    copy.source("DELETE FROM t WHERE a = 'x' AND b = 2");
    let report = copy.delivered();
    assert_eq!((&report["streams"][0]["rows"], copy.swept().await), (&0.into(), counts(1, 0, 0)));
    copy.is_the_source().await;
    copy.delivered();
    assert_eq!(copy.version().await, "3");
    // Which time a run of rows takes no part in: its cursor stays, and the next window goes on from there.
    copy.source("INSERT INTO t VALUES ('w', 1, 13, 'more'), ('w', 2, 2, 'late')");
    assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
    copy.source("DELETE FROM t WHERE a = 'w' AND b = 2");
    copy.is_the_source().await;
    assert_eq!(
        copy.one("SELECT count(*) FROM pg_class WHERE relname LIKE 'waybill\\_%'").await,
        "0",
        "nothing is left"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_the_source_has_no_more_are_marked_and_lose_the_mark_when_they_are_back() {
    let copy = Copy::with(ROWS, "t: { load: changed, cursor: rev }");
    copy.delivered();
    copy.source("DELETE FROM t WHERE a = 'x'");
    copy.delivered();
    assert_eq!((copy.version().await, copy.one("SELECT count(*) FROM t").await), ("1".to_owned(), "6".to_owned()));
    // Turning it on asks for nothing.
    copy.streams(MARKED);
    let before = copy.one("SELECT clock_timestamp()").await;
    copy.delivered();
    assert_eq!((copy.version().await, copy.swept().await), ("2".to_owned(), counts(0, 2, 0)));
    let marked = "SELECT a, b, note FROM t WHERE _waybill_deleted_at IS NOT NULL ORDER BY b";
    assert_eq!(copy.rows(marked).await, ["(x,1,one)", "(x,2,two)"]);
    let kind = copy.one("SELECT pg_typeof(_waybill_deleted_at) FROM t LIMIT 1").await;
    assert_eq!(kind, "timestamp with time zone");
    let at = copy.one("SELECT max(_waybill_deleted_at) FROM t").await;
    let is_now =
        format!("SELECT '{at}'::timestamptz BETWEEN '{before}'::timestamptz - interval '1s' AND clock_timestamp()");
    assert_eq!(copy.one(&is_now).await, "true");
    copy.delivered();
    assert_eq!(copy.version().await, "2", "a mark is set once");
    // One is back with a new cursor, one with its old one, and one goes.
    copy.source("INSERT INTO t VALUES ('x', 1, 20, 'again'), ('x', 2, 2, 'unseen'); DELETE FROM t WHERE a = 'y'");
    copy.delivered();
    assert_eq!(copy.rows(marked).await, ["(y,1,three)"]);
    let back = copy.rows("SELECT note FROM t WHERE a = 'x' ORDER BY b").await;
    assert_eq!(back, ["(again)", "(two)"]);
    copy.streams("t: { load: changed, cursor: rev }");
    assert!(copy.fails("schema_changed").contains("_waybill_deleted_at"));
    copy.streams("t: { load: full }");
    copy.delivered();
    copy.is_the_source().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_rows_go_than_the_shrink_guard_allows_and_none_that_the_server_would_not_let_go_alone() {
    let copy = Copy::with(&(numbers(100) + "; ALTER TABLE t ADD COLUMN rev INTEGER; UPDATE t SET rev = id"), STREAM);
    copy.delivered();
    let sum = "SELECT count(*) || ' ' || sum(id) FROM t";
    copy.source("DELETE FROM t WHERE id <= 60; INSERT INTO t VALUES (101, 'new', 101)");
    for stream in [STREAM, MARKED] {
        copy.streams(stream);
        assert!(copy.fails("table_shrank").contains("60 or more of the table's 100 rows"));
        assert_eq!((copy.one(sum).await, copy.version().await), ("100 5050".to_owned(), "1".to_owned()));
    }
    copy.streams("t: { load: changed, cursor: rev, deletes: remove, shrink-guard: 40% }");
    // A trigger that keeps rows; references that would take others along, in the table itself too.
    copy.server
        .run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF old.id > 50 THEN RETURN NULL; END IF; RETURN old; END';
              CREATE TRIGGER keep BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION keep()")
        .await;
    assert!(copy.fails("target_denied").contains("keeps them"));
    copy.server
        .run("DROP TRIGGER keep ON t; CREATE TABLE child (t_id bigint REFERENCES t (id) ON DELETE CASCADE)")
        .await;
    copy.server.run("INSERT INTO child VALUES (7)").await;
    assert!(copy.fails("target_denied").contains("`deletes: remove` deletes rows"));
    copy.server
        .run("DROP TABLE child; ALTER TABLE t ADD COLUMN above bigint REFERENCES t (id) ON DELETE CASCADE")
        .await;
    copy.server.run("UPDATE t SET above = 1 WHERE id = 100").await;
    assert!(copy.fails("target_denied").contains("the foreign key"));
    assert_eq!((copy.one(sum).await, copy.version().await), ("100 5050".to_owned(), "1".to_owned()));
    copy.server.run("ALTER TABLE t DROP COLUMN above").await;
    copy.delivered();
    assert_eq!((copy.one(sum).await, copy.swept().await), ("41 3321".to_owned(), counts(60, 0, 0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_that_a_trigger_keeps_is_told_and_changes_nothing() {
    let copy = Copy::with(ROWS, MARKED);
    copy.delivered();
    copy.source("DELETE FROM t WHERE a = 'x'");
    copy.delivered();
    copy.server
        .run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF old.b = 2 THEN RETURN NULL; END IF; RETURN new; END';
              CREATE TRIGGER keep BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keep()")
        .await;
    // Both are back with their old cursors, so that nothing but the mark changes.
    copy.source("INSERT INTO t VALUES ('x', 1, 1, 'one'), ('x', 2, 2, 'two')");
    let told = copy.fails("target_denied");
    assert!(told.contains("2 are back, and it took the mark from 1: a trigger or a rule"), "{told}");
    assert_eq!((copy.version().await, copy.swept().await), ("2".to_owned(), counts(0, 2, 0)));
    copy.server.run("DROP TRIGGER keep ON t").await;
    copy.delivered();
    assert_eq!((copy.version().await, copy.swept().await), ("3".to_owned(), counts(0, 0, 2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_at_any_step_has_removed_all_or_nothing() {
    let copy = Copy::with(ROWS, STREAM);
    copy.delivered();
    let points = ["last_part", "merged", "rows_sent", "locked", "prepared", "before_commit_put", "commit_applied"];
    for (n, point) in points.iter().enumerate() {
        copy.source(&format!(
            "INSERT INTO t VALUES ('k', {n}, {}, 'next'); DELETE FROM t WHERE a = 'k' AND b = {} - 1;
             UPDATE t SET rev = {} WHERE a = ' '",
            100 + 2 * n,
            n,
            101 + 2 * n
        ));
        let (before, version) = (copy.rows(ALL).await, copy.version().await);
        let marker = Marker::at(copy.path(&format!("fired-{point}")));
        let mut killed = copy.command("waybill-worker-faults");
        let killed = killed.env("WAYBILL_FAULT", marker.order(&format!("{point}=kill"))).output().expect("run");
        assert!(!killed.status.success() && marker.fired().is_ok(), "{point}: {}", talk(&killed));
        if *point == "commit_applied" {
            copy.is_the_source().await;
            assert_ne!(copy.version().await, version);
        } else {
            assert_eq!((copy.rows(ALL).await, copy.version().await), (before, version), "{point}");
        }
        copy.delivered();
        copy.is_the_source().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_removed_by_a_commit_whose_answer_is_lost_are_removed_once() {
    for (cut, lands) in [(Cut::Answer, true), (Cut::Commit, false)] {
        let copy = Copy::with(ROWS, STREAM);
        copy.delivered();
        copy.source("DELETE FROM t WHERE a = 'x'; UPDATE t SET rev = 30 WHERE a = 'y'");
        let direct = copy.server.port();
        let proxy = CommitProxy::start(direct, cut).await;
        let copy = copy.through(proxy.port, STREAM);
        let output = tokio::task::block_in_place(|| copy.once());
        assert_eq!(proxy.fired(), 1, "{}", talk(&output));
        assert_eq!(output.status.success(), lands, "{}", talk(&output));
        assert_eq!(copy.version().await, if lands { "2" } else { "1" });
        let copy = copy.through(direct, STREAM);
        let next = tokio::task::block_in_place(|| copy.delivered());
        assert_eq!(next["streams"][0]["rows"], u64::from(!lands), "{}", report(&output));
        copy.is_the_source().await;
        assert_eq!(copy.version().await, "2");
    }
}

/// Keys in every type that a table's own key may have, from a server to itself and on: equal values are found equal.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_type_from_a_server_of_the_same_kind_are_found_again() {
    let from = Postgres::start();
    let kinds = [
        ("bigint", "i * 9007199254740993"),
        ("numeric", "(i::text || '.10')::numeric"),
        ("numeric(12,3)", "i / 8.0"),
        ("text", "'k' || i || repeat('ü', i)"),
        ("varchar(40)", "' ' || i || ' '"),
        ("char(8)", "'c' || i"),
        ("uuid", "md5(i::text)::uuid"),
        ("date", "'2024-01-01'::date + i"),
        ("timestamptz", "'infinity'::timestamptz * 0 + i"),
        ("bytea", "decode(md5(i::text), 'hex')"),
        ("boolean", "i % 2 = 0"),
    ];
    let mut streams = Vec::new();
    for (n, (kind, value)) in kinds.iter().enumerate() {
        let value = if *kind == "timestamptz" {
            "'2024-05-06 07:08:09.123456+02'::timestamptz + i * interval '1 us'"
        } else {
            value
        };
        let many = if *kind == "boolean" { 2 } else { 20 };
        from.run(&format!(
            "CREATE TABLE k{n} (k {kind} PRIMARY KEY, rev bigint NOT NULL); INSERT INTO k{n} SELECT {value}, i FROM generate_series(1, {many}) i"
        ))
        .await;
        streams.push(format!("public.k{n}: {{ load: changed, cursor: rev, deletes: remove, shrink-guard: off }}"));
    }
    let copy = Copy::with("CREATE TABLE t (id INTEGER PRIMARY KEY)", "t: {}");
    copy.of_postgres(&from, &streams.join(", "));
    copy.delivered();
    copy.delivered();
    for (n, (kind, _)) in kinds.iter().enumerate() {
        let version = format!("SELECT version FROM _waybill_commit WHERE stream = 'public.k{n}'");
        assert_eq!(copy.one(&version).await, "1", "{kind}: nothing is gone");
        from.run(&format!("DELETE FROM k{n} WHERE rev = 2; UPDATE k{n} SET rev = 100 WHERE rev = 1")).await;
    }
    copy.delivered();
    for (n, (kind, _)) in kinds.iter().enumerate() {
        let sql = format!("SELECT k::text, rev FROM k{n} ORDER BY rev");
        let wanted: Vec<String> = from
            .client()
            .await
            .query(&format!("SELECT r::text FROM ({sql}) r"), &[])
            .await
            .expect("rows")
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(copy.rows(&sql).await, wanted, "{kind}");
    }
}

/// Types that no server has of its own, or that it compares by what they are: the index by which rows are merged tells which are the same.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_extensions_and_enumerations_are_the_same_where_the_index_says_so() {
    let made = "CREATE SCHEMA kit; CREATE EXTENSION citext SCHEMA kit; CREATE EXTENSION ltree SCHEMA kit; CREATE EXTENSION hstore SCHEMA kit;
        CREATE TYPE kit.mood AS ENUM ('m1', 'm2', 'm3', 'm4')";
    let from = Postgres::start();
    from.run(made).await;
    let kinds = ["citext", "ltree", "hstore", "mood"];
    for kind in kinds {
        let value = if kind == "hstore" { "'m=>' || i" } else { "'m' || i" };
        from.run(&format!(
            "CREATE TABLE {kind} (k kit.{kind} PRIMARY KEY, rev bigint NOT NULL);
             INSERT INTO {kind} SELECT ({value})::kit.{kind}, i FROM generate_series(1, 4) i"
        ))
        .await;
    }
    let streams = |deletes: &str| {
        let one = |kind: &&str| {
            format!("public.{kind}: {{ load: changed, cursor: rev, deletes: {deletes}, shrink-guard: off }}")
        };
        kinds.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let copy = Copy::with("CREATE TABLE t (id INTEGER PRIMARY KEY)", "t: {}");
    copy.server.run(made).await;
    copy.of_postgres(&from, &streams("remove"));
    copy.delivered();
    copy.delivered();
    for kind in kinds {
        let version = format!("SELECT version FROM _waybill_commit WHERE stream = 'public.{kind}'");
        assert_eq!(copy.one(&version).await, "1", "{kind}: nothing is gone");
        from.run(&format!("DELETE FROM {kind} WHERE rev = 2; UPDATE {kind} SET rev = 100 WHERE rev = 1")).await;
    }
    // Written otherwise without its cursor: the same key to the index, and no row that is gone.
    from.run("UPDATE citext SET k = upper(k::text)::kit.citext WHERE rev = 3").await;
    copy.delivered();
    for kind in kinds {
        let rows = copy.rows(&format!("SELECT rev FROM {kind} ORDER BY rev")).await;
        assert_eq!(rows, ["(3)", "(4)", "(100)"], "{kind}");
    }
    copy.of_postgres(&from, &streams("mark"));
    from.run("DELETE FROM citext WHERE rev = 4").await;
    copy.delivered();
    let marked = "SELECT k FROM citext WHERE _waybill_deleted_at IS NOT NULL";
    assert_eq!(copy.rows(marked).await, ["(m4)"]);
    from.run("INSERT INTO citext VALUES ('M4', 4)").await;
    copy.delivered();
    assert!(copy.rows(marked).await.is_empty(), "it is back, by the same equality");
}

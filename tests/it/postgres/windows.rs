//! Half-open windows: late commits come with the next run, edges are neither lost nor doubled, and doubt is said.

use std::time::{Duration, Instant};

use serde_json::json;
use waybill_model::FailureCode;
use waybill_model::plan::StreamPlan;
use waybill_pipeline::{CursorState, Source};
use waybill_tests::services::postgres::Postgres;

use super::{Read, read_after, source, source_as, stream, want};
use crate::drift::Line;

fn by(column: &str) -> StreamPlan {
    stream("t", json!({"load": "new", "cursor": {"column": column, "margin-ms": 1000}}))
}

fn text(cursor: &CursorState) -> String {
    let kept: serde_json::Value = serde_json::from_str(cursor.reveal()).expect("JSON");
    kept["at"].as_str().expect("text").to_owned()
}

/// Runs one after the other, as a schedule would.
struct Runs<'a> {
    server: &'a Postgres,
    plan: StreamPlan,
    cursor: Option<CursorState>,
    ids: Vec<i64>,
}

impl Runs<'_> {
    async fn next(&mut self) -> Read {
        let read = read_after(&source(self.server), &self.plan, self.cursor.as_ref(), 2).await.expect("read");
        self.cursor.clone_from(&read.cursor);
        self.ids.extend(read.sorted("id"));
        read
    }

    /// Runs until so many rows came; the margin has to pass on the server's clock.
    async fn until(&mut self, rows: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.ids.len() < rows {
            assert!(Instant::now() < deadline, "only {} of {rows} rows came", self.ids.len());
            self.next().await;
        }
    }
}

async fn seeded() -> Postgres {
    with_rows(Postgres::start()).await
}

async fn with_rows(server: Postgres) -> Postgres {
    server
        .run(
            "CREATE TABLE t (id int8 GENERATED ALWAYS AS IDENTITY, at timestamptz, local timestamp, note text);
             INSERT INTO t (at, local) SELECT now() - interval '1 hour', now() - interval '1 hour' FROM generate_series(1, 10)",
        )
        .await;
    server
}

#[tokio::test]
async fn a_late_commit_comes_with_the_second_run() {
    late_commit_comes(seeded().await).await;
}

#[tokio::test]
async fn a_late_commit_comes_with_the_second_run_on_the_newest_server() {
    late_commit_comes(with_rows(Postgres::newest()).await).await;
}

async fn late_commit_comes(server: Postgres) {
    let late = server.client().await;
    late.batch_execute("BEGIN; INSERT INTO t (at) VALUES (now())").await.expect("insert");
    server.run("INSERT INTO t (at) VALUES (now())").await;
    let mut runs = Runs { server: &server, plan: by("at"), cursor: None, ids: Vec::new() };
    let first = runs.next().await;
    assert_eq!(runs.ids, (1..=10).collect::<Vec<_>>(), "the window ends before the open transaction began");
    assert!(!first.note.held && !first.note.fixed_lag);
    late.batch_execute("COMMIT").await.expect("commit");
    runs.until(12).await;
    runs.next().await;
    runs.ids.sort_unstable();
    assert_eq!(runs.ids, (1..=12).collect::<Vec<_>>(), "none lost, none doubled");
}

#[tokio::test]
async fn ten_thousand_rows_on_the_edge_come_exactly_once() {
    let server = seeded().await;
    let mut runs = Runs { server: &server, plan: by("at"), cursor: None, ids: Vec::new() };
    runs.next().await;
    let edge = text(runs.cursor.as_ref().expect("a cursor"));
    server.run(&format!("INSERT INTO t (at) SELECT '{edge}' FROM generate_series(1, 10000)")).await;
    runs.until(10_010).await;
    let last = runs.next().await;
    assert_eq!(last.rows.num_rows(), 0);
    runs.ids.sort_unstable();
    assert_eq!(runs.ids, (1..=10_010).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_integer_window_waits_for_transactions_that_were_open() {
    integer_window_waits(seeded().await).await;
}

#[tokio::test]
async fn an_integer_window_waits_for_transactions_that_were_open_on_the_newest_server() {
    integer_window_waits(with_rows(Postgres::newest()).await).await;
}

async fn integer_window_waits(server: Postgres) {
    let late = server.client().await;
    late.batch_execute("BEGIN; INSERT INTO t (at) VALUES (now())").await.expect("insert");
    server.run("INSERT INTO t (at) VALUES (now())").await;
    let impatient = source(&server).with_patience(Duration::ZERO);
    let before = read_after(&impatient, &by("id"), None, 1).await.expect("read");
    assert!(before.note.held && before.rows.num_rows() == 0 && before.cursor.is_none());

    let watcher = server.client().await;
    let waits = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'waybill/run_test' \
            AND query LIKE '%virtualxid IN%'";
        while watcher.query_one(waiting, &[]).await.expect("look").get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        late.batch_execute("COMMIT").await.expect("commit");
    };
    let plan = by("id");
    let patient = source(&server);
    let (found, ()) = tokio::join!(read_after(&patient, &plan, None, 1), waits);
    let found = found.expect("read");
    assert_eq!(found.sorted("id"), (1..=12).collect::<Vec<_>>());
    assert_eq!(text(&found.cursor.clone().expect("a cursor")), "12");
    let after = read_after(&patient, &plan, found.cursor.as_ref(), 1).await.expect("read");
    assert!(after.rows.num_rows() == 0 && after.cursor == found.cursor && !after.note.held);
    server.run("INSERT INTO t (at) VALUES (now())").await;
    let next = read_after(&patient, &plan, found.cursor.as_ref(), 1).await.expect("read");
    assert_eq!(next.sorted("id"), [13]);
}

#[tokio::test]
async fn a_prepared_transaction_holds_the_window() {
    let server = seeded().await;
    let mut runs = Runs { server: &server, plan: by("at"), cursor: None, ids: Vec::new() };
    runs.next().await;
    let committed = runs.cursor.clone();
    server.run("BEGIN; INSERT INTO t (at) VALUES (now() - interval '1 minute'); PREPARE TRANSACTION 'p'").await;
    for column in ["at", "id"] {
        let after = if column == "at" { committed.clone() } else { None };
        let held = read_after(&source(&server), &by(column), after.as_ref(), 1).await.expect("read");
        assert!(held.note.held && held.rows.num_rows() == 0, "{column}");
        assert!(held.cursor == after, "the cursor does not move");
    }
    server.run("COMMIT PREPARED 'p'").await;
    let released = read_after(&source(&server), &by("at"), None, 1).await.expect("read");
    assert_eq!((released.note.held, released.rows.num_rows()), (false, 11));
}

/// A held window has no rows, which would take the place of all that the table has: neither table nor cursor moves.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_whose_window_is_held_leaves_table_and_cursor_as_they_were() {
    for column in ["id", "at"] {
        let server = seeded().await;
        let line = Line::of_postgres(&server);
        let keys = format!("load: new, cursor: {column}, shrink-guard: off");
        line.delivered(&keys);
        let count = || line.rows("SELECT count(*), count(DISTINCT id) FROM t");
        assert_eq!(count(), json!([[10, 10]]), "{column}");
        // Its time lies below the cursor, its number above.
        server.run("BEGIN; INSERT INTO t (at) VALUES (now() - interval '30 minutes'); PREPARE TRANSACTION 'p'").await;
        let reload = ["--reload", "public.t"];
        let held = line.stream_with(&keys, &reload, 10);
        assert_eq!((&held["failure"], &held["version"]), (&json!("source_incomplete"), &json!(null)), "{held}");
        assert!(held["text"].as_str().is_some_and(|text| text.contains("would empty the table")), "{held}");
        assert_eq!(count(), json!([[10, 10]]), "{column}");
        server.run("COMMIT PREPARED 'p'").await;
        let next = line.delivered(&keys);
        let brought = if column == "id" { 1 } else { 0 };
        assert_eq!(next["rows"], json!(brought), "the cursor was where it had been: {next}");
        line.stream_with(&keys, &reload, 0);
        assert_eq!(count(), json!([[11, 11]]), "{column}");
    }
}

/// By each kind of cursor: half-open, exact to the microsecond, in the column's own words, and refused in those of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_of_a_cursor_of_postgres_comes_once_more_and_the_cursor_stays() {
    let server = Postgres::start();
    server
        .run("CREATE TABLE t (id int8 PRIMARY KEY, n int2 NOT NULL, z timestamptz NOT NULL, l timestamp NOT NULL, note text);
              INSERT INTO t SELECT g, g, timestamptz '2026-01-31 12:00:00.000001+00' + g * interval '1 hour',
                timestamp '2026-01-31 12:00:00.000001' + g * interval '1 hour', 'old' FROM generate_series(1, 5) g")
        .await;
    for (cursor, from, to, wrong) in [
        ("n", "2", "4", &["2026-01-31T00:00:00", "40000"][..]),
        ("z", "2026-01-31T16:00:00.000001+02:00", "2026-01-31T16:00:00.000001Z", &["2026-01-31T00:00:00"][..]),
        ("l", "2026-01-31T14:00:00.000001", "2026-01-31T16:00:00.000001", &["2026-01-31T00:00:00Z"]),
    ] {
        server.run("UPDATE t SET note = 'old'").await;
        let line = Line::of_postgres(&server);
        let zone = if cursor == "l" { ", cursor-zone: Europe/Berlin" } else { "" };
        let keys = format!("load: changed, cursor: {cursor}{zone}");
        line.delivered(&keys);
        server.run("UPDATE t SET note = 'unseen'").await;
        let told = line.stream_with(&keys, &["--backfill", "public.t", "--from", from, "--to", to], 0);
        assert_eq!(told["rows"], json!(2), "{cursor}: {told}");
        let seen = "SELECT id FROM t WHERE note = 'unseen' ORDER BY id";
        assert_eq!(line.rows(seen), json!([[2], [3]]), "{cursor}");
        for wrong in wrong {
            let refused = line.stream_with(&keys, &["--backfill", "public.t", "--from", wrong], 10);
            assert_eq!(refused["failure"], "request_unusable", "{cursor}: {refused}");
        }
        assert_eq!(line.delivered(&keys)["rows"], json!(0), "{cursor}: the cursor stayed");
        assert_eq!(line.rows("SELECT count(*) FROM t"), json!([[5]]));
    }
    let line = Line::of_postgres(&server);
    let keys = "load: changed, cursor: xmin";
    line.delivered(keys);
    let refused = line.stream_with(keys, &["--backfill", "public.t", "--from", "1"], 10);
    assert!(refused["text"].as_str().is_some_and(|text| text.contains("is no column")), "{refused}");
    assert_eq!(line.stream_with(keys, &["--forget-cursor", "public.t"], 0)["rows"], json!(5));
}

/// What waits for a transaction to end must not take its being prepared for its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_prepared_while_the_window_waits_for_it_holds_the_window() {
    let server = seeded().await;
    let late = server.client().await;
    late.batch_execute("BEGIN; INSERT INTO t (at) VALUES (now())").await.expect("an open transaction");
    server.run("INSERT INTO t (at) VALUES (now())").await;
    let (patient, plan) = (source(&server).with_patience(Duration::from_secs(60)), by("id"));
    let window = tokio::spawn(async move { read_after(&patient, &plan, None, 1).await.expect("read") });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'waybill/%' AND query LIKE '%virtualxid IN%'";
    let watch = server.client().await;
    while watch.query_one(waits, &[]).await.expect("an answer").get::<_, i64>(0) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await; // bounded by the test runner
    }
    late.batch_execute("PREPARE TRANSACTION 'late'").await.expect("prepared");
    let held = window.await.expect("no panic");
    assert!(held.note.held && held.rows.num_rows() == 0 && held.cursor.is_none(), "its rows would never come");
    server.run("COMMIT PREPARED 'late'").await;
    let after = read_after(&source(&server), &by("id"), None, 1).await.expect("read");
    assert_eq!((after.note.held, after.rows.num_rows()), (false, 12));
}

#[tokio::test]
async fn hidden_session_times_mean_a_fixed_lag_that_is_said() {
    let server = seeded().await;
    server.run("CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader; INSERT INTO t (at) VALUES (now() - interval '1 minute')").await;
    let hidden = read_after(&source_as(&server, "reader"), &by("at"), None, 1).await.expect("read");
    assert!(hidden.note.fixed_lag);
    assert_eq!(hidden.rows.num_rows(), 10, "a minute ago is inside the lag");
    server.run("GRANT pg_read_all_stats TO reader").await;
    let seen = read_after(&source_as(&server, "reader"), &by("at"), None, 1).await.expect("read");
    assert_eq!((seen.note.fixed_lag, seen.rows.num_rows()), (false, 11));
}

/// A session of a role.
async fn session_of(server: &Postgres, role: &str) -> tokio_postgres::Client {
    let url = format!("postgres://{role}@127.0.0.1:{}/postgres", server.port());
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("connect");
    tokio::spawn(connection);
    client
}

/// The late transaction, open for longer than the margin, is not passed by: the bound stays before its row.
async fn late_row_is_waited_for(server: &Postgres, late: tokio_postgres::Client) {
    let mut runs = Runs { server, plan: by("at"), cursor: None, ids: Vec::new() };
    let waited = "SELECT now() > $1::text::timestamptz + interval '1500 milliseconds'";
    let at: String = late.query_one("SELECT now()::text", &[]).await.expect("its start").get(0);
    while !server.client().await.query_one(waited, &[&at]).await.expect("an answer").get::<_, bool>(0) {
        tokio::time::sleep(Duration::from_millis(50)).await; // bounded by the test runner
    }
    let first = runs.next().await;
    assert!(first.note.fixed_lag, "no start is told, so the lag must be said");
    let bound = text(runs.cursor.as_ref().expect("a cursor"));
    late.batch_execute("COMMIT").await.expect("commit");
    let below = "SELECT id FROM t WHERE at < $1::text::timestamptz ORDER BY id";
    let below = server.client().await.query(below, &[&bound]).await.expect("rows");
    let below: Vec<i64> = below.iter().map(|row| row.get(0)).collect();
    assert_eq!(below, runs.ids, "a row below the bound that no run brought is lost");
    let held = read_after(&source(server).with_patience(Duration::ZERO), &by("id"), None, 1).await.expect("read");
    assert_eq!((held.note.held, held.rows.num_rows()), (false, 11));
    drop(late);
    runs.until(11).await;
    assert!(!runs.next().await.note.fixed_lag, "all sessions that are left tell their start");
    runs.ids.sort_unstable();
    assert_eq!(runs.ids, (1..=11).collect::<Vec<_>>(), "none lost, none doubled");
}

#[tokio::test]
async fn a_session_that_is_not_tracked_means_a_fixed_lag_and_its_late_row_comes() {
    let server = seeded().await;
    server.run("CREATE ROLE quiet LOGIN; GRANT ALL ON t TO quiet; ALTER ROLE quiet SET track_activities = off").await;
    let late = session_of(&server, "quiet").await;
    late.batch_execute("BEGIN; INSERT INTO t (at) VALUES (now())").await.expect("insert");
    let waiting = source(&server).with_patience(Duration::ZERO);
    let held = read_after(&waiting, &by("id"), None, 1).await.expect("read");
    assert!(held.note.held && held.cursor.is_none(), "an integer window sees the transaction by its lock");
    late_row_is_waited_for(&server, late).await;
}

#[tokio::test]
async fn a_session_that_is_tracked_again_inside_of_its_transaction_means_a_fixed_lag_too() {
    let server = seeded().await;
    let late = session_of(&server, "postgres").await;
    for sql in ["BEGIN; INSERT INTO t (at) VALUES (now())", "SET track_activities = off", "SET track_activities = on"] {
        late.batch_execute(sql).await.expect(sql);
    }
    late_row_is_waited_for(&server, late).await;
}

#[tokio::test]
async fn a_session_that_is_tracked_again_before_it_writes_means_a_fixed_lag_too() {
    let server = seeded().await;
    let late = session_of(&server, "postgres").await;
    let before = ["SET track_activities = off", "BEGIN", "SELECT now()", "SET track_activities = on"];
    for sql in before {
        late.batch_execute(sql).await.expect(sql);
    }
    let found = read_after(&source(&server), &by("at"), None, 1).await.expect("read");
    assert!(found.note.fixed_lag, "its row would come below the window's end");
    late.batch_execute("ROLLBACK").await.expect("its end");
}

#[tokio::test]
async fn our_own_open_snapshot_does_not_hold_a_window() {
    let server = seeded().await;
    let open = source(&server).open(&super::full("t"), None, want(1)).await.expect("open");
    let found = read_after(&source(&server).with_patience(Duration::ZERO), &by("id"), None, 1).await.expect("read");
    assert_eq!((found.note.held, found.rows.num_rows()), (false, 10));
    drop(open);
}

#[tokio::test]
async fn a_zone_less_cursor_needs_a_zone() {
    let server = seeded().await;
    let with = |zone: serde_json::Value| {
        stream("t", json!({"load": "new", "cursor": {"column": "local", "zone": zone, "margin-ms": 1000}}))
    };
    for zone in [json!(null), json!("Mars/Olympus")] {
        let fault = read_after(&source(&server), &with(zone), None, 1).await.err().expect("refused");
        assert_eq!(fault.code, FailureCode::CursorZoneUnknown);
    }
    server.run("INSERT INTO t (local) VALUES (now() AT TIME ZONE 'Asia/Tokyo' - interval '1 minute')").await;
    let tokyo = read_after(&source(&server), &with(json!("Asia/Tokyo")), None, 1).await.expect("read");
    let utc = read_after(&source(&server), &with(json!("UTC")), None, 1).await.expect("read");
    assert_eq!((tokyo.rows.num_rows(), utc.rows.num_rows()), (11, 10), "Tokyo's minute ago is UTC's future");
}

#[tokio::test]
async fn rows_without_a_cursor_follow_the_policy_and_are_counted() {
    let server = seeded().await;
    server.run("INSERT INTO t (at) VALUES (NULL), (NULL), (NULL)").await;
    let with = |nulls: &str| stream("t", json!({"load": "new", "cursor": {"column": "at", "nulls": nulls}}));
    let fault = read_after(&source(&server), &by("at"), None, 1).await.err().expect("refused");
    assert_eq!(fault.code, FailureCode::CursorNull);
    let ignored = read_after(&source(&server), &with("ignore"), None, 1).await.expect("read");
    assert_eq!((ignored.note.null_cursors, ignored.rows.num_rows()), (3, 10));
    let always = read_after(&source(&server), &with("include_always"), None, 1).await.expect("read");
    assert_eq!((always.note.null_cursors, always.rows.num_rows()), (3, 13));
    let again = read_after(&source(&server), &with("include_always"), always.cursor.as_ref(), 1).await.expect("read");
    assert_eq!(again.rows.num_rows(), 3, "they come with every run");
}

#[tokio::test]
async fn rows_at_infinity_are_counted_and_follow_the_policy_of_rows_without_a_cursor() {
    let server = seeded().await;
    server.run("ALTER TABLE t ALTER at SET NOT NULL; INSERT INTO t (at, local) VALUES ('infinity', '-infinity')").await;
    server.run("INSERT INTO t (at, local) VALUES ('-infinity', 'infinity')").await;
    for (column, zone) in [("at", json!(null)), ("local", json!("UTC"))] {
        let with = |nulls: &str| {
            stream("t", json!({"load": "new", "cursor": {"column": column, "zone": zone, "nulls": nulls}}))
        };
        let fault = read_after(&source(&server), &with("fail"), None, 1).await.err().expect("refused");
        assert_eq!(fault.code, FailureCode::CursorNull, "{column}");
        let ignored = read_after(&source(&server), &with("ignore"), None, 1).await.expect("read");
        assert_eq!((ignored.note.null_cursors, ignored.rows.num_rows()), (2, 10), "{column}");
        let always = read_after(&source(&server), &with("include_always"), None, 1).await.expect("read");
        assert_eq!((always.note.null_cursors, always.rows.num_rows()), (2, 12), "{column}");
        let again = read_after(&source(&server), &with("include_always"), always.cursor.as_ref(), 1).await;
        assert_eq!(again.expect("read").sorted("id"), [11, 12], "{column}: they come with every run");
    }
}

#[tokio::test]
async fn numbers_that_began_anew_end_the_run_and_an_emptied_table_does_not() {
    let server = seeded().await;
    let plan = by("id");
    let first = read_after(&source(&server), &plan, None, 1).await.expect("read");
    let after = |cursor: &Option<CursorState>| read_after_owned(&server, &plan, cursor.clone());
    assert_eq!(text(first.cursor.as_ref().expect("a cursor")), "10");
    // The newest rows are deleted: the sequence shows that the next ones come higher.
    server.run("DELETE FROM t WHERE id > 8").await;
    let less = after(&first.cursor).await.expect("nothing new");
    assert!(less.rows.num_rows() == 0 && less.cursor == first.cursor);
    server.run("INSERT INTO t (at) VALUES (now())").await;
    assert_eq!(after(&first.cursor).await.expect("read").sorted("id"), [11]);
    // To a user who may not read the sequence it shows nothing.
    server.run("CREATE ROLE reader LOGIN; GRANT SELECT ON t TO reader; DELETE FROM t WHERE id > 8").await;
    let hidden = read_after(&source_as(&server, "reader"), &plan, first.cursor.as_ref(), 1).await;
    assert_eq!(hidden.err().expect("in doubt").code, FailureCode::CursorFellBack);
    // An emptied table is an ordinary one, whatever comes next.
    server.run("TRUNCATE t RESTART IDENTITY").await;
    let empty = after(&first.cursor).await.expect("nothing new");
    assert!(empty.rows.num_rows() == 0 && empty.cursor == first.cursor);
    server.run("INSERT INTO t (at) VALUES (now()), (now())").await;
    let fault = after(&first.cursor).await.err().expect("rows 1 and 2 would never come");
    assert_eq!(fault.code, FailureCode::CursorFellBack);
    assert!(!fault.text.for_customer().contains("10"), "a cursor's value is in no message");
}

async fn read_after_owned(
    server: &Postgres,
    plan: &StreamPlan,
    cursor: Option<CursorState>,
) -> waybill_pipeline::FaultResult<Read> {
    read_after(&source(server), plan, cursor.as_ref(), 1).await
}

#[tokio::test]
async fn a_cursor_of_another_type_is_refused() {
    let server = seeded().await;
    let fault = read_after(&source(&server), &by("note"), None, 1).await.err().expect("text");
    assert_eq!(fault.code, FailureCode::CursorUnusable);
    let found = read_after(&source(&server), &by("id"), None, 1).await.expect("read");
    let fault = read_after(&source(&server), &by("at"), found.cursor.as_ref(), 1).await.err().expect("another");
    assert_eq!(fault.code, FailureCode::CursorUnusable);
    let forged = CursorState::new(r#"{"type":"integer","at":"1); DROP TABLE t; --"}"#);
    let fault = read_after(&source(&server), &by("id"), Some(&forged), 1).await.err().expect("no integer");
    assert_eq!(fault.sqlstate, Some("22P02"));
    assert!(!fault.text.for_customer().contains("DROP"), "a cursor's text is in no message");
}

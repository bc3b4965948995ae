//! Windows of a real standby, which shows what it has replayed and no more: what comes later is neither passed by nor excused.

use serde_json::json;
use waybill_model::FailureCode;
use waybill_model::plan::StreamPlan;
use waybill_pipeline::{CursorState, FaultResult};
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::{Postgres, Setup};

use super::{Read, read_after, source, stream};
use crate::story::succeeded;

fn by(column: &str) -> StreamPlan {
    stream("t", json!({"load": "new", "cursor": {"column": column, "margin-ms": 1000}}))
}

async fn read(server: &Postgres, column: &str, after: Option<&CursorState>) -> FaultResult<Read> {
    read_after(&source(server), &by(column), after, 1).await
}

/// A primary with ten rows of an hour ago, and a standby that has replayed nothing since it began.
async fn pair() -> (Postgres, Postgres) {
    let primary = Postgres::start();
    let seed = "CREATE TABLE t (id int8 GENERATED ALWAYS AS IDENTITY, at timestamptz);
                INSERT INTO t (at) SELECT now() - interval '1 hour' FROM generate_series(1, 10)";
    primary.run(seed).await;
    let standby = primary.standby().await;
    (primary, standby)
}

/// Waits until the standby shows all that its primary has.
async fn caught_up(primary: &Postgres, standby: &Postgres) {
    let at = primary.client().await.query_one("SELECT pg_current_wal_lsn()::text", &[]).await.expect("an answer");
    standby.until(&format!("pg_last_wal_replay_lsn() >= '{}'::pg_lsn", at.get::<_, String>(0))).await;
}

#[tokio::test]
async fn a_standby_that_stands_still_passes_no_row_by() {
    let (primary, standby) = pair().await;
    let nothing = read(&standby, "at", None).await.expect("read");
    assert!(
        nothing.note.held && nothing.cursor.is_none(),
        "before the first transaction nothing tells how far it has come"
    );

    primary.run("INSERT INTO t (at) VALUES (now() - interval '1 hour')").await;
    caught_up(&primary, &standby).await;
    standby.run("SELECT pg_wal_replay_pause()").await;
    standby.until("pg_get_wal_replay_pause_state() = 'paused'").await;
    // A row of a second after the last one that the standby shows, as it would be with a lag that is longer than the fixed one.
    let client = standby.client().await;
    let at = "SELECT (pg_last_xact_replay_timestamp() - interval '300 seconds')::text";
    let at: String = client.query_one(at, &[]).await.expect("an answer").get(0);
    primary.until(&format!("now() > timestamptz '{at}' + interval '303 seconds'")).await;
    primary.run(&format!("INSERT INTO t (at) VALUES (timestamptz '{at}')")).await;
    assert!(!standby.is_true("count(*) = 12 FROM t").await, "the standby stands still");

    let first = read(&standby, "at", None).await.expect("read");
    assert_eq!(first.sorted("id"), (1..=11).collect::<Vec<_>>());
    assert!(first.note.fixed_lag && !first.note.held);
    let again = read(&standby, "at", first.cursor.as_ref()).await.expect("read");
    assert!(again.rows.num_rows() == 0 && again.cursor == first.cursor, "time goes by and nothing is replayed");

    standby.run("SELECT pg_wal_replay_resume()").await;
    standby.until("count(*) = 12 FROM t").await;
    let second = read(&standby, "at", first.cursor.as_ref()).await.expect("read");
    assert_eq!(second.sorted("id"), [12], "the row that it had not replayed comes once it has");
}

#[tokio::test]
async fn numbers_that_began_anew_end_the_run_of_a_standby_too() {
    let (primary, standby) = pair().await;
    primary.run("SELECT setval(pg_get_serial_sequence('t', 'id'), 100)").await;
    primary.run("DELETE FROM t WHERE id = 1").await;
    caught_up(&primary, &standby).await;
    let first = read(&standby, "id", None).await.expect("read");
    assert_eq!(first.sorted("id"), (2..=10).collect::<Vec<_>>());
    // The sequence was far beyond: the newest rows were deleted, and the next ones come higher.
    primary.run("DELETE FROM t WHERE id > 8").await;
    caught_up(&primary, &standby).await;
    let less = read(&standby, "id", first.cursor.as_ref()).await.expect("nothing new");
    assert!(less.rows.num_rows() == 0 && less.cursor == first.cursor);

    // The sequence of a standby stands up to 32 ahead of its primary's, which is at 3 here.
    primary.run("TRUNCATE t RESTART IDENTITY; INSERT INTO t (at) VALUES (now()), (now()), (now())").await;
    caught_up(&primary, &standby).await;
    let fault = read(&standby, "id", first.cursor.as_ref()).await.err().expect("rows 1 to 3 would never come");
    assert_eq!(fault.code, FailureCode::CursorFellBack);
}

#[tokio::test]
async fn a_standby_that_shows_less_than_its_primary_did_is_waited_for() {
    let (primary, standby) = pair().await;
    primary.run("DELETE FROM t WHERE id = 1").await;
    caught_up(&primary, &standby).await;
    standby.run("SELECT pg_wal_replay_pause()").await;
    standby.until("pg_get_wal_replay_pause_state() = 'paused'").await;
    primary.run("INSERT INTO t (at) SELECT now() FROM generate_series(1, 50)").await;
    let first = read(&primary, "id", None).await.expect("read");
    assert_eq!(first.sorted("id"), (2..=60).collect::<Vec<_>>());
    let less = read(&standby, "id", first.cursor.as_ref()).await.expect("it lags, and nothing began anew");
    assert!(less.rows.num_rows() == 0 && less.cursor == first.cursor && less.note.fixed_lag);
    standby.run("SELECT pg_wal_replay_resume()").await;
    primary.run("INSERT INTO t (at) VALUES (now())").await;
    caught_up(&primary, &standby).await;
    let next = read(&standby, "id", first.cursor.as_ref()).await.expect("read");
    assert_eq!(next.sorted("id"), [61]);
}

/// The primary removes rows that the reading on the standby still sees, and the standby goes on rather than wait.
#[tokio::test(flavor = "multi_thread")]
async fn f28_a_reading_that_a_standby_cancels_for_a_conflict_is_tried_anew_and_lands_whole() {
    let settings = &["max_standby_streaming_delay = 0"];
    let primary = Postgres::with(Setup { settings, ..Setup::default() });
    primary
        .run(
            "CREATE TABLE t AS SELECT g::int8 AS id FROM generate_series(1, 5000) g;
             CREATE VIEW v AS SELECT id FROM t WHERE id <> 2500 OR pg_advisory_xact_lock_shared(7)::text = ''",
        )
        .await;
    let standby = primary.standby().await;
    let sandbox = Sandbox::start(Options::default()).await.expect("the product");
    let document = format!(
        "waybill: 1\nconnections:\n  db: {{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, \
         tls: disable }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  all: {{ from: db, to: lake, streams: {{ public.v: {{}} }} }}\n",
        standby.port(),
        sandbox.path("lake").display()
    );
    sandbox.apply(&document).await.expect("applied");
    // Its COPY waits in the middle.
    let holder = standby.client().await;
    holder.execute("SELECT pg_advisory_lock(7)", &[]).await.expect("the lock");
    let run = sandbox.trigger("all").await.expect("a run");
    standby.until("count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").await;
    primary.run("DELETE FROM t WHERE id % 2 = 1").await;
    primary.run("VACUUM t").await;
    standby.until("confl_snapshot > 0 FROM pg_stat_database_conflicts WHERE datname = 'postgres'").await;
    holder.execute("SELECT pg_advisory_unlock(7)", &[]).await.expect("the lock is free");
    let ended = sandbox.ended(run).await.expect("an end");
    succeeded(&ended).unwrap_or_else(|error| panic!("{error}\n{}", sandbox.log()));
    let failures =
        ended.attempt_list.iter().map(|attempt| attempt.failure.as_ref().map(|failure| failure.code.to_string()));
    assert_eq!(failures.collect::<Vec<_>>(), [Some("recovery_conflict".to_owned()), None]);
    let sums = "SELECT count(*), count(DISTINCT id), CAST(sum(id) AS BIGINT) FROM t";
    let rows = readers::query(&sandbox.path("lake/public.v"), sums).expect("readers").agreed();
    assert_eq!(rows, json!([[2500, 2500, 2500 * 2501]]));
}

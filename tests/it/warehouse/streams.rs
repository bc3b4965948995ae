//! Streams that write one table. Two of one run, in a plan that no file was checked for: the second one is refused, and never
//! takes the first one's commit for its own. One after the other: the second one does not go on from the first one's cursor.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use waybill_connectors::database::postgres::PostgresDatabase;
use waybill_connectors::source::References;
use waybill_connectors::source::sqlite::SqliteSource;
use waybill_model::event::Event;
use waybill_model::plan::{Plan, System};
use waybill_model::{AttemptId, FailureCode, RunId};
use waybill_pipeline::engine::{self, Context, StreamEnd};
use waybill_pipeline::{Budget, CommitGate, Destination, Halt, Observer, Progress, stop_pair};
use waybill_tests::services::commit_proxy::{CommitProxy, Cut};

use super::Copy;

/// A table of ten rows and one of twenty.
const SOURCE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY); CREATE TABLE u (id INTEGER PRIMARY KEY);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) INSERT INTO t SELECT i FROM n;
    INSERT INTO u SELECT id FROM t UNION SELECT id + 10 FROM t";

struct Silent;

impl Observer for Silent {
    fn progress(&self, _: Progress) {}
    fn event(&self, _: Event) {}
}

/// Holds the first one that asks until the other waits for its lock, where both are to be under way.
struct Together {
    database: tokio_postgres::Client,
    is_through: AtomicBool,
}

#[async_trait]
impl CommitGate for Together {
    async fn prepare(&self, _: u32, _: [u8; 32]) -> Result<(), Halt> {
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        for _ in 0..1_200 {
            let waiting: i64 = self.database.query_one(waits, &[]).await.expect("locks").get(0);
            if self.is_through.load(Ordering::SeqCst) || waiting > 0 {
                self.is_through.store(true, Ordering::SeqCst);
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await; // a poll for the lock, bounded
        }
        panic!("the other stream does not come");
    }
}

/// Runs a plan of these streams with so many at once; how each ended.
async fn ends(copy: &Copy, port: u16, streams: Value, parallel: u32) -> Vec<StreamEnd> {
    let to = json!({ "type": "postgres", "host": "127.0.0.1", "port": port, "database": "postgres", "user": "postgres",
                     "tls": "disable" });
    let plan = json!({
        "pipeline": "p", "streams": streams, "limits": { "parallel": parallel },
        "from": { "connection": "shop", "system": { "type": "sqlite", "path": copy.path("shop.db") } },
        "to": { "connection": "copy", "system": to },
    });
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    let System::Postgres(settings) = &plan.to.system else { panic!("a Postgres") };
    let database = PostgresDatabase::with(settings, None, &References::default(), "run").expect("a database");
    let is_through = AtomicBool::new(parallel == 1);
    let context = Context {
        source: Arc::new(SqliteSource::new(copy.path("shop.db"))),
        destination: Destination::Database(Arc::new(database)),
        errands: BTreeMap::new(),
        run: RunId::generate(),
        attempt: AttemptId::generate(),
        epoch: None,
        accepted: None,
        owner: "once/p".into(),
        observer: Arc::new(Silent),
        gate: Arc::new(Together { database: copy.server.client().await, is_through }),
        stop: stop_pair().1,
        budget: Budget::new(256 << 20).expect("a budget"),
    };
    engine::run(&plan, &[0, 1], &context).await
}

/// One stream was delivered, the table has its rows, and the other one was refused.
async fn check(copy: &Copy, table: &str, ends: &[StreamEnd]) {
    let (delivered, refused): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.outcome.version.is_some());
    let told: Vec<_> = ends.iter().map(|end| (end.outcome.failure, end.text.for_customer())).collect();
    assert_eq!((delivered.len(), refused.len()), (1, 1), "{told:?}");
    assert_eq!(refused[0].outcome.failure, Some(FailureCode::SpecRefused), "{told:?}");
    assert!(refused[0].text.for_customer().starts_with("two streams write this table"), "{told:?}");
    let rows = copy.one(&format!("SELECT count(*) FROM {table}")).await;
    assert_eq!(rows, delivered[0].outcome.rows.to_string(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_streams_that_write_one_table_the_second_is_refused() {
    let copy = Copy::with(SOURCE, "t: {}");
    copy.server.run("CREATE SCHEMA raw").await;
    let spellings = [
        ("raw.x", json!({ "table": "raw.x" }), json!({ "table": "RAW.x" })),
        ("raw.y", json!({ "table": "raw.y" }), json!({ "table": "\"raw\".\"y\"" })),
        ("public.t", json!({}), json!({ "table": "public.t" })),
    ];
    for (table, t, u) in spellings {
        let named = |name: &str, keys: &Value| {
            let mut stream = json!({ "name": name, "load": "full", "shrink-guard": 0 });
            stream.as_object_mut().expect("an object").extend(keys.as_object().expect("keys").clone());
            stream
        };
        let streams = json!([named("t", &t), named("u", &u)]);
        for parallel in [1, 2] {
            // The first run makes the table; a later one replaces its rows, whichever stream comes first.
            for _ in 0..2 {
                let ends = ends(&copy, copy.server.port(), streams.clone(), parallel).await;
                check(&copy, table, &ends).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_doubt_is_not_settled_by_the_one_of_another_stream() {
    let copy = Copy::with(SOURCE, "t: {}");
    let proxy = CommitProxy::start(copy.server.port(), Cut::Commit).await;
    let streams = json!([{ "name": "t", "load": "full" }, { "name": "u", "load": "full", "table": "public.t" }]);
    let ends = ends(&copy, proxy.port, streams, 2).await;
    assert_eq!(proxy.fired(), 1);
    check(&copy, "public.t", &ends).await;
    assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_another_table_is_written_to_keeps_no_cursor_of_the_first() {
    let sum = "SELECT count(*) || ' ' || max(id) FROM kept";
    for load in ["new", "changed"] {
        let copy = Copy::with(SOURCE, &format!("t: {{ load: {load}, cursor: id, table: kept }}"));
        copy.delivered();
        // Of its twenty rows ten stand below the cursor.
        let other = format!("u: {{ load: {load}, cursor: id, table: kept }}");
        copy.streams(&other);
        let text = copy.fails("cursor_changed");
        assert!(text.starts_with("the source's table is another than when the table's cursor was set"), "{text}");
        if load == "changed" {
            // Every row is looked at then, but those of the first table stay: they would be one table's with these.
            let text = copy.fails_with(&["--forget-cursor", "u"], "cursor_changed");
            assert!(text.starts_with("the source's table is another"), "{text}");
        }
        assert_eq!(copy.one(sum).await, "10 10", "nothing may be written");
        copy.reloaded("u");
        assert_eq!(copy.one(sum).await, "20 20");
        copy.source("INSERT INTO u VALUES (21)");
        assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
        // The same table under another name, as somebody says.
        copy.source("ALTER TABLE u RENAME TO v; INSERT INTO v VALUES (22)");
        copy.streams(&other.replace("u:", "v:").replace("kept", "kept, take-over: true"));
        assert_eq!(copy.delivered()["streams"][0]["rows"], 1);
        copy.streams(&other.replace("u:", "v:"));
        assert_eq!(copy.delivered()["streams"][0]["rows"], 0, "consent is kept");
        assert_eq!(copy.one(sum).await, "22 22");
    }
}

//! Columns that are not as the table has them, between servers, files and the steered product: the cases of docs/drift.md that
//! `once/drift.rs` has no source for.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use waybill_api::run::{Backfill, RunStart};
use waybill_model::event::EventCode;
use waybill_model::run::RunKind;
use waybill_tests::binaries::binary;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::mariadb::MariaDb;
use waybill_tests::services::postgres::Postgres;

use crate::mysql::server as mariadb;

/// A server, a folder for the lake, and one stream between them.
pub(crate) struct Line {
    folder: tempfile::TempDir,
    from: String,
    stream: &'static str,
}

impl Line {
    pub(crate) fn of_postgres(server: &Postgres) -> Self {
        let from = format!(
            "{{ type: postgres, host: 127.0.0.1, port: {}, database: postgres, user: postgres, tls: disable }}",
            server.port()
        );
        Self { folder: tempfile::tempdir().expect("a folder"), from, stream: "public.t" }
    }

    pub(crate) fn of_mariadb(server: &MariaDb) -> Self {
        let from = format!(
            "{{ type: mysql, host: 127.0.0.1, port: {}, database: shop, user: reader, password: env://SHOP_PASSWORD, tls: disable }}",
            server.port()
        );
        Self { folder: tempfile::tempdir().expect("a folder"), from, stream: "t" }
    }

    /// A file in the folder itself, which is the stream.
    pub(crate) fn of_files(stream: &'static str, text: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let line =
            Self { from: format!("{{ type: files, url: \"file://{}\" }}", folder.path().display()), folder, stream };
        line.lay(text);
        line
    }

    fn lay(&self, text: &str) {
        std::fs::write(self.folder.path().join(self.stream), text).expect("written");
    }

    fn once(&self, keys: &str, more: &[&str]) -> Output {
        let spec = self.folder.path().join("spec.yaml");
        let document = format!(
            "waybill: 1\nconnections:\n  db: {}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n  p:\n    from: db\n    \
             to: lake\n    streams: {{ {}: {{ {keys} }} }}\n",
            self.from,
            self.folder.path().join("lake").display(),
            self.stream
        );
        std::fs::write(&spec, document).expect("write the spec");
        let mut worker = Command::new(binary("waybill-worker"));
        worker
            .args(["once", "--json", "--memory", "128MiB", "--spec"])
            .arg(spec)
            .args(more)
            .env("SHOP_PASSWORD", "right");
        worker.output().expect("run the worker")
    }

    fn stream(&self, keys: &str, exit: i32) -> Value {
        self.stream_with(keys, &[], exit)
    }

    /// The same by a command with these options.
    pub(crate) fn stream_with(&self, keys: &str, more: &[&str], exit: i32) -> Value {
        let output = self.once(keys, more);
        assert_eq!(output.status.code(), Some(exit), "{}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        report["streams"][0].clone()
    }

    pub(crate) fn delivered(&self, keys: &str) -> Value {
        self.stream(keys, 0)
    }

    /// What the customer is told by a run that ends so.
    fn refused(&self, keys: &str, code: &str) -> String {
        let stream = self.stream(keys, 10);
        assert_eq!(stream["failure"], code, "{stream}");
        stream["text"].as_str().expect("a text").to_owned()
    }

    pub(crate) fn rows(&self, sql: &str) -> Value {
        let table = self.folder.path().join("lake").join(self.stream);
        readers::query(&table, sql).expect("both readers").agreed()
    }
}

const NEW: &str = "load: new, cursor: id";

#[tokio::test(flavor = "multi_thread")]
async fn f30_every_change_of_a_type_at_postgres_is_told_and_rewrites_nothing() {
    let server = Postgres::start();
    server.run("CREATE TABLE t (id int8 PRIMARY KEY, i int4, w varchar(10), d numeric(8,2)); INSERT INTO t VALUES (1, 7, '7', 7)").await;
    let line = Line::of_postgres(&server);
    line.delivered(NEW);
    for (change, back, told) in [
        ("i TYPE int8", "i TYPE int4", "\"i\" is long now and integer in the table"),
        ("i TYPE int2", "i TYPE int4", "\"i\" is short now and integer in the table"),
        ("w TYPE int4 USING w::int4", "w TYPE varchar(10)", "\"w\" is integer now and string in the table"),
        ("d TYPE numeric(10,2)", "d TYPE numeric(8,2)", "\"d\" is decimal(10,2) now and decimal(8,2) in the table"),
        ("d TYPE numeric(6,2)", "d TYPE numeric(8,2)", "\"d\" is decimal(6,2) now and decimal(8,2) in the table"),
    ] {
        server.run(&format!("ALTER TABLE t ALTER {change}")).await;
        assert_eq!(line.refused(NEW, "schema_changed"), told);
        server.run(&format!("ALTER TABLE t ALTER {back}")).await;
    }
    // What the table's types take is no other type: text of any length, and a domain over the same one.
    server.run("ALTER TABLE t ALTER w TYPE text; CREATE DOMAIN small AS int4; ALTER TABLE t ALTER i TYPE small; INSERT INTO t VALUES (2, 8, 'eight', 8)").await;
    let stream = line.delivered(NEW);
    assert_eq!((&stream["rows"], &stream["columns"]), (&json!(1), &Value::Null));
    assert_eq!(
        line.rows("SELECT id, i, w, d FROM t ORDER BY id"),
        json!([[1, 7, "7", "7.00"], [2, 8, "eight", "8.00"]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_postgres_has_more_is_asked_about_added_or_left_out() {
    let server = Postgres::start();
    server.run("CREATE TABLE t (id int8 PRIMARY KEY, rev int8 NOT NULL); INSERT INTO t VALUES (1, 1), (2, 2)").await;
    let line = Line::of_postgres(&server);
    let keys = |more: &str| format!("load: changed, cursor: rev{more}");
    line.delivered(&keys(""));
    server.run("ALTER TABLE t ADD seen timestamptz, ADD no numeric(4,1)[]; UPDATE t SET rev = 3, seen = 'infinity' WHERE id = 2").await;
    assert_eq!(line.refused(&keys(""), "columns_undecided"), "the table has not: \"seen\", \"no\"");
    let stream = line.delivered(&keys(", new-columns: add, columns: { drop: [no] }"));
    assert_eq!(stream["receipt"]["columns"]["added"], json!(["seen"]));
    let stream = line.delivered(&keys(", new-columns: ignore"));
    assert_eq!((&stream["rows"], &stream["columns"]["ignored"]), (&json!(0), &json!(1)));
    let rows = line.rows("SELECT id, rev, seen, seen__text FROM t ORDER BY id");
    assert_eq!(rows, json!([[1, 1, null, null], [2, 3, null, "infinity"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_of_mariadb_are_asked_about_added_left_out_and_told_by_name() {
    let server = mariadb();
    server.run("CREATE TABLE t (id bigint PRIMARY KEY, n int, w varchar(5)); INSERT INTO t VALUES (1, 1, 'a')");
    let line = Line::of_mariadb(&server);
    line.delivered(NEW);
    server.run("ALTER TABLE t ADD secret date FIRST, ADD more datetime; INSERT INTO t VALUES ('2024-01-01', 2, 2, 'b', '2024-02-29')");
    assert_eq!(line.refused(NEW, "columns_undecided"), "the table has not: \"secret\", \"more\"");
    let stream = line.delivered(&format!("{NEW}, new-columns: ignore, columns: {{ rename: {{ more: at }} }}"));
    assert_eq!(
        stream["receipt"]["columns"],
        json!({"added": ["at"], "removed": [], "changed": [], "ignored": ["secret"]})
    );
    let rows = line.rows("SELECT * FROM t ORDER BY id");
    assert_eq!(rows, json!([[1, 1, "a", null], [2, 2, "b", "2024-02-29T00:00:00"]]));
    let keys = format!("{NEW}, new-columns: ignore, columns: {{ rename: {{ more: at }}, drop: [secret] }}");
    for (change, told) in [
        ("MODIFY n bigint", "\"n\" is long now and integer in the table"),
        ("MODIFY n int, MODIFY w int", "\"w\" is integer now and string in the table"),
        ("DROP w", "the stream has no more: \"w\""),
    ] {
        server.run(&format!("SET sql_mode = ''; ALTER TABLE t {change}"));
        assert_eq!(line.refused(&keys, "schema_changed"), told);
    }
}

#[test]
fn columns_of_files_are_asked_about_where_it_is_written() {
    let line = Line::of_files("in.csv", "id,name\n1,Ada\n");
    line.delivered("new-columns: ask");
    line.lay("ssn,id,name\n078-05-1120,1,Ada\n");
    assert_eq!(line.refused("new-columns: ask", "columns_undecided"), "the table has not: \"ssn\"");
    assert_eq!(line.delivered("new-columns: ignore")["receipt"]["columns"]["ignored"], json!(["ssn"]));
    assert_eq!(line.rows("SELECT * FROM t"), json!([["1", "Ada"]]));
    let stream = line.delivered("load: full");
    assert_eq!((&stream["receipt"]["columns"]["added"], &stream["columns"]["new"]), (&json!(["ssn"]), &json!(1)));
}

fn document(sandbox: &Sandbox, more: &str) -> String {
    format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{}\" }}\n  lake: {{ type: local, path: \"{}\" }}\n\
         pipelines:\n  p:\n    from: shop\n    to: lake\n    streams:\n      c: {{ load: new, cursor: id{more} }}\n      other: {{}}\n",
        sandbox.path("shop.db").display(),
        sandbox.path("lake").display()
    )
}

fn shown(sandbox: &Sandbox, arguments: &[&str]) -> Result<String> {
    Ok(String::from_utf8(sandbox.cli(arguments)?.stdout)?)
}

/// What the orchestrator knows are numbers: no name of a column is in its database, its answers or what the CLI prints.
#[tokio::test(flavor = "multi_thread")]
async fn a_steered_run_tells_how_many_columns_differ_and_no_name_of_one_leaves() -> Result<()> {
    let sandbox = Sandbox::start(Options::default()).await?;
    let source = |sql: &str| rusqlite::Connection::open(sandbox.path("shop.db"))?.execute_batch(sql);
    source("CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1); CREATE TABLE other (id INTEGER)")?;
    sandbox.apply(&document(&sandbox, "")).await?;
    crate::story::succeeded(&sandbox.ended(sandbox.trigger("p").await?).await?)?;
    source(
        "ALTER TABLE c ADD COLUMN zebra_ssn TEXT; ALTER TABLE c ADD COLUMN zebra_iban TEXT; INSERT INTO c VALUES (2, 'x', 'y')",
    )?;

    let asked = sandbox.ended(sandbox.trigger("p").await?).await?;
    let (c, other) = (&asked.streams[0], &asked.streams[1]);
    assert_eq!(c.failure.as_ref().context("a failure")?.code.to_string(), "columns_undecided");
    assert_eq!((c.columns.context("a drift")?.new, other.state.as_str()), (2, "committed"));
    let codes = sandbox.codes(asked.run.id).await?;
    assert!(codes.contains(&EventCode::ColumnsDiffer.to_string()), "{codes:?}");
    let people = shown(&sandbox, &["run", "show", &asked.run.id.to_string()])?;
    assert!(people.contains("columns_undecided · columns: 2 new"), "{people}");

    sandbox.apply(&document(&sandbox, ", new-columns: add")).await?;
    let added = sandbox.ended(sandbox.trigger("p").await?).await?;
    crate::story::succeeded(&added)?;
    let people = shown(&sandbox, &["run", "show", &added.run.id.to_string()])?;
    assert!(people.contains("columns: 2 added"), "{people}");
    let events = shown(&sandbox, &["run", "events", &added.run.id.to_string()])?;
    assert!(events.contains("c: the table got 2 new columns"), "{events}");
    let all = shown(&sandbox, &["run", "show", "-o", "json", &added.run.id.to_string()])?;
    let read: Value = serde_json::from_str(&all)?;
    assert_eq!(read["streams"][0]["columns"], json!({"new": 2, "gone": 0, "changed": 0, "ignored": 0}), "{all}");

    for told in [people, events, all, format!("{asked:?}"), sandbox.log()] {
        assert!(!told.contains("zebra"), "a column's name left: {told}");
    }
    assert!(holds(&sandbox.path("lake"), "zebra_ssn")?, "the customer's own log and receipt name them");
    let own =
        std::fs::read_dir(sandbox.path("state"))?.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let databases: Vec<_> = own.filter(|path| path.to_string_lossy().contains(".db")).collect();
    assert!(!databases.is_empty());
    for database in databases {
        let bytes = std::fs::read(&database)?;
        assert!(!bytes.windows(5).any(|window| window == b"zebra"), "{}", database.display());
    }
    Ok(())
}

/// Whether any file below holds this text.
fn holds(folder: &Path, text: &str) -> Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let found = if path.is_dir() {
            holds(&path, text)?
        } else {
            std::fs::read(&path)?.windows(text.len()).any(|window| window == text.as_bytes())
        };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A reload goes by REST and CLI, is kept by attempts and by a retry, and every other stream is left alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_steered_reload_replaces_one_table_and_a_retry_of_it_is_a_reload_too() -> Result<()> {
    let sandbox = Sandbox::start(Options::default()).await?;
    let source = |sql: &str| rusqlite::Connection::open(sandbox.path("shop.db"))?.execute_batch(sql);
    source(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO c VALUES (1, 1), (2, 2); CREATE TABLE other (id INTEGER)",
    )?;
    sandbox.apply(&document(&sandbox, "")).await?;
    crate::story::succeeded(&sandbox.ended(sandbox.trigger("p").await?).await?)?;
    source("UPDATE c SET n = 10 WHERE id = 1; ALTER TABLE c RENAME TO away")?;
    let started = shown(&sandbox, &["run", "start", "p", "--reload", "c", "-o", "json"])?;
    let run: Value = serde_json::from_str(&started)?;
    let failed = sandbox.ended(run["id"].as_str().context("an id")?.parse()?).await?;
    assert!(failed.streams[0].reload && !failed.streams[1].reload);
    assert_eq!((failed.streams[0].state.as_str(), failed.streams[1].state.as_str()), ("failed", "skipped"));
    source("ALTER TABLE away RENAME TO c")?;
    let again = sandbox.client.run_retry(failed.run.id).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let ended = sandbox.ended(again.run.id).await?;
    crate::story::succeeded(&ended)?;
    assert_eq!((ended.streams[0].reload, ended.streams[0].rows), (true, Some(2)));
    let table = sandbox.path("lake/c");
    let rows = |sql: &str| readers::query(&table, sql).map(|seen| seen.agreed());
    assert_eq!(rows("SELECT id, n FROM t ORDER BY id")?, json!([[1, 10], [2, 2]]));
    let people = shown(&sandbox, &["run", "show", &ended.run.id.to_string()])?;
    assert!(people.contains("reload"), "{people}");
    let start = RunStart {
        pipeline_id: Some(sandbox.pipeline("p").await?),
        kind: Some(RunKind::Check),
        reload: vec!["c".into()],
        ..RunStart::default()
    };
    assert!(sandbox.client.run_start(&start).await.is_err(), "a check moves no rows");
    Ok(())
}

/// What was delivered is neither run again nor said to be reloaded.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_reload_reloads_only_what_was_left() -> Result<()> {
    let sandbox = Sandbox::start(Options::default()).await?;
    let source = |sql: &str| rusqlite::Connection::open(sandbox.path("shop.db"))?.execute_batch(sql);
    source("CREATE TABLE other (id INTEGER); CREATE TABLE away (id INTEGER PRIMARY KEY)")?;
    sandbox.apply(&document(&sandbox, "")).await?;
    let started = shown(&sandbox, &["run", "start", "p", "--reload", "c", "--reload", "other", "-o", "json"])?;
    let run: Value = serde_json::from_str(&started)?;
    let failed = sandbox.ended(run["id"].as_str().context("an id")?.parse()?).await?;
    assert!(failed.streams[0].reload && failed.streams[1].reload);
    assert_eq!((failed.streams[0].state.as_str(), failed.streams[1].state.as_str()), ("failed", "committed"));
    source("ALTER TABLE away RENAME TO c")?;
    let again = sandbox.client.run_retry(failed.run.id).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let ended = sandbox.ended(again.run.id).await?;
    crate::story::succeeded(&ended)?;
    assert_eq!((ended.streams[0].reload, ended.streams[1].reload), (true, false));
    Ok(())
}

/// Kept by attempts and by a retry; what can't be done is refused at the door, and no value of a row is in what is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a_steered_backfill_is_told_kept_by_a_retry_and_refused_where_rows_would_double() -> Result<()> {
    let sandbox = Sandbox::start(Options::default()).await?;
    let source = |sql: &str| rusqlite::Connection::open(sandbox.path("shop.db"))?.execute_batch(sql);
    source(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO c VALUES (1, 1), (2, 2), (3, 3); CREATE TABLE other (id INTEGER)",
    )?;
    sandbox.apply(&document(&sandbox, "").replace("load: new", "load: changed")).await?;
    crate::story::succeeded(&sandbox.ended(sandbox.trigger("p").await?).await?)?;
    source("UPDATE c SET n = n * 10; ALTER TABLE c RENAME TO away")?;
    let started = shown(&sandbox, &["run", "start", "p", "--backfill", "c", "--from", "2", "--to", "3", "-o", "json"])?;
    let run: Value = serde_json::from_str(&started)?;
    let failed = sandbox.ended(run["id"].as_str().context("an id")?.parse()?).await?;
    assert_eq!((failed.streams[0].state.as_str(), failed.streams[1].state.as_str()), ("failed", "skipped"));
    source("ALTER TABLE away RENAME TO c")?;
    let again = sandbox.client.run_retry(failed.run.id).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let ended = sandbox.ended(again.run.id).await?;
    crate::story::succeeded(&ended)?;
    let table = sandbox.path("lake/c");
    let rows = |sql: &str| readers::query(&table, sql).map(|seen| seen.agreed());
    assert_eq!(rows("SELECT id, n FROM t ORDER BY id")?, json!([[1, 1], [2, 20], [3, 3]]));
    let people = shown(&sandbox, &["run", "show", &ended.run.id.to_string()])?;
    assert!(people.contains("backfill from 2 to 3"), "{people}");
    let forgotten = shown(&sandbox, &["run", "start", "p", "--forget-cursor", "c", "-o", "json"])?;
    let run: Value = serde_json::from_str(&forgotten)?;
    let ended = sandbox.ended(run["id"].as_str().context("an id")?.parse()?).await?;
    crate::story::succeeded(&ended)?;
    assert!(ended.streams[0].forget_cursor && ended.streams[0].rows == Some(3));
    assert_eq!(rows("SELECT id, n FROM t ORDER BY id")?, json!([[1, 10], [2, 20], [3, 30]]));

    let limited = shown(&sandbox, &["run", "start", "p", "--stream", "other", "--limit", "5", "-o", "json"])?;
    let run: Value = serde_json::from_str(&limited)?;
    let ended = sandbox.ended(run["id"].as_str().context("an id")?.parse()?).await?;
    let people = shown(&sandbox, &["run", "show", &ended.run.id.to_string()])?;
    assert!(ended.streams[1].limit == Some(5) && people.contains("LIMITED to 5 rows"), "{people}");

    let id = sandbox.pipeline("p").await?;
    let backfill =
        |stream: &str, from: Option<&str>| Backfill { stream: stream.into(), from: from.map(str::to_owned), to: None };
    for (start, told) in [
        (RunStart { backfill: vec![backfill("c", None)], ..RunStart::default() }, "needs `from` or `to`"),
        (RunStart { backfill: vec![backfill("c", Some("soon"))], ..RunStart::default() }, "write a whole number"),
        (RunStart { backfill: vec![backfill("other", Some("1"))], ..RunStart::default() }, "has no cursor"),
        (RunStart { forget_cursor: vec!["other".into()], ..RunStart::default() }, "has no cursor"),
        (RunStart { limit: Some(0), ..RunStart::default() }, "at least one row"),
        (RunStart { limit: Some(5), reload: vec!["c".into()], ..RunStart::default() }, "tries tables out"),
        (RunStart { forget_cursor: vec!["none".into()], ..RunStart::default() }, "not a stream"),
        (RunStart { forget_cursor: vec!["c".into()], reload: vec!["c".into()], ..RunStart::default() }, "named twice"),
        (RunStart { kind: Some(RunKind::Check), forget_cursor: vec!["c".into()], ..RunStart::default() }, "moves rows"),
    ] {
        let start = RunStart { pipeline_id: Some(id), ..start };
        let refused = format!("{:?}", sandbox.client.run_start(&start).await.err().context(told)?);
        assert!(refused.contains(told), "{told}: {refused}");
    }
    Ok(())
}

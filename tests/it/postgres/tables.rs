//! What a stream can be: tables, partitions, heirs, views; all of it or a part; and what discovery shows.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use serde_json::json;
use waybill_model::FailureCode;
use waybill_model::receipt::Grade;
use waybill_pipeline::Source;
use waybill_tests::services::postgres::Postgres;

use super::{full, read, source, source_as, stream, want};

async fn seeded() -> Postgres {
    let server = Postgres::start();
    server
        .run(
            "CREATE TABLE p (id int8, region text) PARTITION BY LIST (region);
             CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
             CREATE TABLE p_b (region text, id int8); ALTER TABLE p ATTACH PARTITION p_b FOR VALUES IN ('b');
             INSERT INTO p SELECT g, CASE WHEN g % 3 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 30000) g;
             CREATE TABLE parent (id int8); CREATE TABLE child (extra text) INHERITS (parent);
             INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 'x');
             CREATE VIEW v AS SELECT id FROM p WHERE region = 'a';
             CREATE MATERIALIZED VIEW m AS SELECT id FROM p WHERE region = 'b';
             CREATE TABLE empty (id int8 PRIMARY KEY)",
        )
        .await;
    server
}

#[tokio::test]
async fn partitions_heirs_and_views_give_all_their_rows() {
    let server = seeded().await;
    for (name, rows) in
        [("p", 30_000), ("parent", 2), ("v", 10_000), ("m", 20_000), ("empty", 0), ("public.p_a", 10_000)]
    {
        for lanes in [1, 3] {
            let plan = stream(name, json!({"verify-count": true}));
            let found = read(&source(&server), &plan, lanes).await.expect("read");
            assert_eq!((found.rows.num_rows(), found.proof.grade), (rows, Grade::Verified), "{name} by {lanes}");
        }
    }
}

/// Tables whose rows another server keeps, and views on them and on tables of this one.
async fn elsewhere() -> Postgres {
    let server = Postgres::start();
    server
        .run(
            "DO $$ BEGIN EXECUTE format('COPY (SELECT g, timestamptz ''2020-01-01'' FROM generate_series(1, 500) g) TO %L',
               current_setting('data_directory') || '/rows.csv'); END $$;
             CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;
             CREATE FOREIGN TABLE f (id int8, at timestamptz) SERVER s OPTIONS (filename 'rows.csv');
             CREATE TABLE p (id int8, at timestamptz) PARTITION BY RANGE (id);
             CREATE TABLE p_a PARTITION OF p FOR VALUES FROM (501) TO (1001);
             INSERT INTO p SELECT g, timestamptz '2020-01-01' FROM generate_series(501, 1000) g;
             CREATE FOREIGN TABLE p_f PARTITION OF p FOR VALUES FROM (1) TO (501) SERVER s OPTIONS (filename 'rows.csv');
             CREATE VIEW v AS SELECT a.* FROM p_a a; CREATE VIEW vf AS SELECT * FROM v UNION ALL SELECT * FROM f;
             CREATE MATERIALIZED VIEW m AS SELECT * FROM p_a; CREATE VIEW vm AS SELECT * FROM m WHERE id > 0",
        )
        .await;
    server
}

#[tokio::test]
async fn foreign_tables_and_partitions_give_all_their_rows() {
    let server = elsewhere().await;
    for (name, first, last) in [("f", 1, 500), ("p", 1, 1000), ("vf", 1, 1000), ("vm", 501, 1000)] {
        for lanes in [1, 3] {
            let plan = stream(name, json!({"verify-count": true}));
            let found = read(&source(&server), &plan, lanes).await.expect("read");
            assert_eq!(found.sorted("id"), (first..=last).collect::<Vec<_>>(), "{name} by {lanes}");
            assert_eq!(found.proof.grade, Grade::Verified);
        }
    }
}

#[tokio::test]
async fn a_window_says_that_it_can_not_see_who_writes_elsewhere_and_none_is_taken_of_what_is_refreshed() {
    let server = elsewhere().await;
    for (name, is_foreign) in [("f", true), ("p", true), ("vf", true), ("v", false), ("p_a", false)] {
        for column in ["id", "at"] {
            let plan = stream(name, json!({"load": "new", "cursor": {"column": column}}));
            source(&server).check(&plan).await.expect("a cursor");
            let found = read(&source(&server), &plan, 2).await.expect("read");
            assert_eq!((found.note.fixed_lag, found.rows.num_rows() >= 500), (is_foreign, true), "{name} by {column}");
        }
    }
    for (name, column) in [("m", "id"), ("vm", "at")] {
        let plan = stream(name, json!({"load": "new", "cursor": {"column": column}}));
        let fault = source(&server).check(&plan).await.expect_err("refreshed");
        assert_eq!(fault.code, FailureCode::CursorUnusable, "{name}");
        let fault = read(&source(&server), &plan, 1).await.map(drop).expect_err("refreshed");
        assert!(fault.text.for_customer().contains("when it is refreshed"), "{}", fault.text.for_customer());
    }
}

#[tokio::test]
async fn a_grant_on_the_parent_alone_is_enough() {
    let server = seeded().await;
    server.run("CREATE ROLE reader LOGIN; GRANT SELECT ON p TO reader").await;
    let found = read(&source_as(&server, "reader"), &full("p"), 2).await.expect("read");
    assert_eq!(found.sorted("id"), (1..=30_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn columns_and_filters_are_pushed_down() {
    let server = seeded().await;
    let plan = stream(
        "p",
        json!({
            "columns": {"select": ["region", "id"], "rename": {"region": "land"}},
            "filter": [{"column": "id", "op": "le", "value": "9"}, {"column": "region", "op": "ne", "value": "b"},
                       {"column": "id", "op": "not_null"}],
        }),
    );
    let found = read(&source(&server), &plan, 2).await.expect("read");
    assert_eq!(found.sorted("id"), [3, 6, 9]);
    assert_eq!((found.rows.schema().field(0).name().as_str(), found.text("land", 0).as_deref()), ("land", Some("a")));
}

#[tokio::test]
async fn batches_keep_to_their_bounds() {
    let server = seeded().await;
    let small = waybill_pipeline::source::Want { batch_bytes: 4096, ..want(1) };
    let snapshot = source(&server).open(&full("p"), None, small).await.expect("open");
    assert!(snapshot.rows_estimate().is_none(), "nothing was analysed, so nothing is claimed");
    let batches = super::drain(snapshot.lane().await.expect("lane")).await.expect("read");
    assert!(batches.len() > 50 && batches.iter().all(|batch| batch.rows.num_rows() < 1000));
    let sum: i64 =
        batches.iter().map(|b| b.rows.column(0).as_primitive::<Int64Type>().values().iter().sum::<i64>()).sum();
    assert_eq!(sum, 30_000 * 30_001 / 2);
}

#[tokio::test]
async fn discovery_shows_what_this_user_can_read() {
    let server = seeded().await;
    server
        .run(
            "CREATE TABLE \"Odd.Name\" (b int4 NOT NULL, a text, PRIMARY KEY (a, b)); CREATE TABLE secret (id int8);
             CREATE ROLE reader LOGIN; GRANT SELECT ON \"Odd.Name\", p TO reader",
        )
        .await;
    let tables = source_as(&server, "reader").discover().await.expect("discover");
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["public.\"Odd.Name\"", "public.p"]);
    assert_eq!(tables[0].key, ["a", "b"]);
    let column = &tables[0].columns[0];
    assert_eq!((column.name.as_str(), column.source_type.as_str(), column.nullable), ("b", "integer", false));
    let found = read(&source_as(&server, "reader"), &full(&tables[0].name), 1).await.expect("its name reads it");
    assert_eq!(found.rows.num_columns(), 2);
}

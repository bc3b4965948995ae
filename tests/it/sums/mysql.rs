//! With MariaDB.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use serde_json::{Value, json};
use waybill_connectors::source::mysql::MySqlSource;
use waybill_model::FailureCode;
use waybill_model::event::EventCode;
use waybill_model::plan::System;
use waybill_pipeline::source::step::stepped;
use waybill_pipeline::{Batch, Fixed, Source};
use waybill_tests::services::mariadb::MariaDb;

use super::bent::Bent;
use super::{Ran, is_committed, moved, recorded};
use crate::mysql::{server, settings};

fn source(server: &MariaDb) -> Arc<dyn Source> {
    let settings = settings(server.port(), "reader");
    Arc::new(MySqlSource::new(&settings, Some(Arc::new(Fixed::new("right"))), "run_test").expect("a source"))
}

async fn ran(server: &MariaDb, folder: &Path, stream: Value) -> Ran {
    moved(source(server), System::MySql(settings(server.port(), "reader")), folder, stream).await
}

const EVERY: &str = "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00';
    CREATE TABLE every (id bigint, t tinyint, tu tinyint unsigned, m mediumint unsigned zerofill, z int(8) zerofill, bu bigint unsigned,
      d decimal(10,2), dz decimal(10,2) zerofill, d38 decimal(38,38), n decimal(65,30), da date, dt datetime, dt6 datetime(6),
      ts timestamp(3) NULL, ti time, ti6 time(6), y year, b bit(1), bb bit(64), c char(5), v varchar(20), l1 varchar(20) CHARACTER SET latin1,
      asc7 varchar(5) CHARACTER SET ascii, u8 varchar(9) CHARACTER SET utf8mb3, tx longtext, j json, e enum('a','','b'), s set('a','b'),
      bin binary(3), vb varbinary(9), bl longblob, u uuid, i4 inet4, i6 inet6);
    INSERT INTO every VALUES
      (-9223372036854775808, -128, 255, 16777215, 42, 18446744073709551615, -12345678.91, 1.5, -0.00000000000000000000000000000000000001,
       -1.000000000000000000000000000001, '0000-00-00', '0000-00-00 00:00:00', '2022-11-00 10:00:00.25', '2024-06-01 00:00:00.001',
       '-838:59:59', '-00:00:00.000001', 2155, b'1', 0xFFFFFFFFFFFFFFFF, 'ab', 'ü 🦀', 'é', 'x', 'ü', repeat('x', 70000), '{\"n\": 1.10}',
       'b', 'a,b', x'00ff', x'', x'00ff', '123e4567-e89b-12d3-a456-426655440000', '192.0.2.1', '2001:db8::ff00:42:8329'),
      (9223372036854775807, 127, 0, 0, 0, 0, 0, 0, 0, 0, '2023-02-30', '2023-02-30 01:02:03', '9999-12-31 23:59:59.999999',
       '0000-00-00 00:00:00', '838:59:59', '24:00:00', 0, b'0', 0, '', '', '', '', '', '', '[]', '', '', '', 'a', '', NULL, NULL, NULL),
      (0, 0, 1, 7, 1, 1, 0.01, 99999999.99, 0.99999999999999999999999999999999999999, 99999999999999999999999999999999999.5, '0000-01-01',
       '0000-01-01 00:00:00', '0001-01-01', '1970-01-01 00:00:01', '00:00:00', '12:00:00.5', 1901, b'1', 1, '  a', ' b ', 'x', 'y', 'z', '\\\\ \\n',
       '1', 'a', 'a', 'abc', 'ab', 'x', '00000000-0000-1000-8000-000000000000', '0.0.0.0', '::'),
      (1, 1, 1, 1, 1, 1, 1, 1, 0.1, 1, '2024-02-29', '2024-02-29 12:00:00', '2024-00-10 00:00:00', '2038-01-19 03:14:07.999', '01:02:03',
       '01:02:03', 2024, b'0', 2, 'c', 'c', 'c', 'c', 'c', 'c', '{}', 'nonsense', 'nonsense', 'c', 'c', 'c', NULL, NULL, NULL);
    INSERT INTO every (id) VALUES (NULL), (2)";
const COLUMNS: u64 = 34;

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_agree_on_every_type_of_mariadb_that_is_summed() {
    let server = server();
    server.run(EVERY);
    let folder = tempfile::tempdir().expect("a folder");
    let ran = ran(&server, folder.path(), json!({ "name": "every", "load": "full", "checksums": "all" })).await;
    ran.agreed(COLUMNS);
    assert_eq!((ran.end.outcome.rows, ran.end.outcome.coerced > 5), (6, true));
    let sums = recorded(folder.path());
    let values = |name: &str| sums.iter().find(|(column, ..)| column == name).expect("the column").1;
    assert_eq!((values("id"), values("da"), values("dt6"), values("i6")), (5, 4, 4, 2), "a value in a twin is one");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_agree_over_connections_windows_and_no_rows_of_mariadb() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int PRIMARY KEY, note varchar(300)); INSERT INTO t SELECT seq, CONCAT(seq, REPEAT('x', 200)) FROM seq_1_to_60000;
         ANALYZE TABLE t; CREATE TABLE nothing LIKE t",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let whole = ran(&server, folder.path(), json!({ "name": "t", "load": "full", "checksums": "all" })).await;
    whole.agreed(2);
    assert_eq!(whole.end.outcome.rows, 60_000);
    assert!(whole.end.outcome.files > 1, "several connections read");
    let nothing = ran(&server, folder.path(), json!({ "name": "nothing", "load": "full", "checksums": "all" })).await;
    nothing.agreed(2);
    server.run("CREATE TABLE w (id int PRIMARY KEY, note text); INSERT INTO w VALUES (1, 'a'), (2, NULL)");
    let folder = tempfile::tempdir().expect("a folder");
    let keys = json!({ "name": "w", "load": "new", "cursor": { "column": "id" }, "checksums": "all" });
    ran(&server, folder.path(), keys.clone()).await.agreed(2);
    server.run("UPDATE w SET note = 'other'; INSERT INTO w VALUES (3, 'c')");
    ran(&server, folder.path(), keys).await.agreed(2);
    assert_eq!(recorded(folder.path()).iter().map(|(_, values, _)| *values).collect::<Vec<_>>(), [1, 1]);
}

/// A decoder that trims.
fn trimmed(batch: Batch) -> Batch {
    let texts = batch.rows.column(1).as_any().downcast_ref::<StringArray>().expect("texts");
    let bent: StringArray = texts.iter().map(|text| text.map(str::trim_end)).collect();
    let columns = vec![Arc::clone(batch.rows.column(0)), Arc::new(bent) as Arc<dyn Array>];
    Batch { rows: RecordBatch::try_new(batch.rows.schema(), columns).expect("a batch"), ..batch }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_mariadb_that_is_bent_on_its_way_is_caught() {
    let server = server();
    server.run("CREATE TABLE t (id int, note varchar(20)); INSERT INTO t VALUES (1, 'a'), (2, 'b '), (3, NULL)");
    let folder = tempfile::tempdir().expect("a folder");
    let bent = stepped(source(&server), Bent(trimmed));
    let system = System::MySql(settings(server.port(), "reader"));
    let caught = moved(bent, system, folder.path(), json!({ "name": "t", "load": "full", "checksums": "all" })).await;
    assert!(caught.failed(FailureCode::ChecksumMismatch).contains(": note (other values);"));
    assert_eq!(caught.told(EventCode::ChecksumsDiffer), Some(1));
    assert!(!is_committed(folder.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mariadb_can_not_sum_is_refused_before_a_row_is_read() {
    let server = server();
    server.run(
        "CREATE TABLE t (id int, f float, dd double, p point, sj varchar(5) CHARACTER SET sjis, da date);
         CREATE TABLE old (id int) ENGINE = MyISAM",
    );
    let folder = tempfile::tempdir().expect("a folder");
    for (column, shown) in [("f", "float"), ("dd", "double"), ("p", "point"), ("sj", "varchar(5)")] {
        let ran =
            ran(&server, folder.path(), json!({ "name": "t", "load": "full", "checksums": { "of": [column] } })).await;
        let text = ran.failed(FailureCode::ChecksumUnusable);
        assert!(text.starts_with(&format!("`checksums` can't take the column {column} ({shown})")), "{text}");
    }
    let nulls = json!({ "name": "t", "load": "full", "checksums": { "of": ["da"] }, "edge-values": "sentinel" });
    assert!(
        ran(&server, folder.path(), nulls)
            .await
            .failed(FailureCode::ChecksumUnusable)
            .contains("`edge-values: sentinel`")
    );
    let old = ran(&server, folder.path(), json!({ "name": "old", "load": "full", "checksums": "all" })).await;
    assert!(old.failed(FailureCode::ChecksumUnusable).contains("only InnoDB has"));
    assert!(!is_committed(folder.path()));
}

//! From Postgres to Postgres: every type that a table can have a column of comes back as itself, in arrays and domains too,
//! and every value with it.

use std::process::Command;

use tokio_postgres::Client;
use waybill_tests::binaries::binary;
use waybill_tests::services::postgres::Postgres;

use super::{Source, install};

const TABLES: [&str; 4] = ["scalars", "domains", "arrays", "domain_arrays"];

/// Types whose columns are of another one in the table, as docs/postgres-target.md says; their values are the same text.
const OTHERS: [&str; 32] = [
    "geometry(Point,4326)",
    "vector",
    "halfvec",
    "sparsevec",
    "pair",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "record",
    "seen",
    "pg_node_tree",
    "pg_ndistinct",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "gtsvector",
    "int2vector",
    "oidvector",
    "tid",
    "cid",
    "aclitem",
    "refcursor",
    "unknown",
];

/// Columns of a table by name, with the types that they rest on.
async fn columns(client: &Client, table: &str) -> Vec<(String, String)> {
    let sql = format!(
        "WITH RECURSIVE d(name, place, oid, modifier) AS (
           SELECT a.attname::text, a.attnum, a.atttypid, a.atttypmod FROM pg_attribute a
           WHERE a.attrelid = 'public.{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped
           UNION ALL SELECT d.name, d.place, t.typbasetype, t.typtypmod FROM d JOIN pg_type t ON t.oid = d.oid AND t.typtype = 'd'),
         base(domain, oid, modifier) AS (
           SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = 'd'
           UNION ALL SELECT base.domain, t.typbasetype, t.typtypmod FROM base JOIN pg_type t ON t.oid = base.oid AND t.typtype = 'd')
         SELECT d.name, coalesce(format_type(root.oid, root.modifier) || '[]', format_type(d.oid, d.modifier))
         FROM d JOIN pg_type t ON t.oid = d.oid
         LEFT JOIN (SELECT base.* FROM base JOIN pg_type r ON r.oid = base.oid AND r.typtype <> 'd') root
                ON root.domain = t.typelem AND t.typcategory = 'A'
         WHERE t.typtype <> 'd' ORDER BY d.place"
    );
    let rows = client.query(&sql, &[]).await.expect("columns");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Every value of a column by the row's id, as the server prints it.
async fn texts(client: &Client, table: &str, column: &str) -> Vec<Option<String>> {
    let sql = format!("SELECT {column}::text FROM public.{table} ORDER BY id");
    client.query(&sql, &[]).await.expect("values").iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_and_value_of_a_postgres_comes_back_as_itself_in_another() {
    let source = Source::start().await;
    let target = Postgres::start();
    let client = target.client().await;
    install(&client).await;
    for (place, entry) in source.entries.iter().enumerate() {
        client.batch_execute(&format!("CREATE DOMAIN kit.d{place} AS {}", entry.sql)).await.expect("a domain");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let spec = folder.path().join("spec.yaml");
    let end = |port: u16| {
        format!("{{ type: postgres, host: 127.0.0.1, port: {port}, database: postgres, user: postgres, tls: disable }}")
    };
    // No type holds an array of vectors.
    let vectors = source
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.sql.contains("vec") && entry.sql.starts_with("kit."));
    let vectors: Vec<String> = vectors.map(|(place, _)| format!("c{place}")).collect();
    let dropped = |table: &str, name: &String| table.ends_with("arrays") && vectors.contains(name);
    let streams = TABLES.map(|table| {
        let columns = if table.ends_with("arrays") {
            format!("columns: {{ drop: [{}] }}", vectors.join(", "))
        } else {
            String::new()
        };
        format!("      public.{table}: {{ {columns} }}\n")
    });
    let streams = streams.concat();
    let document = format!(
        "waybill: 1\nconnections:\n  db: {}\n  copy: {}\npipelines:\n  all:\n    from: db\n    to: copy\n    streams:\n{streams}",
        end(source.server.port()),
        end(target.port()),
    );
    std::fs::write(&spec, document).expect("write the spec");
    // The second run replaces what the first one left, in another way.
    for _ in 0..2 {
        let mut worker = Command::new(binary("waybill-worker"));
        let output = worker.args(["once", "--memory", "256MiB", "--spec"]).arg(&spec).output().expect("run the worker");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut found = Vec::new();
        for table in TABLES {
            let (mut theirs, ours) = (columns(&source.client, table).await, columns(&client, table).await);
            theirs.retain(|(name, _)| !dropped(table, name));
            for ((name, kind), (_, own)) in theirs.iter().zip(&ours) {
                let is_other =
                    OTHERS.iter().any(|other| kind.trim_end_matches("[]").trim_matches('"').ends_with(other));
                if kind != own && !is_other {
                    found.push(format!("{table}.{name} is {own}, wanted {kind}"));
                }
                let (wanted, seen) = (texts(&source.client, table, name).await, texts(&client, table, name).await);
                if kind == own && wanted != seen {
                    found.push(format!("{table}.{name} ({kind}): {seen:?}, wanted {wanted:?}"));
                }
            }
            assert!(theirs.len() > 60 && ours.len() >= theirs.len(), "{table}: {} columns", ours.len());
        }
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
}

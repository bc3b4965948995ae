//! From Postgres to Postgres: every type that a table can have a column of comes back as itself, in arrays and domains too,
//! and every value with it.

use std::path::Path;
use std::process::Command;

use tokio_postgres::Client;
use waybill_tests::binaries::binary;
use waybill_tests::services::postgres::{Postgres, Release};

use super::{Source, install};

const TABLES: [&str; 4] = ["scalars", "domains", "arrays", "domain_arrays"];

/// Types whose columns are of another one in the table, as docs/postgres-target.md says; their values are the same text.
const OTHERS: [&str; 33] = [
    "geometry(Point,4326)",
    "vector",
    "halfvec",
    "sparsevec",
    "pair",
    "doc",
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
    let source = Source::start(Release::Installed).await;
    let target = Postgres::start();
    let client = target.client().await;
    install(&client, Release::Installed).await;
    let folder = tempfile::tempdir().expect("a folder");
    // No type holds an array of vectors.
    let vectors = source
        .entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.sql.contains("vec") && entry.sql.starts_with("kit."));
    let vectors: Vec<String> = vectors.map(|(place, _)| format!("c{place}")).collect();
    let dropped = |table: &str, name: &String| table.ends_with("arrays") && vectors.contains(name);
    let streams = |load: &str| {
        let streams = TABLES.map(|table| {
            let columns = if table.ends_with("arrays") {
                format!(", columns: {{ drop: [{}] }}", vectors.join(", "))
            } else {
                String::new()
            };
            format!("      public.{table}: {{ {load}{columns} }}\n")
        });
        streams.concat()
    };
    let (full, new) = (streams("load: full"), streams("load: new, cursor: id"));
    // The second run replaces what the first one left, in another way, and so does the first one of `new` after it. The last one
    // appends what has come to the source since.
    let mut files = Vec::new();
    for (run, streams) in [&full, &full, &new, &new].into_iter().enumerate() {
        if run == 3 {
            double(&source).await;
        }
        copied(folder.path(), (&source.server, &target), streams);
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
        assert!(found.is_empty(), "run {run}: {}", found.join("\n"));
        // No type became another one: the table would have been written anew.
        let file = format!(
            "SELECT string_agg(pg_relation_filenode(oid)::text, ' ' ORDER BY oid) FROM pg_class WHERE relname IN ('{}')",
            TABLES.join("', '")
        );
        files.push(client.query_one(&file, &[]).await.expect("files").get::<_, String>(0));
        assert_eq!(files[run], files[0], "run {run}");
    }
}

/// Every row once more, behind the ones that are there.
async fn double(source: &Source) {
    for table in TABLES {
        let columns = format!(
            "SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute WHERE attrelid = 'public.{table}'::regclass AND attnum > 1"
        );
        let columns = source.text(&columns).await.expect("columns");
        let again =
            format!("INSERT INTO public.{table} (id, {columns}) SELECT id + 1000, {columns} FROM public.{table}");
        source.run(&again).await;
    }
}

/// Runs a pipeline of these streams from one server to the other.
fn copied(folder: &Path, (from, to): (&Postgres, &Postgres), streams: &str) {
    let end = |server: &Postgres| {
        let port = server.port();
        format!("{{ type: postgres, host: 127.0.0.1, port: {port}, database: postgres, user: postgres, tls: disable }}")
    };
    let document = format!(
        "waybill: 1\nconnections:\n  db: {}\n  copy: {}\npipelines:\n  all:\n    from: db\n    to: copy\n    streams:\n{streams}",
        end(from),
        end(to),
    );
    let spec = folder.join("spec.yaml");
    std::fs::write(&spec, document).expect("write the spec");
    let mut worker = Command::new(binary("waybill-worker"));
    let output = worker.args(["once", "--memory", "256MiB", "--spec"]).arg(&spec).output().expect("run the worker");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Domains that hold less at the destination under one name: what they are over here and there, and a value.
const NARROWER: [(&str, &str, &str, &str); 9] = [
    ("amount", "numeric(12,4)", "numeric(12,2)", "'1.2345'"),
    ("free", "numeric", "numeric(12,2)", "'1.23456789'"),
    ("moment", "timestamp without time zone", "timestamp(0)", "'2026-01-02 03:04:05.678901'"),
    ("clock", "time(3) without time zone", "time(0)", "'03:04:05.678'"),
    ("span", "interval", "interval(0)", "'1 day 00:00:01.5'"),
    ("flags", "bit(5)", "bit(3)", "'10111'"),
    ("word", "character varying(20)", "varchar(3)", "'ab   '"),
    ("padded", "character(5)", "char(9)", "'ab'"),
    ("list", "character varying(20)[]", "varchar(3)[]", "'{\"ab   \",NULL}'"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_holds_less_at_the_destination_bends_no_value() {
    let (source, target) = (Postgres::start(), Postgres::start());
    let (from, to) = (source.client().await, target.client().await);
    let domain = |name: &str, base: &str, outer: &str| {
        format!("CREATE DOMAIN {name} AS {base}; CREATE DOMAIN outer_{name} AS {outer};")
    };
    // What is an enum there is a domain here.
    let wide = NARROWER.map(|(name, wide, ..)| domain(name, wide, name)).concat();
    from.batch_execute(&(wide + "CREATE TYPE mood AS ENUM ('well  ')")).await.expect("domains");
    let narrow = NARROWER.map(|(name, _, narrow, _)| domain(name, narrow, narrow)).concat();
    to.batch_execute(&(narrow + "CREATE DOMAIN mood AS varchar(4)")).await.expect("domains");
    let listed = NARROWER.map(|(name, ..)| format!("{name} {name}, outer_{name} outer_{name}, many_{name} {name}[]"));
    let values = NARROWER.map(|(name, .., value)| format!("{value}, {value}, ARRAY[{value}]::{name}[]"));
    let made = format!(
        "CREATE TABLE t (id int8, {}, mood mood); INSERT INTO t VALUES (1, {}, 'well  ')",
        listed.join(", "),
        values.join(", ")
    );
    from.batch_execute(&made).await.unwrap_or_else(|error| panic!("{error:?} in {made}"));
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..2 {
        copied(folder.path(), (&source, &target), "      public.t: {}\n");
        let kinds = columns(&to, "t").await;
        let kind = |wanted: &str| kinds.iter().find(|(name, _)| name == wanted).map(|(_, kind)| kind.as_str());
        for (name, wide, ..) in NARROWER {
            for column in [name.to_owned(), format!("outer_{name}"), format!("many_{name}")] {
                assert_eq!(texts(&to, "t", &column).await, texts(&from, "t", &column).await, "{column}");
            }
            assert_eq!((kind(name), kind(&format!("outer_{name}"))), (Some(wide), Some(wide)), "{name}");
        }
        assert_eq!(texts(&to, "t", "mood").await, [Some("well  ".to_owned())]);
    }
}

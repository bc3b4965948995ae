//! Statements that make a table readable in other engines: `<table>/_waybill/ddl/<engine>.sql`.
//!
//! They are written behind the commit that made them true, so that none names a column which is not there yet; where that fails, the
//! one of an earlier schema stays, and the next commit writes it. Nothing of a run depends on them, and they hold no credential.

mod duckdb;
mod statement;

use std::collections::BTreeMap;

use arrow::datatypes::Schema;
use bytes::Bytes;
use futures::future::try_join_all;

use self::statement::Subject;
use crate::bucket::Bucket;
use crate::commit::compose::{PARQUET, provider};
use crate::commit::kind::LogKind;
use crate::commit::log::Head;
use crate::commit::schema::Column;
use crate::commit::{key, schema};
use crate::fault::FaultResult;

/// Sees that the statements of a table say what its newest version is: each is read and compared, whatever may have been cut short
/// before.
pub(crate) async fn keep(bucket: &dyn Bucket, dir: &str, head: &Head) -> FaultResult<()> {
    let provider = head.metadata.as_ref().map_or(PARQUET, provider);
    let wanted = Subject::new(&bucket.url(), dir, (head.log, provider), head.columns()?).statements();
    let there = bucket.list(&key::statements(dir), None).await?;
    let there: BTreeMap<String, u64> = there.into_iter().map(|object| (object.key, object.size)).collect();
    let each = wanted.into_iter().map(|(engine, text)| {
        let (key, body) = (format!("{}{engine}.sql", key::statements(dir)), Bytes::from(text));
        let size = there.get(&key).copied();
        async move {
            // One of another size is another one, whatever stands in it.
            let length = body.len() as u64;
            let is_same = size == Some(length) && bucket.get(&key, length).await?.as_ref() == Some(&body);
            if is_same { Ok(()) } else { bucket.replace(&key, body).await }
        }
    });
    try_join_all(each).await?;
    Ok(())
}

/// The statements for a Delta table with these columns at this address of a bucket.
pub fn of_delta(url: &str, table: &str, schema: &Schema) -> FaultResult<Vec<(&'static str, String)>> {
    let columns = schema::columns(schema, &[])?;
    Ok(Subject::new(url, table, (LogKind::Delta, PARQUET), columns).statements())
}

impl<'a> Subject<'a> {
    fn new(url: &str, dir: &str, (log, provider): (LogKind, &'a str), columns: Vec<Column>) -> Self {
        Self { url: format!("{}/{dir}", url.trim_end_matches('/')), name: name_of(dir), log, provider, columns }
    }
}

/// A name that every engine takes: small letters, digits and `_`, by the table's directory.
fn name_of(dir: &str) -> String {
    let mut name = String::with_capacity(dir.len());
    let mut rest = dir.as_bytes();
    while let [first, more @ ..] = rest {
        let escaped = more.get(..2).filter(|_| *first == b'-').and_then(|digits| hex::decode(digits).ok());
        let (byte, behind) = match escaped.as_deref() {
            Some([byte]) => (*byte, &more[2..]),
            _ => (*first, more),
        };
        rest = behind;
        let plain = char::from(byte.to_ascii_lowercase());
        name.push(if plain.is_ascii_alphanumeric() { plain } else { '_' });
    }
    if name.starts_with(|first: char| !first.is_ascii_lowercase()) {
        name.insert(0, 't');
    }
    name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    const HOSTILE: &str = "q'q\"q\\q`q";

    fn of(url: &str, log: LogKind) -> BTreeMap<&'static str, String> {
        let column = |name: &str, kind: Value| Column { name: name.to_owned(), kind, metadata: serde_json::Map::new() };
        let array = json!({"type": "array", "elementType": "decimal(9,2)", "containsNull": true});
        let columns = vec![column("id", json!("long")), column(HOSTILE, json!("timestamp")), column("list", array)];
        Subject::new(url, "public.-4frders", (log, "csv"), columns).statements().into_iter().collect()
    }

    #[test]
    fn a_name_is_one_that_every_engine_takes() {
        for (stream, name) in
            [("public.Orders", "public_orders"), ("1a b", "t1a_b"), ("_x", "t_x"), ("ä-ö", "t_____"), ("", "t_x")]
        {
            let named = name_of(&key::table_dir(stream));
            assert!(named.starts_with(name), "{stream}: {named}");
            assert!(named.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{named}");
        }
    }

    #[test]
    fn each_engine_gets_the_address_that_it_reads_and_none_where_it_reads_none() {
        for (url, wanted) in [
            ("file:///a%20b", &[("duckdb", "'/a b/public.-4frders'")][..]),
            (
                "s3://b/p",
                &[
                    ("athena", "'s3://b/p/public.-4frders/'"),
                    ("databricks", "'s3://b/p/public.-4frders'"),
                    ("duckdb", "'s3://b/p/public.-4frders'"),
                    ("snowflake", "'s3://b/p/public.-4frders/'"),
                ],
            ),
            (
                "gs://b/",
                &[
                    ("bigquery", "'gs://b/public.-4frders'"),
                    ("databricks", "'gs://b/public.-4frders'"),
                    ("snowflake", "'gcs://b/public.-4frders/'"),
                ],
            ),
            (
                "azure://acc/con/p",
                &[
                    ("databricks", "'abfss://con@acc.dfs.core.windows.net/p/public.-4frders'"),
                    ("duckdb", "'az://con/p/public.-4frders'"),
                    ("snowflake", "'azure://acc.blob.core.windows.net/con/p/public.-4frders/'"),
                ],
            ),
        ] {
            let found = of(url, LogKind::Delta);
            assert_eq!(
                found.keys().copied().collect::<Vec<_>>(),
                wanted.iter().map(|(engine, _)| *engine).collect::<Vec<_>>()
            );
            for (engine, place) in wanted {
                assert!(found[engine].contains(place), "{engine}: {}", found[engine]);
            }
        }
        // Files that no log of theirs names would be read as a whole by the others.
        assert_eq!(of("s3://b/p", LogKind::Plain).keys().copied().collect::<Vec<_>>(), ["duckdb"]);
    }

    #[test]
    fn names_and_addresses_are_quoted_as_each_engine_asks_for_it() {
        let delta = of("s3://b/it's \\", LogKind::Delta);
        assert!(
            delta["snowflake"].contains("\"q'q\"\"q\\q`q\" TIMESTAMP_LTZ AS (VALUE['q\\'q\"q\\\\q`q']::TIMESTAMP_LTZ)"),
            "{}",
            delta["snowflake"]
        );
        assert!(delta["snowflake"].contains("URL = 's3://b/it\\'s \\\\/public.-4frders/'"), "{}", delta["snowflake"]);
        assert!(
            delta["databricks"].contains("LOCATION 's3://b/it\\'s \\\\/public.-4frders'"),
            "{}",
            delta["databricks"]
        );
        assert!(delta["duckdb"].contains("'s3://b/it''s \\/public.-4frders'"), "{}", delta["duckdb"]);
        assert!(of("s3://b", LogKind::Plain)["duckdb"].contains("CAST(\"q'q\"\"q\\q`q\" AS TIMESTAMPTZ)"));
        // It takes binary columns for texts where nothing else is said.
        assert!(delta["snowflake"].contains("FILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE)"));
    }

    #[test]
    fn what_stands_under_the_name_already_is_not_taken_for_the_table() {
        let stage = |url: &str| {
            let statement = of(url, LogKind::Delta).remove("snowflake").expect("a statement");
            let (_, named) = statement.split_once("CREATE STAGE IF NOT EXISTS ").expect("a stage");
            let name = named.split_once(' ').expect("a name").0.to_owned();
            assert!(statement.contains(&format!("LOCATION = @{name}\n")), "{statement}");
            name
        };
        assert_eq!(stage("s3://b/p"), stage("s3://b/p"));
        assert_ne!(stage("s3://b/p"), stage("s3://b/q"));
        for (engine, statement) in of("s3://b/p", LogKind::Delta) {
            assert!(engine == "snowflake" || !statement.contains("IF NOT EXISTS"), "{engine}: {statement}");
        }
    }

    #[test]
    fn a_place_is_no_pattern_of_other_places() {
        let plain = of("file:///a[1]*b%3F", LogKind::Plain).remove("duckdb").expect("a statement");
        assert_eq!(plain.matches("'/a[[]1][*]b[?]/public.-4frders/").count(), 3, "{plain}");
        assert!(!plain.contains("'/a[1]"), "{plain}");
    }
}

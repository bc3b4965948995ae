//! What each engine is told: names and texts quoted by its own rules, the address in its own words.

use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha2::{Digest, Sha256};
use waybill_model::name::quoted;

use super::duckdb;
use crate::commit::kind::LogKind;
use crate::commit::schema::Column;

/// A table as statements name it.
pub(super) struct Subject<'a> {
    /// The address of its directory, as the bucket says it.
    pub(super) url: String,
    pub(super) name: String,
    pub(super) log: LogKind,
    /// What its files are: `parquet`, `csv` or `jsonl`.
    pub(super) provider: &'a str,
    pub(super) columns: Vec<Column>,
}

impl Subject<'_> {
    /// By the engine's name.
    pub(super) fn statements(&self) -> Vec<(&'static str, String)> {
        let Some((scheme, place)) = self.url.split_once("://") else { return Vec::new() };
        let local = || percent_decode_str(place).decode_utf8_lossy().into_owned();
        let (account, blob) = place.split_once('/').unwrap_or((place, ""));
        let (container, path) = blob.split_once('/').unwrap_or((blob, ""));
        let duckdb = match scheme {
            "file" => Some(local()),
            "s3" => Some(self.url.clone()),
            "azure" => Some(format!("az://{blob}")),
            _ => None, // it reads Google's by keys of S3's kind only, which nobody has by default
        };
        let duckdb = duckdb.map(|place| ("duckdb", duckdb::statement(self, &place)));
        if self.log == LogKind::Plain {
            return duckdb.into_iter().collect();
        }
        let others = match scheme {
            "s3" => vec![
                ("athena", self.athena()),
                ("snowflake", self.snowflake(&self.url)),
                ("databricks", self.databricks(&self.url)),
            ],
            "gs" => vec![
                ("bigquery", self.bigquery()),
                ("snowflake", self.snowflake(&format!("gcs://{place}"))),
                ("databricks", self.databricks(&self.url)),
            ],
            "azure" => vec![
                ("snowflake", self.snowflake(&format!("azure://{account}.blob.core.windows.net/{blob}"))),
                ("databricks", self.databricks(&format!("abfss://{container}@{account}.dfs.core.windows.net/{path}"))),
            ],
            _ => Vec::new(),
        };
        others.into_iter().chain(duckdb).collect()
    }

    /// Takes the columns from the table's own log.
    fn athena(&self) -> String {
        format!(
            "-- Amazon Athena: in the database that is chosen there.\n\
             CREATE EXTERNAL TABLE `{}`\nLOCATION {}\nTBLPROPERTIES ('table_type' = 'DELTA');\n",
            self.name,
            doubled(&format!("{}/", self.url)),
        )
    }

    /// Takes the columns from the table's own log.
    fn bigquery(&self) -> String {
        format!(
            "-- BigQuery: in the dataset that is chosen there, by the project's default connection.\n\
             CREATE OR REPLACE EXTERNAL TABLE `{}`\nWITH CONNECTION DEFAULT\nOPTIONS (format = 'DELTA_LAKE', uris = [{}]);\n",
            self.name,
            escaped(&self.url),
        )
    }

    /// Takes the columns from the table's own log.
    fn databricks(&self, place: &str) -> String {
        format!(
            "-- Databricks: in the catalog and schema that are chosen there.\n\
             CREATE TABLE `{}`\nUSING DELTA\nLOCATION {};\n",
            self.name,
            escaped(place),
        )
    }

    /// Has to be told every column, and to look at the log again after each commit.
    fn snowflake(&self, place: &str) -> String {
        let column = |column: &Column| {
            let kind = of_snowflake(&column.kind);
            format!("  {} {kind} AS (VALUE[{}]::{kind})", quoted(&column.name), escaped(&column.name))
        };
        let columns: Vec<String> = self.columns.iter().map(column).collect();
        // Two tables may have one name, and a stage that is there stays as it is: the address is in its name.
        let address = hex::encode(&Sha256::digest(place)[..4]);
        let (name, files) = (quoted(&self.name), quoted(&format!("{}_files_{address}", self.name)));
        format!(
            "-- Snowflake: in the database and schema that are chosen there. A stage of a private bucket needs a STORAGE_INTEGRATION.\n\
             CREATE STAGE IF NOT EXISTS {files} URL = {};\n\
             CREATE OR REPLACE EXTERNAL TABLE {name} (\n{}\n)\n\
             LOCATION = @{files}\nREFRESH_ON_CREATE = FALSE\nAUTO_REFRESH = FALSE\nFILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE)\n\
             TABLE_FORMAT = DELTA;\n-- Now, and after each run:\nALTER EXTERNAL TABLE {name} REFRESH;\n",
            escaped(&format!("{place}/")),
            columns.join(",\n"),
        )
    }
}

/// The Snowflake type of a column.
fn of_snowflake(kind: &Value) -> String {
    let Some(plain) = kind.as_str() else {
        return if kind.get("type").and_then(Value::as_str) == Some("array") { "ARRAY" } else { "OBJECT" }.to_owned();
    };
    let named = match plain {
        "boolean" => "BOOLEAN",
        "byte" => "NUMBER(3,0)",
        "short" => "NUMBER(5,0)",
        "integer" => "NUMBER(10,0)",
        "long" => "NUMBER(19,0)",
        "float" | "double" => "FLOAT",
        "string" => "VARCHAR",
        "binary" => "BINARY",
        "date" => "DATE",
        "timestamp" => "TIMESTAMP_LTZ",
        "timestamp_ntz" => "TIMESTAMP_NTZ",
        other => return other.replace("decimal(", "NUMBER("),
    };
    named.to_owned()
}

/// A text in which a quote is doubled and nothing else means anything.
pub(super) fn doubled(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text in which a backslash takes the meaning from what follows it.
fn escaped(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

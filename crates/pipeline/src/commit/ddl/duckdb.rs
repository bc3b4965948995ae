//! What DuckDB is told: of a Delta table its address, of a table with the plain log which files are live and what their texts mean.

use serde_json::Value;
use waybill_model::name::quoted;

use super::statement::{Subject, doubled};
use crate::commit::kind::LogKind;
use crate::commit::schema::Column;

/// How our CSV is written. What is not said DuckDB guesses from the first rows, and a line above 2 MiB it refuses.
const DIALECT: &str = "delim = ',', quote = '\"', escape = '\"', comment = '', new_line = '\\r\\n', skip = 0, \
                       max_line_size = 67108864";

/// How long a line of JSON may be, or a commit: above 32 MiB, twice its bound, DuckDB refuses it where nothing is said.
const LINE: &str = "maximum_object_size = 67108864";

/// The statement for a table at a place as DuckDB spells it.
pub(super) fn statement(subject: &Subject<'_>, place: &str) -> String {
    let name = quoted(&subject.name);
    if subject.log == LogKind::Delta {
        return format!(
            "-- DuckDB: a view of the newest version, whatever that is when it is asked.\n\
             CREATE OR REPLACE VIEW {name} AS SELECT * FROM delta_scan({});\n",
            doubled(place)
        );
    }
    // The view asks for the variables whenever it is read: another table's must have other names.
    let (newest, files) = (format!("{}_newest", subject.name), format!("{}_files", subject.name));
    let place = globbed(place);
    let (log, dir) = (format!("{place}/_waybill/commits/"), doubled(&format!("{place}/")));
    format!(
        "-- DuckDB: the version that is the newest now; of a later one say it again. A table without rows may have no files to read.\n\
         SET VARIABLE {newest} = (SELECT {} || parse_filename(max(file)) FROM glob({}));\n\
         SET VARIABLE {files} = (SELECT list({dir} || file.path)\n  \
           FROM (SELECT unnest(files) AS file FROM read_json(getvariable('{newest}'), {LINE})));\n\
         CREATE OR REPLACE TEMP VIEW {name} AS\n{};\n",
        doubled(&log),
        doubled(&format!("{log}*.json")),
        live(subject, &format!("getvariable('{files}')"))
    )
}

/// A place as a pattern that nothing but it matches: DuckDB takes every path for one.
fn globbed(place: &str) -> String {
    let mut pattern = String::with_capacity(place.len());
    for letter in place.chars() {
        match letter {
            '[' | '*' | '?' => pattern.extend(['[', letter, ']']),
            _ => pattern.push(letter),
        }
    }
    pattern
}

/// The live files' rows, in the table's types.
fn live(subject: &Subject<'_>, files: &str) -> String {
    let columns = |of: fn(&Column) -> String| subject.columns.iter().map(of).collect::<Vec<_>>().join(",\n  ");
    match subject.provider {
        "csv" => format!(
            "SELECT\n  {}\nFROM (\n  SELECT * FROM read_csv({files}, {DIALECT},\n    header = true, all_varchar = true, nullstr = '', \
             allow_quoted_nulls = false, union_by_name = true)\n  UNION ALL BY NAME SELECT {} WHERE false\n)",
            columns(of_csv),
            columns(|column| format!("NULL::VARCHAR AS {}", quoted(&column.name))),
        ),
        "jsonl" => format!(
            "SELECT\n  {}\nFROM read_json({files}, format = 'newline_delimited', {LINE}, columns = {{\n  {}}})",
            columns(of_json),
            columns(|column| format!("{}: {}", doubled(&column.name), doubled(&in_json(&column.kind)))),
        ),
        _ => format!("SELECT * FROM read_parquet({files}, union_by_name = true)"),
    }
}

/// A column out of the text that CSV has of it.
fn of_csv(column: &Column) -> String {
    let (name, kind) = (quoted(&column.name), &column.kind);
    let value = match (kind.as_str(), element(kind)) {
        (Some("string"), _) | (None, None) => return name,
        (Some("binary"), _) => format!("unhex({name})"),
        (_, Some(of)) if of == "binary" => packed(&format!("CAST(CAST({name} AS JSON) AS VARCHAR[])")),
        (_, Some(_)) => format!("CAST(CAST({name} AS JSON) AS {})", in_json(kind)),
        (Some(_), None) => format!("CAST({name} AS {})", in_json(kind)),
    };
    format!("{value} AS {name}")
}

/// A column out of what JSON has of it.
fn of_json(column: &Column) -> String {
    let name = quoted(&column.name);
    if column.kind == "binary" {
        return format!("from_base64({name}) AS {name}");
    }
    match element(&column.kind) {
        Some(of) if of == "binary" => format!("{} AS {name}", packed(&name)),
        _ => name,
    }
}

fn packed(texts: &str) -> String {
    format!("list_transform({texts}, lambda x: from_base64(x))")
}

/// What an array is of.
fn element(kind: &Value) -> Option<&Value> {
    kind.get("elementType")
}

/// The type as which JSON's values of a column are read.
fn in_json(kind: &Value) -> String {
    if let Some(of) = element(kind) {
        return format!("{}[]", in_json(of));
    }
    let named = match kind.as_str().unwrap_or("struct") {
        "struct" => "JSON",
        "boolean" => "BOOLEAN",
        "byte" => "TINYINT",
        "short" => "SMALLINT",
        "integer" => "INTEGER",
        "long" => "BIGINT",
        "float" => "FLOAT",
        "double" => "DOUBLE",
        "string" | "binary" => "VARCHAR",
        "date" => "DATE",
        "timestamp" => "TIMESTAMPTZ",
        "timestamp_ntz" => "TIMESTAMP",
        other => return other.to_uppercase(),
    };
    named.to_owned()
}

//! A table's columns: Arrow to Delta, and which differences between the stream and the table are allowed.
//!
//! Every column is nullable in the table, since a value that its type can't hold leaves a NULL beside its twin.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::{Map, Value, json};
use waybill_model::FailureCode;
use waybill_model::plan::RUN_DAY;

use crate::commit::drift::Drift;
use crate::encode::partition::RUN_DAY_COLUMN;
use crate::fault::{Fault, FaultResult};

/// What a twin column's name ends in.
pub const TWIN: &str = "__text";
/// The mark in a twin's metadata.
const TWIN_MARK: &str = "waybill.twin";
/// The mark in the metadata of a column of ours that no source has.
pub(crate) const OWN_MARK: &str = "waybill.own";

/// One column as the log has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Value,
    pub(crate) metadata: Map<String, Value>,
}

impl Column {
    fn twin(of: &str) -> Self {
        let metadata = Map::from_iter([(TWIN_MARK.to_owned(), json!(of))]);
        Self { name: format!("{of}{TWIN}"), kind: json!("string"), metadata }
    }

    /// The column that this one is a twin of.
    pub(crate) fn twin_of(&self) -> Option<&str> {
        self.metadata.get(TWIN_MARK).and_then(Value::as_str)
    }

    /// Whether it is a column of ours that a stream may have from now on.
    pub(crate) fn is_own(&self) -> bool {
        self.metadata.contains_key(OWN_MARK)
    }

    /// The type in short, for people.
    pub(crate) fn kind_text(&self) -> String {
        self.kind.as_str().map_or_else(|| self.kind.to_string(), str::to_owned)
    }
}

/// The stream's columns as they are, whether a table can have their names or not.
pub(crate) fn shapes(schema: &Schema) -> FaultResult<Vec<Column>> {
    let one = |field: &Field| {
        let metadata = field.metadata().iter().filter(|(key, _)| key.starts_with("waybill."));
        Ok(Column {
            name: field.name().clone(),
            kind: kind(field)?,
            metadata: metadata.map(|(key, value)| (key.clone(), json!(value))).collect(),
        })
    };
    schema.fields().iter().map(|field| one(field)).collect()
}

/// The stream's columns and the twins that this run needs, checked.
pub(crate) fn columns(schema: &Schema, twins: &[usize]) -> FaultResult<Vec<Column>> {
    let mut columns = shapes(schema)?;
    let needed: BTreeSet<usize> = twins.iter().copied().collect();
    for at in needed {
        let base = columns.get(at).map(|column| column.name.clone());
        let base = base.ok_or_else(|| Fault::new(FailureCode::WorkerBug, "a twin of a column that is not there"))?;
        columns.push(Column::twin(&base));
    }
    check_names(&columns)?;
    Ok(columns)
}

/// The columns with the day of the run behind them.
pub(crate) fn with_run_day(mut columns: Vec<Column>) -> FaultResult<Vec<Column>> {
    let metadata = Map::from_iter([("waybill.src_type".to_owned(), json!(RUN_DAY))]);
    columns.push(Column { name: RUN_DAY_COLUMN.to_owned(), kind: json!("date"), metadata });
    check_names(&columns)?;
    Ok(columns)
}

fn check_names(columns: &[Column]) -> FaultResult<()> {
    let mut seen = BTreeSet::new();
    for column in columns {
        let name = &column.name;
        let odd = |c: char| c.is_control() || " ,;{}()\n\t=".contains(c);
        if name.is_empty() || name.chars().any(odd) {
            return Err(unusable(name, "is empty or holds a blank, a control character or one of , ; { } ( ) ="));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(unusable(name, "differs from another column's only in case, or is a twin's name"));
        }
    }
    Ok(())
}

fn unusable(name: &str, why: &str) -> Fault {
    Fault::new(FailureCode::ColumnNameUnusable, format!("the column name {name:?} {why}"))
}

/// The Delta type of a field.
fn kind(field: &Field) -> FaultResult<Value> {
    Ok(match field.data_type() {
        DataType::Boolean => json!("boolean"),
        DataType::Int8 => json!("byte"),
        DataType::Int16 => json!("short"),
        DataType::Int32 => json!("integer"),
        DataType::Int64 => json!("long"),
        DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Decimal128(p, s) if *s >= 0 && i16::from(*s) <= i16::from(*p) => json!(format!("decimal({p},{s})")),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => json!("string"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            json!("binary")
        }
        DataType::Date32 => json!("date"),
        DataType::Timestamp(TimeUnit::Microsecond, None) => json!("timestamp_ntz"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if matches!(&**zone, "UTC" | "+00:00") => {
            json!("timestamp")
        }
        DataType::List(item) | DataType::LargeList(item) => {
            json!({"type": "array", "elementType": kind(item)?, "containsNull": true})
        }
        DataType::Struct(fields) => {
            let fields: FaultResult<Vec<Value>> = fields
                .iter()
                .map(|f| Ok(json!({"name": f.name(), "type": kind(f)?, "nullable": true, "metadata": {}})))
                .collect();
            json!({"type": "struct", "fields": fields?})
        }
        other => {
            let text =
                format!("the column {:?} has the type {other}, which has no place in a Delta table", field.name());
            return Err(Fault::new(FailureCode::ValueRefused, text));
        }
    })
}

/// The log's `schemaString`.
pub(crate) fn to_delta(columns: &[Column]) -> Value {
    let fields: Vec<Value> = columns
        .iter()
        .map(|c| json!({"name": c.name, "type": c.kind, "nullable": true, "metadata": c.metadata}))
        .collect();
    json!({"type": "struct", "fields": fields})
}

/// The columns of a `schemaString`; none where it can't be read.
pub(crate) fn of_delta(schema: &Value) -> Option<Vec<Column>> {
    let fields = schema.get("fields")?.as_array()?;
    fields
        .iter()
        .map(|field| {
            Some(Column {
                name: field.get("name")?.as_str()?.to_owned(),
                kind: field.get("type")?.clone(),
                metadata: field.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default(),
            })
        })
        .collect()
}

/// Whether any column, at any depth, is a zone-less timestamp.
pub(crate) fn needs_ntz(columns: &[Column]) -> bool {
    fn within(kind: &Value) -> bool {
        match kind {
            Value::String(name) => name == "timestamp_ntz",
            Value::Array(items) => items.iter().any(within),
            Value::Object(members) => members
                .iter()
                .any(|(key, value)| matches!(key.as_str(), "type" | "elementType" | "fields") && within(value)),
            _ => false,
        }
    }
    columns.iter().any(|column| within(&column.kind))
}

/// Columns of the table after an append: the table's own, then twins and columns of ours that are new, and those that were
/// decided to be added. Anything else is `schema_changed`.
pub(crate) fn append(table: &[Column], stream: &[Column], added: &[String]) -> FaultResult<Vec<Column>> {
    let changed = |text: String| Fault::new(FailureCode::SchemaChanged, text);
    let mut columns = table.to_vec();
    for column in stream {
        let name = &column.name;
        match table.iter().find(|other| other.name == *name) {
            // The other way round it is a difference like others, told below.
            Some(there) if there.twin_of().is_none() && column.twin_of().is_some() => {
                return Err(changed(format!("{name:?} is a column of the source in the table, and a twin's name now")));
            }
            Some(there) if there.is_own() != column.is_own() => {
                return Err(changed(format!("{name:?} is a column of the source on one side, and ours on the other")));
            }
            Some(_) => {}
            None => columns.push(column.clone()),
        }
    }
    let mut drift = Drift::between(table, stream);
    drift.new.retain(|name| !added.contains(name));
    if drift != Drift::default() {
        return Err(changed(drift.text()));
    }
    check_names(&columns)?;
    Ok(columns)
}

/// Columns of the table after a replace: the stream's, and twins that the table has of columns that stay.
pub(crate) fn replace(table: &[Column], stream: &[Column]) -> Vec<Column> {
    let mut columns = stream.to_vec();
    for twin in table {
        let stays = twin.twin_of().is_some_and(|base| stream.iter().any(|column| column.name == base));
        if stays && !stream.iter().any(|column| column.name.to_lowercase() == twin.name.to_lowercase()) {
            columns.push(twin.clone());
        }
    }
    columns
}

/// A type without the words that make no difference to its values.
pub(crate) fn bare(kind: &Value) -> Value {
    match kind {
        Value::Object(members) => {
            let keep =
                members.iter().filter(|(key, _)| !matches!(key.as_str(), "nullable" | "containsNull" | "metadata"));
            Value::Object(keep.map(|(key, value)| (key.clone(), bare(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false)).collect::<Vec<_>>())
    }

    fn code<T>(result: FaultResult<T>) -> Option<FailureCode> {
        result.err().map(|fault| fault.code)
    }

    #[test]
    fn names_that_delta_forbids_or_that_differ_only_in_case_need_a_rename() {
        for name in ["", "a b", "a,b", "a;b", "a{", "a}", "(a", "a)", "a\tb", "a\nb", "a=b", "a\u{1}"] {
            let fields = schema(&[(name, DataType::Int64)]);
            assert_eq!(code(columns(&fields, &[])), Some(FailureCode::ColumnNameUnusable), "{name:?}");
        }
        let twins = schema(&[("Id", DataType::Int64), ("ID", DataType::Int64)]);
        assert_eq!(code(columns(&twins, &[])), Some(FailureCode::ColumnNameUnusable));
        let taken = schema(&[("x", DataType::Int64), ("X__text", DataType::Utf8)]);
        assert_eq!(code(columns(&taken, &[0])), Some(FailureCode::ColumnNameUnusable));
        assert!(columns(&taken, &[]).is_ok());
    }

    #[test]
    fn zone_less_timestamps_are_found_at_any_depth() {
        let ntz = DataType::Timestamp(TimeUnit::Microsecond, None);
        let list = DataType::List(Arc::new(Field::new("item", ntz, true)));
        let deep = DataType::Struct(vec![Field::new("l", list, true)].into());
        assert!(needs_ntz(&columns(&schema(&[("s", deep)]), &[]).expect("columns")));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert!(!needs_ntz(&columns(&schema(&[("timestamp_ntz", utc)]), &[]).expect("columns")));
    }

    #[test]
    fn an_append_takes_new_twins_and_no_other_difference() {
        let table = columns(&schema(&[("id", DataType::Int64), ("d", DataType::Date32)]), &[]).expect("columns");
        let with_twin = columns(&schema(&[("id", DataType::Int64), ("d", DataType::Date32)]), &[1]).expect("columns");
        let grown = append(&table, &with_twin, &[]).expect("a twin is allowed");
        assert_eq!(grown.last().map(|c| c.name.as_str()), Some("d__text"));
        assert_eq!(append(&grown, &table, &[]).expect("a twin may stay away"), grown);
        let other = columns(&schema(&[("id", DataType::Int32), ("d", DataType::Date32)]), &[]).expect("columns");
        assert_eq!(code(append(&table, &other, &[])), Some(FailureCode::SchemaChanged));
        let fewer = columns(&schema(&[("id", DataType::Int64)]), &[]).expect("columns");
        assert_eq!(code(append(&table, &fewer, &[])), Some(FailureCode::SchemaChanged));
        assert_eq!(code(append(&fewer, &table, &[])), Some(FailureCode::SchemaChanged));
        let widened = append(&fewer, &with_twin, &["d".to_owned()]).expect("decided");
        assert_eq!(widened.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(), ["id", "d", "d__text"]);
        assert_eq!(code(append(&fewer, &other, &["d".to_owned()])), Some(FailureCode::SchemaChanged), "id is another");
    }

    #[test]
    fn a_replace_keeps_the_twins_of_columns_that_stay() {
        let fields = schema(&[("id", DataType::Int64), ("d", DataType::Date32)]);
        let table = columns(&fields, &[0, 1]).expect("columns");
        let stream = columns(&schema(&[("d", DataType::Date32)]), &[]).expect("columns");
        let names: Vec<_> = replace(&table, &stream).into_iter().map(|c| c.name).collect();
        assert_eq!(names, ["d", "d__text"]);
    }

    #[test]
    fn a_type_without_a_place_in_the_table_is_refused() {
        for kind in [DataType::Time64(TimeUnit::Microsecond), DataType::UInt64, DataType::Decimal128(5, -2)] {
            assert_eq!(code(columns(&schema(&[("x", kind)]), &[])), Some(FailureCode::ValueRefused));
        }
    }
}

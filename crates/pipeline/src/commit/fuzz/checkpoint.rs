//! Actions of any kind as the rows of a checkpoint, laid in Parquet as other writers do it: the format's own bytes are another's work.
//!
//! The first byte says with which columns: `t` for those that Delta names, with maps; any other for those that the actions have.

use std::io::Cursor;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::Result;
use arrow::json::reader::{ReaderBuilder, infer_json_schema};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;

use crate::commit::action::Action;
use crate::commit::checkpoint::read;
use crate::commit::log::Head;

/// The version that it is a checkpoint of.
const VERSION: u64 = 7;

/// Reads a checkpoint of these actions: a table, with and without what was removed, or a refusal.
pub(crate) fn delta_checkpoint(data: &[u8]) {
    let _ = table(data);
}

/// The table of a checkpoint with Delta's columns, where a commit of its actions is one too.
fn table(data: &[u8]) -> Option<Head> {
    let (kind, lines) = data.split_first()?;
    let is_delta = *kind == b't';
    let file = laid(lines, is_delta).ok()??;
    let [without, with] = [false, true].map(|removals| {
        let mut head = Head { gone: removals.then(Default::default), ..Head::default() };
        let taken = read(file.clone(), VERSION, removals, |action| head.apply(action, VERSION));
        head.version = Some(VERSION);
        taken.is_ok().then_some(head)
    });
    for head in [&without, &with].into_iter().flatten().filter(|head| head.check().is_ok()) {
        let most = head.files.values().filter_map(|file| file.rows).max().unwrap_or(0);
        assert!(head.rows().is_none_or(|rows| rows >= most));
    }
    let (checkpoint, commit) = (with.filter(|_| is_delta)?, as_commit(lines)?);
    assert_eq!(told(&checkpoint), told(&commit), "the checkpoint (left) and a commit of the same actions");
    Some(checkpoint)
}

/// What readers see of a table, and what they see no more.
fn told(head: &Head) -> String {
    let files: Vec<_> = head.files.iter().map(|(path, file)| (path, file.size, file.rows, &file.partition)).collect();
    let gone: Vec<_> = head.gone.iter().flatten().collect();
    format!("{files:?} {gone:?} {:?} {:?}", head.epoch, head.protocol)
}

/// The same actions as lines of a commit, one after the other.
fn as_commit(lines: &[u8]) -> Option<Head> {
    let mut head = Head { gone: Some(Default::default()), version: Some(VERSION), ..Head::default() };
    for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty()) {
        head.apply(Action::parse(line, VERSION).ok()?, VERSION).ok()?;
    }
    Some(head)
}

/// A Parquet file with a row for each object; none for columns that Parquet has not.
fn laid(lines: &[u8], is_delta: bool) -> Result<Option<Bytes>> {
    let schema = if is_delta { Arc::clone(&DELTA) } else { Arc::new(infer_json_schema(Cursor::new(lines), None)?.0) };
    let mut file = Vec::new();
    let Ok(mut writer) = ArrowWriter::try_new(&mut file, Arc::clone(&schema), None) else { return Ok(None) };
    for batch in ReaderBuilder::new(schema).build(Cursor::new(lines))? {
        writer.write(&batch?)?;
    }
    writer.close()?;
    Ok(Some(file.into()))
}

/// The columns of a checkpoint as Delta's protocol has them.
static DELTA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
    use DataType::{Boolean, Int32, Int64, Utf8};
    let list = || DataType::List(Arc::new(Field::new("element", Utf8, true)));
    let map = || {
        let entries = Fields::from(vec![Field::new("key", Utf8, false), Field::new("value", Utf8, true)]);
        DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries), false)), false)
    };
    let vector = of([("storageType", Utf8), ("pathOrInlineDv", Utf8), ("sizeInBytes", Int32)]);
    let format = of([("provider", Utf8), ("options", map())]);
    let actions = [
        ("txn", of([("appId", Utf8), ("version", Int64), ("lastUpdated", Int64)])),
        (
            "add",
            of([
                ("path", Utf8),
                ("partitionValues", map()),
                ("size", Int64),
                ("modificationTime", Int64),
                ("dataChange", Boolean),
                ("stats", Utf8),
                ("tags", map()),
                ("deletionVector", vector),
            ]),
        ),
        ("remove", of([("path", Utf8), ("deletionTimestamp", Int64), ("dataChange", Boolean)])),
        (
            "metaData",
            of([
                ("id", Utf8),
                ("format", format),
                ("schemaString", Utf8),
                ("partitionColumns", list()),
                ("configuration", map()),
                ("createdTime", Int64),
            ]),
        ),
        (
            "protocol",
            of([
                ("minReaderVersion", Int32),
                ("minWriterVersion", Int32),
                ("readerFeatures", list()),
                ("writerFeatures", list()),
            ]),
        ),
        ("sidecar", of([("path", Utf8), ("sizeInBytes", Int64)])),
    ];
    Arc::new(Schema::new(actions.map(|(name, kind)| Field::new(name, kind, true)).to_vec()))
});

fn of<const N: usize>(members: [(&str, DataType); N]) -> DataType {
    DataType::Struct(members.map(|(name, kind)| Field::new(name, kind, true)).to_vec().into())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn a_checkpoint_is_the_table_that_its_actions_are_as_a_commit() {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/delta_checkpoint");
        let files = |name: &str| {
            let head = super::table(&std::fs::read(kept.join(name)).expect("an input"));
            head.filter(|head| head.check().is_ok()).map(|head| head.files.len())
        };
        assert_eq!(["whole", "partitions", "removals"].map(files), [Some(2), Some(2), Some(1)]);
        assert_eq!(["vector", "sidecar", "epochs", "negative", "no-path", "settings"].map(files), [None; 6]);
    }
}

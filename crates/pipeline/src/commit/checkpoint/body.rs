//! The bytes of a checkpoint, made of actions that are handed in from the newest to the oldest: of each file, mark and setting the first
//! one counts.
//!
//! No action is kept longer than until some of them are a batch: of what came before there is a digest of each path, and the file as it
//! grows, which ends where it could not be read again.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use serde_json::{Map, Value, json};
use siphasher::sip128::SipHasher24;
use waybill_model::FailureCode;

use crate::commit::action::corrupt;
use crate::fault::{Fault, FaultResult};

/// Actions that are encoded at once.
const ROWS: usize = 1024;

/// A checkpoint that is whole.
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// Its rows.
    pub(super) actions: u64,
    /// Those of them that are files which readers see.
    pub(super) adds: u64,
}

/// A checkpoint under way.
pub(super) struct Writer {
    version: u64,
    /// Bytes that it may have.
    cap: u64,
    /// Removals from before this millisecond are left out.
    since: i64,
    hasher: SipHasher24,
    seen: HashSet<u128>,
    rows: Vec<Value>,
    decoder: Decoder,
    file: ArrowWriter<Vec<u8>>,
    actions: u64,
    adds: u64,
}

impl Writer {
    pub(super) fn new(version: u64, cap: u64, since: i64) -> FaultResult<Self> {
        let schema = Arc::new(schema());
        let decoder = ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(ROWS).build_decoder();
        let path_of = |action: &str| ColumnPath::from(vec![action.to_owned(), "path".to_owned()]);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_column_dictionary_enabled(path_of("add"), false)
            .set_column_dictionary_enabled(path_of("remove"), false)
            .build();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        Ok(Self {
            version,
            cap,
            since,
            hasher: SipHasher24::new_with_key(&rand::random()),
            seen: HashSet::new(),
            rows: Vec::with_capacity(ROWS),
            decoder: decoder.map_err(|_| unwritable())?,
            file: ArrowWriter::try_new_with_options(Vec::new(), schema, options).map_err(|_| unwritable())?,
            actions: 0,
            adds: 0,
        })
    }

    /// Takes a commit, or a compacted range of them. A file that it removes and adds is there after it.
    pub(super) fn take_commit(&mut self, body: &[u8]) -> FaultResult<()> {
        let mut removes = false;
        for added in [true, false] {
            if !added && !removes {
                break;
            }
            for line in lines(body) {
                let action = self.parse(line)?;
                let is_remove = action.get("remove").is_some_and(Value::is_object);
                removes |= is_remove;
                if is_remove != added {
                    self.take(action)?;
                }
            }
        }
        Ok(())
    }

    /// Takes rows of an older checkpoint, as lines of JSON.
    pub(super) fn take_lines(&mut self, body: &[u8]) -> FaultResult<()> {
        lines(body).try_for_each(|line| self.take(self.parse(line)?))
    }

    fn parse(&self, line: &[u8]) -> FaultResult<Map<String, Value>> {
        serde_json::from_slice(line).map_err(|_| corrupt(self.version, "holds a line that is no action"))
    }

    /// Takes one action, unless a newer one says otherwise.
    fn take(&mut self, mut action: Map<String, Value>) -> FaultResult<()> {
        for kind in ["protocol", "metaData", "txn", "add", "remove"] {
            let Some(Value::Object(mut found)) = action.remove(kind) else { continue };
            // An added and a removed file of one path stand in each other's way.
            let (class, name) = match kind {
                "add" | "remove" => ("file", found.get("path")),
                "txn" => ("txn", found.get("appId")),
                _ => (kind, None),
            };
            let name = name.and_then(Value::as_str).unwrap_or_default();
            if !self.seen.insert(self.hasher.hash(format!("{class} {name}").as_bytes()).as_u128()) {
                continue;
            }
            let removed = found.get("deletionTimestamp").and_then(Value::as_i64);
            if kind == "remove" && removed.is_some_and(|at| at < self.since) {
                continue;
            }
            if matches!(kind, "add" | "remove") {
                found.insert("dataChange".to_owned(), json!(false));
            }
            self.adds += u64::from(kind == "add");
            self.rows.push(json!({ kind: found }));
        }
        if self.rows.len() >= ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> FaultResult<()> {
        self.actions += self.rows.len() as u64;
        self.decoder.serialize(&self.rows).map_err(|_| unwritable())?;
        self.rows.clear();
        while let Some(batch) = self.decoder.flush().map_err(|_| unwritable())? {
            self.file.write(&batch).map_err(|_| unwritable())?;
        }
        let size = (self.file.bytes_written() + self.file.in_progress_size()) as u64;
        if size > self.cap { Err(too_large(self.cap)) } else { Ok(()) }
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> FaultResult<Body> {
        self.flush()?;
        let bytes = Bytes::from(self.file.into_inner().map_err(|_| unwritable())?);
        if bytes.len() as u64 > self.cap {
            return Err(too_large(self.cap));
        }
        Ok(Body { bytes, actions: self.actions, adds: self.adds })
    }
}

fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn unwritable() -> Fault {
    Fault::new(
        FailureCode::TableFeatureUnsupported,
        "an action of the log has another form than a checkpoint's columns",
    )
}

fn too_large(cap: u64) -> Fault {
    let cap = waybill_model::size::show_bytes(cap);
    let text =
        format!("a checkpoint would take more than {cap}: the table has too many files (OPTIMIZE makes them fewer)");
    Fault::new(FailureCode::CommitTooLarge, text)
}

/// The columns, as Delta's protocol lists them for tables without features that add some.
fn schema() -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    let flag = |name: &str| Field::new(name, DataType::Boolean, true);
    let list = |name: &str| Field::new_list(name, Field::new("element", DataType::Utf8, true), true);
    let map = |name: &str| {
        let (key, value) = (Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true));
        Field::new_map(name, "key_value", key, value, false, true)
    };
    let of = |name: &str, fields: Vec<Field>| Field::new_struct(name, Fields::from(fields), true);
    Schema::new(vec![
        of("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        of(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                flag("dataChange"),
                text("stats"),
                map("tags"),
            ],
        ),
        of(
            "remove",
            vec![
                text("path"),
                long("deletionTimestamp"),
                flag("dataChange"),
                flag("extendedFileMetadata"),
                map("partitionValues"),
                long("size"),
                map("tags"),
            ],
        ),
        of(
            "metaData",
            vec![
                text("id"),
                text("name"),
                text("description"),
                of("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                list("partitionColumns"),
                map("configuration"),
                long("createdTime"),
            ],
        ),
        of(
            "protocol",
            vec![int("minReaderVersion"), int("minWriterVersion"), list("readerFeatures"), list("writerFeatures")],
        ),
    ])
}

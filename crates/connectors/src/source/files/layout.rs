//! What columns a stream's files have: the first file's header or footer, and for JSON Lines every line of every file.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use waybill_model::FailureCode;
use waybill_model::plan::{Csv, CsvType, EdgePolicy, FileFormat, StreamPlan};
use waybill_pipeline::exact::data_type;
use waybill_pipeline::{Bucket, Fault, FaultResult, ObjectMeta, Table, TableColumn};

use super::csv_rows::Header;
use super::json_array::Framing;
use super::json_infer::{Kind, Scan, Seen};
use super::lane::{Layout, fault};
use super::parquet::ParquetPlan;
use super::rows::{Bounds, Broken};
use super::set::{File, FileSet, kind_of, read_fault};
use super::take::{Compared, SourceColumn};

/// A record or line while only columns are looked for.
const LOOK_ROW: usize = 4 << 20;
/// Bytes of a JSON Lines file that a look takes.
const LOOK: u64 = 1 << 20;
/// Tables that a discovery tells of.
const TABLES: usize = 1000;

/// The columns of a stream's files and how they are read.
pub(super) struct Opened {
    pub(super) layout: Layout,
    pub(super) columns: Vec<SourceColumn>,
    pub(super) rows: Option<u64>,
}

/// Finds out the exact columns of all files.
pub(super) async fn open(set: &FileSet, stream: &StreamPlan, bounds: Bounds, lanes: usize) -> FaultResult<Opened> {
    let first = &set.files[0];
    let opened = match &first.format {
        FileFormat::Csv(dialect) => {
            let columns = csv_header(set, first, dialect, bounds.row_bytes).await?;
            let source = csv_columns(&columns, dialect, stream.edge_values)?;
            Opened { layout: Layout::Csv { dialect: dialect.clone(), columns }, columns: source, rows: None }
        }
        FileFormat::Jsonl(_) | FileFormat::Json(_) => {
            let (framing, quarantine) = (framing(&first.format), !stream.bad_rows.is_fail());
            let scan = |file| json_scan(set, file, (framing, bounds.row_bytes, quarantine), None);
            let scans: Vec<_> = set.files.iter().map(scan).collect();
            let mut scans = futures::stream::iter(scans).buffered(lanes.max(1));
            let mut seen = Seen::default();
            let mut at = 0;
            while let Some(later) = scans.try_next().await? {
                let file = &set.files[at];
                seen.merge(&later).map_err(|text| file.fault(FailureCode::JsonMalformed, &text))?;
                at += 1;
            }
            let columns = seen.columns();
            let source = columns.iter().map(|(name, kind)| json_column(name, *kind)).collect();
            Opened { layout: Layout::Json(framing, columns), columns: source, rows: Some(seen.rows) }
        }
        FileFormat::Parquet => {
            let plan = ParquetPlan::open(set, first, stream.edge_values, bounds.row_bytes).await?;
            let rows = (set.files.len() == 1).then(|| plan.rows());
            Opened { columns: plan.columns(), layout: Layout::Parquet(Arc::new(plan)), rows }
        }
    };
    if let Some(at) = opened.columns.iter().position(|column| column.name.is_empty()) {
        let text = format!("column {} has an empty name", at + 1);
        return Err(first.fault(FailureCode::ColumnNameUnusable, &text));
    }
    if opened.columns.is_empty() {
        return Err(first.fault(malformed(&first.format), "the files have no column"));
    }
    Ok(opened)
}

/// The columns of the first file, without reading it to its end.
pub(super) async fn first_columns(
    set: &FileSet,
    (edge, quarantine): (EdgePolicy, bool),
) -> FaultResult<Vec<SourceColumn>> {
    let first = &set.files[0];
    let found = match &first.format {
        FileFormat::Csv(dialect) => {
            csv_header(set, first, dialect, LOOK_ROW).await.and_then(|names| csv_columns(&names, dialect, edge))
        }
        format @ (FileFormat::Jsonl(_) | FileFormat::Json(_)) => {
            json_scan(set, first, (framing(format), LOOK_ROW, quarantine), Some(LOOK))
                .await
                .map(|seen| seen.columns().iter().map(|(name, kind)| json_column(name, *kind)).collect())
        }
        FileFormat::Parquet => ParquetPlan::open(set, first, edge, LOOK_ROW).await.map(|plan| plan.columns()),
    };
    match found {
        Ok(columns) => Ok(columns),
        Err(fault) => Err(set.blame(first, fault).await),
    }
}

/// File sets: the files of a directory with one ending are one set.
pub(super) async fn discover(bucket: &Arc<dyn Bucket>) -> FaultResult<Vec<Table>> {
    let mut sets: BTreeMap<String, Vec<ObjectMeta>> = BTreeMap::new();
    for meta in bucket.list("", None).await.map_err(read_fault)? {
        let (directory, name) = meta.key.rsplit_once('/').map_or(("", meta.key.as_str()), |(d, n)| (d, n));
        let (_, Some(_)) = kind_of(name) else { continue };
        let ending = name.split_once('.').map_or(name, |(_, ending)| ending);
        let pattern = if directory.is_empty() { format!("*.{ending}") } else { format!("{directory}/*.{ending}") };
        sets.entry(pattern).or_default().push(meta);
    }
    let mut tables = Vec::new();
    for (pattern, files) in sets.into_iter().take(TABLES) {
        let name = if files.len() == 1 { files[0].key.clone() } else { pattern };
        // A file that can't be read is listed all the same: without columns.
        let columns = match FileSet::of(bucket, files[..1].to_vec(), None).await {
            Ok(set) => first_columns(&set, (EdgePolicy::default(), false)).await.unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let columns = columns
            .into_iter()
            .map(|column| TableColumn { name: column.name, source_type: column.source, nullable: column.nullable })
            .collect();
        tables.push(Table { name, columns, rows_estimate: None, key: Vec::new() });
    }
    Ok(tables)
}

async fn csv_header(set: &FileSet, file: &File, dialect: &Csv, cap: usize) -> FaultResult<Vec<String>> {
    let broken = |broken| fault(file, &broken);
    let mut header = Header::new(dialect, cap).map_err(broken)?;
    let mut content = set.content(file).await?;
    while let Some(bytes) = content.next().await? {
        if let Some(columns) = header.feed(&bytes).map_err(broken)? {
            return Ok(columns);
        }
    }
    header.end().map_err(broken)
}

const fn framing(format: &FileFormat) -> Framing {
    if matches!(format, FileFormat::Json(_)) { Framing::Array } else { Framing::Lines }
}

async fn json_scan(set: &FileSet, file: &File, how: (Framing, usize, bool), look: Option<u64>) -> FaultResult<Seen> {
    match json_scan_once(set, file, how, look).await {
        Ok(seen) => Ok(seen),
        Err(fault) => Err(set.blame(file, fault).await),
    }
}

async fn json_scan_once(
    set: &FileSet,
    file: &File,
    (framing, cap, quarantine): (Framing, usize, bool),
    look: Option<u64>,
) -> FaultResult<Seen> {
    let broken = |broken| fault(file, &broken);
    let mut scan = Scan::new(framing, cap, quarantine);
    let mut content = set.content(file).await?;
    let mut taken = 0;
    while let Some(bytes) = content.next().await? {
        scan.feed(&bytes).map_err(broken)?;
        taken += bytes.len() as u64;
        if look.is_some_and(|look| taken >= look) {
            return Ok(scan.so_far());
        }
    }
    scan.end().and_then(some_row).map_err(broken)
}

/// A file of which nothing can be read is none of the stream's.
fn some_row(mut seen: Seen) -> Result<Seen, Broken> {
    match seen.wrong.take().filter(|_| seen.rows == 0) {
        Some(wrong) => Err(wrong),
        None => Ok(seen),
    }
}

/// The columns that a header names, in the types that the spec gives them.
fn csv_columns(names: &[String], dialect: &Csv, edge: EdgePolicy) -> FaultResult<Vec<SourceColumn>> {
    if let Some(other) = dialect.types.keys().find(|column| !names.contains(column)) {
        let text = format!("`types` of the format names the column {other}, which the files do not have");
        return Err(Fault::new(FailureCode::ColumnNotFound, text));
    }
    Ok(names.iter().map(|name| csv_column(name, dialect, edge)).collect())
}

fn csv_column(name: &str, dialect: &Csv, edge: EdgePolicy) -> SourceColumn {
    let kind = dialect.types.get(name).copied().unwrap_or(CsvType::Text);
    SourceColumn {
        name: name.to_owned(),
        data_type: data_type(kind),
        source: format!("csv {kind}"),
        compared: if matches!(kind, CsvType::Text | CsvType::Boolean) { Compared::Equal } else { Compared::Ordered },
        policy: match (kind, edge) {
            (CsvType::Text, _) | (_, EdgePolicy::Twin | EdgePolicy::Sentinel) => None,
            (_, EdgePolicy::Null) => Some("null"),
            (_, EdgePolicy::Fail) => Some("fail"),
        },
        nullable: true,
    }
}

fn json_column(name: &str, kind: Kind) -> SourceColumn {
    let compared = match kind {
        Kind::Integer | Kind::Float => Compared::Ordered,
        Kind::Boolean | Kind::Text => Compared::Equal,
        Kind::NumberText | Kind::Json => Compared::No,
    };
    SourceColumn {
        name: name.to_owned(),
        data_type: kind.data_type(),
        source: kind.source_type().into(),
        compared,
        policy: None,
        nullable: true,
    }
}

fn malformed(format: &FileFormat) -> FailureCode {
    match format {
        FileFormat::Csv(_) => FailureCode::CsvMalformed,
        FileFormat::Jsonl(_) | FileFormat::Json(_) => FailureCode::JsonMalformed,
        FileFormat::Parquet => FailureCode::ParquetMalformed,
    }
}

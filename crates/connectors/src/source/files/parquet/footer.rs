//! A Parquet file's footer: found, bounded, checked, and only then decoded.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use waybill_model::FailureCode;
use waybill_pipeline::FaultResult;

use super::{int96, skim};
use crate::source::files::set::{File, FileSet, read_fault};

/// Length of the footer's length and the magic number.
const TAIL: u64 = 8;

/// What a file says of itself.
pub(super) struct Footer {
    /// With INT96 columns as bytes.
    pub(super) metadata: Arc<ParquetMetaData>,
    /// Their places.
    pub(super) int96: Vec<usize>,
}

/// The largest footer that is read.
pub(super) fn cap(row_bytes: usize) -> usize {
    row_bytes.clamp(1 << 20, 16 << 20)
}

/// Reads a file's footer.
pub(super) async fn read(set: &FileSet, file: &File, cap: usize) -> FaultResult<Footer> {
    let bad = |text: &str| file.fault(FailureCode::ParquetMalformed, text);
    let size = file.meta.size;
    if size < TAIL + 4 {
        return Err(bad("it is too short to be a Parquet file"));
    }
    let key = &file.meta.key;
    let tail = set.bucket.get_range(key, size - TAIL..size).await.map_err(read_fault)?;
    match &tail[4..] {
        b"PAR1" => {}
        b"PARE" => return Err(bad("its footer is encrypted, which is not supported")),
        _ => return Err(bad("it does not end like a Parquet file: it is cut off or of another kind")),
    }
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    if length > size - TAIL - 4 {
        return Err(bad("its footer claims to be longer than the file"));
    }
    if length > cap as u64 {
        let text = format!("its footer of {length} bytes is larger than the {cap} that this memory budget allows");
        return Err(bad(&text));
    }
    let bytes = set.bucket.get_range(key, size - TAIL - length..size - TAIL).await.map_err(read_fault)?;
    skim::check_footer(&bytes).map_err(|_| bad("its footer is damaged"))?;
    // The decoder is not ours: should it panic on what the check let through, that is the file's fault.
    let decode = move || ParquetMetaDataReader::decode_metadata(&bytes).and_then(int96::as_bytes);
    let decoded = tokio::task::spawn_blocking(decode).await;
    let Ok(Ok((metadata, int96))) = decoded else { return Err(bad("its footer is damaged")) };
    check_offsets(&metadata, size).ok_or_else(|| bad("its footer points outside the file"))?;
    Ok(Footer { metadata: Arc::new(metadata), int96 })
}

/// Every column chunk lies inside the file, and rows add up. A chunk without values in a group without rows is never
/// read, and writers put there what they like: it need not lie anywhere.
fn check_offsets(metadata: &ParquetMetaData, size: u64) -> Option<()> {
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        rows = rows.checked_add(group.num_rows()).filter(|_| group.num_rows() >= 0)?;
        for column in group.columns() {
            if group.num_rows() == 0 && column.num_values() == 0 {
                continue;
            }
            let offsets = [Some(column.data_page_offset()), column.dictionary_page_offset()];
            let start = offsets.into_iter().flatten().min()?;
            let start = u64::try_from(start).ok()?;
            let length = u64::try_from(column.compressed_size()).ok()?;
            if start < 4 || start.checked_add(length)? > size || column.num_values() < 0 {
                return None;
            }
        }
    }
    (rows == metadata.file_metadata().num_rows()).then_some(())
}

/// The file's columns in Arrow's types, from the Parquet types alone: an embedded Arrow schema is not believed.
pub(super) fn arrow_schema(file: &File, metadata: &Arc<ParquetMetaData>) -> FaultResult<SchemaRef> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    match ArrowReaderMetadata::try_new(Arc::clone(metadata), options) {
        Ok(read) => Ok(Arc::clone(read.schema())),
        Err(_) => Err(file.fault(FailureCode::ParquetMalformed, "its schema is damaged or of an unknown kind")),
    }
}

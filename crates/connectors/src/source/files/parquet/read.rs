//! Reads one file's row groups in batches whose size follows what the rows really take.
//!
//! Decoding runs on a blocking thread; a panic of the decoder is the file's fault and ends as `parquet_malformed`.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Encoding, Type as Physical};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use waybill_model::FailureCode;
use waybill_pipeline::{Fault, FaultResult};

use super::pages::Pages;
use super::{ParquetPlan, convert, footer, unchecked};
use crate::source::files::rows::{Bounds, Decoded};
use crate::source::files::set::{File, FileSet};

/// Rows of a batch at most.
const ROWS: usize = 8192;
/// Rows at most where a value's size can't be told from the bytes that hold it.
const CAREFUL: usize = 16;

/// Batches after which more rows are tried again.
const CALM: u32 = 64;

/// One file being read.
pub(in super::super) struct ParquetRows {
    file: File,
    reading: Option<Box<Reading>>,
}

struct Reading {
    file: File,
    plan: Arc<ParquetPlan>,
    metadata: Arc<ParquetMetaData>,
    schema: SchemaRef,
    pages: Pages,
    decode: Vec<usize>,
    /// Place in the file of each decoded column.
    places: Vec<usize>,
    bounds: Bounds,
    group: usize,
    /// Rows of this group that were read.
    done: usize,
    batch_rows: usize,
    /// Batches since fewer rows were tried.
    calm: u32,
    reader: Option<ParquetRecordBatchReader>,
    /// Decoded rows that are not given yet; dictionaries not expanded.
    waiting: VecDeque<RecordBatch>,
}

impl ParquetRows {
    pub(in super::super) async fn open(
        set: &FileSet,
        file: &File,
        plan: Arc<ParquetPlan>,
        decode: &[usize],
        bounds: Bounds,
    ) -> FaultResult<Self> {
        let footer = footer::read(set, file, plan.footer_cap).await?;
        let places = plan.places(file, &footer, decode)?;
        let metadata = footer.metadata;
        let schema = footer::arrow_schema(file, &metadata)?;
        let pages = Pages::new(set, file, &metadata, decode.len(), bounds);
        let reading = Reading {
            file: file.clone(),
            plan,
            metadata,
            schema,
            pages,
            decode: decode.to_vec(),
            places,
            bounds,
            group: 0,
            done: 0,
            batch_rows: 0,
            calm: 0,
            reader: None,
            waiting: VecDeque::new(),
        };
        Ok(Self { file: file.clone(), reading: Some(Box::new(reading)) })
    }

    /// The next rows; none at the end of the file.
    pub(in super::super) async fn next(&mut self) -> FaultResult<Option<Decoded>> {
        let Some(mut reading) = self.reading.take() else { return Ok(None) };
        let worked = tokio::task::spawn_blocking(move || {
            let rows = reading.next();
            (reading, rows)
        });
        match worked.await {
            Ok((reading, rows)) => {
                self.reading = Some(reading);
                rows
            }
            Err(_) => Err(self.file.fault(FailureCode::ParquetMalformed, "the decoder could not make sense of it")),
        }
    }
}

impl Reading {
    fn next(&mut self) -> FaultResult<Option<Decoded>> {
        loop {
            if let Some(batch) = self.waiting.pop_front() {
                return self.give(&batch).map(Some);
            }
            let Some(group) = self.metadata.row_groups().get(self.group) else { return Ok(None) };
            let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
            if self.done >= rows {
                self.group += 1;
                self.done = 0;
                self.reader = None;
                continue;
            }
            self.read(rows)?;
        }
    }

    /// Decodes a batch; where it proves too heavy, fewer rows are tried.
    fn read(&mut self, rows: usize) -> FaultResult<()> {
        if self.reader.is_none() {
            if self.done == 0 {
                self.batch_rows = self.rows_at_once(self.metadata.row_group(self.group));
            }
            self.pages.begin_group();
            self.pages.begin_batch();
            self.reader = Some(self.open_group()?);
        }
        self.pages.begin_batch();
        let read = self.reader.as_mut().and_then(Iterator::next);
        match read {
            Some(Ok(batch)) if batch.num_rows() > 0 && self.done + batch.num_rows() <= rows => {
                if self.has_unchecked_text() && !unchecked::is_text(&batch) {
                    return Err(self.file.fault(FailureCode::ParquetMalformed, "a text is not valid UTF-8"));
                }
                self.done += batch.num_rows();
                self.grow();
                self.split(batch)
            }
            Some(Err(_)) if self.pages.was_heavy() => {
                if self.batch_rows == 1 {
                    let text = "a row is larger than this memory budget allows";
                    return Err(self.file.fault(FailureCode::RowTooLarge, text));
                }
                self.batch_rows = (self.batch_rows / 16).max(1);
                self.calm = 0;
                self.reader = None;
                Ok(())
            }
            _ => Err(self.undecodable()),
        }
    }

    /// After a calm stretch more rows are tried again.
    fn grow(&mut self) {
        self.calm += 1;
        let most = self.rows_at_once(self.metadata.row_group(self.group));
        if self.calm >= CALM && self.batch_rows < most {
            self.batch_rows = (self.batch_rows * 16).min(most);
            self.calm = 0;
            self.reader = None;
        }
    }

    fn undecodable(&self) -> Fault {
        self.pages.fault().unwrap_or_else(|| {
            let text = format!("row group {} could not be decoded", self.group + 1);
            self.file.fault(FailureCode::ParquetMalformed, &text)
        })
    }

    /// Rows that take about a batch by what the footer says, and few where it can't tell.
    fn rows_at_once(&self, group: &RowGroupMetaData) -> usize {
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let (mut bytes, mut most) = (0_u64, ROWS);
        for column in self.chunks(group) {
            bytes += u64::try_from(column.uncompressed_size()).unwrap_or(0);
            let fixed = u64::try_from(column.column_descr().type_length()).unwrap_or(0);
            if column.column_type() == Physical::FIXED_LEN_BYTE_ARRAY && fixed > 0 {
                most = most.min(usize::try_from(self.bounds.bytes as u64 / fixed).unwrap_or(ROWS).max(1));
            }
            let prefixed = column.encodings().any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY);
            let nested_text = column.column_descr().max_rep_level() > 0 || column.column_path().parts().len() > 1;
            let whole_text = nested_text || unchecked::is_unchecked(column.column_descr());
            if prefixed || (whole_text && column.column_type() == Physical::BYTE_ARRAY && has_dictionary(column)) {
                most = most.min(CAREFUL);
            }
        }
        let fit = self.bounds.bytes as u64 / (bytes / rows).max(1);
        usize::try_from(fit).unwrap_or(ROWS).clamp(1, most)
    }

    /// Column chunks of the decoded columns.
    fn chunks<'g>(
        &self,
        group: &'g RowGroupMetaData,
    ) -> impl Iterator<Item = &'g parquet::file::metadata::ColumnChunkMetaData> {
        let schema = self.metadata.file_metadata().schema_descr_ptr();
        let places = self.places.clone();
        group
            .columns()
            .iter()
            .enumerate()
            .filter_map(move |(leaf, column)| places.contains(&schema.get_column_root_idx(leaf)).then_some(column))
    }

    fn has_unchecked_text(&self) -> bool {
        self.chunks(self.metadata.row_group(self.group)).any(|column| unchecked::is_unchecked(column.column_descr()))
    }

    /// A reader of what is left of this row group. Text in dictionaries stays in them, so that it is not expanded unseen.
    fn open_group(&self) -> FaultResult<ParquetRecordBatchReader> {
        let schema = self.metadata.file_metadata().schema_descr_ptr();
        let group = self.metadata.row_group(self.group);
        let mut fields: Vec<Field> = self.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        for (leaf, column) in group.columns().iter().enumerate() {
            let field = &mut fields[schema.get_column_root_idx(leaf)];
            let may_stay = has_dictionary(column) && !unchecked::is_unchecked(column.column_descr());
            if may_stay && matches!(field.data_type(), DataType::Utf8 | DataType::Binary) {
                let value = Box::new(field.data_type().clone());
                field.set_data_type(DataType::Dictionary(Box::new(DataType::Int32), value));
            }
        }
        let hinted = Arc::new(Schema::new_with_metadata(fields, self.schema.metadata().clone()));
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true).with_schema(hinted);
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(&self.metadata), options);
        let metadata = metadata.map_err(|_| self.undecodable())?;
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.pages.clone(), metadata)
            .with_row_groups(vec![self.group])
            .with_projection(ProjectionMask::roots(&schema, self.places.iter().copied()))
            .with_offset(self.done)
            .with_batch_size(self.batch_rows)
            .build()
            .map_err(|_| self.undecodable())
    }

    /// Cuts decoded rows so that no piece grows beyond a batch when its dictionaries are expanded.
    fn split(&mut self, batch: RecordBatch) -> FaultResult<()> {
        let Some(sizes) = expanded(&batch) else {
            self.waiting.push_back(batch);
            return Ok(());
        };
        let (mut start, mut size) = (0, 0);
        for (row, bytes) in sizes.iter().enumerate() {
            if *bytes > self.bounds.row_bytes {
                let text = "a row is larger than an eighth of the memory budget";
                return Err(self.file.fault(FailureCode::RowTooLarge, text));
            }
            if row > start && size + bytes > self.bounds.bytes {
                self.waiting.push_back(batch.slice(start, row - start));
                (start, size) = (row, 0);
            }
            size += bytes;
        }
        self.waiting.push_back(batch.slice(start, sizes.len() - start));
        Ok(())
    }

    /// Expands and converts the decoded columns, in the order that the stream's plan wants.
    fn give(&self, batch: &RecordBatch) -> FaultResult<Decoded> {
        let mut order = self.places.clone();
        order.sort_unstable();
        let columns = self.places.iter().zip(&self.decode).map(|(place, at)| {
            let found = order.iter().position(|other| other == place).unwrap_or(0);
            let target = &self.plan.columns[*at];
            convert::values(batch.column(found), target, self.plan.edge)
                .map_err(|(code, text)| self.file.fault(code, &text))
        });
        let columns = columns.collect::<FaultResult<_>>()?;
        Ok(Decoded { columns, rows: batch.num_rows(), stays: None, bad: Vec::new() })
    }
}

fn has_dictionary(column: &parquet::file::metadata::ColumnChunkMetaData) -> bool {
    column.dictionary_page_offset().is_some()
        || column.encodings().any(|e| matches!(e, Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY))
}

/// Bytes that each row's dictionary values take when expanded; none where there is no dictionary.
fn expanded(batch: &RecordBatch) -> Option<Vec<usize>> {
    let mut sizes: Option<Vec<usize>> = None;
    for column in batch.columns() {
        let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else { continue };
        let lengths = value_lengths(dictionary.values());
        let sizes = sizes.get_or_insert_with(|| vec![0; batch.num_rows()]);
        for (size, key) in sizes.iter_mut().zip(dictionary.keys()) {
            *size += key.and_then(|key| lengths.get(usize::try_from(key).ok()?).copied()).unwrap_or(0);
        }
    }
    sizes
}

fn value_lengths(values: &ArrayRef) -> Vec<usize> {
    let offsets = match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value_offsets(),
        DataType::Binary => values.as_binary::<i32>().value_offsets(),
        _ => return Vec::new(),
    };
    offsets.windows(2).map(|pair| usize::try_from(pair[1] - pair[0]).unwrap_or(0)).collect()
}

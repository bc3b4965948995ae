//! A data file of the table, read back as the table's columns.
//!
//! What another writer made of a file (an OPTIMIZE with other Arrow types) is brought to the table's types where that
//! loses nothing, and refused otherwise.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, take};
use arrow::datatypes::{DataType, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use waybill_model::FailureCode;

use super::object::Object;
use super::{Existing, Work};
use crate::encode::ROW_BYTES;
use crate::fault::{Fault, FaultResult};
use crate::stop::End;

/// Rows of one batch at most.
const BATCH_ROWS: usize = 8192;
/// How much wider than the average rows behind each other may be in a file that does not tell.
const DOUBT: usize = 4;

/// A file that gives its rows in order.
pub(super) struct TableFile {
    object: Object,
    rows: ParquetRecordBatchReader,
    /// Place in the file's batches, by wanted column; none where the file lacks it.
    places: Vec<Option<usize>>,
    /// The one value of a column that the file lacks since its partition tells it.
    told: Vec<Option<ArrayRef>>,
    wanted: Vec<DataType>,
}

impl TableFile {
    /// Opens a file for these columns of the table, by name.
    pub(super) fn open(work: &Work, file: &Existing, wanted: &[(String, DataType)]) -> Result<Self, End> {
        let object = Object::new(
            &work.target.bucket,
            (file.key.clone(), file.size),
            (wanted.len(), work.memory / 4),
            &work.runtime,
            &work.stop,
        );
        // The types are those of Parquet itself: what a writer noted of its own Arrow types beside them is not needed.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(object.clone(), options)
            .map_err(|error| object.reason(&error))?;
        let there = Arc::clone(builder.schema());
        let place = |name: &str| there.fields().iter().position(|field| field.name() == name);
        let roots: Vec<Option<usize>> = wanted.iter().map(|(name, _)| place(name)).collect();
        let mut read: Vec<usize> = roots.iter().flatten().copied().collect();
        read.sort_unstable();
        let places = roots.iter().map(|root| root.and_then(|root| read.binary_search(&root).ok())).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), read.iter().copied());
        let rows = rows_of_a_batch(builder.metadata(), work.memory / 8);
        let rows =
            builder.with_projection(mask).with_batch_size(rows).build().map_err(|error| object.reason(&error))?;
        let told = wanted.iter().zip(&roots).map(|((name, kind), root)| match (root, file.partition.get(name)) {
            (None, Some(text)) => of_partition(text.as_deref(), kind).map(Some),
            _ => Ok(None),
        });
        let told = told.collect::<FaultResult<_>>()?;
        Ok(Self { object, rows, places, told, wanted: wanted.iter().map(|(_, kind)| kind.clone()).collect() })
    }

    /// The next rows' columns, in the order in which they were asked for, and how many rows they are.
    pub(super) fn next(&mut self) -> Result<Option<(usize, Vec<ArrayRef>)>, End> {
        let Some(batch) = self.rows.next() else { return Ok(None) };
        let batch: RecordBatch = batch.map_err(|error| self.object.reason(&error))?;
        let rows = batch.num_rows();
        let columns =
            self.places.iter().zip(&self.told).zip(&self.wanted).map(|((place, told), kind)| match (place, told) {
                (Some(place), _) => as_table(batch.column(*place), kind),
                (None, Some(value)) => repeated(value, rows),
                (None, None) => Ok(new_null_array(kind, rows)),
            });
        Ok(Some((rows, columns.collect::<FaultResult<_>>()?)))
    }
}

/// So many rows as fit. A file of ours tells the density of its densest batch: of any rows behind each other only those of the
/// first and of the last batch that they are of may take more, and a batch is bounded. Of another writer's file only the average
/// is known, which is not trusted far.
fn rows_of_a_batch(footer: &ParquetMetaData, memory: usize) -> usize {
    let notes = footer.file_metadata().key_value_metadata().into_iter().flatten();
    let told = notes.filter(|note| note.key == ROW_BYTES).find_map(|note| note.value.as_ref()?.parse::<usize>().ok());
    let bytes = told.unwrap_or_else(|| {
        let widths = footer.row_groups().iter().map(|group| group.total_byte_size() / group.num_rows().max(1));
        usize::try_from(widths.max().unwrap_or(0)).unwrap_or(usize::MAX).saturating_mul(DOUBT)
    });
    (memory / bytes.max(1)).clamp(1, BATCH_ROWS)
}

/// A partition's value, as the log spells it, in the table's type. An empty text is a NULL there.
fn of_partition(text: Option<&str>, kind: &DataType) -> FaultResult<ArrayRef> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![text.filter(|text| !text.is_empty())]));
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(&text, kind, &options).map_err(|_| {
        let text = format!("a partition of another writer has a value that is no {kind}");
        Fault::new(FailureCode::TableChangedByOther, text)
    })
}

fn repeated(value: &ArrayRef, rows: usize) -> FaultResult<ArrayRef> {
    let places = UInt32Array::from(vec![0; rows]);
    take(value, &places, None).map_err(|_| Fault::new(FailureCode::WorkerBug, "a partition's value can't be repeated"))
}

/// The column in the table's type.
fn as_table(column: &ArrayRef, wanted: &DataType) -> FaultResult<ArrayRef> {
    if column.data_type() == wanted {
        return Ok(Arc::clone(column));
    }
    if is_same(column.data_type(), wanted) {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        if let Ok(cast) = cast_with_options(column, wanted, &options) {
            return Ok(cast);
        }
    }
    let text = format!("a file of another writer holds {} where the table has {wanted}", column.data_type());
    Err(Fault::new(FailureCode::TableChangedByOther, text))
}

/// Whether two types hold the same values in another layout.
fn is_same(one: &DataType, other: &DataType) -> bool {
    use DataType as D;
    let text = |kind: &D| matches!(kind, D::Utf8 | D::LargeUtf8 | D::Utf8View);
    let bytes = |kind: &D| matches!(kind, D::Binary | D::LargeBinary | D::BinaryView | D::FixedSizeBinary(_));
    match (one, other) {
        (D::Timestamp(TimeUnit::Microsecond, a), D::Timestamp(TimeUnit::Microsecond, b)) => a.is_some() == b.is_some(),
        (D::List(a) | D::LargeList(a), D::List(b) | D::LargeList(b)) => {
            a.data_type() == b.data_type() || is_same(a.data_type(), b.data_type())
        }
        (D::Struct(a), D::Struct(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| {
                    a.name() == b.name() && (a.data_type() == b.data_type() || is_same(a.data_type(), b.data_type()))
                })
        }
        _ => (text(one) && text(other)) || (bytes(one) && bytes(other)),
    }
}

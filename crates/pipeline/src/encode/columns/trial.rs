//! Whether compressing a column's pages saves anything, found out on its first rows. What is written here goes nowhere.

use arrow::array::{Array, ArrayRef, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::errors::Result;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use waybill_model::plan::Compression;

use super::{Choice, SAMPLE, SMALL, codec};

/// Less than one byte in so many is not worth the time.
const WORTH: i64 = 16;
/// The only column of a trial.
const NAME: &str = "c";

/// Whether the rows take fewer bytes by more than what is not worth it; where that can't be told, they may.
pub(super) fn pays(column: &ArrayRef, choice: &Choice, compression: Compression) -> bool {
    if column.len() - column.null_count() < SMALL {
        return true;
    }
    let rows = column.slice(0, column.len().min(SAMPLE));
    sizes(rows, choice, compression).map_or(true, |(encoded, compressed)| compressed + encoded / WORTH < encoded)
}

/// Bytes of the rows as they are encoded, and as they are compressed then.
fn sizes(rows: ArrayRef, choice: &Choice, compression: Compression) -> Result<(i64, i64)> {
    let batch = RecordBatch::try_from_iter([(NAME, rows)])?;
    let properties =
        WriterProperties::builder().set_compression(codec(compression)).set_statistics_enabled(EnabledStatistics::None);
    let properties = choice.apply(properties, ColumnPath::from(NAME)).build();
    let mut writer = ArrowWriter::try_new(std::io::sink(), batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    let footer = writer.close()?;
    let columns = footer.row_groups().iter().flat_map(|group| group.columns());
    Ok(columns.fold((0, 0), |(encoded, compressed), column| {
        (encoded + column.uncompressed_size(), compressed + column.compressed_size())
    }))
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn squeezed(column: &ArrayRef) -> bool {
        Choice::of("c", column, Compression::Zstd).squeezed
    }

    #[test]
    fn numbers_of_chance_are_not_compressed_and_numbers_in_order_are() {
        let chance = RandomState::new();
        let drawn = Int64Array::from_iter_values((0..20_000).map(|n| (chance.hash_one(n) % 200_000) as i64));
        let ordered = Int64Array::from_iter_values((0..20_000).map(|n| n / 4 * 32 + n % 4));
        assert!(!squeezed(&(Arc::new(drawn) as ArrayRef)) && squeezed(&(Arc::new(ordered) as ArrayRef)));
    }

    #[test]
    fn text_and_few_rows_are_always_compressed() {
        let chance = RandomState::new();
        let texts = StringArray::from_iter_values((0..20_000).map(|n| format!("{:x}", chance.hash_one(n))));
        let few = Int64Array::from_iter_values((0..100).map(|n| chance.hash_one(n) as i64));
        assert!(squeezed(&(Arc::new(texts) as ArrayRef)) && squeezed(&(Arc::new(few) as ArrayRef)));
    }
}

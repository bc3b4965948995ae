//! Reads Parquet page by page through ranged reads, so that memory follows the batch and not the row group.
//!
//! Nothing that a file says of itself is believed before it is checked: lengths, offsets, checksums, nesting.

mod convert;
mod footer;
mod int96;
mod pages;
mod read;
mod skim;
mod unchecked;

use arrow::datatypes::{DataType, TimeUnit};
use waybill_model::FailureCode;
use waybill_model::plan::EdgePolicy;
use waybill_pipeline::FaultResult;

pub(super) use read::ParquetRows;

use self::footer::Footer;
use super::set::{File, FileSet};
use super::take::SourceColumn;

/// The columns of a stream's files, by the footer of the first.
pub(super) struct ParquetPlan {
    columns: Vec<SourceColumn>,
    /// Types as the file has them, before conversion.
    types: Vec<DataType>,
    edge: EdgePolicy,
    rows: u64,
    footer_cap: usize,
}

impl ParquetPlan {
    /// Reads the footer of the first file.
    pub(super) async fn open(set: &FileSet, file: &File, edge: EdgePolicy, row_bytes: usize) -> FaultResult<Self> {
        let footer_cap = footer::cap(row_bytes);
        let footer = footer::read(set, file, footer_cap).await?;
        let (columns, types) = describe(file, &footer, edge)?;
        let rows = u64::try_from(footer.metadata.file_metadata().num_rows()).unwrap_or(0);
        Ok(Self { columns, types, edge, rows, footer_cap })
    }

    pub(super) fn columns(&self) -> Vec<SourceColumn> {
        self.columns.clone()
    }

    /// Rows of the first file.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Where each decoded column stands in a file that must have the same columns as the first.
    fn places(&self, file: &File, footer: &Footer, decode: &[usize]) -> FaultResult<Vec<usize>> {
        let (columns, types) = describe(file, footer, self.edge)?;
        let other = |text: &str| file.fault(FailureCode::ParquetMalformed, text);
        if columns.len() != self.columns.len() {
            return Err(other("it has another number of columns than the first file of the stream"));
        }
        let place = |at: usize| {
            let name = &self.columns[at].name;
            columns.iter().position(|c| &c.name == name).filter(|found| types[*found] == self.types[at])
        };
        if let Some(at) = (0..self.columns.len()).find(|at| place(*at).is_none()) {
            let text = format!("it lacks column {} of the first file, or has it with another type", at + 1);
            return Err(other(&text));
        }
        Ok(decode.iter().filter_map(|at| place(*at)).collect())
    }
}

/// A file's columns, and their types as it has them. INT96 is a time of nanoseconds, as it is where INT64 holds it.
fn describe(file: &File, footer: &Footer, edge: EdgePolicy) -> FaultResult<(Vec<SourceColumn>, Vec<DataType>)> {
    let schema = footer::arrow_schema(file, &footer.metadata)?;
    let roots = footer.metadata.file_metadata().schema().get_fields();
    let (mut columns, mut types): (Vec<SourceColumn>, Vec<DataType>) = (Vec::new(), Vec::new());
    for (at, (field, root)) in schema.fields().iter().zip(roots).enumerate() {
        let column = if footer.int96.contains(&at) {
            let time = field.as_ref().clone().with_data_type(DataType::Timestamp(TimeUnit::Nanosecond, None));
            types.push(time.data_type().clone());
            SourceColumn { source: "parquet int96".into(), ..convert::column(&time, root, edge) }
        } else {
            types.push(field.data_type().clone());
            convert::column(field, root, edge)
        };
        if columns.iter().any(|other| other.name == column.name) {
            let text = format!("column {} has the name of an earlier one", at + 1);
            return Err(file.fault(FailureCode::ParquetMalformed, &text));
        }
        columns.push(column);
    }
    Ok((columns, types))
}

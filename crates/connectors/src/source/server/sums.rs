//! Columns that a server is asked to sum: what both statements and answers have in common.
//!
//! Which text a value counts by, each source says for its own types; it must be that of `waybill_pipeline::sums`.

use waybill_model::FailureCode;
use waybill_model::plan::{EdgePolicy, StreamPlan};
use waybill_pipeline::{ColumnSum, Fault, FaultResult};

use crate::source::shape::Chosen;

/// Columns of one statement: PostgreSQL gives 1664 values at most.
const AT_ONCE: usize = 500;

/// A column that is summed.
#[derive(Clone)]
pub(crate) struct Summed {
    /// Its name in the table.
    column: String,
    /// How many values are not NULL, in SQL.
    values: String,
    /// What they count together, in SQL.
    sum: String,
}

impl Summed {
    pub(crate) fn new(column: &str, values: String, sum: String) -> Self {
        Self { column: column.to_owned(), values, sum }
    }

    /// The same of no row, which nobody needs to be asked for.
    pub(crate) fn none(&self) -> ColumnSum {
        ColumnSum::none(self.column.as_str())
    }
}

/// A statement about some of the columns.
pub(crate) struct Statement<'a> {
    some: &'a [Summed],
    /// What stands behind its SELECT: two fields for each of them.
    pub(crate) fields: String,
}

/// The statements about all of them.
pub(crate) fn statements(all: &[Summed]) -> impl Iterator<Item = Statement<'_>> {
    all.chunks(AT_ONCE).map(|some| {
        let fields: Vec<String> = some.iter().map(|one| format!("{}, {}", one.values, one.sum)).collect();
        Statement { some, fields: fields.join(", ") }
    })
}

impl Statement<'_> {
    /// The sums that its answer tells; `number` reads a field of it.
    pub(crate) fn read(&self, number: impl Fn(usize) -> FaultResult<u128>) -> FaultResult<Vec<ColumnSum>> {
        let sum = |(at, one): (usize, &Summed)| {
            let values = u64::try_from(number(2 * at)?);
            let values = values.map_err(|_| Fault::new(FailureCode::SourceMalformed, "a count can't be read"))?;
            Ok(ColumnSum::new(one.column.as_str(), values, number(2 * at + 1)?))
        };
        self.some.iter().enumerate().map(sum).collect()
    }
}

/// Why a column can't be summed.
pub(crate) fn refused(column: &str, shown: &str, why: &str) -> Fault {
    let text = format!("`checksums` can't take the column {column} ({shown}): {why}; name other columns");
    Fault::new(FailureCode::ChecksumUnusable, text)
}

/// Why a type can't be summed that has no text which is the same on both sides.
pub(crate) const NO_TEXT: &str = "values of this type have no text that is the same at both ends";

/// Refuses a column whose values may become others on their way since the stream says so, where its type has such values.
pub(crate) fn check_edges(stream: &StreamPlan, column: &str, shown: &str, has_edges: bool) -> FaultResult<()> {
    let keeps = matches!(stream.edge_values, EdgePolicy::Twin | EdgePolicy::Fail);
    if keeps || !has_edges {
        return Ok(());
    }
    let why = format!("`edge-values: {}` makes other values of some", stream.edge_values);
    Err(refused(column, shown, &why))
}

/// Refuses a column that is named and not among those that are delivered.
pub(crate) fn check_named(stream: &StreamPlan, names: &[&str], chosen: &[Chosen]) -> FaultResult<()> {
    let is_chosen = |name: &str| chosen.iter().any(|chosen| names[chosen.at] == name);
    match stream.checksums.named().iter().find(|name| !is_chosen(name)) {
        Some(missing) => {
            let text = format!(
                "`checksums` names the column {missing}, which the source does not have, or which is not delivered"
            );
            Err(Fault::new(FailureCode::ColumnNotFound, text))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_with_many_columns_is_summed_by_several_statements() {
        let all: Vec<Summed> =
            (0..1201).map(|n| Summed::new(&format!("c{n}"), format!("v{n}"), format!("s{n}"))).collect();
        let asked: Vec<(usize, String)> = statements(&all).map(|one| (one.some.len(), one.fields)).collect();
        assert_eq!(asked.iter().map(|(columns, _)| *columns).collect::<Vec<_>>(), [500, 500, 201]);
        assert!(asked[1].1.starts_with("v500, s500, v501, s501, ") && asked[2].1.ends_with(", v1200, s1200"));
        assert_eq!(statements(&[]).count(), 0);
    }
}

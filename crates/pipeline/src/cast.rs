//! Columns of another type than the source gives them, as the stream's `columns.cast` says: on the rows of any source, before
//! anything else sees them.
//!
//! A value that the type holds exactly is taken; what it does not hold goes by `edge-values`, like a value that no type of the
//! table holds. Nothing is rounded, cut or guessed.

mod column;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_model::plan::{CsvType, EdgePolicy, StreamPlan};

use self::column::{can, cast, merged};
use crate::commit::schema::{Column, shapes};
use crate::exact::data_type;
use crate::fault::{Fault, FaultResult};
use crate::source::step::{Step, behind};
use crate::source::{Batch, Snapshot, Want};

/// The mark in the metadata of a column that was cast: the type that it was cast to. What the source had stays beside it.
pub const CAST_MARK: &str = "waybill.cast";

/// The policy that the source read the column by, where another one than exact applied.
const SOURCE_POLICY: &str = "waybill.src_policy";

/// How much wider a value may become: digits of a number or a time, for its bytes.
const WIDER: usize = 4;

/// What the source may give, so that batches fit after a cast too.
pub(crate) fn wanted(stream: &StreamPlan, want: Want) -> Want {
    match stream.columns.cast.is_empty() {
        true => want,
        false => Want { batch_bytes: (want.batch_bytes / WIDER).max(1), ..want },
    }
}

/// The snapshot with its columns in the types that the stream asks for.
pub(crate) fn applied(inner: Box<dyn Snapshot>, stream: &StreamPlan) -> FaultResult<Box<dyn Snapshot>> {
    let columns = &stream.columns;
    if columns.cast.is_empty() {
        return Ok(inner);
    }
    let (whole, key) = (inner.schema(), inner.key());
    let mut fields: Vec<Arc<Field>> = whole.fields().iter().cloned().collect();
    let mut casts = BTreeMap::new();
    for (source, to) in &columns.cast {
        let name = columns.rename.get(source).unwrap_or(source);
        let at = whole.index_of(name).map_err(|_| {
            let text = format!("`columns.cast` names the column {source}, which the stream does not have");
            Fault::new(FailureCode::ColumnNotFound, text)
        })?;
        if key.contains(name) {
            let text =
                format!("the key's column {source} can't be cast: rows are told apart by what the source has in it");
            return Err(Fault::new(FailureCode::KeyUnusable, text));
        }
        let from = &fields[at];
        if !can(from.data_type(), *to) {
            let was = shapes(&Schema::new(vec![Arc::clone(from)]))?.first().map_or_else(String::new, Column::kind_text);
            let text = format!("`columns.cast`: the column {source} is {was} here, which can't be cast to {to}");
            return Err(Fault::new(FailureCode::SpecRefused, text));
        }
        let metadata = noted(from.metadata(), *to, stream.edge_values);
        fields[at] = Arc::new(Field::new(name, data_type(*to), true).with_metadata(metadata));
        casts.insert(at, *to);
    }
    let schema = Arc::new(Schema::new_with_metadata(fields, whole.metadata().clone()));
    Ok(behind(inner, Arc::clone(&schema), Cast { schema, casts, policy: stream.edge_values }))
}

/// What the metadata of a column say once it is cast. What the source's own reading did with values stays told beside it.
fn noted(of_source: &HashMap<String, String>, to: CsvType, edge_values: EdgePolicy) -> HashMap<String, String> {
    let mut metadata = of_source.clone();
    metadata.insert(CAST_MARK.to_owned(), to.to_string());
    let policy = metadata.insert("waybill.policy".to_owned(), edge_values.as_str().to_owned());
    metadata.extend(policy.map(|policy| (SOURCE_POLICY.to_owned(), policy)));
    metadata
}

struct Cast {
    schema: SchemaRef,
    /// Types by the places of their columns.
    casts: BTreeMap<usize, CsvType>,
    policy: EdgePolicy,
}

#[async_trait]
impl Step for Cast {
    async fn rows(&self, batch: Batch) -> FaultResult<Batch> {
        let mut columns = batch.rows.columns().to_vec();
        let mut twins: BTreeMap<usize, StringArray> = batch.twins.into_iter().collect();
        let mut coerced: BTreeMap<usize, u64> = batch.coerced.into_iter().collect();
        for (at, to) in &self.casts {
            let there = twins.remove(at);
            let done = cast(&columns[*at], *to, there.as_ref());
            let met = done.edges.len() as u64;
            if met > 0 && self.policy == EdgePolicy::Fail {
                let name = self.schema.field(*at).name();
                let text = format!("{met} values of the column {name} are no {to}, and `edge-values` says fail");
                return Err(Fault::new(FailureCode::ValueRefused, text));
            }
            if met > 0 {
                *coerced.entry(*at).or_default() += met;
            }
            columns[*at] = done.values;
            let kept = if self.policy == EdgePolicy::Null { Vec::new() } else { done.edges };
            twins.extend(merged(batch.rows.num_rows(), there, kept).map(|texts| (*at, texts)));
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)
            .map_err(|_| Fault::new(FailureCode::WorkerBug, "columns that were cast don't fit their schema"))?;
        let (twins, coerced) = (twins.into_iter().collect(), coerced.into_iter().collect());
        Ok(Batch { rows, twins, coerced, aside: batch.aside })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_that_the_source_read_by_stays_beside_that_of_the_cast() {
        let of = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<HashMap<_, _>>()
        };
        let source = of(&[("waybill.src_type", "_int4"), ("waybill.policy", "json")]);
        let cast = noted(&source, CsvType::Text, EdgePolicy::Null);
        assert_eq!(
            cast,
            of(&[
                ("waybill.src_type", "_int4"),
                ("waybill.cast", "text"),
                ("waybill.policy", "null"),
                ("waybill.src_policy", "json"),
            ])
        );
        assert!(!noted(&of(&[]), CsvType::Text, EdgePolicy::Twin).contains_key(SOURCE_POLICY), "there was none");
    }
}

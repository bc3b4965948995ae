//! Which twin columns (`<name>__text`) a stream needs: found while it is read, shared by its lanes.
//!
//! The set only grows, so a stream begins at most one extra file per lane and twin.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use waybill_model::FailureCode;

use crate::fault::{Fault, FaultResult};

/// What stands behind a column's name in its twin's.
const SUFFIX: &str = "__text";

/// Places of the columns that have a twin.
#[derive(Clone, Default)]
pub struct TwinSet(Arc<Mutex<BTreeSet<usize>>>);

impl TwinSet {
    /// A set that begins with the twins which the table has already, so that its files need not be split for them.
    #[must_use]
    pub fn known(schema: &Schema, table_columns: impl Fn(&str) -> bool) -> Self {
        let places = schema.fields().iter().enumerate();
        let known = places.filter(|(_, field)| table_columns(&twin_name(field.name())) && !taken(schema, field.name()));
        Self(Arc::new(Mutex::new(known.map(|(at, _)| at).collect())))
    }

    /// The places now, in order.
    #[must_use]
    pub fn places(&self) -> Vec<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// Takes new places in. A twin whose name is a column's already can't be made.
    pub(super) fn admit(&self, schema: &Schema, places: impl Iterator<Item = usize>) -> FaultResult<()> {
        let mut set = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for at in places {
            if set.contains(&at) {
                continue;
            }
            let name = schema.field(at).name();
            if taken(schema, name) {
                let text = format!("the column {name} needs a text twin, but {} is a column too", twin_name(name));
                return Err(Fault::new(FailureCode::ColumnNameUnusable, text));
            }
            set.insert(at);
        }
        Ok(())
    }
}

fn taken(schema: &Schema, name: &str) -> bool {
    let twin = twin_name(name).to_lowercase();
    schema.fields().iter().any(|field| field.name().to_lowercase() == twin)
}

/// The twin's name of a column.
#[must_use]
pub fn twin_name(name: &str) -> String {
    format!("{name}{SUFFIX}")
}

/// The schema of a file that has these twins: behind the columns, in their order.
pub(super) fn with_twins(schema: &SchemaRef, places: &[usize]) -> SchemaRef {
    if places.is_empty() {
        return Arc::clone(schema);
    }
    let twins = places.iter().map(|at| Arc::new(Field::new(twin_name(schema.field(*at).name()), DataType::Utf8, true)));
    Arc::new(Schema::new(schema.fields().iter().cloned().chain(twins).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(names: &[&str]) -> Schema {
        Schema::new(names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect::<Vec<_>>())
    }

    #[test]
    fn a_twin_that_would_take_a_columns_name_is_refused() {
        let fault = TwinSet::default().admit(&schema(&["a", "A__TEXT"]), [0].into_iter()).expect_err("clash");
        assert_eq!(fault.code, FailureCode::ColumnNameUnusable);
    }

    #[test]
    fn lanes_share_what_they_meet() {
        let set = TwinSet::default();
        set.clone().admit(&schema(&["a", "b"]), [1, 1].into_iter()).expect("admitted");
        assert_eq!(set.places(), [1]);
        assert_eq!(with_twins(&Arc::new(schema(&["a", "b"])), &set.places()).field(2).name(), "b__text");
    }
}

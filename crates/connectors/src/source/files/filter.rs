//! Conditions on columns, evaluated on decoded rows. What has no clear meaning for a column's type is refused.
//!
//! As in a database, a NULL fulfils no comparison, so `ne` leaves rows out whose value is NULL. A value that stands only
//! in its twin is no NULL: it can't be compared, and a row is never left out because of it without a word.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Datum, Float64Array, Scalar, StringArray};
use arrow::compute::kernels::cmp;
use arrow::compute::{CastOptions, and, cast, cast_with_options, is_not_null, is_null, not, or_kleene};
use arrow::datatypes::DataType;
use waybill_model::FailureCode;
use waybill_model::plan::{Condition, Op};
use waybill_pipeline::{Fault, FaultResult};

use super::rows::Column;
use super::take::{Compared, SourceColumn};

/// All conditions of a stream.
pub(super) struct Filter {
    tests: Vec<(usize, Check)>,
    /// Names of the compared columns by their decoded places.
    names: BTreeMap<usize, String>,
}

enum Check {
    Null(bool),
    Exact(Op, Scalar<ArrayRef>),
    /// Floats compare by value: -0 equals 0, and NaN is neither less nor more.
    Float(Op, f64),
}

impl Filter {
    /// Reads conditions; `place` gives the decoded place of a source column.
    pub(super) fn plan(
        conditions: &[Condition],
        columns: &[SourceColumn],
        place: &mut dyn FnMut(usize) -> usize,
    ) -> FaultResult<Self> {
        let (mut tests, mut names) = (Vec::with_capacity(conditions.len()), BTreeMap::new());
        for condition in conditions {
            let Some(at) = columns.iter().position(|column| column.name == condition.column) else {
                let text = format!("`filter` names the column {}, which the files do not have", condition.column);
                return Err(Fault::new(FailureCode::ColumnNotFound, text));
            };
            let check = check(condition, &columns[at]).map_err(|text| {
                Fault::new(FailureCode::SpecRefused, format!("`filter` on {}: {text}", condition.column))
            })?;
            let place = place(at);
            names.insert(place, condition.column.clone());
            tests.push((place, check));
        }
        Ok(Self { tests, names })
    }

    /// Which rows stay; none where all do. A row that only a value in a twin keeps from being told is refused.
    pub(super) fn rows(&self, columns: &[Column]) -> FaultResult<Option<BooleanArray>> {
        let mut rows: Option<BooleanArray> = None;
        let mut unread: Vec<(usize, BooleanArray)> = Vec::new();
        for (at, check) in &self.tests {
            let column = &columns[*at];
            let mut fits = check.rows(column).map_err(unevaluated)?;
            if !matches!(check, Check::Null(_))
                && let Some(apart) = apart(column).map_err(unevaluated)?
            {
                fits = or_kleene(&fits, &apart).map_err(unevaluated)?;
                unread.push((*at, apart));
            }
            rows = Some(match rows {
                None => fits,
                Some(rows) => and(&rows, &fits).map_err(unevaluated)?,
            });
        }
        let Some(rows) = rows else { return Ok(None) };
        for (at, apart) in unread {
            let lost = and(&rows, &apart).map_err(unevaluated)?.true_count();
            if lost > 0 {
                let name = &self.names[&at];
                let text = format!(
                    "`filter` compares the column {name}, and {lost} of its values can't be read as its type: compare it as \
                     text (without `types`), or make them NULL with `edge-values: null`"
                );
                return Err(Fault::new(FailureCode::ValueRefused, text));
            }
        }
        Ok(Some(rows))
    }
}

fn unevaluated(_: arrow::error::ArrowError) -> Fault {
    Fault::new(FailureCode::WorkerBug, "a condition could not be evaluated on its column")
}

/// Rows whose value stands only in its twin; none where there are none.
fn apart(column: &Column) -> Result<Option<BooleanArray>, arrow::error::ArrowError> {
    let Some(texts) = column.altered.as_ref().filter(|_| column.twin) else { return Ok(None) };
    let apart = and(&is_not_null(texts)?, &is_null(&column.values)?)?;
    Ok((apart.true_count() > 0).then_some(apart))
}

fn check(condition: &Condition, column: &SourceColumn) -> Result<Check, String> {
    let value = match (condition.op, &condition.value) {
        (Op::IsNull, None) => return Ok(Check::Null(true)),
        (Op::NotNull, None) => return Ok(Check::Null(false)),
        (Op::IsNull | Op::NotNull, Some(_)) => return Err("`is_null` and `not_null` take no value".into()),
        (_, None) => return Err("the comparison needs a value".into()),
        (_, Some(value)) => value,
    };
    let ordered = !matches!(condition.op, Op::Eq | Op::Ne);
    match column.compared {
        Compared::No => return Err(format!("a column of the type {} can only be tested for NULL", column.source)),
        Compared::Equal if ordered => {
            return Err(format!("a column of the type {} can only be compared with eq and ne", column.source));
        }
        Compared::Equal | Compared::Ordered => {}
    }
    let unreadable = || format!("the value can't be read as {}", column.source);
    match &column.data_type {
        DataType::Float32 | DataType::Float64 => {
            let number: f64 = value.trim().parse().map_err(|_| unreadable())?;
            if number.is_nan() { Err(unreadable()) } else { Ok(Check::Float(condition.op, number)) }
        }
        data_type => {
            if let DataType::Decimal128(_, scale) = data_type {
                let fraction = value.split_once('.').map_or("", |(_, fraction)| fraction.trim_end_matches('0'));
                if value.contains(['e', 'E']) || fraction.len() > usize::try_from(*scale).unwrap_or(0) {
                    return Err(format!("the value has more than {scale} digits after the point"));
                }
            }
            let text: ArrayRef = std::sync::Arc::new(StringArray::from(vec![value.as_str()]));
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let typed = cast_with_options(&text, data_type, &strict).map_err(|_| unreadable())?;
            if typed.is_null(0) { Err(unreadable()) } else { Ok(Check::Exact(condition.op, Scalar::new(typed))) }
        }
    }
}

impl Check {
    fn rows(&self, column: &Column) -> Result<BooleanArray, arrow::error::ArrowError> {
        let values = &column.values;
        match self {
            Self::Null(wanted) => {
                // A value that the column's type can't hold stands as text beside a NULL: it is there all the same.
                let nulls = is_null(values)?;
                let nulls = column.altered.as_ref().map_or(Ok(nulls.clone()), |texts| and(&nulls, &is_null(texts)?))?;
                if *wanted { Ok(nulls) } else { not(&nulls) }
            }
            Self::Exact(op, value) => {
                let (left, right): (&dyn Datum, &dyn Datum) = (values, value);
                match op {
                    Op::Eq => cmp::eq(left, right),
                    Op::Ne => cmp::neq(left, right),
                    Op::Lt => cmp::lt(left, right),
                    Op::Le => cmp::lt_eq(left, right),
                    Op::Gt => cmp::gt(left, right),
                    _ => cmp::gt_eq(left, right),
                }
            }
            Self::Float(op, value) => {
                let wide = cast(values, &DataType::Float64)?;
                let wide: &Float64Array = wide.as_primitive();
                let compare = |number: f64| match op {
                    Op::Eq => number == *value,
                    Op::Ne => number != *value,
                    Op::Lt => number < *value,
                    Op::Le => number <= *value,
                    Op::Gt => number > *value,
                    _ => number >= *value,
                };
                Ok(wide.iter().map(|number| number.map(compare)).collect())
            }
        }
    }
}

//! Reads columns into the model's types. A value that does not fit is `Unreadable` with the column's name, never a panic.

use std::str::FromStr;

use sqlx::Row;
use sqlx::any::AnyRow;
use waybill_model::Micros;

use crate::error::{StoreError, StoreResult};

/// A row struct of this crate.
pub(crate) trait FromRow: Sized {
    fn from_row(row: &AnyRow) -> StoreResult<Self>;
}

pub(crate) fn all<T: FromRow>(rows: &[AnyRow]) -> StoreResult<Vec<T>> {
    rows.iter().map(T::from_row).collect()
}

pub(crate) fn one<T: FromRow>(row: Option<AnyRow>) -> StoreResult<Option<T>> {
    row.map(|row| T::from_row(&row)).transpose()
}

pub(crate) fn text(row: &AnyRow, column: &'static str) -> StoreResult<String> {
    row.try_get(column).map_err(|_| StoreError::Unreadable { column })
}

pub(crate) fn opt_text(row: &AnyRow, column: &'static str) -> StoreResult<Option<String>> {
    row.try_get(column).map_err(|_| StoreError::Unreadable { column })
}

pub(crate) fn bytes(row: &AnyRow, column: &'static str) -> StoreResult<Vec<u8>> {
    row.try_get(column).map_err(|_| StoreError::Unreadable { column })
}

pub(crate) fn int(row: &AnyRow, column: &'static str) -> StoreResult<i64> {
    row.try_get(column).map_err(|_| StoreError::Unreadable { column })
}

pub(crate) fn opt_int(row: &AnyRow, column: &'static str) -> StoreResult<Option<i64>> {
    row.try_get(column).map_err(|_| StoreError::Unreadable { column })
}

pub(crate) fn count(row: &AnyRow, column: &'static str) -> StoreResult<u64> {
    u64::try_from(int(row, column)?).map_err(|_| StoreError::Unreadable { column })
}

pub(crate) fn opt_count(row: &AnyRow, column: &'static str) -> StoreResult<Option<u64>> {
    opt_int(row, column)?.map(|n| u64::try_from(n).map_err(|_| StoreError::Unreadable { column })).transpose()
}

pub(crate) fn flag(row: &AnyRow, column: &'static str) -> StoreResult<bool> {
    Ok(int(row, column)? != 0)
}

pub(crate) fn time(row: &AnyRow, column: &'static str) -> StoreResult<Micros> {
    int(row, column).map(Micros)
}

pub(crate) fn opt_time(row: &AnyRow, column: &'static str) -> StoreResult<Option<Micros>> {
    Ok(opt_int(row, column)?.map(Micros))
}

/// An id or a value of a closed enum.
pub(crate) fn parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> StoreResult<T> {
    text(row, column)?.parse().map_err(|_| StoreError::Unreadable { column })
}

pub(crate) fn opt_parsed<T: FromStr>(row: &AnyRow, column: &'static str) -> StoreResult<Option<T>> {
    opt_text(row, column)?.map(|t| t.parse().map_err(|_| StoreError::Unreadable { column })).transpose()
}

/// A count as it is stored; one beyond the column's range is kept at its end.
pub(crate) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

//! Which columns of a table a stream takes, and under which names: the same for every source.
//!
//! It decides before a row is read, so that a misspelt column ends a run at once.

use std::collections::HashMap;

use waybill_model::FailureCode;
use waybill_model::plan::Columns;
use waybill_pipeline::{Fault, FaultResult};

/// A chosen column: its place in the table, and its name in the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Place in the source's list.
    pub at: usize,
    /// Name in the destination.
    pub name: String,
}

/// Applies `select`, `drop` and `rename` to the source's column names, in that order.
pub fn choose(columns: &Columns, source: &[impl AsRef<str>]) -> FaultResult<Vec<Chosen>> {
    let place: HashMap<&str, usize> = source.iter().enumerate().map(|(at, name)| (name.as_ref(), at)).collect();
    let named = columns.select.iter().map(|c| ("select", c)).chain(columns.drop.iter().map(|c| ("drop", c)));
    for (key, name) in named.chain(columns.rename.keys().map(|c| ("rename", c))) {
        if !place.contains_key(name.as_str()) {
            let text = format!("`columns.{key}` names the column {name}, which the source does not have");
            return Err(Fault::new(FailureCode::ColumnNotFound, text));
        }
    }
    let picked: Vec<usize> = if columns.select.is_empty() {
        (0..source.len()).collect()
    } else {
        columns.select.iter().map(|name| place[name.as_str()]).collect()
    };
    let mut chosen: Vec<Chosen> = Vec::with_capacity(picked.len());
    for at in picked {
        let own = source[at].as_ref();
        if columns.drop.iter().any(|name| name == own) {
            continue;
        }
        let name = columns.rename.get(own).map_or(own, String::as_str);
        if chosen.iter().any(|other| other.name.to_lowercase() == name.to_lowercase()) {
            let text = format!("two columns would be named {name} (names that differ only in case are one)");
            return Err(Fault::new(FailureCode::ColumnNameUnusable, text));
        }
        chosen.push(Chosen { at, name: name.to_owned() });
    }
    if chosen.is_empty() {
        return Err(Fault::new(FailureCode::ColumnNotFound, "no column is left after `select` and `drop`"));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(select: &[&str], drop: &[&str], rename: &[(&str, &str)]) -> Columns {
        Columns {
            select: select.iter().map(ToString::to_string).collect(),
            drop: drop.iter().map(ToString::to_string).collect(),
            rename: rename.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect(),
        }
    }

    #[test]
    fn select_orders_drop_removes_and_rename_names() {
        let chosen = choose(&columns(&["c", "a"], &["a"], &[("c", "z")]), &["a", "b", "c"]).expect("chosen");
        assert_eq!(chosen, [Chosen { at: 2, name: "z".into() }]);
    }

    #[test]
    fn an_unknown_column_is_named_with_its_key() {
        let fault = choose(&columns(&[], &["ssn"], &[]), &["a"]).expect_err("unknown");
        assert_eq!(fault.code, FailureCode::ColumnNotFound);
        assert!(fault.text.for_customer().contains("columns.drop"));
    }

    #[test]
    fn names_that_differ_only_in_case_need_a_rename() {
        let fault = choose(&columns(&[], &[], &[]), &["Id", "ID"]).expect_err("clash");
        assert_eq!(fault.code, FailureCode::ColumnNameUnusable);
        assert!(choose(&columns(&[], &[], &[("ID", "id2")]), &["Id", "ID"]).is_ok());
    }
}

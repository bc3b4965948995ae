//! Which columns of a table a stream takes, and under which names: the same for every source.
//!
//! It decides before a row is read, so that a misspelt column ends a run at once.

use std::collections::{BTreeSet, HashMap};

use waybill_model::FailureCode;
use waybill_model::plan::{Checksums, Columns, Deletes, Load, StreamPlan};
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

/// Columns in which the source itself allows no NULL and no two rows with the same values in all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unique {
    /// Their names in the source.
    pub columns: Vec<String>,
    /// Whether they are the primary key.
    pub is_primary: bool,
}

/// Rows of (index, column, whether it is the primary key's), an index's behind each other, as what each holds unique. An
/// index of which a column is not one (none here) proves nothing.
pub fn unique(rows: impl IntoIterator<Item = (String, Option<String>, bool)>) -> Vec<Unique> {
    let rows: Vec<_> = rows.into_iter().collect();
    let one = |index: &[(String, Option<String>, bool)]| {
        let columns = index.iter().map(|(_, column, _)| column.clone()).collect::<Option<Vec<String>>>()?;
        Some(Unique { columns, is_primary: index.first().is_some_and(|(.., is_primary)| *is_primary) })
    };
    rows.chunk_by(|one, other| one.0 == other.0).filter_map(one).collect()
}

/// The key of a `changed` stream in the destination's names, proven by what the source holds unique; none for other loads.
/// It is the columns of one such proof and no others: by a column more, a row that changes in it would stay in the table.
pub fn key(
    stream: &StreamPlan,
    source: &[impl AsRef<str>],
    chosen: &[Chosen],
    unique: &[Unique],
) -> FaultResult<Vec<String>> {
    if stream.load != Load::Changed {
        return Ok(Vec::new());
    }
    let unusable = |text: String| Fault::new(FailureCode::KeyUnusable, text);
    let named: Vec<&str> = if stream.key.is_empty() {
        let primary = unique.iter().find(|unique| unique.is_primary).ok_or_else(|| {
            unusable(format!("{} has no primary key; name columns that tell its rows apart with `key`", stream.name))
        })?;
        primary.columns.iter().map(String::as_str).collect()
    } else {
        stream.key.iter().map(String::as_str).collect()
    };
    let mut key = Vec::with_capacity(named.len());
    for name in &named {
        let Some(at) = source.iter().position(|column| column.as_ref() == *name) else {
            let text = format!("`key` names the column {name}, which the source does not have");
            return Err(Fault::new(FailureCode::ColumnNotFound, text));
        };
        let taken = chosen.iter().find(|chosen| chosen.at == at);
        let taken = taken.ok_or_else(|| unusable(format!("the key's column {name} is left out by `columns`")))?;
        key.push(taken.name.clone());
    }
    let wanted: BTreeSet<&str> = named.iter().copied().collect();
    if !unique.iter().any(|unique| unique.columns.iter().map(String::as_str).collect::<BTreeSet<_>>() == wanted) {
        let text = format!(
            "the key ({}) is not the columns of the primary key of {}, nor of a unique index over NOT NULL columns",
            named.join(", "),
            stream.name
        );
        return Err(unusable(text));
    }
    Ok(key)
}

/// The stream that a sweep reads: the columns of this key, in its order, of every row that the filter lets pass. None where nobody
/// asks which rows are gone.
pub fn of_keys(stream: &StreamPlan, key: &[String]) -> Option<StreamPlan> {
    if stream.deletes == Deletes::Keep {
        return None;
    }
    let rename = &stream.columns.rename;
    let own = |name: &String| rename.iter().find(|(_, to)| *to == name).map_or(name, |(from, _)| from).clone();
    let columns = Columns { select: key.iter().map(own).collect(), rename: rename.clone(), ..Columns::default() };
    Some(StreamPlan {
        load: Load::Full,
        cursor: None,
        key: Vec::new(),
        deletes: Deletes::Keep,
        columns,
        verify_count: false,
        checksums: Checksums::Off,
        expect: Vec::new(),
        ..stream.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(key: &[&str]) -> StreamPlan {
        let key: Vec<String> = key.iter().map(ToString::to_string).collect();
        serde_json::from_value(serde_json::json!({"name": "t", "load": "changed", "key": key})).expect("a stream")
    }

    fn unique(columns: &[&str], is_primary: bool) -> Unique {
        Unique { columns: columns.iter().map(ToString::to_string).collect(), is_primary }
    }

    #[test]
    fn a_key_is_what_the_source_holds_unique_under_the_names_of_the_table() {
        let names = ["id", "region", "note"];
        let chosen = choose(&columns(&[], &[], &[("id", "order_id")]), &names).expect("chosen");
        let unique = [unique(&["region", "id"], true), unique(&["note"], false)];
        let found = |wanted: &[&str]| key(&changed(wanted), &names, &chosen, &unique);
        assert_eq!(found(&[]).expect("the primary key"), ["region", "order_id"]);
        assert_eq!(found(&["note"]).expect("an index"), ["note"]);
        assert_eq!(found(&["id", "region"]).expect("in any order"), ["order_id", "region"]);
        for other in [&["id"][..], &["note", "id"]] {
            let fault = found(other).expect_err("half a key, or a column more");
            assert_eq!(fault.code, FailureCode::KeyUnusable);
            assert!(fault.text.for_customer().contains("primary key of t, nor"), "{}", fault.text.for_customer());
        }
        assert_eq!(found(&["x"]).expect_err("unknown").code, FailureCode::ColumnNotFound);
    }

    #[test]
    fn a_sweep_reads_the_keys_columns_under_the_names_of_the_table_and_in_its_order() {
        let names = ["a", "b", "c"];
        let mut stream = changed(&[]);
        stream.columns = columns(&[], &["c"], &[("a", "b"), ("b", "a")]);
        let key = ["a".to_owned(), "b".to_owned()];
        assert!(of_keys(&stream, &key).is_none(), "nobody asks");
        stream.deletes = Deletes::Remove;
        let keys = of_keys(&stream, &key).expect("a stream of keys");
        let chosen = choose(&keys.columns, &names).expect("chosen");
        assert_eq!(chosen, [Chosen { at: 1, name: "a".into() }, Chosen { at: 0, name: "b".into() }]);
        assert!(keys.load == Load::Full && keys.cursor.is_none());
    }

    #[test]
    fn a_key_that_is_left_out_or_that_nothing_proves_is_refused() {
        let names = ["id", "note"];
        let chosen = choose(&columns(&["note"], &[], &[]), &names).expect("chosen");
        let fault = key(&changed(&["id"]), &names, &chosen, &[unique(&["id"], true)]).expect_err("left out");
        assert!(fault.text.for_customer().contains("left out"));
        let fault = key(&changed(&[]), &names, &chosen, &[unique(&["note"], false)]).expect_err("no primary key");
        assert!(fault.text.for_customer().contains("no primary key"));
    }

    #[test]
    fn an_index_over_an_expression_proves_nothing() {
        let row = |index: &str, column: Option<&str>| (index.to_owned(), column.map(str::to_owned), index == "pk");
        let rows =
            [row("pk", Some("a")), row("pk", Some("b")), row("i", Some("c")), row("i", None), row("j", Some("c"))];
        let found = super::unique(rows);
        assert_eq!(found, [unique(&["a", "b"], true), unique(&["c"], false)]);
    }

    fn columns(select: &[&str], drop: &[&str], rename: &[(&str, &str)]) -> Columns {
        Columns {
            select: select.iter().map(ToString::to_string).collect(),
            drop: drop.iter().map(ToString::to_string).collect(),
            rename: rename.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect(),
            ..Columns::default()
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

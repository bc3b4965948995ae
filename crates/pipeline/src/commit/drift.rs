//! How a stream's columns differ from its table's, by name: what was found, and what became of it.
//!
//! It decides nothing. Names stay on the customer's side: in the worker's log, in receipt and state. What leaves are numbers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use waybill_model::receipt::ColumnDrift;

use crate::commit::schema::{Column, bare};

/// Columns of a stream that are not as its table has them. In the record of a commit: what became of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drift {
    /// The table has not: the commit adds them.
    #[serde(rename = "added")]
    pub new: Vec<String>,
    /// The stream has no more: the commit, which is then a replace, takes them away.
    #[serde(rename = "removed")]
    pub gone: Vec<String>,
    /// Of another type; only a replace gives them that.
    pub changed: Vec<Retyped>,
    /// The table has not, and they are left out.
    pub ignored: Vec<String>,
}

/// A column of another type than the table's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retyped {
    /// Its name.
    pub column: String,
    /// Its type in the table.
    pub was: String,
    /// Its type in the stream.
    pub is: String,
}

impl Retyped {
    /// A column of the stream under the name of a twin that the table has.
    fn mixed(column: &str) -> Self {
        let (was, is) = ("the text of another column".to_owned(), "a column of the source".to_owned());
        Self { column: column.to_owned(), was, is }
    }
}

impl Drift {
    /// What stands between these columns. Twins come and go as they are needed, and columns of ours come as they are asked for.
    pub(crate) fn between(table: &[Column], stream: &[Column]) -> Self {
        let in_stream = |name: &str| stream.iter().any(|column| column.name == name);
        let mut drift = Self {
            gone: names(table.iter().filter(|column| column.twin_of().is_none() && !in_stream(&column.name))),
            ..Self::default()
        };
        for column in stream.iter().filter(|column| column.twin_of().is_none()) {
            match table.iter().find(|there| there.name == column.name) {
                None if column.is_own() => {}
                None => drift.new.push(column.name.clone()),
                Some(there) if there.twin_of().is_some() => drift.changed.push(Retyped::mixed(&column.name)),
                Some(there) if bare(&there.kind) != bare(&column.kind) => {
                    let (was, is) = (there.kind_text(), column.kind_text());
                    drift.changed.push(Retyped { column: column.name.clone(), was, is });
                }
                Some(_) => {}
            }
        }
        drift
    }

    /// The same where only names are known: those of a table, which of them are twins, and those of a stream. Where an older
    /// version did not say which are twins, a name tells it: then no column of the stream can be found to be one.
    pub(crate) fn of_names(table: &[&str], twins: Option<&[String]>, stream: &[&str]) -> Self {
        let known: BTreeSet<&str> = table.iter().copied().collect();
        let named: BTreeSet<&str> = stream.iter().copied().collect();
        let is_noted = |name: &str| twins.is_some_and(|twins| twins.iter().any(|twin| twin == name));
        let is_twin = |name: &str| match twins {
            Some(_) => is_noted(name),
            None => name.strip_suffix(super::schema::TWIN).is_some_and(|base| known.contains(base)),
        };
        let gone = table.iter().filter(|name| !named.contains(*name) && !is_twin(name));
        let new = stream.iter().filter(|name| !known.contains(*name));
        let owned = |name: &&str| (*name).to_owned();
        let mixed = stream.iter().filter(|name| is_noted(name)).map(|name| Retyped::mixed(name));
        Self {
            gone: gone.map(owned).collect(),
            new: new.map(owned).collect(),
            changed: mixed.collect(),
            ..Self::default()
        }
    }

    /// How many columns there are of each kind.
    #[must_use]
    pub const fn counts(&self) -> ColumnDrift {
        ColumnDrift {
            new: self.new.len() as u64,
            gone: self.gone.len() as u64,
            changed: self.changed.len() as u64,
            ignored: self.ignored.len() as u64,
        }
    }

    /// What stands in the way of rows that are to stand beside the table's, each column by its name.
    #[must_use]
    pub fn text(&self) -> String {
        let quoted = |names: &[String]| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let mut parts = Vec::new();
        if !self.new.is_empty() {
            parts.push(format!("the table has not: {}", quoted(&self.new)));
        }
        if !self.gone.is_empty() {
            parts.push(format!("the stream has no more: {}", quoted(&self.gone)));
        }
        let retyped =
            self.changed.iter().map(|one| format!("{:?} is {} now and {} in the table", one.column, one.is, one.was));
        parts.extend(retyped);
        parts.join("; ")
    }
}

fn names<'c>(columns: impl Iterator<Item = &'c Column>) -> Vec<String> {
    columns.map(|column| column.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twins_are_told_from_columns_by_their_base_where_only_names_are_known() {
        let table = ["id", "day", "day__text", "old", "lone__text"];
        let drift = Drift::of_names(&table, None, &["id", "day", "more"]);
        assert_eq!((drift.new, drift.gone), (vec!["more".to_owned()], vec!["old".to_owned(), "lone__text".to_owned()]));
        assert_eq!(Drift::of_names(&table[..3], None, &table[..3]), Drift::default());
    }

    #[test]
    fn a_column_of_the_source_that_is_named_as_a_twin_is_none_and_never_takes_a_twins_place() {
        let table = ["id", "day", "day__text"];
        let gone = Drift::of_names(&table, Some(&[]), &["id", "day"]);
        assert_eq!(gone.text(), "the stream has no more: \"day__text\"");
        let twins = ["day__text".to_owned()];
        assert_eq!(Drift::of_names(&table, Some(&twins), &["id", "day"]), Drift::default());
        let mixed = Drift::of_names(&table, Some(&twins), &table);
        assert_eq!(
            mixed.text(),
            "\"day__text\" is a column of the source now and the text of another column in the table"
        );
    }

    #[test]
    fn what_differs_is_told_by_name_and_leaves_as_numbers() {
        let changed = vec![Retyped { column: "n".into(), was: "integer".into(), is: "long".into() }];
        let drift = Drift { new: vec!["a".into(), "b".into()], gone: vec!["c".into()], changed, ignored: Vec::new() };
        let text = drift.text();
        assert_eq!(
            text,
            "the table has not: \"a\", \"b\"; the stream has no more: \"c\"; \"n\" is long now and integer in the table"
        );
        assert_eq!(drift.counts(), ColumnDrift { new: 2, gone: 1, changed: 1, ignored: 0 });
    }
}

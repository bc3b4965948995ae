//! The rows in their place: statements of one transaction, after the fence and before the commit.
//!
//! The table stays the same object, so grants, views, indexes and policies on it stay what they are. Rows that go are
//! deleted and not truncated: whoever reads in an older snapshot still sees them.

use std::collections::BTreeSet;

use waybill_model::FailureCode;
use waybill_model::plan::Load;
use waybill_pipeline::commit::{Delivery, Drift, Retyped, State};
use waybill_pipeline::database::Swept;
use waybill_pipeline::encode::twin_name;
use waybill_pipeline::{Fault, FaultResult};

use super::clear::clear;
use super::copy::Sheet;
use super::fault::of_target;
use super::index;
use super::kind::Column;
use super::relation::{self, Relation, sql};
use super::session::{count, run};
use super::sweep::Keys;
use crate::source::postgres::literal::identifier;
use crate::source::postgres::wire::Wire;

/// What is put in its place.
pub(super) struct Merge<'a> {
    pub(super) schema: &'a str,
    pub(super) table: &'a str,
    pub(super) columns: &'a [Column],
    pub(super) sheet: &'a Sheet,
    /// Places of the columns whose twins the sheet has.
    pub(super) twins: &'a BTreeSet<usize>,
    pub(super) delivery: &'a Delivery,
    /// What was committed last.
    pub(super) state: Option<&'a State>,
    /// The table as it was when the attempt began.
    pub(super) oid: Option<u32>,
    /// The keys of all rows of the source, where they came.
    pub(super) keys: Option<&'a Keys>,
}

/// What the table holds then.
pub(super) struct Merged {
    /// Our columns with their types.
    pub(super) columns: Vec<(String, String)>,
    pub(super) rows: Option<u64>,
    pub(super) swept: Swept,
}

impl Merge<'_> {
    pub(super) async fn apply(&self, wire: &mut Wire) -> FaultResult<Merged> {
        if self.sheet.is_fresh {
            self.check_key(wire, &self.sheet.table, identifier).await?;
            index::make(wire, &self.sheet.table, None, &self.delivery.key).await?;
            let renamed = format!("ALTER TABLE {} RENAME TO {}", self.sheet.table, identifier(self.table));
            run(wire, &renamed).await?;
            let columns = self.wanted(self.twins.iter().copied());
            return Ok(Merged { columns, rows: Some(self.delivery.rows()), swept: Swept::default() });
        }
        let found = self.hold(wire).await?;
        let staged = |name: &str| self.place(name).map_or_else(String::new, |at| self.columns[at].value(at));
        self.check_key(wire, &format!("{} s", self.sheet.table), staged).await?;
        if let (Some(found), Some(keys)) = (&found, self.keys)
            && self.is_even(wire, found, keys).await?
        {
            return Ok(Merged { columns: Vec::new(), rows: None, swept: Swept::default() });
        }
        let columns = match &found {
            None => self.create(wire).await?,
            Some(found) => {
                index::drop_others(wire, self.schema, found, &self.delivery.key).await?;
                self.make_room(wire, found).await?
            }
        };
        index::make(wire, &self.sql(), found.as_ref(), &self.delivery.key).await?;
        let swept = match (&found, self.keys) {
            (Some(found), Some(keys)) => self.sweep(wire, found, keys).await?,
            _ => Swept::default(),
        };
        self.insert(wire, &columns).await?;
        let rows = match self.delivery.load {
            Load::Full => Some(self.delivery.rows()),
            _ if found.is_none() => Some(self.delivery.rows()),
            Load::New => self.state.and_then(|state| state.table_rows).map(|rows| rows + self.delivery.rows()),
            Load::Changed => None,
        };
        Ok(Merged { columns, rows, swept })
    }

    /// Holds the table as it is until the transaction ends, and says what it is. Readers go on; where rows go or others take
    /// their place, whoever else writes waits.
    async fn hold(&self, wire: &mut Wire) -> FaultResult<Option<Relation>> {
        let Some(found) = self.find(wire).await? else { return Ok(None) };
        let mode = if self.delivery.load == Load::New { "ROW EXCLUSIVE" } else { "SHARE ROW EXCLUSIVE" };
        run(wire, &format!("LOCK TABLE {}{} IN {mode} MODE", found.only(), self.sql())).await?;
        self.find(wire).await
    }

    /// The table that was there when the attempt began; none where there was none, and there is none.
    async fn find(&self, wire: &mut Wire) -> FaultResult<Option<Relation>> {
        let found = relation::find(wire, self.schema, self.table).await?;
        if found.as_ref().map(|found| found.oid) == self.oid && found.as_ref().is_none_or(Relation::is_table) {
            return Ok(found);
        }
        let text = format!("{}.{} was made or replaced by something else meanwhile", self.schema, self.table);
        Err(Fault::new(FailureCode::TableChangedByOther, text))
    }

    pub(super) fn sql(&self) -> String {
        sql(self.schema, self.table)
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Columns of ours with the twins of these places, and their types.
    fn wanted(&self, twins: impl Iterator<Item = usize>) -> Vec<(String, String)> {
        let own = self.columns.iter().map(|column| (column.name.clone(), column.kind.clone()));
        own.chain(twins.map(|at| (twin_name(&self.columns[at].name), "text".to_owned()))).collect()
    }

    async fn create(&self, wire: &mut Wire) -> FaultResult<Vec<(String, String)>> {
        let columns = self.wanted(self.twins.iter().copied());
        let listed: Vec<String> = columns.iter().map(|(name, kind)| format!("{} {kind}", identifier(name))).collect();
        run(wire, &format!("CREATE TABLE {} ({})", self.sql(), listed.join(", "))).await?;
        Ok(columns)
    }

    /// Takes the rows away that go and brings the columns in shape; gives our columns.
    async fn make_room(&self, wire: &mut Wire, found: &Relation) -> FaultResult<Vec<(String, String)>> {
        let load = self.delivery.load;
        if load == Load::Full {
            let gone = clear(wire, found, &self.sql()).await?;
            self.check_shrink(gone)?;
        }
        let ours: BTreeSet<&str> =
            self.state.iter().flat_map(|state| state.columns.iter()).map(|(name, _)| name.as_str()).collect();
        let noted = self.state.and_then(|state| state.twins.as_ref());
        let is_twinned = |at: &usize| {
            let twin = twin_name(&self.columns[*at].name);
            let is_there = noted.map_or_else(|| ours.contains(twin.as_str()), |noted| noted.contains(&twin));
            self.twins.contains(at) || (is_there && self.place(&twin).is_none())
        };
        let wanted = self.wanted((0..self.columns.len()).filter(is_twinned));
        if load != Load::Full {
            self.check_columns(found, &ours, &wanted)?;
        }
        for (name, kind) in &wanted {
            let there = found.columns.iter().find(|(found, _)| found == name).map(|(_, kind)| kind);
            let quoted = identifier(name);
            let change = match there {
                Some(there) if there == kind => continue,
                Some(_) => format!("ALTER COLUMN {quoted} TYPE {kind} USING NULL"),
                None => format!("ADD COLUMN {quoted} {kind}"),
            };
            self.alter(wire, found, &change, name).await?;
        }
        for name in ours.iter().filter(|name| found.columns.iter().any(|(found, _)| found == *name)) {
            if wanted.iter().any(|(wanted, _)| wanted == name) {
                continue;
            }
            self.alter(wire, found, &format!("DROP COLUMN {}", identifier(name)), name).await?;
        }
        Ok(wanted)
    }

    /// Refuses columns that can't stand beside the table's, and names each: only twins come by themselves, and what was decided.
    fn check_columns(&self, found: &Relation, ours: &BTreeSet<&str>, wanted: &[(String, String)]) -> FaultResult<()> {
        let mut drift = Drift::default();
        for (place, (name, kind)) in wanted.iter().enumerate() {
            let comes = place >= self.columns.len() || self.delivery.brings(name);
            match found.columns.iter().find(|(found, _)| found == name) {
                Some((_, was)) if was != kind => {
                    drift.changed.push(Retyped { column: name.clone(), was: was.clone(), is: kind.clone() });
                }
                None if !comes => drift.new.push(name.clone()),
                Some(_) | None => {}
            }
        }
        let is_gone = |name: &&str| {
            found.columns.iter().any(|(found, _)| found == name) && !wanted.iter().any(|(wanted, _)| wanted == name)
        };
        drift.gone = ours.iter().copied().filter(|name| is_gone(name)).map(str::to_owned).collect();
        if drift == Drift::default() { Ok(()) } else { Err(changed(drift.text())) }
    }

    async fn alter(&self, wire: &mut Wire, found: &Relation, change: &str, column: &str) -> FaultResult<()> {
        run(wire, &format!("ALTER TABLE {}{} {change}", found.only(), self.sql())).await.map_err(|fault| match fault.code {
            FailureCode::SchemaChanged => {
                let text = format!(
                    "the column {column} is another one now, and a view, a rule, a policy, a default or a table that inherits it stands \
                     on it: take that away, or leave the column out"
                );
                Fault { text: waybill_pipeline::CustomerText::new(text), ..fault }
            }
            _ => fault,
        })
    }

    fn check_shrink(&self, before: u64) -> FaultResult<()> {
        let (rows, guard) = (self.delivery.rows(), self.delivery.shrink_guard.min(100));
        if u128::from(rows) * 100 >= u128::from(before) * u128::from(guard) {
            return Ok(());
        }
        let text = format!("the table has {before} rows and this load brings {rows}, less than {guard} %");
        Err(Fault::new(FailureCode::TableShrank, text))
    }

    /// The column of these rows whose twin has this name.
    fn twin(&self, name: &str) -> Option<usize> {
        self.twins.iter().copied().find(|at| twin_name(&self.columns[*at].name) == name)
    }

    async fn insert(&self, wire: &mut Wire, columns: &[(String, String)]) -> FaultResult<()> {
        let value = |place: usize, name: &str| match self.columns.get(place) {
            Some(column) => column.value(place),
            // A twin that the table has, and these rows do not need.
            None => self.twin(name).map_or_else(|| "NULL".to_owned(), |at| format!("s.w{at}")),
        };
        let places = columns.iter().enumerate();
        let (names, values): (Vec<String>, Vec<String>) =
            places.map(|(place, (name, _))| (identifier(name), value(place, name))).unzip();
        let statement = format!(
            "INSERT INTO {} ({}) SELECT {} FROM {} s{}",
            self.sql(),
            names.join(", "),
            values.join(", "),
            self.sheet.table,
            self.upsert(&names)
        );
        let rows = count(wire, &statement).await?;
        if rows == self.delivery.rows() {
            return Ok(());
        }
        let text = format!(
            "{} rows were to come, and the server put {rows} in their place: a trigger or a rule of the table keeps rows out; take it away",
            self.delivery.rows()
        );
        Err(Fault::new(FailureCode::TargetDenied, text))
    }

    /// What becomes of a row whose key is there already: all of it is the new one's, twins too.
    fn upsert(&self, names: &[String]) -> String {
        if self.delivery.load != Load::Changed {
            return String::new();
        }
        let set: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        format!(" ON CONFLICT ({}) DO UPDATE SET {}", self.key(), set.join(", "))
    }

    fn key(&self) -> String {
        self.delivery.key.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ")
    }

    /// A key must be whole in every row: neither NULL nor bent by a policy.
    async fn check_key(&self, wire: &mut Wire, from: &str, value: impl Fn(&str) -> String) -> FaultResult<()> {
        let key = &self.delivery.key;
        if key.is_empty() {
            return Ok(());
        }
        if let Some((name, bent)) = key.iter().find_map(|name| Some((name, self.delivery.coerced.get(name)?))) {
            let text =
                format!("{bent} values of the key's column {name} do not fit its type, so they can't tell rows apart");
            return Err(Fault::new(FailureCode::KeyUnusable, text));
        }
        let absent: Vec<String> = key.iter().map(|name| format!("{} IS NULL", value(name))).collect();
        let asked = format!("SELECT pg_catalog.count(*) FROM {from} WHERE {}", absent.join(" OR "));
        let nulls: u64 = wire.ask_one(&asked).await.map_err(of_target)?.number(0)?;
        if nulls == 0 {
            return Ok(());
        }
        let text = format!("{nulls} of the rows that were read have NULL in the key ({})", key.join(", "));
        Err(Fault::new(FailureCode::KeyViolated, text))
    }
}

fn changed(text: String) -> Fault {
    Fault::new(FailureCode::SchemaChanged, text)
}

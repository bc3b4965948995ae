//! What a source holds as somebody writes to it: chosen by chance, told in the source's words, and kept as a model beside it.

use std::collections::BTreeMap;

use rand::Rng;
use rand::rngs::StdRng;

use super::case::{Case, Cursor, From, Mode, To};
use super::rows::{Cell, Dialect, Kind, Row, cell};

/// The columns that every table begins with, beside `a`, `b` and `rev`.
const FIRST: [(&str, Kind); 4] =
    [("day", Kind::Day), ("note", Kind::Text), ("price", Kind::Price), ("raw", Kind::Bytes)];

/// What was written and not yet committed, or is written at once.
#[derive(Clone, Default)]
pub(super) struct Batch {
    pub(super) sql: String,
    /// Each row that it touches, as it leaves it.
    pub(super) rows: BTreeMap<i64, Option<Row>>,
}

/// What is committed.
#[derive(Clone)]
pub(super) struct Source {
    case: Case,
    pub(super) rows: BTreeMap<i64, Row>,
    pub(super) columns: Vec<(String, Kind)>,
    rev: i64,
    fresh: i64,
    named: usize,
}

impl Source {
    pub(super) fn empty(case: Case) -> Self {
        let kept = |(_, kind): &&(&str, Kind)| case.dialect().is_sql() || *kind != Kind::Bytes;
        let columns = FIRST.iter().filter(kept).map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        Self { case, rows: BTreeMap::new(), columns, rev: 0, fresh: 0, named: 0 }
    }

    /// The statement that makes the table.
    pub(super) fn made(&self) -> String {
        let dialect = self.case.dialect();
        let (b, at) = match dialect {
            Dialect::Postgres => ("TEXT", ", at TIMESTAMPTZ NOT NULL DEFAULT now()"),
            Dialect::MariaDb => {
                ("VARCHAR(20) COLLATE utf8mb4_bin", ", at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)")
            }
            _ => ("TEXT", ""),
        };
        let columns: String =
            self.columns.iter().map(|(name, kind)| format!(", {name} {}", kind.declared(dialect))).collect();
        format!(
            "CREATE TABLE t (a BIGINT NOT NULL, b {b} NOT NULL, rev BIGINT NOT NULL{at}{columns}, PRIMARY KEY (b, a));"
        )
    }

    /// Changes of rows whose numbers lie in a range; where keys come once, new rows only if it is empty. The last one brings or raises a row, so that the newest never is one that goes.
    pub(super) fn write(&mut self, batch: &mut Batch, ids: (i64, i64), many: usize, chance: &mut StdRng) {
        for left in (0..many).rev() {
            let fresh = self.case.keys_come_once();
            let id = if fresh && (left == 0 || ids.0 == ids.1 || chance.random_ratio(2, 3)) {
                self.fresh += 1;
                1000 + self.fresh
            } else if fresh {
                let at = chance.random_range(0..self.rows.len().max(1));
                let Some(id) = self.rows.keys().nth(at) else { continue };
                *id
            } else {
                chance.random_range(ids.0..ids.1)
            };
            let before = batch.rows.get(&id).cloned().unwrap_or_else(|| self.rows.get(&id).cloned());
            match before {
                None if fresh && batch.rows.contains_key(&id) => {}
                None => self.comes(batch, id, chance),
                Some(_) if left > 0 && chance.random_ratio(1, 5) => {
                    batch.sql += &Row::delete(id);
                    batch.rows.insert(id, None);
                }
                Some(row) => self.changes(batch, row, left, chance),
            }
        }
    }

    fn comes(&mut self, batch: &mut Batch, id: i64, chance: &mut StdRng) {
        self.rev += 1;
        let cells = self.columns.iter().map(|(name, kind)| (name.clone(), self.cell(*kind, chance))).collect();
        let row = Row { id, rev: self.rev, cells };
        batch.sql += &row.insert();
        batch.rows.insert(id, Some(row));
    }

    /// Some columns of a row, with or without what its cursor sees.
    fn changes(&mut self, batch: &mut Batch, mut row: Row, left: usize, chance: &mut StdRng) {
        let unseen = match (self.case.cursor, self.case.mode) {
            (Cursor::Transaction, Mode::New) => return,
            (_, Mode::New) if self.case.keys_come_once() => true,
            (Cursor::Number, _) => left > 0 && chance.random_ratio(1, 4),
            _ => false,
        };
        for (name, kind) in &self.columns {
            if chance.random_ratio(1, 2) {
                row.cells.insert(name.clone(), self.cell(*kind, chance));
            }
        }
        if !unseen {
            self.rev += 1;
            row.rev = self.rev;
        }
        batch.sql += &row.update(if unseen { "" } else { self.touched() });
        batch.rows.insert(row.id, Some(row));
    }

    const fn touched(&self) -> &'static str {
        match self.case.dialect() {
            Dialect::Postgres => ", at = now()",
            Dialect::MariaDb => ", at = CURRENT_TIMESTAMP(6)",
            _ => "",
        }
    }

    fn cell(&self, kind: Kind, chance: &mut StdRng) -> Cell {
        let cell = cell(kind, self.case.dialect(), chance);
        if (self.case.from, self.case.to) == (From::Postgres, To::Postgres) { cell.held() } else { cell }
    }

    /// Another shape of the table, in one statement; a batch of rows follows it.
    pub(super) fn reshape(&mut self, chance: &mut StdRng) -> Option<String> {
        let dialect = self.case.dialect();
        let grown = self.columns.iter().filter(|(name, _)| name.starts_with('x')).count();
        if self.case.mode == Mode::Full && grown > 0 && chance.random_ratio(1, 2) {
            let (name, _) = self.columns.remove(self.columns.len() - 1);
            for row in self.rows.values_mut() {
                row.cells.remove(&name);
            }
            return Some(format!("ALTER TABLE t DROP COLUMN {name};"));
        }
        if grown > 6 {
            return None;
        }
        self.named += 1;
        let name = format!("x{}", self.named);
        let kind = [Kind::Number, Kind::Text, Kind::Price][chance.random_range(0..3)];
        self.columns.push((name.clone(), kind));
        let mut sql = format!("ALTER TABLE t ADD COLUMN {name} {}", kind.declared(dialect));
        // Rows that are there have it at once, which no cursor sees.
        let given = kind == Kind::Number && !self.case.is_loose() && chance.random_ratio(1, 2);
        let value = if given { Cell::number(7) } else { Cell::null(dialect) };
        if given {
            sql += " DEFAULT 7";
        }
        for row in self.rows.values_mut() {
            row.cells.insert(name.clone(), value.clone());
        }
        Some(sql + ";")
    }

    /// All rows go at once; a batch of others follows.
    pub(super) fn clear(&mut self) -> String {
        self.rows.clear();
        if self.case.dialect() == Dialect::Sqlite { "DELETE FROM t;".into() } else { "TRUNCATE TABLE t;".into() }
    }

    pub(super) fn commit(&mut self, batch: &Batch) {
        for (id, row) in &batch.rows {
            match row {
                Some(row) => drop(self.rows.insert(*id, row.clone())),
                None => drop(self.rows.remove(id)),
            }
        }
    }

    /// What a source of files holds: its rows dealt out to a few files, whose columns stand in an order of their own.
    pub(super) fn files(&self, chance: &mut StdRng) -> Vec<String> {
        let many = chance.random_range(1..5);
        let deal = |at: usize, chance: &mut StdRng| {
            let rows = self.rows.values().enumerate().filter(move |(n, _)| n % many == at).map(|(_, row)| row);
            let mut columns: Vec<&String> = self.columns.iter().map(|(name, _)| name).collect();
            let by = chance.random_range(0..columns.len());
            columns.rotate_left(by);
            rows.fold(
                if self.case.dialect() == Dialect::Csv { header(&columns) } else { String::new() },
                |text, row| text + &self.line(row, &columns),
            )
        };
        (0..many).map(|at| deal(at, chance)).collect()
    }

    fn line(&self, row: &Row, columns: &[&String]) -> String {
        let (a, b) = Row::key(row.id);
        let cells = columns.iter().filter_map(|name| row.cells.get(*name).map(|cell| (*name, &cell.written)));
        if self.case.dialect() == Dialect::Csv {
            let cells: String = cells.map(|(_, written)| format!(",{written}")).collect();
            return format!("{a},k{b},{}{cells}\n", row.rev);
        }
        let cells: String = cells.map(|(name, written)| format!(",\"{name}\":{written}")).collect();
        format!("{{\"a\":{a},\"b\":\"k{b}\",\"rev\":{}{cells}}}\n", row.rev)
    }
}

fn header(columns: &[&String]) -> String {
    let names: String = columns.iter().map(|name| format!(",{name}")).collect();
    format!("a,b,rev{names}\n")
}

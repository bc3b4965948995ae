//! Random histories of a source, its runs, kills and other writers: after each run the table holds the source's rows, once each.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use waybill_tests::fault::Marker;
use waybill_tests::proof;
use waybill_tests::readers::{Foreign, change};

use super::fixture::{EVERY, Merging, verified};
use crate::once::Shop;

struct History {
    deletes: &'static str,
    merging: Merging,
    chance: StdRng,
    rev: i64,
    log: Vec<String>,
}

impl History {
    fn begin(deletes: &'static str, seed: u64) -> Self {
        let shop = Shop::with(
            "CREATE TABLE c (a INTEGER NOT NULL, b TEXT NOT NULL, rev INTEGER NOT NULL, note TEXT, price DECIMAL(8,2), raw BLOB,
               PRIMARY KEY (b, a))",
            "",
        );
        let keys = format!("load: changed, cursor: rev, deletes: {deletes}, shrink-guard: off");
        shop.spec(&format!("      c: {{ {keys} }}"), "    files: { size: 1MiB }\n");
        Self {
            deletes,
            merging: Merging(shop),
            chance: StdRng::seed_from_u64(seed),
            rev: 0,
            log: vec![format!("seed {seed}")],
        }
    }

    /// Some rows go where that is looked for, some come, some change; values that a column can't hold among them. The newest
    /// row is none that goes: where all numbers lie below the last one, a run ends.
    fn write(&mut self) {
        let mut sql = String::from("BEGIN;");
        if self.deletes != "keep" {
            let (from, many) = (self.chance.random_range(0..20), self.chance.random_range(0..4));
            sql += &format!("DELETE FROM c WHERE a BETWEEN {from} AND {from} + {many} AND abs(random()) % 3 = 0;");
        }
        for _ in 0..self.chance.random_range(1..60) {
            self.rev += 1;
            let key = self.chance.random_range(0..400);
            let (a, b) = (key % 20, format!("k{}", key / 20));
            let price = match self.chance.random_range(0..10) {
                0 => "'a lot'".to_owned(),
                1 => "NULL".to_owned(),
                _ => format!("{}.5", self.chance.random_range(0..1000)),
            };
            let (rev, size) = (self.rev, self.chance.random_range(0..8000));
            sql += &format!(
                "INSERT INTO c VALUES ({a}, '{b}', {rev}, 'note {rev}', {price}, randomblob({size}))
                 ON CONFLICT DO UPDATE SET rev = excluded.rev, note = excluded.note, price = excluded.price, raw = excluded.raw;"
            );
        }
        self.merging.0.sql(&(sql + "COMMIT;"));
        self.log.push(format!("up to rev {}", self.rev));
    }

    /// A run that is killed at some step, or not at all.
    fn run(&mut self, step: usize) {
        if self.chance.random_ratio(1, 4) {
            let point = EVERY[self.chance.random_range(0..EVERY.len())];
            let marker = Marker::at(self.merging.0.path(&format!("fired-{step}")));
            let mut worker = self.merging.0.command("waybill-worker-faults");
            let order = marker.order(&format!("{point}=kill"));
            drop(worker.env("WAYBILL_FAULT", order).output().expect("run the worker"));
            self.log.push(format!("a run killed at {point}"));
        }
        self.merging.0.delivered();
        self.log.push("a run".to_owned());
    }

    fn meddle(&mut self) {
        let foreign = match self.chance.random_range(0..6) {
            0 => Foreign::Compact,
            1 => Foreign::Checkpoint,
            2 => Foreign::CleanUp,
            _ => return,
        };
        change(&self.merging.0.table("c"), foreign).expect("delta-rs");
        self.log.push(format!("{foreign:?}"));
    }

    fn check(&self) {
        let exact = "a, b, rev, note, raw";
        if self.deletes == "mark" {
            self.merging.is_the_source_but_for_marks("c", exact, "rev");
        } else {
            self.merging.is_the_source("c", exact, "rev");
        }
        assert!(verified(&self.merging.0));
    }
}

/// Goes through a history, in which the table is the source after each run.
fn goes_through(deletes: &'static str) {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_123);
    let mut history = History::begin(deletes, seed);
    for step in 0..proof::runs(12) {
        history.write();
        history.run(step);
        let told = history.log.join("\n");
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history.check()));
        assert!(checked.is_ok(), "the history that led there:\n{told}");
        history.meddle();
    }
}

#[test]
fn after_every_run_of_a_random_history_the_table_is_the_source() {
    goes_through("keep");
}

#[test]
fn after_every_run_of_a_random_history_with_deletions_the_table_is_the_source() {
    goes_through("remove");
}

#[test]
fn after_every_run_of_a_random_history_the_rows_without_a_mark_are_the_source() {
    goes_through("mark");
}

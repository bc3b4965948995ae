//! Random histories of a source, its runs, kills and other writers: after each run the table holds the source's rows, once each.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use waybill_tests::fault::Marker;
use waybill_tests::proof;
use waybill_tests::readers::{Foreign, change};

use super::fixture::{EVERY, Merging, verified};
use crate::once::Shop;

struct History {
    merging: Merging,
    chance: StdRng,
    rev: i64,
    log: Vec<String>,
}

impl History {
    fn begin(seed: u64) -> Self {
        let shop = Shop::with(
            "CREATE TABLE c (a INTEGER NOT NULL, b TEXT NOT NULL, rev INTEGER NOT NULL, note TEXT, price DECIMAL(8,2), raw BLOB,
               PRIMARY KEY (b, a))",
            "",
        );
        shop.spec("      c: { load: changed, cursor: rev }", "    files: { size: 1MiB }\n");
        Self { merging: Merging(shop), chance: StdRng::seed_from_u64(seed), rev: 0, log: vec![format!("seed {seed}")] }
    }

    /// Some rows come, some change; values that a column can't hold among them.
    fn write(&mut self) {
        let mut sql = String::from("BEGIN;");
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
        self.merging.is_the_source("c", exact, "rev");
        assert!(verified(&self.merging.0));
    }
}

#[test]
fn after_every_run_of_a_random_history_the_table_is_the_source() {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_123);
    let mut history = History::begin(seed);
    for step in 0..proof::runs(12) {
        history.write();
        history.run(step);
        let told = history.log.join("\n");
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| history.check()));
        assert!(checked.is_ok(), "the history that led there:\n{told}");
        history.meddle();
    }
}

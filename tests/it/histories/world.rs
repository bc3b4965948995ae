//! One history as it happens: somebody writes, runs come and are broken, another writer tidies up, and after each run the table is
//! held against what it must hold.

mod runs;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};
use waybill_tests::readers::Foreign;

use super::case::{Case, Cursor, Fault, From};
use super::oracle::{Forms, Table};
use super::origin::Origin;
use super::source::{Batch, Source};
use super::target::Target;

/// What other writers do between runs.
const OTHERS: [Foreign; 4] = [Foreign::Compact, Foreign::Checkpoint, Foreign::CleanUp, Foreign::SplitCheckpoint];

/// How often each thing happened.
pub(super) type Counts = BTreeMap<String, usize>;

pub(super) struct World {
    case: Case,
    seed: u64,
    folder: tempfile::TempDir,
    origin: Origin,
    target: Target,
    source: Source,
    table: Table,
    forms: Forms,
    /// What an open transaction, and one that was prepared, will have written.
    open: Option<Batch>,
    prepared: Option<Batch>,
    begun: i64,
    pub(super) counts: Counts,
    pub(super) log: Vec<String>,
}

impl World {
    pub(super) async fn begin(case: Case, seed: u64) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (origin, target) = (Origin::start(&case, folder.path()).await?, Target::start(&case, folder.path()).await?);
        let source = Source::empty(case);
        origin.run(&source.made()).await?;
        let mut world = Self {
            case,
            seed,
            folder,
            origin,
            target,
            source,
            table: Table::empty(case),
            forms: Forms::default(),
            open: None,
            prepared: None,
            begun: 0,
            counts: Counts::new(),
            log: Vec::new(),
        };
        let mut chance = world.chance("begin");
        world.writes(String::new(), 40, &mut chance).await?;
        Ok(world)
    }

    /// What happens in a step hangs on the seed, the case and the step alone: others may be left out.
    fn chance(&self, step: &str) -> StdRng {
        let digest = Sha256::digest(format!("{}/{}/{step}", self.seed, self.case.name));
        StdRng::from_seed(digest.into())
    }

    pub(super) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
        self.log.push(what.to_owned());
    }

    /// One step. Every fourth one lets all that is open come to an end, and begins with what the others left found whole.
    pub(super) async fn step(&mut self, number: usize) -> Result<()> {
        let mut chance = self.chance(&number.to_string());
        self.log.push(format!("step {number}"));
        if number % 4 == 3 {
            self.target.is_whole().await?;
        }
        self.somebody_writes(&mut chance).await?;
        let rests = self.case.is_loose() && number % 4 == 3;
        if rests {
            self.all_end(&mut chance).await?;
        }
        if number % 2 == 1 {
            self.broken_run(self.fault(number)).await?;
            if !rests && chance.random_ratio(1, 3) {
                return Ok(());
            }
        }
        self.run(!rests, &mut chance).await?;
        if rests {
            self.is_at_rest(&mut chance).await?;
        }
        if chance.random_ratio(1, 3) {
            let other = OTHERS[chance.random_range(0..OTHERS.len())];
            if self.target.change(other)? {
                self.count(&format!("another writer: {other:?}"));
            }
        }
        Ok(())
    }

    /// The end of a history: nothing is open, the table is what the mode says, and the files are whole.
    pub(super) async fn end(&mut self) -> Result<()> {
        let mut chance = self.chance("end");
        self.all_end(&mut chance).await?;
        self.run(false, &mut chance).await?;
        self.is_at_rest(&mut chance).await?;
        self.target.is_whole().await
    }

    /// The faults go round; where a window hangs on a clock, all of them meet a step at which rows come for certain.
    fn fault(&self, number: usize) -> Fault {
        let faults = self.case.faults();
        let at = match (self.case.is_loose(), number % 4) {
            (false, _) => number / 2,
            (true, 3) => number / 4,
            (true, _) => number / 4 + faults.len() / 2,
        };
        let first = usize::try_from(self.seed % 1000).unwrap_or(0);
        faults[(at + first) % faults.len()]
    }

    pub(super) fn runs(&self) -> usize {
        self.counts.get("run").copied().unwrap_or(0)
    }

    async fn somebody_writes(&mut self, chance: &mut StdRng) -> Result<()> {
        let (many, kind, late) = (chance.random_range(1..40), chance.random_range(0..20), chance.random_range(0..10));
        if self.case.others_stay_open() && late < 4 {
            self.somebody_is_late(late, chance).await?;
        }
        // SQLite has one writer at a time, and nobody changes a table that others write to.
        let alone = self.open.is_none() && self.prepared.is_none();
        if !alone && self.case.from == From::Sqlite {
            return Ok(());
        }
        let mut first = String::new();
        if alone
            && kind < 2
            && let Some(sql) = self.source.reshape(chance)
        {
            self.count("columns changed");
            first = sql;
        } else if alone && kind == 2 && self.case.may_be_cleared() {
            self.count("all rows went");
            first = self.source.clear();
        }
        if kind < 18 { self.writes(first, many, chance).await } else { Ok(()) }
    }

    /// A transaction that stays open while runs come and go, goes on, and ends in one way or the other.
    async fn somebody_is_late(&mut self, what: u32, chance: &mut StdRng) -> Result<()> {
        if let Some(batch) = self.prepared.take_if(|_| what == 0) {
            self.origin.end_prepared("COMMIT").await?;
            self.committed(&batch);
            self.count("prepared commit");
        }
        if self.open.is_none() && self.prepared.is_some() && what > 1 {
            return Ok(());
        }
        let mut batch = self.open.take().unwrap_or_else(|| {
            self.begun += 1;
            Batch::default()
        });
        batch.sql.clear();
        let ids = self.late_ids();
        self.source.write(&mut batch, ids, chance.random_range(1..10), chance);
        if self.case.from == From::Postgres && chance.random_ratio(1, 3) {
            // What is undone within it never was.
            let mut undone = self.source.clone();
            let mut never = batch.clone();
            never.sql.clear();
            undone.write(&mut never, ids, 3, chance);
            batch.sql += &format!("SAVEPOINT s; {} ROLLBACK TO s;", never.sql);
        }
        self.origin.run_open(&batch.sql).await?;
        match chance.random_range(0..8) {
            0..3 => {
                self.origin.end_open("COMMIT").await?;
                self.committed(&batch);
                self.count("late commit");
            }
            3 => {
                self.origin.end_open("ROLLBACK").await?;
                self.count("late rollback");
            }
            4 if self.case.from == From::Postgres && self.prepared.is_none() => {
                self.origin.end_open("PREPARE TRANSACTION 'late'").await?;
                self.prepared = Some(batch);
                self.log.push("prepared".into());
            }
            _ => self.open = Some(batch),
        }
        Ok(())
    }

    /// Rows of its own, so that nobody waits for anybody.
    fn late_ids(&self) -> (i64, i64) {
        let from = 300 + 40 * (self.begun % 4);
        if self.case.keys_come_once() { (0, 0) } else { (from, from + 40) }
    }

    async fn writes(&mut self, first: String, many: usize, chance: &mut StdRng) -> Result<()> {
        let mut batch = Batch { sql: first, ..Batch::default() };
        self.source.write(&mut batch, (0, 300), many, chance);
        self.origin.run(&batch.sql).await?;
        self.committed(&batch);
        self.origin.lay(&self.source.files(chance))?;
        self.log.push(format!("{} rows were written", batch.rows.len()));
        Ok(())
    }

    fn committed(&mut self, batch: &Batch) {
        self.source.commit(batch);
        batch.rows.values().flatten().for_each(|row| self.forms.learn(row));
    }

    /// Nothing stays open, and a window's margin passes.
    async fn all_end(&mut self, chance: &mut StdRng) -> Result<()> {
        if let Some(batch) = self.open.take() {
            self.origin.end_open("COMMIT").await?;
            self.committed(&batch);
            self.count("late commit");
        }
        if let Some(batch) = self.prepared.take() {
            self.origin.end_prepared("COMMIT").await?;
            self.committed(&batch);
            self.count("prepared commit");
        }
        self.writes(String::new(), 3, chance).await?;
        if self.case.is_loose() && self.case.cursor == Cursor::Time {
            while !self.origin.is_past_the_margin().await? {
                tokio::time::sleep(std::time::Duration::from_millis(100)).await; // bounded by the test runner
            }
        }
        Ok(())
    }

    /// Runs until nothing comes any more.
    async fn is_at_rest(&mut self, chance: &mut StdRng) -> Result<()> {
        if !self.case.is_loose() {
            return Ok(());
        }
        for _ in 0..10 {
            if self.run(false, chance).await? {
                let found = self.found().await?;
                return self.forms.are_settled(&found, &self.source, self.case.mode).context("at rest");
            }
        }
        bail!("ten runs without rest")
    }
}

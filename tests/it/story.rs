//! The product with one pipeline over rows that are known, for tests that break something and then look at the table.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use waybill_api::run::RunDetail;
use waybill_model::{AttemptId, RunId};
use waybill_tests::binaries::binary;
use waybill_tests::fault::Marker;
use waybill_tests::readers;
use waybill_tests::sandbox::{Options, Sandbox};

pub(super) const ROWS: i64 = 3_000;

/// Random bytes in each row: enough for several files of the least size.
const NOISE: u32 = 2_000;

/// A product, the marker of its fault, and rows `1..=ROWS` in the source of pipeline `items`.
pub(super) struct Story {
    pub(super) sandbox: Sandbox,
    pub(super) marker: Marker,
    _scratch: tempfile::TempDir,
}

/// Rows `1..=many` with so many random bytes each.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) many: i64,
    pub(super) noise: u32,
}

impl Story {
    /// With a pipeline that loads `full` or `new` into a directory, and the options that a marker's place gives.
    pub(super) async fn start(load: &str, options: impl FnOnce(&Marker) -> Result<Options>) -> Result<Self> {
        let story = Self::with_rows(Rows { many: ROWS, noise: NOISE }, options).await?;
        let lake = format!("{{ type: local, path: \"{}\" }}", story.sandbox.path("lake").display());
        story.apply(load, &lake, "files: { size: 1MiB }").await?;
        Ok(story)
    }

    /// With one fault of the worker, such as `first_part=kill`.
    pub(super) async fn with_fault(fault: &str, load: &str) -> Result<Self> {
        Self::start(load, |marker| Ok(Options::default().with_faults(&[marker.order(fault)]))).await
    }

    /// With rows and no pipeline yet.
    pub(super) async fn with_rows(rows: Rows, options: impl FnOnce(&Marker) -> Result<Options>) -> Result<Self> {
        let scratch = tempfile::tempdir()?;
        let marker = Marker::at(scratch.path().join("fired"));
        let sandbox = Sandbox::start(options(&marker)?).await?;
        let story = Self { sandbox, marker, _scratch: scratch };
        story.insert_noisy(1, rows.many, rows.noise)?;
        Ok(story)
    }

    /// Applies the pipeline: how it loads, the connection that it loads into, and more of its keys.
    pub(super) async fn apply(&self, load: &str, lake: &str, keys: &str) -> Result<()> {
        let cursor = if load == "new" { ", cursor: id" } else { "" };
        let document = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{}\" }}\n  lake: {lake}\npipelines:\n  items:\n    \
             from: shop\n    to: lake\n    {keys}\n    streams:\n      items: {{ load: {load}{cursor} }}\n",
            self.sandbox.path("shop.db").display(),
        );
        self.sandbox.apply(&document).await
    }

    /// Adds rows `from..=to` to the source.
    pub(super) fn insert(&self, from: i64, to: i64) -> Result<()> {
        self.insert_noisy(from, to, NOISE)
    }

    fn insert_noisy(&self, from: i64, to: i64, noise: u32) -> Result<()> {
        let mut database = rusqlite::Connection::open(self.sandbox.path("shop.db"))?;
        let transaction = database.transaction()?;
        let table =
            "create table if not exists items (id integer primary key, note text not null, noise blob not null)";
        transaction.execute_batch(table)?;
        for id in from..=to {
            let row = (id, format!("note {id}"), noise);
            transaction.execute("insert into items values (?1, ?2, randomblob(?3))", row)?;
        }
        Ok(transaction.commit()?)
    }

    /// Starts a run and waits until it succeeded, after this many attempts.
    pub(super) async fn delivers(&self, attempts: usize) -> Result<RunDetail> {
        self.succeeds(self.sandbox.trigger("items").await?, attempts).await
    }

    /// Waits until the run succeeded, after this many attempts.
    pub(super) async fn succeeds(&self, run: RunId, attempts: usize) -> Result<RunDetail> {
        let ended = self.sandbox.ended(run).await?;
        succeeded(&ended).with_context(|| self.sandbox.log())?;
        let list = &ended.attempt_list;
        ensure!(list.len() == attempts, "{} attempts, wanted {attempts}: {list:?}\n{}", list.len(), self.sandbox.log());
        Ok(ended)
    }

    /// Asserts that readers of the table find exactly the ids `1..=to`, each with its note.
    pub(super) fn table_is_exactly(&self, to: i64) -> Result<()> {
        holds_exactly(&self.sandbox.path("lake/items"), to)
    }

    /// Commits in the table's log.
    pub(super) fn commits(&self) -> usize {
        let log = std::fs::read_dir(self.sandbox.path("lake/items/_delta_log")).into_iter().flatten().flatten();
        log.filter(|entry| entry.path().extension().is_some_and(|e| e == "json")).count()
    }

    /// Data files that this attempt left in the table's directory.
    pub(super) fn files_of(&self, run: RunId, attempt: AttemptId) -> Result<usize> {
        let directory = self.sandbox.path("lake/items/data").join(run.to_string());
        if !directory.exists() {
            return Ok(0);
        }
        let names = std::fs::read_dir(directory)?.collect::<std::io::Result<Vec<_>>>()?;
        let of_attempt = |name: &str| name.starts_with(&attempt.to_string()) && name.ends_with(".parquet");
        Ok(names.iter().filter(|entry| of_attempt(&entry.file_name().to_string_lossy())).count())
    }

    /// The exit code that the launcher kept for the attempt's process, once it has one; bounded by the test runner.
    pub(super) async fn exit_of(&self, attempt: AttemptId) -> Result<i32> {
        let file = self.sandbox.path("state/attempts").join(attempt.to_string()).join("exit");
        while !file.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(25)).await; // a poll, bounded by the test runner
        }
        let text = std::fs::read_to_string(file)?;
        Ok(text.split_whitespace().next().context("a code")?.parse()?)
    }
}

/// Options with a program before the worker: the first task does this first, in `sh`; every later one works at once.
pub(super) fn first_task(marker: &Marker, script: &str) -> Result<Options> {
    let (fired, worker) = (marker.path().display(), binary("waybill-worker"));
    let text = format!(
        "#!/bin/sh\nif /bin/mkdir {fired}.first 2>/dev/null; then\n  echo first $$ >> {fired}\n  {script}\nfi\n\
         exec {} \"$@\"\n",
        worker.display()
    );
    let program = marker.path().with_extension("sh");
    std::fs::write(&program, text)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700))?;
    Ok(Options::default().with("WORKER__PROGRAM", &program.display().to_string()))
}

/// A line of `sh` that waits until the test releases the marker.
pub(super) fn until_released(marker: &Marker) -> String {
    format!("while [ ! -e {}.go ]; do /bin/sleep 0.05; done", marker.path().display())
}

/// Asserts that DuckDB and delta-rs find exactly the ids `1..=to` in the table at this place, each with its note and with
/// random bytes of its own.
pub(super) fn holds_exactly(table: &Path, to: i64) -> Result<()> {
    let sql = "select count(*), count(distinct id), min(id), max(id), count(distinct noise), \
               count(case when note = 'note ' || cast(id as varchar) then 1 end) from t";
    let rows = readers::query(table, sql)?.agreed();
    let wanted = serde_json::json!([[to, to, 1, to, to, to]]);
    ensure!(rows == wanted, "rows, ids, least, most, noises, right notes: {rows}, wanted {wanted}");
    Ok(())
}

pub(super) fn succeeded(run: &RunDetail) -> Result<()> {
    ensure!(run.run.state.to_string() == "succeeded", "the run ended {}: {:?}", run.run.state, run.run.failure);
    Ok(())
}

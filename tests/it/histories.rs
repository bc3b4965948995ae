//! Random histories: rows come, change and go, transactions commit late, columns come and go, runs are killed, cut and left without an
//! answer, others write to the table. After each run the table is what its mode says of the source, read by others than the product.
//!
//! Each history hangs on a seed, its name and the number of each step. One that fails is made shorter by itself, and says the command
//! that repeats it.

mod case;
mod oracle;
mod origin;
mod rows;
mod source;
mod target;
mod world;

use std::time::{Duration, Instant};

use anyhow::Result;
use case::{Case, Cursor, From, Mode, To};
use waybill_tests::proof;
use world::{Counts, World};

/// So many runs in every run of the tests; `FAULT_RUNS` says how many in a proof.
const USUAL: usize = 6;
/// From so many runs on every fault must have happened.
const MANY: usize = 150;
/// How long a history that failed is made shorter.
const SHORTENING: Duration = Duration::from_secs(180);

/// A history that failed: the steps up to there, and what was wrong.
struct Broken {
    steps: Vec<usize>,
    why: String,
    log: Vec<String>,
}

/// As many of these steps as it takes for so many runs.
async fn goes_through(case: Case, seed: u64, steps: &[usize], runs: usize) -> Result<Counts, Broken> {
    let mut done = Vec::new();
    let broken =
        |steps: Vec<usize>, why: anyhow::Error, log: Vec<String>| Broken { steps, why: format!("{why:#}"), log };
    let mut world = match World::begin(case, seed).await {
        Ok(world) => world,
        Err(why) => return Err(broken(done, why, Vec::new())),
    };
    for step in steps {
        if world.runs() >= runs {
            break;
        }
        done.push(*step);
        if let Err(why) = world.step(*step).await {
            return Err(broken(done, why, world.log));
        }
    }
    match world.end().await {
        Ok(()) => Ok(world.counts),
        Err(why) => Err(broken(done, why.context("after the last step"), world.log)),
    }
}

/// Leaves out steps as long as the history still fails.
async fn shortest(case: Case, seed: u64, mut broken: Broken) -> Broken {
    let begun = Instant::now();
    let mut part = broken.steps.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < broken.steps.len() && begun.elapsed() < SHORTENING {
            let mut fewer = broken.steps.clone();
            fewer.drain(at..(at + part).min(fewer.len()));
            match goes_through(case, seed, &fewer, usize::MAX).await {
                Err(shorter) => broken = shorter,
                Ok(_) => at += part,
            }
        }
        part /= 2;
    }
    broken
}

/// The steps that `STEPS` names.
fn named() -> Option<Vec<usize>> {
    let text = std::env::var("STEPS").ok()?;
    Some(text.split(',').filter(|step| !step.is_empty()).map(|step| step.parse().expect("STEPS=1,2,3")).collect())
}

#[expect(clippy::print_stdout, reason = "what a proof says of itself")]
async fn holds(case: Case) {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_123);
    let (begun, named) = (Instant::now(), named());
    let runs = if named.is_some() { usize::MAX } else { proof::runs(USUAL) };
    let steps = named.unwrap_or_else(|| (0..runs).collect());
    let counts = match goes_through(case, seed, &steps, runs).await {
        Ok(counts) => counts,
        Err(broken) => {
            let first = format!("{}\n{}", broken.why, broken.log.join("\n"));
            let broken = shortest(case, seed, broken).await;
            let steps: Vec<String> = broken.steps.iter().map(ToString::to_string).collect();
            panic!(
                "{first}\n\nshortest:\n{}\n{}\n\nSEED={seed} STEPS={} cargo nextest run --workspace --features waybill-worker/clouds --no-capture -E \
                 'test(=histories::{})'",
                broken.why,
                broken.log.join("\n"),
                steps.join(","),
                case.name
            );
        }
    };
    let told: Vec<String> = counts.iter().map(|(what, many)| format!("{what}={many}")).collect();
    println!("history {} seed={seed} seconds={} {}", case.name, begun.elapsed().as_secs(), told.join(", "));
    if (MANY..usize::MAX).contains(&runs) {
        let never: Vec<String> =
            case.faults().into_iter().map(case::Fault::name).filter(|name| !counts.contains_key(name)).collect();
        assert!(never.is_empty(), "{}: these never happened: {never:?}", case.name);
    }
}

/// A test for each line: its source, mode, cursor and target.
macro_rules! histories {
    ($($name:ident: $from:ident, $mode:expr, $cursor:ident, $to:expr;)*) => { $(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let (mode, to) = ($mode, $to);
            holds(Case { name: stringify!($name), from: From::$from, mode, cursor: Cursor::$cursor, to }).await;
        }
    )* };
}

histories! {
    sqlite_full: Sqlite, Mode::Full, Number, To::Delta;
    sqlite_new: Sqlite, Mode::New, Number, To::Delta;
    sqlite_changed: Sqlite, Mode::Changed("keep"), Number, To::Delta;
    sqlite_changed_removed: Sqlite, Mode::Changed("remove"), Number, To::Delta;
    sqlite_changed_marked: Sqlite, Mode::Changed("mark"), Number, To::Delta;
    postgres_full: Postgres, Mode::Full, Number, To::Delta;
    postgres_new: Postgres, Mode::New, Number, To::Delta;
    postgres_new_by_time: Postgres, Mode::New, Time, To::Delta;
    postgres_new_by_xmin: Postgres, Mode::New, Transaction, To::Delta;
    postgres_changed: Postgres, Mode::Changed("keep"), Number, To::Delta;
    postgres_changed_by_time: Postgres, Mode::Changed("keep"), Time, To::Delta;
    postgres_changed_by_xmin: Postgres, Mode::Changed("keep"), Transaction, To::Delta;
    postgres_removed_by_time: Postgres, Mode::Changed("remove"), Time, To::Delta;
    postgres_removed_by_xmin: Postgres, Mode::Changed("remove"), Transaction, To::Delta;
    mariadb_full: MariaDb, Mode::Full, Number, To::Delta;
    mariadb_new: MariaDb, Mode::New, Number, To::Delta;
    mariadb_new_by_time: MariaDb, Mode::New, Time, To::Delta;
    mariadb_changed: MariaDb, Mode::Changed("keep"), Number, To::Delta;
    mariadb_changed_by_time: MariaDb, Mode::Changed("keep"), Time, To::Delta;
    mariadb_removed: MariaDb, Mode::Changed("remove"), Number, To::Delta;
    csv_full: Csv, Mode::Full, Number, To::Delta;
    json_full: Json, Mode::Full, Number, To::Delta;
    sqlite_full_into_csv: Sqlite, Mode::Full, Number, To::Plain("csv");
    sqlite_new_into_json: Sqlite, Mode::New, Number, To::Plain("jsonl");
    sqlite_removed_into_parquet_files: Sqlite, Mode::Changed("remove"), Number, To::Plain("parquet-files");
    sqlite_new_into_s3: Sqlite, Mode::New, Number, To::S3;
    postgres_removed_into_s3: Postgres, Mode::Changed("remove"), Number, To::S3;
    sqlite_full_into_postgres: Sqlite, Mode::Full, Number, To::Postgres;
    postgres_new_into_postgres: Postgres, Mode::New, Number, To::Postgres;
    mariadb_changed_into_postgres: MariaDb, Mode::Changed("keep"), Number, To::Postgres;
}

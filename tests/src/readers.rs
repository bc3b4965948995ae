//! Independent readers of Delta tables, from PyPI: DuckDB's `delta_scan` and delta-rs. They also play the foreign writer.
//!
//! They run in a pinned virtual environment that `deploy/dev/python.sh` makes outside the tree.

use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, bail};
use serde_json::{Value, json};

const PROGRAM: &str = include_str!("readers.py");

/// The rows that one query gave with each reader.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// DuckDB, through delta-kernel-rs.
    pub duckdb: Value,
    /// delta-rs with its own engine.
    pub delta_rs: Value,
}

impl Answer {
    /// The rows, if both readers agree.
    ///
    /// # Panics
    /// Where they differ.
    #[must_use]
    pub fn agreed(self) -> Value {
        assert_eq!(self.duckdb, self.delta_rs, "DuckDB (left) and delta-rs (right) read differently");
        self.duckdb
    }
}

/// Runs a query over `t`, the table in `dir`, with both readers. Times are texts, decimals are texts.
pub fn query(dir: &Path, sql: &str) -> anyhow::Result<Answer> {
    let answer = ask(&json!({"op": "query", "table": dir, "sql": sql}))?;
    Ok(Answer { duckdb: answer["duckdb"].clone(), delta_rs: answer["delta_rs"].clone() })
}

/// Runs a query over `t`, the table in `dir`, with DuckDB alone: in its own words, other files beside the table.
pub fn duckdb(dir: &Path, sql: &str) -> anyhow::Result<Value> {
    let answer = ask(&json!({"op": "query", "table": dir, "sql": sql, "duckdb_alone": true}))?;
    Ok(answer["duckdb"].clone())
}

/// Runs a query over `t`, the table at this address, with delta-rs out of the store itself; `store` is how it is reached.
pub fn in_store(place: &str, store: &Value, sql: &str) -> anyhow::Result<Value> {
    let answer = ask(&json!({"op": "query", "table": place, "store": store, "sql": sql}))?;
    Ok(answer["delta_rs"].clone())
}

/// Runs a query over `t`, the table in `dir` that has the plain commit log, with DuckDB: the newest commit names its files, and
/// each column has the table's type.
pub fn live(dir: &Path, sql: &str) -> anyhow::Result<Value> {
    Ok(ask(&json!({"op": "live", "table": dir, "sql": sql}))?["duckdb"].clone())
}

/// The rows of a query in DuckDB after a statement that makes a table readable there.
pub fn stated(statement: &str, sql: &str) -> anyhow::Result<Value> {
    Ok(ask(&json!({"op": "stated", "table": ".", "statement": statement, "sql": sql}))?["rows"].clone())
}

/// What a parser of an engine's dialect takes statements for, one by one; each is asked for with its engine.
pub fn parsed(statements: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
    let answer = ask(&json!({"op": "parsed", "table": ".", "statements": statements}))?;
    answer["kinds"].as_array().cloned().context("what they are")
}

/// How many of its files each reader looks at, and how many there are, where a column that the table is partitioned by has
/// this value.
pub fn pruned(dir: &Path, (column, value): (&str, &str)) -> anyhow::Result<Value> {
    ask(&json!({"op": "pruned", "table": dir, "column": column, "value": value}))
}

/// What several readers make of the files of text in `dir`, a table with the plain commit log.
#[derive(Clone, Debug)]
pub struct Texts {
    /// The rows of a query over `t`, by DuckDB, in the table's types.
    pub duckdb: Value,
    /// The columns that were asked for, by pyarrow, in the table's types.
    pub pyarrow: Value,
    /// All rows, by Python's own `csv` and `json`, as objects.
    pub python: Value,
    /// The files themselves, unpacked.
    pub texts: Vec<String>,
}

/// Reads the files of text of a table with the plain commit log with each reader.
pub fn texts(dir: &Path, sql: &str, columns: &[&str]) -> anyhow::Result<Texts> {
    let answer = ask(&json!({"op": "plain", "table": dir, "sql": sql, "columns": columns, "texts": true}))?;
    let part = |name: &str| answer[name].clone();
    let texts = serde_json::from_value(part("texts")).context("the files' texts")?;
    Ok(Texts { duckdb: part("duckdb"), pyarrow: part("pyarrow"), python: part("python"), texts })
}

/// The rows of the last of these statements, typed into DuckDB in a directory.
pub fn typed(dir: &Path, sql: &str) -> anyhow::Result<Value> {
    Ok(ask(&json!({"op": "script", "table": dir, "sql": sql}))?["rows"].clone())
}

/// What delta-rs does to a table as a foreign writer.
#[derive(Clone, Copy, Debug)]
pub enum Foreign {
    /// OPTIMIZE: small files become one, no row changes.
    Compact,
    /// OPTIMIZE of the files that are smaller than so many bytes.
    CompactBelow(i64),
    /// Writes a checkpoint of the newest version.
    Checkpoint,
    /// Writes a checkpoint and cleans up the log as after 60 days.
    CleanUp,
    /// The same, and every writer's mark has expired.
    Expire,
    /// The same with a checkpoint in three parts.
    SplitCheckpoint,
    /// Replaces the log by one compacted range.
    CompactLog,
    /// Appends one row with this `id`.
    Append(i64),
    /// Deletes the row with this `id`.
    Delete(i64),
}

/// Lets delta-rs change the table in `dir`.
pub fn change(dir: &Path, change: Foreign) -> anyhow::Result<()> {
    let (op, id) = match change {
        Foreign::Compact => ("compact", 0),
        Foreign::CompactBelow(bytes) => ("compact_below", bytes),
        Foreign::Checkpoint => ("checkpoint", 0),
        Foreign::CleanUp => ("clean_up", 0),
        Foreign::Expire => ("expire", 0),
        Foreign::SplitCheckpoint => ("split_checkpoint", 0),
        Foreign::CompactLog => ("compact_log", 0),
        Foreign::Append(id) => ("append", id),
        Foreign::Delete(id) => ("delete", id),
    };
    ask(&json!({"op": op, "table": dir, "id": id})).map(drop)
}

/// Makes a table in `dir` with delta-rs alone: `id` 1 to 3, and these table settings.
pub fn create(dir: &Path, settings: &Value) -> anyhow::Result<()> {
    ask(&json!({"op": "create", "table": dir, "settings": settings})).map(drop)
}

/// Writes a Parquet file with a column of every type, as another program does: a row of values and a row of NULLs.
pub fn every_parquet_type(file: &Path) -> anyhow::Result<()> {
    ask(&json!({"op": "parquet", "table": file})).map(drop)
}

/// Writes Parquet files without rows into a directory, one for each way in which another program leaves such files: columns
/// `id` and `name`, one row group.
pub fn empty_parquet(dir: &Path) -> anyhow::Result<()> {
    ask(&json!({"op": "empty_parquet", "table": dir})).map(drop)
}

/// Writes Parquet files with INT96 times into a directory, one for each way of writing: `id` from 0, `at` with these times and
/// a NULL, and `fine` with a time of whole nanoseconds beside each.
pub fn int96_parquet(dir: &Path, times: &[&str]) -> anyhow::Result<()> {
    ask(&json!({"op": "int96", "table": dir, "times": times})).map(drop)
}

/// The readers as one process that answers one question after the other: starting them takes longer than most answers.
pub struct Reader {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    said: std::fs::File,
}

impl Reader {
    /// Starts them.
    pub fn start() -> anyhow::Result<Self> {
        let said = tempfile::tempfile()?;
        let mut child = Command::new(python()?)
            .args(["-c", PROGRAM])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(said.try_clone()?)
            .spawn()
            .context("start the readers")?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("the readers' output")?);
        Ok(Self { child, stdin, stdout, said })
    }

    /// The answer to one question. After an error they are gone.
    pub fn ask(&mut self, question: &Value) -> anyhow::Result<Value> {
        let asked = self.stdin.as_mut().context("the readers' input")?.write_all(format!("{question}\n").as_bytes());
        let mut line = String::new();
        if asked.is_err() || self.stdout.read_line(&mut line)? == 0 {
            let mut said = String::new();
            self.said.rewind()?;
            self.said.read_to_string(&mut said)?;
            bail!("{question}: {said}");
        }
        serde_json::from_str(&line).context("the readers' answer")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // At the end of their input they end by themselves.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

fn ask(question: &Value) -> anyhow::Result<Value> {
    Reader::start()?.ask(question)
}

/// The interpreter of the pinned environment.
fn python() -> anyhow::Result<PathBuf> {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    if let Some(python) = PYTHON.get() {
        return Ok(python.clone());
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/dev/python.sh");
    let output = Command::new("bash").arg(script).arg("readers").stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("deploy/dev/python.sh readers failed");
    }
    let path = PathBuf::from(String::from_utf8(output.stdout)?.trim());
    Ok(PYTHON.get_or_init(|| path).clone())
}

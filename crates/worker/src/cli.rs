//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use waybill_model::run::MOST_PREVIEW_ROWS;
use waybill_model::size::{parse_bytes, parse_duration};
use waybill_model::{AttemptId, RunId};
use waybill_pipeline::commit::gc::LEAST_RETENTION;

use crate::attempt::RunArguments;
use crate::guard::Cloud;

/// Moves rows from a source into tables in your own bucket.
#[derive(Parser)]
#[command(name = "waybill-worker", version, about, max_term_width = 110)]
pub(crate) struct Arguments {
    /// Where this image runs: stands in its entry point, so that nothing in a launch request can take it back
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) cloud: Option<Cloud>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run one attempt that an orchestrator steers; its ticket comes over standard input
    Run(RunArguments),
    /// Run one pipeline of a file here and now, without an orchestrator
    Once(OnceArguments),
    /// Check receipts, checksums and the chain of commits of every table below a URL
    Verify(VerifyArguments),
    /// Print the full log of a run from the bucket
    Logs(LogsArguments),
    /// Print the rows that a preview wrote into the bucket, as lines of JSON
    Preview(PreviewArguments),
    /// Delete files that no reader needs any more
    Gc(GcArguments),
    /// Put a table back to an earlier version, cursor included
    Rollback(RollbackArguments),
}

/// Example: `waybill-worker once --spec shop.waybill.yaml --memory 256MiB`
#[derive(Args)]
pub(crate) struct OnceArguments {
    /// The pipeline file
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: PathBuf,
    /// Which pipeline of the file; may be left out where there is one
    #[arg(long, value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// Only this stream; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(crate) stream: Vec<String>,
    /// Read this stream whole, whatever its load, in place of what its table has; may be given several times. Only the named streams run
    #[arg(long, value_name = "NAME", conflicts_with = "preview")]
    pub(crate) reload: Vec<String>,
    /// Begin this stream's window with the first row, whatever cursor its table keeps; rows are merged by their key, so it needs
    /// `load: changed`. May be given several times. Only the named streams run
    #[arg(long, value_name = "NAME", conflicts_with = "preview")]
    pub(crate) forget_cursor: Vec<String>,
    /// Read a range of this stream's cursor once more and merge its rows by their key; the table keeps its cursor. Needs
    /// `load: changed`, and --from, --to or both. Only the named streams run
    #[arg(long, value_name = "NAME", conflicts_with = "preview")]
    pub(crate) backfill: Option<String>,
    /// The range's first bound: 100, 2026-01-31 or 2026-01-31T12:00:00 for a cursor without a zone, 2026-01-31T12:00:00Z for
    /// one with; from the first row on where absent
    #[arg(long, value_name = "VALUE", requires = "backfill", allow_hyphen_values = true)]
    pub(crate) from: Option<String>,
    /// The range's second bound, which is not in it; up to where a window ends where absent
    #[arg(long, value_name = "VALUE", requires = "backfill", allow_hyphen_values = true)]
    pub(crate) to: Option<String>,
    /// Bring no more than so many rows of each stream, as a try: into tables that are not there, are empty, or were filled so. The
    /// next run brings all rows in their place
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["preview", "reload", "forget_cursor", "backfill"])]
    pub(crate) limit: Option<u64>,
    /// Memory that the process may take, such as 256MiB; the spec's or the control group's limit otherwise
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory: Option<u64>,
    /// Accept a table whose epoch stands more than a day in the future, after its clock was mended
    #[arg(long)]
    pub(crate) accept_epoch: bool,
    /// The guard that the pipeline is held against; it is not asked for where absent
    #[arg(long, value_name = "FILE")]
    pub(crate) guard: Option<PathBuf>,
    /// Signatures of `waybill sign`, for a guard that asks for them
    #[arg(long, value_name = "FILE", requires = "guard")]
    pub(crate) signatures: Option<PathBuf>,
    /// Write this many rows of each stream into the bucket, to be looked at there, in place of a run; touches no table
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=MOST_PREVIEW_ROWS))]
    pub(crate) preview: Option<u64>,
    /// Print outcome and receipts as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Example: `waybill-worker verify s3://example-lake/raw`
#[derive(Args)]
pub(crate) struct VerifyArguments {
    /// `file:///directory`, `s3://bucket/prefix`, `azure://account/container/prefix` or `gs://bucket/prefix`: the destination
    /// connection of the pipeline
    pub(crate) url: String,
    /// Leave the content of data files unread: sizes, rows and records only
    #[arg(long)]
    pub(crate) skip_hashes: bool,
    /// Print one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Example: `waybill-worker logs s3://example-lake/raw --run run_01j9x…`
#[derive(Args)]
pub(crate) struct LogsArguments {
    /// `file:///directory`, `s3://bucket/prefix`, `azure://account/container/prefix` or `gs://bucket/prefix`: the destination
    /// connection of the pipeline
    pub(crate) url: String,
    /// The run
    #[arg(long, value_name = "ID")]
    pub(crate) run: RunId,
    /// Only this attempt
    #[arg(long, value_name = "ID")]
    pub(crate) attempt: Option<AttemptId>,
}

/// Example: `waybill-worker preview s3://example-lake/raw --run run_01j9x…`
#[derive(Args)]
pub(crate) struct PreviewArguments {
    /// `file:///directory`, `s3://bucket/prefix`, `azure://account/container/prefix` or `gs://bucket/prefix`: the destination
    /// connection of the pipeline
    pub(crate) url: String,
    /// The run
    #[arg(long, value_name = "ID")]
    pub(crate) run: RunId,
    /// Only this stream: its place in the pipeline, from 0, as its directory is named
    #[arg(long, value_name = "PLACE")]
    pub(crate) stream: Option<u32>,
}

/// Example: `waybill-worker gc s3://example-lake/raw --dry-run`
#[derive(Args)]
pub(crate) struct GcArguments {
    /// `file:///directory`, `s3://bucket/prefix`, `azure://account/container/prefix` or `gs://bucket/prefix`: the destination
    /// connection of the pipeline
    pub(crate) url: String,
    /// Only this table: its directory below the URL, as `verify` prints it
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) table: Option<String>,
    /// How long a file is kept after readers stopped to see it, or after it was written and never was seen: 1h at least
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = retention)]
    pub(crate) retention: Duration,
    /// Delete nothing; say what would be
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// Example: `waybill-worker rollback s3://example-lake/raw --table orders --to-version 41`
#[derive(Args)]
pub(crate) struct RollbackArguments {
    /// `file:///directory`, `s3://bucket/prefix`, `azure://account/container/prefix` or `gs://bucket/prefix`: the destination
    /// connection of the pipeline
    pub(crate) url: String,
    /// The table: its directory below the URL, as `verify` prints it
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) table: String,
    /// The version whose rows readers are to see again; the versions are listed where it is left out
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to_version: Option<u64>,
    /// Change nothing; say what would be
    #[arg(long, requires = "to_version")]
    pub(crate) dry_run: bool,
    /// Print one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text).map_err(|error| error.to_string())
}

fn retention(text: &str) -> Result<Duration, String> {
    let time = parse_duration(text).map_err(|error| error.to_string())?;
    if time < LEAST_RETENTION {
        return Err("1h at least: clocks differ, and readers work on what they saw".to_owned());
    }
    Ok(time)
}

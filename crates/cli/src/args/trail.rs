//! The options of `trail`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use waybill_api::Timestamp;
use waybill_model::Micros;

use crate::complete;

use super::{TEMPLATE, duration};

#[derive(Debug, Subcommand)]
pub(crate) enum Trail {
    /// Holds Waybill's calls to your cloud against an export of CloudTrail, and names what only one side has.
    #[command(
        help_template = TEMPLATE,
        before_help = examples!("waybill trail match ./AWSLogs", "waybill trail match 222222222222_CloudTrail_eu-central-1_20261122T1005Z_x.json.gz --run run_01jd8m…"),
        after_help = "Exits with 0 where both sides have the same calls, with 21 where one has a call of its own, and with 6 for a\n\
                      file that can't be read."
    )]
    Match(Match),
}

#[derive(Debug, Args)]
pub(crate) struct Match {
    /// Files that CloudTrail delivered, .json or .json.gz, or directories of them.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Only what was called for this run.
    #[arg(long, value_name = "RUN", add = complete::runs(), conflicts_with_all = ["since", "until"])]
    pub(crate) run: Option<String>,
    /// From when on: a time such as 2026-11-21T02:00:00Z, or how long ago, such as 24h; the export's first record where absent.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Micros>,
    /// Until when; the export's last record where absent.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Micros>,
    /// The trail that was exported holds write events only: expect neither AssumeRole nor looks at tasks in it.
    #[arg(long)]
    pub(crate) writes_only: bool,
}

/// A time, or a distance back from now.
fn moment(text: &str) -> Result<Micros, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.0);
    }
    let ago = duration(text).map_err(|_| "a time such as 2026-11-21T02:00:00Z, or how long ago, such as 24h")?;
    Ok(Micros(Micros::now().0.saturating_sub(Micros(0).plus(ago).0)))
}

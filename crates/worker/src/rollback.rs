//! `waybill-worker rollback <url>`: puts a table back to an earlier version, or says which there are.
//!
//! With the customer's own credentials and no orchestrator. Its output is for the customer's terminal.

use std::io::Write;
use std::sync::Arc;

use serde_json::json;
use waybill_model::FailureCode;
use waybill_model::size::show_count;
use waybill_pipeline::commit::UpkeepError;
use waybill_pipeline::commit::rollback::{RolledBack, Version, roll_back, versions};
use waybill_pipeline::{Bucket, FaultResult};

use crate::cli::RollbackArguments;
use crate::connect;
use crate::exit::Exit;
use crate::logs::tell;
use crate::terminal;

/// Puts the table back, or lists its versions where none was named.
pub(crate) async fn run(arguments: &RollbackArguments, out: &mut (dyn Write + Send)) -> Exit {
    let done = match arguments.to_version {
        Some(version) => to(arguments, version, out).await,
        None => list(arguments, out).await.map_err(UpkeepError::Failed),
    };
    match done {
        Ok(()) => Exit::Ok,
        Err(UpkeepError::Refused(why)) => {
            terminal::say(&format!("× {why}"));
            Exit::Failed
        }
        Err(UpkeepError::Failed(fault)) if fault.code == FailureCode::TableNotOurs => {
            terminal::no_table(&fault, &arguments.url);
            Exit::Failed
        }
        Err(UpkeepError::Failed(fault)) => {
            tell(&fault);
            Exit::Failed
        }
    }
}

async fn to(arguments: &RollbackArguments, version: u64, out: &mut (dyn Write + Send)) -> Result<(), UpkeepError> {
    let bucket: Arc<dyn Bucket> = connect::bucket_at(&arguments.url).await?;
    let done = roll_back(&bucket, &arguments.table, version, arguments.dry_run).await?;
    // Whoever read the output has seen enough.
    let _ = if arguments.json { writeln!(out, "{:#}", json!(done)) } else { say(&arguments.table, &done, out) };
    Ok(())
}

fn say(table: &str, done: &RolledBack, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let rows = done.rows.map_or_else(String::new, |rows| format!(", {}", show_count(rows, "row")));
    let RolledBack { from, to, removed, .. } = done;
    let restored = show_count(done.restored, "file");
    let Some(version) = done.version else {
        return writeln!(
            out,
            "{table}: from version {from} back to {to}{rows}; {restored} would come back, {removed} would go"
        );
    };
    writeln!(out, "{table}: version {version} is version {to} again{rows}; {restored} came back, {removed} went")?;
    if done.cursor { writeln!(out, "the next run goes on from the cursor of version {to}") } else { Ok(()) }
}

async fn list(arguments: &RollbackArguments, out: &mut (dyn Write + Send)) -> FaultResult<()> {
    let bucket: Arc<dyn Bucket> = connect::bucket_at(&arguments.url).await?;
    let versions = versions(&bucket, &arguments.table).await?;
    let _ = if arguments.json {
        writeln!(out, "{:#}", json!({"table": arguments.table, "versions": versions}))
    } else {
        versions.iter().try_for_each(|version| line(version, out))
    };
    Ok(())
}

fn line(version: &Version, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let at = version.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let operation = version.operation.as_deref().unwrap_or("-");
    // The words are another writer's: nothing in them may steer a terminal.
    let operation: String = operation.chars().filter(|c| !c.is_control()).take(24).collect();
    let run = version.run.map_or_else(|| "another writer".to_owned(), |run| run.to_string());
    writeln!(out, "{:>8}  {at:27}  {operation:14}  {run}", version.version)
}

//! `waybill-worker gc <url>`: deletes the files below a prefix that no reader needs any more.
//!
//! With the customer's own credentials and no orchestrator. Its output is for the customer's terminal: it names tables, and must
//! never be sent anywhere.

use std::io::Write;
use std::sync::Arc;

use serde_json::json;
use waybill_model::size::{show_bytes, show_count};
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::commit::find_tables;
use waybill_pipeline::commit::gc::{Age, Collected, collect};
use waybill_pipeline::{Bucket, Fault};

use crate::cli::GcArguments;
use crate::connect;
use crate::exit::Exit;
use crate::logs::tell;
use crate::terminal;

/// Collects what the arguments name and prints what was found.
pub(crate) async fn run(arguments: &GcArguments, out: &mut (dyn Write + Send)) -> Exit {
    match collected(arguments).await {
        // Whoever read the output has seen enough.
        Ok((url, tables)) => {
            let _ = print(&url, arguments, &tables, out);
            Exit::Ok
        }
        Err(fault) if fault.code == FailureCode::TableNotOurs => {
            terminal::no_table(&fault, &arguments.url);
            Exit::Failed
        }
        Err(fault) => {
            tell(&fault);
            Exit::Failed
        }
    }
}

async fn collected(arguments: &GcArguments) -> Result<(String, Vec<Collected>), Fault> {
    let bucket: Arc<dyn Bucket> = connect::bucket_at(&arguments.url).await?;
    let tables = match &arguments.table {
        Some(table) => vec![table.clone()],
        None => find_tables(&*bucket).await?,
    };
    let mut all = Vec::new();
    let age = Age { retention: arguments.retention, now: Micros::now() };
    for table in tables {
        match collect(&bucket, &table, age, arguments.dry_run).await {
            Ok(collected) => all.push(collected),
            // A directory of which nobody said that it is ours is left alone.
            Err(fault) if fault.code == FailureCode::TableNotOurs && arguments.table.is_none() => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok((bucket.url(), all))
}

fn print(
    url: &str,
    arguments: &GcArguments,
    tables: &[Collected],
    out: &mut (dyn Write + Send),
) -> std::io::Result<()> {
    if arguments.json {
        return writeln!(out, "{:#}", json!({"url": url, "dry_run": arguments.dry_run, "tables": tables}));
    }
    if tables.is_empty() {
        return writeln!(out, "no table of ours was found below {url}");
    }
    for table in tables {
        let verb = if arguments.dry_run { "would delete" } else { "deleted" };
        let count = |files| show_count(files, "file");
        let bytes = show_bytes(table.bytes);
        let kept = if table.kept > 0 { format!("; {} kept for now", count(table.kept)) } else { String::new() };
        writeln!(out, "{}: {verb} {}, {bytes}{kept}", table.table, count(table.files))?;
    }
    Ok(())
}

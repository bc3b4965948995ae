//! `waybill-worker gc <url>`: deletes the files below a prefix that no reader needs any more.
//!
//! With the customer's own credentials and no orchestrator. Its output is for the customer's terminal: it names tables, and must
//! never be sent anywhere.

use std::io::Write;
use std::sync::Arc;

use serde_json::{Value, json};
use waybill_model::size::{show_bytes, show_count};
use waybill_model::{FailureCode, Micros};
use waybill_pipeline::commit::gc::{Age, Collected, collect};
use waybill_pipeline::commit::previews::collect_previews;
use waybill_pipeline::commit::{UpkeepError, find_tables, has_states, key};
use waybill_pipeline::{Bucket, Fault};

use crate::cli::GcArguments;
use crate::connect;
use crate::exit::Exit;
use crate::logs::tell;
use crate::terminal;

/// What became of one table.
type Ended = (String, Result<Collected, UpkeepError>);

/// Collects what the arguments name and prints what was found.
pub(crate) async fn run(arguments: &GcArguments, out: &mut (dyn Write + Send)) -> Exit {
    let (url, tables) = match collected(arguments).await {
        Ok(collected) => collected,
        Err(fault) => {
            tell(&fault);
            return Exit::Failed;
        }
    };
    // Whoever read the output has seen enough.
    let _ = print(&url, arguments, &tables, out);
    let mut exit = Exit::Ok;
    for (table, ended) in &tables {
        match ended {
            Ok(_) => continue,
            Err(UpkeepError::Refused(why)) => terminal::say(&format!("× {why}")),
            Err(UpkeepError::Failed(fault)) if fault.code == FailureCode::TableNotOurs => {
                terminal::no_table(fault, &arguments.url);
            }
            Err(UpkeepError::Failed(fault)) => {
                tell(&Fault::new(fault.code, format!("{table}: {}", fault.text.for_customer())));
            }
        }
        exit = Exit::Failed;
    }
    exit
}

/// Every table is looked after, whatever became of the one before it.
async fn collected(arguments: &GcArguments) -> Result<(String, Vec<Ended>), Fault> {
    let bucket: Arc<dyn Bucket> = connect::bucket_at(&arguments.url).await?;
    let tables = match &arguments.table {
        Some(table) => vec![table.clone()],
        None => find_tables(&*bucket).await?,
    };
    let mut all = Vec::new();
    let age = Age { retention: arguments.retention, now: Micros::now() };
    for table in tables {
        let ended = collect(&bucket, &table, age, arguments.dry_run).await;
        if ended.is_err() && arguments.table.is_none() && matches!(has_states(&*bucket, &table).await, Ok(false)) {
            // A directory of which nobody said that it is ours is left alone, also where its log is one that is not read here.
            continue;
        }
        match ended {
            Err(UpkeepError::Failed(fault)) if fault.code == FailureCode::TableNotOurs && arguments.table.is_none() => {
            }
            ended => all.push((table, ended)),
        }
    }
    if arguments.table.is_none() {
        let found = collect_previews(&*bucket, age, arguments.dry_run).await;
        if !found.as_ref().is_ok_and(|found| found.files + found.kept == 0) {
            all.push((key::PREVIEWS.trim_end_matches('/').to_owned(), found.map_err(UpkeepError::Failed)));
        }
    }
    Ok((bucket.url(), all))
}

fn print(url: &str, arguments: &GcArguments, tables: &[Ended], out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    if arguments.json {
        let tables: Vec<Value> = tables.iter().map(shown).collect();
        return writeln!(out, "{:#}", json!({"url": url, "dry_run": arguments.dry_run, "tables": tables}));
    }
    if tables.is_empty() {
        return writeln!(out, "no table of ours was found below {url}");
    }
    for table in tables.iter().filter_map(|(_, ended)| ended.as_ref().ok()) {
        let verb = if arguments.dry_run { "would delete" } else { "deleted" };
        let count = |files| show_count(files, "file");
        let bytes = show_bytes(table.bytes);
        let kept = if table.kept > 0 { format!("; {} kept for now", count(table.kept)) } else { String::new() };
        writeln!(out, "{}: {verb} {}, {bytes}{kept}", table.table, count(table.files))?;
    }
    Ok(())
}

/// A table in JSON; one that failed has its problem.
fn shown((table, ended): &Ended) -> Value {
    match ended {
        Ok(collected) => json!(collected),
        Err(UpkeepError::Refused(why)) => json!({"table": table, "problem": {"text": why}}),
        Err(UpkeepError::Failed(fault)) => {
            json!({"table": table, "problem": {"code": fault.code, "text": fault.text.for_customer()}})
        }
    }
}

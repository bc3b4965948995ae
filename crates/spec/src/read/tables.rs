//! Tables that two streams of one file would both write. Each would refuse the other's commits at run time.

use std::collections::HashMap;

use waybill_model::plan::{StreamPlan, System};

use super::child;
use crate::diagnostic::{Code, Findings, show};
use crate::document::Document;
use crate::tree::Node;

/// One table: where it stands, its schema where it has one, and its name.
type Table = (String, Option<String>, String);

/// Tells of each table that has two writers. In a bucket names that differ in case are two tables; in a database names are what
/// its server reads them as.
pub(super) fn check_tables(root: &Node, document: &Document, found: &mut Findings) {
    let mut writers: HashMap<Table, (&str, &str)> = HashMap::new();
    for entry in child(root, "pipelines") {
        let Some(pipeline) = document.pipelines.get(&entry.key) else { continue };
        let (from, to) = (document.connections.get(&pipeline.from), document.connections.get(&pipeline.to));
        let Some((to, place)) = to.and_then(|to| Some((to, place(to)?))) else { continue };
        for (stream, plan) in child(&entry.value, "streams").iter().zip(&pipeline.streams) {
            let (schema, table) = table(plan, from, to);
            if let Some((other, first)) = writers.insert((place.clone(), schema, table), (&entry.key, &stream.key)) {
                let message = if other == entry.key {
                    let (first, second) = (show(first), show(&stream.key));
                    format!("streams {first} and {second} of pipeline {} would write one table", show(other))
                } else {
                    let (second, stream) = (show(&entry.key), show(&stream.key));
                    format!("pipelines {} and {second} would write one table: {stream}", show(other))
                };
                found.suggest(
                    Code::TableClash,
                    stream.at,
                    message,
                    "give one of them a connection with another prefix or path, or another `table`",
                );
            }
        }
    }
}

/// The table of a stream: its schema, where it has one, and its name. A name that can't be read is told by the worker.
fn table(stream: &StreamPlan, from: Option<&System>, to: &System) -> (Option<String>, String) {
    let named = match (to, from) {
        (System::Postgres(_), Some(from)) => stream.postgres_table(from).ok(),
        _ => None,
    };
    match named {
        Some((schema, table)) => (Some(schema), table),
        None => (None, stream.table.as_ref().unwrap_or(&stream.name).clone()),
    }
}

/// Where tables stand, without how the place is reached.
fn place(system: &System) -> Option<String> {
    match system {
        System::Local { path } => {
            let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            Some(format!("local:{}:{}", path.starts_with('/'), parts.join("/")))
        }
        System::S3(s3) => {
            Some(format!("s3:{}:{}:{}", s3.access.endpoint.as_deref().unwrap_or_default(), s3.bucket, s3.prefix))
        }
        System::Azure(azure) => {
            let endpoint = azure.access.endpoint.as_deref().unwrap_or_default();
            Some(format!("azure:{endpoint}:{}:{}:{}", azure.account, azure.container, azure.prefix))
        }
        System::Gcs(gcs) => {
            Some(format!("gcs:{}:{}:{}", gcs.access.endpoint.as_deref().unwrap_or_default(), gcs.bucket, gcs.prefix))
        }
        System::Postgres(_) => Some(system.place()),
        System::MySql(_) | System::Sqlite { .. } | System::Files(_) => None,
    }
}

//! Tables that two pipelines of one file would both write. Each would refuse the other's commits at run time.

use std::collections::HashMap;

use waybill_model::plan::System;

use super::{Settings, child};
use crate::diagnostic::{Code, Findings, show};
use crate::document::Document;
use crate::tree::Node;

/// Tells of each table that has two writers. Names that differ in case are two tables.
pub(super) fn check_tables(root: &Node, document: &Document, found: &mut Findings) {
    let mut writers: HashMap<(String, &str), &str> = HashMap::new();
    for entry in child(root, "pipelines") {
        let system = document.pipelines.get(&entry.key).and_then(|this| document.connections.get(&this.to));
        let Some(place) = system.and_then(place) else { continue };
        for stream in child(&entry.value, "streams") {
            let table = Settings::of(&stream.value).text("table").unwrap_or(&stream.key);
            let table = (place.clone(), table);
            if let Some(other) = writers.insert(table, &entry.key) {
                let message = format!(
                    "pipelines {} and {} would write one table: {}",
                    show(other),
                    show(&entry.key),
                    show(&stream.key)
                );
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

//! `waybill-worker verify <url>`: whether the tables below a prefix are what their records say.
//!
//! It needs the customer's own credentials and no orchestrator, and it only reads. Its output is for the customer's
//! terminal: it names files, and must never be sent anywhere.

use std::io::Write;

use anyhow::Context;
use serde_json::json;
use waybill_model::size::{show_count, show_number};
use waybill_pipeline::Bucket;
use waybill_pipeline::commit::{TableReport, audit_table, find_tables};

/// How to verify.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Compare sizes, rows and records only, and leave the content of data files unread.
    pub skip_hashes: bool,
    /// Print one JSON document instead of text.
    pub json: bool,
}

/// Audits every table below the bucket's prefix and prints what was found. True where all is well; a prefix without
/// any table is not.
pub async fn run(bucket: &dyn Bucket, options: Options, out: &mut (dyn Write + Send)) -> anyhow::Result<bool> {
    let mut reports = Vec::new();
    for table in find_tables(bucket).await.map_err(|fault| customer_error(&fault))? {
        let report = audit_table(bucket, &table, !options.skip_hashes).await;
        reports.push(report.map_err(|fault| customer_error(&fault))?);
    }
    let ok = !reports.is_empty() && reports.iter().all(TableReport::is_ok);
    let printed = if options.json {
        let document = json!({"url": bucket.url(), "ok": ok, "tables": reports});
        writeln!(out, "{document:#}")
    } else {
        print(&bucket.url(), &reports, out)
    };
    printed.context("the report could not be printed")?;
    Ok(ok)
}

/// The customer is the one who reads this, so the whole text may stand in the error.
fn customer_error(fault: &waybill_pipeline::Fault) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", fault.code, fault.text.for_customer())
}

fn print(url: &str, reports: &[TableReport], out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    if reports.is_empty() {
        writeln!(out, "no table was found below {url}")?;
    }
    for report in reports {
        let version = report.version.map_or_else(|| "-".to_owned(), |version| version.to_string());
        let word = if report.is_ok() { "ok" } else { "FAILED" };
        writeln!(
            out,
            "{word:6} {}  version {version}, {} in {}, {}; {}, {}, {} compared",
            report.table,
            show_count(report.rows, "row"),
            show_count(report.files, "file"),
            show_count(report.bytes, "byte"),
            show_count(report.commits, "commit"),
            show_count(report.receipts, "receipt"),
            if report.hashed == 1 { "1 hash".to_owned() } else { format!("{} hashes", show_number(report.hashed)) },
        )?;
        if report.foreign_files > 0 {
            let (files, verb) =
                (show_count(report.foreign_files, "file"), if report.foreign_files == 1 { "has" } else { "have" });
            writeln!(out, "       {files} of other writers {verb} no receipt")?;
        }
        for problem in &report.problems {
            writeln!(out, "       {}: {}", problem.code, problem.text)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_connectors::bucket::local::LocalBucket;

    async fn verify(dir: &std::path::Path, json: bool) -> (bool, String) {
        let bucket = LocalBucket::open(dir).expect("a bucket");
        let mut out = Vec::new();
        let ok = run(&bucket, Options { json, ..Options::default() }, &mut out).await.expect("a report");
        (ok, String::from_utf8(out).expect("text"))
    }

    #[tokio::test]
    async fn verify_says_what_is_wrong_in_text_and_json() {
        let dir = tempfile::tempdir().expect("a directory");
        let (ok, text) = verify(dir.path(), false).await;
        assert!(!ok && text.starts_with("no table was found below file:///"), "{text}");
        let log = dir.path().join("orders/_delta_log");
        std::fs::create_dir_all(&log).expect("a log");
        std::fs::write(log.join("00000000000000000000.json"), "{").expect("a damaged commit");
        let (ok, text) = verify(dir.path(), false).await;
        assert!(!ok && text.contains("FAILED orders") && text.contains("commit_log_corrupt"), "{text}");
        let (ok, text) = verify(dir.path(), true).await;
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert!(!ok && document["ok"] == false);
        assert_eq!(document["tables"][0]["problems"][0]["code"], "commit_log_corrupt");
    }
}

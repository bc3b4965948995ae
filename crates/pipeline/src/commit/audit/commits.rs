//! Commits, states and receipts against each other.

use std::collections::{BTreeMap, BTreeSet};

use waybill_model::plan::Load;
use waybill_model::{Epoch, FailureCode};

use super::{TableReport, files as data};
use crate::bucket::Bucket;
use crate::commit::digest::DigestKey;
use crate::commit::listing::Listing;
use crate::commit::log::{Head, Ours, Told};
use crate::commit::record::{self, FileRecord, Loaded, ReceiptFile, ReceiptMerge};
use crate::commit::{history, key};
use crate::fault::FaultResult;

/// Files of ours by their path in the log, from every state that is sound.
pub(super) type OurFiles = BTreeMap<String, FileRecord>;

/// Checks every commit of ours that is still in the log, and the states that they stand on.
pub(super) async fn check(
    bucket: &dyn Bucket,
    table: &str,
    head: &Head,
    (digest, hash): (&DigestKey, bool),
    report: &mut TableReport,
) -> FaultResult<OurFiles> {
    let mut files = OurFiles::new();
    let commits = commits(bucket, table, head, digest, report).await?;
    report.commits = commits.len() as u64;
    let stamped: BTreeMap<Epoch, &Ours> = commits.iter().map(|ours| (ours.stamp.epoch, ours)).collect();
    let needed: BTreeSet<Epoch> = stamped.keys().copied().chain(head.epoch).collect();
    // A state without a commit belongs to an attempt that did not land; its files are read by nobody.
    let states = bucket.list(&key::states(table), None).await?;
    let there = states.iter().filter_map(|object| history::epoch_of(&object.key));
    for epoch in needed.iter().copied().chain(there).collect::<BTreeSet<_>>() {
        let loaded = match record::load(bucket, table, epoch, digest).await {
            Ok(loaded) => loaded,
            Err(fault) if fault.code == FailureCode::CommitLogCorrupt => {
                report.wrong(&fault);
                continue;
            }
            Err(fault) => return Err(fault),
        };
        if let Some(ours) = stamped.get(&epoch) {
            compare(ours, &loaded, report);
        }
        if needed.contains(&epoch) {
            match &loaded.copy {
                None => receipt(bucket, table, &loaded, (digest, &files), report).await?,
                Some(copy) if needed.contains(&copy.of) => {}
                Some(copy) => repeated(bucket, table, (&loaded, copy.of), (digest, &files), report).await?,
            }
            parent(bucket, table, &loaded, digest, report).await?;
            if loaded.copy.is_none() {
                data::check_aside(bucket, table, &loaded, hash, report).await?;
            }
        }
        files.extend(loaded.files.into_iter().chain(loaded.kept).map(|file| (key::to_log(&file.path), file)));
    }
    Ok(files)
}

/// Commits of ours above the checkpoint, and below it as far as the log is still dense.
async fn commits(
    bucket: &dyn Bucket,
    table: &str,
    head: &Head,
    digest: &DigestKey,
    report: &mut TableReport,
) -> FaultResult<Vec<Ours>> {
    let listing = Listing::read(bucket, (table, head.log), None).await?;
    let newest = head.version.unwrap_or(0);
    let mut commits = Vec::new();
    for version in (0..=newest).rev() {
        if !listing.commits.contains(&version) {
            break;
        }
        let body = bucket.get(&key::version(table, head.log, version), head.log.cap()).await?.unwrap_or_default();
        match Told::by(head.log, version, &body, digest).map(|told| told.ours) {
            Ok(Some(ours)) => commits.push(ours),
            Ok(None) => {}
            Err(fault) => report.wrong(&fault),
        }
    }
    commits.reverse();
    Ok(commits)
}

/// A commit must say what its state says.
fn compare(ours: &Ours, loaded: &Loaded, report: &mut TableReport) {
    let version = ours.version;
    let stamp = &ours.stamp;
    let right = stamp.state == hex::encode(loaded.digest)
        && stamp.receipt == hex::encode(loaded.state.receipt)
        && stamp.parent == loaded.parent.map(hex::encode)
        && stamp.run == loaded.state.run
        && stamp.attempt == loaded.state.attempt;
    if !right {
        report.corrupt(format!("version {version} does not belong to the state of epoch {}", stamp.epoch));
    }
    if let Some(copy) = &loaded.copy {
        let added: Vec<String> = ours.added.iter().map(|(path, ..)| path.clone()).collect();
        if !same(&copy.restored, &added) || !same(&copy.removed, &ours.removed) {
            report.corrupt(format!("version {version} changes other files than the state of epoch {}", stamp.epoch));
        }
        return;
    }
    let adds = loaded.files.iter().chain(&loaded.kept);
    let wanted: BTreeSet<_> = adds.map(|file| (key::to_log(&file.path), file.size, Some(file.stats.clone()))).collect();
    if wanted != ours.added.iter().cloned().collect() {
        report.corrupt(format!("version {version} adds other files than the state of epoch {}", stamp.epoch));
    }
    if loaded.state.load == Load::Changed && !same(&loaded.replaced, &ours.removed) {
        report.corrupt(format!("version {version} removes other files than the state of epoch {}", stamp.epoch));
    }
}

/// Whether two lists name the same, in whatever order.
fn same(one: &[String], other: &[String]) -> bool {
    one.iter().collect::<BTreeSet<_>>() == other.iter().collect()
}

/// The receipt must be there, unedited, and list what the state lists.
async fn receipt(
    bucket: &dyn Bucket,
    table: &str,
    loaded: &Loaded,
    (digest, earlier): (&DigestKey, &OurFiles),
    report: &mut TableReport,
) -> FaultResult<()> {
    let state = &loaded.state;
    let found = record::load_receipt(bucket, table, state.epoch, digest, state.receipt).await?;
    let Some(receipt) = found else {
        report.corrupt(format!("the receipt of epoch {} is missing or was edited", state.epoch));
        return Ok(());
    };
    report.receipts += 1;
    let listed = |files: &[ReceiptFile], of: &[FileRecord]| {
        let listed: BTreeSet<_> = files.iter().map(|f| (&f.path, f.rows, f.bytes, &f.sha256)).collect();
        listed == of.iter().map(|f| (&f.path, f.rows, f.size, &f.sha256)).collect()
    };
    let sum: u64 = receipt.files.iter().map(|file| file.rows).sum();
    let right = listed(&receipt.files, &loaded.files)
        && listed(&receipt.merged.kept, &loaded.kept)
        && same(&receipt.merged.replaced, &loaded.replaced)
        && (receipt.run, receipt.epoch) == (state.run, state.epoch)
        && (receipt.rows, receipt.bytes) == (state.rows, state.bytes)
        && receipt.rows == sum;
    if !right {
        report.corrupt(format!("the receipt of epoch {} lists other files or rows than its state", state.epoch));
    }
    if !adds_up(&receipt.merged, earlier) {
        report.corrupt(format!(
            "the rows that epoch {} kept and replaced are not those of the files that went",
            state.epoch
        ));
    }
    Ok(())
}

/// What a state without rows of its own repeats must be there with its receipt, where no commit of it asks for that any more.
async fn repeated(
    bucket: &dyn Bucket,
    table: &str,
    (copy, of): (&Loaded, Epoch),
    (digest, earlier): (&DigestKey, &OurFiles),
    report: &mut TableReport,
) -> FaultResult<()> {
    match record::load(bucket, table, of, digest).await {
        Ok(original) if original.state.receipt == copy.state.receipt => {
            receipt(bucket, table, &original, (digest, earlier), report).await
        }
        Ok(_) => {
            report.corrupt(format!("the state of epoch {} repeats another receipt", copy.state.epoch));
            Ok(())
        }
        Err(fault) if fault.code == FailureCode::CommitLogCorrupt => {
            report.wrong(&fault);
            Ok(())
        }
        Err(fault) => Err(fault),
    }
}

/// Rows that stayed, rows whose place was taken and rows that were removed are together all rows of the files that went, as those
/// who wrote them counted them. Of another writer's files nobody of ours knows that. What was marked has stayed.
fn adds_up(merged: &ReceiptMerge, earlier: &OurFiles) -> bool {
    let kept: u64 = merged.kept.iter().map(|file| file.rows).sum();
    let before: Option<u64> = merged.replaced.iter().map(|path| Some(earlier.get(path)?.rows)).sum();
    let marked = merged.marked.saturating_add(merged.unmarked);
    kept + merged.rows + merged.removed == merged.rows_before
        && marked <= kept
        && before.is_none_or(|before| before == merged.rows_before)
}

/// The state that this one stands on must be the one that it names.
async fn parent(
    bucket: &dyn Bucket,
    table: &str,
    loaded: &Loaded,
    digest: &DigestKey,
    report: &mut TableReport,
) -> FaultResult<()> {
    let Some(base) = loaded.base else { return Ok(()) };
    match record::load(bucket, table, base, digest).await {
        Ok(before) if Some(before.digest) == loaded.parent => {}
        Ok(_) => report.corrupt(format!("the state of epoch {} names another parent", loaded.state.epoch)),
        Err(fault) if fault.code == FailureCode::CommitLogCorrupt => report.wrong(&fault),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_that_stayed_and_rows_that_were_replaced_are_those_of_the_files_that_went() {
        let file = |path: &str, rows: u64| json!({"path": path, "size": 1, "rows": rows, "sha256": "", "stats": ""});
        let earlier: OurFiles = [("a", 10), ("b", 5)]
            .into_iter()
            .map(|(path, rows)| (path.to_owned(), serde_json::from_value(file(path, rows)).expect("a file")))
            .collect();
        let merged = |rows: u64, before: u64, replaced: &[&str], kept: u64| {
            let kept = json!([{"path": "c", "rows": kept, "bytes": 1, "sha256": ""}]);
            let merged = json!({"rows": rows, "rows_before": before, "replaced": replaced, "kept": kept});
            adds_up(&serde_json::from_value(merged).expect("a merge"), &earlier)
        };
        assert!(merged(3, 15, &["a", "b"], 12));
        assert!(!merged(4, 15, &["a", "b"], 12), "a row more was replaced than is missing");
        assert!(!merged(4, 16, &["a", "b"], 12), "a row more than the files had");
        assert!(!merged(3, 15, &["a"], 12), "a file that did not go was counted");
        assert!(merged(3, 17, &["a", "foreign"], 14), "what another writer's file held nobody of ours knows");
        assert!(!merged(3, 17, &["a", "foreign"], 13));
        let swept = |removed: u64, marked: u64, unmarked: u64| {
            let kept = json!([{"path": "c", "rows": 8, "bytes": 1, "sha256": ""}]);
            let merged = json!({"rows": 3, "rows_before": 15, "replaced": ["a", "b"], "kept": kept, "removed": removed,
                "marked": marked, "unmarked": unmarked});
            adds_up(&serde_json::from_value(merged).expect("a merge"), &earlier)
        };
        assert!(swept(4, 0, 0) && swept(4, 5, 3));
        assert!(!swept(5, 0, 0) && !swept(3, 0, 0), "what was removed is not what is missing");
        assert!(!swept(4, 6, 3), "more rows were marked than stayed");
        assert!(adds_up(&ReceiptMerge::default(), &earlier), "other loads replace nothing");
    }
}

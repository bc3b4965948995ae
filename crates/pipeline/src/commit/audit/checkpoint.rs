//! The newest checkpoint against the commits that it stands for, where they are all there still.

use waybill_model::FailureCode;

use super::TableReport;
use crate::bucket::Bucket;
use crate::commit::digest::DigestKey;
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::log::Head;
use crate::fault::{Fault, FaultResult};

/// A checkpoint is not sealed, and readers believe it before every commit below it.
pub(super) async fn check(
    bucket: &dyn Bucket,
    table: &str,
    head: &Head,
    digest: &DigestKey,
    report: &mut TableReport,
) -> FaultResult<()> {
    if head.log != LogKind::Delta {
        return Ok(());
    }
    let mut listing = Listing::read(bucket, (table, head.log), None).await?;
    let Some((version, keys)) = listing.checkpoints(table).next() else { return Ok(()) };
    let mut told = Head::default();
    match told.load(bucket, version, &keys).await {
        Ok(()) => {}
        Err(fault) if fault.code == FailureCode::CommitLogCorrupt => {
            report.wrong(&fault);
            return Ok(());
        }
        Err(fault) => return Err(fault),
    }
    listing.end_at(Some(version));
    // From the sealed commits alone; where a clean-up took some of them, from the checkpoint before.
    let mut replayed = None;
    for from in [0, version] {
        let mut listing = listing.clone();
        listing.forget_checkpoints(from);
        match Head::default().replay(bucket, table, &listing, Some(digest)).await {
            Ok(head) if head.version == Some(version) => replayed = Some(head),
            Ok(_) => {}
            Err(fault) if is_about_the_table(&fault) => {}
            Err(fault) => return Err(fault),
        }
        if replayed.is_some() {
            break;
        }
    }
    let Some(replayed) = replayed else { return Ok(()) };
    let columns = match (told.columns(), replayed.columns()) {
        (Ok(told), Ok(replayed)) => told == replayed,
        (Err(fault), _) | (_, Err(fault)) if is_about_the_table(&fault) => {
            report.wrong(&fault);
            return Ok(());
        }
        (Err(fault), _) | (_, Err(fault)) => return Err(fault),
    };
    let files = |head: &Head| -> Vec<_> {
        head.files.iter().map(|(path, file)| (path.clone(), file.size, file.partition.clone())).collect()
    };
    for (what, same) in [
        ("files", files(&told) == files(&replayed)),
        ("columns", columns),
        ("protocol", told.protocol == replayed.protocol),
        ("mark of ours", told.epoch == replayed.epoch),
    ] {
        if !same {
            report.corrupt(format!(
                "the checkpoint of {table} at version {version} has another {what} than the commits that it stands for: where they \
                 are right, delete it"
            ));
        }
    }
    Ok(())
}

/// Whether a fault says something of the table, and not of the way to it.
fn is_about_the_table(fault: &Fault) -> bool {
    matches!(fault.code, FailureCode::CommitLogCorrupt | FailureCode::TableFeatureUnsupported)
}

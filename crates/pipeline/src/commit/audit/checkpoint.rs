//! The newest checkpoint against the commits that it stands for, where they are all there still.

use waybill_model::FailureCode;

use super::TableReport;
use crate::bucket::Bucket;
use crate::commit::digest::DigestKey;
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::log::Head;
use crate::fault::FaultResult;

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
    listing.forget_checkpoints(version);
    let replayed = match Head::default().replay(bucket, table, &listing, Some(digest)).await {
        Ok(replayed) if replayed.version == Some(version) => replayed,
        // A clean-up took what it could be compared with.
        Ok(_) => return Ok(()),
        Err(fault) if matches!(fault.code, FailureCode::CommitLogCorrupt | FailureCode::TableFeatureUnsupported) => {
            return Ok(());
        }
        Err(fault) => return Err(fault),
    };
    let files = |head: &Head| -> Vec<_> {
        head.files.iter().map(|(path, file)| (path.clone(), file.size, file.partition.clone())).collect()
    };
    for (what, same) in [
        ("files", files(&told) == files(&replayed)),
        ("columns", told.columns()? == replayed.columns()?),
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

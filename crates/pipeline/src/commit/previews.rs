//! What previews left below the prefix: no table's, so a clean-up knows them by their place alone.

use crate::bucket::Bucket;
use crate::commit::gc::{Age, Collected, delete};
use crate::commit::key;
use crate::fault::FaultResult;

/// Deletes the files of previews that are old enough; with `dry` it only counts them.
pub async fn collect_previews(bucket: &dyn Bucket, age: Age, dry: bool) -> FaultResult<Collected> {
    let mut collected = Collected { table: key::PREVIEWS.trim_end_matches('/').to_owned(), ..Collected::default() };
    let before = age.before();
    let all = bucket.list(key::PREVIEWS, None).await?;
    let (old, young): (Vec<_>, Vec<_>) = all.into_iter().partition(|object| object.modified <= before);
    collected.files = old.len() as u64;
    collected.bytes = old.iter().map(|object| object.size).sum();
    collected.kept = young.len() as u64;
    if !dry {
        delete(bucket, old).await?;
    }
    Ok(collected)
}

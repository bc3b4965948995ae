//! The newest state of a table by its plain log. Each version holds all of it, so that the newest one is enough.
//!
//! The one before it is read too, for the chain; whoever needs what was removed before reads them all. Each lists the whole table,
//! so one is read after the other. Nothing here writes.

use super::PlainCommit;
use crate::bucket::Bucket;
use crate::commit::action::corrupt;
use crate::commit::digest::DigestKey;
use crate::commit::key;
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::log::Head;
use crate::fault::FaultResult;

impl Head {
    /// The table now.
    pub(crate) async fn read_plain(bucket: &dyn Bucket, table: &str, digest: Option<&DigestKey>) -> FaultResult<Self> {
        let mut head = Self { log: LogKind::Plain, ..Self::default() };
        if let Some(newest) = newest(bucket, table, 0).await? {
            head.follow_plain(bucket, table, (newest.saturating_sub(1), newest), digest).await?;
        }
        Ok(head)
    }

    /// The table as it was at a version, with the files that were removed before.
    pub(crate) async fn read_plain_at(
        bucket: &dyn Bucket,
        table: &str,
        digest: Option<&DigestKey>,
        version: Option<u64>,
    ) -> FaultResult<Self> {
        let mut head = Self { log: LogKind::Plain, gone: Some(Default::default()), ..Self::default() };
        if let Some(newest) = newest(bucket, table, 0).await? {
            head.follow_plain(bucket, table, (0, version.unwrap_or(newest).min(newest)), digest).await?;
        }
        Ok(head)
    }

    /// Reads what came after the known version `known`.
    pub(crate) async fn advance_plain(
        &mut self,
        bucket: &dyn Bucket,
        table: &str,
        digest: Option<&DigestKey>,
        known: u64,
    ) -> FaultResult<()> {
        match newest(bucket, table, known + 1).await? {
            Some(newest) => self.follow_plain(bucket, table, (known + 1, newest), digest).await,
            None => Ok(()),
        }
    }

    async fn follow_plain(
        &mut self,
        bucket: &dyn Bucket,
        table: &str,
        (first, last): (u64, u64),
        digest: Option<&DigestKey>,
    ) -> FaultResult<()> {
        for version in first..=last {
            let body = bucket.get(&key::version(table, LogKind::Plain, version), LogKind::Plain.cap()).await?;
            let body = body.ok_or_else(|| corrupt(version, "vanished while it was read"))?;
            let commit = PlainCommit::parse(version, &body, digest)?;
            drop(body);
            self.apply_plain(version, commit)?;
        }
        Ok(())
    }

    pub(crate) fn apply_plain(&mut self, version: u64, commit: PlainCommit) -> FaultResult<()> {
        let epoch = commit.ours.stamp.epoch;
        if self.epoch.is_some_and(|before| before >= epoch) {
            return Err(corrupt(version, "carries an epoch that does not rise"));
        }
        if (self.version.is_some() || version == 0) && !commit.follows(&self.files) {
            return Err(corrupt(version, "names other files than the version before it and its own changes leave"));
        }
        if let Some(gone) = &mut self.gone {
            gone.extend(commit.ours.removed.iter().map(|path| (path.clone(), commit.timestamp)));
            commit.ours.added.iter().for_each(|(path, ..)| {
                gone.remove(path);
            });
        }
        self.link(commit.ours)?;
        (self.files, self.metadata) = (commit.files, Some(commit.metadata));
        (self.epoch, self.version) = (Some(epoch), Some(version));
        self.columns().map(drop)
    }
}

/// The newest version from `first` on; a gap before it is refused.
async fn newest(bucket: &dyn Bucket, table: &str, first: u64) -> FaultResult<Option<u64>> {
    let listing = Listing::read(bucket, (table, LogKind::Plain), Some(first)).await?;
    let mut next = first;
    for version in &listing.commits {
        if *version != next {
            return Err(corrupt(next, "is missing while later versions are there"));
        }
        next += 1;
    }
    Ok(next.checked_sub(1).filter(|newest| *newest >= first && !listing.commits.is_empty()))
}

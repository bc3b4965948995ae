//! Where a replay begins: with the newest checkpoint that can be read, or with the first commit. A checkpoint that is damaged is passed
//! over only where what lies below it is whole. Nothing here writes.

use std::collections::BTreeMap;

use serde::Deserialize;
use waybill_model::FailureCode;

use super::{CHECKPOINT_CAP, Head};
use crate::bucket::Bucket;
use crate::commit::action::corrupt;
use crate::commit::digest::DigestKey;
use crate::commit::kind::LogKind;
use crate::commit::listing::Listing;
use crate::commit::{checkpoint, key};
use crate::fault::{Fault, FaultResult};

impl Head {
    /// The table as it was at a version, with the files that were removed before and everybody's statistics. A version that the log
    /// does not tell of any more is `commit_log_corrupt`.
    pub(crate) async fn read_at(
        bucket: &dyn Bucket,
        (table, log): (&str, LogKind),
        digest: Option<&DigestKey>,
        version: Option<u64>,
    ) -> FaultResult<Self> {
        if log == LogKind::Plain {
            return Self::read_plain_at(bucket, table, digest, version).await;
        }
        let mut listing = Listing::read(bucket, (table, log), None).await?;
        listing.end_at(version);
        let blank = Self { gone: Some(BTreeMap::new()), ..Self::default() };
        blank.replay(bucket, table, &listing, digest).await
    }

    /// Replays the log from its newest checkpoint.
    pub(crate) async fn read(
        bucket: &dyn Bucket,
        (table, log): (&str, LogKind),
        digest: Option<&DigestKey>,
    ) -> FaultResult<Self> {
        if log == LogKind::Plain {
            return Self::read_plain(bucket, table, digest).await;
        }
        if let Some(hint) = last_checkpoint(bucket, table).await? {
            let listing = Listing::read(bucket, (table, log), Some(hint)).await?;
            let newest = listing.checkpoints(table).next();
            let mut head = Self::default();
            if let Some((version, keys)) = newest
                && head.load(bucket, version, &keys).await.map_or_else(passed_over, |()| Ok(true))?
            {
                return head.followed(bucket, table, &listing, digest).await;
            }
            // The hint was wrong, or what it names is damaged.
        }
        let listing = Listing::read(bucket, (table, log), None).await?;
        Self::default().replay(bucket, table, &listing, digest).await
    }

    /// Replays what a listing shows, from its newest checkpoint. One that is damaged is passed over: those below it may be whole, and the
    /// commits below it may still be there.
    pub(crate) async fn replay(
        self,
        bucket: &dyn Bucket,
        table: &str,
        listing: &Listing,
        digest: Option<&DigestKey>,
    ) -> FaultResult<Self> {
        let mut first_damage = None;
        for (version, keys) in listing.checkpoints(table) {
            let mut head = self.clone();
            match head.load(bucket, version, &keys).await {
                Ok(()) => return head.followed(bucket, table, listing, digest).await,
                Err(fault) if fault.code == FailureCode::CommitLogCorrupt => {
                    tracing::warn!(table, version, text = fault.text.for_customer(), "a checkpoint is passed over");
                    first_damage.get_or_insert(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        match (self.followed(bucket, table, listing, digest).await, first_damage) {
            (Err(fault), Some(damage)) if fault.code == FailureCode::CommitLogCorrupt => Err(damage),
            (replayed, _) => replayed,
        }
    }

    /// Follows a listing from the checkpoint that was loaded, if there is one.
    async fn followed(
        mut self,
        bucket: &dyn Bucket,
        table: &str,
        listing: &Listing,
        digest: Option<&DigestKey>,
    ) -> FaultResult<Self> {
        self.follow(bucket, table, listing, digest).await?;
        self.check()?;
        Ok(self)
    }

    /// Begins with a checkpoint. One that is damaged is `commit_log_corrupt`, and leaves a head that is of no use.
    pub(crate) async fn load(&mut self, bucket: &dyn Bucket, version: u64, keys: &[String]) -> FaultResult<()> {
        for key in keys {
            let file = bucket.get(key, CHECKPOINT_CAP).await?;
            let file = file.ok_or_else(|| corrupt(version, "lost a part of its checkpoint while it was read"))?;
            let removals = self.gone.is_some();
            checkpoint::read(file, version, removals, |action| self.apply(action, version))?;
        }
        if self.protocol.is_none() || self.metadata.is_none() {
            return Err(corrupt(version, "has a checkpoint without protocol or metadata"));
        }
        self.version = Some(version);
        self.checkpoint = Some(version);
        Ok(())
    }
}

/// False for a checkpoint that is damaged.
fn passed_over(fault: Fault) -> FaultResult<bool> {
    if fault.code == FailureCode::CommitLogCorrupt { Ok(false) } else { Err(fault) }
}

/// The version that `_last_checkpoint` names. It is a hint: damage to it costs time only.
async fn last_checkpoint(bucket: &dyn Bucket, table: &str) -> FaultResult<Option<u64>> {
    #[derive(Deserialize)]
    struct Last {
        version: u64,
    }
    let key = key::last_checkpoint(&key::log_dir(table, LogKind::Delta));
    let found = bucket.get(&key, 1 << 20).await?;
    Ok(found.and_then(|bytes| serde_json::from_slice::<Last>(&bytes).ok()).map(|last| last.version))
}

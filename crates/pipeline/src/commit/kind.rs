//! Which commit log a table has: Delta's, or the plain one of [`crate::commit::plain`].
//!
//! A table has one of them for good: with two, an attempt that writes the one would not be fenced by a later one that writes
//! the other. Whoever begins a table claims its log with an object that is created only once.

use bytes::Bytes;
use waybill_model::FailureCode;
use waybill_model::plan::Format;

use crate::bucket::{Bucket, Put};
use crate::commit::key;
use crate::commit::log::COMMIT_CAP;
use crate::commit::write::Patience;
use crate::fault::{Fault, FaultResult};

/// The largest claim that is read.
const CAP: u64 = 1024;

/// The largest commit of a plain log. It lists every live file and is read whole, with the one before it, besides what the budget
/// gives out.
const PLAIN_CAP: u64 = 16 << 20;

/// A kind of commit log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogKind {
    /// `_delta_log`, as Delta asks for it.
    #[default]
    Delta,
    /// `_waybill/commits`, which names the live files of each version.
    Plain,
}

impl LogKind {
    /// The log that stands beside files of this format.
    #[must_use]
    pub const fn of(format: Format) -> Self {
        match format {
            Format::Delta => Self::Delta,
            Format::ParquetFiles | Format::Csv | Format::Jsonl => Self::Plain,
        }
    }

    /// The largest commit that is written, and that is read.
    pub(crate) const fn cap(self) -> u64 {
        match self {
            Self::Delta => COMMIT_CAP,
            Self::Plain => PLAIN_CAP,
        }
    }

    /// The log of a table that is there; Delta's where there is none. The first version of a plain log is never cleaned up.
    pub(crate) async fn find(bucket: &dyn Bucket, table: &str) -> FaultResult<Self> {
        let first = bucket.head(&key::version(table, Self::Plain, 0)).await?;
        Ok(if first.is_some() || Self::claimed(bucket, table).await? == Some(Self::Plain) {
            Self::Plain
        } else {
            Self::Delta
        })
    }

    /// Refuses a table, of which this log has nothing, that has the other one.
    pub(crate) async fn check_free(self, bucket: &dyn Bucket, table: &str) -> FaultResult<()> {
        if let Some(other) = Self::claimed(bucket, table).await?.filter(|other| *other != self) {
            return Err(other.instead_of(self, table));
        }
        // A Delta table of before there were claims, or another writer's.
        if self == Self::Plain && !bucket.list(&key::log_dir(table, Self::Delta), None).await?.is_empty() {
            return Err(Self::Delta.instead_of(self, table));
        }
        Ok(())
    }

    /// Makes this log the table's, or refuses where the other one is.
    pub(crate) async fn claim(self, bucket: &dyn Bucket, table: &str) -> FaultResult<()> {
        let (key, mut patience) = (key::claim(table), Patience::new());
        loop {
            let unsettled = match bucket.put_if_absent(&key, Bytes::from_static(self.body())).await {
                Ok(Put::Created) => return Ok(()),
                Ok(Put::Exists) => return self.check_claim(bucket, table).await,
                Ok(Put::Conflict) => Fault::new(FailureCode::BucketFailed, "the store kept answering conflict"),
                Err(error) if error.outcome_unknown => error.into(),
                Err(error) => return Err(error.into()),
            };
            if !patience.wait().await {
                return Err(unsettled);
            }
        }
    }

    async fn check_claim(self, bucket: &dyn Bucket, table: &str) -> FaultResult<()> {
        match Self::claimed(bucket, table).await? {
            Some(found) if found == self => Ok(()),
            Some(other) => Err(other.instead_of(self, table)),
            None => Err(Fault::new(FailureCode::BucketFailed, format!("{} vanished", key::claim(table)))),
        }
    }

    async fn claimed(bucket: &dyn Bucket, table: &str) -> FaultResult<Option<Self>> {
        let key = key::claim(table);
        let Some(body) = bucket.get(&key, CAP).await? else { return Ok(None) };
        let found = [Self::Delta, Self::Plain].into_iter().find(|kind| kind.body() == body.as_ref());
        let damaged = || Fault::new(FailureCode::CommitLogCorrupt, format!("{key} is not as it was written"));
        found.map(Some).ok_or_else(damaged)
    }

    const fn body(self) -> &'static [u8] {
        match self {
            Self::Delta => b"{\"format\":1,\"log\":\"_delta_log\"}",
            Self::Plain => b"{\"format\":1,\"log\":\"_waybill/commits\"}",
        }
    }

    fn instead_of(self, wanted: Self, table: &str) -> Fault {
        let name = |kind| match kind {
            Self::Delta => "a Delta table (`format: parquet`)",
            Self::Plain => "files with the plain commit log (`format: parquet-files`, csv or jsonl)",
        };
        let text = format!(
            "{table} was begun as {} and can't be written as {}: keep its format, or move the whole directory away to begin \
             anew",
            name(self),
            name(wanted)
        );
        Fault::new(FailureCode::SpecRefused, text)
    }
}

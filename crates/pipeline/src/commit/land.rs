//! The commit itself: one conditional put, and finding out what became of it.
//!
//! The bucket decides. After every put, answered or not, the log is read again, since a put of a version that a
//! clean-up has deleted succeeds and counts for nothing. Nothing is ever deleted here.

use waybill_model::epoch::MAX_AHEAD;
use waybill_model::{FailureCode, Micros, fault};

use crate::bucket::Put;
use crate::commit::compose::Intent;
use crate::commit::delivery::{Committed, Outcome, Prepared};
use crate::commit::digest::DigestKey;
use crate::commit::log::Head;
use crate::commit::table::Table;
use crate::commit::write::Patience;
use crate::commit::{history, key, record};
use crate::fault::{Fault, FaultResult};

/// Foreign commits that may come between before the commit is given up.
const REBASES: u32 = 100;

/// Where a landing stands.
struct Landing<'a> {
    table: &'a Table,
    intent: &'a Intent,
    digest: DigestKey,
    head: Head,
    /// A put was sent whose answer was not seen.
    doubt: bool,
    /// The version whose put was answered with success.
    created: Option<u64>,
}

/// Puts the commit on the newest head until it is there, or another's stands in its place. With it the newest head.
pub(crate) async fn land(table: &Table, prepared: &Prepared) -> FaultResult<(Outcome, Head)> {
    let intent = &prepared.plan.intent;
    let digest = DigestKey::find(&*table.bucket).await?;
    let digest = digest.ok_or_else(|| Fault::new(FailureCode::CommitLogCorrupt, "the digest key is missing"))?;
    let head = table.head.clone();
    let mut landing = Landing { table, intent, digest, head, doubt: false, created: None };
    landing.check_old_files().await?;
    landing.refresh().await?;
    let (mut patience, mut rebases) = (Patience::new(), 0);
    loop {
        if let Some(outcome) = landing.settled().await? {
            landing.keep(&outcome).await?;
            return Ok((outcome, landing.head));
        }
        let before = landing.head.version;
        let wait = landing.put(prepared).await?;
        landing.refresh().await?;
        if landing.head.version != before {
            patience = Patience::new();
            rebases += 1;
        } else if wait && !patience.wait().await {
            return Err(landing.unknown("the store gave no clear answer"));
        }
        if rebases > REBASES {
            return Err(landing.unknown("other writers kept coming between"));
        }
    }
}

impl Landing<'_> {
    /// One put on the known head. True where the answer asks to wait before the next one.
    async fn put(&mut self, prepared: &Prepared) -> FaultResult<bool> {
        let version = self.head.version.map_or(0, |version| version + 1);
        let body = match prepared.plan.body(&self.head, &self.digest) {
            Ok(body) => body,
            Err(_) if self.doubt => return Err(self.unknown("an earlier put may still arrive")),
            Err(fault) => return Err(fault),
        };
        fault::point("before_commit_put");
        let answer =
            self.table.bucket.put_if_absent(&key::version(&self.table.dir, self.head.log, version), body).await;
        fault::point("commit_applied");
        match answer {
            Ok(Put::Created) => self.created = Some(version),
            Ok(Put::Exists) => return Ok(true),
            Ok(Put::Conflict) => return Ok(true),
            Err(error) if error.outcome_unknown => {
                self.doubt = true;
                return Ok(true);
            }
            Err(error) if self.doubt => {
                return Err(self.unknown(error.text.for_customer()));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(false)
    }

    /// What was read back, and not answered with success, is told as delivered only once it is safe.
    async fn keep(&self, outcome: &Outcome) -> FaultResult<()> {
        let is_safe = match outcome {
            Outcome::Landed(committed) => !committed.read_back,
            Outcome::Adopted(_) => false,
            Outcome::Overtaken => true,
        };
        if is_safe {
            return Ok(());
        }
        self.table.settle_at(&self.head).await.map_err(|fault| self.unknown(fault.text.for_customer()))
    }

    /// Reads the log again. After a put that may have landed, failing to read it leaves the outcome unknown.
    async fn refresh(&mut self) -> FaultResult<()> {
        let mut patience = Patience::new();
        loop {
            let fault = match self.head.advance(&*self.table.bucket, &self.table.dir, Some(&self.digest)).await {
                Ok(_) => return Ok(()),
                Err(fault) => fault,
            };
            let passing = matches!(
                fault.code,
                FailureCode::BucketUnreachable | FailureCode::BucketFailed | FailureCode::BucketThrottled
            );
            if passing && patience.wait().await {
                continue;
            }
            let sent = self.doubt || self.created.is_some();
            return Err(if sent { self.unknown(fault.text.for_customer()) } else { fault });
        }
    }

    /// How it ended, by the log as it is known now; none where the commit may still be put.
    async fn settled(&self) -> FaultResult<Option<Outcome>> {
        let intent = self.intent;
        if let Some(version) = self.head.version_of(intent.epoch) {
            return Ok(Some(self.landed(version)));
        }
        if self.head.epoch == intent.base {
            let foreign = self.head.version.is_some() && self.head.epoch.is_none();
            if foreign && !self.table.owner.take_over {
                return Err(Fault::new(FailureCode::TableNotOurs, "something else made this table meanwhile"));
            }
            return Ok(None);
        }
        let version = self.head.version.unwrap_or(0);
        let Some(found) = self.head.epoch else {
            return Err(Fault::new(FailureCode::TableNotOurs, "our own marks vanished from the table meanwhile"));
        };
        if found == intent.epoch {
            return Ok(Some(self.landed(self.created.unwrap_or(version))));
        }
        let (bucket, dir) = (&*self.table.bucket, &self.table.dir);
        let newest = record::load(bucket, dir, found, &self.digest).await?;
        if newest.state.run == intent.run {
            return Ok(Some(Outcome::Adopted(newest.delivered(&self.head))));
        }
        if history::stands_on(bucket, dir, &newest, intent.epoch, &self.digest).await? {
            return Ok(Some(self.landed(self.created.unwrap_or(version))));
        }
        if found > intent.epoch {
            return Err(Fault::new(FailureCode::Fenced, "a later run has committed"));
        }
        Ok(Some(Outcome::Overtaken))
    }

    fn landed(&self, version: u64) -> Outcome {
        let first = self.intent.seen.map_or(0, |seen| seen + 1);
        Outcome::Landed(Committed { version, rebased: version != first, read_back: self.created != Some(version) })
    }

    fn unknown(&self, why: &str) -> Fault {
        let (dir, epoch) = (&self.table.dir, self.intent.epoch);
        let text = format!("whether {dir} has the commit of epoch {epoch} could not be read back: {why}");
        Fault::new(FailureCode::CommitUnknown, text)
    }

    /// Files of a long attempt may have fallen to another writer's clean-up: those older than a day must still be there.
    async fn check_old_files(&self) -> FaultResult<()> {
        let started = Micros(self.intent.epoch.0);
        if Micros::now().since(started) <= MAX_AHEAD {
            return Ok(());
        }
        for file in &self.intent.adds {
            let key = format!("{}/{}", self.table.dir, file.path);
            let found = self.table.bucket.head(&key).await?;
            if found.is_none_or(|object| object.size != file.size) {
                let text = format!("{key} is not there any more as it was written; the next attempt writes it anew");
                return Err(Fault::new(FailureCode::BucketFailed, text));
            }
        }
        Ok(())
    }
}

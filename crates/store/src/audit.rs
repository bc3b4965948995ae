//! The audit chain: one per organization, written in the transaction of the change it tells of.
//!
//! Each entry's hash covers its own fields and the hash before it; `audit_head` keeps the last one, so that a cut tail
//! shows too. The head row is locked while an entry is added, so add it last in a transaction.

use std::fmt::Display;

use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use waybill_model::id::AuditId;
use waybill_model::{Micros, OrgId, UserId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, int, opt_text, parsed, text, time};
use crate::{Store, Tx};

/// What somebody did, as it is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose chain.
    pub org: OrgId,
    /// Who: a user's, a worker's or a loop's name in its canonical form.
    pub actor: String,
    /// What was done, such as `run.trigger`.
    pub action: &'static str,
    /// To what: the object's id.
    pub object: String,
    /// How it ended, such as `done` or `refused`.
    pub outcome: &'static str,
    /// From where, if it came from a client.
    pub ip: Option<String>,
    /// SHA-256 of the object before, in hex.
    pub before: Option<String>,
    /// SHA-256 of the object after, in hex.
    pub after: Option<String>,
}

impl AuditEntry {
    /// A change that took effect.
    pub fn done(org: OrgId, actor: impl Into<String>, action: &'static str, object: &impl Display) -> Self {
        Self {
            org,
            actor: actor.into(),
            action,
            object: object.to_string(),
            outcome: "done",
            ip: None,
            before: None,
            after: None,
        }
    }

    /// An attempt that was refused.
    pub fn refused(org: OrgId, actor: impl Into<String>, action: &'static str, object: &impl Display) -> Self {
        Self { outcome: "refused", ..Self::done(org, actor, action, object) }
    }
}

/// An entry of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Whose chain.
    pub org: OrgId,
    /// Its place in the chain, from 1.
    pub seq: i64,
    /// Its id.
    pub id: AuditId,
    /// When, by the database's clock.
    pub at: Micros,
    /// Who.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// How it ended.
    pub outcome: String,
    /// From where.
    pub ip: Option<String>,
    /// SHA-256 of the object before, in hex.
    pub before: Option<String>,
    /// SHA-256 of the object after, in hex.
    pub after: Option<String>,
    /// The hash of the entry before; empty for the first.
    pub prev_hash: String,
    /// SHA-256 over all of the above, in hex.
    pub hash: String,
}

/// The end of a chain that holds together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// Number of entries.
    pub seq: i64,
    /// The last entry's hash; empty where there is none.
    pub hash: String,
}

/// Where a chain does not hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditBreak {
    /// The first entry that is missing, changed or out of place.
    pub seq: i64,
}

impl AuditRow {
    /// The hash that the entry must have. Every field goes in behind its length, so that no two entries read alike.
    fn computed_hash(&self) -> String {
        let (org, id, seq, at) = (self.org.to_string(), self.id.to_string(), self.seq, self.at.0);
        let mut sha = Sha256::new();
        sha.update(b"waybill-audit-1");
        sha.update(seq.to_be_bytes());
        sha.update(at.to_be_bytes());
        for field in [&org, &id, &self.actor, &self.action, &self.object, &self.outcome, &self.prev_hash] {
            sha.update((field.len() as u64).to_be_bytes());
            sha.update(field.as_bytes());
        }
        for field in [&self.ip, &self.before, &self.after] {
            sha.update([u8::from(field.is_some())]);
            let field = field.as_deref().unwrap_or_default();
            sha.update((field.len() as u64).to_be_bytes());
            sha.update(field.as_bytes());
        }
        hex::encode(sha.finalize())
    }
}

impl FromRow for AuditRow {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            seq: int(row, "seq")?,
            id: parsed(row, "id")?,
            at: time(row, "at")?,
            actor: text(row, "actor")?,
            action: text(row, "action")?,
            object: text(row, "object")?,
            outcome: text(row, "outcome")?,
            ip: opt_text(row, "ip")?,
            before: opt_text(row, "before_digest")?,
            after: opt_text(row, "after_digest")?,
            prev_hash: text(row, "prev_hash")?,
            hash: text(row, "hash")?,
        })
    }
}

impl Store {
    /// Adds an entry to its organization's chain. Call it last: it holds the chain's lock until the commit.
    pub async fn audit_append_in_txn(tx: &mut Tx, entry: &AuditEntry) -> StoreResult<AuditRow> {
        let next = tx.sql(
            "insert into audit_head (organization_id, seq, hash) values ($1, 1, '')
             on conflict (organization_id) do update set seq = audit_head.seq + 1
             returning seq, hash, {now} as at",
        );
        let head = sqlx::query(next).bind(entry.org.to_string()).fetch_one(tx.connection()).await?;
        let mut row = AuditRow {
            org: entry.org,
            seq: int(&head, "seq")?,
            id: AuditId::generate(),
            at: time(&head, "at")?,
            actor: entry.actor.clone(),
            action: entry.action.to_owned(),
            object: entry.object.clone(),
            outcome: entry.outcome.to_owned(),
            ip: entry.ip.clone(),
            before: entry.before.clone(),
            after: entry.after.clone(),
            prev_hash: text(&head, "hash")?,
            hash: String::new(),
        };
        row.hash = row.computed_hash();
        sqlx::query(
            "insert into audit (organization_id, seq, id, at, actor, action, object, outcome, ip, before_digest,
                                after_digest, prev_hash, hash)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(row.org.to_string())
        .bind(row.seq)
        .bind(row.id.to_string())
        .bind(row.at.0)
        .bind(&row.actor)
        .bind(&row.action)
        .bind(&row.object)
        .bind(&row.outcome)
        .bind(&row.ip)
        .bind(&row.before)
        .bind(&row.after)
        .bind(&row.prev_hash)
        .bind(&row.hash)
        .execute(tx.connection())
        .await?;
        sqlx::query("update audit_head set hash = $2 where organization_id = $1")
            .bind(row.org.to_string())
            .bind(&row.hash)
            .execute(tx.connection())
            .await?;
        Ok(row)
    }

    /// Entries below `before` (all where none is given), newest first, at most `limit`.
    pub async fn audit_list(&self, org: OrgId, before: Option<i64>, limit: i64) -> StoreResult<Vec<AuditRow>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query(
            "select * from audit where organization_id = $1 and ($2 is null or seq < $2) order by seq desc limit $3",
        )
        .bind(org.to_string())
        .bind(before)
        .bind(limit)
        .fetch_all(reader.connection())
        .await?;
        all(&rows)
    }

    /// How a person signed in, or tried to: entries below `before` (all where none is given), newest first, at most `limit`.
    pub async fn sign_in_list(
        &self,
        org: OrgId,
        user: UserId,
        before: Option<i64>,
        limit: i64,
    ) -> StoreResult<Vec<AuditRow>> {
        let mut reader = self.reader(org).await?;
        // The list is that of the partial index, so that nobody's history walks the chain.
        let rows = sqlx::query(
            "select * from audit where organization_id = $1 and actor = $2
               and action in ('login', 'refresh_token_reused', 'setup')
               and ($3 is null or seq < $3) order by seq desc limit $4",
        )
        .bind(org.to_string())
        .bind(user.to_string())
        .bind(before)
        .bind(limit)
        .fetch_all(reader.connection())
        .await?;
        all(&rows)
    }

    /// Walks the whole chain: its head where it holds together, or the first entry that does not fit.
    pub async fn audit_verify(&self, org: OrgId) -> StoreResult<Result<AuditHead, AuditBreak>> {
        let mut reader = self.reader(org).await?;
        let head = sqlx::query("select seq, hash from audit_head where organization_id = $1")
            .bind(org.to_string())
            .fetch_optional(reader.connection())
            .await?;
        let head = match head {
            Some(row) => AuditHead { seq: int(&row, "seq")?, hash: text(&row, "hash")? },
            None => AuditHead { seq: 0, hash: String::new() },
        };
        let mut last = AuditHead { seq: 0, hash: String::new() };
        loop {
            let rows =
                sqlx::query("select * from audit where organization_id = $1 and seq > $2 order by seq limit 500")
                    .bind(org.to_string())
                    .bind(last.seq)
                    .fetch_all(reader.connection())
                    .await?;
            for row in all::<AuditRow>(&rows)? {
                let fits = row.seq == last.seq + 1 && row.prev_hash == last.hash && row.hash == row.computed_hash();
                if !fits {
                    return Ok(Err(AuditBreak { seq: last.seq + 1 }));
                }
                last = AuditHead { seq: row.seq, hash: row.hash };
            }
            if rows.len() < 500 {
                break;
            }
        }
        // An entry that was added while the chain was walked stands beyond the head that was read first.
        let whole = last.seq > head.seq || last == head;
        Ok(if whole { Ok(last) } else { Err(AuditBreak { seq: last.seq + 1 }) })
    }
}

//! What other sessions are at: the oldest moment at which something began that may still be committed.
//!
//! InnoDB's list of transactions tells when each began; one that has touched no row yet is not in it, but its statement is in
//! the list of processes. Both need the right PROCESS; without it nothing is guessed. InnoDB answers from a cache that nobody
//! can renew while it is read often: so every look changes whether we are in the list ourselves, and counts only once that shows.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use waybill_pipeline::FaultResult;

use super::catalog::Relation;
use super::refusal::{Exchange, Failure};
use super::session::Hello;
use super::wire::Wire;

/// The cache may be renewed when nobody has read it for a tenth of a second.
const STALE: Duration = Duration::from_millis(130);
/// Looks at a cache that stays as it is.
const TRIES: usize = 20;

/// Engines whose open transactions are in InnoDB's list, and those that have none: there the rows of a statement are everybody's
/// when it ends. What a table of another one waits for (RocksDB, FEDERATED, Spider) is in no list here.
const LISTED: [&str; 10] = [
    "InnoDB",
    "MyISAM",
    "MRG_MyISAM",
    "Aria",
    "MEMORY",
    "CSV",
    "ARCHIVE",
    "BLACKHOLE",
    "SEQUENCE",
    "PERFORMANCE_SCHEMA",
];

/// Statements under way, whatever they are called: that of an event is a `Connect`, an array of rows a `Bulk_execute`. Their clocks
/// stand at their beginning. Whoever sleeps has none, and its transaction is in the other list. Last, whether it is who writes
/// what `INSERT DELAYED` left behind: its clock says nothing of the rows.
const STATEMENTS: &str = "SELECT p.ID, p.QUERY_ID, DATE_FORMAT(UTC_TIMESTAMP(6) - INTERVAL p.TIME_MS * 1000 MICROSECOND, \
    '%Y-%m-%d %H:%i:%s.%f'), p.COMMAND = 'Delayed insert' FROM information_schema.PROCESSLIST p \
    WHERE p.COMMAND NOT IN ('Sleep', 'Daemon', 'Binlog Dump') AND p.ID <> CONNECTION_ID()";

/// All transactions, with their beginning as it is told and in UTC. It is told to the second, in the zone of the server's host:
/// in the hour that its clocks show twice the earlier moment is taken.
const TRANSACTIONS: &str = "SELECT t.trx_mysql_thread_id, t.trx_started, t.trx_is_read_only, DATE_FORMAT(LEAST( \
      CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00'), \
      IF(CONVERT_TZ(CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00') - INTERVAL 60 MINUTE, '+00:00', 'SYSTEM') = t.trx_started, \
        CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00') - INTERVAL 60 MINUTE, UTC_TIMESTAMP()), \
      IF(CONVERT_TZ(CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00') - INTERVAL 30 MINUTE, '+00:00', 'SYSTEM') = t.trx_started, \
        CONVERT_TZ(t.trx_started, 'SYSTEM', '+00:00') - INTERVAL 30 MINUTE, UTC_TIMESTAMP())), \
      '%Y-%m-%d %H:%i:%s.%f') FROM information_schema.INNODB_TRX t";

/// One look at everybody else.
struct Look {
    /// Statements under way: their session, and their own number. Those of transactions that can't write don't count.
    statements: BTreeSet<(u64, u64)>,
    /// Transactions that may write: their session, and their beginning as the server tells it.
    writers: BTreeSet<(u64, String)>,
    /// When the oldest of both began, in UTC, or when the look did.
    oldest: String,
}

/// Looks one after another.
pub(super) struct Looks<'w> {
    wire: &'w mut Wire,
    /// Whether we are in a transaction of our own.
    is_inside: bool,
    /// Whether the rows are InnoDB's, for which there is no `INSERT DELAYED`.
    is_innodb: bool,
    /// Whether other sessions' transactions can be seen, and are all that there is.
    pub(super) are_seen: bool,
}

impl<'w> Looks<'w> {
    /// A first look, which tells whether others are seen at all.
    pub(super) async fn begin(wire: &'w mut Wire, hello: &Hello, relation: &Relation) -> FaultResult<Self> {
        let mut looks = Self { wire, is_inside: false, is_innodb: relation.is_innodb(), are_seen: false };
        if !hello.is_mariadb || !looks.is_listed(relation).await? {
            return Ok(looks);
        }
        // Rows of a replica and of a cluster's other nodes were made elsewhere, at times that are not seen here.
        let elsewhere = "SELECT @@global.read_only <> 0 OR @@wsrep_on <> 0 OR EXISTS (SELECT 1 FROM \
            information_schema.PROCESSLIST WHERE COMMAND LIKE 'Slave%')";
        if looks.wire.ask_one(elsewhere).await?.text(0)? == "0" {
            looks.are_seen = match looks.look().await {
                Ok(look) => look.is_some(),
                Err(Failure::Server(error)) if error.is_denied() => false,
                Err(failure) => return Err(failure.into()),
            };
        }
        looks.end().await?;
        Ok(looks)
    }

    /// Whether what is open on the relation is in a list here. A view may read any engine that the server has.
    async fn is_listed(&mut self, relation: &Relation) -> FaultResult<bool> {
        if let Some(engine) = &relation.engine {
            return Ok(LISTED.contains(&engine.as_str()));
        }
        let engines = "SELECT ENGINE FROM information_schema.ENGINES WHERE SUPPORT IN ('YES', 'DEFAULT')";
        for row in self.wire.ask(engines).await? {
            if !LISTED.contains(&row.text(0)?.as_str()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The server's clock in UTC.
    pub(super) async fn now(&mut self) -> FaultResult<String> {
        self.wire.ask_one("SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%d %H:%i:%s.%f')").await?.text(0)
    }

    /// The session again, outside of any transaction.
    async fn end(&mut self) -> FaultResult<()> {
        if std::mem::take(&mut self.is_inside) {
            self.wire.ask("COMMIT").await?;
        }
        Ok(())
    }

    /// Whether a transaction was prepared and is neither committed nor rolled back; one that can't be looked for counts.
    pub(super) async fn has_prepared(&mut self) -> FaultResult<bool> {
        self.end().await?;
        match self.wire.ask("XA RECOVER").await {
            Ok(rows) => Ok(!rows.is_empty()),
            Err(Failure::Server(error)) if error.is_denied() => Ok(true),
            Err(failure) => Err(failure.into()),
        }
    }

    /// When the oldest began that may still bring rows, or now, in UTC; none where that is not to be seen.
    pub(super) async fn oldest(&mut self) -> FaultResult<Option<String>> {
        Ok(self.look().await?.map(|look| look.oldest))
    }

    /// Waits until everything has ended that had begun before now; false when the time is over first.
    pub(super) async fn all_ended(&mut self, patience: Duration) -> FaultResult<bool> {
        let end = Instant::now() + patience;
        let Some(Look { mut statements, mut writers, .. }) = self.look().await? else { return Ok(false) };
        while !(statements.is_empty() && writers.is_empty()) {
            if Instant::now() >= end {
                return Ok(false);
            }
            let Some(now) = self.look().await? else { return Ok(false) };
            writers.retain(|writer| now.writers.contains(writer));
            // A statement that was under way may have left its transaction open, which is waited for then.
            for (session, _) in statements.difference(&now.statements) {
                writers.extend(now.writers.iter().filter(|(other, _)| other == session).cloned());
            }
            statements.retain(|statement| now.statements.contains(statement));
        }
        Ok(true)
    }

    /// Processes first: what leaves that list to sit in an open transaction is in the other one then. None where the cache
    /// stays as it is, and where rows of before may still be written by somebody else.
    async fn look(&mut self) -> Exchange<Option<Look>> {
        let now = "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%d %H:%i:%s.%f'), CONNECTION_ID()";
        let row = self.wire.ask_one(now).await?;
        let (mut oldest, own): (String, u64) = (row.text(0)?, row.number(1)?);
        self.wire
            .ask(if self.is_inside { "COMMIT" } else { "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY" })
            .await?;
        self.is_inside = !self.is_inside;
        let mut processes = Vec::new();
        for row in self.wire.ask(STATEMENTS).await? {
            match row.text(3)?.as_str() {
                "1" if self.is_innodb => {}
                "1" => return Ok(None),
                _ => processes.push(row),
            }
        }
        for _ in 0..TRIES {
            tokio::time::sleep(STALE).await;
            let transactions = self.wire.ask(TRANSACTIONS).await?;
            let (mut writers, mut readers) = (BTreeSet::new(), BTreeSet::new());
            let mut began = Vec::new();
            for row in &transactions {
                let session = row.number(0)?;
                if row.text(2)? == "1" {
                    readers.insert(session);
                } else if session != own {
                    writers.insert((session, row.text(1)?));
                    began.push(row.text(3)?);
                }
            }
            if readers.contains(&own) != self.is_inside {
                continue;
            }
            let mut statements = BTreeSet::new();
            for row in &processes {
                let session = row.number(0)?;
                if !readers.contains(&session) {
                    statements.insert((session, row.number(1)?));
                    began.push(row.text(2)?);
                }
            }
            // Texts of one form compare as times.
            oldest = began.into_iter().fold(oldest, Ord::min);
            return Ok(Some(Look { statements, writers, oldest }));
        }
        Ok(None)
    }
}

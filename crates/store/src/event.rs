//! The timeline of a run: catalogue events of its workers and those of the control plane, in one numbered row.

use sqlx::any::AnyRow;
use waybill_model::{AttemptId, Micros, OrgId, RunId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, int, opt_parsed, text, time};
use crate::{Store, Tx};

/// An event to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Which attempt it is about.
    pub attempt: Option<AttemptId>,
    /// `worker` or `control`.
    pub origin: &'static str,
    /// Its code.
    pub code: &'static str,
    /// When, by its origin's clock; the database's where none is given.
    pub at: Option<Micros>,
    /// JSON of its typed arguments.
    pub body: String,
}

/// An event of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEventRow {
    /// Its place, from 1.
    pub seq: i64,
    /// Which attempt it is about.
    pub attempt: Option<AttemptId>,
    /// `worker` or `control`.
    pub origin: String,
    /// Its code.
    pub code: String,
    /// When, by its origin's clock.
    pub at: Micros,
    /// When it was stored, by the database's clock.
    pub received_at: Micros,
    /// JSON of its typed arguments.
    pub body: String,
}

impl FromRow for RunEventRow {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            seq: int(row, "seq")?,
            attempt: opt_parsed(row, "attempt_id")?,
            origin: text(row, "origin")?,
            code: text(row, "code")?,
            at: time(row, "at")?,
            received_at: time(row, "received_at")?,
            body: text(row, "body")?,
        })
    }
}

impl Store {
    /// Adds events to a run's timeline, in order.
    pub async fn run_event_append_in_txn(tx: &mut Tx, org: OrgId, run: RunId, events: &[NewEvent]) -> StoreResult<()> {
        if events.is_empty() {
            return Ok(());
        }
        let row = sqlx::query(
            "update run set event_seq = event_seq + $3 where organization_id = $1 and id = $2 returning event_seq",
        )
        .bind(org.to_string())
        .bind(run.to_string())
        .bind(events.len() as i64)
        .fetch_one(tx.connection())
        .await?;
        let first = int(&row, "event_seq")? - events.len() as i64 + 1;
        for (n, event) in (first..).zip(events) {
            let sql = tx.sql(
                "insert into run_event (organization_id, run_id, seq, attempt_id, origin, code, at, received_at, body)
                 values ($1, $2, $3, $4, $5, $6, coalesce($7, {now}), {now}, $8)",
            );
            sqlx::query(sql)
                .bind(org.to_string())
                .bind(run.to_string())
                .bind(n)
                .bind(event.attempt.map(|id| id.to_string()))
                .bind(event.origin)
                .bind(event.code)
                .bind(event.at.map(|at| at.0))
                .bind(&event.body)
                .execute(tx.connection())
                .await?;
        }
        Ok(())
    }

    /// Events behind `after` in order, at most `limit`.
    pub async fn run_event_list(
        &self,
        org: OrgId,
        run: RunId,
        after: i64,
        limit: i64,
    ) -> StoreResult<Vec<RunEventRow>> {
        let mut reader = self.reader(org).await?;
        let rows = sqlx::query(
            "select * from run_event where organization_id = $1 and run_id = $2 and seq > $3 order by seq limit $4",
        )
        .bind(org.to_string())
        .bind(run.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(reader.connection())
        .await?;
        all(&rows)
    }
}

//! The infrastructure trail: which call was made to a customer's cloud, as whom, when, under which request id.
//!
//! Calls that change something are one entry each. Looks are gathered: an entry grows while it is young, and only its
//! last time moves, forward, so that whoever reads page by page in that order misses none.

use sqlx::any::AnyRow;
use waybill_model::id::TrailId;
use waybill_model::{AttemptId, DataPlaneId, Micros, OrgId, RunId};

use crate::error::StoreResult;
use crate::listing::{Bound, Select};
use crate::reading::{FromRow, all, count, opt_parsed, parsed, stored, text, time};
use crate::standing::{Seen, Sight};
use crate::{Store, Tx};

/// An entry to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrailEntry {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: TrailId,
    /// The data plane that it was made for.
    pub data_plane: DataPlaneId,
    /// Whose launch it belongs to, where that is known.
    pub attempt: Option<AttemptId>,
    /// The task that it was about; its attempt is looked up.
    pub task: Option<String>,
    /// As permissions name it.
    pub action: String,
    /// ARN of the role.
    pub role: String,
    /// Name of the session.
    pub session: String,
    /// Region.
    pub region: String,
    /// `ok`, `no_answer` or the cloud's code.
    pub outcome: String,
    /// The calls.
    pub calls: TrailCalls,
}

/// The calls of an entry, or those that an entry grows by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailCalls {
    /// How many.
    pub count: u64,
    /// When the first was sent.
    pub first_at: Micros,
    /// When the last was sent.
    pub last_at: Micros,
    /// What the cloud calls them.
    pub request_ids: Vec<String>,
}

/// An entry of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEntry {
    /// Its id.
    pub id: TrailId,
    /// The data plane that it was made for.
    pub data_plane: DataPlaneId,
    /// The run that it was made for.
    pub run: Option<RunId>,
    /// The attempt that it was made for.
    pub attempt: Option<AttemptId>,
    /// As permissions name it.
    pub action: String,
    /// ARN of the role.
    pub role: String,
    /// Name of the session.
    pub session: String,
    /// Region.
    pub region: String,
    /// `ok`, `no_answer` or the cloud's code.
    pub outcome: String,
    /// The calls.
    pub calls: TrailCalls,
}

impl FromRow for TrailEntry {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            id: parsed(row, "id")?,
            data_plane: parsed(row, "data_plane_id")?,
            run: opt_parsed(row, "run_id")?,
            attempt: opt_parsed(row, "attempt_id")?,
            action: text(row, "action")?,
            role: text(row, "role")?,
            session: text(row, "session")?,
            region: text(row, "region")?,
            outcome: text(row, "outcome")?,
            calls: TrailCalls {
                count: count(row, "calls")?,
                first_at: time(row, "first_at")?,
                last_at: time(row, "last_at")?,
                request_ids: text(row, "request_ids")?.split_whitespace().map(str::to_owned).collect(),
            },
        })
    }
}

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrailFilter {
    /// Only of this run.
    pub run: Option<RunId>,
    /// Only of this data plane.
    pub data_plane: Option<DataPlaneId>,
    /// Only with a call at this time or later.
    pub since: Option<Micros>,
    /// Only with a call before this time.
    pub until: Option<Micros>,
    /// Only of runs of projects that are seen; calls for no run are seen by who sees all.
    pub sight: Sight,
    /// Only behind this place: when an entry's last call was sent, and its id.
    pub after: Option<(Micros, TrailId)>,
}

impl Store {
    /// Adds an entry. The run, and the attempt where only its task is known, are looked up.
    pub async fn trail_insert_in_txn(tx: &mut Tx, new: &NewTrailEntry) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into trail (organization_id, id, data_plane_id, run_id, attempt_id, action, role, session, region,
                                outcome, calls, first_at, last_at, request_ids, recorded_at)
             values ($1, $2, $3,
                (select run_id from attempt where organization_id = $1 and (id = $4 or task_ref = $5) limit 1),
                coalesce($4, (select id from attempt where organization_id = $1 and task_ref = $5 limit 1)),
                $6, $7, $8, $9, $10, $11, $12, $13, $14, {now})",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.id.to_string())
            .bind(new.data_plane.to_string())
            .bind(new.attempt.map(|id| id.to_string()))
            .bind(new.task.as_deref())
            .bind(&new.action)
            .bind(&new.role)
            .bind(&new.session)
            .bind(&new.region)
            .bind(&new.outcome)
            .bind(stored(new.calls.count))
            .bind(new.calls.first_at.0)
            .bind(new.calls.last_at.0)
            .bind(new.calls.request_ids.join(" "))
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Whether a call of a data plane that the cloud calls by this id is in the trail, with a last call at `since` or later.
    pub async fn trail_has_id(&self, (org, plane): (OrgId, DataPlaneId), id: &str, since: Micros) -> StoreResult<bool> {
        // A request id is letters, digits and dashes: none of them means something in a pattern.
        let mut reader = self.reader(org).await?;
        let found = sqlx::query(
            "select id from trail where organization_id = $1 and data_plane_id = $2 and last_at >= $3
               and ' ' || request_ids || ' ' like $4 limit 1",
        )
        .bind(org.to_string())
        .bind(plane.to_string())
        .bind(since.0)
        .bind(format!("% {id} %"))
        .fetch_optional(reader.connection())
        .await?;
        Ok(found.is_some())
    }

    /// Whether a call of a data plane that has no id is in the trail: by what and when.
    pub async fn trail_has(
        &self,
        (org, plane): (OrgId, DataPlaneId),
        (action, outcome): (&str, &str),
        at: Micros,
    ) -> StoreResult<bool> {
        let mut reader = self.reader(org).await?;
        let found = sqlx::query(
            "select id from trail where organization_id = $1 and data_plane_id = $2 and action = $3 and outcome = $4
               and last_at >= $5 and first_at <= $5 limit 1",
        )
        .bind(org.to_string())
        .bind(plane.to_string())
        .bind(action)
        .bind(outcome)
        .bind(at.0)
        .fetch_optional(reader.connection())
        .await?;
        Ok(found.is_some())
    }

    /// Adds calls to an entry of looks; false where it is not there any more.
    pub async fn trail_extend_in_txn(tx: &mut Tx, org: OrgId, id: TrailId, more: &TrailCalls) -> StoreResult<bool> {
        let done = sqlx::query(
            "update trail set calls = calls + $3, request_ids = request_ids || ' ' || $4,
                first_at = case when first_at < $5 then first_at else $5 end,
                last_at = case when last_at > $6 then last_at else $6 end
             where organization_id = $1 and id = $2",
        )
        .bind(org.to_string())
        .bind(id.to_string())
        .bind(stored(more.count))
        .bind(more.request_ids.join(" "))
        .bind(more.first_at.0)
        .bind(more.last_at.0)
        .execute(tx.connection())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Entries by the time of their last call, oldest first, at most `limit`.
    pub async fn trail_list(&self, org: OrgId, filter: &TrailFilter, limit: i64) -> StoreResult<Vec<TrailEntry>> {
        let mut reader = self.reader(org).await?;
        let mut select = Select::of("trail", org);
        filter.sight.narrow(&mut select, org, Seen::OfRuns);
        if let Some(run) = filter.run {
            select.only("run_id = ?", [Bound::Text(run.to_string())]);
        }
        if let Some(plane) = filter.data_plane {
            select.only("data_plane_id = ?", [Bound::Text(plane.to_string())]);
        }
        if let Some(since) = filter.since {
            select.only("last_at >= ?", [Bound::Int(since.0)]);
        }
        if let Some(until) = filter.until {
            select.only("first_at < ?", [Bound::Int(until.0)]);
        }
        if let Some((at, id)) = filter.after {
            let place = [Bound::Int(at.0), Bound::Int(at.0), Bound::Text(id.to_string())];
            select.only("last_at >= ? and (last_at > ? or id > ?)", place);
        }
        all(&select.rows(reader.connection(), "last_at, id", limit).await?)
    }
}

//! What a person is now: the roles that stand in the rows of this moment, read in one statement for each request. Nothing is
//! kept between requests, so a role that was taken away is gone with the next one.

use sqlx::any::AnyRow;
use waybill_model::id::{KeyId, SessionId};
use waybill_model::{OrgId, ProjectId, UserId};

use crate::error::StoreResult;
use crate::listing::{Bound, Select};
use crate::reading::{opt_parsed, opt_text, text};
use crate::{Store, Tx};

/// A person's roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The role in the organization.
    pub role: String,
    /// The roles in projects that took the person in.
    pub projects: Vec<(ProjectId, String)>,
}

/// Which rows a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Of every project in the organization.
    #[default]
    All,
    /// Of the projects that took this person in.
    Of(UserId),
    /// Of this project.
    In(ProjectId),
    /// Of this project what belongs to this key: the pipelines that it names, and the runs that it started.
    Own(ProjectId, KeyId),
}

/// What a list is of that is narrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Projects.
    Projects,
    /// Pipelines of one project, which the caller sees.
    Pipelines,
    /// Runs.
    Runs,
    /// What belongs to a run; what belongs to none, or to one that was removed, is shown to those alone who see everything.
    OfRuns,
}

impl Sight {
    /// Narrows a statement to what is seen.
    pub(crate) fn narrow(self, select: &mut Select, org: OrgId, of: Seen) {
        let text = |id: &dyn std::fmt::Display| Bound::Text(id.to_string());
        match (self, of) {
            (Self::All, _) | (Self::Of(_) | Self::In(_), Seen::Pipelines) => {}
            (Self::Of(user), Seen::Projects) => select.only(MEMBER_BY_ID, [text(&org), text(&user)]),
            (Self::Of(user), Seen::Runs) => select.only(MEMBER_BY_PROJECT, [text(&org), text(&user)]),
            (Self::Of(user), Seen::OfRuns) => select.only(MEMBER_BY_RUN, [text(&org), text(&user)]),
            (Self::In(project) | Self::Own(project, _), Seen::Projects) => select.only("id = ?", [text(&project)]),
            (Self::In(project), Seen::Runs) => select.only("project_id = ?", [text(&project)]),
            (Self::In(project), Seen::OfRuns) => select.only(
                "run_id in (select r.id from run r where r.organization_id = ? and r.project_id = ?)",
                [text(&org), text(&project)],
            ),
            (Self::Own(_, key), Seen::Pipelines) => select.only(
                "id in (select k.pipeline_id from api_key_pipeline k where k.organization_id = ? and k.key_id = ?)",
                [text(&org), text(&key)],
            ),
            (Self::Own(project, key), Seen::Runs) => {
                select.only("project_id = ? and requested_by = ?", [text(&project), text(&key)]);
            }
            (Self::Own(project, key), Seen::OfRuns) => select.only(
                "run_id in (select r.id from run r where r.organization_id = ? and r.project_id = ? and r.requested_by = ?)",
                [text(&org), text(&project), text(&key)],
            ),
        }
    }
}

const MEMBER_BY_PROJECT: &str =
    "project_id in (select m.project_id from project_member m where m.organization_id = ? and m.user_id = ?)";
const MEMBER_BY_ID: &str =
    "id in (select m.project_id from project_member m where m.organization_id = ? and m.user_id = ?)";
const MEMBER_BY_RUN: &str = "run_id in (select r.id from run r
     join project_member m on m.organization_id = r.organization_id and m.project_id = r.project_id
     where m.organization_id = ? and m.user_id = ?)";

const ROLES: &str = "select u.role, m.project_id, m.role as project_role from app_user u
     left join project_member m on m.organization_id = u.organization_id and m.user_id = u.id";

fn standing(rows: &[AnyRow]) -> StoreResult<Option<Standing>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let mut found = Standing { role: text(first, "role")?, projects: Vec::new() };
    for row in rows {
        if let (Some(project), Some(role)) = (opt_parsed(row, "project_id")?, opt_text(row, "project_role")?) {
            found.projects.push((project, role));
        }
    }
    Ok(Some(found))
}

impl Store {
    /// What a person is, if this session of theirs is alive and the account is not disabled.
    pub async fn standing_get(&self, org: OrgId, session: SessionId, user: UserId) -> StoreResult<Option<Standing>> {
        let mut reader = self.reader(org).await?;
        let sql = self.dialect.sql_of(&format!(
            "{ROLES} join session s on s.organization_id = u.organization_id and s.user_id = u.id
             where u.organization_id = $1 and u.id = $2 and u.disabled = 0
               and s.id = $3 and s.revoked_at is null and s.expires_at > {{now}}"
        ));
        let rows = sqlx::query(sql)
            .bind(org.to_string())
            .bind(user.to_string())
            .bind(session.to_string())
            .fetch_all(reader.connection())
            .await?;
        standing(&rows)
    }

    /// What somebody is, whether logged in or not; none where the account is disabled or not there.
    pub async fn standing_of(&self, org: OrgId, user: UserId) -> StoreResult<Option<Standing>> {
        let mut reader = self.reader(org).await?;
        let sql =
            self.dialect.sql_of(&format!("{ROLES} where u.organization_id = $1 and u.id = $2 and u.disabled = 0"));
        let rows = sqlx::query(sql).bind(org.to_string()).bind(user.to_string()).fetch_all(reader.connection()).await?;
        standing(&rows)
    }

    /// The same within a transaction: behind [`Store::authority_lock_in_txn`] nobody changes it before the end.
    pub async fn standing_of_in_txn(tx: &mut Tx, org: OrgId, user: UserId) -> StoreResult<Option<Standing>> {
        let sql = tx.sql_of(&format!("{ROLES} where u.organization_id = $1 and u.id = $2 and u.disabled = 0"));
        let rows = sqlx::query(sql).bind(org.to_string()).bind(user.to_string()).fetch_all(tx.connection()).await?;
        standing(&rows)
    }
}

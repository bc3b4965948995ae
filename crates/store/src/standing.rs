//! What a person is now: the roles that stand in the rows of this moment, read in one statement for each request. Nothing is
//! kept between requests, so a role that was taken away is gone with the next one.

use sqlx::any::AnyRow;
use waybill_model::id::SessionId;
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

/// Of which projects a list shows rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Of every one in the organization.
    #[default]
    All,
    /// Of those that took this person in.
    Of(UserId),
}

impl Sight {
    /// Narrows a statement on a table whose `column` names the project.
    pub(crate) fn narrow(self, select: &mut Select, org: OrgId, condition: &'static str) {
        if let Self::Of(user) = self {
            select.only(condition, [Bound::Text(org.to_string()), Bound::Text(user.to_string())]);
        }
    }
}

/// The condition of [`Sight`] for tables with a `project_id`.
pub(crate) const BY_PROJECT: &str =
    "project_id in (select m.project_id from project_member m where m.organization_id = ? and m.user_id = ?)";
/// The same for the table of projects.
pub(crate) const BY_ID: &str =
    "id in (select m.project_id from project_member m where m.organization_id = ? and m.user_id = ?)";
/// The same for what belongs to a run; what belongs to none, or to one that was removed, is not among it.
pub(crate) const BY_RUN: &str = "run_id in (select r.id from run r
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

//! Members of projects. Who changes what somebody may do takes the organization's row first ([`Store::authority_lock_in_txn`]),
//! so that two who take each other's last owner away at once come one after the other.

use sqlx::any::AnyRow;
use waybill_model::{Micros, OrgId, ProjectId, UserId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, flag, int, one, parsed, text, time};
use crate::{Store, Tx};

/// A person in a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The organization.
    pub org: OrgId,
    /// The project.
    pub project: ProjectId,
    /// The person.
    pub user: UserId,
    /// The person's e-mail address.
    pub email: String,
    /// Whether the person may not log in.
    pub disabled: bool,
    /// The role in the project.
    pub role: String,
    /// Whether nobody else who may log in owns the project.
    pub is_last_owner: bool,
    /// Rises with every change.
    pub version: i64,
    /// When the person was taken in.
    pub created_at: Micros,
    /// When the role was changed last.
    pub updated_at: Micros,
}

/// What came of a change to what somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// It is made.
    Done,
    /// Somebody else changed it meanwhile, or it is not there any more.
    Stale,
    /// It would have left nobody who owns it.
    LastOwner,
}

impl FromRow for Member {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        Ok(Self {
            org: parsed(row, "organization_id")?,
            project: parsed(row, "project_id")?,
            user: parsed(row, "user_id")?,
            email: text(row, "email")?,
            disabled: flag(row, "disabled")?,
            role: text(row, "role")?,
            is_last_owner: flag(row, "last_owner")?,
            version: int(row, "version")?,
            created_at: time(row, "created_at")?,
            updated_at: time(row, "updated_at")?,
        })
    }
}

/// A member with what is known of the person.
const MEMBERS: &str = "select m.*, u.email, u.disabled,
         case when m.role = 'owner' and u.disabled = 0 and not exists (
             select 1 from project_member o
             join app_user d on d.organization_id = o.organization_id and d.id = o.user_id
             where o.organization_id = m.organization_id and o.project_id = m.project_id and o.user_id <> m.user_id
               and o.role = 'owner' and d.disabled = 0) then cast(1 as bigint) else cast(0 as bigint) end as last_owner
     from project_member m
     join app_user u on u.organization_id = m.organization_id and u.id = m.user_id";

/// Another owner of the project than the one at hand, who may log in.
const OTHER_OWNER: &str = "exists (select 1 from project_member o
     join app_user u on u.organization_id = o.organization_id and u.id = o.user_id
     where o.organization_id = $1 and o.project_id = $2 and o.user_id <> $3 and o.role = 'owner' and u.disabled = 0)";

/// The one at hand may not log in, and owns nothing that counts.
const IS_DISABLED: &str = "exists (select 1 from app_user d
     where d.organization_id = $1 and d.id = $3 and d.disabled <> 0)";

impl Store {
    /// Takes the lock of everybody's roles in the organization; everything that is read behind it stays as it is.
    pub async fn authority_lock_in_txn(tx: &mut Tx, org: OrgId) -> StoreResult<()> {
        sqlx::query("update organization set name = name where id = $1")
            .bind(org.to_string())
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// Takes a person into a project. One who is in it already is a conflict.
    pub async fn member_insert_in_txn(
        tx: &mut Tx,
        (org, project): (OrgId, ProjectId),
        user: UserId,
        role: &str,
    ) -> StoreResult<()> {
        let sql = tx.sql(
            "insert into project_member (organization_id, project_id, user_id, role, version, created_at, updated_at)
             values ($1, $2, $3, $4, 1, {now}, {now})",
        );
        sqlx::query(sql)
            .bind(org.to_string())
            .bind(project.to_string())
            .bind(user.to_string())
            .bind(role)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One member.
    pub async fn member_get(&self, org: OrgId, project: ProjectId, user: UserId) -> StoreResult<Option<Member>> {
        let mut reader = self.reader(org).await?;
        let sql = self
            .dialect
            .sql_of(&format!("{MEMBERS} where m.organization_id = $1 and m.project_id = $2 and m.user_id = $3"));
        let row = sqlx::query(sql)
            .bind(org.to_string())
            .bind(project.to_string())
            .bind(user.to_string())
            .fetch_optional(reader.connection())
            .await?;
        one(row)
    }

    /// Members of a project by their ids, at most `limit`.
    pub async fn member_list(
        &self,
        org: OrgId,
        project: ProjectId,
        after: Option<UserId>,
        limit: i64,
    ) -> StoreResult<Vec<Member>> {
        let mut reader = self.reader(org).await?;
        let sql = self.dialect.sql_of(&format!(
            "{MEMBERS} where m.organization_id = $1 and m.project_id = $2 and m.user_id > $3 order by m.user_id limit $4"
        ));
        let rows = sqlx::query(sql)
            .bind(org.to_string())
            .bind(project.to_string())
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(reader.connection())
            .await?;
        all(&rows)
    }

    /// Gives a member another role if it is still as it was read, and an owner of the project is left. Take the lock before.
    pub async fn member_update_in_txn(tx: &mut Tx, member: &Member, role: &str) -> StoreResult<RoleChange> {
        let sql = tx.sql_of(&format!(
            "update project_member set role = $5, version = version + 1, updated_at = {{now}}
             where organization_id = $1 and project_id = $2 and user_id = $3 and version = $4
               and (role <> 'owner' or $5 = 'owner' or {IS_DISABLED} or {OTHER_OWNER})"
        ));
        let done = sqlx::query(sql)
            .bind(member.org.to_string())
            .bind(member.project.to_string())
            .bind(member.user.to_string())
            .bind(member.version)
            .bind(role)
            .execute(tx.connection())
            .await?;
        Self::member_changed(tx, member, done.rows_affected()).await
    }

    /// Takes a member out of its project if it is still as it was read, and an owner is left. Take the lock before.
    pub async fn member_delete_in_txn(tx: &mut Tx, member: &Member) -> StoreResult<RoleChange> {
        let sql = tx.sql_of(&format!(
            "delete from project_member
             where organization_id = $1 and project_id = $2 and user_id = $3 and version = $4
               and (role <> 'owner' or {IS_DISABLED} or {OTHER_OWNER})"
        ));
        let done = sqlx::query(sql)
            .bind(member.org.to_string())
            .bind(member.project.to_string())
            .bind(member.user.to_string())
            .bind(member.version)
            .execute(tx.connection())
            .await?;
        Self::member_changed(tx, member, done.rows_affected()).await
    }

    /// Tells why nothing was changed, where nothing was.
    async fn member_changed(tx: &mut Tx, member: &Member, rows: u64) -> StoreResult<RoleChange> {
        if rows == 1 {
            return Ok(RoleChange::Done);
        }
        let same = sqlx::query(
            "select 1 from project_member
             where organization_id = $1 and project_id = $2 and user_id = $3 and version = $4",
        )
        .bind(member.org.to_string())
        .bind(member.project.to_string())
        .bind(member.user.to_string())
        .bind(member.version)
        .fetch_optional(tx.connection())
        .await?;
        Ok(if same.is_some() { RoleChange::LastOwner } else { RoleChange::Stale })
    }
}

//! Invitations: who is asked to come into an organization, and as what. Of the token only a digest is kept; it is good once, until its
//! end, and only while nobody took it back.

use std::time::Duration;

use sqlx::any::AnyRow;
use waybill_model::id::InvitationId;
use waybill_model::{Micros, OrgId, ProjectId, UserId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, one, opt_text, parsed, text, time};
use crate::{Store, Tx};

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: InvitationId,
    /// The e-mail address that the account will have.
    pub email: String,
    /// The role in the organization.
    pub role: String,
    /// The project that takes the person in, and the role there.
    pub project: Option<(ProjectId, String)>,
    /// Who made it.
    pub invited_by: UserId,
    /// When it was made.
    pub created_at: Micros,
    /// From when on it is refused.
    pub expires_at: Micros,
    /// `open`, `expired`, `revoked` or `accepted`.
    pub state: String,
}

/// An invitation to add.
#[derive(Clone, Debug)]
pub struct NewInvitation {
    /// The organization.
    pub org: OrgId,
    /// Its id.
    pub id: InvitationId,
    /// The e-mail address.
    pub email: String,
    /// The role in the organization.
    pub role: &'static str,
    /// The project and the role there.
    pub project: Option<(ProjectId, &'static str)>,
    /// SHA-256 of the token, in hex.
    pub digest: String,
    /// Who makes it.
    pub invited_by: UserId,
    /// How long it is good for.
    pub life: Duration,
}

impl FromRow for Invitation {
    fn from_row(row: &AnyRow) -> StoreResult<Self> {
        let project = match opt_text(row, "project_role")? {
            Some(role) => Some((parsed(row, "project_id")?, role)),
            None => None,
        };
        Ok(Self {
            org: parsed(row, "organization_id")?,
            id: parsed(row, "id")?,
            email: text(row, "email")?,
            role: text(row, "role")?,
            project,
            invited_by: parsed(row, "invited_by")?,
            created_at: time(row, "created_at")?,
            expires_at: time(row, "expires_at")?,
            state: text(row, "state")?,
        })
    }
}

const INVITATIONS: &str = "select i.*,
         case when i.accepted_at is not null then 'accepted' when i.revoked_at is not null then 'revoked'
              when i.expires_at <= {now} then 'expired' else 'open' end as state
     from invitation i";

impl Store {
    /// Adds an invitation; one that was open for the address is taken back by it.
    pub async fn invitation_insert_in_txn(tx: &mut Tx, new: &NewInvitation) -> StoreResult<()> {
        let sql = tx.sql(
            "update invitation set revoked_at = {now}
             where organization_id = $1 and email = $2 and revoked_at is null and accepted_at is null",
        );
        sqlx::query(sql).bind(new.org.to_string()).bind(&new.email).execute(tx.connection()).await?;
        let sql = tx.sql(
            "insert into invitation (organization_id, id, email, role, project_id, project_role, digest, invited_by,
                                     created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, {now}, {now} + $9)",
        );
        sqlx::query(sql)
            .bind(new.org.to_string())
            .bind(new.id.to_string())
            .bind(&new.email)
            .bind(new.role)
            .bind(new.project.map(|(project, _)| project.to_string()))
            .bind(new.project.map(|(_, role)| role))
            .bind(&new.digest)
            .bind(new.invited_by.to_string())
            .bind(Micros(0).plus(new.life).0)
            .execute(tx.connection())
            .await?;
        Ok(())
    }

    /// One invitation.
    pub async fn invitation_get(&self, org: OrgId, id: InvitationId) -> StoreResult<Option<Invitation>> {
        let mut reader = self.reader(org).await?;
        let sql = self.dialect.sql_of(&format!("{INVITATIONS} where i.organization_id = $1 and i.id = $2"));
        one(sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).fetch_optional(reader.connection()).await?)
    }

    /// The invitation whose token has this digest, in any organization: what an acceptance begins with.
    pub async fn invitation_find(&self, digest: &str) -> StoreResult<Option<Invitation>> {
        let mut reader = self.reader_of_all().await?;
        let sql = self.dialect.sql_of(&format!("{INVITATIONS} where i.digest = $1"));
        one(sqlx::query(sql).bind(digest).fetch_optional(reader.connection()).await?)
    }

    /// Invitations of the organization, oldest first, at most `limit`.
    pub async fn invitation_list(
        &self,
        org: OrgId,
        after: Option<InvitationId>,
        limit: i64,
    ) -> StoreResult<Vec<Invitation>> {
        let mut reader = self.reader(org).await?;
        let sql = format!("{INVITATIONS} where i.organization_id = $1 and i.id > $2 order by i.id limit $3");
        let rows = sqlx::query(self.dialect.sql_of(&sql))
            .bind(org.to_string())
            .bind(after.map(|id| id.to_string()).unwrap_or_default())
            .bind(limit)
            .fetch_all(reader.connection())
            .await?;
        all(&rows)
    }

    /// Takes an invitation back; true if it was neither taken back nor accepted yet.
    pub async fn invitation_revoke_in_txn(tx: &mut Tx, org: OrgId, id: InvitationId) -> StoreResult<bool> {
        let sql = tx.sql(
            "update invitation set revoked_at = {now}
             where organization_id = $1 and id = $2 and revoked_at is null and accepted_at is null",
        );
        let done = sqlx::query(sql).bind(org.to_string()).bind(id.to_string()).execute(tx.connection()).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Accepts an invitation for this person, who is there already: true for the one caller that came first and in time.
    pub async fn invitation_accept_in_txn(
        tx: &mut Tx,
        org: OrgId,
        id: InvitationId,
        person: UserId,
    ) -> StoreResult<bool> {
        let sql = tx.sql(
            "update invitation set accepted_at = {now}, accepted_by = $3
             where organization_id = $1 and id = $2 and revoked_at is null and accepted_at is null and expires_at > {now}",
        );
        let done = sqlx::query(sql)
            .bind(org.to_string())
            .bind(id.to_string())
            .bind(person.to_string())
            .execute(tx.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }
}

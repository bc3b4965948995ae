//! Operations on people and members of projects.

use waybill_model::id::{InvitationId, KeyId};
use waybill_model::{ProjectId, UserId};

use super::{AccessQuery, Client, ClientResult, ListQuery, Tagged};
use crate::access::AccessExplained;
use crate::account::{Tokens, User, UserCreate, UserUpdate};
use crate::invitation::{Invitation, InvitationAccept, InvitationCreate, InvitationMade};
use crate::key::{ApiKey, KeyCreate, KeyMade};
use crate::member::{Member, MemberCreate, MemberUpdate};
use crate::page::Page;
use crate::password::{PasswordChange, PasswordResetCreate, PasswordResetMade, PasswordResetUse};
use crate::session::{Session, SessionRevoke, SessionsRevoked, SignIn};

/// People of the organization.
impl Client {
    /// A page of them.
    pub async fn user_list(&self, query: &ListQuery) -> ClientResult<Page<User>> {
        self.get("/v1/users", query).await
    }

    /// Makes an account.
    pub async fn user_create(&self, body: &UserCreate) -> ClientResult<User> {
        self.post("/v1/users", body).await
    }

    /// One person.
    pub async fn user_get(&self, id: UserId) -> ClientResult<Tagged<User>> {
        self.get_tagged(&format!("/v1/users/{id}")).await
    }

    /// Changes a person's role or state.
    pub async fn user_update(&self, id: UserId, etag: &str, body: &UserUpdate) -> ClientResult<User> {
        self.patch(&format!("/v1/users/{id}"), etag, body).await
    }
}

/// New passwords.
impl Client {
    /// Changes the own password; every other session ends.
    pub async fn password_change(&self, body: &PasswordChange) -> ClientResult<()> {
        self.post("/v1/password", body).await
    }

    /// Makes a link by which a person chooses a new password; the answer alone holds its token.
    pub async fn user_password_reset(&self, id: UserId, body: &PasswordResetCreate) -> ClientResult<PasswordResetMade> {
        self.post(&format!("/v1/users/{id}/password-reset"), body).await
    }

    /// Chooses a new password with the token of a link, and logs in.
    pub async fn password_reset_use(&self, body: &PasswordResetUse) -> ClientResult<Tokens> {
        self.public("/v1/password-resets:use", body).await.map(|tokens| self.adopt(tokens))
    }
}

/// Invitations.
impl Client {
    /// A page of them, oldest first.
    pub async fn invitation_list(&self, query: &ListQuery) -> ClientResult<Page<Invitation>> {
        self.get("/v1/invitations", query).await
    }

    /// Asks a person to come in; the answer alone holds the token.
    pub async fn invitation_create(&self, body: &InvitationCreate) -> ClientResult<InvitationMade> {
        self.post("/v1/invitations", body).await
    }

    /// One invitation, without its token.
    pub async fn invitation_get(&self, id: InvitationId) -> ClientResult<Invitation> {
        self.get(&format!("/v1/invitations/{id}"), &()).await
    }

    /// Takes an invitation back.
    pub async fn invitation_revoke(&self, id: InvitationId) -> ClientResult<Invitation> {
        self.post(&format!("/v1/invitations/{id}/revoke"), &()).await
    }

    /// Makes the account of who was invited, and logs in.
    pub async fn invitation_accept(&self, body: &InvitationAccept) -> ClientResult<Tokens> {
        self.public("/v1/invitations:accept", body).await.map(|tokens| self.adopt(tokens))
    }
}

/// Keys of services.
impl Client {
    /// Keys of a project.
    pub async fn key_list(&self, project: ProjectId, query: &ListQuery) -> ClientResult<Page<ApiKey>> {
        self.get(&format!("/v1/projects/{project}/keys"), query).await
    }

    /// Makes a key; the answer alone holds it.
    pub async fn key_create(&self, project: ProjectId, body: &KeyCreate) -> ClientResult<KeyMade> {
        self.post(&format!("/v1/projects/{project}/keys"), body).await
    }

    /// One key, without the key itself.
    pub async fn key_get(&self, id: KeyId) -> ClientResult<ApiKey> {
        self.get(&format!("/v1/keys/{id}"), &()).await
    }

    /// Revokes a key.
    pub async fn key_revoke(&self, id: KeyId) -> ClientResult<ApiKey> {
        self.post(&format!("/v1/keys/{id}/revoke"), &()).await
    }
}

/// Where people are logged in.
impl Client {
    /// Sessions of a person, or one's own.
    pub async fn session_list(&self, of: Option<UserId>, query: &ListQuery) -> ClientResult<Page<Session>> {
        self.get(&of_person(of, "sessions"), query).await
    }

    /// How a person signed in, or one did oneself; newest first.
    pub async fn sign_in_list(&self, of: Option<UserId>, query: &ListQuery) -> ClientResult<Page<SignIn>> {
        self.get(&of_person(of, "sign-ins"), query).await
    }

    /// Ends sessions of a person, or one's own.
    pub async fn session_revoke(&self, of: Option<UserId>, body: &SessionRevoke) -> ClientResult<SessionsRevoked> {
        self.post(&format!("{}:revoke", of_person(of, "sessions")), body).await
    }
}

fn of_person(of: Option<UserId>, what: &str) -> String {
    of.map_or_else(|| format!("/v1/{what}"), |user| format!("/v1/users/{user}/{what}"))
}

/// Who may do what.
impl Client {
    /// Whether somebody may do something, by which role, and what it takes.
    pub async fn access_explain(&self, query: &AccessQuery) -> ClientResult<AccessExplained> {
        self.get("/v1/access", query).await
    }
}

/// Members of a project.
impl Client {
    /// A page of them.
    pub async fn member_list(&self, project: ProjectId, query: &ListQuery) -> ClientResult<Page<Member>> {
        self.get(&format!("/v1/projects/{project}/members"), query).await
    }

    /// Takes a person in.
    pub async fn member_create(&self, project: ProjectId, body: &MemberCreate) -> ClientResult<Member> {
        self.post(&format!("/v1/projects/{project}/members"), body).await
    }

    /// One member.
    pub async fn member_get(&self, project: ProjectId, user: UserId) -> ClientResult<Tagged<Member>> {
        self.get_tagged(&format!("/v1/projects/{project}/members/{user}")).await
    }

    /// Changes a member's role.
    pub async fn member_update(
        &self,
        project: ProjectId,
        user: UserId,
        etag: &str,
        body: &MemberUpdate,
    ) -> ClientResult<Member> {
        self.patch(&format!("/v1/projects/{project}/members/{user}"), etag, body).await
    }

    /// Takes a member out.
    pub async fn member_delete(&self, project: ProjectId, user: UserId, etag: &str) -> ClientResult<()> {
        self.delete(&format!("/v1/projects/{project}/members/{user}"), etag).await
    }
}

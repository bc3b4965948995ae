//! Operations on people and members of projects.

use waybill_model::{ProjectId, UserId};

use super::{Client, ClientResult, ListQuery, Tagged};
use crate::account::{User, UserCreate, UserUpdate};
use crate::member::{Member, MemberCreate, MemberUpdate};
use crate::page::Page;

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

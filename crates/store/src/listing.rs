//! Lists: a table of one organization, narrowed, in one of its orders, from one place on. Texts are constants of this
//! crate and values are bound; nothing that a caller writes becomes part of a statement.

use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe};
use waybill_model::{OrgId, ProjectId};

use crate::error::StoreResult;
use crate::reading::{FromRow, all, int};
use crate::standing::{Seen, Sight};
use crate::{Agent, Connection, DataPlane, Pipeline, Project, Store, User};

/// A list of named things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Projects of the organization, as far as they are seen.
    Projects(Sight),
    /// Data planes of the organization.
    DataPlanes,
    /// Agents of the organization.
    Agents,
    /// People of the organization, named by their e-mail addresses.
    Users,
    /// Connections of a project.
    Connections(ProjectId),
    /// Pipelines of a project, as far as they are seen.
    Pipelines(ProjectId, Sight),
}

/// What a list is ordered by. Either is unique within its list, so a page ends at one place exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    /// By id, which is the order of making.
    #[default]
    Made,
    /// By name.
    Name,
}

/// Which part of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListPart {
    /// By what.
    pub order: ListOrder,
    /// From the other end.
    pub descending: bool,
    /// Behind this id or name.
    pub after: Option<String>,
    /// At most so many.
    pub limit: i64,
}

impl ListPart {
    /// By id, oldest first.
    #[must_use]
    pub fn by_id(after: Option<impl ToString>, limit: i64) -> Self {
        Self { after: after.map(|id| id.to_string()), limit, ..Self::default() }
    }
}

impl Listed {
    fn select(self, org: OrgId) -> Select {
        let (table, project, there) = match self {
            Self::Projects(_) => ("project", None, None),
            Self::DataPlanes => ("data_plane", None, None),
            Self::Agents => ("agent", None, Some("removed_at is null")),
            Self::Users => ("app_user", None, None),
            Self::Connections(project) => ("connection", Some(project), Some("deleted_at is null")),
            Self::Pipelines(project, _) => ("pipeline", Some(project), Some("deleted_at is null")),
        };
        let mut select = Select::of(table, org);
        if let Some(project) = project {
            select.only("project_id = ?", [Bound::Text(project.to_string())]);
        }
        match self {
            Self::Projects(sight) => sight.narrow(&mut select, org, Seen::Projects),
            Self::Pipelines(_, sight) => sight.narrow(&mut select, org, Seen::Pipelines),
            _ => {}
        }
        if let Some(there) = there {
            select.only(there, []);
        }
        select
    }

    /// The order as a column and as a condition on what stands behind a place.
    const fn column(self, part: &ListPart) -> (&'static str, &'static str) {
        match (part.order, self, part.descending) {
            (ListOrder::Made, _, false) => ("id", "id > ?"),
            (ListOrder::Made, _, true) => ("id desc", "id < ?"),
            (ListOrder::Name, Self::Users, false) => ("email", "email > ?"),
            (ListOrder::Name, Self::Users, true) => ("email desc", "email < ?"),
            (ListOrder::Name, _, false) => ("name", "name > ?"),
            (ListOrder::Name, _, true) => ("name desc", "name < ?"),
        }
    }
}

impl Store {
    async fn listed<T: FromRow>(&self, org: OrgId, listed: Listed, part: &ListPart) -> StoreResult<Vec<T>> {
        let mut reader = self.reader(org).await?;
        let (order, behind) = listed.column(part);
        let mut select = listed.select(org);
        if let Some(after) = &part.after {
            select.only(behind, [Bound::Text(after.clone())]);
        }
        all(&select.rows(reader.connection(), order, part.limit).await?)
    }

    /// How many a list holds, counted up to `most`.
    pub async fn listed_count(&self, org: OrgId, listed: Listed, most: i64) -> StoreResult<i64> {
        let mut reader = self.reader(org).await?;
        listed.select(org).count(reader.connection(), most).await
    }

    /// A part of the organization's projects, as far as they are seen.
    pub async fn project_part(&self, org: OrgId, sight: Sight, part: &ListPart) -> StoreResult<Vec<Project>> {
        self.listed(org, Listed::Projects(sight), part).await
    }

    /// A part of the organization's data planes.
    pub async fn data_plane_part(&self, org: OrgId, part: &ListPart) -> StoreResult<Vec<DataPlane>> {
        self.listed(org, Listed::DataPlanes, part).await
    }

    /// A part of the organization's agents.
    pub async fn agent_part(&self, org: OrgId, part: &ListPart) -> StoreResult<Vec<Agent>> {
        self.listed(org, Listed::Agents, part).await
    }

    /// A part of the organization's people.
    pub async fn user_part(&self, org: OrgId, part: &ListPart) -> StoreResult<Vec<User>> {
        self.listed(org, Listed::Users, part).await
    }

    /// A part of a project's connections.
    pub async fn connection_part(
        &self,
        org: OrgId,
        project: ProjectId,
        part: &ListPart,
    ) -> StoreResult<Vec<Connection>> {
        self.listed(org, Listed::Connections(project), part).await
    }

    /// A part of a project's pipelines, as far as they are seen.
    pub async fn pipeline_part(
        &self,
        org: OrgId,
        (project, sight): (ProjectId, Sight),
        part: &ListPart,
    ) -> StoreResult<Vec<Pipeline>> {
        self.listed(org, Listed::Pipelines(project, sight), part).await
    }
}

/// A value of a condition.
pub(crate) enum Bound {
    Text(String),
    Int(i64),
}

/// A statement in the making: the organization first, then only the conditions that are asked for, so that each
/// combination gets the index that fits it.
pub(crate) struct Select {
    table: &'static str,
    conditions: String,
    values: Vec<Bound>,
}

impl Select {
    pub(crate) fn of(table: &'static str, org: OrgId) -> Self {
        let conditions = "organization_id = $1".to_owned();
        Self { table, conditions, values: vec![Bound::Text(org.to_string())] }
    }

    /// Narrows it; each `?` takes the next value.
    pub(crate) fn only<const N: usize>(&mut self, condition: &'static str, values: [Bound; N]) {
        self.conditions.push_str(" and ");
        let mut parts = condition.split('?');
        self.conditions.push_str(parts.next().unwrap_or_default());
        for (value, part) in values.into_iter().zip(parts) {
            self.values.push(value);
            self.conditions.push_str(&format!("${}{part}", self.values.len()));
        }
    }

    pub(crate) async fn rows(
        mut self,
        connection: &mut AnyConnection,
        order: &'static str,
        limit: i64,
    ) -> StoreResult<Vec<AnyRow>> {
        self.values.push(Bound::Int(limit));
        let (table, conditions, limit) = (self.table, &self.conditions, self.values.len());
        let text = format!("select * from {table} where {conditions} order by {order} limit ${limit}");
        Ok(bound(&text, self.values).fetch_all(connection).await?)
    }

    pub(crate) async fn count(mut self, connection: &mut AnyConnection, most: i64) -> StoreResult<i64> {
        self.values.push(Bound::Int(most));
        let (table, conditions, limit) = (self.table, &self.conditions, self.values.len());
        let text =
            format!("select count(*) as n from (select 1 from {table} where {conditions} limit ${limit}) counted");
        int(&bound(&text, self.values).fetch_one(connection).await?, "n")
    }
}

fn bound(text: &str, values: Vec<Bound>) -> sqlx::query::Query<'static, sqlx::Any, sqlx::any::AnyArguments> {
    let query = sqlx::query(AssertSqlSafe(text.to_owned()));
    values.into_iter().fold(query, |query, value| match value {
        Bound::Text(text) => query.bind(text),
        Bound::Int(number) => query.bind(number),
    })
}

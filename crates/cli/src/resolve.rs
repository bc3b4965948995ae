//! From what people type to ids: names and ids are both taken, everywhere.

use waybill_api::Page;
use waybill_api::account::User;
use waybill_api::agent::Agent;
use waybill_api::client::{Client, ListQuery, RunQuery, Tagged};
use waybill_api::connection::Connection;
use waybill_api::data_plane::DataPlane;
use waybill_api::key::ApiKey;
use waybill_api::pipeline::Pipeline;
use waybill_model::{ProjectId, RunId};

use crate::args::{Target, WhichRun};
use crate::exit::{Exit, Failure, Result};

/// The project that is meant.
pub(crate) async fn project(client: &Client, target: &Target) -> Result<ProjectId> {
    let query = ListQuery { limit: Some(200), ..ListQuery::default() };
    let projects = client.project_list(&query).await?.items;
    let wanted = target.project.as_str();
    let found = projects.iter().find(|project| project.name == wanted || project.id.to_string() == wanted);
    // A new installation has one project; its name need not be known to use it.
    let only = (projects.len() == 1 && wanted == "default").then(|| &projects[0]);
    found
        .or(only)
        .map(|project| project.id)
        .ok_or_else(|| Failure::not_found("project", wanted).next("waybill project list"))
}

/// What a list of one project is asked for.
pub(crate) async fn query(client: &Client, target: &Target, limit: u32) -> Result<ListQuery> {
    Ok(ListQuery { limit: Some(limit), project_id: Some(project(client, target).await?), ..ListQuery::default() })
}

/// A pipeline by name or id.
pub(crate) async fn pipeline(client: &Client, target: &Target, wanted: &str) -> Result<Pipeline> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.pipeline_get(id).await?.value);
    }
    let query = named(client, target, wanted).await?;
    one(client.pipeline_list(&query).await?, |pipeline| pipeline.name == wanted)
        .ok_or_else(|| Failure::not_found("pipeline", wanted).next("waybill pipeline list"))
}

/// A connection by name or id.
pub(crate) async fn connection(client: &Client, target: &Target, wanted: &str) -> Result<Connection> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.connection_get(id).await?.value);
    }
    let query = named(client, target, wanted).await?;
    one(client.connection_list(&query).await?, |connection| connection.name == wanted)
        .ok_or_else(|| Failure::not_found("connection", wanted).next("waybill connection list"))
}

/// An agent by name or id.
pub(crate) async fn agent(client: &Client, wanted: &str) -> Result<Agent> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.agent_get(id).await?.value);
    }
    let query = ListQuery { name: Some(wanted.to_owned()), ..ListQuery::default() };
    one(client.agent_list(&query).await?, |agent| agent.name == wanted)
        .ok_or_else(|| Failure::not_found("agent", wanted).next("waybill agent list"))
}

/// A person by e-mail address or id, with their version.
pub(crate) async fn user(client: &Client, wanted: &str) -> Result<Tagged<User>> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.user_get(id).await?);
    }
    let mut query = ListQuery { limit: Some(200), ..ListQuery::default() };
    loop {
        let page = client.user_list(&query).await?;
        if let Some(user) = page.items.iter().find(|user| user.email.eq_ignore_ascii_case(wanted)) {
            return Ok(client.user_get(user.id).await?);
        }
        let Some(next) = page.next_cursor else {
            return Err(Failure::not_found("person", wanted).next("waybill user list"));
        };
        query.cursor = Some(next);
    }
}

/// A data plane by name or id, with its version.
pub(crate) async fn data_plane(client: &Client, wanted: &str) -> Result<Tagged<DataPlane>> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.data_plane_get(id).await?);
    }
    let query = ListQuery { name: Some(wanted.to_owned()), ..ListQuery::default() };
    let found = one(client.data_plane_list(&query).await?, |plane| plane.name == wanted)
        .ok_or_else(|| Failure::not_found("data plane", wanted).next("waybill data-plane list"))?;
    Ok(client.data_plane_get(found.id).await?)
}

async fn named(client: &Client, target: &Target, name: &str) -> Result<ListQuery> {
    Ok(ListQuery { name: Some(name.to_owned()), ..query(client, target, 200).await? })
}

fn one<T>(page: Page<T>, is: impl Fn(&T) -> bool) -> Option<T> {
    page.items.into_iter().find(|item| is(item))
}

/// A run by id, or the newest one.
pub(crate) async fn run(client: &Client, target: &Target, which: &WhichRun) -> Result<RunId> {
    if let Some(wanted) = &which.run {
        let wrong = |_| {
            Failure::new(Exit::Usage, "not_a_run_id", format!("`{}` is no id of a run", crate::output::clean(wanted)))
                .next("waybill run list")
        };
        return wanted.parse().map_err(wrong);
    }
    let pipeline_id = match &which.pipeline {
        Some(wanted) => Some(pipeline(client, target, wanted).await?.id),
        None => None,
    };
    let project_id = Some(project(client, target).await?);
    let query = RunQuery { limit: Some(1), project_id, pipeline_id, ..RunQuery::default() };
    let newest = client.run_list(&query).await?.items.into_iter().next();
    newest.map(|run| run.id).ok_or_else(|| {
        Failure::new(Exit::NotFound, "not_found", "there is no run yet").next("waybill run start PIPELINE")
    })
}

/// A key by id, or by its name in the project: the one that is not revoked, where several had it.
pub(crate) async fn key(client: &Client, target: &Target, wanted: &str) -> Result<ApiKey> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.key_get(id).await?);
    }
    let project = project(client, target).await?;
    let mut query = ListQuery { limit: Some(200), ..ListQuery::default() };
    let mut last = None;
    loop {
        let page = client.key_list(project, &query).await?;
        for key in page.items.into_iter().filter(|key| key.name == wanted) {
            if key.revoked_at.is_none() {
                return Ok(key);
            }
            last = Some(key);
        }
        let Some(next) = page.next_cursor else {
            return last.ok_or_else(|| Failure::not_found("key", wanted).next("waybill key list"));
        };
        query.cursor = Some(next);
    }
}

//! `project`: list, show, set.

use waybill_api::client::{Client, ListQuery, Tagged};
use waybill_api::organization::{Project, ProjectUpdate};

use crate::args::{Project as Command, Target};
use crate::exit::{Exit, Result};
use crate::output::{Output, Row, facts};
use crate::{resolve, session};

impl Row for Project {
    const HEADER: &'static [&'static str] = &["NAME", "ALLOWED REGIONS"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), regions(self)]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

fn regions(project: &Project) -> String {
    if project.allowed_regions.is_empty() { "any".to_owned() } else { project.allowed_regions.join(", ") }
}

pub(crate) async fn project(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::List(limit) => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.project_list(&query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        Command::Show { name } => show(&found(&client, target, &name).await?.value, output)?,
        Command::Set { name, allow_regions, allow_any_region } => {
            let found = found(&client, target, &name).await?;
            let allowed_regions = if allow_any_region { Vec::new() } else { allow_regions };
            let body = ProjectUpdate { name: None, allowed_regions: Some(allowed_regions) };
            show(&client.project_update(found.value.id, &found.etag, &body).await?, output)?;
        }
    }
    Ok(Exit::Done)
}

async fn found(client: &Client, target: &Target, wanted: &str) -> Result<Tagged<Project>> {
    let target = Target { project: wanted.to_owned(), ..target.clone() };
    let id = resolve::project(client, &target).await?;
    Ok(client.project_get(id).await?)
}

fn show(project: &Project, output: &Output) -> Result<()> {
    output.one(project, &project.name, || {
        facts(&[("name", project.name.clone()), ("id", project.id.to_string()), ("allowed regions", regions(project))])
    })
}

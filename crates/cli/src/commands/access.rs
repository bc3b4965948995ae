//! `access explain`: why somebody may do something, or may not.

use waybill_api::client::{AccessQuery, Client};

use crate::args::{Access as Command, Target};
use crate::exit::{Exit, Result};
use crate::output::{Output, facts};
use crate::{resolve, session};

pub(crate) async fn access(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    let Command::Explain { person, action, object } = command;
    let object = match object {
        Some(wanted) => Some(id_of(&client, target, &action, wanted).await?),
        None => None,
    };
    let query = AccessQuery { user: Some(person), action, object };
    let said = client.access_explain(&query).await?;
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    output.one(&said, if said.allowed { "allowed" } else { "refused" }, || {
        let mut rows = vec![
            ("person", said.email.clone()),
            ("action", said.action.clone()),
            ("allowed", if said.allowed { "yes" } else { "no" }.to_owned()),
            ("permission", dash(&said.permission)),
            ("role", dash(&said.role)),
            ("held in", dash(&said.scope)),
            ("takes", dash(&said.takes)),
            ("because", said.reason.clone()),
        ];
        if let Some(status) = said.refused_with {
            rows.insert(3, ("answered with", status.to_string()));
        }
        facts(&rows)
    })?;
    Ok(Exit::Done)
}

/// The id of what is named, by the noun that the action is about; whatever is no name of that kind is sent as it is.
async fn id_of(client: &Client, target: &Target, action: &str, wanted: String) -> Result<String> {
    let is_id = wanted.split_once('_').is_some_and(|(_, rest)| rest.len() == 26);
    let begins = |nouns: &[&str]| !is_id && nouns.iter().any(|noun| action.starts_with(noun));
    // What is made is not there yet: it is asked about with the project that it is to be made in.
    let in_project = ["project_", "member_", "spec_", "connection_create", "key_create", "key_list"];
    Ok(if begins(&in_project) {
        let target = Target { project: wanted, ..target.clone() };
        resolve::project(client, &target).await?.to_string()
    } else if begins(&["pipeline_", "schedule_", "run_start"]) {
        resolve::pipeline(client, target, &wanted).await?.id.to_string()
    } else if begins(&["connection_"]) {
        resolve::connection(client, target, &wanted).await?.id.to_string()
    } else if begins(&["data_plane_"]) {
        resolve::data_plane(client, &wanted).await?.value.id.to_string()
    } else if begins(&["agent_"]) {
        resolve::agent(client, &wanted).await?.id.to_string()
    } else if begins(&["key_"]) {
        resolve::key(client, target, &wanted).await?.id.to_string()
    } else if begins(&["user_"]) {
        resolve::user(client, &wanted).await?.value.id.to_string()
    } else {
        wanted
    })
}

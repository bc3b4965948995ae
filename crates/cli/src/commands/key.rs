//! `key`: list, show, create, revoke.

use waybill_api::client::ListQuery;
use waybill_api::key::{ApiKey, KeyCreate, KeyMade};

use crate::args::{Key as Command, Target};
use crate::exit::{Exit, Result};
use crate::output::{Output, Row, facts};
use crate::{resolve, session};

impl Row for ApiKey {
    const HEADER: &'static [&'static str] = &["NAME", "ROLE", "STATE", "LAST USED", "EXPIRES", "BEGINS WITH"];

    fn cells(&self) -> Vec<String> {
        let used = self.last_used_at.map_or_else(|| "–".to_owned(), |at| at.to_string());
        let (role, expires) = (self.role.to_string(), self.expires_at.to_string());
        vec![self.name.clone(), role, self.state.clone(), used, expires, self.prefix.clone()]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

pub(crate) async fn key(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::List(limit) => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.key_list(resolve::project(&client, target).await?, &query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        Command::Show { key } => {
            let key = resolve::key(&client, target, &key).await?;
            output.one(&key, &key.name, || facts(&rows(&key)))?;
        }
        Command::Create { name, role, pipeline, days, network } => {
            let mut pipelines = Vec::with_capacity(pipeline.len());
            for wanted in &pipeline {
                pipelines.push(resolve::pipeline(&client, target, wanted).await?.id);
            }
            let body = KeyCreate { name, role, pipelines, networks: network, days };
            let made = client.key_create(resolve::project(&client, target).await?, &body).await?;
            show_made(&made, output)?;
        }
        Command::Revoke { key } => {
            let key = resolve::key(&client, target, &key).await?;
            let key = client.key_revoke(key.id).await?;
            output.one(&key, &key.name, || facts(&rows(&key)))?;
        }
    }
    Ok(Exit::Done)
}

fn show_made(made: &KeyMade, output: &Output) -> Result<()> {
    output.say("The key is shown this once: keep it where your program finds its secrets, as WAYBILL_TOKEN.");
    output.one(made, &made.key.name, || {
        let mut rows = rows(&made.key);
        if let Some(secret) = &made.secret {
            rows.push(("key", secret.reveal().to_owned()));
        }
        facts(&rows)
    })
}

fn rows(key: &ApiKey) -> Vec<(&'static str, String)> {
    let listed = |items: Vec<String>| if items.is_empty() { "–".to_owned() } else { items.join(", ") };
    vec![
        ("name", key.name.clone()),
        ("id", key.id.to_string()),
        ("role", key.role.to_string()),
        ("pipelines", listed(key.pipelines.iter().map(ToString::to_string).collect())),
        ("from", listed(key.networks.clone())),
        ("state", key.state.clone()),
        ("made by", key.created_by.to_string()),
        ("expires", key.expires_at.to_string()),
        ("last used", key.last_used_at.map_or_else(|| "–".to_owned(), |at| at.to_string())),
    ]
}

//! `connection`: list, show, check, discover.

use serde_json::Value;
use waybill_api::client::{Client, EventQuery, ListQuery};
use waybill_api::connection::Connection;
use waybill_api::run::{DiscoveredTable, RunStart};
use waybill_model::event::EventCode;
use waybill_model::run::RunKind;

use crate::args::{Connection as Command, Target, Wait};
use crate::commands::watch::{self, Ended};
use crate::exit::{Exit, Result};
use crate::output::{Output, Row, facts};
use crate::{resolve, session};

impl Row for Connection {
    const HEADER: &'static [&'static str] = &["NAME", "TYPE", "ADDRESS", "VERSION"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.kind.clone(), address(&self.system), self.version.to_string()]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

impl Row for DiscoveredTable {
    const HEADER: &'static [&'static str] = &["STREAM", "COLUMNS", "KEY", "ROWS ABOUT"];

    fn cells(&self) -> Vec<String> {
        let rows = self.rows_estimate.map_or_else(|| "–".to_owned(), waybill_model::size::show_number);
        vec![self.name.clone(), self.columns.len().to_string(), self.key.join(", "), rows]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// What people call a system's address.
fn address(system: &Value) -> String {
    let text = |key: &str| system.get(key).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "postgres" | "mysql" => format!("{}/{}", text("host"), text("database")),
        "s3" => format!("s3://{}/{}", text("bucket"), text("prefix")),
        "gcs" => format!("gs://{}/{}", text("bucket"), text("prefix")),
        "azure" => format!("azure://{}/{}/{}", text("account"), text("container"), text("prefix")),
        "files" => text("url").to_owned(),
        _ => text("path").to_owned(),
    }
}

pub(crate) async fn connection(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::List(limit) => {
            let query: ListQuery = resolve::query(&client, target, limit.limit).await?;
            let page = client.connection_list(&query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
            Ok(Exit::Done)
        }
        Command::Show { connection } => {
            let found = resolve::connection(&client, target, &connection).await?;
            output.one(&found, &found.name.clone(), || {
                let system = found.system.as_object().map(|keys| keys.iter().map(|(k, v)| (k.as_str(), plain(v))));
                let mut rows = vec![("name", found.name.clone()), ("id", found.id.to_string())];
                rows.extend(system.into_iter().flatten());
                facts(&rows)
            })?;
            Ok(Exit::Done)
        }
        Command::Check { connection, wait } => {
            let (ended, name) = probe(&client, target, (&connection, RunKind::Check, wait), output).await?;
            let failed = explained(&client, &ended).await?;
            output.one(&ended.run, &ended.run.run.id.to_string(), || match ended.exit {
                Exit::Done => format!("✓ {name}: reached, logged in, and everything that runs need was found\n"),
                _ => failed,
            })?;
            Ok(ended.exit)
        }
        Command::Discover { connection, wait } => {
            let (ended, _) = probe(&client, target, (&connection, RunKind::Discover, wait), output).await?;
            if ended.exit != Exit::Done {
                output.say(explained(&client, &ended).await?.trim_end());
                return Ok(ended.exit);
            }
            let found = client.run_discovery(ended.run.run.id).await?;
            output.list(&found.tables, None)?;
            if found.tables_withheld > 0 {
                output.say(&format!(
                    "{} more tables were left out: they would not fit one answer",
                    found.tables_withheld
                ));
            }
            Ok(Exit::Done)
        }
    }
}

/// Why a probe failed: in short, and which secret it was where one could not be resolved. Nothing where it went well.
async fn explained(client: &Client, ended: &Ended) -> Result<String> {
    if ended.exit == Exit::Done {
        return Ok(String::new());
    }
    let mut told = crate::commands::why::sentence(&ended.run);
    let find = Some(EventCode::SecretFailed.to_string());
    let query = EventQuery { find, ..EventQuery::default() };
    let events = client.run_events(ended.run.run.id, &query).await?.items;
    for event in &events {
        told += &format!("{}\n", crate::output::clean(&event.text));
    }
    Ok(told)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A worker run on one connection, followed to its end.
async fn probe(
    client: &Client,
    target: &Target,
    what: (&str, RunKind, Wait),
    output: &Output,
) -> Result<(Ended, String)> {
    let (wanted, kind, wait) = what;
    let found = resolve::connection(client, target, wanted).await?;
    let start = RunStart { connection_id: Some(found.id), kind: Some(kind), ..RunStart::default() };
    let run = client.run_start(&start).await?;
    let ended = watch::follow(client, run, wait, output).await?;
    Ok((ended, crate::output::clean(&found.name)))
}

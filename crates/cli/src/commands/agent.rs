//! `agent`: enrol, list, show, approve, disable, enable, remove.

use waybill_api::agent::{Agent, AgentApprove, AgentCreate, AgentInvite, AgentInvited};
use waybill_api::client::{Client, ListQuery};
use waybill_api::data_plane::{DataPlane, DataPlaneCreate, ProcessSettings};

use crate::args::{Agent as Command, Target};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, facts};
use crate::{resolve, session};

/// Of new agents where none is named.
const PLANE: &str = "agents";

impl Row for Agent {
    const HEADER: &'static [&'static str] = &["NAME", "STATE", "CONNECTED", "LAST HEARD", "WORKERS", "VERSION"];

    fn cells(&self) -> Vec<String> {
        let connected = if self.connected { "yes" } else { "no" };
        let version = self.program_version.clone().unwrap_or_else(dash);
        let workers = format!("{} of {}", self.workers, self.slots);
        vec![self.name.clone(), self.state.clone(), connected.into(), time(self.seen_at), workers, version]
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn time(at: Option<waybill_api::Timestamp>) -> String {
    at.map_or_else(dash, |at| at.to_string())
}

pub(crate) async fn agent(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::Enrol { name, data_plane, approval } => {
            enrol(&client, (&name, data_plane.as_deref(), approval), output).await?;
        }
        Command::List(limit) => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.agent_list(&query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        Command::Show { agent } => show(&resolve::agent(&client, &agent).await?, output)?,
        Command::Approve { agent, fingerprint } => {
            let found = resolve::agent(&client, &agent).await?;
            show(&client.agent_approve(found.id, &AgentApprove { fingerprint }).await?, output)?;
        }
        Command::Disable { agent } => {
            let found = resolve::agent(&client, &agent).await?;
            show(&client.agent_disable(found.id).await?, output)?;
        }
        Command::Enable { agent } => {
            let found = resolve::agent(&client, &agent).await?;
            show(&client.agent_enable(found.id).await?, output)?;
        }
        Command::Remove { agent } => {
            let found = resolve::agent(&client, &agent).await?;
            let tagged = client.agent_get(found.id).await?;
            client.agent_delete(found.id, &tagged.etag).await?;
            output.say(&format!("removed {}", crate::output::clean(&found.name)));
        }
    }
    Ok(Exit::Done)
}

fn show(agent: &Agent, output: &Output) -> Result<()> {
    output.one(agent, &agent.name, || {
        let mut rows = vec![
            ("name", agent.name.clone()),
            ("id", agent.id.to_string()),
            ("data plane", agent.data_plane_id.to_string()),
            ("state", agent.state.clone()),
            ("connected", if agent.connected { "yes" } else { "no" }.to_owned()),
            ("last heard", time(agent.seen_at)),
            ("workers", format!("{} of {}", agent.workers, agent.slots)),
            ("role", agent.role_arn.clone().unwrap_or_else(dash)),
            ("key", agent.fingerprint.clone().unwrap_or_else(dash)),
            ("certificate", format!("generation {}, until {}", agent.generation, time(agent.certificate_until))),
        ];
        if let Some(until) = agent.invited_until {
            rows.push(("token until", until.to_string()));
        }
        facts(&rows)
    })
}

/// Invites a new agent, or one that there is anew. The data plane is made where it is missing.
async fn enrol(client: &Client, (name, plane, approval): (&str, Option<&str>, bool), output: &Output) -> Result<()> {
    let invited = match known(client, name).await? {
        Some(agent) => {
            if let Some(plane) = plane {
                same_plane(client, &agent, plane).await?;
            }
            client.agent_invite(agent.id, &AgentInvite { needs_approval: approval }).await?
        }
        None => {
            let data_plane_id = data_plane(client, plane.unwrap_or(PLANE), output).await?.id;
            let body = AgentCreate { name: name.to_owned(), data_plane_id, needs_approval: approval };
            client.agent_create(&body).await?
        }
    };
    output.one(&invited, &invited.agent.name, || people(&invited))
}

/// The agent of this name or id, if there is one.
async fn known(client: &Client, name: &str) -> Result<Option<Agent>> {
    if let Ok(id) = name.parse() {
        return Ok(Some(client.agent_get(id).await?.value));
    }
    let query = ListQuery { name: Some(name.to_owned()), ..ListQuery::default() };
    Ok(client.agent_list(&query).await?.items.into_iter().find(|agent| agent.name == name))
}

/// An agent stays with its data plane: asked for another one, nothing is done, since a token would void what it has.
async fn same_plane(client: &Client, agent: &Agent, wanted: &str) -> Result<()> {
    let own = client.data_plane_get(agent.data_plane_id).await?.value;
    if own.name == wanted || own.id.to_string() == wanted {
        return Ok(());
    }
    let (agent, own) = (crate::output::clean(&agent.name), crate::output::clean(&own.name));
    let message = format!("the agent {agent} is of the data plane {own}, not {wanted}");
    Err(Failure::new(Exit::Conflict, "unusable", message)
        .next("leave --data-plane out to invite it anew, or enrol one of another name"))
}

async fn data_plane(client: &Client, name: &str, output: &Output) -> Result<DataPlane> {
    let query = ListQuery { name: Some(name.to_owned()), ..ListQuery::default() };
    match client.data_plane_list(&query).await?.items.into_iter().find(|plane| plane.name == name) {
        Some(plane) if plane.kind == "agent" => Ok(plane),
        Some(plane) => {
            let message = format!("the data plane {name} is of kind {}, not agent", crate::output::clean(&plane.kind));
            Err(Failure::new(Exit::Conflict, "unusable", message).next("name another one with --data-plane"))
        }
        None => {
            let (kind, settings) = ("agent".to_owned(), ProcessSettings::default());
            let made = client
                .data_plane_create(&DataPlaneCreate { name: name.to_owned(), kind, settings, aws_ecs: None })
                .await?;
            output.say(&format!("made the data plane {}", crate::output::clean(name)));
            Ok(made)
        }
    }
}

/// What is to be done on the agent's host.
fn people(invited: &AgentInvited) -> String {
    let AgentInvited { agent, token, orchestrator, ca_pin } = invited;
    let until = time(agent.invited_until);
    let (Some(token), Some(orchestrator), Some(pin)) = (token, orchestrator, ca_pin) else {
        return format!("the invitation of {} can't be shown any more; run the command again\n", agent.name);
    };
    format!(
        "On the agent's host, until {until}:\n\n  waybill-agent enrol --orchestrator {orchestrator} --ca-pin {pin}\n\n\
         It asks for this token, which works once:\n\n  {}\n",
        token.reveal()
    )
}

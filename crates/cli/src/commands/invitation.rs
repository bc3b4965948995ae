//! `invitation`: list, create, revoke, accept.

use std::path::Path;

use waybill_api::account::Confidential;
use waybill_api::client::{Client, ListQuery};
use waybill_api::invitation::{Invitation, InvitationAccept, InvitationCreate, InvitationMade};

use super::login::{ask, missing, password};
use super::validate::read;
use crate::args::{Invitation as Command, Target};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, facts};
use crate::resolve;
use crate::session::{self, Logins, Place};

impl Row for Invitation {
    const HEADER: &'static [&'static str] = &["E-MAIL", "ROLE", "STATE", "EXPIRES"];

    fn cells(&self) -> Vec<String> {
        vec![self.email.clone(), self.role.to_string(), self.state.clone(), self.expires_at.to_string()]
    }

    fn name(&self) -> String {
        self.email.clone()
    }
}

pub(crate) async fn invitation(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    if let Command::Accept { token_file, password: given } = command {
        let asks = output.terminal.asks && !target.no_input;
        let token = token(token_file.as_deref(), (asks, "Token of the invitation: "), output)?;
        let place = session::find(target, &Logins::read()?)?;
        let new = "A password for your account: 12 to 128 characters.";
        let password = password(&given, asks, Some(new), output)?;
        let tokens = session::client(&place)?.invitation_accept(&InvitationAccept { token, password }).await?;
        session::begin(&place, tokens)?;
        output.say(&format!("your account is made, and you are logged in at {}", place.url));
        return Ok(Exit::Done);
    }
    let session::Session { client, place } = session::connect(target)?;
    match command {
        Command::List(limit) => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.invitation_list(&query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        Command::Create { email, role, project_role } => {
            let project_id = match project_role {
                Some(_) => Some(resolve::project(&client, target).await?),
                None => None,
            };
            let body = InvitationCreate { email, role: Some(role), project_id, project_role };
            show_made(&client.invitation_create(&body).await?, &place, output)?;
        }
        Command::Revoke { invitation } => {
            let id = found(&client, &invitation).await?.id;
            let row = client.invitation_revoke(id).await?;
            output.one(&row, &row.email, || facts(&rows(&row)))?;
        }
        Command::Accept { .. } => {}
    }
    Ok(Exit::Done)
}

/// The token of a link: out of a file, or asked for.
pub(super) fn token(file: Option<&Path>, (asks, question): (bool, &str), output: &Output) -> Result<Confidential> {
    let text = match file {
        Some(file) => read(file)?,
        None if asks => ask(question, output)?,
        None => return Err(missing("--token-file FILE")),
    };
    Ok(Confidential::new(text.trim()))
}

/// An invitation by its id, or the newest one of an address.
async fn found(client: &Client, wanted: &str) -> Result<Invitation> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.invitation_get(id).await?);
    }
    let mut query = ListQuery { limit: Some(200), ..ListQuery::default() };
    let mut last = None;
    loop {
        let page = client.invitation_list(&query).await?;
        last = page.items.into_iter().rfind(|it| it.email.eq_ignore_ascii_case(wanted)).or(last);
        let Some(next) = page.next_cursor else {
            return last.ok_or_else(|| Failure::not_found("invitation", wanted).next("waybill invitation list"));
        };
        query.cursor = Some(next);
    }
}

fn show_made(made: &InvitationMade, place: &Place, output: &Output) -> Result<()> {
    output.say(
        "The link is shown this once: send it in a way that only the person reads. They open it, or run `waybill invitation accept`.",
    );
    output.one(made, &made.invitation.email, || {
        let mut rows = rows(&made.invitation);
        if let Some(token) = &made.token {
            rows.push(("token", token.reveal().to_owned()));
            rows.push(("link", place.link("accept", token)));
        }
        facts(&rows)
    })
}

fn rows(row: &Invitation) -> Vec<(&'static str, String)> {
    let in_project = match (&row.project_id, &row.project_role) {
        (Some(id), Some(role)) => format!("{role} of {id}"),
        _ => "–".to_owned(),
    };
    vec![
        ("e-mail", row.email.clone()),
        ("id", row.id.to_string()),
        ("role", row.role.to_string()),
        ("project", in_project),
        ("state", row.state.clone()),
        ("made by", row.invited_by.to_string()),
        ("expires", row.expires_at.to_string()),
    ]
}

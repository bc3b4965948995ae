//! `user` and `member`: who is in the organization and in a project, and as what.

use waybill_api::account::{User, UserCreate, UserUpdate};
use waybill_api::client::{Client, ListQuery, Tagged};
use waybill_api::member::{Member, MemberCreate, MemberUpdate};
use waybill_api::password::PasswordResetCreate;
use waybill_model::ProjectId;

use super::login::password;
use crate::args::{Member as MemberCommand, Target, User as UserCommand};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, facts};
use crate::{resolve, session};

fn state(disabled: bool) -> String {
    if disabled { "disabled" } else { "active" }.to_owned()
}

impl Row for User {
    const HEADER: &'static [&'static str] = &["E-MAIL", "ROLE", "STATE"];

    fn cells(&self) -> Vec<String> {
        vec![self.email.clone(), self.role.to_string(), state(self.disabled)]
    }

    fn name(&self) -> String {
        self.email.clone()
    }
}

impl Row for Member {
    const HEADER: &'static [&'static str] = &["E-MAIL", "ROLE", "STATE"];

    fn cells(&self) -> Vec<String> {
        vec![self.email.clone(), self.role.to_string(), state(self.disabled)]
    }

    fn name(&self) -> String {
        self.email.clone()
    }
}

pub(crate) async fn user(target: &Target, command: UserCommand, output: &Output) -> Result<Exit> {
    let session::Session { client, place } = session::connect(target)?;
    match command {
        UserCommand::List(limit) => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.user_list(&query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        UserCommand::Show(who) => show_user(&resolve::user(&client, &who.person).await?.value, output)?,
        UserCommand::Add { email, role, password: given } => {
            let asks = output.terminal.asks && !target.no_input;
            let new = "A first password for the account: 12 to 128 characters.";
            let password = password(&given, asks, Some(new), output)?;
            let body = UserCreate { email, password, role: Some(role) };
            show_user(&client.user_create(&body).await?, output)?;
        }
        UserCommand::Set { who, role } => {
            let body = UserUpdate { role: Some(role), ..UserUpdate::default() };
            update(&client, &who.person, &body, output).await?;
        }
        UserCommand::ResetPassword { who, hours } => {
            let user = resolve::user(&client, &who.person).await?.value;
            let made = client.user_password_reset(user.id, &PasswordResetCreate { hours: Some(hours) }).await?;
            output.say(
                "The link is shown this once: send it in a way that only the person reads. They open it, or run `waybill password reset`.",
            );
            output.one(&made, &user.email, || {
                facts(&[
                    ("e-mail", user.email.clone()),
                    ("expires", made.expires_at.to_string()),
                    ("token", made.token.reveal().to_owned()),
                    ("link", place.link("reset", &made.token)),
                ])
            })?;
        }
        UserCommand::Disable(who) => {
            let body = UserUpdate { disabled: Some(true), ..UserUpdate::default() };
            update(&client, &who.person, &body, output).await?;
        }
        UserCommand::Enable(who) => {
            let body = UserUpdate { disabled: Some(false), ..UserUpdate::default() };
            update(&client, &who.person, &body, output).await?;
        }
    }
    Ok(Exit::Done)
}

async fn update(client: &Client, who: &str, body: &UserUpdate, output: &Output) -> Result<()> {
    let found = resolve::user(client, who).await?;
    show_user(&client.user_update(found.value.id, &found.etag, body).await?, output)
}

fn show_user(user: &User, output: &Output) -> Result<()> {
    output.one(user, &user.email, || {
        facts(&[
            ("e-mail", user.email.clone()),
            ("id", user.id.to_string()),
            ("role", user.role.to_string()),
            ("state", state(user.disabled)),
        ])
    })
}

pub(crate) async fn member(target: &Target, command: MemberCommand, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    let project = resolve::project(&client, target).await?;
    match command {
        MemberCommand::List(limit) => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.member_list(project, &query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        MemberCommand::Add { email, role } => {
            show_member(&client.member_create(project, &MemberCreate { email, role }).await?, output)?;
        }
        MemberCommand::Set { who, role } => {
            let found = found(&client, project, &who.person).await?;
            let body = MemberUpdate { role };
            show_member(&client.member_update(project, found.value.user_id, &found.etag, &body).await?, output)?;
        }
        MemberCommand::Remove(who) => {
            let found = found(&client, project, &who.person).await?;
            client.member_delete(project, found.value.user_id, &found.etag).await?;
            output.say(&format!("removed {}", crate::output::clean(&found.value.email)));
        }
    }
    Ok(Exit::Done)
}

/// A member by e-mail address or id: who looks after a project need not see all people of the organization.
async fn found(client: &Client, project: ProjectId, wanted: &str) -> Result<Tagged<Member>> {
    if let Ok(id) = wanted.parse() {
        return Ok(client.member_get(project, id).await?);
    }
    let mut query = ListQuery { limit: Some(200), ..ListQuery::default() };
    loop {
        let page = client.member_list(project, &query).await?;
        if let Some(member) = page.items.iter().find(|member| member.email.eq_ignore_ascii_case(wanted)) {
            return Ok(client.member_get(project, member.user_id).await?);
        }
        let Some(next) = page.next_cursor else {
            return Err(Failure::not_found("member", wanted).next("waybill member list"));
        };
        query.cursor = Some(next);
    }
}

fn show_member(member: &Member, output: &Output) -> Result<()> {
    output.one(member, &member.email, || {
        facts(&[
            ("e-mail", member.email.clone()),
            ("id", member.user_id.to_string()),
            ("role", member.role.to_string()),
            ("state", state(member.disabled)),
        ])
    })
}

//! `session`: list, history, revoke.

use waybill_api::client::{Client, ListQuery};
use waybill_api::session::{Session, SessionRevoke, SignIn};
use waybill_model::UserId;

use crate::args::{Session as Command, Target};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, clean};
use crate::{resolve, session};

impl Row for Session {
    const HEADER: &'static [&'static str] = &["SESSION", "BEGUN", "LAST USED", "ENDS", "FROM", "THIS ONE"];

    fn cells(&self) -> Vec<String> {
        let from = self.ip.clone().unwrap_or_else(|| "–".to_owned());
        let current = if self.current { "yes" } else { "no" };
        let times = [self.created_at, self.used_at, self.expires_at].map(|at| at.to_string());
        [vec![self.id.to_string()], times.into(), vec![from, current.to_owned()]].concat()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl Row for SignIn {
    const HEADER: &'static [&'static str] = &["TIME", "HOW", "OUTCOME", "FROM"];

    fn cells(&self) -> Vec<String> {
        let from = self.ip.clone().unwrap_or_else(|| "–".to_owned());
        vec![self.at.to_string(), self.how.clone(), self.outcome.clone(), from]
    }

    fn name(&self) -> String {
        self.seq.to_string()
    }
}

pub(crate) async fn run(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Command::List { limit, of } => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.session_list(person(&client, of).await?, &query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        Command::History { limit, of } => {
            let query = ListQuery { limit: Some(limit.limit), ..ListQuery::default() };
            let page = client.sign_in_list(person(&client, of).await?, &query).await?;
            output.list(&page.items, page.next_cursor.as_deref())?;
        }
        Command::Revoke { session, all: _, of } => {
            let wrong = |wanted: &String| {
                Failure::new(Exit::Usage, "not_a_session_id", format!("`{}` is no id of a session", clean(wanted)))
                    .next("waybill session list")
            };
            let session_id = session.map(|wanted| wanted.parse().map_err(|_| wrong(&wanted))).transpose()?;
            let of = person(&client, of).await?;
            let ended = client.session_revoke(of, &SessionRevoke { session_id }).await?.ended;
            output.say(&format!("ended {ended} session{}", if ended == 1 { "" } else { "s" }));
        }
    }
    Ok(Exit::Done)
}

/// Whose sessions; none for one's own.
async fn person(client: &Client, of: Option<String>) -> Result<Option<UserId>> {
    match of {
        Some(wanted) => Ok(Some(resolve::user(client, &wanted).await?.value.id)),
        None => Ok(None),
    }
}

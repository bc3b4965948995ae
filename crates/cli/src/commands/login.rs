//! `login`, `logout`, `whoami`.

use std::io::Read;
use std::path::Path;

use waybill_api::ProblemCode;
use waybill_api::account::{Confidential, LoginRequest, SetupRequest, Tokens};
use waybill_api::client::Client;

use crate::args::{Login as Args, Password, Target};
use crate::commands::validate::read;
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, facts};
use crate::session::{self, Logins, Place};

pub(crate) async fn login(target: &Target, args: &Args, output: &Output) -> Result<Exit> {
    let place = session::find(target, &Logins::read()?)?;
    let client = session::client(&place)?;
    let setup = setup_token(&place, args)?;
    let asks = output.terminal.asks && !target.no_input;
    let email = match (&args.email, asks) {
        (Some(email), _) => email.clone(),
        (None, true) => ask("E-mail address: ", output)?,
        (None, false) => return Err(missing("--email ADDRESS")),
    };
    let new = setup.is_some().then_some("Where no owner is there yet, this makes the first one: 12 to 128 characters.");
    let password = password(&args.password, asks, new, output)?;
    let tokens = enter(&client, setup, (&email, &password), args).await?;
    session::begin(&place, tokens)?;
    output.say(&format!("logged in at {} as {}", place.url, crate::output::clean(&email)));
    Ok(Exit::Done)
}

/// Makes the first owner where a setup token is there, and logs in otherwise. A token that merely lies in the
/// state directory may have been used long ago: then it is an ordinary login.
async fn enter(
    client: &Client,
    setup: Option<Confidential>,
    who: (&str, &Confidential),
    args: &Args,
) -> Result<Tokens> {
    let (email, password) = (who.0.to_owned(), who.1.clone());
    if let Some(setup_token) = setup {
        let (organization, email, password) = (args.organization.clone(), email.clone(), password.clone());
        let body = SetupRequest { setup_token, email, password, organization };
        match client.setup(&body).await {
            Err(error) if error.code() == Some(ProblemCode::SetupRefused) && args.setup_token_file.is_none() => {}
            done => return Ok(done?),
        }
    }
    Ok(client.login(&LoginRequest { email, password }).await?)
}

/// The one-time token: from the file that was named, or from the state directory where it still lies there.
fn setup_token(place: &Place, args: &Args) -> Result<Option<Confidential>> {
    let found = match (&args.setup_token_file, &place.state) {
        (Some(file), _) => Some(read(file)?),
        (None, Some(state)) => std::fs::read_to_string(state.join("setup-token")).ok(),
        (None, None) => None,
    };
    Ok(found.map(|text| Confidential::new(text.trim())))
}

/// A password as it is given; `new` says what is asked for where a person is.
pub(crate) fn password(args: &Password, asks: bool, new: Option<&str>, output: &Output) -> Result<Confidential> {
    let text = if args.password_stdin {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(|error| unreadable(&error))?;
        text
    } else if let Some(file) = &args.password_file {
        read(file)?
    } else if asks {
        if let Some(new) = new {
            output.say(new);
        }
        hidden(output)?
    } else {
        return Err(missing("--password-stdin or --password-file FILE"));
    };
    Ok(Confidential::new(text.strip_suffix('\n').unwrap_or(&text).trim_end_matches('\r')))
}

pub(super) fn missing(what: &str) -> Failure {
    Failure::new(Exit::Usage, "input_needed", format!("{what} is needed where nobody can be asked"))
        .next("printf %s \"$PASSWORD\" | waybill login --email ada@example.org --password-stdin")
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "input_unreadable", format!("the input can't be read: {}", error.kind()))
}

pub(super) fn ask(question: &str, output: &Output) -> Result<String> {
    output.prompt(question);
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| unreadable(&error))?;
    Ok(answer.trim().to_owned())
}

/// Asks without echo; the terminal is set back whatever happens.
fn hidden(output: &Output) -> Result<String> {
    struct Echo(rustix::termios::Termios);
    impl Drop for Echo {
        fn drop(&mut self) {
            // Nothing is left to do where the terminal went away.
            let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
        }
    }
    let quiet = || -> rustix::io::Result<Echo> {
        let before = rustix::termios::tcgetattr(std::io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(rustix::termios::LocalModes::ECHO);
        rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &silent)?;
        Ok(Echo(before))
    };
    let _echo = quiet().map_err(|error| unreadable(&error.into()))?;
    let answer = ask("Password: ", output);
    output.say("");
    answer
}

pub(crate) async fn logout(target: &Target, output: &Output) -> Result<Exit> {
    let session = session::connect(target)?;
    let ended = session.client.logout().await;
    Logins::remove(&session.place.key)?;
    match ended {
        Ok(()) => output.say(&format!("logged out at {}", session.place.url)),
        Err(error) => {
            let failure = Failure::from(error);
            // A session that the server does not know any more has ended already.
            if failure.exit != Exit::Login {
                return Err(Failure {
                    next: Some("the login was removed here; the session ends by itself".into()),
                    ..failure
                });
            }
            output.say(&format!("the login at {} had ended already; it was removed here", session.place.url));
        }
    }
    Ok(Exit::Done)
}

pub(crate) async fn whoami(target: &Target, output: &Output) -> Result<Exit> {
    let session = session::connect(target)?;
    let who = session.client.whoami().await?;
    output.one(&who, &who.user.email.clone(), || {
        facts(&[
            ("user", who.user.email.clone()),
            ("role", who.user.role.to_string()),
            ("organization", who.organization.name.clone()),
            ("orchestrator", session.place.url.clone()),
            ("trusts", session.place.ca.as_ref().map_or("the system's roots", |_| "one pinned CA").to_owned()),
        ])
    })?;
    Ok(Exit::Done)
}

/// Whether a state directory still holds the token of a setup that was not done.
pub(crate) fn setup_is_open(state: &Path) -> bool {
    state.join("setup-token").exists()
}

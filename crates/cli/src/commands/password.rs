//! `password`: change, reset.

use waybill_api::password::{PasswordChange, PasswordResetUse};

use super::invitation::token;
use super::login::password;
use crate::args::{Password as Given, PasswordCommand as Command, Target};
use crate::exit::{Exit, Result};
use crate::output::Output;
use crate::session::{self, Logins};

const NEW: &str = "A new password: 12 to 128 characters.";

pub(crate) async fn change(target: &Target, command: Command, output: &Output) -> Result<Exit> {
    let asks = output.terminal.asks && !target.no_input;
    match command {
        Command::Change { current_file, password: new } => {
            let client = session::connect(target)?.client;
            let current = Given { password_stdin: false, password_file: current_file };
            let current_password = password(&current, asks, Some("The password that you have."), output)?;
            let password = password(&new, asks, Some(NEW), output)?;
            client.password_change(&PasswordChange { current_password, password }).await?;
            output.say("your password is changed, and every other session of yours has ended");
        }
        Command::Reset { token_file, password: new } => {
            let token = token(token_file.as_deref(), (asks, "Token of the link: "), output)?;
            let place = session::find(target, &Logins::read()?)?;
            let password = password(&new, asks, Some(NEW), output)?;
            let tokens = session::client(&place)?.password_reset_use(&PasswordResetUse { token, password }).await?;
            session::begin(&place, tokens)?;
            output.say(&format!("your password is changed, and you are logged in at {}", place.url));
        }
    }
    Ok(Exit::Done)
}

//! One module per noun; each command asks, prints, and says how it ended.

mod access;
mod agent;
mod api;
mod apply;
mod connection;
mod data_plane;
mod doctor;
mod guard;
mod invitation;
mod key;
mod login;
mod logs;
mod man;
mod password;
mod people;
mod pipeline;
mod preview;
mod project;
mod run;
mod schema;
mod sessions;
mod sign;
mod trail;
mod validate;
mod watch;
mod why;

use crate::args::{Cli, Command};
use crate::complete;
use crate::exit::{Exit, Result};
use crate::output::Output;

/// Runs one command.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<Exit> {
    let target = &cli.target;
    match cli.command {
        Command::Validate { files } => validate::validate(&files, output),
        Command::Guard(command) => guard::guard(command, output),
        Command::Sign(command) => sign::sign(command, output),
        Command::Schema { write } => schema::schema(write, output),
        Command::Completions { shell } => {
            output.text(&String::from_utf8_lossy(&complete::script(shell)))?;
            Ok(Exit::Done)
        }
        Command::Man { dir } => man::man(&dir, output),
        Command::Login(login) => login::login(target, &login, output).await,
        Command::Logout => login::logout(target, output).await,
        Command::Whoami => login::whoami(target, output).await,
        Command::Plan { file, prune, exit_code } => apply::plan(target, &file, (prune, exit_code), output).await,
        Command::Apply { file, prune, plan, secrets } => {
            apply::apply(target, &file, (prune, plan, secrets), output).await
        }
        Command::Agent(command) => agent::agent(target, command, output).await,
        Command::Connection(command) => connection::connection(target, command, output).await,
        Command::DataPlane(command) => data_plane::data_plane(target, command, output).await,
        Command::Project(command) => project::project(target, command, output).await,
        Command::Invitation(command) => invitation::invitation(target, command, output).await,
        Command::Key(command) => key::key(target, command, output).await,
        Command::Access(command) => access::access(target, command, output).await,
        Command::Session(command) => sessions::run(target, command, output).await,
        Command::Password(command) => password::change(target, command, output).await,
        Command::User(command) => people::user(target, command, output).await,
        Command::Member(command) => people::member(target, command, output).await,
        Command::Pipeline(command) => pipeline::pipeline(target, command, output).await,
        Command::Run(command) => run::run(target, command, output).await,
        Command::Trail(command) => trail::trail(target, command, output).await,
        Command::Doctor => doctor::doctor(target, output).await,
        Command::Api(request) => api::api(target, request, output).await,
    }
}

//! The orchestrator's program: settings first, ports last, and down again on SIGTERM.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;
use waybill_identity::KeyDirectory;
use waybill_identity::error::IdentityResult;
use waybill_model::Micros;
use waybill_orchestrator::app;
use waybill_orchestrator::auth::token::{self, KeyEntry};
use waybill_orchestrator::config::{Config, DEFAULT, Log};

/// Steers runs of pipelines without ever seeing a row.
#[derive(Parser)]
#[command(name = "waybill-orchestrator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, workers and loops
    Serve(Serve),
    /// Print or explain settings
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make the keys before a first start; list or rotate those that sign access tokens
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print a new one-time token with which the first owner is made
    SetupToken(Place),
    /// Print the API description (OpenAPI 3.1)
    Openapi,
    /// Print which role may call which operation, as a page
    Roles,
}

/// Example: `waybill-orchestrator serve --dev`, or `waybill-orchestrator serve --config /etc/waybill/orchestrator.toml`
#[derive(clap::Args)]
struct Serve {
    #[command(flatten)]
    place: Place,
}

/// Which orchestrator.
#[derive(clap::Args)]
struct Place {
    /// Settings that differ from the default ones
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Everything on this machine below one directory: SQLite, keys, workers as processes
    #[arg(long)]
    dev: bool,
    /// The directory of --dev
    #[arg(long, value_name = "DIR", default_value = "./.waybill", requires = "dev")]
    state: PathBuf,
}

/// Example: `waybill-orchestrator keys list --config /etc/waybill/orchestrator.toml`
#[derive(Subcommand)]
enum KeysCommand {
    /// Make what is missing in the key directory; what is there stays as it is
    Make {
        #[command(flatten)]
        place: Place,
    },
    /// Say which keys there are: pending, active, retiring or retired
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Add a key. Every running orchestrator takes it up within seconds; the old one is accepted until its tokens have run out
    Rotate {
        #[command(flatten)]
        place: Place,
        /// Refuse every older key at once: all access tokens end, and clients get new ones with their refresh tokens
        #[arg(long)]
        now: bool,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the default settings with their comments
    Print,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Serve(serve) => run(&serve.place),
        Command::SetupToken(place) => setup_token(&place),
        Command::Keys(KeysCommand::Make { place }) => make_keys(&place),
        Command::Keys(KeysCommand::List { place }) => keys(&place, token::list),
        Command::Keys(KeysCommand::Rotate { place, now: at_once }) => {
            keys(&place, |directory, life, now| token::rotate(directory, life, now, at_once))
        }
        Command::Config(ConfigCommand::Print) => print(DEFAULT),
        Command::Openapi => print(&waybill_orchestrator::openapi::text()),
        Command::Roles => print(&waybill_orchestrator::role_table::text()),
    };
    outcome.unwrap_or_else(|error| {
        say(&format!("waybill-orchestrator: {error:#}"));
        ExitCode::FAILURE
    })
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The one-time setup token where a person reads it: a collected log is no place for it.
fn where_to_find(token: &Path, is_read_by_a_person: bool) -> String {
    let place = token.display();
    match std::fs::read_to_string(token) {
        Ok(text) if is_read_by_a_person => format!("the one-time setup token is {}, kept in {place}", text.trim()),
        _ => format!("the one-time setup token is in {place}"),
    }
}

/// To standard error; where nobody reads it, it is lost.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

impl Place {
    /// The state directory of --dev.
    fn state(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(if self.dev { Some(std::path::absolute(&self.state)?) } else { None })
    }

    /// The settings; none where there are mistakes, which have been told.
    fn config(&self) -> anyhow::Result<Option<Config>> {
        match Config::load(self.config.as_deref(), self.state()?.as_deref(), std::env::vars()) {
            Ok(config) => Ok(Some(config)),
            Err(errors) => {
                for error in errors {
                    say(&error.to_string());
                }
                Ok(None)
            }
        }
    }
}

/// Does something to the keys of access tokens and prints what there is then; never a key itself.
fn keys(
    place: &Place,
    act: impl Fn(&KeyDirectory, Duration, u64) -> IdentityResult<Vec<KeyEntry>>,
) -> anyhow::Result<ExitCode> {
    let Some(config) = place.config()? else { return Ok(ExitCode::from(2)) };
    let directory = KeyDirectory::existing(&config.keys);
    let mut text = format!("{:<16}  {:<8}  SIGNS FROM\n", "KEY", "STATE");
    for KeyEntry { kid, state, from } in act(&directory, config.login.access, token::seconds())? {
        let from = if from == 0 { "the beginning".to_owned() } else { Micros((from * 1_000_000) as i64).to_string() };
        text.push_str(&format!("{kid:<16}  {:<8}  {from}\n", state.to_string()));
    }
    print(&text)
}

fn make_keys(place: &Place) -> anyhow::Result<ExitCode> {
    let Some(config) = place.config()? else { return Ok(ExitCode::from(2)) };
    app::make_keys(&config)?;
    say(&format!("the keys are in {}; back them up apart from the database", config.keys.display()));
    Ok(ExitCode::SUCCESS)
}

fn setup_token(place: &Place) -> anyhow::Result<ExitCode> {
    let Some(config) = place.config()? else { return Ok(ExitCode::from(2)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(app::setup_token(&config))? {
        Some(token) => print(&format!("{token}\n")),
        None => {
            say("somebody has an account already: an administrator invites the next one");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn run(place: &Place) -> anyhow::Result<ExitCode> {
    let Some(config) = place.config()? else { return Ok(ExitCode::from(2)) };
    let state = place.state()?;
    log(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(until_signal(&config, state.as_deref()))
}

fn log(log: &Log) -> anyhow::Result<()> {
    let level: LevelFilter = log.level.parse()?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt().with_max_level(level).with_ansi(colours).with_writer(std::io::stderr);
    // A line that can't be written is no reason to end: complaining about it on the same full disk would be.
    let lines = lines.log_internal_errors(false);
    if log.json {
        lines.json().init()
    } else {
        lines.init()
    }
    Ok(())
}

async fn until_signal(config: &Config, state: Option<&Path>) -> anyhow::Result<ExitCode> {
    // Before anything is open, so that a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let running = app::start(config).await?;
    say(&format!("API      https://{}", running.ports.api));
    say(&format!("workers  {}", running.ports.worker));
    say(&format!("health   http://{}/readyz", running.ports.private));
    if let Some(token) = &running.setup_token {
        say(&format!("setup    {}", where_to_find(token, state.is_some() || std::io::stderr().is_terminal())));
        let state = state.unwrap_or(&config.state).display();
        say(&format!("         make the first owner with: waybill login --state {state}"));
    }
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    let grace = config.bounds.offline_grace.as_secs();
    for attempt in running.at_work().await {
        say(&format!(
            "still running: {} ({}); its worker goes on without the orchestrator for up to {grace} s and commits once it is back",
            attempt.run, attempt.id
        ));
    }
    if running.stop().await {
        return Ok(ExitCode::SUCCESS);
    }
    tracing::warn!("not everything ended in time");
    Ok(ExitCode::FAILURE)
}

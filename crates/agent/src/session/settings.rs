//! What the command line says of this host's workers: where they run, under which guard, with which variables.

use std::path::{Path, PathBuf};

use waybill_launcher::container::{ContainerLauncher, ContainerSettings, Mount};
use waybill_launcher::process::Users;

use super::cluster;
use super::guard::Copied;
use crate::AgentError;
use crate::cli::RunArguments;
use crate::identity::Identity;
use crate::state::{State, StateError};
use crate::workers::{Settings, Wanted};

/// The worker in its image.
const PROGRAM: &str = "/waybill-worker";
/// The directory in which a container finds its guard.
const GUARD: &str = "/etc/waybill/guard";

/// Reads the settings, and says what is wrong with them.
pub(super) async fn read(arguments: &RunArguments, identity: &Identity, state: &State) -> Result<Settings, AgentError> {
    if let Some(name) = &arguments.tasks.cluster {
        let cluster = cluster::read(arguments, identity, name).await?;
        // Program and arguments are the image's own.
        return Ok(of(arguments, Wanted::Tasks(Box::new(cluster)), (String::new(), Vec::new())));
    }
    let guard = guard(arguments)?;
    let (place, program, guard) = match &arguments.containers.engine {
        Some(socket) => {
            // Looked at here, since otherwise it would show at the first worker, or as somebody else's words.
            is_there("--engine", socket, "start the engine, or name its socket")?;
            let copied = guard.map(|guard| Copied::of(guard, &state.guard())).transpose()?;
            let (launcher, guard) = contained(arguments, socket, copied).await?;
            (Wanted::Containers(launcher), PROGRAM.to_owned(), guard)
        }
        None => {
            let group = arguments.control_group.clone();
            if let Some(group) = &group {
                is_there("--control-group", &group.join("cgroup.procs"), "name the directory of a control group")?;
            }
            let users = users(arguments)?;
            (Wanted::Processes { group, users }, program(arguments)?, guard.map(|guard| guard.display().to_string()))
        }
    };
    let mut args: Vec<String> =
        ["run", "--orchestrator", &identity.orchestrator, "--ca-pin", &identity.ca_pin].map(str::to_owned).to_vec();
    args.extend(guard.into_iter().flat_map(|guard| ["--guard".to_owned(), guard]));
    Ok(of(arguments, place, (program, args)))
}

fn of(arguments: &RunArguments, place: Wanted, (program, args): (String, Vec<String>)) -> Settings {
    let (environment, stop_grace, slots) = (arguments.pass_env.clone(), arguments.stop_grace, arguments.slots);
    Settings { place, program, args, environment, stop_grace, slots }
}

/// The guard's file. None only where somebody wrote that none is wanted.
fn guard(arguments: &RunArguments) -> Result<Option<&Path>, AgentError> {
    match &arguments.guard {
        Some(guard) => {
            is_there("--guard", guard, "name the guard's file")?;
            Ok(Some(guard))
        }
        None if arguments.without_guard => {
            tracing::warn!("--without-guard: no guard holds the workers, they do whatever the orchestrator asks for");
            Ok(None)
        }
        None => {
            let text = "--guard: a guard's file must be named: write one with `waybill guard init`, or take \
                        --without-guard for workers that do whatever the orchestrator asks for";
            Err(AgentError::Usage(text.to_owned()))
        }
    }
}

fn is_there(option: &str, place: &Path, next: &str) -> Result<(), AgentError> {
    if place.exists() {
        return Ok(());
    }
    Err(AgentError::Usage(format!("{option}: {} is not there; {next}", place.display())))
}

/// Users of their own for workers, and this program, by which each becomes one.
fn users(arguments: &RunArguments) -> Result<Option<(Users, PathBuf)>, AgentError> {
    let Some(users) = &arguments.worker_user else { return Ok(None) };
    users.check(arguments.slots).map_err(|error| AgentError::Usage(format!("--worker-user: {error}")))?;
    let this = std::env::current_exe();
    let this = this.map_err(|source| StateError::Io { path: "waybill-agent".into(), source })?;
    Ok(Some((users.clone(), this)))
}

/// The worker that is named, or the one beside this program.
fn program(arguments: &RunArguments) -> Result<String, AgentError> {
    let beside = || std::env::current_exe().map(|this| this.with_file_name("waybill-worker"));
    let program = arguments.worker.clone().map_or_else(beside, Ok);
    let program = program.map_err(|source| StateError::Io { path: "waybill-worker".into(), source })?;
    is_there("--worker", &program, "name the worker's program")?;
    Ok(program.display().to_string())
}

/// How workers are contained, and where they find their guard, which the engine must see as this agent does.
async fn contained(
    arguments: &RunArguments,
    socket: &Path,
    guard: Option<Copied>,
) -> Result<(ContainerLauncher, Option<String>), AgentError> {
    let wanted = &arguments.containers;
    let mut mounts = wanted.mounts.clone();
    for mount in &mounts {
        // The engine would say so at every start only.
        is_there("--mount", Path::new(&mount.source), "name what workers are to see")?;
    }
    if let Some(guard) = &guard {
        let source = guard.dir().display().to_string();
        mounts.push(Mount { source, target: GUARD.to_owned(), writable: false });
    }
    let settings = ContainerSettings {
        image: wanted.image.clone().unwrap_or_default(),
        user: wanted.user.clone(),
        network: wanted.network.clone(),
        mounts,
        stop_grace: arguments.stop_grace,
    };
    settings.check().map_err(|error| AgentError::Usage(error.to_string()))?;
    let Some(guard) = guard else { return Ok((ContainerLauncher::open(socket, settings).await?, None)) };
    let (dir, marker, inside) = (guard.dir().to_path_buf(), guard.mark()?, format!("{GUARD}/{}", guard.name()));
    // Before the engine is asked, which may fetch an image first: containers of an earlier start wait for the next mark.
    guard.follow();
    let launcher = ContainerLauncher::open(socket, settings).await?;
    let name = marker.path().file_name().unwrap_or_default().to_string_lossy();
    if !launcher.sees(&dir, &name).await? {
        let (dir, state) = (dir.display(), dir.parent().unwrap_or(&dir).display());
        return Err(AgentError::Usage(format!(
            "--engine: the engine does not see this agent's {dir}, so workers would find no guard there, or another one; an \
             agent that runs in a container needs a directory of the engine's host at the same path, such as \
             `--volume {state}:{state}`"
        )));
    }
    Ok((launcher, Some(inside)))
}

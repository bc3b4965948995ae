//! What the command line says of this host's workers: where they run, under which guard, with which variables.

use std::path::Path;

use waybill_launcher::container::{ContainerSettings, Mount};

use crate::AgentError;
use crate::cli::RunArguments;
use crate::identity::Identity;
use crate::state::StateError;
use crate::workers::{Settings, Wanted};

/// The worker in its image.
const PROGRAM: &str = "/waybill-worker";
/// Where a container finds its guard; the ending says how it is written.
const GUARD: &str = "/etc/waybill/guard";

/// Reads the settings, and says what is wrong with them.
pub(super) fn read(arguments: &RunArguments, identity: &Identity) -> Result<Settings, AgentError> {
    let guard = arguments.guard.as_deref();
    if let Some(missing) = guard.filter(|guard| !guard.exists()) {
        return Err(AgentError::Usage(format!("--guard: {} is not there", missing.display())));
    }
    let (place, program, guard) = match &arguments.containers.engine {
        Some(socket) => {
            let (settings, guard) = contained(arguments, guard)?;
            (Wanted::Containers { socket: socket.clone(), settings }, PROGRAM.to_owned(), guard)
        }
        None => {
            let group = arguments.control_group.clone();
            (Wanted::Processes { group }, program(arguments)?, guard.map(|guard| guard.display().to_string()))
        }
    };
    let mut args: Vec<String> =
        ["run", "--orchestrator", &identity.orchestrator, "--ca-pin", &identity.ca_pin].map(str::to_owned).to_vec();
    args.extend(guard.into_iter().flat_map(|guard| ["--guard".to_owned(), guard]));
    let (environment, stop_grace, slots) = (arguments.pass_env.clone(), arguments.stop_grace, arguments.slots);
    Ok(Settings { place, program, args, environment, stop_grace, slots })
}

/// The worker that is named, or the one beside this program.
fn program(arguments: &RunArguments) -> Result<String, AgentError> {
    let beside = || std::env::current_exe().map(|this| this.with_file_name("waybill-worker"));
    let program = arguments.worker.clone().map_or_else(beside, Ok);
    let program = program.map_err(|source| StateError::Io { path: "waybill-worker".into(), source })?;
    if !program.exists() {
        let message = format!("{} is not there; name the worker with --worker", program.display());
        return Err(AgentError::Usage(message));
    }
    Ok(program.display().to_string())
}

/// How workers are contained, and where they find their guard.
fn contained(
    arguments: &RunArguments,
    guard: Option<&Path>,
) -> Result<(ContainerSettings, Option<String>), AgentError> {
    let wanted = &arguments.containers;
    let mut mounts = wanted.mounts.clone();
    for mount in &mounts {
        // The engine would say so at every start only.
        if !Path::new(&mount.source).exists() {
            return Err(AgentError::Usage(format!("--mount: {} is not there", mount.source)));
        }
    }
    let mut inside = None;
    if let Some(guard) = guard {
        let unusable = |source| StateError::Io { path: guard.to_owned(), source };
        let source = guard.canonicalize().map_err(unusable)?.display().to_string();
        let ending = guard.extension().map_or_else(String::new, |ending| format!(".{}", ending.to_string_lossy()));
        let target = format!("{GUARD}{ending}");
        inside = Some(target.clone());
        mounts.push(Mount { source, target, writable: false });
    }
    let settings = ContainerSettings {
        image: wanted.image.clone().unwrap_or_default(),
        user: wanted.user.clone(),
        network: wanted.network.clone(),
        mounts,
        stop_grace: arguments.stop_grace,
    };
    settings.check().map_err(|error| AgentError::Usage(error.to_string()))?;
    Ok((settings, inside))
}

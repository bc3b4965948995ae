//! Calls to the engine: how it is reached, and what its errors mean to a launch.

use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use bollard::query_parameters as ask;
use bollard::{API_DEFAULT_VERSION, Docker};
use chrono::{DateTime, Utc};
use futures::StreamExt as _;

use crate::LaunchError;

/// Speaks the newest language that both know.
pub(super) async fn connect(socket: &Path, answer: Duration) -> Result<Docker, LaunchError> {
    let path = socket.to_string_lossy();
    let found = Docker::connect_with_unix(&path, answer.as_secs(), API_DEFAULT_VERSION);
    // Nothing was begun yet, so there is nothing to ask again for.
    let silent = |error| LaunchError::Engine { action: "answer", source: Box::new(error) };
    found.map_err(silent)?.negotiate_version().await.map_err(silent)
}

/// Fetches the image where it is not there. One that a registry gives only to those who sign in has to be there.
pub(super) async fn have_image(docker: &Docker, image: &str) -> Result<(), LaunchError> {
    match docker.inspect_image(image).await {
        Ok(_) => return Ok(()),
        Err(error) if refused_as(&error, 404) => {}
        Err(error) => return Err(failed("inspect the image", error)),
    }
    tracing::info!(image, "the engine does not have the worker's image: it is fetched");
    let options = ask::CreateImageOptionsBuilder::default().from_image(image).build();
    let mut steps = Box::pin(docker.create_image(Some(options), None, None));
    while let Some(step) = steps.next().await {
        step.map_err(|error| failed("fetch the image", error))?;
    }
    Ok(())
}

/// Whether the engine refused with this status.
pub(super) const fn refused_as(error: &Error, status: u16) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code, .. } if *status_code == status)
}

/// Whether the engine's own words of what it refused hold this.
pub(super) fn names(error: &Error, what: &str) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains(what))
}

/// How often, and after how long, an answer that can't be read is asked for again.
const LOOKS: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// An answer that can be read. Podman has a word of its own, `stopped`, for a container whose process is over and that it has
/// not tidied up yet; a moment later it says `exited`, as Docker does.
pub(super) async fn settled<T, C: Future<Output = Result<T, Error>>>(mut call: impl FnMut() -> C) -> Result<T, Error> {
    for _ in 0..LOOKS {
        match call().await {
            Err(Error::JsonDataError { .. }) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
    }
    call().await
}

/// An answer, or none where there is no such container.
pub(super) fn or_missing<T>(action: &'static str, answer: Result<T, Error>) -> Result<Option<T>, LaunchError> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if refused_as(&error, 404) => Ok(None),
        Err(error) => Err(failed(action, error)),
    }
}

/// What was refused stays refused; what was not answered is asked again, and why is told here, since no caller learns it.
pub(super) fn failed(action: &'static str, error: Error) -> LaunchError {
    match error {
        Error::DockerResponseServerError { .. } | Error::SocketNotFoundError(_) => {
            LaunchError::Engine { action, source: Box::new(error) }
        }
        _ => {
            tracing::warn!(error = &error as &dyn std::error::Error, action, "the container engine did not answer");
            LaunchError::NoAnswer { action }
        }
    }
}

/// Whether it ended longer ago than this; one that was never started counts from when it was made.
pub(super) fn ended_before(found: &ContainerInspectResponse, age: Duration) -> bool {
    let finished = found.state.as_ref().and_then(|state| state.finished_at.as_deref());
    // The engine's word for never is the year 1.
    let at = finished.filter(|at| !at.starts_with("0001")).or(found.created.as_deref());
    let at = at.and_then(|at| DateTime::parse_from_rfc3339(at).ok());
    at.and_then(|at| Utc::now().signed_duration_since(at).to_std().ok()).is_some_and(|past| past > age)
}

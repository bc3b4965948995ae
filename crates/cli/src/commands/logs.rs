//! `run logs`: the full log stands in the customer's bucket, so the worker's own `logs` command reads it there.
//!
//! It runs with the caller's environment and credentials. The orchestrator has no log to give, only typed events.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use waybill_api::client::Client;
use waybill_model::RunId;
use waybill_model::plan::System;
use waybill_model::run::RunKind;

use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, facts, shell_word};

/// Where a pipeline's bucket is, as `waybill-worker` takes it.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub(super) struct Where {
    run_id: String,
    pub(super) url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
}

impl Where {
    /// What the worker's own tools need to be told besides the address. For Azure and Google nothing is passed on: a signature or
    /// token goes with each request, and an endpoint that the orchestrator named would be given it.
    pub(super) fn variables(&self) -> Vec<(&'static str, &str)> {
        let known = [("AWS_REGION", &self.region), ("AWS_ENDPOINT_URL", &self.endpoint)];
        let known = known.into_iter().filter(|_| self.url.starts_with("s3://"));
        known.filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }

    #[cfg(test)]
    pub(super) fn of(url: &str, region: Option<&str>, endpoint: Option<&str>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self { run_id: String::new(), url: url.to_owned(), region: owned(region), endpoint: owned(endpoint) }
    }

    /// Whether the address alone says where the bucket is.
    pub(super) const fn is_complete(&self) -> bool {
        self.endpoint.is_none()
    }
}

pub(crate) async fn logs(client: &Client, id: RunId, only_where: bool, output: &Output) -> Result<Exit> {
    let place = place(client, id).await?;
    if only_where {
        let lines = [("bucket", place.url.clone()), ("log", format!("{}/_waybill/logs/{id}/", place.url))];
        output.one(&place, &place.url, || facts(&lines))?;
        return Ok(Exit::Done);
    }
    output.say(&format!("reading {} with your own credentials; the orchestrator has no log, only events", place.url));
    let program = worker().ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "worker_not_found",
            "the program waybill-worker is not beside this one nor in PATH",
        )
        .next(format!("where it is: waybill-worker logs {} --run {id}", shell_word(&place.url)))
    })?;
    let mut command = Command::new(program);
    command.args(["logs", &place.url, "--run", &place.run_id]);
    // What the caller's own environment says wins: these are the caller's credentials.
    command.envs(place.variables().into_iter().filter(|(name, _)| std::env::var_os(name).is_none()));
    // Only comes back where the program could not be started.
    let error = command.exec();
    Err(Failure::new(
        Exit::Failed,
        "worker_not_started",
        format!("waybill-worker could not be started: {}", error.kind()),
    )
    .next("waybill doctor"))
}

/// The bucket that the run writes to.
pub(super) async fn place(client: &Client, id: RunId) -> Result<Where> {
    let detail = client.run_get(id).await?;
    let Some(destination) = detail.destination else {
        let what = match detail.run.kind.known() {
            Some(RunKind::Test) => "a test of a data plane",
            _ => "a look at a source that no pipeline uses",
        };
        let text = format!("{what} opens no bucket, so it has no log there");
        return Err(Failure::new(Exit::NotFound, "no_bucket", text).next(format!("waybill run events {id}")));
    };
    let system: System = serde_json::from_value(destination).map_err(|_| {
        Failure::new(Exit::Failed, "plan_unknown", "this version does not understand where the run writes to")
            .next("upgrade waybill to the orchestrator's version")
    })?;
    if system.is_database() {
        let text = "this run writes to a database, which keeps no log: it is where the worker's standard error went";
        return Err(Failure::new(Exit::NotFound, "no_bucket", text).next(format!("waybill run events {id}")));
    }
    Ok(bucket(id, &system))
}

fn bucket(id: RunId, system: &System) -> Where {
    let below = |place: String, prefix: &str| if prefix.is_empty() { place } else { format!("{place}/{prefix}") };
    let (url, region, endpoint) = match system {
        System::Local { path } => {
            let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
            (format!("file://{}", path.display()), None, None)
        }
        System::S3(s3) => {
            let url = below(format!("s3://{}", s3.bucket), &s3.prefix);
            (url, s3.access.region.clone(), s3.access.endpoint.clone())
        }
        System::Azure(azure) => {
            let url = below(format!("azure://{}/{}", azure.account, azure.container), &azure.prefix);
            (url, None, azure.access.endpoint.clone())
        }
        System::Gcs(gcs) => (below(format!("gs://{}", gcs.bucket), &gcs.prefix), None, gcs.access.endpoint.clone()),
        other => (other.kind().to_owned(), None, None),
    };
    Where { run_id: id.to_string(), url, region, endpoint }
}

/// The worker's program: beside this one, or in PATH.
pub(crate) fn worker() -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("waybill-worker")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = beside.into_iter().chain(std::env::split_paths(&path).map(|dir| dir.join("waybill-worker")));
    places.into_iter().find(|place: &PathBuf| Path::is_file(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_model::plan::{S3, S3Access};

    #[test]
    fn the_bucket_of_a_plan_is_named_without_its_keys() {
        let id = RunId::generate();
        let access = S3Access { endpoint: Some("http://127.0.0.1:9000".into()), ..S3Access::default() };
        let place = bucket(id, &System::S3(S3 { bucket: "lake".into(), prefix: "raw/shop".into(), access }));
        assert_eq!(
            (place.url.as_str(), place.endpoint.as_deref()),
            ("s3://lake/raw/shop", Some("http://127.0.0.1:9000"))
        );
        assert_eq!(bucket(id, &System::Local { path: "/data/lake".into() }).url, "file:///data/lake");
        let azure = r#"{"type":"azure","account":"shop","container":"lake","prefix":"raw","sas":"env://SAS"}"#;
        let place = bucket(id, &serde_json::from_str(azure).expect("a container"));
        assert_eq!((place.url.as_str(), place.region, place.endpoint), ("azure://shop/lake/raw", None, None));
        let google = r#"{"type":"gcs","bucket":"lake","prefix":"raw","service-account":"env://KEY"}"#;
        let place = bucket(id, &serde_json::from_str(google).expect("a bucket"));
        assert_eq!((place.url.as_str(), place.region, place.endpoint), ("gs://lake/raw", None, None));
    }
}

//! Measures what the control plane adds to a run, with a real orchestrator and a scripted cloud that answers at once:
//! `waybill-overhead [sqlite|postgres]`. From the call that starts a run to RunTask, with nothing and with 100 runs
//! waiting; starts per second of 1,000 runs that wait; and the orchestrator's processor time for a whole run of a worker. What
//! has a limit is held to it: one that is passed is said and fails, after all was measured.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use waybill_api::Example as _;
use waybill_api::data_plane::{AwsEcsSettings, DataPlaneCreate, ProcessSettings};
use waybill_tests::aws::Aws;
use waybill_tests::sandbox::{Options, Sandbox};
use waybill_tests::services::postgres::Postgres;

/// Runs that wait while triggers are timed, runs that are timed, runs that are started at once, and whole runs.
const WAITING: usize = 100;
const TIMED: usize = 51;
const STORM: usize = 1_000;
const WHOLE: usize = 20;
/// Limits: from a trigger to RunTask with 100 runs waiting (median, ms), starts per second, and milliseconds of the orchestrator's
/// processor for an enrolment, which a whole run must keep to, with all else that belongs to it.
const TRIGGER_SQLITE: f64 = 50.0;
const TRIGGER_POSTGRES: f64 = 20.0;
const STARTS: f64 = 100.0;
const ENROLMENT: f64 = 50.0;
/// The kernel counts processor time for others in hundredths of a second.
const TICKS: f64 = 100.0;

/// Bounds as they ship, but for how many runs may live.
fn options(aws: &Aws, server: Option<&Postgres>) -> Options {
    let key = aws.orchestrator_key();
    let mut options = Options::default();
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", key.id),
        ("AWS_SECRET_ACCESS_KEY", key.secret),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ] {
        options.orchestrator.push((name.to_owned(), value));
    }
    let shipped = [("LEASE", "60s"), ("LAUNCH_CLAIM", "60s"), ("DISPATCH_EVERY", "2s"), ("RECONCILE_EVERY", "30s")];
    for (name, value) in shipped.into_iter().chain([("START_TIMEOUT", "15m"), ("LIVE_PER_ORGANIZATION", "5000")]) {
        options = options.with(&format!("BOUNDS__{name}"), value);
    }
    options = options.with("AWS__ECS_ENDPOINT", &aws.url()).with("AWS__STS_ENDPOINT", &aws.url());
    // The one caller here asks more often than a person may.
    for quota in ["CALLER", "ORGANIZATION"] {
        options = options.with(&format!("HTTP__{quota}_QUOTA"), "1000000");
    }
    match server {
        Some(server) => options.with("DATABASE__URL", &server.owner_url()),
        None => options,
    }
}

/// Pipelines `p0`… over one source.
fn pipelines(sandbox: &Sandbox, many: usize, data_plane: &str) -> String {
    let dir = sandbox.dir.path().display();
    let mut text = format!("waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: {dir}/shop.db }}\n");
    for n in 0..many {
        text.push_str(&format!("  lake{n}: {{ type: local, path: {dir}/lake/{n} }}\n"));
    }
    text.push_str("pipelines:\n");
    for n in 0..many {
        text.push_str(&format!(
            "  p{n}: {{ from: shop, to: lake{n}, data-plane: {data_plane}, streams: {{ t: {{}} }} }}\n"
        ));
    }
    text
}

/// The orchestrator in the cloud's account, with a data plane that may start tasks, and pipelines that run there.
async fn in_cloud(aws: &Aws, server: Option<&Postgres>, many: usize) -> Result<Sandbox> {
    let sandbox = Sandbox::start(options(aws, server)).await?;
    let body = DataPlaneCreate {
        name: "cloud".into(),
        kind: "aws-ecs".into(),
        settings: ProcessSettings::default(),
        aws_ecs: Some(AwsEcsSettings::example()),
    };
    let plane = sandbox.client.data_plane_create(&body).await?;
    aws.grant(plane.external_id.as_deref().context("an external id")?);
    // Nothing is started before somebody looked at the grant.
    sandbox.client.data_plane_check(plane.id).await?;
    sandbox.apply(&pipelines(&sandbox, many, "cloud")).await?;
    Ok(sandbox)
}

/// Milliseconds from the call to RunTask's arrival, of runs that are started one after the other.
async fn to_run_task(aws: &Aws, sandbox: &Sandbox, first: usize) -> Result<Vec<f64>> {
    let mut taken = Vec::new();
    for n in 0..TIMED {
        let before = aws.calls("RunTask").len();
        let pipeline = sandbox.pipeline(&format!("p{}", first + n)).await?;
        let (began, deadline) = (Utc::now(), Instant::now() + Duration::from_secs(30));
        sandbox.start_run(pipeline).await?;
        let at = loop {
            if let Some(call) = aws.calls("RunTask").get(before) {
                break call.at;
            }
            ensure!(Instant::now() < deadline, "no RunTask in 30 s\n{}", sandbox.log());
            tokio::time::sleep(Duration::from_millis(1)).await; // a poll of the scripted cloud, bounded above
        };
        taken.push(seconds(began, at) * 1e3);
    }
    taken.sort_by(f64::total_cmp);
    Ok(taken)
}

fn seconds(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).as_seconds_f64()
}

/// Says what was taken; the median.
fn say(name: &str, taken: &[f64]) -> Result<f64> {
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
    let line = format!("{name}: median {:.1} ms, 95 % {:.1} ms ({} runs)", at(0.5), at(0.95), taken.len());
    writeln!(std::io::stdout(), "{line}")?;
    Ok(at(0.5))
}

/// Limits that were passed.
#[derive(Default)]
struct Limits(Vec<String>);

impl Limits {
    fn at_most(&mut self, what: &str, found: f64, most: f64) {
        if found > most {
            self.0.push(format!("{what}: {found:.1}, and at most {most} is allowed"));
        }
    }

    fn at_least(&mut self, what: &str, found: f64, least: f64) {
        if found < least {
            self.0.push(format!("{what}: {found:.1}, and at least {least} is wanted"));
        }
    }

    fn hold(&self) -> Result<()> {
        ensure!(self.0.is_empty(), "over its limit: {}", self.0.join("; "));
        Ok(writeln!(std::io::stdout(), "within its limits")?)
    }
}

/// Processor seconds that a process has taken.
fn processor_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let mut fields = stat.rsplit(')').next().context("fields")?.split_whitespace().skip(11);
    let mut ticks = || fields.next().and_then(|text| text.parse::<f64>().ok()).context("ticks");
    Ok((ticks()? + ticks()?) / TICKS)
}

async fn triggers(server: Option<&Postgres>, limits: &mut Limits) -> Result<()> {
    let aws = Aws::start().await;
    let sandbox = in_cloud(&aws, server, 1 + 2 * TIMED).await?;
    say("trigger to RunTask, nothing waiting", &to_run_task(&aws, &sandbox, 1).await?)?;
    let busy = sandbox.pipeline("p0").await?;
    for _ in 0..=WAITING {
        sandbox.start_run(busy).await?;
    }
    let median = say("trigger to RunTask, 100 runs waiting", &to_run_task(&aws, &sandbox, 1 + TIMED).await?)?;
    let most = if server.is_some() { TRIGGER_POSTGRES } else { TRIGGER_SQLITE };
    limits.at_most("median from trigger to RunTask with 100 runs waiting, ms", median, most);
    Ok(())
}

/// Runs that all wait when the orchestrator comes back: how many of them it starts per second.
async fn storm(server: Option<&Postgres>, limits: &mut Limits) -> Result<()> {
    let aws = Aws::start().await;
    let mut sandbox = in_cloud(&aws, server, STORM + 1).await?;
    let ports = sandbox.ports()?;
    // One may live, so the others wait.
    sandbox.kill_orchestrator()?;
    sandbox.set("BOUNDS__LIVE_PER_ORGANIZATION", "1");
    sandbox.restart(&ports).await?;
    for pipeline in sandbox.pipelines().await? {
        sandbox.start_run(pipeline).await?;
    }
    sandbox.kill_orchestrator()?;
    let before = aws.calls("RunTask").len();
    sandbox.set("BOUNDS__LIVE_PER_ORGANIZATION", "5000");
    sandbox.restart(&ports).await?;
    let deadline = Instant::now() + Duration::from_secs(300);
    let calls = loop {
        let calls = aws.calls("RunTask");
        if calls.len() >= before + STORM {
            break calls;
        }
        ensure!(Instant::now() < deadline, "{} of {STORM} were started\n{}", calls.len() - before, sandbox.log());
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the scripted cloud, bounded above
    };
    let taken = seconds(calls[before].at, calls[before + STORM - 1].at);
    let rate = STORM as f64 / taken;
    limits.at_least("starts per second", rate, STARTS);
    let line = format!("starts of {STORM} waiting runs: {rate:.0} per second ({taken:.1} s)");
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// Whole runs of a real worker on this host, one after the other.
async fn whole(server: Option<&Postgres>, limits: &mut Limits) -> Result<()> {
    let aws = Aws::start().await;
    let sandbox = Sandbox::start(options(&aws, server)).await?;
    let source = rusqlite::Connection::open(sandbox.path("shop.db"))?;
    source.execute_batch("create table t (id integer primary key); insert into t values (1), (2), (3)")?;
    sandbox.apply(&pipelines(&sandbox, 1, "local")).await?;
    sandbox.ended(sandbox.trigger("p0").await?).await?;
    let before = processor_seconds(sandbox.orchestrator_pid()?)?;
    for _ in 0..WHOLE {
        let ended = sandbox.ended(sandbox.trigger("p0").await?).await?;
        ensure!(ended.run.state.to_string() == "succeeded", "{:?}", ended.run.failure);
    }
    let taken = (processor_seconds(sandbox.orchestrator_pid()?)? - before) * 1e3 / WHOLE as f64;
    limits.at_most("the orchestrator's processor for a whole run, enrolment included, ms", taken, ENROLMENT);
    let line =
        format!("a whole run, enrolment and polls of its state too: {taken:.1} ms of the orchestrator's processor");
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

#[tokio::main]
async fn main() -> Result<()> {
    let kind = std::env::args().nth(1).unwrap_or_else(|| "sqlite".into());
    let server = || match kind.as_str() {
        "sqlite" => Ok(None),
        "postgres" => Ok(Some(Postgres::start())),
        other => anyhow::bail!("{other}: not sqlite or postgres"),
    };
    writeln!(std::io::stdout(), "database: {kind}")?;
    let mut limits = Limits::default();
    triggers(server()?.as_ref(), &mut limits).await?;
    storm(server()?.as_ref(), &mut limits).await?;
    whole(server()?.as_ref(), &mut limits).await?;
    limits.hold()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_a_limit_fails_and_is_named_with_it() {
        let mut limits = Limits::default();
        limits.at_most("wait, ms", 50.0, TRIGGER_SQLITE);
        limits.at_least("starts", 100.0, STARTS);
        assert!(limits.hold().is_ok());
        limits.at_most("wait, ms", 50.1, TRIGGER_SQLITE);
        limits.at_least("starts", 99.9, STARTS);
        let told = limits.hold().expect_err("two are passed").to_string();
        assert!(told.contains("wait, ms: 50.1") && told.contains("starts: 99.9"), "{told}");
    }
}

//! `trail match` and `run trail`: the calls that Waybill made to your cloud, alone and against your cloud's own record.

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use waybill_api::Timestamp;
use waybill_api::client::{Client, ClientError, ListQuery, TrailQuery};
use waybill_api::trail::TrailEntry;
use waybill_model::size::show_count;
use waybill_model::{Micros, RunId};

use crate::args::{Match, Target, Trail};
use crate::cloudtrail::{Export, Role};
use crate::exit::{Exit, Failure, Result};
use crate::output::{Output, Row, facts, table};
use crate::session;
use crate::trail_match::{Compared, LATE, OnlyCloudTrail, OnlyWaybill, Scope, compare};

/// How much earlier and later than the export Waybill's trail is asked for: the clocks of the two sides differ a little.
const MARGIN: Duration = Duration::from_secs(5 * 60);
/// Most items of a page.
const PAGE: Option<u32> = Some(200);

impl Row for TrailEntry {
    const HEADER: &'static [&'static str] =
        &["TIME", "ACTION", "ROLE", "SESSION", "REGION", "CALLS", "OUTCOME", "REQUEST"];

    fn cells(&self) -> Vec<String> {
        let ids = if self.request_ids.is_empty() { "–".to_owned() } else { self.request_ids.join(",") };
        vec![
            self.first_at.to_string(),
            self.action.clone(),
            self.role_arn.clone(),
            self.session.clone(),
            self.region.clone(),
            self.calls.to_string(),
            self.outcome.clone(),
            ids,
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

/// The calls of a run, all pages.
pub(super) async fn of_run(client: &Client, id: RunId, output: &Output) -> Result<Exit> {
    let entries = run_entries(client, id).await?;
    output.list(&entries, None)?;
    if output.is_table() {
        let none = "nothing was called for this run: its data plane is in no cloud, or its trail is not kept any more";
        let match_it = format!("`waybill trail match FILE --run {id}` holds it against your CloudTrail");
        output.say(if entries.is_empty() { none } else { &match_it });
    }
    Ok(Exit::Done)
}

pub(crate) async fn trail(target: &Target, command: Trail, output: &Output) -> Result<Exit> {
    let client = session::connect(target)?.client;
    match command {
        Trail::Match(wanted) => matched(&client, &wanted, output).await,
    }
}

/// How an export compares with the trail.
#[derive(Serialize)]
struct Told {
    files: usize,
    /// Records of the export, by whomever.
    records: u64,
    /// From when to when was compared; absent where a run is compared as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<Timestamp>,
    #[serde(flatten)]
    compared: Compared,
}

async fn matched(client: &Client, wanted: &Match, output: &Output) -> Result<Exit> {
    let roles = launch_roles(client).await?;
    let export = Export::read(&wanted.files, &roles)?;
    let Some((first, last)) = export.span else {
        return Err(Failure::new(Exit::Invalid, "no_records", "the export holds no record at all")
            .next("take the files of the hours in which Waybill ran"));
    };
    let settled = last.min(Micros::now());
    let (from, to) = (wanted.since.unwrap_or(first), wanted.until.unwrap_or(last));
    let run = wanted.run.as_deref().map(run_id).transpose()?;
    let (entries, scope) = match run {
        Some(run) => {
            let sessions = client.run_get(run).await?.attempt_list.iter().map(|it| it.id.to_string()).collect();
            let (from, to) = (Micros(i64::MIN), Micros(i64::MAX));
            let scope = Scope { from, to, sessions: Some(sessions), writes_only: wanted.writes_only, settled };
            (run_entries(client, run).await?, scope)
        }
        None => {
            let scope = Scope { from, to, sessions: None, writes_only: wanted.writes_only, settled };
            (entries_of(client, (from, to)).await?, scope)
        }
    };
    let compared = compare(&entries, &export, &scope);
    let (from, to) = (run.is_none().then(|| from.into()), run.is_none().then(|| to.into()));
    let told = Told { files: export.files.len(), records: export.records, from, to, compared };
    tell(&told, output)
}

fn tell(told: &Told, output: &Output) -> Result<Exit> {
    let compared = &told.compared;
    let name = if compared.matches { "match" } else { "differ" };
    output.one(told, name, || people(told))?;
    if output.is_table() {
        if compared.only_waybill.iter().any(|one| one.may_come) {
            let minutes = LATE.as_secs() / 60;
            output.say(&format!(
                "calls marked `may come later` are less than {minutes} minutes from the export's end or from now: CloudTrail \
                 delivers in about 5 minutes and promises no time, so fetch newer files and match again"
            ));
        }
        if !compared.only_cloudtrail.is_empty() {
            output.say(
                "what only CloudTrail shows was not recorded by Waybill: find out who holds the role's credentials",
            );
        }
    }
    Ok(if compared.matches { Exit::Done } else { Exit::TrailDiffers })
}

/// A call that one side has alone.
struct Alone([String; 6]);

impl Row for Alone {
    const HEADER: &'static [&'static str] = &["ONLY IN", "TIME", "ACTION", "SESSION", "REQUEST", "REMARK"];

    fn cells(&self) -> Vec<String> {
        self.0.to_vec()
    }

    fn name(&self) -> String {
        self.0[4].clone()
    }
}

impl From<&OnlyWaybill> for Alone {
    fn from(one: &OnlyWaybill) -> Self {
        let run = one.run_id.map(|id| format!("of {id}"));
        let later = one.may_come.then(|| "may come later".to_owned());
        let remark = run.into_iter().chain(later).collect::<Vec<_>>().join(", ");
        let id = one.request_id.clone().unwrap_or_else(|| "–".to_owned());
        Self(["waybill".to_owned(), one.at.to_string(), one.action.clone(), one.session.clone(), id, remark])
    }
}

impl From<&OnlyCloudTrail> for Alone {
    fn from(one: &OnlyCloudTrail) -> Self {
        let mut remark = format!("from {}, {} record {}", one.source_ip, one.file, one.record);
        if let Some(other) = &one.recorded_as {
            remark.push_str(&format!("; Waybill recorded this request as {other}"));
        }
        let id = one.request_id.clone().unwrap_or_else(|| "–".to_owned());
        Self(["cloudtrail".to_owned(), one.at.to_string(), one.action.clone(), one.session.clone(), id, remark])
    }
}

fn people(told: &Told) -> String {
    let compared = &told.compared;
    let mut rows = vec![(
        "export",
        format!("{} in {}", show_count(told.records, "record"), show_count(told.files as u64, "file")),
    )];
    if let (Some(from), Some(to)) = (told.from, told.to) {
        rows.push(("compared", format!("{from} to {to}")));
    }
    let nameless = match compared.matched_without_request_id {
        0 => String::new(),
        some => format!(", {some} of them by what, who and when, since their answers never came"),
    };
    rows.push(("on both sides", format!("{} calls{nameless}", compared.matched)));
    if compared.not_expected > 0 {
        let what = "refused, failed or unanswered calls, which CloudTrail need not show";
        rows.push(("not expected", format!("{} {what}", compared.not_expected)));
    }
    rows.push(("only Waybill", compared.only_waybill.len().to_string()));
    rows.push(("only CloudTrail", compared.only_cloudtrail.len().to_string()));
    let alone: Vec<Alone> =
        compared.only_cloudtrail.iter().map(Alone::from).chain(compared.only_waybill.iter().map(Alone::from)).collect();
    let list = if alone.is_empty() { String::new() } else { format!("\n{}", table(&alone)) };
    format!("{}{list}", facts(&rows))
}

/// The roles that start tasks: of every data plane in AWS, and of agents that start workers there.
async fn launch_roles(client: &Client) -> Result<HashSet<Role>> {
    let (mut roles, mut query) = (HashSet::new(), ListQuery { limit: PAGE, ..ListQuery::default() });
    loop {
        let page = client.data_plane_list(&query).await?;
        let arns = page.items.iter().filter_map(|plane| plane.aws_ecs.as_ref());
        roles.extend(arns.filter_map(|aws| Role::of(&aws.role_arn)));
        match page.next_cursor {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    query.cursor = None;
    loop {
        let page = client.agent_list(&query).await?;
        roles.extend(page.items.iter().filter_map(|agent| Role::of(agent.role_arn.as_deref()?)));
        match page.next_cursor {
            Some(next) => query.cursor = Some(next),
            None => break,
        }
    }
    if roles.is_empty() {
        return Err(Failure::new(Exit::NotFound, "no_cloud", "no data plane and no agent here has a role in AWS")
            .next("waybill data-plane list"));
    }
    Ok(roles)
}

async fn run_entries(client: &Client, id: RunId) -> Result<Vec<TrailEntry>> {
    let (mut all, mut query) = (Vec::new(), ListQuery { limit: PAGE, ..ListQuery::default() });
    loop {
        let page = client.run_trail(id, &query).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => query.cursor = Some(next),
            None => return Ok(all),
        }
    }
}

/// Every entry of a time and a little around it. One that grew while it was read stands there as it was read last.
async fn entries_of(client: &Client, (from, to): (Micros, Micros)) -> Result<Vec<TrailEntry>> {
    let margin = Micros(0).plus(MARGIN).0;
    let since = Some(Micros(from.0.saturating_sub(margin)).into());
    let until = Some(Micros(to.0.saturating_add(margin)).into());
    let mut query = TrailQuery { limit: PAGE, since, until, ..TrailQuery::default() };
    let mut all: Vec<TrailEntry> = Vec::new();
    let mut places = std::collections::HashMap::new();
    loop {
        let page = client.trail_list(&query).await.map_err(later)?;
        for entry in page.items {
            match places.get(&entry.id) {
                Some(place) => all[*place] = entry,
                None => {
                    places.insert(entry.id, all.len());
                    all.push(entry);
                }
            }
        }
        match page.next_cursor {
            Some(next) => query.cursor = Some(next),
            None => return Ok(all),
        }
    }
}

/// An export that begins before what Waybill still keeps can only be compared from there on.
fn later(error: ClientError) -> Failure {
    let is_too_early = error.problem().is_some_and(|problem| problem.code == "parameter_invalid");
    let failure = Failure::from(error);
    if is_too_early {
        failure.next("compare from a later time on: --since TIME, at least 5 minutes behind it")
    } else {
        failure
    }
}

fn run_id(text: &str) -> Result<RunId> {
    let wrong = |_| {
        Failure::new(Exit::Usage, "not_a_run_id", format!("`{}` is no id of a run", crate::output::clean(text)))
            .next("waybill run list")
    };
    text.parse().map_err(wrong)
}

//! The infrastructure trail: what was called, as whom, when, under which request id, held against the cloud's own record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::{Value, json};
use waybill_api::Timestamp;
use waybill_api::client::{EventQuery, ListQuery, TrailQuery};
use waybill_api::run::RunDetail;
use waybill_api::trail::TrailEntry;
use waybill_launcher::Launcher as _;
use waybill_launcher::ecs::EcsPlace;
use waybill_launcher::trail::{CloudCall, Witness};
use waybill_model::{AttemptId, DataPlaneId, Micros, OrgId, RunId};
use waybill_orchestrator::loops::dispatch::Dispatcher;
use waybill_orchestrator::loops::launchers::Launchers;
use waybill_orchestrator::service::trail::Trail;
use waybill_store::{Store, StoreOptions, TrailFilter};
use waybill_tests::aws::{Aws, Called, Fault, Program};

use super::fixture::{bounds, cloud, granted, open, place, settings, world};
use super::planes::{Story, worker};
use crate::loops::fixture::World;

impl Story {
    /// The JSON that a command prints which ends with `exit`.
    #[track_caller]
    fn json(&self, exit: i32, arguments: &[&str]) -> Value {
        let output = self.sandbox.cli(&[arguments, &["-o", "json"]].concat()).expect("the command line");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{arguments:?}: {said} {:?}",
            String::from_utf8_lossy(&output.stdout)
        );
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
    }

    /// Every entry of a run, one by one: pages of one item.
    async fn trail_of(&self, run: RunId) -> Result<Vec<TrailEntry>> {
        let (mut all, mut query) = (Vec::new(), ListQuery { limit: Some(1), ..ListQuery::default() });
        loop {
            let page = self.sandbox.client.run_trail(run, &query).await?;
            assert!(page.items.len() <= 1);
            all.extend(page.items);
            match page.next_cursor {
                Some(next) => query.cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// What the cloud recorded until some time ago, as it was then and a little longer; every call of it is in the trail.
    async fn settled(&self) -> Result<(Value, Timestamp)> {
        let until = Micros::now();
        let later = chrono::Utc::now() + chrono::TimeDelta::seconds(1);
        eventually("the orchestrator looks again", async || {
            Ok(self.aws.calls("ListTasks").iter().any(|call| call.at > later))
        })
        .await?;
        let export = self.aws.cloudtrail();
        let wanted: BTreeSet<String> = records(&export).iter().filter(|it| is_ours(it)).map(id).collect();
        eventually("the trail has every call", async || {
            let (mut query, mut known) = (TrailQuery { limit: Some(200), ..TrailQuery::default() }, BTreeSet::new());
            loop {
                let page = self.sandbox.client.trail_list(&query).await?;
                known.extend(page.items.into_iter().flat_map(|entry| entry.request_ids));
                match page.next_cursor {
                    Some(next) => query.cursor = Some(next),
                    None => return Ok(wanted.is_subset(&known)),
                }
            }
        })
        .await?;
        Ok((export, Timestamp(until)))
    }

    fn put(&self, name: &str, export: &Value) -> String {
        let path = self.sandbox.path(name);
        std::fs::write(&path, export.to_string()).expect("a file");
        path.display().to_string()
    }
}

fn records(export: &Value) -> &Vec<Value> {
    export["Records"].as_array().expect("records")
}

fn id(record: &Value) -> String {
    record["requestID"].as_str().expect("an id").to_owned()
}

/// A call by the launch role, or for it.
fn is_ours(record: &Value) -> bool {
    let role = Aws::launch_role();
    record["requestParameters"]["roleArn"] == role
        || record["userIdentity"]["sessionContext"]["sessionIssuer"]["arn"] == role
}

async fn eventually(what: &str, mut check: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !check().await? {
        anyhow::ensure!(Instant::now() < deadline, "{what}: not in a minute");
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll, bounded above
    }
    Ok(())
}

/// Calls of a session, as action and request id.
fn called<'a>(calls: &'a [Called], with: &str) -> Vec<&'a str> {
    calls
        .iter()
        .filter(|call| call.body.contains(with) || call.by.ends_with(with))
        .map(|it| it.request_id.as_str())
        .collect()
}

/// A run whose real worker ends it, and one that is canceled while its task stays.
async fn two_runs(story: &Story) -> Result<[RunDetail; 2]> {
    let plane = story.granted().await?;
    assert!(story.check(&plane).await?.ready);
    story.aws.run_as(worker());
    story.pipeline().await?;
    let first = story.sandbox.trigger("items").await?;
    let first = story.sandbox.ended(first).await?;
    story.aws.run_as(Program::Nothing);
    let second = story.sandbox.trigger("items").await?;
    eventually("its task is recorded", async || {
        let seen = story.sandbox.client.run_events(second, &EventQuery::default()).await?;
        Ok(seen.items.iter().any(|event| event.code == "task_started"))
    })
    .await?;
    story.sandbox.client.run_cancel(second).await?;
    let second = story.sandbox.ended(second).await?;
    Ok([first, second])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_shows_each_call_as_whom_when_and_under_the_clouds_own_request_id() -> Result<()> {
    let story = Story::start().await?;
    let began = Micros::now();
    let [first, second] = two_runs(&story).await?;
    eventually("the stop is recorded", async || {
        Ok(story.trail_of(second.run.id).await?.iter().any(|entry| entry.action == "ecs:StopTask"))
    })
    .await?;
    for run in [&first, &second] {
        let attempt = run.attempt_list[0].id.to_string();
        let trail = story.trail_of(run.run.id).await?;
        for action in ["AssumeRole", "RunTask"] {
            let shown: Vec<_> = trail.iter().filter(|entry| entry.action.ends_with(action)).collect();
            let ids: Vec<_> = shown.iter().flat_map(|entry| &entry.request_ids).map(String::as_str).collect();
            let (calls, session) = (story.aws.calls(action), format!("RoleSessionName={attempt}"));
            let with = if action == "AssumeRole" { session } else { attempt.clone() };
            assert_eq!(ids, called(&calls, &with), "{action} of {attempt}: {trail:#?}");
            let entry = shown.first().with_context(|| action.to_owned())?;
            assert_eq!((&entry.role_arn, &entry.session), (&Aws::launch_role(), &attempt));
            assert_eq!((entry.region.as_str(), entry.outcome.as_str(), entry.calls), ("eu-central-1", "ok", 1));
            assert_eq!(entry.attempt_id, Some(run.attempt_list[0].id));
            assert!(entry.first_at.0 >= began && entry.first_at.0 <= Micros::now());
        }
    }
    let trail = story.trail_of(second.run.id).await?;
    let stops: Vec<_> = trail.iter().filter(|entry| entry.action == "ecs:StopTask").collect();
    assert_eq!(stops[0].session, "waybill-look", "stops share the session of looks, and still are the run's");
    assert_eq!(stops[0].attempt_id, Some(second.attempt_list[0].id));
    let task = &story.aws.tasks()[1].arn;
    assert_eq!(stops[0].request_ids[0], called(&story.aws.calls("StopTask"), task)[0]);

    let told = story.json(0, &["run", "trail", &first.run.id.to_string()]);
    assert_eq!(told["items"].as_array().map(Vec::len), Some(story.trail_of(first.run.id).await?.len()));
    let people = story.sandbox.cli(&["run", "trail", &first.run.id.to_string()])?;
    let people = String::from_utf8(people.stdout)?;
    assert!(people.contains("ecs:RunTask") && people.contains(&Aws::launch_role()), "{people}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cloudtrail_agrees_with_the_trail_and_a_foreign_call_and_a_removed_one_are_named() -> Result<()> {
    let story = Story::start().await?;
    let [first, second] = two_runs(&story).await?;
    let (export, until) = story.settled().await?;
    let (whole, until) = (story.put("whole.json", &export), until.to_string());
    let agrees = story.json(0, &["trail", "match", &whole, "--until", &until]);
    assert!(agrees["matches"] == true && agrees["matched"].as_u64().is_some_and(|many| many > 10), "{agrees}");
    assert!(agrees["not_expected"].as_u64().is_some_and(|many| many > 0), "the check was refused as it must be");
    for run in [&first, &second] {
        let agrees = story.json(0, &["trail", "match", &whole, "--run", &run.run.id.to_string()]);
        assert!(agrees["matches"] == true && agrees["matched"].as_u64().is_some_and(|many| many >= 2), "{agrees}");
    }

    // What Waybill did and the export does not show.
    let attempt = first.attempt_list[0].id.to_string();
    let launched = called(&story.aws.calls("RunTask"), &attempt)[0].to_owned();
    let kept: Vec<_> = records(&export).iter().filter(|it| id(it) != launched).cloned().collect();
    let torn = story.put("torn.json", &json!({ "Records": kept }));
    for scope in [["--until", until.as_str()], ["--run", &first.run.id.to_string()]] {
        let differs = story.json(21, &[&["trail", "match", torn.as_str()][..], &scope[..]].concat());
        let missing = differs["only_waybill"].as_array().context("a list")?;
        assert_eq!((missing.len(), &missing[0]["request_id"]), (1, &launched.as_str().into()), "{differs}");
        assert_eq!(missing[0]["run_id"], first.run.id.to_string());
        assert!(differs["only_cloudtrail"] == json!([]), "{differs}");
    }

    // What somebody else does with the orchestrator's own key and the external id: nobody here recorded it.
    let plane = story.sandbox.client.data_plane_list(&ListQuery::default()).await?.items;
    let external_id = plane.iter().find_map(|plane| plane.external_id.clone()).context("an external id")?;
    let thief = cloud(&story.aws, 1).await.launcher(EcsPlace::new(settings(), &external_id).expect("a place"));
    let calls = |aws: &Aws| ["AssumeRole", "ListTasks"].map(|action| aws.calls(action));
    let before: BTreeSet<String> = calls(&story.aws).concat().into_iter().map(|call| call.request_id).collect();
    let stranger = AttemptId::generate();
    assert_eq!(thief.find(stranger).await.expect("the cloud answers"), None);
    let stolen: BTreeSet<String> = story
        .aws
        .calls("ListTasks")
        .iter()
        .filter(|it| it.body.contains(&stranger.to_string()))
        .map(|it| it.request_id.clone())
        .collect();
    assert!(stolen.len() == 2 && stolen.is_disjoint(&before), "two looks");
    let differs = story.json(21, &["trail", "match", &story.put("later.json", &story.aws.cloudtrail())]);
    let foreign = differs["only_cloudtrail"].as_array().context("a list")?;
    let named: BTreeSet<String> =
        foreign.iter().map(|it| it["request_id"].as_str().unwrap_or_default().to_owned()).collect();
    assert!(stolen.is_subset(&named), "{differs}");
    let assumed = foreign.iter().find(|it| it["action"] == "sts:AssumeRole").context("the role was assumed")?;
    assert!(assumed["file"].as_str().is_some_and(|file| file.ends_with("later.json")) && assumed["record"].is_u64());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_is_asked_to_stop_leaves_no_call_out() -> Result<()> {
    let mut story = Story::start().await?;
    let plane = story.granted().await?;
    assert!(story.check(&plane).await?.ready);
    story.pipeline().await?;
    let checked = story.aws.calls("RunTask").len();
    let org = story.sandbox.client.whoami().await?.user.organization_id;
    let run = story.sandbox.trigger("items").await?;
    eventually("the task is asked for", async || Ok(story.aws.calls("RunTask").len() > checked)).await?;
    let process = i32::try_from(story.sandbox.orchestrator_pid()?)?;
    rustix::process::kill_process(rustix::process::Pid::from_raw(process).context("a process")?, Signal::TERM)?;
    story.sandbox.orchestrator_left().await?;
    let store = Store::connect(&database(&story), &StoreOptions::default()).await?;
    let filter = TrailFilter { run: Some(run), ..TrailFilter::default() };
    let entries = store.trail_list(org, &filter, 100).await?;
    let known: Vec<_> = entries.iter().flat_map(|entry| &entry.calls.request_ids).collect();
    let asked = &story.aws.calls("RunTask")[checked].request_id;
    assert!(known.contains(&asked), "{asked} is not among {entries:#?}");
    Ok(())
}

fn database(story: &Story) -> String {
    format!("sqlite://{}", story.sandbox.path("state/waybill.db").display())
}

/// More entries than a page holds: one that was not fetched would look like a call that nobody here made.
#[tokio::test(flavor = "multi_thread")]
async fn a_trail_of_many_pages_is_matched_whole_and_a_time_that_is_not_kept_is_refused() -> Result<()> {
    const MANY: usize = 450;
    let story = Story::start().await?;
    let plane = story.granted().await?;
    let org = story.sandbox.client.whoami().await?.user.organization_id;
    let store = Store::connect(&database(&story), &StoreOptions::default()).await?;
    let trail = Trail::default();
    let noon = Micros::now().0 / 1_000_000 * 1_000_000 - 600_000_000;
    for n in 0..MANY {
        let at = Micros(noon + i64::try_from(n)? * 1_000_000);
        trail.saw(CloudCall { at, request_id: Some(format!("many-{n}")), ..call((org, plane.id), "ecs:StopTask") });
    }
    trail.flush(&store).await?;
    let records: Vec<Value> = (0..MANY).map(|n| stopped(noon, n)).collect();
    let file = story.put("many.json", &json!({ "Records": records }));
    let agrees = story.json(0, &["trail", "match", &file]);
    assert_eq!((&agrees["matched"], &agrees["records"]), (&MANY.into(), &MANY.into()));
    let part = story.json(0, &["trail", "match", &file, "--since", &Timestamp(Micros(noon + 100_000_000)).to_string()]);
    assert_eq!(part["matched"], MANY - 100);

    let query = TrailQuery { since: Some(Timestamp(Micros(0))), ..TrailQuery::default() };
    let refused = story.sandbox.client.trail_list(&query).await.expect_err("not kept that long");
    assert_eq!(refused.problem().map(|problem| problem.code.as_str()), Some("parameter_invalid"));
    let output = story.sandbox.cli(&["trail", "match", &file, "--since", "2020-01-01T00:00:00Z"])?;
    let said = String::from_utf8(output.stderr)?;
    assert!(output.status.code() == Some(6) && said.contains("--since TIME"), "{said}");
    let broken = story.put("broken.json", &json!({ "Records": [stopped(noon, 1), { "eventName": 7 }] }));
    let said = String::from_utf8(story.sandbox.cli(&["trail", "match", &broken])?.stderr)?;
    assert!(said.contains("broken.json: record 2: ") && said.contains("cloudtrail_file_invalid"), "{said}");
    Ok(())
}

fn stopped(noon: i64, n: usize) -> Value {
    let at = Timestamp(Micros(noon + i64::try_from(n).expect("few") * 1_000_000));
    json!({
        "eventTime": at.to_string(), "eventSource": "ecs.amazonaws.com", "eventName": "StopTask",
        "requestID": format!("many-{n}"), "eventID": format!("e-{n}"),
        "userIdentity": { "arn": "arn:aws:sts::222222222222:assumed-role/waybill-launch/waybill-look" },
    })
}

fn call(owner: (OrgId, DataPlaneId), action: &'static str) -> CloudCall {
    CloudCall {
        owner: Some(owner),
        action,
        role: Aws::launch_role(),
        session: "waybill-look".into(),
        region: "eu-central-1".into(),
        attempt: None,
        task: None,
        at: Micros::now(),
        request_id: None,
        outcome: "ok",
    }
}

/// A world whose launches leave word with this trail.
async fn watched(aws: &Aws, tries: u32) -> (World, Arc<Trail>) {
    let mut world = world(aws, bounds()).await;
    let trail = Arc::new(Trail::default());
    let seen = Arc::new(open(aws, tries).await.seen_by(Arc::clone(&trail) as _));
    world.context.launchers = Arc::new(Launchers::default().with_aws(seen));
    world.dispatcher = Dispatcher::new(world.context.clone());
    (world, trail)
}

/// Outcome and request ids of an action's tries for a run, in their order.
async fn tries(world: &World, run: RunId, action: &str) -> Vec<(String, Vec<String>)> {
    let filter = TrailFilter { run: Some(run), ..TrailFilter::default() };
    let entries = world.store.trail_list(world.org, &filter, 100).await.expect("a trail");
    let of_action = entries.into_iter().filter(|entry| entry.action == action);
    of_action.map(|entry| (entry.outcome, entry.calls.request_ids)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_try_of_a_call_is_recorded_and_one_without_an_answer_has_no_request_id() {
    let aws = granted().await;
    let (world, trail) = watched(&aws, 4).await;
    aws.fault("AssumeRole", Fault::Throttle, 1);
    for fault in [Fault::Throttle, Fault::ServerError, Fault::LostAnswer] {
        aws.fault("RunTask", fault, 1);
    }
    let run = world.trigger().await;
    world.dispatch().await;
    assert_eq!((aws.fired("AssumeRole"), aws.fired("RunTask")), (1, 3));
    trail.flush(&world.store).await.expect("stored");
    let ids = |action: &str| -> Vec<String> { aws.calls(action).into_iter().map(|call| call.request_id).collect() };
    let one = |outcome: &str, id: &String| (outcome.to_owned(), vec![id.clone()]);
    let assumed: Vec<_> = aws
        .calls("AssumeRole")
        .into_iter()
        .filter(|call| !call.body.contains("waybill-look"))
        .map(|it| it.request_id)
        .collect();
    assert_eq!(tries(&world, run.id, "sts:AssumeRole").await, [one("Throttling", &assumed[0]), one("ok", &assumed[1])]);
    let [throttled, failed, _, done] = &ids("RunTask")[..] else { panic!("four tries") };
    let expected = [
        one("ThrottlingException", throttled),
        one("ServerException", failed),
        ("no_answer".to_owned(), Vec::new()),
        one("ok", done),
    ];
    assert_eq!(tries(&world, run.id, "ecs:RunTask").await, expected);
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<CloudCall>>);

impl Witness for Heard {
    fn saw(&self, call: CloudCall) {
        self.0.lock().expect("whole").push(call);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_given_up_is_recorded_as_not_answered_and_no_secret_is_told() {
    let aws = granted().await;
    let heard = Arc::new(Heard::default());
    let owner = (OrgId::generate(), DataPlaneId::generate());
    let cloud = Arc::new(open(&aws, 1).await.seen_by(Arc::clone(&heard) as _));
    let launcher = cloud.launcher(place().owned_by(owner.0, owner.1));
    aws.fault("ListTasks", Fault::Silence, 1);
    let asked = launcher.find(AttemptId::generate());
    tokio::select! {
        _ = asked => panic!("it is never answered"),
        () = async { while aws.fired("ListTasks") == 0 { tokio::task::yield_now().await } } => {}
    }
    let calls = heard.0.lock().expect("whole").clone();
    let seen: Vec<_> = calls.iter().map(|call| (call.action, call.outcome, call.request_id.is_some())).collect();
    assert_eq!(seen, [("sts:AssumeRole", "ok", true), ("ecs:ListTasks", "no_answer", false)]);
    assert!(calls.iter().all(|call| call.owner == Some(owner) && call.session == "waybill-look"));
    let told = format!("{calls:?}");
    assert!(
        !told.contains(super::fixture::EXTERNAL_ID) && !told.contains("secret-") && !told.contains("token-"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_can_not_be_stored_fails_and_holds_up_no_launch() {
    let aws = granted().await;
    let (world, trail) = watched(&aws, 1).await;
    let crate::loops::fixture::Database::Sqlite(directory) = &world.database else { panic!("SQLite") };
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    file.execute_batch("alter table trail rename to elsewhere").expect("taken away");
    let run = world.trigger().await;
    world.dispatch().await;
    assert!(world.attempt(run.id).await.task.is_some(), "the task was started and recorded");
    world.store.trail_list(world.org, &TrailFilter::default(), 1).await.expect_err("the fault is there");
    trail.flush(&world.store).await.expect("what can't be stored is counted as lost, and the rest goes on");
    file.execute_batch("alter table elsewhere rename to trail").expect("brought back");
    trail.saw(call((world.org, world.plane), "ecs:StopTask"));
    trail.flush(&world.store).await.expect("stored");
    assert_eq!(world.store.trail_list(world.org, &TrailFilter::default(), 9).await.expect("a trail").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_wait_for_a_database_that_is_away_and_looks_are_gathered() {
    let aws = granted().await;
    let world = world(&aws, bounds()).await;
    let trail = Trail::default();
    let away = Store::open(&world.database.url()).await.expect("a store");
    away.close().await;
    let owner = (world.org, world.plane);
    for n in 0..250 {
        trail.saw(CloudCall { request_id: Some(format!("look-{n}")), ..call(owner, "ecs:ListTasks") });
    }
    trail.saw(CloudCall { request_id: Some("stop".into()), ..call(owner, "ecs:StopTask") });
    trail.flush(&away).await.expect_err("the database is away");
    trail.flush(&world.store).await.expect("stored");
    trail.saw(CloudCall { request_id: Some("look-250".into()), ..call(owner, "ecs:ListTasks") });
    trail.flush(&world.store).await.expect("stored");
    let entries = world.store.trail_list(world.org, &TrailFilter::default(), 100).await.expect("a trail");
    let mut by_action: BTreeMap<&str, (usize, u64, BTreeSet<&str>)> = BTreeMap::new();
    for entry in &entries {
        let known = by_action.entry(entry.action.as_str()).or_default();
        (known.0, known.1) = (known.0 + 1, known.1 + entry.calls.count);
        known.2.extend(entry.calls.request_ids.iter().map(String::as_str));
    }
    let (lists, looks, ids) = &by_action["ecs:ListTasks"];
    assert!(*lists <= 3, "{lists} entries of looks");
    assert_eq!((*looks, ids.len()), (251, 251), "each look counts with its own id");
    assert_eq!(by_action["ecs:StopTask"].0, 1);
}

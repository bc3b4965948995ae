//! What agents tell of their calls to their own cloud: kept once, of their own data plane only, and no more than they can have
//! made.

use waybill_protocol::agent::{CloudAction, CloudCall, CloudCaller, MAX_CALLS};
use waybill_store::{TrailEntry, TrailFilter};

use super::*;

const ROLE: &str = "arn:aws:iam::222222222222:role/waybill-agent";

fn caller(role_arn: &str) -> CloudCaller {
    let (session, region) = ("i-0a1b2c3d4e5f60718".to_owned(), "eu-central-1".to_owned());
    CloudCaller { role_arn: role_arn.to_owned(), session, region }
}

fn call(seq: u64, action: CloudAction, attempt: Option<AttemptId>) -> CloudCall {
    let (at, request_id) = (Micros::now(), Some(format!("request-{seq}")));
    CloudCall { seq, action, attempt, at, request_id, outcome: "ok".into(), again: false }
}

fn telling(calls: Vec<CloudCall>) -> Told {
    Told { cloud_calls: calls, ..told(false, 4, vec![]) }
}

impl Desk {
    /// A session of this agent in which it says as whom it calls its cloud.
    async fn calls_as(&self, clerk: &mut Clerk, role: &str) -> Result<(), AgentError> {
        let first = Told { cloud_caller: Some(caller(role)), ..told(false, 4, vec![]) };
        clerk.session = self.agents.open(&clerk.certified, &first).await?;
        Ok(())
    }

    /// What was heard, and what the trail holds then.
    async fn hears(&self, clerk: &mut Clerk, calls: Vec<CloudCall>) -> (Option<u64>, Vec<TrailEntry>) {
        let orders = self.agents.hear(&mut clerk.session, &telling(calls)).await.expect("heard");
        self.trail.flush(&self.world.store).await.expect("stored");
        let all = self.world.store.trail_list(self.world.org, &TrailFilter::default(), 100).await.expect("a trail");
        (orders.cloud_calls_heard, all)
    }
}

fn ids(trail: &[TrailEntry]) -> Vec<&str> {
    let mut ids: Vec<&str> = trail.iter().flat_map(|entry| &entry.calls.request_ids).map(String::as_str).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn calls_that_an_agent_tells_are_kept_as_of_its_data_plane_and_those_told_again_stand_once() {
    for database in both() {
        let desk = Desk::new(database).await;
        let mut host = desk.clerk("office-1", 4).await;
        desk.calls_as(&mut host, ROLE).await.expect("a session");
        let (attempt, _) = desk.waiting().await;
        let run = call(1, CloudAction::RunTask, Some(attempt.id));
        let strange = CloudCall { outcome: "hunter2".into(), ..call(2, CloudAction::StopTask, Some(attempt.id)) };
        let ahead = CloudCall { at: Micros(i64::MAX), ..call(3, CloudAction::ListTasks, None) };
        let lost = CloudCall {
            request_id: None,
            outcome: "no_answer".into(),
            ..call(4, CloudAction::RunTask, Some(attempt.id))
        };
        let all = vec![run, strange, ahead, lost];
        let (heard, trail) = desk.hears(&mut host, all.clone()).await;
        assert_eq!((heard, ids(&trail)), (Some(4), vec!["request-1", "request-2", "request-3"]));
        assert_eq!(trail.len(), 4);
        for entry in &trail {
            assert_eq!((entry.data_plane, entry.role.as_str()), (desk.world.plane, ROLE));
            assert_eq!((entry.session.as_str(), entry.region.as_str()), ("i-0a1b2c3d4e5f60718", "eu-central-1"));
            let of_run = entry.action != "ecs:ListTasks";
            assert_eq!((entry.attempt, entry.run), (of_run.then_some(attempt.id), of_run.then_some(attempt.run)));
            assert!(entry.calls.last_at <= Micros::now(), "a clock that is wrong writes no future");
        }
        assert!(trail.iter().any(|entry| entry.outcome == "other") && format!("{trail:?}").find("hunter2").is_none());
        // The answer was lost with the session: the agent tells them in the next one, with what is new.
        desk.calls_as(&mut host, ROLE).await.expect("a session");
        // One of a clock that is ahead stood at the time when it was heard, and is known by its id.
        let mut again = all;
        again.iter_mut().for_each(|call| call.again = true);
        again.push(call(5, CloudAction::DescribeTasks, None));
        let (heard, trail) = desk.hears(&mut host, again).await;
        assert_eq!((heard, trail.len()), (Some(5), 5));
        assert_eq!(ids(&trail), ["request-1", "request-2", "request-3", "request-5"]);
    }
}

#[tokio::test]
async fn t01_a_call_for_another_data_planes_attempt_is_not_kept_and_the_rest_is() {
    for database in both() {
        let desk = Desk::new(database).await;
        let (attempt, _) = desk.waiting().await;
        let mut host = desk.clerk("office-1", 4).await;
        // An agent of another data plane of the same organization.
        let plane = DataPlaneId::generate();
        let mut tx = desk.world.store.write_tx_of_all().await.expect("a transaction");
        Store::data_plane_insert_in_txn(&mut tx, desk.world.org, plane, "elsewhere", ("agent", "{}"))
            .await
            .expect("added");
        tx.commit().await.expect("committed");
        let mut thief = desk.clerk_on(plane, "thief", 4).await;
        for clerk in [&mut host, &mut thief] {
            desk.calls_as(clerk, ROLE).await.expect("a session");
        }
        let calls = |from: u64| {
            vec![
                call(from, CloudAction::RunTask, Some(attempt.id)),
                call(from + 1, CloudAction::StopTask, Some(AttemptId::generate())),
                call(from + 2, CloudAction::StopTask, None),
            ]
        };
        let (heard, trail) = desk.hears(&mut thief, calls(1)).await;
        assert_eq!((heard, ids(&trail)), (Some(3), vec!["request-3"]), "nothing of an attempt that is not its own");
        assert_eq!((trail[0].data_plane, trail[0].run), (plane, None));
        let (_, trail) = desk.hears(&mut host, calls(11)).await;
        assert_eq!(ids(&trail), ["request-11", "request-13", "request-3"]);
    }
}

/// Whoever could tell of calls by a role that the orchestrator assumes could hide those of a thief.
#[tokio::test]
async fn t01_an_agent_that_calls_itself_by_a_launch_role_is_refused_and_so_are_calls_by_nobody() {
    for database in both() {
        let desk = Desk::new(database).await;
        let settings = serde_json::json!({
            "role_arn": "arn:aws:iam::222222222222:role/teams/waybill-launch",
            "task_role_arn": "arn:aws:iam::222222222222:role/waybill-worker",
            "region": "eu-central-1", "cluster": "waybill", "task_family": "waybill-worker",
            "subnets": ["subnet-0a1b2c3d4e5f60718"], "security_groups": ["sg-0a1b2c3d4e5f60718"],
        });
        let (plane, settings) = (DataPlaneId::generate(), settings.to_string());
        let mut tx = desk.world.store.write_tx_of_all().await.expect("a transaction");
        Store::data_plane_insert_in_txn(&mut tx, desk.world.org, plane, "cloud", ("aws-ecs", &settings))
            .await
            .expect("added");
        tx.commit().await.expect("committed");
        let mut host = desk.clerk("office-1", 4).await;
        for role in ["arn:aws:iam::222222222222:role/waybill-launch", "arn:aws:iam::222222222222:user/ada", "hunter2"] {
            assert!(matches!(desk.calls_as(&mut host, role).await, Err(AgentError::Caller)), "{role}");
        }
        desk.calls_as(&mut host, "arn:aws:iam::333333333333:role/waybill-launch").await.expect("another account's");
        // A session that did not say as whom it calls.
        let first = told(false, 4, vec![]);
        host.session = desk.agents.open(&host.certified, &first).await.expect("a session");
        let calls = telling(vec![call(1, CloudAction::ListTasks, None)]);
        assert!(matches!(desk.agents.hear(&mut host.session, &calls).await, Err(AgentError::Caller)));
    }
}

/// An honest agent gets there too, where the cloud refuses what it asks for long enough.
#[tokio::test]
async fn a_flood_of_calls_is_kept_up_to_a_bound_and_the_session_goes_on() {
    let desk = Desk::new(Database::sqlite()).await;
    let mut host = desk.clerk("office-1", 4).await;
    desk.calls_as(&mut host, ROLE).await.expect("a session");
    let kept = |trail: &[TrailEntry]| trail.iter().map(|entry| entry.calls.count).sum::<u64>();
    let most = MAX_CALLS as u64;
    let full = |from: u64| (from..from + most).map(|seq| call(seq, CloudAction::ListTasks, None)).collect::<Vec<_>>();
    let mut stood = 0;
    for message in 0..12 {
        let (heard, trail) = desk.hears(&mut host, full(message * most + 1)).await;
        assert_eq!(heard, Some((message + 1) * most), "what is not kept need not be told again either");
        stood = kept(&trail);
    }
    assert!((10 * most..11 * most).contains(&stood), "{stood} calls stand");
    // It is given work as before, and a new session is no new allowance.
    desk.calls_as(&mut host, ROLE).await.expect("a session");
    let (heard, trail) = desk.hears(&mut host, full(20_001)).await;
    assert_eq!(heard, Some(20_000 + most));
    assert!(kept(&trail) < stood + most / 2, "a new session is a new allowance");
    let (attempt, request) = desk.waiting().await;
    desk.started(&mut host, (&attempt, &request)).await;
    let mut other = desk.clerk("office-2", 4).await;
    desk.calls_as(&mut other, ROLE).await.expect("a session");
    let stood = kept(&trail);
    let (_, trail) = desk.hears(&mut other, full(1)).await;
    assert_eq!(kept(&trail), stood + most, "another agent has its own allowance");
}

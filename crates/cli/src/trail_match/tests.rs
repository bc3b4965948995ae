//! What both sides have is matched; what one side has alone is named, and nothing else is.

use std::io::Write;

use serde_json::{Value, json};
use waybill_api::Example;

use super::*;

const LAUNCH: &str = "arn:aws:iam::222222222222:role/waybill-launch";
const MIDDAY: i64 = 1_795_348_800;

fn at(seconds: i64) -> Micros {
    Micros((MIDDAY + seconds) * 1_000_000)
}

fn entry(action: &str, session: &str, seconds: i64, request_ids: &[&str]) -> TrailEntry {
    TrailEntry {
        action: action.into(),
        session: session.into(),
        role_arn: LAUNCH.into(),
        calls: request_ids.len().max(1) as u64,
        request_ids: request_ids.iter().map(|id| (*id).to_owned()).collect(),
        outcome: if request_ids.is_empty() { "no_answer".into() } else { "ok".into() },
        first_at: at(seconds).into(),
        last_at: at(seconds).into(),
        ..TrailEntry::example()
    }
}

fn event(name: &str, session: &str, seconds: i64, request: &str) -> Value {
    json!({
        "eventTime": Timestamp(at(seconds)).to_string(), "eventSource": "ecs.amazonaws.com", "eventName": name,
        "awsRegion": "eu-central-1", "sourceIPAddress": "198.51.100.7", "requestID": request, "eventID": request,
        "userIdentity": { "arn": format!("arn:aws:sts::222222222222:assumed-role/waybill-launch/{session}") },
    })
}

fn export(records: &[Value]) -> Export {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
    file.write_all(json!({ "Records": records }).to_string().as_bytes()).expect("written");
    let roles = HashSet::from([Role::of(LAUNCH).expect("a role")]);
    Export::read(&[file.path().to_owned()], &roles).expect("an export")
}

fn scope() -> Scope {
    Scope { from: at(0), to: at(3600), sessions: None, writes_only: false, settled: at(36_000) }
}

#[test]
fn the_same_calls_on_both_sides_match_and_looks_match_one_by_one() {
    let mut looks = entry("ecs:ListTasks", "waybill-look", 20, &["r-2", "r-3"]);
    looks.last_at = at(50).into();
    let entries = [entry("ecs:RunTask", "att_a", 10, &["r-1"]), looks];
    let events = [
        event("RunTask", "att_a", 11, "r-1"),
        event("ListTasks", "waybill-look", 20, "r-2"),
        event("ListTasks", "waybill-look", 50, "r-3"),
    ];
    let compared = compare(&entries, &export(&events), &scope());
    assert_eq!(compared, Compared { matches: true, matched: 3, ..Compared::default() });
}

/// A trail holds what was asked of buckets only where somebody chose so, and names a list otherwise than its permission.
#[test]
fn what_was_asked_of_a_bucket_is_matched_where_cloudtrail_shows_it_and_never_missed() {
    let entries =
        [entry("s3:GetObject", "waybill-check", 10, &["r-1"]), entry("s3:ListBucket", "waybill-check", 10, &["r-2"])];
    let compared = compare(&entries, &export(&[]), &scope());
    assert_eq!(compared, Compared { matches: true, not_expected: 2, ..Compared::default() });
    let mut shown = [event("GetObject", "waybill-check", 10, "r-1"), event("ListObjects", "waybill-check", 10, "r-2")];
    shown.iter_mut().for_each(|event| event["eventSource"] = "s3.amazonaws.com".into());
    let compared = compare(&entries, &export(&shown), &scope());
    assert_eq!(compared, Compared { matches: true, matched: 2, ..Compared::default() });
    shown[1]["requestID"] = "r-foreign".into();
    assert_eq!(compare(&entries, &export(&shown), &scope()).only_cloudtrail.len(), 1);
}

#[test]
fn a_call_that_waybill_does_not_know_is_named_even_where_it_is_only_a_look() {
    let entries = [entry("ecs:ListTasks", "waybill-look", 20, &["r-1"])];
    let events = [
        event("ListTasks", "waybill-look", 20, "r-1"),
        event("ListTasks", "waybill-look", 21, "r-foreign"),
        event("StopTask", "somebody", 22, "r-stop"),
    ];
    let compared = compare(&entries, &export(&events), &scope());
    assert!(!compared.matches && compared.matched == 1 && compared.only_waybill.is_empty());
    let named: Vec<_> =
        compared.only_cloudtrail.iter().map(|it| (it.action.as_str(), it.session.as_str(), it.record)).collect();
    assert_eq!(named, [("ecs:ListTasks", "waybill-look", 2), ("ecs:StopTask", "somebody", 3)]);
    assert_eq!(compared.only_cloudtrail[0].source_ip, "198.51.100.7");
}

#[test]
fn a_call_under_a_known_request_id_that_is_another_call_is_named_with_what_was_recorded() {
    let entries = [entry("ecs:RunTask", "att_a", 10, &["r-1"])];
    for (name, session) in [("StopTask", "att_a"), ("RunTask", "att_b")] {
        let compared = compare(&entries, &export(&[event(name, session, 10, "r-1")]), &scope());
        assert_eq!(compared.only_cloudtrail[0].recorded_as.as_deref(), Some("ecs:RunTask as att_a"));
        assert_eq!(compared.only_waybill.len(), 1, "and the one that was recorded is missing");
    }
}

#[test]
fn a_call_that_cloudtrail_does_not_show_is_named_and_a_recent_one_may_come_later() {
    let entries = [entry("ecs:RunTask", "att_a", 10, &["r-1"]), entry("ecs:RunTask", "att_b", 3_000, &["r-2"])];
    let scope = Scope { settled: at(3_600), ..scope() };
    let compared = compare(&entries, &export(&[]), &scope);
    let named: Vec<_> = compared.only_waybill.iter().map(|it| (it.request_id.as_deref(), it.may_come)).collect();
    assert_eq!(named, [(Some("r-1"), false), (Some("r-2"), true)]);
    assert!(!compared.matches);
}

#[test]
fn a_call_whose_answer_was_lost_is_found_by_what_who_and_when_and_only_once() {
    let entries = [entry("ecs:RunTask", "att_a", 100, &[])];
    let found = |events: &[Value]| compare(&entries, &export(events), &scope());
    let near = event("RunTask", "att_a", 101, "r-lost");
    let compared = found(std::slice::from_ref(&near));
    assert_eq!((compared.matches, compared.matched_without_request_id), (true, 1));
    assert_eq!(found(&[near.clone(), event("RunTask", "att_a", 102, "r-more")]).only_cloudtrail.len(), 1);
    for other in [
        event("RunTask", "att_a", 100 + 121, "r"),
        event("RunTask", "att_a", 100 - 61, "r"),
        event("StopTask", "att_a", 100, "r"),
        event("RunTask", "att_b", 100, "r"),
    ] {
        assert_eq!(found(std::slice::from_ref(&other)).only_cloudtrail.len(), 1, "{other}");
    }
    // It may never have arrived at all.
    assert_eq!(found(&[]), Compared { matches: true, not_expected: 1, ..Compared::default() });
}

#[test]
fn refused_calls_reads_of_a_trail_of_writes_and_other_times_are_not_missed() {
    let mut denied = entry("ecs:RunTask", "waybill-check", 10, &["r-1"]);
    denied.outcome = "AccessDeniedException".into();
    let early = entry("ecs:RunTask", "att_a", -1, &["r-2"]);
    let late = entry("ecs:RunTask", "att_a", 3_601, &["r-3"]);
    let look = entry("ecs:ListTasks", "waybill-look", 10, &["r-4"]);
    let assume = entry("sts:AssumeRole", "att_a", 10, &["r-5"]);
    let entries = [denied, early, late, look, assume];
    let writes = Scope { writes_only: true, ..scope() };
    let compared = compare(&entries, &export(&[]), &writes);
    assert_eq!(compared, Compared { matches: true, not_expected: 1, ..Compared::default() });
    assert_eq!(compare(&entries, &export(&[]), &scope()).only_waybill.len(), 2);
}

#[test]
fn a_run_is_compared_by_its_sessions_alone() {
    let entries = [entry("ecs:RunTask", "att_a", 10, &["r-1"]), entry("ecs:StopTask", "waybill-look", 20, &["r-2"])];
    let events = [
        event("RunTask", "att_a", 10, "r-1"),
        event("StopTask", "waybill-look", 20, "r-2"),
        event("StopTask", "waybill-look", 30, "r-of-another-run"),
        event("RunTask", "att_a", 40, "r-foreign"),
    ];
    let sessions = Some(HashSet::from(["att_a".to_owned()]));
    let scope = Scope { from: Micros(i64::MIN), to: Micros(i64::MAX), sessions, ..scope() };
    let compared = compare(&entries, &export(&events), &scope);
    assert_eq!((compared.matched, compared.only_waybill.len()), (2, 0));
    assert_eq!(compared.only_cloudtrail[0].request_id.as_deref(), Some("r-foreign"));
    assert_eq!(compared.only_cloudtrail.len(), 1);
}

//! The same documents loaded into an emulator that enforces IAM, and real signed calls against it by an independent client.

use std::collections::BTreeMap;

use serde_json::json;
use waybill_tests::services::aws::Emulator;

use super::rendered;

pub(crate) const THROUGH: &[&str] = &[
    "assume with the external id",
    "start a worker",
    "start it again by the same token",
    "one token, one task",
    "see it",
    "list workers",
    "stop it",
    "worker writes a table",
    "worker reads it",
    "worker lists its prefix",
    "worker reads its guard",
];

#[test]
fn the_grants_let_through_what_a_run_needs_and_refuse_all_else() {
    let emulator = Emulator::start().expect("an emulator");
    let seen = emulator.enforce(&rendered()).expect("calls");
    let wrong: BTreeMap<_, _> = seen
        .iter()
        .filter(|(call, outcome)| {
            outcome.as_str() != if THROUGH.contains(&call.as_str()) { "allowed" } else { "denied" }
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}\n{}", emulator.log());
    assert_eq!((THROUGH.len(), seen.len()), (11, 43));
}

#[test]
fn the_emulator_shows_a_grant_that_is_too_wide() {
    let emulator = Emulator::start().expect("an emulator");
    let mut grants = rendered();
    let anyone = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:user/orchestrator"}, "Action": "sts:AssumeRole"}
    ]});
    grants.documents.insert("launch_trust".into(), anyone);
    let tasks = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["ecs:*", "iam:PassRole", "s3:GetObject"], "Resource": "*"}
    ]});
    grants.documents.insert("launch".into(), tasks);
    let seen = emulator.enforce(&grants).expect("calls");
    for call in [
        "assume without an external id",
        "assume with a wrong external id",
        "start another family",
        "start in another cluster",
        "start with the administrator's role",
        "list tasks of another cluster",
        "register a task definition",
        "read the tables",
    ] {
        assert_eq!(seen[call], "allowed", "{call}: the emulator would not have noticed\n{}", emulator.log());
    }
}

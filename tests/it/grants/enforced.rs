//! The same documents loaded into an emulator that enforces IAM, and real signed calls against it by an independent client.

use std::collections::BTreeMap;

use aws_credential_types::Credentials;
use serde_json::json;
use waybill_launcher::ecs::bucket::Bucket;
use waybill_launcher::ecs::check::{CheckRow, Found};
use waybill_launcher::ecs::{Cloud, CloudOptions, EcsPlace, EcsSettings};
use waybill_tests::grants::{EXTERNAL_ID, Rendered};
use waybill_tests::services::aws::{Emulator, Keys, REGION};

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

/// What the orchestrator's own check says of the bucket of these grants, with real sessions of the launch role.
fn looked_at(grants: &Rendered) -> Vec<CheckRow> {
    let emulator = Emulator::start().expect("an emulator");
    emulator.enforce(grants).expect("the grants are loaded");
    let made = emulator.root_of("111111111111", &json!([["iam", "create_access_key", { "UserName": "orchestrator" }]]));
    let keys = Keys::of(&made[0], "AccessKey");
    let settings: EcsSettings = serde_json::from_value(json!({
        "role_arn": "arn:aws:iam::222222222222:role/waybill-launch",
        "task_role_arn": "arn:aws:iam::222222222222:role/waybill-worker",
        "region": REGION, "cluster": "waybill", "task_family": "waybill-worker",
        "subnets": ["subnet-0a1b2c3d4e5f60718"], "security_groups": ["sg-0a1b2c3d4e5f60718"],
    }))
    .expect("settings");
    let endpoint = || Some(emulator.endpoint());
    let options = CloudOptions {
        ecs_endpoint: endpoint(),
        sts_endpoint: endpoint(),
        s3_endpoint: endpoint(),
        ..CloudOptions::default()
    };
    let lake = Bucket { name: "example-lake".into(), prefix: "raw".into(), region: None, is_elsewhere: false };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let check = runtime.block_on(async {
        let cloud = Cloud::open_as(Credentials::new(keys.id, keys.secret, keys.session, None, "test"), options).await;
        let place = EcsPlace::new(settings, EXTERNAL_ID).expect("a place");
        std::sync::Arc::new(cloud).check(&place, &[lake]).await
    });
    check.rows.into_iter().filter(|row| row.action.starts_with("s3:")).collect()
}

#[test]
fn t02_the_orchestrators_own_check_finds_a_bucket_closed_to_the_launch_role_and_open_to_a_wider_one() {
    let found = |rows: &[CheckRow]| rows.iter().map(|row| (row.action, row.found)).collect::<Vec<_>>();
    let rows = looked_at(&rendered());
    assert_eq!(found(&rows), [("s3:GetObject", Found::Narrow), ("s3:ListBucket", Found::Narrow)], "{rows:#?}");

    let mut grants = rendered();
    let tasks = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["ecs:*", "iam:PassRole", "s3:GetObject", "s3:ListBucket"], "Resource": "*"}
    ]});
    grants.documents.insert("launch".into(), tasks);
    let rows = looked_at(&grants);
    assert_eq!(found(&rows), [("s3:GetObject", Found::TooMuch), ("s3:ListBucket", Found::TooMuch)], "{rows:#?}");
    assert!(rows.iter().all(|row| row.remove.is_some()));
}

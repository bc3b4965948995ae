//! The calls that matter, evaluated as IAM does: what a signed grant allows, and what it refuses whoever asks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use waybill_tests::grants::{Decision, EXTERNAL_ID, Request, render, simulate, values};

use super::{rendered, request};

const CLUSTER: (&str, &str) = ("ecs:cluster", "arn:aws:ecs:eu-west-1:222222222222:cluster/waybill");
const OTHER_CLUSTER: (&str, &str) = ("ecs:cluster", "arn:aws:ecs:eu-west-1:222222222222:cluster/production");
const ALIKE_CLUSTER: (&str, &str) = ("ecs:cluster", "arn:aws:ecs:eu-west-1:222222222222:cluster/waybill2");
const DEFAULT_CLUSTER: (&str, &str) = ("ecs:cluster", "arn:aws:ecs:eu-west-1:222222222222:cluster/default");
const FAMILY: &str = "arn:aws:ecs:eu-west-1:222222222222:task-definition/waybill-worker:7";
const TASK: &str = "arn:aws:ecs:eu-west-1:222222222222:task/waybill/0a1b2c3d";
const OTHER_TASK: &str = "arn:aws:ecs:eu-west-1:222222222222:task/production/0a1b2c3d";
const TASK_ROLE: &str = "arn:aws:iam::222222222222:role/waybill-worker";
const EXECUTION_ROLE: &str = "arn:aws:iam::222222222222:role/waybill-execution";
const ADMIN_ROLE: &str = "arn:aws:iam::222222222222:role/administrator";
const TO_ECS: (&str, &str) = ("iam:PassedToService", "ecs-tasks.amazonaws.com");
const NO_SHELL: (&str, &str) = ("ecs:enable-execute-command", "false");

/// One permission that a call needs: action, resource, condition keys.
type Need<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A call and all that IAM asks for it; the call goes through if each of them is allowed.
type Call<'a> = (&'a str, &'a [Need<'a>]);

const ALLOWED: &[Call<'_>] = &[
    (
        "start a worker",
        &[
            ("ecs:RunTask", FAMILY, &[CLUSTER, NO_SHELL]),
            ("iam:PassRole", TASK_ROLE, &[TO_ECS]),
            ("iam:PassRole", EXECUTION_ROLE, &[TO_ECS]),
        ],
    ),
    ("stop a worker", &[("ecs:StopTask", TASK, &[CLUSTER])]),
    ("see a worker", &[("ecs:DescribeTasks", TASK, &[CLUSTER])]),
    ("list workers", &[("ecs:ListTasks", "*", &[CLUSTER])]),
];

const DENIED: &[Call<'_>] = &[
    (
        "start another family",
        &[("ecs:RunTask", "arn:aws:ecs:eu-west-1:222222222222:task-definition/payroll:1", &[CLUSTER])],
    ),
    (
        "start a look-alike family",
        &[("ecs:RunTask", "arn:aws:ecs:eu-west-1:222222222222:task-definition/waybill-worker-x:1", &[CLUSTER])],
    ),
    ("start in another cluster", &[("ecs:RunTask", FAMILY, &[OTHER_CLUSTER])]),
    ("start in a look-alike cluster", &[("ecs:RunTask", FAMILY, &[ALIKE_CLUSTER])]),
    ("start in the default cluster", &[("ecs:RunTask", FAMILY, &[DEFAULT_CLUSTER])]),
    ("start with a shell", &[("ecs:RunTask", FAMILY, &[CLUSTER, ("ecs:enable-execute-command", "true")])]),
    (
        "start in another region",
        &[("ecs:RunTask", "arn:aws:ecs:us-east-1:222222222222:task-definition/waybill-worker:7", &[CLUSTER])],
    ),
    ("start with the administrator's role", &[("iam:PassRole", ADMIN_ROLE, &[TO_ECS])]),
    (
        "hand the worker's role to a machine",
        &[("iam:PassRole", TASK_ROLE, &[("iam:PassedToService", "ec2.amazonaws.com")])],
    ),
    (
        "hand the worker's role to a function",
        &[("iam:PassRole", TASK_ROLE, &[("iam:PassedToService", "lambda.amazonaws.com")])],
    ),
    ("stop another cluster's task", &[("ecs:StopTask", OTHER_TASK, &[OTHER_CLUSTER])]),
    ("see another cluster's task", &[("ecs:DescribeTasks", OTHER_TASK, &[OTHER_CLUSTER])]),
    ("list another cluster's tasks", &[("ecs:ListTasks", "*", &[OTHER_CLUSTER])]),
    ("register another program", &[("ecs:RegisterTaskDefinition", FAMILY, &[])]),
    ("withdraw the program", &[("ecs:DeregisterTaskDefinition", "*", &[])]),
    ("get a shell", &[("ecs:ExecuteCommand", TASK, &[CLUSTER])]),
    ("make a service", &[("ecs:CreateService", "arn:aws:ecs:eu-west-1:222222222222:service/waybill/x", &[CLUSTER])]),
    ("tag a task", &[("ecs:TagResource", TASK, &[])]),
    ("widen the worker's role", &[("iam:PutRolePolicy", TASK_ROLE, &[])]),
    (
        "change who may assume the launch role",
        &[("iam:UpdateAssumeRolePolicy", "arn:aws:iam::222222222222:role/waybill-launch", &[])],
    ),
    ("become the worker", &[("sts:AssumeRole", TASK_ROLE, &[])]),
    ("read a table", &[("s3:GetObject", "arn:aws:s3:::example-lake/raw/orders/data/x.parquet", &[])]),
    ("write a table", &[("s3:PutObject", "arn:aws:s3:::example-lake/raw/orders/data/x.parquet", &[])]),
    (
        "read the source's password",
        &[("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf", &[])],
    ),
    (
        "change the guard",
        &[("ssm:PutParameter", "arn:aws:ssm:eu-west-1:222222222222:parameter/waybill/guard/waybill-worker", &[])],
    ),
    (
        "read the worker's log",
        &[(
            "logs:GetLogEvents",
            "arn:aws:logs:eu-west-1:222222222222:log-group:/waybill/waybill:log-stream:run/worker/0a",
            &[],
        )],
    ),
];

/// Whether each call goes through with these policies of the launch role.
fn decided<'a>(calls: &'a [Call<'a>], policies: &[&Value]) -> BTreeMap<&'a str, bool> {
    let needs = calls.iter().flat_map(|(name, needs)| needs.iter().map(move |need| (*name, need)));
    let requests: Vec<(&str, Request)> = needs
        .map(|(name, (action, resource, context))| {
            (name, request("waybill-launch", action, resource, context, policies))
        })
        .collect();
    let asked: Vec<Request> = requests.iter().map(|(_, request)| request.clone()).collect();
    let mut through = BTreeMap::new();
    for ((name, _), decision) in requests.iter().zip(simulate(&asked).expect("decisions")) {
        *through.entry(*name).or_insert(true) &= decision == Decision::Allowed;
    }
    through
}

#[test]
fn of_thirty_calls_the_launch_role_may_make_four() {
    assert_eq!((ALLOWED.len(), DENIED.len()), (4, 26));
    let launch = &rendered().documents["launch"];
    let allowed = decided(ALLOWED, &[launch]);
    assert!(allowed.values().all(|through| *through) && allowed.len() == 4, "{allowed:?}");
    let denied = decided(DENIED, &[launch]);
    assert!(denied.values().all(|through| !*through) && denied.len() == 26, "{denied:?}");
}

/// A second processor is a second family: it can be started where it was granted, in the cluster, and none that looks alike.
#[test]
fn the_family_of_a_second_processor_is_started_only_where_it_was_granted() {
    let family = |name: &str| format!("arn:aws:ecs:eu-west-1:222222222222:task-definition/{name}:7");
    let (arm, x86) = (family("waybill-worker-arm64"), family("waybill-worker-x86-64"));
    let [arm_there, arm_elsewhere, alike]: [&[Need<'_>]; 3] = [
        &[("ecs:RunTask", &arm, &[CLUSTER, NO_SHELL])],
        &[("ecs:RunTask", &arm, &[OTHER_CLUSTER, NO_SHELL])],
        &[("ecs:RunTask", &x86, &[CLUSTER, NO_SHELL])],
    ];
    let calls = [("arm", arm_there), ("arm elsewhere", arm_elsewhere), ("alike", alike), ALLOWED[0]];
    let through = |other_architecture: &str| {
        let mut values = values();
        values["other_architecture"] = json!(other_architecture);
        let through = decided(&calls, &[&render(&values).expect("rendered documents").documents["launch"]]);
        calls.map(|(name, _)| through[name])
    };
    assert_eq!(through(""), [false, false, false, true]);
    assert_eq!(through("ARM64"), [true, false, false, true]);
}

/// The linter does not know the action yet; what decides does.
#[test]
fn workers_may_have_sts_sign_a_short_token_only_where_that_was_granted() {
    let algorithm = ("sts:SigningAlgorithm", "ES384");
    let [good, long, weak, tagged]: [&[Need<'_>]; 4] = [
        &[("sts:GetWebIdentityToken", "*", &[algorithm, ("sts:DurationSeconds", "300")])],
        &[("sts:GetWebIdentityToken", "*", &[algorithm, ("sts:DurationSeconds", "3600")])],
        &[("sts:GetWebIdentityToken", "*", &[("sts:SigningAlgorithm", "RS256"), ("sts:DurationSeconds", "300")])],
        &[("sts:TagGetWebIdentityToken", "*", &[])],
    ];
    let calls = [("as workers do", good), ("for an hour", long), ("otherwise signed", weak), ("with tags", tagged)];
    let through = |granted: bool| {
        let mut values = values();
        values["web_identity_tokens"] = json!(granted);
        let through = decided(&calls, &[&render(&values).expect("rendered documents").documents["task"]]);
        calls.map(|(name, _)| through[name])
    };
    assert_eq!(through(false), [false; 4]);
    assert_eq!(through(true), [true, false, false, false]);
}

#[test]
fn a_policy_that_somebody_adds_gives_the_launch_role_no_other_service() {
    let launch = &rendered().documents["launch"];
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]});
    let through = decided(DENIED, &[launch, &everything]);
    let opened: Vec<_> = through.iter().filter(|(_, through)| **through).map(|(name, _)| *name).collect();
    // What remains are the four calls and PassRole themselves, which such a policy widens; nothing else opens.
    let widened = |name: &&str| {
        let call = DENIED.iter().find(|(denied, _)| denied == name).expect("a call");
        call.1.iter().all(|need| {
            ["ecs:RunTask", "ecs:StopTask", "ecs:DescribeTasks", "ecs:ListTasks", "iam:PassRole"].contains(&need.0)
        })
    };
    assert!(opened.iter().all(widened), "{opened:?}");
    assert!(!opened.contains(&"start with a shell") && !opened.contains(&"register another program"), "{opened:?}");
    // And the evaluation is awake: alone, that policy opens everything.
    assert!(decided(DENIED, &[&everything]).values().all(|through| *through));
}

#[test]
fn a_missing_or_wrong_external_id_assumes_nothing() {
    let role = "arn:aws:iam::222222222222:role/waybill-launch";
    let may = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}]});
    let trust = &rendered().documents["launch_trust"];
    let ask = |principal: &str, external_id: Option<&str>| Request {
        principal: principal.into(),
        action: "sts:AssumeRole".into(),
        resource: role.into(),
        account: "222222222222".into(),
        context: external_id.map(|id| ("sts:ExternalId".to_owned(), id.to_owned())).into_iter().collect(),
        identity: vec![may.clone()],
        trust: Some(trust.clone()),
    };
    let orchestrator = "arn:aws:iam::111111111111:user/orchestrator";
    let decisions = simulate(&[
        ask(orchestrator, Some(EXTERNAL_ID)),
        ask(orchestrator, None),
        ask(orchestrator, Some("wbx-0123456789abcde")),
        ask(orchestrator, Some("*")),
        ask(orchestrator, Some("WBX-0123456789ABCDEF")),
        ask("arn:aws:iam::111111111111:user/somebody-else", Some(EXTERNAL_ID)),
        ask("arn:aws:iam::333333333333:user/orchestrator", Some(EXTERNAL_ID)),
    ])
    .expect("decisions");
    let allowed: Vec<bool> = decisions.iter().map(|decision| *decision == Decision::Allowed).collect();
    assert_eq!(allowed, [true, false, false, false, false, false, false]);
}

#[test]
fn a_worker_reaches_what_was_named_and_its_own_guard() {
    let task = &rendered().documents["task"];
    let secret = "arn:aws:secretsmanager:eu-west-1:222222222222:secret:shop-AbCdEf";
    let key = "arn:aws:kms:eu-west-1:222222222222:key/0a1b";
    let through_s3: &[(&str, &str)] = &[("kms:ViaService", "s3.eu-west-1.amazonaws.com")];
    let parameter = |name: &str| format!("arn:aws:ssm:eu-west-1:222222222222:parameter/waybill/guard/{name}");
    let (own, other) = (parameter("waybill-worker"), parameter("waybill-worker2"));
    let table: [(bool, Need<'_>); 22] = [
        (true, ("s3:PutObject", "arn:aws:s3:::example-lake/raw/orders/x", &[])),
        (true, ("s3:GetObject", "arn:aws:s3:::example-lake/raw/orders/x", &[])),
        (true, ("s3:AbortMultipartUpload", "arn:aws:s3:::example-lake/raw/orders/x", &[])),
        (true, ("s3:GetObject", "arn:aws:s3:::in-box/csv/x", &[])),
        (true, ("s3:ListBucket", "arn:aws:s3:::example-lake", &[("s3:prefix", "raw/orders/")])),
        (true, ("secretsmanager:GetSecretValue", secret, &[])),
        (true, ("kms:Decrypt", key, through_s3)),
        (true, ("ssm:GetParameter", &own, &[])),
        (false, ("s3:DeleteObject", "arn:aws:s3:::example-lake/raw/orders/x", &[])),
        (false, ("s3:PutObject", "arn:aws:s3:::example-lake/rawer/x", &[])),
        (false, ("s3:PutObject", "arn:aws:s3:::in-box/csv/x", &[])),
        (false, ("s3:GetObject", "arn:aws:s3:::other/raw/x", &[])),
        (false, ("s3:ListBucket", "arn:aws:s3:::example-lake", &[("s3:prefix", "payroll/")])),
        (false, ("s3:PutBucketPolicy", "arn:aws:s3:::example-lake", &[])),
        (
            false,
            (
                "secretsmanager:GetSecretValue",
                "arn:aws:secretsmanager:eu-west-1:222222222222:secret:payroll-AbCdEf",
                &[],
            ),
        ),
        (false, ("secretsmanager:PutSecretValue", secret, &[])),
        (false, ("kms:Decrypt", key, &[])),
        (false, ("kms:Decrypt", "arn:aws:kms:eu-west-1:222222222222:key/0a1c", through_s3)),
        (false, ("ssm:GetParameter", &other, &[])),
        (false, ("ssm:PutParameter", &own, &[])),
        (false, ("ecs:RunTask", FAMILY, &[CLUSTER])),
        (false, ("sts:AssumeRole", "arn:aws:iam::222222222222:role/waybill-launch", &[])),
    ];
    // A key's own policy comes first; this is the one that AWS gives it, which leaves the decision to the account's policies.
    let of_key = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "kms:*", "Resource": "*"}
    ]});
    let asked = |(action, resource, context): &Need<'_>| Request {
        trust: action.starts_with("kms:").then(|| of_key.clone()),
        ..request("waybill-worker", action, resource, context, &[task])
    };
    let requests: Vec<Request> = table.iter().map(|(_, need)| asked(need)).collect();
    let decisions = simulate(&requests).expect("decisions");
    for ((wanted, need), decision) in table.iter().zip(decisions) {
        assert_eq!(decision == Decision::Allowed, *wanted, "{need:?}");
    }
}

//! What every launcher must do, done by tasks of the scripted cloud: real processes that start and end there.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use waybill_launcher::conformance::{self, Behaviour, Subject};
use waybill_launcher::ecs::{EcsLauncher, EcsTask, Wish, client_token};
use waybill_launcher::{LaunchRequest, LaunchSpec, Launcher, TaskRef, TaskStatus};
use waybill_model::AttemptId;
use waybill_tests::aws::{Aws, Fault, Program};
use zeroize::Zeroizing;

use super::fixture::{cloud, granted, place};

const SCRIPT: &str = r#"
[ "$BEHAVIOUR" = stubborn ] && trap '' TERM
echo begun >> "$BEGUN"
case "$BEHAVIOUR" in
  stay) exec sleep 300 ;;
  stubborn) while :; do sleep 1; done ;;
  *) exit "$BEHAVIOUR" ;;
esac
"#;

struct InCloud {
    aws: Aws,
    launcher: EcsLauncher,
    directory: tempfile::TempDir,
}

impl InCloud {
    async fn new() -> Self {
        let aws = granted().await;
        aws.run_as(Program::Process {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), SCRIPT.into()],
            environment: vec![("PATH".into(), std::env::var("PATH").unwrap_or_default())],
            stop_time: Duration::from_millis(300),
        });
        let launcher = cloud(&aws, 4).await.launcher(place());
        Self { aws, launcher, directory: tempfile::TempDir::new().expect("a directory") }
    }

    fn wanted(&self, attempt: AttemptId, behaviour: &str) -> LaunchRequest {
        let begun = self.directory.path().join(format!("begun-{attempt}")).display().to_string();
        let variables = BTreeMap::from([("BEHAVIOUR".into(), behaviour.into()), ("BEGUN".into(), begun)]);
        let mut spec = LaunchSpec::new(attempt, client_token(attempt), String::new(), vec![]);
        spec.ecs = Some(EcsTask::new(&place(), Wish::default(), variables).expect("a task"));
        let bytes = spec.to_bytes().expect("serialises");
        LaunchRequest::from_bytes(&bytes, Zeroizing::new("the-ticket".into())).expect("reads back")
    }
}

#[async_trait]
impl Subject for InCloud {
    fn launcher(&self) -> &dyn Launcher {
        &self.launcher
    }

    fn request(&self, attempt: AttemptId, behaviour: Behaviour) -> LaunchRequest {
        match behaviour {
            Behaviour::Stay => self.wanted(attempt, "stay"),
            Behaviour::StayStubbornly => self.wanted(attempt, "stubborn"),
            Behaviour::Exit(code) => self.wanted(attempt, &code.to_string()),
        }
    }

    async fn begun(&self, attempt: AttemptId) -> usize {
        let begun = self.directory.path().join(format!("begun-{attempt}"));
        std::fs::read_to_string(begun).map_or(0, |text| text.lines().count())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ecs_launcher_conforms() {
    conformance::all(&InCloud::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_asked_for_once_and_holds_what_the_officer_was_told() {
    let subject = InCloud::new().await;
    let attempt = AttemptId::generate();
    subject.launcher.start(&subject.request(attempt, Behaviour::Stay)).await.expect("started");
    let task = subject.aws.tasks().pop().expect("a task");
    let asked = task.asked;
    assert_eq!(asked["cluster"], "waybill");
    assert_eq!(asked["taskDefinition"], "waybill-worker");
    assert_eq!(asked["clientToken"], client_token(attempt));
    assert_eq!(asked["startedBy"], format!("wb/{attempt}"));
    assert_eq!(asked["launchType"], "FARGATE");
    assert_eq!(asked["enableExecuteCommand"], false);
    assert_eq!(asked["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"], "DISABLED");
    let overrides = asked["overrides"].as_object().expect("overrides");
    let mut keys: Vec<_> = overrides.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["containerOverrides", "cpu", "memory"], "no role is overridden");
    assert_eq!((&overrides["cpu"], &overrides["memory"]), (&"1024".into(), &"2048".into()));
    let container = asked["overrides"]["containerOverrides"][0].as_object().expect("a container");
    assert_eq!(container.keys().collect::<Vec<_>>(), ["environment", "name"], "no command is overridden");
    assert!(task.environment.contains(&("WAYBILL_TICKET".into(), "the-ticket".into())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launch_is_a_session_named_after_its_attempt_with_the_external_id() {
    let subject = InCloud::new().await;
    let attempt = AttemptId::generate();
    subject.launcher.start(&subject.request(attempt, Behaviour::Stay)).await.expect("started");
    let by = subject.aws.calls("RunTask").pop().expect("a call").by;
    assert_eq!(by, format!("arn:aws:sts::222222222222:assumed-role/waybill-launch/{attempt}"));
    let asked = subject.aws.calls("AssumeRole").pop().expect("a call").body;
    assert!(asked.contains(&format!("ExternalId={}", super::fixture::EXTERNAL_ID)), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_are_looked_at_a_hundred_at_a_time() {
    let subject = InCloud::new().await;
    subject.aws.run_as(Program::Nothing);
    let mut tasks = Vec::new();
    for _ in 0..205 {
        let request = subject.request(AttemptId::generate(), Behaviour::Stay);
        tasks.push(subject.launcher.start(&request).await.expect("started"));
    }
    let gone = TaskRef("arn:aws:ecs:eu-central-1:222222222222:task/waybill/0123".into());
    let elsewhere = TaskRef("arn:aws:ecs:eu-central-1:222222222222:task/other/0123".into());
    tasks.extend([gone, elsewhere]);
    let seen: Vec<_> =
        subject.launcher.describe_all(&tasks).await.into_iter().map(|one| one.expect("a look")).collect();
    assert!(seen[..205].iter().all(|status| *status == TaskStatus::Running));
    assert_eq!(seen[205..], [TaskStatus::Missing, TaskStatus::Unknown]);
    assert_eq!(subject.aws.calls("DescribeTasks").len(), 3);
    assert_eq!(subject.launcher.live().await.expect("a list").len(), 205);
    let sessions = subject.aws.calls("AssumeRole").iter().filter(|call| call.body.contains("waybill-look")).count();
    assert_eq!(sessions, 1, "the session for looks is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_calls_are_made_again_and_start_one_task() {
    let subject = InCloud::new().await;
    let attempt = AttemptId::generate();
    for (action, fault) in
        [("AssumeRole", Fault::Throttle), ("RunTask", Fault::Throttle), ("RunTask", Fault::ServerError)]
    {
        subject.aws.fault(action, fault, 1);
    }
    subject.aws.fault("RunTask", Fault::LostAnswer, 1);
    let task = subject.launcher.start(&subject.request(attempt, Behaviour::Stay)).await.expect("started");
    assert_eq!((subject.aws.fired("AssumeRole"), subject.aws.fired("RunTask")), (1, 3));
    let begun = subject.aws.tasks_of(&attempt.to_string());
    assert_eq!((begun.len(), &begun[0].arn), (1, &task.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn f37_a_session_that_ended_is_renewed_and_a_role_that_was_taken_away_is_named() {
    let subject = InCloud::new().await;
    let task = subject.launcher.start(&subject.request(AttemptId::generate(), Behaviour::Stay)).await.expect("started");
    assert_eq!(subject.launcher.describe(&task).await.expect("a look"), TaskStatus::Running);
    subject.aws.revoke_sessions(&Aws::launch_role());
    assert_eq!(subject.launcher.describe(&task).await.expect("a look"), TaskStatus::Running);
    subject.aws.fault("DescribeTasks", Fault::Expired, 2);
    // Over again at once: nothing can be said, and nothing is assumed.
    assert_eq!(subject.launcher.describe(&task).await.expect("a look"), TaskStatus::Unknown);
    assert_eq!(subject.aws.fired("DescribeTasks"), 2);
    subject.aws.change_role(&Aws::launch_role(), |role| role.trust = waybill_tests::aws::Trust::Nobody);
    let error =
        subject.launcher.start(&subject.request(AttemptId::generate(), Behaviour::Stay)).await.expect_err("refused");
    assert_eq!(error.to_string(), format!("sts:AssumeRole on {} is not allowed", Aws::launch_role()));
    assert!(!error.passes());
}

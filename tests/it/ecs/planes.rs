//! Data planes in a cloud over REST, with a real orchestrator: what may be registered, what a check finds, and a task that
//! enrols by its role.

use std::time::Duration;

use anyhow::{Context, Result};
use waybill_api::Example as _;
use waybill_api::client::{ClientError, EventQuery, PolicyQuery};
use waybill_api::data_plane::{
    AwsEcsSettings, DataPlane, DataPlaneCheck, DataPlaneCreate, DataPlaneUpdate, ProcessSettings,
};
use waybill_api::event::RunEvent;
use waybill_model::FailureCode;
use waybill_tests::aws::{Aws, Fault, Program, Trust};
use waybill_tests::binaries::binary;
use waybill_tests::sandbox::{Options, Sandbox};

use crate::proxy::Gateway;

/// A real orchestrator and the scripted cloud that it calls.
pub(super) struct Story {
    pub(super) aws: Aws,
    pub(super) sandbox: Sandbox,
}

impl Story {
    pub(super) async fn start() -> Result<Self> {
        Self::start_with(Vec::new()).await
    }

    /// With these settings besides.
    pub(super) async fn start_with(settings: Vec<(String, String)>) -> Result<Self> {
        Self::start_as(Options { orchestrator: settings, ..Options::default() }).await
    }

    pub(super) async fn start_as(mut options: Options) -> Result<Self> {
        let aws = Aws::start().await;
        let key = aws.orchestrator_key();
        let orchestrator = [
            ("WAYBILL__AWS__ECS_ENDPOINT", aws.url()),
            ("WAYBILL__AWS__STS_ENDPOINT", aws.url()),
            ("WAYBILL__AWS__S3_ENDPOINT", aws.url()),
            ("WAYBILL__AWS__ISSUER_ENDPOINT", aws.url()),
            ("AWS_ACCESS_KEY_ID", key.id),
            ("AWS_SECRET_ACCESS_KEY", key.secret),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ];
        // Given settings come last and win.
        options.orchestrator.splice(0..0, orchestrator.map(|(name, value)| (name.to_owned(), value)));
        let sandbox = Sandbox::start(options).await?;
        Ok(Self { aws, sandbox })
    }

    pub(super) fn create(aws_ecs: Option<AwsEcsSettings>) -> DataPlaneCreate {
        DataPlaneCreate { name: "cloud".into(), kind: "aws-ecs".into(), settings: ProcessSettings::default(), aws_ecs }
    }

    /// A data plane with its settings, whose role asks for its external id.
    pub(super) async fn granted(&self) -> Result<DataPlane> {
        self.granted_as(settings()).await
    }

    /// The same with these settings.
    pub(super) async fn granted_as(&self, settings: AwsEcsSettings) -> Result<DataPlane> {
        let made = self.sandbox.client.data_plane_create(&Self::create(Some(settings))).await?;
        self.aws.grant(made.external_id.as_deref().context("an external id")?);
        Ok(made)
    }

    pub(super) async fn check(&self, plane: &DataPlane) -> Result<DataPlaneCheck, ClientError> {
        self.sandbox.client.data_plane_check(plane.id).await
    }
}

pub(super) fn settings() -> AwsEcsSettings {
    AwsEcsSettings::example()
}

/// The real worker, started by the scripted cloud.
pub(crate) fn worker() -> Program {
    Program::Process {
        program: binary("waybill-worker").display().to_string(),
        args: vec!["run".into()],
        environment: vec![],
        stop_time: Duration::from_secs(5),
    }
}

pub(super) fn code(error: &ClientError) -> &str {
    error.problem().map_or("", |problem| problem.code.as_str())
}

/// What a check found for an action; in the order of its rows.
pub(super) fn found<'a>(check: &'a DataPlaneCheck, action: &str) -> Vec<&'a str> {
    check.rows.iter().filter(|row| row.action == action).map(|row| row.found.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn h11_h12_only_good_settings_are_registered_and_the_external_id_is_the_servers() -> Result<()> {
    let story = Story::start().await?;
    let client = &story.sandbox.client;
    for (field, change) in [
        (
            "role_arn",
            (|s: &mut AwsEcsSettings| s.role_arn = "arn:aws:iam::222222222222:user/ada".into())
                as fn(&mut AwsEcsSettings),
        ),
        ("role_arn", |s| s.role_arn = "arn:aws:iam::222222222222:role/*".into()),
        ("role_arn", |s| s.role_arn = "arn:aws-cn:iam::222222222222:role/launch".into()),
        ("role_arn", |s| s.role_arn.push('\n')),
        ("task_role_arn", |s| s.task_role_arn = "arn:aws:iam::333333333333:role/waybill-worker".into()),
        ("region", |s| s.region = "us-iso-east-1".into()),
        ("fips", |s| s.fips = true),
        ("token_issuer", |s| s.token_issuer = Some("https://login.example.com".into())),
        ("subnets", |s| s.subnets.clear()),
        ("memory_mib", |s| s.memory_mib = 1000),
        ("ec2_opt_in", |s| s.capacity = "ec2".into()),
        ("capacity", |s| s.capacity = "lambda".into()),
    ] {
        let mut bad = settings();
        change(&mut bad);
        let refused = client.data_plane_create(&Story::create(Some(bad))).await.expect_err(field);
        let problem = refused.problem().context("a problem")?;
        assert_eq!(problem.status, 422, "{field}");
        assert_eq!(problem.errors[0].pointer.as_deref(), Some(format!("/aws_ecs/{field}").as_str()));
    }
    let made = client.data_plane_create(&Story::create(None)).await?;
    let id = made.external_id.clone().context("an external id")?;
    assert!(id.starts_with("wb-") && id.len() == 35, "{id}");
    let mut own = serde_json::to_value(Story::create(None))?;
    own["name"] = "other".into();
    own["external_id"] = "wb-mine".into();
    let refused =
        client.raw(&http::Method::POST, "/v1/data-planes", Some(&own.to_string()), None).await.expect_err("refused");
    assert_eq!(refused.problem().context("a problem")?.status, 400);

    let held = client.data_plane_get(made.id).await?;
    let update = DataPlaneUpdate { settings: None, aws_ecs: Some(settings()) };
    let set = client.data_plane_update(made.id, &held.etag, &update).await?;
    assert_eq!((set.external_id.as_ref(), set.trust), (Some(&id), None), "it stays the same, and nothing was checked");
    for change in [
        (|s: &mut AwsEcsSettings| s.role_arn = "arn:aws:iam::222222222222:role/another".into())
            as fn(&mut AwsEcsSettings),
        |s| s.cluster = "another".into(),
        |s| s.region = "eu-west-1".into(),
    ] {
        let mut other = settings();
        change(&mut other);
        let etag = client.data_plane_get(made.id).await?.etag;
        let update = DataPlaneUpdate { settings: None, aws_ecs: Some(other) };
        let refused = client.data_plane_update(made.id, &etag, &update).await.expect_err("refused");
        assert_eq!(code(&refused), "unusable");
    }
    Ok(())
}

/// What people set is the only word about where the orchestrator itself calls, and it holds no host: endpoints follow from
/// words of a region's shape, below AWS's own domains.
#[tokio::test(flavor = "multi_thread")]
async fn t11_no_setting_leads_the_orchestrator_to_an_address_of_somebodys_choice() -> Result<()> {
    let story = Story::start().await?;
    let before = story.aws.calls("AssumeRole").len();
    let inside = include_str!("../../../crates/connectors/src/dial/spellings.txt");
    let spellings = inside.lines().filter_map(|line| line.split_once(' ')).map(|(host, _)| host.to_owned());
    let outside = ["localhost", "attacker.example", "eu-central-1.attacker.example", "eu-central-1@attacker.example"];
    let hidden =
        ["eu-central-1#", "eu-central-1/../", "eu-central-1%2e", "eu-central-1\r\nHost: a", "EU-CENTRAL-1", ""];
    let places: Vec<_> = spellings.chain(outside.into_iter().chain(hidden).map(str::to_owned)).collect();
    assert!(places.len() >= 50);
    for place in places {
        let mut bad = settings();
        bad.region.clone_from(&place);
        let refused = story.sandbox.client.data_plane_create(&Story::create(Some(bad))).await.expect_err(&place);
        let problem = refused.problem().context("a problem")?;
        assert_eq!((problem.status, problem.errors[0].pointer.as_deref()), (422, Some("/aws_ecs/region")), "{place}");
        let mut body = serde_json::to_value(Story::create(Some(settings())))?;
        body["aws_ecs"]["endpoint"] = format!("http://{place}/").into();
        let refused =
            story.sandbox.client.raw(&http::Method::POST, "/v1/data-planes", Some(&body.to_string()), None).await;
        assert_eq!(refused.expect_err(&place).problem().context("a problem")?.status, 400, "{place}");
    }
    assert_eq!(story.aws.calls("AssumeRole").len(), before, "nobody was called");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn t09_h13_a_role_that_does_not_ask_for_its_external_id_is_refused_with_the_line_to_add() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    story.aws.change_role(&Aws::launch_role(), |role| role.trust = Trust::Anyone);
    let refused = story.check(&plane).await.expect_err("refused");
    assert_eq!(code(&refused), "external_id_not_enforced");
    let problem = refused.problem().context("a problem")?;
    let (next, id) = (problem.next.clone().unwrap_or_default(), plane.external_id.clone().unwrap_or_default());
    assert!(problem.status == 422 && next.contains("sts:ExternalId") && next.contains(&id), "{next}");
    let held = story.sandbox.client.data_plane_get(plane.id).await?.value;
    assert_eq!(held.trust.as_deref(), Some("open"));

    // A wrong id of somebody else is no way in either.
    story.aws.change_role(&Aws::launch_role(), |role| role.trust = Trust::Id("wb-of-somebody-else".into()));
    let check = story.check(&plane).await?;
    assert!(!check.ready);
    assert_eq!(found(&check, "sts:AssumeRole"), ["missing", "narrow", "narrow"]);
    assert!(check.rows[0].statement.as_ref().is_some_and(|statement| statement.contains(&id)));
    // What is to be added is the very text of the trust policy.
    let query = PolicyQuery { document: Some("trust".into()), execution_role: None };
    let policy = story.sandbox.client.data_plane_policy(plane.id, &query).await?;
    let policy: serde_json::Value = serde_json::from_str(&policy.trust.context("a trust policy")?)?;
    let check = story.check(&plane).await?;
    let statement = check.rows[0].statement.as_deref().context("a statement")?;
    assert_eq!(serde_json::from_str::<serde_json::Value>(statement)?, policy["Statement"][0]);
    assert_eq!(story.sandbox.client.data_plane_get(plane.id).await?.value.trust, None);
    Ok(())
}

/// The customer can do nothing about what the orchestrator's own role may not ask for, and is not told to.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_the_orchestrators_own_policies_refuse_is_not_blamed_on_the_customers_trust() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    story.pipeline().await?;
    for (why, adds) in [
        (" because no identity-based policy allows the sts:AssumeRole action", true),
        (" with an explicit deny in an identity-based policy", false),
    ] {
        // Found ready before, or nothing would be started at all.
        story.aws.refuse_the_orchestrator(None);
        assert!(story.check(&plane).await?.ready);
        story.aws.refuse_the_orchestrator(Some(why));
        let ended = story.sandbox.ended(story.sandbox.trigger("items").await?).await?;
        assert_eq!(ended.run.failure.context("a failure")?.code, FailureCode::AccessDenied);
        let events = story.sandbox.client.run_events(ended.run.id, &EventQuery::default()).await?.items;
        let told = events.iter().find(|event| event.code == "launch_failed").context("the step")?;

        let check = story.check(&plane).await?;
        assert_eq!(found(&check, "sts:AssumeRole"), ["missing", "not_tested", "not_tested"], "{why}");
        let (row, role) = (&check.rows[0], Aws::launch_role());
        assert!(!check.ready && row.detail.contains("orchestrator's own role"), "{}", row.detail);
        let statement = row.statement.clone().unwrap_or_default();
        assert_eq!(statement.contains(&role) && !statement.contains("Principal"), adds, "{why}: {statement}");
        assert!(adds || row.statement.is_none(), "no statement helps against a deny: {statement}");
        let wanted = format!("sts:AssumeRole on {role} is not allowed to the orchestrator's own role");
        assert!(told.text.contains(&wanted) && !told.text.contains("launch role"), "{}", told.text);
        assert_eq!(told.text.contains("(add to the orchestrator's own role: "), adds, "{}", told.text);
    }
    story.aws.refuse_the_orchestrator(None);
    assert!(story.check(&plane).await?.ready, "{:?}", story.check(&plane).await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_grant_is_found_ready_and_nothing_is_started_by_the_check() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    let check = story.check(&plane).await?;
    assert!(check.ready, "{check:#?}");
    assert_eq!(found(&check, "sts:AssumeRole"), ["allowed", "narrow", "narrow", "narrow"], "the task role too");
    assert_eq!(found(&check, "ecs:ListTasks"), ["allowed", "narrow"]);
    assert_eq!(found(&check, "ecs:DescribeTasks"), ["allowed"]);
    assert_eq!(found(&check, "ecs:StopTask"), ["allowed", "narrow"]);
    assert_eq!(found(&check, "ecs:RunTask"), ["narrow", "narrow", "not_tested"]);
    let passed = check.rows.iter().find(|row| row.action == "iam:PassRole").context("a row")?;
    let statement = passed.statement.as_deref().unwrap_or_default();
    assert!(passed.found == "not_tested" && statement.contains("iam:PassedToService"), "{passed:?}");
    assert!(statement.contains(":role/waybill-worker\"") && statement.contains("<the execution role"), "{statement}");
    let unasked = check.rows.iter().find(|row| row.action == "s3:GetObject").context("a row")?;
    assert!(unasked.found == "not_tested" && unasked.detail.contains("no pipeline"), "{unasked:?}");
    let untried = check.rows.iter().find(|row| row.action == "ecs:RunTask" && row.found == "not_tested");
    let wanted =
        untried.and_then(|row| row.statement.as_deref()).context("what it must say can be read all the same")?;
    assert!(wanted.contains("ecs:RunTask") && wanted.contains("ecs:cluster"), "{wanted}");
    assert_eq!(found(&check, "ecs:RegisterTaskDefinition"), ["narrow"]);
    assert_eq!(found(&check, "ecs:ExecuteCommand"), ["narrow"]);
    assert!(story.aws.tasks().is_empty(), "nothing was started");
    assert_eq!(story.sandbox.client.data_plane_get(plane.id).await?.value.trust.as_deref(), Some("enforced"));
    Ok(())
}

/// A session that was given and a cloud that says nothing are no proof of anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_got_no_answers_is_not_ready_and_the_session_is_taken_once() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    story.aws.fault("StopTask", Fault::ServerError, 1_000);
    let check = story.check(&plane).await?;
    assert!(story.aws.fired("StopTask") > 0, "the fault fired");
    assert_eq!(found(&check, "ecs:StopTask"), ["no_answer", "no_answer"]);
    assert!(!check.ready, "{check:#?}");
    let asked = story.aws.calls("AssumeRole").len();
    assert_eq!(asked, 4, "with the id, without one, with a wrong one, and the workers' role");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_permission_and_each_one_too_much_is_a_row() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    story.aws.change_role(&Aws::launch_role(), |role| role.lacks = vec!["StopTask", "ListTasks"]);
    let check = story.check(&plane).await?;
    assert!(!check.ready);
    assert_eq!(found(&check, "ecs:StopTask"), ["missing", "narrow"]);
    let row = check.rows.iter().find(|row| row.action == "ecs:StopTask").context("a row")?;
    let statement = row.statement.clone().context("a statement")?;
    assert!(statement.contains("ecs:StopTask") && statement.contains("ecs:cluster"), "{statement}");

    story.aws.change_role(&Aws::launch_role(), |role| {
        (role.lacks, role.families) = (vec![], vec!["*".into()]);
        role.extra = vec!["RegisterTaskDefinition", "ExecuteCommand"];
    });
    let check = story.check(&plane).await?;
    assert_eq!(found(&check, "ecs:RunTask"), ["too_much", "narrow", "not_tested"]);
    assert_eq!(found(&check, "ecs:RegisterTaskDefinition"), ["too_much"]);
    assert_eq!(found(&check, "ecs:ExecuteCommand"), ["too_much"]);

    story.aws.change_role(&Aws::launch_role(), |role| {
        (role.cluster, role.families) = ("*".into(), vec!["waybill-worker".into()])
    });
    let check = story.check(&plane).await?;
    assert_eq!(found(&check, "ecs:RunTask"), ["narrow", "too_much", "not_tested"]);
    assert_eq!(found(&check, "ecs:ListTasks"), ["allowed", "too_much"]);
    assert!(story.aws.tasks().is_empty(), "nothing was started");
    Ok(())
}

impl Story {
    pub(super) async fn pipeline(&self) -> Result<()> {
        let (source, lake) = (self.sandbox.path("shop.db"), self.sandbox.path("lake"));
        let database = rusqlite::Connection::open(&source)?;
        database.execute_batch("create table items (id integer primary key); insert into items values (1), (2)")?;
        let document = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{}\" }}\n  lake: {{ type: local, path: \"{}\" }}\n\
             pipelines:\n  items:\n    data-plane: cloud\n    from: shop\n    to: lake\n    streams:\n      items: {{ load: full }}\n",
            source.display(),
            lake.display()
        );
        self.sandbox.apply(&document).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_started_on_a_data_plane_that_nobody_checked() -> Result<()> {
    let story = Story::start().await?;
    story.granted().await?;
    story.pipeline().await?;
    let run = story.sandbox.trigger("items").await?;
    let ended = story.sandbox.ended(run).await?;
    let failure = ended.run.failure.context("a failure")?;
    assert_eq!(failure.code, FailureCode::DataPlaneUnchecked);
    assert!(story.aws.calls("AssumeRole").is_empty() && story.aws.tasks().is_empty());
    Ok(())
}

/// The events of a run whose real worker the cloud starts. Law 7: that task has keys from another address than the cloud's
/// own, and no guard of its role, so it may do nothing once it was let in.
pub(super) async fn refused_by_its_guard(
    story: &Story,
    (settings, worker): (AwsEcsSettings, Program),
) -> Result<Vec<RunEvent>> {
    let plane = story.granted_as(settings).await?;
    assert!(story.check(&plane).await?.ready);
    story.aws.run_as(worker);
    story.pipeline().await?;
    let run = story.sandbox.trigger("items").await?;
    let ended = story.sandbox.ended(run).await?;
    assert_eq!(ended.run.failure.context("a failure")?.code, FailureCode::PolicyDenied);
    Ok(story.sandbox.client.run_events(run, &EventQuery::default()).await?.items)
}

/// The worker is a real one, started by the scripted cloud with the keys of its task. It is let in by its role, as the
/// task that was started; then its own guard refuses the plan, as it must where no true cloud stands behind the keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_worker_enrols_from_the_cloud_by_its_tasks_role() -> Result<()> {
    let story = Story::start().await?;
    let seen = refused_by_its_guard(&story, (settings(), worker())).await?;
    let at =
        |code: &str| seen.iter().position(|event| event.code == code).with_context(|| format!("{code}: {seen:#?}"));
    assert!(at("launching")? < at("task_started")? && at("enrolled")? < at("role_proven")?);
    let proven = &seen[at("role_proven")?];
    assert!(proven.text.contains("as the task that was started"), "{}", proven.text);
    // The orchestrator asks as well who it is itself.
    let own = story.aws.orchestrator_key().arn;
    let asked: Vec<_> = story.aws.calls("GetCallerIdentity").into_iter().filter(|call| call.by != own).collect();
    assert!(asked[0].by.ends_with(&story.aws.tasks()[0].id), "{}", asked[0].by);
    Ok(())
}

/// A gateway ends the API's TLS with a certificate of a private CA: what the task signs names that CA.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_behind_a_gateway_with_a_private_ca_proves_its_role() -> Result<()> {
    let gateway = Gateway::start().await;
    let story = Story::start_with(gateway.settings()).await?;
    gateway.leads_to(&story.sandbox);
    let seen = refused_by_its_guard(&story, (settings(), worker())).await?;
    let codes: Vec<&str> = seen.iter().map(|event| event.code.as_str()).collect();
    assert!(codes.contains(&"role_proven") && !codes.contains(&"proof_refused"), "{codes:?}\n{}", story.sandbox.log());
    assert!(gateway.passed() > 0, "the task came by another way");
    Ok(())
}

/// A thief who read the ticket in DescribeTasks and starts a worker with it elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn t04_a_worker_with_a_stolen_ticket_and_another_role_is_refused() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    assert!(story.check(&plane).await?.ready);
    story.aws.give_tasks("arn:aws:iam::333333333333:role/waybill-worker");
    story.aws.run_as(worker());
    story.pipeline().await?;
    let run = story.sandbox.trigger("items").await?;
    let refused = async |wanted: &str| {
        let seen = story.sandbox.client.run_events(run, &EventQuery::default()).await;
        seen.is_ok_and(|page| page.items.iter().any(|event| event.code == wanted))
    };
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while !refused("proof_refused").await {
        assert!(std::time::Instant::now() < until, "{}", story.sandbox.log());
        tokio::time::sleep(Duration::from_millis(50)).await; // a poll of the public API, bounded above
    }
    assert!(!refused("enrolled").await, "nobody was let in");
    assert!(story.sandbox.log().contains("ALARM"), "{}", story.sandbox.log());
    Ok(())
}

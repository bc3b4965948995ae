//! What a customer is told to attach: over REST and by the command line, with the orchestrator's own name in it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use waybill_api::client::{ClientError, PolicyQuery};
use waybill_api::data_plane::{DataPlane, DataPlanePolicy, DataPlaneUpdate};
use waybill_tests::aws::Fault;

use super::planes::{Story, code, settings};

/// The scripted cloud's orchestrator.
const ORCHESTRATOR: &str = "arn:aws:iam::111111111111:user/waybill";

impl Story {
    async fn policy(
        &self,
        plane: &DataPlane,
        document: &str,
        execution_role: Option<&str>,
    ) -> Result<DataPlanePolicy, ClientError> {
        let execution_role = execution_role.map(str::to_owned);
        let query = PolicyQuery { document: Some(document.into()), execution_role };
        self.sandbox.client.data_plane_policy(plane.id, &query).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_is_told_whom_to_trust_and_gets_both_policies_ready_to_attach() -> Result<()> {
    let story = Story::start().await?;
    let client = &story.sandbox.client;
    let made = client.data_plane_create(&Story::create(None)).await?;
    assert_eq!(made.orchestrator_principal_arn.as_deref(), Some(ORCHESTRATOR));
    let id = made.external_id.clone().context("an external id")?;

    // Whom to trust is known before anything else is.
    let trust = story.policy(&made, "trust", None).await?;
    assert_eq!((trust.role_arn.as_ref(), trust.launch.as_ref()), (None, None));
    let text: Value = serde_json::from_str(&trust.trust.context("a trust policy")?)?;
    let statement = &text["Statement"][0];
    assert_eq!(statement["Principal"]["AWS"], ORCHESTRATOR);
    assert_eq!(statement["Condition"]["StringEquals"]["sts:ExternalId"], id.as_str());
    for document in ["launch", "all"] {
        let refused = story.policy(&made, document, Some("waybill-execution")).await.expect_err("no settings yet");
        assert_eq!(code(&refused), "unusable");
        let next = refused.problem().and_then(|problem| problem.next.clone()).context("a next step")?;
        assert!(next.contains("waybill data-plane set cloud"), "{next}");
    }

    let etag = client.data_plane_get(made.id).await?.etag;
    let update = DataPlaneUpdate { settings: None, aws_ecs: Some(settings()) };
    client.data_plane_update(made.id, &etag, &update).await?;
    for wrong in [None, Some("arn:aws:iam::333333333333:role/execution"), Some("waybill-launch"), Some("*")] {
        let refused = story.policy(&made, "launch", wrong).await.expect_err("refused");
        let problem = refused.problem().context("a problem")?;
        assert_eq!((problem.status, problem.code.as_str()), (400, "parameter_invalid"), "{wrong:?}");
        assert_eq!(problem.errors[0].pointer.as_deref(), Some("execution_role"));
        assert!(problem.next.as_ref().is_some_and(|next| next.contains("--execution-role")), "{problem:?}");
    }
    let refused = story.policy(&made, "task", Some("waybill-execution")).await.expect_err("refused");
    assert_eq!(code(&refused), "parameter_invalid");

    let both = story.policy(&made, "all", Some("waybill-execution")).await?;
    assert_eq!(both.role_arn, Some(settings().role_arn));
    let launch = both.launch.context("a launch policy")?;
    let names =
        ["cluster/waybill\"", "task-definition/waybill-worker:*", "role/waybill-worker\"", "role/waybill-execution\""];
    assert!(names.iter().all(|name| launch.contains(name)), "{launch}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_document_is_printed_bare_so_that_it_can_be_piped_and_errors_name_the_flag() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    let both = story.policy(&plane, "all", Some("waybill-execution")).await?;
    let policy = ["data-plane", "policy", "cloud"];
    for (document, text) in [("trust", both.trust), ("launch", both.launch)] {
        for form in ["json", "table"] {
            let words = [&policy[..], &["--document", document, "--execution-role", "waybill-execution", "-o", form]];
            let printed = story.sandbox.cli(&words.concat())?;
            assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
            assert_eq!(Some(String::from_utf8(printed.stdout)?), text, "{document} as {form}");
        }
    }
    let all = story.sandbox.cli(&[&policy[..], &["--execution-role", "waybill-execution", "-o", "json"]].concat())?;
    let all: Value = serde_json::from_slice(&all.stdout)?;
    assert!(all["format"] == "waybill/v1" && all["trust"].is_string() && all["launch"].is_string(), "{all}");
    let people = story.sandbox.cli(&[&policy[..], &["--execution-role", "waybill-execution"]].concat())?;
    let people = String::from_utf8(people.stdout)?;
    assert!(people.contains("# Who may assume arn:aws:iam::222222222222:role/waybill-launch"), "{people}");

    let refused = story.sandbox.cli(&[&policy[..], &["--document", "launch"]].concat())?;
    let told = String::from_utf8(refused.stderr)?;
    assert!(refused.stdout.is_empty() && told.contains("--execution-role"), "{told}");
    let refused = story.sandbox.cli(&["data-plane", "policy", "local"])?;
    assert!(!refused.status.success() && String::from_utf8(refused.stderr)?.contains("needs no role in your cloud"));

    let shown = String::from_utf8(story.sandbox.cli(&["data-plane", "show", "cloud"])?.stdout)?;
    assert!(shown.contains(ORCHESTRATOR), "{shown}");
    let listed = story.sandbox.cli(&["data-plane", "list"])?;
    assert!(String::from_utf8(listed.stderr)?.contains(ORCHESTRATOR));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sts_that_says_nothing_holds_nobody_up_and_its_reason_stands_where_the_name_would() -> Result<()> {
    let story = Story::start().await?;
    story.aws.fault("GetCallerIdentity", Fault::Silence, 1_000);
    let before = Instant::now();
    let made = story.sandbox.client.data_plane_create(&Story::create(None)).await?;
    let listed = story.sandbox.client.data_plane_list(&Default::default()).await?;
    assert!(before.elapsed() < Duration::from_secs(8), "{:?}", before.elapsed());
    assert!(story.aws.fired("GetCallerIdentity") > 0, "the fault fired");
    let of = |plane: &DataPlane| plane.orchestrator_principal_missing.clone().unwrap_or_default();
    assert!(made.orchestrator_principal_arn.is_none() && of(&made).contains("look again"), "{made:?}");
    let cloud = listed.items.iter().find(|plane| plane.name == "cloud").context("the data plane")?;
    assert!(of(cloud).contains("look again"), "{cloud:?}");
    let process = listed.items.iter().find(|plane| plane.kind == "process").context("the local one")?;
    assert_eq!((process.orchestrator_principal_arn.as_ref(), of(process).as_str()), (None, ""));
    let refused = story.policy(&made, "trust", None).await.expect_err("not known");
    assert_eq!(refused.problem().context("a problem")?.status, 503);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_without_a_role_says_so_and_one_that_is_told_its_name_asks_nobody() -> Result<()> {
    let none = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| (name.to_owned(), String::new()));
    let story = Story::start_with(none.to_vec()).await?;
    let made = story.sandbox.client.data_plane_create(&Story::create(None)).await?;
    let why = made.orchestrator_principal_missing.context("a reason")?;
    assert!(why.contains("no AWS credentials") && why.contains("aws.principal-arn"), "{why}");
    let refused = story.sandbox.client.data_plane_policy(made.id, &PolicyQuery::default()).await.expect_err("refused");
    assert_eq!(code(&refused), "unusable");

    let given = "arn:aws-cn:iam::111111111111:role/teams/data/waybill";
    let settings_of = vec![("WAYBILL__AWS__PRINCIPAL_ARN".to_owned(), given.to_owned())];
    let story = Story::start_with(settings_of).await?;
    let plane = story.granted().await?;
    assert_eq!(plane.orchestrator_principal_arn.as_deref(), Some(given));
    assert!(story.aws.calls("GetCallerIdentity").is_empty());
    // A role of one partition can't be assumed from another.
    let refused = story.policy(&plane, "trust", None).await.expect_err("another partition");
    assert!(code(&refused) == "unusable" && format!("{refused:?}").contains("partition aws"), "{refused:?}");
    Ok(())
}

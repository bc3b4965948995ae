//! The processor of a task: RunTask can't name one, so each has a family of its own, which pipelines choose by their limits.

use anyhow::{Context, Result};
use waybill_api::client::EventQuery;
use waybill_api::data_plane::{AwsEcsSettings, DataPlane, DataPlaneUpdate};
use waybill_api::problem::Problem;
use waybill_api::spec::SpecApply;
use waybill_model::FailureCode;
use waybill_tests::aws::{Aws, Program};

use super::planes::{Story, found, settings};
use crate::loops::fixture::until;

impl Story {
    /// Gives the data plane a family for ARM, or takes it away.
    async fn families(&self, plane: &DataPlane, other: Option<&str>) -> Result<DataPlane> {
        let client = &self.sandbox.client;
        let held = client.data_plane_get(plane.id).await?;
        let aws_ecs = Some(AwsEcsSettings { other_task_family: other.map(str::to_owned), ..settings() });
        Ok(client.data_plane_update(plane.id, &held.etag, &DataPlaneUpdate { settings: None, aws_ecs }).await?)
    }

    /// Applies a pipeline of this name for each processor, or only says what would be; the problem, where it is refused.
    async fn two_processors(&self, dry: bool) -> Result<Option<Problem>> {
        let pipeline = |name: &str, limits: &str| {
            format!(
                "  {name}:\n    data-plane: cloud\n    from: shop\n    to: lake\n    streams:\n      {name}: {{ load: full }}\n{limits}"
            )
        };
        let document = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: /shop.db }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n{}{}{}",
            self.sandbox.path("lake").display(),
            pipeline("any", ""),
            pipeline("intel", "    limits: { architecture: x86_64 }\n"),
            pipeline("arm", "    limits: { architecture: arm64 }\n"),
        );
        let body = SpecApply {
            project_id: self.sandbox.project,
            document,
            prune: false,
            expect: None,
            secrets: std::collections::BTreeMap::new(),
            signatures: Vec::new(),
        };
        match self.sandbox.client.spec_apply(&body, dry).await {
            Ok(_) => Ok(None),
            Err(error) => Ok(Some(error.problem().context("a problem")?.clone())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_runs_on_the_processor_that_it_asks_for() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    let plane = story.families(&plane, Some(Aws::ARM_FAMILY)).await?;
    story.aws.change_role(&Aws::launch_role(), |role| role.families.push(Aws::ARM_FAMILY.into()));
    assert!(story.check(&plane).await?.ready);
    assert_eq!(story.two_processors(false).await?, None);
    story.aws.run_as(Program::Nothing);
    for (at, (pipeline, family)) in
        [("any", "waybill-worker"), ("intel", "waybill-worker"), ("arm", Aws::ARM_FAMILY)].into_iter().enumerate()
    {
        let run = story.sandbox.trigger(pipeline).await?;
        story.sandbox.until(run, |seen| seen.attempt_list.iter().any(|attempt| attempt.task.is_some())).await?;
        let tasks = story.aws.tasks();
        assert_eq!((tasks.len(), tasks[at].family.as_str()), (at + 1, family), "{pipeline}");
    }
    // Tasks that nobody waits for are searched in each of the families.
    until("both families are listed", async || {
        let listed = story.aws.calls("ListTasks");
        let of = |family: &str| listed.iter().any(|call| call.body.contains(&format!("\"{family}\"")));
        of("waybill-worker") && of(Aws::ARM_FAMILY)
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_processor_without_a_family_is_refused_when_it_is_applied_and_at_the_launch() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    for dry in [true, false] {
        let problem = story.two_processors(dry).await?.context("refused")?;
        assert_eq!((problem.status, problem.code.as_str()), (422, "spec_invalid"), "{problem:?}");
        let error = &problem.errors[0];
        assert_eq!(error.pointer.as_deref(), Some("pipelines.arm.limits.architecture"));
        let told = "the data plane cloud has no task family for arm64";
        assert!(error.message.contains(told) && error.message.contains("--other-task-family"), "{error:?}");
    }
    story.families(&plane, Some(Aws::ARM_FAMILY)).await?;
    assert!(story.check(&plane).await?.ready);
    assert_eq!(story.two_processors(false).await?, None);
    // The family is taken away behind the pipeline's back.
    story.families(&plane, None).await?;
    let run = story.sandbox.trigger("arm").await?;
    let ended = story.sandbox.ended(run).await?;
    assert_eq!(ended.run.failure.context("a failure")?.code, FailureCode::LaunchRefused);
    let told = story.sandbox.client.run_events(run, &EventQuery::default()).await?.items;
    let event = told.iter().find(|event| event.code == "task_refused").context("the reason")?;
    assert_eq!(event.text, "nothing was started: limits.architecture: there is no task family for arm64");
    assert_eq!(event.level, "error");
    assert!(story.aws.tasks().is_empty(), "nothing was launched");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_has_its_rows_for_each_family() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    let plane = story.families(&plane, Some(Aws::ARM_FAMILY)).await?;
    let check = story.check(&plane).await?;
    assert_eq!(found(&check, "ecs:RunTask"), ["narrow", "narrow", "narrow", "not_tested", "not_tested"]);
    let arm = "arn:aws:ecs:eu-central-1:222222222222:task-definition/waybill-worker-arm64";
    let row = check.rows.iter().find(|row| row.resource == arm).context("a row for the second family")?;
    let statement = row.statement.clone().context("what there must be")?;
    assert!(statement.contains(&format!("{arm}:*")) && statement.contains("/waybill-worker:*"), "{statement}");
    // A grant that lets the second family alone be started anywhere is seen too.
    story.aws.change_role(&Aws::launch_role(), |role| {
        (role.cluster, role.families) = ("*".into(), vec![Aws::ARM_FAMILY.into()]);
    });
    let check = story.check(&plane).await?;
    assert_eq!(found(&check, "ecs:RunTask"), ["narrow", "narrow", "too_much", "not_tested", "not_tested"]);
    assert!(story.aws.tasks().is_empty(), "nothing was started");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_architecture_that_is_none_and_a_family_that_is_both_are_refused_by_name() -> Result<()> {
    let story = Story::start().await?;
    let family = Some(settings().task_family);
    for (field, wrong) in [
        ("/aws_ecs/architecture", AwsEcsSettings { architecture: "ARM64".into(), ..settings() }),
        ("/aws_ecs/other_task_family", AwsEcsSettings { other_task_family: family, ..settings() }),
    ] {
        let refused = story.sandbox.client.data_plane_create(&Story::create(Some(wrong))).await;
        let error = refused.err().context("refused")?;
        let problem = error.problem().context("a problem")?;
        assert_eq!(problem.errors[0].pointer.as_deref(), Some(field), "{problem:?}");
    }
    Ok(())
}

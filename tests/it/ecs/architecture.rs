//! What a pipeline asks of its task by its limits: a processor, which RunTask can't name, so that each has a family of its own, and
//! a disk, which tasks on instances have none of.

use anyhow::{Context, Result};
use waybill_api::client::EventQuery;
use waybill_api::data_plane::{AwsEcsSettings, DataPlane, DataPlaneUpdate};
use waybill_api::problem::Problem;
use waybill_api::spec::SpecApply;
use waybill_launcher::ecs::place::EC2_OPT_IN;
use waybill_model::FailureCode;
use waybill_tests::aws::{Aws, Program};

use super::planes::{Story, found, settings};
use crate::loops::fixture::until;

impl Story {
    /// Gives the data plane a family for ARM, or takes it away.
    async fn families(&self, plane: &DataPlane, other: Option<&str>) -> Result<DataPlane> {
        self.changed(plane, AwsEcsSettings { other_task_family: other.map(str::to_owned), ..settings() }).await
    }

    /// The data plane with these settings.
    async fn changed(&self, plane: &DataPlane, settings: AwsEcsSettings) -> Result<DataPlane> {
        let client = &self.sandbox.client;
        let held = client.data_plane_get(plane.id).await?;
        let update = DataPlaneUpdate { settings: None, aws_ecs: Some(settings) };
        Ok(client.data_plane_update(plane.id, &held.etag, &update).await?)
    }

    /// Applies a pipeline of this name for each processor, or only says what would be; the problem, where it is refused.
    async fn two_processors(&self, dry: bool) -> Result<Option<Problem>> {
        let wishes = [("any", ""), ("intel", "architecture: x86_64"), ("arm", "architecture: arm64")];
        self.limited(&wishes, dry).await
    }

    /// The same for pipelines with these limits.
    async fn limited(&self, pipelines: &[(&str, &str)], dry: bool) -> Result<Option<Problem>> {
        let pipeline = |(name, limits): &(&str, &str)| {
            format!(
                "  {name}:\n    data-plane: cloud\n    from: shop\n    to: lake\n    streams:\n      {name}: {{ load: full }}\n    limits: {{ {limits} }}\n"
            )
        };
        let document = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: /shop.db }}\n  lake: {{ type: local, path: \"{}\" }}\npipelines:\n{}",
            self.sandbox.path("lake").display(),
            pipelines.iter().map(pipeline).collect::<String>(),
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

    /// Why the launch of a pipeline's run was refused, once that ended it.
    async fn refused_at_the_launch(&self, pipeline: &str) -> Result<String> {
        let run = self.sandbox.trigger(pipeline).await?;
        let ended = self.sandbox.ended(run).await?;
        assert_eq!(ended.run.failure.context("a failure")?.code, FailureCode::LaunchRefused);
        let told = self.sandbox.client.run_events(run, &EventQuery::default()).await?.items;
        let event = told.into_iter().find(|event| event.code == "task_refused").context("the reason")?;
        assert_eq!(event.level, "error");
        assert!(self.aws.tasks().is_empty(), "nothing was launched");
        Ok(event.text)
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
    let told = story.refused_at_the_launch("arm").await?;
    assert_eq!(told, "nothing was started: limits.architecture: there is no task family for arm64");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_on_instances_is_refused_when_it_is_applied_and_at_the_launch() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    let ec2 = AwsEcsSettings { capacity: "ec2".into(), ec2_opt_in: Some(EC2_OPT_IN.into()), ..settings() };
    story.changed(&plane, ec2.clone()).await?;
    let wish = [("big", "disk: 50GiB")];
    for dry in [true, false] {
        let problem = story.limited(&wish, dry).await?.context("refused")?;
        assert_eq!((problem.status, problem.code.as_str()), (422, "spec_invalid"), "{problem:?}");
        let error = &problem.errors[0];
        assert_eq!(error.pointer.as_deref(), Some("pipelines.big.limits.disk"));
        assert!(error.message.contains("on EC2 a task has the disk of its host"), "{error:?}");
    }
    let plane = story.changed(&plane, settings()).await?;
    assert!(story.check(&plane).await?.ready);
    assert_eq!(story.limited(&wish, false).await?, None);
    // The data plane moves to instances behind the pipeline's back.
    story.changed(&plane, ec2).await?;
    let told = story.refused_at_the_launch("big").await?;
    assert_eq!(told, "nothing was started: limits.disk: on EC2 a task has the disk of its host: leave it out");
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

//! Regions that a project allows: held against data plane, bucket and secrets when something is applied, and again at launch.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::json;
use waybill_api::client::{EventQuery, ListQuery};
use waybill_api::connection::{ConnectionCreate, ConnectionUpdate};
use waybill_api::data_plane::{DataPlaneUpdate, ProcessSettings};
use waybill_api::organization::{Project, ProjectUpdate};
use waybill_api::problem::Problem;
use waybill_api::spec::SpecApply;
use waybill_model::FailureCode;
use waybill_tests::aws::Program;

use super::planes::{Story, code};

const SECRET: &str = "aws-sm://arn:aws:secretsmanager:REGION:222222222222:secret:shop-AbCdEf";

impl Story {
    async fn allow(&self, regions: &[&str]) -> Result<Project> {
        let client = &self.sandbox.client;
        let held = client.project_get(self.sandbox.project).await?;
        let allowed_regions = Some(regions.iter().map(|region| (*region).to_owned()).collect());
        let body = ProjectUpdate { name: None, allowed_regions };
        Ok(client.project_update(held.value.id, &held.etag, &body).await?)
    }

    /// Says where the workers of a data plane run.
    async fn place(&self, plane: &str, region: &str) -> Result<()> {
        let client = &self.sandbox.client;
        let query = ListQuery { name: Some(plane.to_owned()), ..ListQuery::default() };
        let held = client.data_plane_get(client.data_plane_list(&query).await?.items[0].id).await?;
        let settings = Some(ProcessSettings { region: Some(region.to_owned()), ..held.value.settings });
        client.data_plane_update(held.value.id, &held.etag, &DataPlaneUpdate { settings, aws_ecs: None }).await?;
        Ok(())
    }

    /// Applies a pipeline with these three; the problem, where it is refused.
    async fn applied(&self, plane: &str, bucket: &str, secret: &str) -> Result<Option<Problem>> {
        let document = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: postgres, host: db.internal.example, database: d, user: u, password: \"{}\" }}\n  \
             lake: {{ type: s3, bucket: example-lake{bucket} }}\n\
             pipelines:\n  items:\n    data-plane: {plane}\n    from: shop\n    to: lake\n    streams:\n      items: {{ load: full }}\n",
            SECRET.replace("REGION", secret)
        );
        let body = SpecApply {
            project_id: self.sandbox.project,
            document,
            prune: false,
            expect: None,
            secrets: BTreeMap::new(),
            signatures: Vec::new(),
        };
        match self.sandbox.client.spec_apply(&body, false).await {
            Ok(_) => Ok(None),
            Err(error) => Ok(Some(error.problem().context("a problem")?.clone())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_no_allowed_region_is_not_applied_and_each_field_is_named() -> Result<()> {
    let story = Story::start().await?;
    story.granted().await?;
    assert_eq!(story.allow(&["eu-central-1", "eu-central-1"]).await?.allowed_regions, ["eu-central-1"]);
    for (plane, bucket, secret, wrong) in [
        ("cloud", ", region: us-east-1", "eu-central-1", vec![("connections.lake.region", "us-east-1")]),
        ("cloud", "", "eu-central-1", vec![("connections.lake.region", "no region")]),
        ("cloud", ", region: eu-central-1", "us-west-2", vec![("connections.shop.password", "us-west-2")]),
        ("local", ", region: eu-central-1", "eu-central-1", vec![("data-planes.local.region", "no region")]),
        (
            "local",
            ", region: us-east-1",
            "us-west-2",
            vec![
                ("connections.lake.region", "us-east-1"),
                ("connections.shop.password", "us-west-2"),
                ("data-planes.local.region", "no region"),
            ],
        ),
    ] {
        let problem = story.applied(plane, bucket, secret).await?.context("refused")?;
        assert_eq!((problem.status, problem.code.as_str()), (422, "region_not_allowed"), "{problem:?}");
        let told: Vec<_> =
            problem.errors.iter().map(|it| (it.pointer.as_deref().unwrap_or_default(), &it.message)).collect();
        assert_eq!(told.len(), wrong.len(), "{told:?}");
        for ((field, region), (pointer, message)) in wrong.iter().zip(&told) {
            assert!(pointer == field && message.contains(region) && message.contains("eu-central-1"), "{told:?}");
        }
        let next = problem.next.as_deref().unwrap_or_default();
        let commands = [
            ("connections.lake.region", "no region", "write the bucket's `region`"),
            ("data-planes.local.region", "no region", "waybill data-plane region local REGION"),
            ("connections.lake.region", "us-east-1", "--allow-region eu-central-1 --allow-region us-east-1"),
        ];
        for (field, region, command) in commands {
            assert!(!wrong.contains(&(field, region)) || next.contains(command), "{field}: {next}");
        }
    }
    assert_eq!(story.applied("cloud", ", region: eu-central-1", "eu-central-1").await?, None);
    story.place("local", "eu-central-1").await?;
    assert_eq!(story.applied("local", ", region: eu-central-1", "eu-central-1").await?, None, "it says where it is");
    story.allow(&[]).await?;
    assert_eq!(story.applied("local", "", "us-east-1").await?, None, "an empty list allows any");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_region_is_not_allowed_any_more_is_not_launched_and_says_which_field() -> Result<()> {
    let story = Story::start().await?;
    let plane = story.granted().await?;
    assert!(story.check(&plane).await?.ready);
    story.aws.run_as(Program::Nothing);
    assert_eq!(story.applied("cloud", ", region: us-east-1", "eu-central-1").await?, None);
    for (allowed, field, region) in [
        ("eu-central-1", "connections.lake.region", "us-east-1"),
        ("us-east-1", "data-planes.cloud.region", "eu-central-1"),
    ] {
        story.allow(&[allowed]).await?;
        let run = story.sandbox.trigger("items").await?;
        let ended = story.sandbox.ended(run).await?;
        assert_eq!(ended.run.failure.context("a failure")?.code, FailureCode::RegionNotAllowed);
        let told = story.sandbox.client.run_events(run, &EventQuery::default()).await?.items;
        let event = told.iter().find(|event| event.code == "region_refused").context("the reason")?;
        let text = &event.text;
        assert!(text.contains(field) && text.contains(region) && text.contains(allowed), "{text}");
        assert!(text.contains("waybill project set default --allow-region"), "{text}");
    }
    assert!(story.aws.tasks().is_empty(), "nothing was launched");
    story.allow(&["eu-central-1", "us-east-1"]).await?;
    let run = story.sandbox.trigger("items").await?;
    story.sandbox.until(run, |seen| seen.attempt_list.iter().any(|attempt| attempt.task.is_some())).await?;
    assert_eq!(story.aws.tasks().len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_alone_is_held_against_the_list_and_what_is_left_as_it_is_bars_nothing_else() -> Result<()> {
    let story = Story::start().await?;
    let client = &story.sandbox.client;
    let inbox = |region: &str| json!({ "type": "files", "url": "s3://example-inbox/in", "region": region });
    let new = |name: &str, system: serde_json::Value| ConnectionCreate {
        project_id: story.sandbox.project,
        name: name.into(),
        system,
    };
    let old = client.connection_create(&new("old", inbox("us-east-1"))).await?;
    story.allow(&["eu-central-1"]).await?;
    for (system, region) in [
        (inbox("us-west-2"), "us-west-2"),
        (json!({ "type": "files", "url": "s3://example-inbox/in" }), "no region"),
        (json!({ "type": "s3", "bucket": "example-lake" }), "no region"),
    ] {
        let refused = client.connection_create(&new("new", system.clone())).await.expect_err("refused");
        assert_eq!(code(&refused), "region_not_allowed", "{system}");
        let problem = refused.problem().context("a problem")?;
        assert!(problem.errors[0].message.contains(region), "{problem:?}");
    }
    client.connection_create(&new("new", inbox("eu-central-1"))).await?;
    let held = client.connection_get(old.id).await?;
    let moved = |region: &str| ConnectionUpdate { system: inbox(region), secrets: BTreeMap::new() };
    let refused = client.connection_update(old.id, &held.etag, &moved("us-west-2")).await.expect_err("refused");
    assert_eq!(code(&refused), "region_not_allowed");
    // `old` stands outside of the list by now: a document that does not name it is applied, one that does is not.
    let one = "waybill: 1\nconnections:\n  other: { type: local, path: /lake }\n";
    story.sandbox.apply(one).await?;
    let named = "waybill: 1\nconnections:\n  old: { type: files, url: \"s3://example-inbox/in\", region: us-east-1 }\n";
    assert!(story.sandbox.apply(named).await.is_err(), "it is named and stands outside");
    client.connection_update(old.id, &held.etag, &moved("eu-central-1")).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_what_can_be_no_region_is_refused_by_its_place_and_doubles_are_one() -> Result<()> {
    let story = Story::start().await?;
    let client = &story.sandbox.client;
    let held = client.project_get(story.sandbox.project).await?;
    let set = |regions: Vec<String>| ProjectUpdate { name: None, allowed_regions: Some(regions) };
    for bad in ["", "x", "EU", "eu central 1", "-eu", "eu\n", &"a".repeat(65)] {
        let body = set(vec!["eu-west-1".into(), bad.to_owned()]);
        let refused = client.project_update(held.value.id, &held.etag, &body).await.expect_err(bad);
        let problem = refused.problem().context("a problem")?;
        assert_eq!((problem.status, problem.errors[0].pointer.as_deref()), (422, Some("/allowed_regions/1")), "{bad}");
    }
    let many = (0..51).map(|number| format!("region-{number}")).collect();
    assert!(client.project_update(held.value.id, &held.etag, &set(many)).await.is_err());
    let twice = set(["eu-west-1", "eu-central-1", "eu-west-1"].map(str::to_owned).to_vec());
    let set = client.project_update(held.value.id, &held.etag, &twice).await?;
    assert_eq!(
        (set.name, set.allowed_regions),
        (held.value.name, ["eu-central-1", "eu-west-1"].map(str::to_owned).to_vec())
    );
    Ok(())
}

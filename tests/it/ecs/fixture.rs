//! A control plane whose pipeline runs in the scripted cloud.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use waybill_launcher::ecs::{Cloud, CloudOptions, EcsPlace, EcsSettings};
use waybill_model::{DataPlaneId, PipelineId, RunId};
use waybill_orchestrator::loops::dispatch::Dispatcher;
use waybill_orchestrator::loops::launchers::Launchers;
use waybill_orchestrator::loops::reap::Reaper;
use waybill_orchestrator::service::bounds::Bounds;
use waybill_store::Store;
use waybill_tests::aws::{Aws, REGION};

use crate::loops::fixture::{Database, World, pipeline_on};

/// The external id of the data plane.
pub(super) const EXTERNAL_ID: &str = "wb-3f9c0d5e8a7b4c1d";

/// Bounds that no slow machine runs into by itself, and a cloud that is looked at in every round.
pub(super) fn bounds() -> Bounds {
    Bounds { reconcile_every: Duration::from_millis(10), ..crate::loops::fixture::bounds() }
}

/// Settings of the data plane.
pub(super) fn settings() -> EcsSettings {
    serde_json::from_value(serde_json::json!({
        "role_arn": Aws::launch_role(),
        "task_role_arn": Aws::task_role(),
        "region": REGION,
        "cluster": "waybill",
        "task_family": "waybill-worker",
        "subnets": ["subnet-0a1b2c3d4e5f60718"],
        "security_groups": ["sg-0a1b2c3d4e5f60718"],
    }))
    .expect("settings")
}

/// The data plane as the launcher knows it.
pub(super) fn place() -> EcsPlace {
    EcsPlace::new(settings(), EXTERNAL_ID).expect("a place")
}

/// The orchestrator's way to the scripted cloud.
pub(super) async fn cloud(aws: &Aws, tries: u32) -> Arc<Cloud> {
    Arc::new(open(aws, tries).await)
}

/// The same, before anybody shares it.
pub(super) async fn open(aws: &Aws, tries: u32) -> Cloud {
    let key = aws.orchestrator_key();
    let credentials = Credentials::new(key.id, key.secret, key.token, None, "test");
    let options = CloudOptions {
        ecs_endpoint: Some(aws.url()),
        sts_endpoint: Some(aws.url()),
        s3_endpoint: Some(aws.url()),
        tries,
        backoff: Duration::from_millis(5),
        patience: Duration::from_secs(20),
        principal: None,
    };
    Cloud::open_as(credentials, options).await
}

/// A cloud with the customer's grant.
pub(super) async fn granted() -> Aws {
    let aws = Aws::start().await;
    aws.grant(EXTERNAL_ID);
    aws
}

/// A world whose pipeline runs in the cloud; each call is made once.
pub(super) async fn world(aws: &Aws, bounds: Bounds) -> World {
    world_with(aws, bounds, &settings()).await
}

/// The same with these settings of the data plane.
pub(super) async fn world_with(aws: &Aws, bounds: Bounds, settings: &EcsSettings) -> World {
    let mut world = World::new(Database::sqlite(), bounds).await;
    let (plane, pipeline) = (DataPlaneId::generate(), PipelineId::generate());
    let json = serde_json::to_string(settings).expect("JSON");
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    Store::data_plane_insert_in_txn(&mut tx, world.org, plane, "cloud", ("aws-ecs", &json))
        .await
        .expect("a data plane");
    assert!(Store::data_plane_name_external_in_txn(&mut tx, world.org, plane, EXTERNAL_ID).await.expect("an id"));
    pipeline_on(&mut tx, (world.org, world.project, plane, pipeline), "in-the-cloud").await;
    tx.commit().await.expect("committed");
    let row = world.store.data_plane_get(world.org, plane).await.expect("readable").expect("the data plane");
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    assert!(Store::data_plane_trust_in_txn(&mut tx, &row, Some("enforced")).await.expect("kept"));
    tx.commit().await.expect("committed");
    (world.plane, world.pipeline) = (plane, pipeline);
    world.context.launchers = Arc::new(Launchers::default().with_aws(cloud(aws, 1).await));
    world.dispatcher = Dispatcher::new(world.context.clone());
    world.reaper = Reaper::new(world.context.clone());
    world.reap().await;
    world
}

/// Another orchestrator on the same database.
pub(super) fn another(world: &World) -> Dispatcher {
    let mut context = world.context.clone();
    context.holder = Arc::from("another process");
    Dispatcher::new(context)
}

/// Bodies of the timeline's events with this code.
pub(super) async fn bodies(world: &World, run: RunId, code: &str) -> Vec<serde_json::Value> {
    let events = world.store.run_event_list(world.org, run, 0, 1_000).await.expect("events");
    let of_code = events.iter().filter(|event| event.code == code);
    of_code.map(|event| serde_json::from_str(&event.body).expect("JSON")).collect()
}

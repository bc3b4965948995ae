//! Conditional requests, idempotency keys and documents.

use super::*;

#[tokio::test]
async fn a_change_needs_the_version_that_it_was_made_from() {
    let world = World::new().await;
    let path = format!("/v1/projects/{}", world.ours.project);
    let etag = world.get(&path).await.etag().to_owned();
    let rename = |name: &str| Some(json!({ "name": name }));
    let got = world.call(Method::PATCH, &path, rename("one")).await;
    assert_eq!((got.status, got.code()), (StatusCode::PRECONDITION_REQUIRED, "precondition_required"));
    let got = world.with(Method::PATCH, &path, &[("if-match", &etag)], rename("one")).await;
    assert_eq!((got.status, got.body["name"].as_str()), (StatusCode::OK, Some("one")));
    assert_ne!(got.etag(), etag);
    let got = world.with(Method::PATCH, &path, &[("if-match", &etag)], rename("two")).await;
    assert_eq!((got.status, got.code()), (StatusCode::PRECONDITION_FAILED, "precondition_failed"));
    assert!(got.body["detail"].as_str().is_some_and(|text| text.contains("last changed at")));
    let now = world.get(&path).await;
    let kept = world.with(Method::GET, &path, &[("if-none-match", now.etag())], None).await;
    assert_eq!((kept.status, kept.body), (StatusCode::NOT_MODIFIED, Value::Null));
}

#[tokio::test]
async fn a_repeated_request_gives_what_the_first_one_made() {
    let world = World::new().await;
    let key = [("idempotency-key", "k1")];
    let body = Some(json!({ "name": "staging" }));
    let first = world.with(Method::POST, "/v1/projects", &key, body.clone()).await;
    let second = world.with(Method::POST, "/v1/projects", &key, body.clone()).await;
    assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(first.body["id"], second.body["id"]);
    let other = world.with(Method::POST, "/v1/projects", &key, Some(json!({ "name": "prod" }))).await;
    assert_eq!((other.status, other.code()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch"));
    let without = world.call(Method::POST, "/v1/projects", body).await;
    assert_eq!((without.status, without.code()), (StatusCode::CONFLICT, "name_taken"));
    let audit = world.get("/v1/audit").await;
    let made = audit.body["items"].as_array().expect("entries").iter().filter(|e| e["action"] == "project_create");
    assert_eq!(made.count(), 1);
}

/// What is kept with a key lets nobody guess a first password: it does not depend on it.
#[tokio::test]
async fn a_password_is_no_part_of_what_a_repeat_is_told_by() {
    let world = World::new().await;
    let key = [("idempotency-key", "p1")];
    let body = |password: &str| Some(json!({ "email": "grace@example.org", "password": password }));
    let first = world.with(Method::POST, "/v1/users", &key, body("four words nobody guesses")).await;
    let second = world.with(Method::POST, "/v1/users", &key, body("other words nobody guesses")).await;
    assert_eq!(
        (first.status, second.status),
        (StatusCode::CREATED, StatusCode::CREATED),
        "{} {}",
        first.body,
        second.body
    );
    assert_eq!(first.body["id"], second.body["id"]);
}

#[tokio::test]
async fn the_same_request_twice_at_once_starts_one_run() {
    let world = World::new().await;
    let body = || Some(json!({ "pipeline_id": world.ours.pipeline }));
    let key = [("idempotency-key", "night-1")];
    let all = futures::future::join_all((0..8).map(|_| world.with(Method::POST, "/v1/runs", &key, body()))).await;
    let ids: std::collections::BTreeSet<String> = all.iter().map(|got| got.body["id"].to_string()).collect();
    assert!(
        all.iter().all(|got| got.status == StatusCode::CREATED),
        "{:?}",
        all.iter().map(|g| g.status).collect::<Vec<_>>()
    );
    assert_eq!(ids.len(), 1);
}

#[tokio::test]
async fn a_document_that_was_applied_changes_nothing_again() {
    let world = World::new().await;
    let project = world.ours.project;
    let text = document(world.dir.path());
    let again = world
        .call(Method::POST, "/v1/specs:apply?dry_run=true", Some(json!({ "project_id": project, "document": text })))
        .await;
    assert_eq!((again.status, &again.body["changes"]), (StatusCode::OK, &json!([])));
    let changed = text.replace("0 2 * * *", "0 3 * * *");
    let body = |expect: Option<&str>| Some(json!({ "project_id": project, "document": changed, "expect": expect }));
    let plan = world.call(Method::POST, "/v1/specs:apply?dry_run=true", body(None)).await;
    assert_eq!(plan.body["changes"].as_array().map(Vec::len), Some(1), "{}", plan.body);
    let digest = plan.body["plan_digest"].as_str().expect("a digest").to_owned();
    let other = world.call(Method::POST, "/v1/specs:apply", body(Some("00"))).await;
    assert_eq!(other.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(world.call(Method::POST, "/v1/specs:apply", body(Some(&digest))).await.status, StatusCode::OK);
    let schedule = world.get(&format!("/v1/pipelines/{}/schedule", world.ours.pipeline)).await;
    assert_eq!(schedule.body["cron"], "0 3 * * *");
    let empty = world.call(Method::POST, "/v1/specs:apply?dry_run=true", body(None)).await;
    assert_eq!(empty.body["changes"], json!([]));
}

#[tokio::test]
async fn a_changed_connection_gives_its_pipelines_a_new_version() {
    let world = World::new().await;
    let id = world.ours.ids.iter().find(|(name, _)| *name == "connection").map(|(_, id)| id.clone()).expect("an id");
    let path = format!("/v1/connections/{id}");
    let read = world.get(&path).await;
    let body = json!({ "system": { "type": "sqlite", "path": "/elsewhere/shop.db" } });
    let got = world.with(Method::PATCH, &path, &[("if-match", read.etag())], Some(body)).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    let versions = world.get(&format!("/v1/pipelines/{}/versions", world.ours.pipeline)).await;
    assert_eq!(versions.body["items"][0]["version"], 2);
    assert_eq!(versions.body["items"][0]["plan"]["from"]["system"]["path"], "/elsewhere/shop.db");
    let got = world.with(Method::DELETE, &path, &[("if-match", got.etag())], None).await;
    assert_eq!((got.status, got.code()), (StatusCode::CONFLICT, "in_use"));
}

#[tokio::test]
async fn a_connection_is_looked_at_as_a_pipeline_uses_it_or_else_alone() {
    let world = World::new().await;
    let look = async |id: &str, kind: &str| {
        let got = world.call(Method::POST, "/v1/runs", Some(json!({ "connection_id": id, "kind": kind }))).await;
        assert_eq!(got.status, StatusCode::CREATED, "{}", got.body);
        let run = got.body["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        let run = world.app.store.run_get(world.ours.caller.org, run).await.expect("a read").expect("a run");
        let plan: Value = serde_json::from_str(&run.plan).expect("a plan");
        (plan["from"]["connection"].clone(), plan["to"]["connection"].clone())
    };
    let used = world.ours.ids.iter().find(|(name, _)| *name == "connection").map(|(_, id)| id.clone()).expect("an id");
    assert_eq!(look(&used, "discover").await, (json!("shop"), json!("lake")));
    let body =
        json!({ "project_id": world.ours.project, "name": "alone", "system": { "type": "local", "path": "/x" } });
    let alone = world.call(Method::POST, "/v1/connections", Some(body)).await;
    let id = alone.body["id"].as_str().expect("an id");
    assert_eq!(look(id, "check").await, (json!("alone"), json!("alone")));
    let list = json!({ "connection_id": id, "kind": "discover" });
    let refused = world.call(Method::POST, "/v1/runs", Some(list)).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "unusable"), "{}", refused.body);
    assert!(
        refused.body["next"].as_str().is_some_and(|next| next.contains("connection check alone")),
        "{}",
        refused.body
    );
    let sync = json!({ "connection_id": used, "kind": "sync" });
    assert_eq!(world.call(Method::POST, "/v1/runs", Some(sync)).await.code(), "unusable");
}

/// Only a task in a cloud has CPUs and a disk of its own.
#[tokio::test]
async fn a_size_is_refused_where_workers_have_none_and_taken_where_tasks_have_one() {
    let world = World::new().await;
    let org = world.ours.caller.org;
    let mut tx = world.app.store.write_tx(org).await.expect("a transaction");
    for kind in ["agent", "aws-ecs"] {
        let id = DataPlaneId::generate();
        Store::data_plane_insert_in_txn(&mut tx, org, id, kind, (kind, "{}")).await.expect("a data plane");
    }
    tx.commit().await.expect("a commit");
    for (plane, limit, size) in [
        ("local", "cpu", "1"),
        ("local", "disk", "30GiB"),
        ("agent", "cpu", "0.5"),
        ("agent", "architecture", "arm64"),
        ("aws-ecs", "architecture", "arm64"),
        ("aws-ecs", "cpu", "1"),
    ] {
        let document =
            document(world.dir.path()) + &format!("    data-plane: {plane}\n    limits: {{ {limit}: {size} }}\n");
        let body = json!({ "project_id": world.ours.project, "document": document });
        for query in ["?dry_run=true", ""] {
            let got = world.call(Method::POST, &format!("/v1/specs:apply{query}"), Some(body.clone())).await;
            // Without settings it has no task family either.
            if (plane, limit) == ("aws-ecs", "cpu") {
                assert_eq!(got.status, StatusCode::OK, "{}", got.body);
                continue;
            }
            assert_eq!((got.status, got.code()), (StatusCode::UNPROCESSABLE_ENTITY, "spec_invalid"), "{plane} {limit}");
            let error = &got.body["errors"][0];
            assert_eq!(error["pointer"], format!("pipelines.nightly.limits.{limit}"), "{error}");
        }
    }
}

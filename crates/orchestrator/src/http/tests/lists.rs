//! Lists and streams show what is seen: a person of one project finds nothing of the other, on either database.

use super::*;

impl World {
    async fn items(&self, who: &Person, path: &str) -> Vec<Value> {
        let got = self.by(who, Method::GET, path, None).await;
        assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.body);
        got.body["items"].as_array().expect("items").clone()
    }

    /// An entry of the trail for each attempt of ours, and one for no run.
    async fn trail(&self, attempts: &[AttemptId]) {
        let data_plane: DataPlaneId = self.id("data_plane").parse().expect("an id");
        let now = Micros::now();
        let mut tx = self.app.store.write_tx(self.ours.caller.org).await.expect("a transaction");
        for attempt in attempts.iter().map(|id| Some(*id)).chain([None]) {
            let entry = waybill_store::NewTrailEntry {
                org: self.ours.caller.org,
                id: waybill_model::id::TrailId::generate(),
                data_plane,
                attempt,
                task: None,
                action: "ecs:RunTask".into(),
                role: "arn:aws:iam::222222222222:role/waybill".into(),
                session: "waybill-look".into(),
                region: "eu-west-1".into(),
                outcome: "ok".into(),
                calls: waybill_store::TrailCalls { count: 1, first_at: now, last_at: now, request_ids: Vec::new() },
            };
            Store::trail_insert_in_txn(&mut tx, &entry).await.expect("an entry");
        }
        tx.commit().await.expect("a commit");
    }
}

#[tokio::test]
async fn t19_every_list_shows_only_projects_that_the_caller_may_see() {
    for world in World::on_both().await {
        let (other, run) = world.second_project().await;
        let plane = world.id("data_plane").parse().expect("an id");
        let foreign = attempt_of(&world.app, (world.ours.caller.org, run, plane)).await;
        let own = world.id("attempt").parse().expect("an id");
        world.trail(&[own, foreign]).await;
        let viewer = world.join("member", &[(world.ours.project, "viewer")]).await;
        let administrator = world.join("administrator", &[]).await;
        let ours = world.ours.project.to_string();
        for (path, seen, all) in [
            ("/v1/projects", 1, 2),
            ("/v1/projects?name=second", 0, 1),
            ("/v1/projects?name=default", 1, 1),
            ("/v1/runs", 1, 2),
            ("/v1/trail", 1, 3),
        ] {
            assert_eq!(world.items(&viewer, path).await.len(), seen, "{path}");
            assert_eq!(world.items(&administrator, path).await.len(), all, "{path}");
            if path != "/v1/trail" {
                let counted = if path.contains('?') {
                    format!("{path}&count=estimate")
                } else {
                    format!("{path}?count=estimate")
                };
                assert_eq!(world.by(&viewer, Method::GET, &counted, None).await.body["count"]["value"], seen, "{path}");
            }
        }
        for path in ["/v1/runs", "/v1/runs?sort=started_at", "/v1/runs?kind=sync"] {
            let runs = world.items(&viewer, path).await;
            assert!(runs.iter().all(|run| run["project_id"] == ours) && runs.len() == 1, "{path}");
        }
        assert_eq!(world.items(&viewer, &format!("/v1/runs?project={other}")).await, [Value::Null; 0]);
        let by_default = ["/v1/pipelines", "/v1/connections"];
        for path in by_default {
            assert!(!world.items(&viewer, path).await.is_empty(), "{path}");
            let foreign = world.by(&viewer, Method::GET, &format!("{path}?project={other}"), None).await;
            let nobodys = format!("{path}?project=prj_01jd8m2v5k0000000000000009");
            let nobodys = world.by(&viewer, Method::GET, &nobodys, None).await;
            assert_eq!((foreign.status, foreign.code()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
            assert_eq!(foreign.body["detail"], nobodys.body["detail"], "{path}");
        }
        let topic = format!("/v1/events?topics=run:{run}");
        assert_eq!(world.by(&viewer, Method::GET, &topic, None).await.code(), "not_found");
        let elsewhere = world.join("member", &[(other, "owner")]).await;
        assert_eq!(world.by(&elsewhere, Method::GET, "/v1/pipelines", None).await.code(), "not_found", "`default`");
        assert_eq!(world.items(&elsewhere, "/v1/projects").await.len(), 1);
        let nowhere = world.join("member", &[]).await;
        for path in ["/v1/projects", "/v1/runs", "/v1/pipelines", "/v1/trail", "/v1/data-planes"] {
            assert_eq!(world.by(&nowhere, Method::GET, path, None).await.code(), "forbidden", "{path}");
        }
    }
}

/// What a body names is decided on where it is, whatever the caller may elsewhere.
#[tokio::test]
async fn t19_what_a_body_names_is_decided_on_in_its_own_project() {
    let world = World::new().await;
    let (other, _) = world.second_project().await;
    let id = |noun: &str| world.id(noun);
    let asked = |key: &str| {
        let connection =
            json!({ "project_id": world.ours.project, "name": "x", "system": { "type": "local", "path": "/x" } });
        let apply = json!({ "project_id": world.ours.project, "document": document(world.dir.path()) });
        [
            ("/v1/connections", connection),
            ("/v1/specs:apply", apply.clone()),
            ("/v1/specs:apply?dry_run=true", apply),
            ("/v1/runs", json!({ "connection_id": id("connection"), "kind": "check" })),
            ("/v1/runs", json!({ "pipeline_id": id("pipeline"), "reload": [key] })),
        ]
    };
    let owner_elsewhere = world.join("member", &[(other, "owner")]).await;
    let viewer_here = world.join("member", &[(other, "owner"), (world.ours.project, "viewer")]).await;
    let operator_here = world.join("member", &[(other, "owner"), (world.ours.project, "operator")]).await;
    for (path, body) in asked("orders") {
        let got = world.by(&owner_elsewhere, Method::POST, path, Some(body.clone())).await;
        assert_eq!((got.status, got.code()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
        let got = world.by(&viewer_here, Method::POST, path, Some(body.clone())).await;
        assert_eq!((got.status, got.code()), (StatusCode::FORBIDDEN, "forbidden"), "{path}");
        let detail = got.body["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with("the role viewer lacks "), "{path}: {detail}");
        let got = world.by(&operator_here, Method::POST, path, Some(body.clone())).await;
        let starts = path == "/v1/runs" && body["pipeline_id"].is_string();
        assert_eq!(
            got.status,
            if starts { StatusCode::CREATED } else { StatusCode::FORBIDDEN },
            "{path}: {}",
            got.body
        );
    }
    // A key of before gives nothing back to who may not any more.
    let body = json!({ "pipeline_id": id("pipeline") });
    let key = [("idempotency-key", "k1")];
    let send = async || {
        let request = request(Method::POST, "/v1/runs", Some(&operator_here.token), &key, Some(body.clone()));
        world.send(request).await
    };
    assert_eq!(send().await.status, StatusCode::CREATED);
    assert_eq!(send().await.status, StatusCode::CREATED);
    let path = format!("/v1/projects/{}/members/{}", world.ours.project, operator_here.id);
    let etag = world.get(&path).await.etag().to_owned();
    assert_eq!(world.with(Method::DELETE, &path, &[("if-match", &etag)], None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(send().await.code(), "not_found");
}

//! Who may come in: every operation, listed from the API description.

use super::*;
use crate::http::operation::Operation;
use crate::http::operations;

/// The only operations without a permission.
const OPEN: &[&str] = &["setup", "login", "refresh", "invitation_accept", "password_reset_use"];

/// A path with ids in it.
fn fill(operation: &Operation, ids: &[(&'static str, String)]) -> String {
    let mut path = operation.path.to_owned();
    for (name, id) in ids {
        path = path.replace(&format!("{{{name}}}"), id);
    }
    path
}

fn body_of(operation: &Operation) -> Option<Value> {
    operation.request.as_ref().map(|body| body.example.clone())
}

/// An answer without what differs from request to request.
fn without_request(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("instance");
        fields.remove("request_id");
    }
    body
}

#[test]
fn every_operation_declares_permission_problems_and_examples() {
    let all = operations();
    let mut ids: Vec<&str> = all.list.iter().map(|operation| operation.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all.list.len(), "operation ids are unique");
    for operation in &all.list {
        let id = operation.id;
        assert_eq!(operation.permission.is_none(), OPEN.contains(&id), "{id} has no permission");
        assert!(!operation.codes.is_empty() && !operation.summary.is_empty(), "{id}");
        let answer = &operation.answer;
        assert!(
            answer.0 == 204 || answer.1.as_ref().is_some_and(|body| body.example.is_object()),
            "{id} has no example"
        );
        let says_if_match = operation.parameters.iter().any(|parameter| parameter.name == "If-Match");
        assert_eq!(operation.codes.contains(&waybill_api::ProblemCode::PreconditionRequired), says_if_match, "{id}");
        if matches!(operation.method, Method::PATCH | Method::PUT) {
            assert!(operation.request.as_ref().is_some_and(|body| body.example.is_object()), "{id} has no body");
        }
    }
}

/// Every `action` of the `allowed_actions` in an example.
fn actions<'e>(example: &'e Value, found: &mut Vec<&'e str>) {
    if let Some(listed) = example.get("allowed_actions").and_then(Value::as_array) {
        found.extend(listed.iter().filter_map(|entry| entry["action"].as_str()));
    }
    match example {
        Value::Array(items) => items.iter().for_each(|item| actions(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| actions(field, found)),
        _ => {}
    }
}

#[test]
fn every_action_of_an_example_is_an_operation() {
    let all = operations();
    let ids: Vec<&str> = all.list.iter().map(|operation| operation.id).collect();
    let mut told = 0;
    for operation in &all.list {
        let mut found = Vec::new();
        operation.answer.1.iter().for_each(|body| actions(&body.example, &mut found));
        told += found.len();
        for action in found {
            assert!(ids.contains(&action), "{} tells of {action}", operation.id);
        }
    }
    assert!(told > 20, "{told} actions");
}

#[test]
fn the_committed_api_description_is_the_present_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
    if std::env::var_os("WAYBILL_BLESS").is_some() {
        std::fs::write(path, crate::openapi::text()).expect("write the description");
    }
    let committed = std::fs::read_to_string(path).expect("docs/reference/openapi.json");
    let hint = "run `waybill-orchestrator openapi > docs/reference/openapi.json`";
    assert!(committed == crate::openapi::text(), "{hint}");
    let read: Value = serde_json::from_str(&committed).expect("JSON");
    assert_eq!(read["openapi"], "3.1.0");
    let start = &read["paths"]["/v1/runs"]["post"];
    assert_eq!((start["operationId"].as_str(), start["x-permission"].as_str()), (Some("run_start"), Some("run:write")));
    assert!(start["x-problem-codes"].as_array().is_some_and(|codes| codes.contains(&json!("not_found"))));
}

#[tokio::test]
async fn nothing_but_the_closed_list_is_served_without_a_token() {
    let world = World::new().await;
    for operation in operations().list {
        let path = fill(&operation, &world.ours.ids);
        for token in [None, Some("x"), Some("")] {
            let sent = request(operation.method.clone(), &path, token, &[], body_of(&operation));
            let got = world.send(sent).await;
            if operation.permission.is_some() {
                assert_eq!((got.status, got.code()), (StatusCode::UNAUTHORIZED, "token_invalid"), "{}", operation.id);
            }
        }
    }
    let query = format!("/v1/whoami?access_token={}", world.ours.token);
    assert_eq!(world.send(request(Method::GET, &query, None, &[], None)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_role_without_rights_is_refused_everywhere() {
    let world = World::new().await;
    let nobody = world.join("guest", &[(world.ours.project, "owner")]).await;
    for operation in operations().list.iter().filter(|operation| operation.permission.is_some()) {
        let path = fill(operation, &world.ours.ids);
        let got = world.by(&nobody, operation.method.clone(), &path, body_of(operation)).await;
        let names_an_object = operation.path.contains('{');
        let expected = if names_an_object { (404, "not_found") } else { (403, "forbidden") };
        assert_eq!((got.status.as_u16(), got.code()), expected, "{}", operation.id);
    }
}

/// Every route that names an object, with another organization's id and with one of nobody: the same bytes.
#[tokio::test]
async fn t08_another_organizations_objects_do_not_exist() {
    for world in World::on_both().await {
        objects_do_not_exist(&world).await;
    }
}

async fn objects_do_not_exist(world: &World) {
    let (mut routes, mut found) = (0, 0);
    for operation in operations().list.iter().filter(|operation| operation.path.contains('{')) {
        routes += 1;
        let nobodys: Vec<(&'static str, String)> =
            world.theirs.ids.iter().map(|(name, id)| (*name, nobody(id))).collect();
        let mut answers = Vec::new();
        for ids in [&world.theirs.ids, &nobodys] {
            let path = fill(operation, ids);
            let headers = [("if-match", "\"1-0\"")];
            let sent = request(operation.method.clone(), &path, Some(&world.ours.token), &headers, body_of(operation));
            let got = world.send(sent).await;
            assert_eq!(got.status, StatusCode::NOT_FOUND, "{} {path}", operation.id);
            answers.push(without_request(got.body));
        }
        assert_eq!(answers[0], answers[1], "{}", operation.id);
        // One's own is found by the same path, or the answers above would say nothing.
        if operation.method == Method::GET && !operation.streams {
            let own = world.get(&fill(operation, &world.ours.ids)).await;
            // Some are of another kind or in another state: found all the same.
            let refused = [StatusCode::UNPROCESSABLE_ENTITY, StatusCode::CONFLICT];
            let is_found = own.status.is_success() || refused.contains(&own.status);
            assert!(is_found, "{}: {} {}", operation.id, own.status, own.body);
            found += 1;
        }
    }
    assert!(found > 10, "{found} own objects");
    assert!(routes > 20, "{routes} routes");
}

/// The same for ids in bodies, filters and topics.
#[tokio::test]
async fn t08_foreign_ids_in_bodies_filters_and_topics_find_nothing() {
    for world in World::on_both().await {
        foreign_ids_find_nothing(&world).await;
    }
}

async fn foreign_ids_find_nothing(world: &World) {
    let id = |name: &str| {
        world.theirs.ids.iter().find(|(known, _)| *known == name).map(|(_, id)| id.clone()).expect("an id")
    };
    let connection = json!({ "project_id": id("project"), "name": "x", "system": { "type": "local", "path": "/x" } });
    let apply = json!({ "project_id": id("project"), "document": document(world.dir.path()) });
    for (path, body) in [
        ("/v1/connections", connection),
        ("/v1/specs:apply", apply),
        ("/v1/runs", json!({ "pipeline_id": id("pipeline") })),
        ("/v1/runs", json!({ "connection_id": id("connection"), "kind": "check" })),
    ] {
        let got = world.call(Method::POST, path, Some(body)).await;
        assert_eq!((got.status, got.code()), (StatusCode::NOT_FOUND, "not_found"), "{path}");
    }
    for path in ["/v1/connections?project=", "/v1/pipelines?project="] {
        assert_eq!(world.get(&format!("{path}{}", id("project"))).await.code(), "not_found");
    }
    assert_eq!(world.get(&format!("/v1/events?topics=run:{}", id("run"))).await.code(), "not_found");
    let runs = world.get(&format!("/v1/runs?pipeline={}", id("pipeline"))).await;
    assert_eq!(runs.body["items"], json!([]));
    for path in
        ["/v1/users", "/v1/projects", "/v1/data-planes", "/v1/connections", "/v1/pipelines", "/v1/runs", "/v1/audit"]
    {
        let text = world.get(path).await.body.to_string();
        assert!(text.contains("items") && world.theirs.ids.iter().all(|(_, id)| !text.contains(id.as_str())), "{path}");
    }
}

/// The id of nobody that has the same prefix.
fn nobody(id: &str) -> String {
    let (prefix, _) = id.split_once('_').expect("a prefix");
    format!("{prefix}_01jd8m2v5k0000000000000009")
}

#[tokio::test]
async fn h7_ids_that_are_none_give_the_same_answer_as_foreign_ones() {
    let world = World::new().await;
    let foreign = without_request(world.get(&format!("/v1/runs/{}", world.theirs.run)).await.body);
    let upper = world.ours.run.to_string().to_uppercase();
    let long = format!("run_{}", "0".repeat(4_000));
    let digits = "run_%D9%A0%D9%A1%D9%A2";
    for id in [
        "x",
        "run_",
        &world.ours.pipeline.to_string(),
        &upper,
        &long,
        digits,
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "1%20OR%201=1",
    ] {
        let got = world.get(&format!("/v1/runs/{id}")).await;
        assert_eq!((got.status, without_request(got.body)), (StatusCode::NOT_FOUND, foreign.clone()), "{id}");
    }
    let got = world.call(Method::POST, "/v1/runs", Some(json!({ "pipeline_id": world.ours.run }))).await;
    assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, "body_invalid"));
}

#[tokio::test]
async fn every_answer_names_its_request_and_is_not_kept() {
    let world = World::new().await;
    let got = world.with(Method::GET, "/v1/whoami", &[("x-request-id", "mine-1")], None).await;
    assert_eq!(got.headers["x-request-id"], "mine-1");
    let got = world.with(Method::GET, "/v1/nothing", &[("x-request-id", "a b\"<x>")], None).await;
    assert!(got.headers["x-request-id"].to_str().is_ok_and(|id| id.starts_with("req_")));
    assert_eq!(got.headers["content-type"], "application/problem+json");
    assert_eq!(got.headers["cache-control"], "no-store");
    assert_eq!(got.body["instance"], "/v1/nothing");
    assert_eq!(world.call(Method::DELETE, "/v1/whoami", None).await.code(), "method_not_allowed");
}

#[tokio::test]
async fn a_database_that_is_away_is_told_with_a_time_to_come_back() {
    let world = World::new().await;
    world.app.store.close().await;
    let got = world.get("/v1/projects").await;
    assert_eq!((got.status, got.code()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert!(got.headers.contains_key("retry-after"));
}

//! Keys of services: what one may, when it stops, and that a wrong one says nothing.

use std::time::Duration;

use waybill_model::id::KeyId;
use waybill_model::role::ServiceRole;
use waybill_store::NewApiKey;

use super::*;
use crate::auth::key::Given;
use crate::http::operation::Operation;
use crate::http::operations;
use crate::role_table::{Cell, place_of};

/// A key as its maker gets it.
pub(super) struct Made {
    pub(super) id: KeyId,
    pub(super) text: String,
}

impl World {
    fn keys(&self) -> String {
        format!("/v1/projects/{}/keys", self.ours.project)
    }

    pub(super) fn wanted(&self, name: &str, role: &str) -> Value {
        let pipelines = if role == "api" { vec![self.ours.pipeline] } else { Vec::new() };
        json!({ "name": name, "role": role, "pipelines": pipelines, "days": 30 })
    }

    pub(super) async fn key(&self, by: &Person, body: Value) -> Made {
        let made = self.by(by, Method::POST, &self.keys(), Some(body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let text = made.body["secret"].as_str().expect("the key").to_owned();
        Made { id: made.body["key"]["id"].as_str().expect("an id").parse().expect("an id"), text }
    }

    pub(super) async fn with_key(&self, text: &str, method: Method, path: &str, body: Option<Value>) -> Got {
        self.send(request(method, path, Some(text), &[], body)).await
    }

    async fn reads(&self, text: &str) -> StatusCode {
        self.with_key(text, Method::GET, &format!("/v1/pipelines/{}", self.ours.pipeline), None).await.status
    }

    /// A request from this address.
    async fn from(&self, address: &str, text: &str) -> Got {
        let address: std::net::SocketAddr = format!("{address}:4000").parse().expect("an address");
        let path = format!("/v1/pipelines/{}", self.ours.pipeline);
        let mut request = request(Method::GET, &path, Some(text), &[], None);
        request.extensions_mut().insert(axum::extract::ConnectInfo(address));
        self.send(request).await
    }
}

fn plain(got: Got) -> (StatusCode, Value) {
    let mut body = got.body;
    let fields = body.as_object_mut().expect("a problem");
    fields.remove("request_id");
    fields.remove("instance");
    (got.status, body)
}

#[tokio::test]
async fn t19_a_key_never_may_more_than_its_maker_and_stops_with_the_next_request() {
    for world in World::on_both().await {
        let here = world.ours.project;
        let owner = world.join("owner", &[]).await;
        let admin = world.join("member", &[(here, "admin")]).await;
        let editor = world.join("member", &[(here, "editor")]).await;
        let refused = world.by(&editor, Method::POST, &world.keys(), Some(world.wanted("x", "viewer"))).await;
        assert_eq!(refused.code(), "forbidden");
        let key = world.key(&admin, world.wanted("ci", "editor")).await;
        let pause = async |paused: bool| {
            let path = format!("/v1/pipelines/{}", world.ours.pipeline);
            let etag = world.get(&path).await.etag().to_owned();
            let body = Some(json!({ "paused": paused }));
            world.send(request(Method::PATCH, &path, Some(&key.text), &[("if-match", &etag)], body)).await.status
        };
        assert_eq!((world.reads(&key.text).await, pause(true).await), (StatusCode::OK, StatusCode::OK));
        assert_eq!(pause(false).await, StatusCode::OK);
        // Its maker falls: so does the key, to the same rung.
        let member = format!("/v1/projects/{here}/members/{}", admin.id);
        let role = |role: &str| Some(json!({ "role": role }));
        world.change_by(&owner, Method::PATCH, &member, role("viewer")).await;
        assert_eq!((world.reads(&key.text).await, pause(true).await), (StatusCode::OK, StatusCode::FORBIDDEN));
        world.change_by(&owner, Method::DELETE, &member, None).await;
        assert_eq!(world.reads(&key.text).await, StatusCode::NOT_FOUND, "the project is not seen");
        let path = format!("/v1/projects/{here}/members");
        world.by(&owner, Method::POST, &path, Some(json!({ "email": admin.email, "role": "admin" }))).await;
        assert_eq!(pause(false).await, StatusCode::OK);
        // Disabled: it is refused like a wrong one.
        let user = format!("/v1/users/{}", admin.id);
        world.change_by(&owner, Method::PATCH, &user, Some(json!({ "disabled": true }))).await;
        assert_eq!(world.reads(&key.text).await, StatusCode::UNAUTHORIZED);
        assert_eq!(world.get(&format!("/v1/keys/{}", key.id)).await.body["state"], "suspended");
        world.change_by(&owner, Method::PATCH, &user, Some(json!({ "disabled": false }))).await;
        assert_eq!(world.reads(&key.text).await, StatusCode::OK);
        // Revoked: for good, and a name is free again.
        let taken = world.by(&owner, Method::POST, &world.keys(), Some(world.wanted("ci", "viewer"))).await;
        assert_eq!(taken.code(), "name_taken");
        let revoked = world.by(&owner, Method::POST, &format!("/v1/keys/{}/revoke", key.id), None).await;
        assert_eq!((revoked.status, &revoked.body["state"]), (StatusCode::OK, &json!("revoked")));
        assert_eq!(world.reads(&key.text).await, StatusCode::UNAUTHORIZED);
        world.key(&owner, world.wanted("ci", "viewer")).await;
        let audit = world.get("/v1/audit?limit=200").await.body;
        let by_key: Vec<&str> = audit["items"]
            .as_array()
            .expect("entries")
            .iter()
            .filter(|entry| entry["actor"] == key.id.to_string())
            .filter_map(|entry| entry["action"].as_str())
            .collect();
        assert!(by_key.contains(&"pipeline_pause") || by_key.contains(&"pipeline_update"), "{by_key:?}");
        assert!(by_key.contains(&"key_use"), "a good key that was refused: {by_key:?}");
        let text = audit.to_string();
        assert!(text.contains("key_create") && text.contains("key_revoke") && !text.contains(&key.text));
        assert!(world.app.store.audit_verify(world.ours.caller.org).await.expect("a read").is_ok());
    }
}

#[tokio::test]
async fn t16_whatever_is_wrong_with_a_key_the_answer_is_the_same_and_the_address_waits() {
    for world in World::on_both().await {
        let owner = world.join("owner", &[]).await;
        let narrow =
            json!({ "name": "desk", "role": "viewer", "networks": ["198.51.100.0/24", "2001:db8::/32"], "days": 1 });
        let office = world.key(&owner, narrow).await;
        assert_eq!(world.from("198.51.100.9", &office.text).await.status, StatusCode::OK);
        assert_eq!(world.from("[2001:db8::7]", &office.text).await.status, StatusCode::OK);
        let foreign = Given::make(KeyId::generate());
        let other = Given::make(office.id);
        let off = format!("{}0", &office.text[..office.text.len() - 1]);
        let off = if off == office.text { format!("{}1", &office.text[..office.text.len() - 1]) } else { off };
        let expired = Given::make(KeyId::generate());
        let mut tx = world.app.store.write_tx(world.ours.caller.org).await.expect("a transaction");
        let new = NewApiKey {
            org: world.ours.caller.org,
            id: expired.id,
            project: world.ours.project,
            name: "old".into(),
            role: "viewer",
            digest: expired.digest(),
            networks: String::new(),
            created_by: owner.id,
            life: Duration::ZERO,
        };
        Store::key_insert_in_txn(&mut tx, &new, &[]).await.expect("a key");
        tx.commit().await.expect("a commit");
        let bad = plain(world.from("203.0.113.1", "x.y.z").await);
        assert_eq!((bad.0, bad.1["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("token_invalid")));
        let wrong = [office.text.as_str(), foreign.reveal(), other.reveal(), &off, expired.reveal(), "wbk_", "wbk_x"];
        for (at, text) in wrong.iter().enumerate() {
            let got = plain(world.from(&format!("203.0.113.{}", at + 2), text).await);
            assert_eq!(got, bad, "wrong key {at}");
        }
        assert_eq!(
            world.reads(&office.text).await,
            StatusCode::UNAUTHORIZED,
            "an address that is not known is in no range"
        );
        for _ in 0..8 {
            world.from("203.0.113.99", foreign.reveal()).await;
        }
        let waits = world.from("203.0.113.99", foreign.reveal()).await;
        assert_eq!((waits.status, waits.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"));
        assert!(waits.headers.contains_key("retry-after"));
        assert_eq!(waits.body["detail"], "too many refused keys from this address");
        for _ in 0..8 {
            world.from("198.51.100.9", foreign.reveal()).await;
        }
        assert_eq!(world.from("198.51.100.9", foreign.reveal()).await.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            world.from("198.51.100.9", &office.text).await.status,
            StatusCode::OK,
            "nobody closes another's key"
        );
    }
}

#[tokio::test]
async fn a_key_is_shown_once_kept_as_a_digest_and_bounded_in_what_it_names() {
    for world in World::on_both().await {
        let body = Some(world.wanted("ci", "api"));
        let sent = async || world.with(Method::POST, &world.keys(), &[("idempotency-key", "once")], body.clone()).await;
        let (first, second) = (sent().await, sent().await);
        assert_eq!((first.status, second.status), (StatusCode::CREATED, StatusCode::CREATED));
        assert_eq!(first.body["key"]["id"], second.body["key"]["id"]);
        let text = first.body["secret"].as_str().expect("the key").to_owned();
        assert!(second.body["secret"].is_null(), "{}", second.body);
        let id = first.body["key"]["id"].as_str().expect("an id").to_owned();
        let secret = &text[31..95];
        for path in [world.keys(), format!("/v1/keys/{id}"), "/v1/audit".into()] {
            let said = world.get(&path).await.body.to_string();
            assert!(said.contains(&id) && !said.contains(secret), "{path}: {said}");
        }
        let found = world.app.store.key_find(id.parse().expect("an id")).await.expect("a read").expect("a key");
        assert!(found.key.digest.len() == 64 && found.key.digest != secret);
        // Used twice, noted once.
        let used = async || world.get(&format!("/v1/keys/{id}")).await.body["last_used_at"].clone();
        assert_eq!(used().await, Value::Null);
        assert_eq!(world.reads(&text).await, StatusCode::OK);
        let first = used().await;
        assert!(first.is_string() && world.reads(&text).await == StatusCode::OK);
        assert_eq!(used().await, first, "no write for each request");
        let key = id.parse().expect("an id");
        let note =
            async |grain: Duration| world.app.store.key_used(world.ours.caller.org, key, grain).await.expect("a write");
        assert!(!note(Duration::from_secs(300)).await && note(Duration::ZERO).await);

        for (field, value) in [
            ("days", json!(0)),
            ("days", json!(366)),
            ("pipelines", json!([])),
            ("pipelines", json!([world.theirs.pipeline])),
            ("networks", json!(["198.51.100.0/33"])),
            ("networks", json!(["example.org"])),
            ("role", json!("viewer")),
        ] {
            let mut body = world.wanted("other", "api");
            body[field] = value.clone();
            let got = world.call(Method::POST, &world.keys(), Some(body)).await;
            assert_eq!((got.status, got.code()), (StatusCode::UNPROCESSABLE_ENTITY, "unusable"), "{field} {value}");
        }
        for (field, value) in [("role", json!("admin")), ("days", Value::Null), ("digest", json!("x"))] {
            let mut body = world.wanted("other", "api");
            body[field] = value.clone();
            let got = world.call(Method::POST, &world.keys(), Some(body)).await;
            assert_eq!(got.status, StatusCode::BAD_REQUEST, "{field} {value}: {}", got.body);
        }
    }
}

#[tokio::test]
async fn a_key_of_role_api_starts_what_it_names_and_sees_its_own_runs() {
    for world in World::on_both().await {
        let owner = world.join("owner", &[]).await;
        let (_, strange) = world.second_project().await;
        let text = world.key(&owner, world.wanted("ci", "api")).await.text;
        let get = async |path: &str| world.with_key(&text, Method::GET, path, None).await;
        let start = async |body: Value| world.with_key(&text, Method::POST, "/v1/runs", Some(body)).await;
        for run in [world.ours.run, strange, world.theirs.run] {
            assert_eq!(get(&format!("/v1/runs/{run}")).await.code(), "not_found");
            assert_eq!(get(&format!("/v1/events?topics=run:{run}")).await.code(), "not_found");
        }
        assert_eq!(get("/v1/runs").await.body["items"], json!([]));
        // The other run has to end before this one may begin.
        let pipeline = world.ours.pipeline;
        let shown = get(&format!("/v1/pipelines/{pipeline}")).await.body;
        assert!(shown["live_run_id"].is_null() && shown["last_run"].is_null(), "another's run: {shown}");
        for settings in ["versions", "description"] {
            assert_eq!(get(&format!("/v1/pipelines/{pipeline}/{settings}")).await.code(), "forbidden", "{settings}");
        }
        let begun = start(json!({ "pipeline_id": pipeline })).await;
        assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.body);
        let own = begun.body["id"].as_str().expect("an id").to_owned();
        assert_eq!(get(&format!("/v1/runs/{own}")).await.status, StatusCode::OK);
        let listed = get("/v1/runs").await.body;
        assert_eq!((listed["items"].as_array().map(Vec::len), &listed["items"][0]["id"]), (Some(1), &json!(own)));
        assert_eq!(get("/v1/runs?count=estimate").await.body["count"]["value"], 1);
        let cancel = world.with_key(&text, Method::POST, &format!("/v1/runs/{own}/cancel"), None).await;
        assert_eq!(cancel.status, StatusCode::OK, "{}", cancel.body);
        for body in [
            json!({ "pipeline_id": pipeline, "kind": "preview" }),
            json!({ "pipeline_id": pipeline, "kind": "check" }),
            json!({ "pipeline_id": pipeline, "reload": ["orders"] }),
            json!({ "connection_id": world.id("connection"), "kind": "check" }),
        ] {
            assert_eq!(start(body.clone()).await.code(), "forbidden", "{body}");
        }
        let other = world.get("/v1/pipelines?limit=200").await.body;
        assert!(other["items"].as_array().is_some_and(|items| !items.is_empty()));
        let projects = get("/v1/projects?count=estimate").await.body;
        assert_eq!((projects["items"].as_array().map(Vec::len), &projects["count"]["value"]), (Some(1), &json!(1)));

        // One that names another pipeline of the same project sees nothing of this one.
        let text = second_pipeline_key(&world, &owner).await;
        let get = async |path: &str| world.with_key(&text, Method::GET, path, None).await;
        let list = format!("/v1/pipelines?project={}", world.ours.project);
        let listed = get(&format!("{list}&count=estimate")).await.body;
        assert_eq!((&listed["items"][0]["name"], &listed["count"]["value"]), (&json!("weekly"), &json!(1)), "{listed}");
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(get(&format!("{list}&name=nightly")).await.body["items"], json!([]));
        assert_eq!(get(&format!("/v1/pipelines/{pipeline}")).await.code(), "not_found");
        let body = Some(json!({ "pipeline_id": pipeline }));
        assert_eq!(world.with_key(&text, Method::POST, "/v1/runs", body).await.code(), "not_found");
    }
}

/// A second pipeline of our project, and a key that names it alone.
async fn second_pipeline_key(world: &World, owner: &Person) -> String {
    let text = document(world.dir.path()).replace("nightly", "weekly");
    let body = json!({ "project_id": world.ours.project, "document": text });
    let applied = world.call(Method::POST, "/v1/specs:apply", Some(body)).await;
    assert_eq!(applied.status, StatusCode::OK, "{}", applied.body);
    let listed = world.get(&format!("/v1/pipelines?project={}&name=weekly", world.ours.project)).await.body;
    let mut wanted = world.wanted("weekly", "api");
    wanted["pipelines"] = json!([listed["items"][0]["id"]]);
    world.key(owner, wanted).await.text
}

/// A path with our ids in it.
fn path_of(world: &World, operation: &Operation) -> String {
    let ids = world.ours.ids.iter();
    ids.fold(operation.path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id))
}

#[tokio::test]
async fn t19_every_operation_gives_a_key_what_its_role_says_and_no_more() {
    let world = World::with_settings(&[("WAYBILL__HTTP__ORGANIZATION_QUOTA", "100000")]).await;
    let owner = world.join("owner", &[]).await;
    let creator = Authority::of(OrganizationRole::Owner, &[]);
    let mut seen = std::collections::BTreeMap::new();
    for role in ServiceRole::ALL {
        let key = world.key(&owner, world.wanted(&format!("a-{role}"), role.as_str())).await;
        let authority = Authority::of_service(*role, world.ours.project, &creator);
        for operation in operations().list.iter().filter(|operation| operation.permission.is_some()) {
            let mut request =
                request(operation.method.clone(), &path_of(&world, operation), Some(&key.text), &[], None);
            if operation.request.is_some() {
                request.headers_mut().insert("content-type", axum::http::HeaderValue::from_static("application/json"));
                *request.body_mut() = Body::from("{");
            }
            let got = world.send(request).await;
            let found = match (got.status, got.code()) {
                (StatusCode::FORBIDDEN, "forbidden") => Cell::Forbidden,
                (StatusCode::NOT_FOUND, "not_found") => Cell::NotFound,
                (StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS | StatusCode::INTERNAL_SERVER_ERROR, _) => {
                    panic!("{}: {} {}", operation.id, got.status, got.body)
                }
                _ => Cell::Allowed,
            };
            let anothers = operation.path.contains("{run}") || operation.path.contains("{attempt}");
            let meant = match Cell::of(operation, &authority, place_of(operation, world.ours.project)) {
                _ if *role == ServiceRole::Api && anothers => Cell::NotFound,
                cell => cell,
            };
            assert_eq!(found, meant, "{role} {}: {} {}", operation.id, got.status, got.body);
            *seen.entry(format!("{role} {found:?}")).or_insert(0) += 1;
        }
    }
    assert_eq!(seen.len(), 12, "{seen:?}");
}

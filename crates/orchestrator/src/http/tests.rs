//! The API in process: the real router over a real store, two organizations with everything in them.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tower::ServiceExt;
use waybill_api::spec::SpecApply;
use waybill_identity::KeyDirectory;
use waybill_model::id::{InvitationId, KeyId, SessionId};
use waybill_model::role::{OrganizationRole, ProjectRole};
use waybill_model::{AgentId, AttemptId, DataPlaneId, Epoch, Micros, OrgId, PipelineId, ProjectId, RunId, UserId};
use waybill_store::{NewApiKey, NewAttempt, NewInvitation, Store, User};
use waybill_tests::services::postgres::Postgres;

use crate::app::Shared;
use crate::auth::{Authority, Caller, Who};
use crate::config::Config;
use crate::service::{document, start};

mod access;
mod account;
mod body;
mod conditions;
mod console;
mod conventions;
mod endpoint;
mod gate;
mod invitation;
mod key;
mod lists;
mod live;
mod page;
mod password;
mod roles;
mod session;
mod table;

/// A password that stands in nobody's answer.
const PASSWORD: &str = "CANARY only lower case words";

struct World {
    app: Arc<Shared>,
    ours: Tenant,
    theirs: Tenant,
    dir: tempfile::TempDir,
    _server: Option<Postgres>,
}

/// An organization with one of everything.
struct Tenant {
    caller: Caller,
    user: UserId,
    session: SessionId,
    token: String,
    project: ProjectId,
    pipeline: PipelineId,
    run: RunId,
    /// Path parameter to id.
    ids: Vec<(&'static str, String)>,
}

/// Somebody who is logged in.
struct Person {
    id: UserId,
    email: String,
    session: SessionId,
    token: String,
    /// The first project that took them in.
    project: Option<ProjectId>,
}

struct Got {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl Got {
    fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    fn etag(&self) -> &str {
        self.headers.get("etag").and_then(|tag| tag.to_str().ok()).unwrap_or_default()
    }
}

impl World {
    async fn new() -> Self {
        Self::on(None).await
    }

    /// The same on either database; on Postgres as a user whom its policies bind.
    async fn on_both() -> [Self; 2] {
        [Self::new().await, Self::on(Some(Postgres::start())).await]
    }

    async fn on(server: Option<Postgres>) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Config::load(None, Some(dir.path()), []).expect("settings");
        let url = server.as_ref().map_or_else(|| config.database.url.expose_secret().to_owned(), Postgres::owner_url);
        let store = Store::open(&url).await.expect("a store");
        let keys = KeyDirectory::created(&config.keys);
        let app = Arc::new(Shared::new(&config, store, &keys).await.expect("the services"));
        let ours = Tenant::new(&app, "ours", dir.path()).await;
        let theirs = Tenant::new(&app, "theirs", dir.path()).await;
        Self { app, ours, theirs, dir, _server: server }
    }

    async fn send(&self, request: Request<Body>) -> Got {
        let answer = super::router(Arc::clone(&self.app)).oneshot(request).await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes = axum::body::to_bytes(answer.into_body(), 8 << 20).await.expect("a body");
        Got { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Got {
        self.send(request(method, path, Some(&self.ours.token), &[], body)).await
    }

    async fn get(&self, path: &str) -> Got {
        self.call(Method::GET, path, None).await
    }

    /// Id of ours, by the name that paths have for its noun.
    fn id(&self, noun: &str) -> String {
        self.ours.ids.iter().find(|(name, _)| *name == noun).map(|(_, id)| id.clone()).expect("an id")
    }

    /// Somebody else of our organization, with these roles, logged in.
    async fn join(&self, role: &str, projects: &[(ProjectId, &str)]) -> Person {
        let (org, id, session) = (self.ours.caller.org, UserId::generate(), SessionId::generate());
        let mut tx = self.app.store.write_tx(org).await.expect("a transaction");
        let row = User { role: role.into(), ..person(org, id, &id.to_string()) };
        Store::user_insert_in_txn(&mut tx, &row).await.expect("a person");
        for (project, role) in projects {
            Store::member_insert_in_txn(&mut tx, (org, *project), id, role).await.expect("a member");
        }
        let life = std::time::Duration::from_secs(600);
        Store::session_insert_in_txn(&mut tx, org, session, id, (life, None)).await.expect("a session");
        tx.commit().await.expect("a commit");
        let token = self.app.tokens.mint(org, id, session).expect("a token").expose_secret().to_owned();
        let project = projects.first().map(|(project, _)| *project);
        Person { id, email: row.email, session, token, project }
    }

    /// A second project of our organization, with a pipeline, its connections and a run in it.
    async fn second_project(&self) -> (ProjectId, RunId) {
        let made = self.call(Method::POST, "/v1/projects", Some(json!({ "name": "second" }))).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let id = made.body["id"].as_str().expect("an id").to_owned();
        let body = json!({ "project_id": id, "document": document(self.dir.path()) });
        assert_eq!(self.call(Method::POST, "/v1/specs:apply", Some(body)).await.status, StatusCode::OK);
        let listed = self.get(&format!("/v1/pipelines?project={id}")).await;
        let body = json!({ "pipeline_id": listed.body["items"][0]["id"] });
        let run = self.call(Method::POST, "/v1/runs", Some(body)).await;
        assert_eq!(run.status, StatusCode::CREATED, "{}", run.body);
        (id.parse().expect("an id"), run.body["id"].as_str().and_then(|id| id.parse().ok()).expect("an id"))
    }

    /// Another session of somebody.
    async fn session_of(&self, who: &Person) -> Person {
        let (org, session) = (self.ours.caller.org, SessionId::generate());
        let mut tx = self.app.store.write_tx(org).await.expect("a transaction");
        let life = std::time::Duration::from_secs(600);
        Store::session_insert_in_txn(&mut tx, org, session, who.id, (life, None)).await.expect("a session");
        tx.commit().await.expect("a commit");
        let token = self.app.tokens.mint(org, who.id, session).expect("a token").expose_secret().to_owned();
        Person { id: who.id, email: who.email.clone(), session, token, project: who.project }
    }

    /// A request as somebody else.
    async fn by(&self, who: &Person, method: Method, path: &str, body: Option<Value>) -> Got {
        self.send(request(method, path, Some(&who.token), &[], body)).await
    }

    /// A change as somebody else, of what it is now.
    async fn change_by(&self, who: &Person, method: Method, path: &str, body: Option<Value>) -> Got {
        let etag = self.get(path).await.etag().to_owned();
        self.send(request(method, path, Some(&who.token), &[("if-match", &etag)], body)).await
    }

    async fn with(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Got {
        self.send(request(method, path, Some(&self.ours.token), headers, body)).await
    }
}

fn request(
    method: Method,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    match body {
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    }
    .expect("a request")
}

impl Tenant {
    async fn new(app: &Shared, name: &str, dir: &std::path::Path) -> Self {
        let (org, user, session, project) =
            (OrgId::generate(), UserId::generate(), SessionId::generate(), ProjectId::generate());
        let mut tx = app.store.write_tx_of_all().await.expect("a transaction");
        Store::organization_insert_in_txn(&mut tx, org, name).await.expect("an organization");
        Store::user_insert_in_txn(&mut tx, &person(org, user, name)).await.expect("a person");
        Store::project_insert_in_txn(&mut tx, org, project, "default", 1 << 20).await.expect("a project");
        Store::member_insert_in_txn(&mut tx, (org, project), user, "owner").await.expect("a member");
        let plane = DataPlaneId::generate();
        let settings = ("process", r#"{"environment":[]}"#);
        Store::data_plane_insert_in_txn(&mut tx, org, plane, "local", settings).await.expect("a data plane");
        let life = std::time::Duration::from_secs(600);
        let agent = (AgentId::generate(), plane);
        Store::agent_insert_in_txn(&mut tx, org, agent, ("office", false), life).await.expect("an agent");
        Store::session_insert_in_txn(&mut tx, org, session, user, (life, None)).await.expect("a session");
        tx.commit().await.expect("a commit");
        let authority = Authority::of(OrganizationRole::Owner, &[(project, ProjectRole::Owner)]);
        let caller = Caller { org, who: Who::Person { user, session }, authority, ip: None };
        let token = app.tokens.mint(org, user, session).expect("a token").expose_secret().to_owned();
        let body = json!({ "project_id": project, "document": document(dir) });
        let applied: SpecApply = serde_json::from_value(body).expect("a body");
        document::apply(app, &caller, &applied, false).await.expect("an applied document");
        let pipeline = app.store.pipeline_find(org, project, "nightly").await.expect("a read").expect("a pipeline").id;
        let connection = app.store.connection_find(org, project, "shop").await.expect("a read").expect("one").id;
        let body = serde_json::from_value(json!({ "pipeline_id": pipeline })).expect("a body");
        let run = start::start(app, &caller, &body, None).await.expect("a run").run.id;
        let attempt = attempt_of(app, (org, run, plane)).await;
        let key = key_of(app, (org, project), user).await;
        let invitation = invitation_of(app, org, user).await;
        let ids = vec![
            ("organization", org.to_string()),
            ("user", user.to_string()),
            ("project", project.to_string()),
            ("data_plane", plane.to_string()),
            ("agent", agent.0.to_string()),
            ("connection", connection.to_string()),
            ("pipeline", pipeline.to_string()),
            ("run", run.to_string()),
            ("attempt", attempt.to_string()),
            ("key", key.to_string()),
            ("invitation", invitation.to_string()),
        ];
        Self { caller, user, session, token, project, pipeline, run, ids }
    }
}

async fn attempt_of(app: &Shared, (org, run, data_plane): (OrgId, RunId, DataPlaneId)) -> AttemptId {
    let minute = std::time::Duration::from_secs(60);
    let new = NewAttempt {
        org,
        id: AttemptId::generate(),
        run,
        number: 1,
        epoch: Epoch(1),
        data_plane,
        launch_request: Vec::new(),
        launch_holder: "test".into(),
        launch_claim: minute,
        start_timeout: minute,
    };
    let mut tx = app.store.write_tx_of_all().await.expect("a transaction");
    Store::attempt_insert_in_txn(&mut tx, &new).await.expect("an attempt");
    tx.commit().await.expect("a commit");
    new.id
}

async fn key_of(app: &Shared, (org, project): (OrgId, ProjectId), created_by: UserId) -> KeyId {
    let id = KeyId::generate();
    let new = NewApiKey {
        org,
        id,
        project,
        name: "office".into(),
        role: "viewer",
        digest: "0".repeat(64),
        networks: String::new(),
        created_by,
        life: std::time::Duration::from_secs(600),
    };
    let mut tx = app.store.write_tx(org).await.expect("a transaction");
    Store::key_insert_in_txn(&mut tx, &new, &[]).await.expect("a key");
    tx.commit().await.expect("a commit");
    id
}

async fn invitation_of(app: &Shared, org: OrgId, invited_by: UserId) -> InvitationId {
    let id = InvitationId::generate();
    let new = NewInvitation {
        org,
        id,
        email: "asked@example.org".into(),
        role: "member",
        project: None,
        digest: format!("{id:0>64}"),
        invited_by,
        life: std::time::Duration::from_secs(600),
    };
    let mut tx = app.store.write_tx(org).await.expect("a transaction");
    Store::invitation_insert_in_txn(&mut tx, &new).await.expect("an invitation");
    tx.commit().await.expect("a commit");
    id
}

fn person(org: OrgId, id: UserId, name: &str) -> User {
    User {
        org,
        id,
        email: format!("{name}@example.org"),
        name: name.into(),
        password_hash: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAA".into(),
        role: "owner".into(),
        disabled: false,
        failed_logins: 0,
        locked_until: Micros(0),
        version: 1,
        created_at: Micros(0),
        updated_at: Micros(0),
    }
}

fn document(dir: &std::path::Path) -> String {
    let dir = dir.display();
    format!(
        "waybill: 1
connections:
  shop: {{ type: sqlite, path: {dir}/shop.db }}
  lake: {{ type: local, path: {dir}/lake }}
pipelines:
  nightly:
    from: shop
    to: lake
    schedule: {{ cron: \"0 2 * * *\", zone: Europe/Stockholm }}
    streams: {{ orders: {{ load: full }} }}
"
    )
}

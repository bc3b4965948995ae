//! Set-up, login and sessions.

use super::*;
use crate::service::account;

/// A world without accounts.
async fn fresh() -> (World, String) {
    let world = World::new().await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = Config::load(None, Some(dir.path()), []).expect("settings");
    let store = Store::open(config.database.url.expose_secret()).await.expect("a store");
    let app = Arc::new(Shared::new(&config, store, &KeyDirectory::created(&config.keys)).await.expect("the services"));
    let token = account::setup_token(&app.store, config.login.setup).await.expect("a token").expect("nobody yet");
    (World { app, dir, ..world }, token.reveal().to_owned())
}

fn setup(token: &str, password: &str) -> Option<Value> {
    Some(json!({ "setup_token": token, "email": "Ada@Example.org", "password": password, "organization": "Example" }))
}

async fn open(world: &World, path: &str, body: Value) -> Got {
    world.send(request(Method::POST, path, None, &[], Some(body))).await
}

#[tokio::test]
async fn the_setup_token_makes_one_administrator_once() {
    let (world, token) = fresh().await;
    let wrong = world.send(request(Method::POST, "/v1/setup", None, &[], setup("setup_00", PASSWORD))).await;
    assert_eq!((wrong.status, wrong.code()), (StatusCode::UNAUTHORIZED, "setup_refused"));
    let weak = world.send(request(Method::POST, "/v1/setup", None, &[], setup(&token, "short"))).await;
    assert_eq!((weak.status, weak.code()), (StatusCode::UNPROCESSABLE_ENTITY, "password_weak"));
    let done = world.send(request(Method::POST, "/v1/setup", None, &[], setup(&token, PASSWORD))).await;
    assert_eq!(done.status, StatusCode::CREATED, "{}", done.body);
    let again = world.send(request(Method::POST, "/v1/setup", None, &[], setup(&token, PASSWORD))).await;
    assert_eq!(again.code(), "setup_refused");
    let access = done.body["access_token"].as_str().expect("a token");
    let who = world.send(request(Method::GET, "/v1/whoami", Some(access), &[], None)).await;
    assert_eq!(who.body["user"]["email"], "ada@example.org");
    assert!(account::setup_token(&world.app.store, std::time::Duration::from_secs(1)).await.expect("a read").is_none());
}

#[tokio::test]
async fn wrong_logins_all_read_the_same_and_are_slowed_down() {
    let (world, token) = fresh().await;
    world.send(request(Method::POST, "/v1/setup", None, &[], setup(&token, PASSWORD))).await;
    let login = |email: &str, password: &str| json!({ "email": email, "password": password });
    let mut known = open(&world, "/v1/login", login("ada@example.org", "wrong wrong wrong")).await;
    let mut unknown = open(&world, "/v1/login", login("eve@example.org", "wrong wrong wrong")).await;
    for got in [&mut known, &mut unknown] {
        got.body.as_object_mut().expect("a problem").remove("request_id");
    }
    assert_eq!((known.status, known.code()), (StatusCode::UNAUTHORIZED, "login_failed"));
    assert_eq!(known.body, unknown.body);
    assert_eq!(open(&world, "/v1/login", login(" ADA@example.org", PASSWORD)).await.status, StatusCode::OK);
    for email in ["ada@example.org", "eve@example.org"] {
        let mut last = None;
        for _ in 0..8 {
            last = Some(open(&world, "/v1/login", login(email, "wrong wrong wrong")).await);
        }
        let last = last.expect("an answer");
        assert_eq!((last.status, last.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"), "{email}");
        assert!(last.headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn h4_a_refresh_token_that_comes_twice_ends_its_session() {
    let (world, token) = fresh().await;
    let done = world.send(request(Method::POST, "/v1/setup", None, &[], setup(&token, PASSWORD))).await;
    let refresh = |got: &Got| json!({ "refresh_token": got.body["refresh_token"] });
    let whoami = async |got: &Got| {
        let access = got.body["access_token"].as_str().unwrap_or_default().to_owned();
        world.send(request(Method::GET, "/v1/whoami", Some(&access), &[], None)).await.status
    };
    let next = open(&world, "/v1/refresh", refresh(&done)).await;
    assert_eq!((next.status, whoami(&next).await), (StatusCode::OK, StatusCode::OK));
    let reused = open(&world, "/v1/refresh", refresh(&done)).await;
    assert_eq!((reused.status, reused.code()), (StatusCode::UNAUTHORIZED, "token_invalid"));
    assert_eq!(whoami(&next).await, StatusCode::UNAUTHORIZED, "the whole family is ended");
    assert_eq!(open(&world, "/v1/refresh", refresh(&next)).await.status, StatusCode::UNAUTHORIZED);
    let access = json!({ "refresh_token": next.body["access_token"] });
    assert_eq!(open(&world, "/v1/refresh", access).await.status, StatusCode::UNAUTHORIZED);
    let as_access = next.body["refresh_token"].as_str().expect("a token");
    let got = world.send(request(Method::GET, "/v1/whoami", Some(as_access), &[], None)).await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_logout_ends_the_access_token_at_once() {
    let world = World::new().await;
    assert_eq!(world.call(Method::POST, "/v1/logout", None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get("/v1/whoami").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_change_has_its_audit_entry_and_the_chain_holds() {
    let world = World::new().await;
    world.call(Method::POST, "/v1/projects", Some(json!({ "name": "staging" }))).await;
    let entries = world.get("/v1/audit").await;
    let actions: Vec<&str> =
        entries.body["items"].as_array().expect("entries").iter().filter_map(|e| e["action"].as_str()).collect();
    for action in ["project_create", "member_create", "connection_create", "pipeline_create", "schedule_set"] {
        assert!(actions.contains(&action), "{action} is missing in {actions:?}");
    }
    assert!(world.app.store.audit_verify(world.ours.caller.org).await.expect("a read").is_ok());
}

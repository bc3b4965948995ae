//! What holds for every operation: orders and counts of lists, packed answers, quotas, the client's address.

use std::io::Read;

use axum::extract::ConnectInfo;
use waybill_model::run::RunState;

use super::*;
use crate::auth::quota::{Meter, Quotas};

impl World {
    /// The same world with other bounds of requests.
    pub(super) async fn with_settings(settings: &[(&str, &str)]) -> Self {
        let world = Self::new().await;
        let environment = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::load(None, Some(world.dir.path()), environment).expect("settings");
        let keys = KeyDirectory::created(&config.keys);
        let app = Arc::new(Shared::new(&config, world.app.store.clone(), &keys).await.expect("the services"));
        Self { app, ..world }
    }

    async fn projects(&self, names: &[&str]) {
        for name in names {
            let got = self.call(Method::POST, "/v1/projects", Some(json!({ "name": name }))).await;
            assert_eq!(got.status, StatusCode::CREATED);
        }
    }

    /// Every item of a list, page by page.
    async fn walk(&self, path: &str, field: &str) -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}")).await;
            assert_eq!(page.status, StatusCode::OK, "{}", page.body);
            let items = page.body["items"].as_array().expect("items");
            found.extend(items.iter().map(|item| item[field].as_str().expect("text").to_owned()));
            let Some(next) = page.body["next_cursor"].as_str() else { return found };
            cursor = format!("&cursor={next}");
        }
    }

    /// Runs of one connection beside the one of the pipeline, which stays the oldest.
    async fn looks(&self, many: usize) -> String {
        let id = self.id("connection");
        for _ in 0..many {
            let body = json!({ "connection_id": id, "kind": "check" });
            assert_eq!(self.call(Method::POST, "/v1/runs", Some(body)).await.status, StatusCode::CREATED);
        }
        id
    }
}

#[tokio::test]
async fn a_list_goes_page_by_page_in_the_order_that_was_asked_for() {
    let world = World::new().await;
    world.projects(&["c", "a", "b"]).await;
    let order = async |sort: &str| world.walk(&format!("/v1/projects?limit=2&sort={sort}"), "name").await;
    let mut made = world.walk("/v1/projects?limit=2&sort=created_at", "id").await;
    assert!(made.is_sorted() && made.len() == 4, "{made:?}");
    made.reverse();
    assert_eq!(world.walk("/v1/projects?limit=2&sort=-created_at", "id").await, made);
    assert_eq!(order("name").await, ["a", "b", "c", "default"]);
    assert_eq!(order("-name").await, ["default", "c", "b", "a"]);
    let cursor = world.get("/v1/projects?limit=2&sort=name").await.body["next_cursor"].clone();
    let other = format!("/v1/projects?limit=2&sort=-name&cursor={}", cursor.as_str().expect("a cursor"));
    assert_eq!(world.get(&other).await.code(), "page_token_invalid", "a cursor belongs to its order");
    for (path, field) in [("connections", "name"), ("pipelines", "name"), ("data-planes", "name"), ("users", "email")] {
        let mut names = world.walk(&format!("/v1/{path}?limit=1&sort=-name"), field).await;
        names.reverse();
        assert!(!names.is_empty() && names.is_sorted(), "{path}: {names:?}");
    }
}

#[tokio::test]
async fn a_list_is_counted_where_that_is_asked_for() {
    let world = World::new().await;
    world.projects(&["a", "b"]).await;
    world.looks(2).await;
    let count = async |path: &str| world.get(path).await.body["count"].clone();
    assert_eq!(count("/v1/projects?count=estimate&limit=1").await, json!({ "value": 3, "exact": true }));
    assert_eq!(count("/v1/projects?count=estimate&name=a").await["value"], 1);
    assert_eq!(count("/v1/connections?count=estimate").await["value"], 2);
    assert_eq!(count("/v1/runs?count=estimate&limit=1").await["value"], 3);
    assert_eq!(count("/v1/runs?count=estimate&kind=check").await["value"], 2);
    assert_eq!(count("/v1/projects").await, Value::Null);
}

#[tokio::test]
async fn runs_are_filtered_and_ordered_by_the_database() {
    let world = World::new().await;
    let connection = world.looks(3).await;
    let ids = async |query: &str| world.walk(&format!("/v1/runs?limit=2&{query}"), "id").await;
    let (all, ours) = (ids("").await, world.ours.run.to_string());
    let looks: Vec<String> = all.iter().filter(|id| **id != ours).cloned().collect();
    assert!(all.is_sorted_by(|a, b| a > b) && all.len() == 4 && looks.len() == 3, "{all:?}");
    assert_eq!(ids(&format!("connection={connection}")).await, looks);
    assert_eq!(ids("kind=check").await, looks);
    assert_eq!(ids("kind=sync").await, [ours.as_str()]);
    assert_eq!(ids(&format!("kind=check&connection={connection}&state=queued")).await, looks);
    assert!(ids("kind=check&state=running").await.is_empty());
    let mut oldest = ids("sort=created_at").await;
    oldest.reverse();
    assert_eq!(oldest, all);
    // The oldest run begins last.
    let mut tx = world.app.store.write_tx_of_all().await.expect("a transaction");
    let run = Store::run_lock_in_txn(&mut tx, world.ours.caller.org, world.ours.run).await.expect("a read");
    let run = run.expect("a run");
    Store::run_move_in_txn(&mut tx, &run, RunState::Running, None).await.expect("moved");
    tx.commit().await.expect("a commit");
    let started = ids("sort=-started_at").await;
    assert_eq!((started.len(), &started[0]), (4, &ours));
    let mut first = ids("sort=started_at").await;
    first.reverse();
    assert_eq!(first, started);
}

#[tokio::test]
async fn a_long_answer_is_packed_for_who_asks_and_names_the_same_version() {
    let world = World::new().await;
    let path = format!("/v1/pipelines/{}", world.ours.pipeline);
    let raw = async |path: &str, headers: &[(&str, &str)]| {
        let request = request(Method::GET, path, Some(&world.ours.token), headers, None);
        super::super::router(Arc::clone(&world.app)).oneshot(request).await.expect("an answer")
    };
    world.projects(&["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    let list = "/v1/projects";
    let plain = world.get(list).await;
    assert!(!plain.headers.contains_key("content-encoding"));
    assert_eq!(plain.headers["vary"], "accept-encoding");
    let packed = raw(list, &[("accept-encoding", "br, gzip;q=0.8")]).await;
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let bytes = axum::body::to_bytes(packed.into_body(), 1 << 20).await.expect("a body");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    assert!(bytes.len() < text.len() / 2, "{} of {}", bytes.len(), text.len());
    assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), plain.body);
    let short = raw(&path, &[("accept-encoding", "gzip")]).await;
    assert!(!short.headers().contains_key("content-encoding"), "a short one gets no shorter");
    // A tag that was seen on a packed answer serves for changes and for asking again.
    let etag = world.get(&path).await.etag().to_owned();
    let packed_tag = etag.strip_suffix('"').map(|tag| format!("{tag}-gzip\"")).expect("a tag");
    let same = world.with(Method::GET, &path, &[("if-none-match", &packed_tag)], None).await;
    assert_eq!(same.status, StatusCode::NOT_MODIFIED);
    let paused = json!({ "paused": true });
    let changed = world.with(Method::PATCH, &path, &[("if-match", &packed_tag)], Some(paused)).await;
    assert_eq!(changed.status, StatusCode::OK, "{}", changed.body);
}

#[tokio::test]
async fn a_live_stream_is_never_packed() {
    let world = World::new().await;
    let path = format!("/v1/events?topics=run:{}", world.ours.run);
    let request = request(Method::GET, &path, Some(&world.ours.token), &[("accept-encoding", "gzip")], None);
    let answer = super::super::router(Arc::clone(&world.app)).oneshot(request).await.expect("an answer");
    assert_eq!(
        (answer.status(), answer.headers()["content-type"].as_bytes()),
        (StatusCode::OK, &b"text/event-stream"[..])
    );
    assert!(!answer.headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn h41_a_quota_that_is_used_up_says_when_to_come_back_and_is_each_callers_own() {
    let world = World::new().await;
    let config = Config::load(None, Some(world.dir.path()), []).expect("settings");
    let keys = KeyDirectory::created(&config.keys);
    let mut app = Shared::new(&config, world.app.store.clone(), &keys).await.expect("the services");
    app.quotas = Meter::new(Quotas { caller: 2, organization: 100, address: 1 });
    let world = World { app: Arc::new(app), ..world };
    let first = world.get("/v1/whoami").await;
    assert_eq!(first.headers["ratelimit-policy"], "\"caller\";q=2;w=60, \"organization\";q=100;w=60");
    let left = first.headers["ratelimit"].to_str().expect("text");
    assert!(left.starts_with("\"caller\";r=1;t=") && left.contains("\"organization\";r=99;t="), "{left}");
    assert_eq!(world.get("/v1/whoami").await.status, StatusCode::OK);
    let refused = world.get("/v1/whoami").await;
    assert_eq!((refused.status, refused.code()), (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"));
    let wait: u64 = refused.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=60).contains(&wait));
    assert!(refused.headers["ratelimit"].to_str().expect("text").starts_with("\"caller\";r=0;t="));
    let other = world.send(request(Method::GET, "/v1/whoami", Some(&world.theirs.token), &[], None)).await;
    assert_eq!(other.status, StatusCode::OK);
}

/// A request that came over a connection from `peer`.
fn from(peer: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let body = json!({ "refresh_token": "wbr_none" });
    let mut request = request(Method::POST, "/v1/refresh", None, headers, Some(body));
    let peer: std::net::SocketAddr = format!("{peer}:4711").parse().expect("an address");
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

#[tokio::test]
async fn h41_the_address_behind_a_trusted_proxy_is_counted_and_a_forged_one_is_not_believed() {
    let settings = [("WAYBILL__HTTP__ADDRESS_QUOTA", "1"), ("WAYBILL__HTTP__TRUSTED_PROXIES", "10.0.0.0/8")];
    let world = World::with_settings(&settings).await;
    let status =
        async |peer: &str, forwarded: &str| world.send(from(peer, &[("x-forwarded-for", forwarded)])).await.status;
    assert_eq!(status("10.0.0.1", "198.51.100.1").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("10.0.0.2", "198.51.100.1").await, StatusCode::TOO_MANY_REQUESTS, "another proxy, one client");
    assert_eq!(status("10.0.0.1", "198.51.100.2").await, StatusCode::UNAUTHORIZED, "another client");
    let forged = "203.0.113.1, 198.51.100.2";
    assert_eq!(status("10.0.0.1", forged).await, StatusCode::TOO_MANY_REQUESTS, "what the client wrote is not read");
    assert_eq!(status("203.0.113.9", "198.51.100.3").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("203.0.113.9", "198.51.100.4").await, StatusCode::TOO_MANY_REQUESTS, "no proxy of ours");
}

//! A server of Google Cloud Storage of ours: what its description says of the calls that a worker makes, and no more.
//!
//! It minds conditions, checksums, tokens and the steps of sessions, tells what a session has, and can be told to keep half
//! of what comes. It shares no code with the client.

mod session;
mod sum;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::BUCKET;
use session::Session;
use sum::spelled;

/// A running server.
pub struct OwnGcs {
    port: u16,
    world: Arc<Mutex<World>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct World {
    objects: BTreeMap<String, Stored>,
    sessions: HashMap<String, Session>,
    /// The last generation.
    last: u64,
    /// Queries of requests that made an object or began one.
    makers: Vec<HashMap<String, String>>,
    bearer: Option<String>,
    /// The next so many chunks are kept by half.
    halved: usize,
}

struct Stored {
    bytes: Bytes,
    generation: u64,
}

type Query = HashMap<String, String>;

impl OwnGcs {
    /// A server with the one empty bucket [`BUCKET`].
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let world = Arc::new(Mutex::new(World::default()));
        let app = Router::new().fallback(serve).with_state(Arc::clone(&world));
        // A server that ends is seen by whoever asks it.
        let task = tokio::spawn(async move { drop(axum::serve(listener, app).await) });
        Self { port, world, task }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The endpoint for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on only requests with this token are answered.
    pub fn wants(&self, token: &str) {
        self.world().bearer = Some(format!("Bearer {token}"));
    }

    /// Of the next so many chunks only the first half is kept, as the service may.
    pub fn keep_half(&self, chunks: usize) {
        self.world().halved = chunks;
    }

    /// Names of all objects.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.world().objects.keys().cloned().collect()
    }

    /// Sessions that are open.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.world().sessions.values().filter(|session| session.made.is_none()).count()
    }

    /// What this part of the query was in each request that made an object or began one; empty where it was missing.
    #[must_use]
    pub fn made_with(&self, name: &str) -> Vec<String> {
        self.world().makers.iter().map(|query| query.get(name).cloned().unwrap_or_default()).collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("the server's world")
    }
}

impl Drop for OwnGcs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(State(world): State<Arc<Mutex<World>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // A request that breaks off changes nothing.
    let Ok(body) = axum::body::to_bytes(body, 1 << 30).await else { return refused(400, "badRequest", "it broke off") };
    let query: Query = parts.uri.query().unwrap_or_default().split('&').filter_map(pair).collect();
    let mut world = world.lock().expect("the server's world");
    let bearer = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    if world.bearer.is_some() && world.bearer.as_deref() != bearer {
        return refused(401, "authError", "Invalid Credentials");
    }
    let (is_upload, path) = match parts.uri.path().strip_prefix("/upload") {
        Some(path) => (true, path),
        None => (false, parts.uri.path()),
    };
    let Some(rest) = path.strip_prefix("/storage/v1/b/").and_then(|rest| rest.strip_prefix(BUCKET)) else {
        return refused(404, "notFound", "The specified bucket does not exist.");
    };
    let name = rest.strip_prefix("/o/").map(decoded);
    match (&parts.method, is_upload, name) {
        (method, true, None) => world.upload(method, &query, &parts.headers, &body),
        (&Method::GET, false, None) => world.list(&query),
        (&Method::GET, false, Some(name)) if query.contains_key("alt") => world.contents(&name, &query, &parts.headers),
        (&Method::GET, false, Some(name)) => world.resource(&name),
        (&Method::DELETE, false, Some(name)) => match world.objects.remove(&name) {
            Some(_) => StatusCode::NO_CONTENT.into_response(),
            None => absent(&name),
        },
        _ => refused(400, "invalid", "no such call"),
    }
}

impl World {
    fn upload(&mut self, method: &Method, query: &Query, headers: &HeaderMap, body: &Bytes) -> Response {
        if query.contains_key("upload_id") {
            return self.session(method, query, headers, body);
        }
        self.makers.push(query.clone());
        match query.get("uploadType").map(String::as_str) {
            Some("resumable") => self.begin(query),
            Some("multipart") => self.insert(query, headers, body),
            _ => refused(400, "invalid", "no such upload"),
        }
    }

    /// Metadata and contents in one request.
    fn insert(&mut self, query: &Query, headers: &HeaderMap, body: &Bytes) -> Response {
        let Some((told, contents)) = parts(headers, body) else { return refused(400, "badContent", "no two parts") };
        let name =
            query.get("name").map_or_else(|| told["name"].as_str().unwrap_or_default(), String::as_str).to_owned();
        if query.get("ifGenerationMatch").is_some_and(|wanted| *wanted != self.generation(&name)) {
            return refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
        }
        if let Some(sum) = told["crc32c"].as_str().filter(|sum| *sum != spelled(&contents)) {
            return wrong_sum(sum, &contents);
        }
        self.store(&name, contents)
    }

    fn generation(&self, name: &str) -> String {
        self.objects.get(name).map_or(0, |stored| stored.generation).to_string()
    }

    fn store(&mut self, name: &str, bytes: Bytes) -> Response {
        self.last += 1;
        self.objects.insert(name.to_owned(), Stored { bytes, generation: self.last });
        self.resource(name)
    }

    fn resource(&self, name: &str) -> Response {
        self.objects.get(name).map_or_else(|| absent(name), |stored| Json(described(name, stored)).into_response())
    }

    fn contents(&self, name: &str, query: &Query, headers: &HeaderMap) -> Response {
        let Some(stored) = self.objects.get(name) else {
            return (StatusCode::NOT_FOUND, format!("No such object: {BUCKET}/{name}")).into_response();
        };
        if query.get("ifGenerationMatch").is_some_and(|wanted| *wanted != stored.generation.to_string()) {
            return refused(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
        }
        let size = stored.bytes.len();
        let asked =
            headers.get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes=")?.split_once('-'));
        let mut answer = Response::builder().header("x-goog-generation", stored.generation);
        answer = answer.header("x-goog-hash", format!("crc32c={}", spelled(&stored.bytes)));
        let bytes = match asked {
            None => stored.bytes.clone(),
            Some((from, to)) => {
                let from: usize = from.parse().expect("a beginning");
                let to = to.parse().map_or(size, |to: usize| (to + 1).min(size));
                if from >= size {
                    return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                }
                answer = answer.status(206).header("content-range", format!("bytes {from}-{}/{size}", to - 1));
                stored.bytes.slice(from..to)
            }
        };
        answer.body(Body::from(bytes)).expect("an answer")
    }

    fn list(&self, query: &Query) -> Response {
        let text = |name: &str| query.get(name).map_or("", String::as_str);
        let most = text("maxResults").parse().unwrap_or(1000_usize);
        let fits =
            |name: &str| name.starts_with(text("prefix")) && name >= text("startOffset") && name > text("pageToken");
        let found: Vec<_> = self.objects.iter().filter(|(name, _)| fits(name)).take(most + 1).collect();
        let items: Vec<Value> = found.iter().take(most).map(|(name, stored)| described(name, stored)).collect();
        let mut listing = json!({"kind": "storage#objects", "items": items});
        if found.len() > most {
            listing["nextPageToken"] = json!(found[most - 1].0);
        }
        Json(listing).into_response()
    }
}

fn described(name: &str, stored: &Stored) -> Value {
    json!({"kind": "storage#object", "name": name, "bucket": BUCKET, "generation": stored.generation.to_string(),
        "size": stored.bytes.len().to_string(), "timeCreated": "2026-01-02T03:04:05.678Z",
        "crc32c": spelled(&stored.bytes)})
}

fn refused(status: u16, reason: &str, message: &str) -> Response {
    let said = json!({"error": {"code": status, "message": message,
        "errors": [{"domain": "global", "reason": reason, "message": message}]}});
    (StatusCode::from_u16(status).expect("a status"), Json(said)).into_response()
}

fn absent(name: &str) -> Response {
    refused(404, "notFound", &format!("No such object: {BUCKET}/{name}"))
}

fn wrong_sum(told: &str, contents: &[u8]) -> Response {
    let there = spelled(contents);
    refused(400, "invalid", &format!("Provided CRC32C \"{told}\" doesn't match calculated CRC32C \"{there}\"."))
}

/// Metadata and contents of a body in two parts.
fn parts(headers: &HeaderMap, body: &Bytes) -> Option<(Value, Bytes)> {
    let (_, boundary) = headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split_once("boundary=")?;
    let find = |from: usize, wanted: &[u8]| {
        let at = body[from..].windows(wanted.len()).position(|bytes| bytes == wanted)?;
        Some(from + at)
    };
    let between = format!("\r\n--{boundary}");
    let told = find(0, b"\r\n\r\n")? + 4;
    let end = find(told, between.as_bytes())?;
    let contents = find(end + 2, b"\r\n\r\n")? + 4;
    let last =
        body.len().checked_sub(between.len() + 4).filter(|last| body[*last..].starts_with(between.as_bytes()))?;
    Some((serde_json::from_slice(&body[told..end]).ok()?, body.slice(contents..last)))
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    Some((decoded(name), decoded(value)))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| behind.get(..2)).flatten();
        match escaped.and_then(|two| hex::decode(two).ok()) {
            Some(byte) => {
                bytes.extend(byte);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

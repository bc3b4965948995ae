//! Sessions: objects that come in chunks, in order.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::sum::spelled;
use super::{Query, World, refused, wrong_sum};

/// A session keeps whole multiples of this until it ends.
const STEP: usize = 256 << 10;

/// An upload that was begun.
pub(super) struct Session {
    name: String,
    bytes: Vec<u8>,
    /// The object is there under this name.
    pub(super) made: Option<String>,
}

impl World {
    pub(super) fn begin(&mut self, query: &Query) -> Response {
        let name = query.get("name").cloned().unwrap_or_default();
        let id = format!("session {}/+", self.sessions.len() + 1);
        self.sessions.insert(id.clone(), Session { name, bytes: Vec::new(), made: None });
        let id = id.replace(' ', "%20").replace('/', "%2F").replace('+', "%2B");
        // The host is none that a client may follow.
        let place = format!("https://elsewhere.example/upload/storage/v1/b/x/o?uploadType=resumable&upload_id={id}");
        (StatusCode::OK, [("location", place)]).into_response()
    }

    pub(super) fn session(&mut self, method: &Method, query: &Query, headers: &HeaderMap, body: &Bytes) -> Response {
        let id = query.get("upload_id").cloned().unwrap_or_default();
        if !self.sessions.contains_key(&id) {
            return refused(404, "notFound", "no such session");
        }
        if *method == Method::DELETE {
            self.sessions.remove(&id);
            return StatusCode::from_u16(499).expect("a status").into_response();
        }
        let range = headers.get("content-range").and_then(|range| range.to_str().ok()?.strip_prefix("bytes "));
        let Some((range, total)) = range.and_then(|range| range.split_once('/')) else {
            return refused(400, "invalid", "no range");
        };
        let halved = self.halved > 0 && !body.is_empty();
        let Some(session) = self.sessions.get_mut(&id) else { return refused(404, "notFound", "no such session") };
        if let Some(name) = session.made.clone() {
            return self.resource(&name);
        }
        if let Some((from, _)) = range.split_once('-') {
            let from: usize = from.parse().expect("a beginning");
            let Some(had) = session.bytes.len().checked_sub(from).filter(|had| *had <= body.len()) else {
                return refused(400, "invalid", "a gap");
            };
            let fresh = if halved { &body[had..had + (body.len() - had) / 2] } else { &body[had..] };
            session.bytes.extend_from_slice(fresh);
            if total == "*" || halved {
                session.bytes.truncate(session.bytes.len() / STEP * STEP);
            }
        }
        self.halved -= usize::from(halved);
        if total.parse() == Ok(session.bytes.len()) {
            return self.finish(&id, headers);
        }
        let mut answer = Response::builder().status(308);
        if let Some(last) = session.bytes.len().checked_sub(1) {
            answer = answer.header("range", format!("bytes=0-{last}"));
        }
        answer.body(Body::empty()).expect("an answer")
    }

    fn finish(&mut self, id: &str, headers: &HeaderMap) -> Response {
        let session = self.sessions.get_mut(id).expect("a session");
        let told = headers.get("x-goog-hash").and_then(|hash| hash.to_str().ok()?.strip_prefix("crc32c="));
        if let Some(told) = told.filter(|told| *told != spelled(&session.bytes)) {
            return wrong_sum(told, &session.bytes);
        }
        session.made = Some(session.name.clone());
        let (name, bytes) = (session.name.clone(), std::mem::take(&mut session.bytes));
        self.store(&name, bytes.into())
    }
}

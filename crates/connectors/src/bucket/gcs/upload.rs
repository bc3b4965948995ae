//! Objects that are made: whole with one request, or in a session that takes bytes in order.
//!
//! A session takes whole steps only until its end is told. What a part has beyond them, which only the last one has, waits
//! for the request that ends the upload. After a lost answer the session is asked what it has, and goes on from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, Response, Url};
use serde_json::json;
use uuid::Uuid;

use super::super::remote::{CALL, COMPLETE, Failed, Kind, PART, Place, STEP, Sent};
use super::request::read;
use super::{GcsStore, Resource, sum};

pub(super) const INSERT: &str = "InsertObject";
const TYPE: &str = "application/octet-stream";

/// A session that was begun.
#[derive(Clone)]
pub struct Begun {
    id: String,
    /// An answer is missing: what the session has is not known.
    unsure: Arc<AtomicBool>,
}

/// One part: its checksum, and what of it was not sent yet.
pub struct Part {
    sum: u64,
    rest: Bytes,
}

/// What a session says.
enum State {
    /// So many bytes are kept.
    Has(u64),
    /// The object is there.
    Done,
}

/// Stores an object with one request, which names its checksum: what arrives otherwise is refused.
pub(super) async fn put(
    store: &GcsStore,
    key: &str,
    body: &Bytes,
    is_new: bool,
    bound: Duration,
) -> Result<Resource, Failed> {
    let boundary = format!("waybill-{}", Uuid::new_v4().simple());
    let told = json!({"name": key, "contentType": TYPE, "crc32c": sum::text(sum::of(body))});
    let head = format!(
        "--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{told}\r\n--{boundary}\r\ncontent-type: {TYPE}\r\n\r\n"
    );
    let parts = [head.as_bytes(), body, format!("\r\n--{boundary}--\r\n").as_bytes()].concat();
    let mut query = vec![("uploadType", "multipart"), ("name", key)];
    query.extend(is_new.then_some(("ifGenerationMatch", "0")));
    query.extend(store.kms_key.as_deref().map(|key| ("kmsKeyName", key)));
    let request = store.client.request(Method::POST, &store.uploads(), &query);
    let request = request.header("content-type", format!("multipart/related; boundary={boundary}")).body(parts);
    read(INSERT, store.client.send(INSERT, bound, request).await?).await
}

pub(super) async fn begin(store: &GcsStore, key: &str) -> Result<Begun, Failed> {
    let operation = "BeginUpload";
    let mut query = vec![("uploadType", "resumable"), ("name", key)];
    query.extend(store.kms_key.as_deref().map(|key| ("kmsKeyName", key)));
    let request = store.client.request(Method::POST, &store.uploads(), &query);
    let request = request.header("x-upload-content-type", TYPE).json(&json!({"name": key, "contentType": TYPE}));
    let answer = store.client.send(operation, CALL, request).await?;
    let id = answer.headers().get("location").and_then(|place| id_of(place.to_str().ok()?));
    let id = id.ok_or_else(|| Failed::new(Kind::Other, operation, "an upload without an id"))?;
    Ok(Begun { id, unsure: Arc::default() })
}

/// The session's id. The rest of its address is ours to know.
fn id_of(place: &str) -> Option<String> {
    let place = Url::parse(place).ok()?;
    let (_, id) = place.query_pairs().find(|(name, _)| name == "upload_id")?;
    (!id.is_empty()).then(|| id.into_owned())
}

/// Sends the whole steps of a part.
pub(super) async fn part(
    store: &GcsStore,
    key: &str,
    begun: &Begun,
    place: Place,
    body: Bytes,
) -> Result<Part, Failed> {
    let (sum, mut steps) = (sum::of(&body), body);
    let step = usize::try_from(STEP).unwrap_or(usize::MAX);
    let rest = steps.split_off(steps.len() - steps.len() % step);
    if !steps.is_empty() {
        go_on(store, key, begun, place.offset, &steps, None).await?;
    }
    Ok(Part { sum, rest })
}

/// Sends what the last part left, and where the object ends.
pub(super) async fn complete(store: &GcsStore, key: &str, begun: &Begun, parts: &[Sent<Part>]) -> Result<(), Failed> {
    let size: u64 = parts.iter().map(|sent| sent.bytes).sum();
    let rest = parts.last().map(|sent| sent.part.rest.clone()).unwrap_or_default();
    let end = End { size, sum: sum::text(self::sum(parts)) };
    let done = go_on(store, key, begun, size - rest.len() as u64, &rest, Some(&end)).await;
    done.map_err(|failed| match failed.kind {
        // What the session has can't be changed any more.
        Kind::Garbled => Failed::new(Kind::Other, FINISH, "what arrived is not what was sent"),
        _ => failed,
    })
}

/// The checksum of the whole, from those of its parts in order.
pub(super) fn sum(parts: &[Sent<Part>]) -> u64 {
    parts.iter().fold(sum::of(b""), |sum, sent| sum::joined(sum, sent.part.sum, sent.bytes))
}

/// Frees what a session has. The service says 499 to that.
pub(super) async fn abandon(store: &GcsStore, key: &str, begun: &Begun) -> Result<(), Failed> {
    let request = store.client.request(Method::DELETE, &store.uploads(), &query(key, begun));
    let is_gone = |status| matches!(status, 200..300 | 404 | 410 | 499);
    store.client.ask("AbortUpload", CALL, request.body(""), is_gone).await.map(|_| ())
}

const FINISH: &str = "FinishUpload";

/// Where an object ends.
struct End {
    size: u64,
    sum: String,
}

fn query<'q>(key: &'q str, begun: &'q Begun) -> [(&'static str, &'q str); 3] {
    [("uploadType", "resumable"), ("name", key), ("upload_id", &begun.id)]
}

/// Brings a session to the end of these bytes, which begin at `from`, and to the object's end where it is told.
async fn go_on(
    store: &GcsStore,
    key: &str,
    begun: &Begun,
    from: u64,
    bytes: &Bytes,
    end: Option<&End>,
) -> Result<(), Failed> {
    let operation = if end.is_some() { FINISH } else { "UploadPart" };
    let behind = from + bytes.len() as u64;
    let mut at = from;
    if begun.unsure.load(Ordering::Relaxed) {
        match tell(store, key, begun, "UploadStatus", "bytes */*".to_owned(), Bytes::new(), None).await? {
            State::Done => return Ok(()),
            State::Has(kept) => at = kept,
        }
    }
    loop {
        if at < from || at > behind {
            return Err(Failed::new(Kind::Other, operation, "the session does not have what it had"));
        }
        let rest = bytes.slice(usize::try_from(at - from).unwrap_or(usize::MAX)..);
        let range = match (rest.is_empty(), end) {
            (true, None) => return Ok(()),
            (true, Some(end)) => format!("bytes */{}", end.size),
            (false, Some(end)) => format!("bytes {at}-{}/{}", behind - 1, end.size),
            (false, None) => format!("bytes {at}-{}/*", behind - 1),
        };
        match tell(store, key, begun, operation, range, rest, end).await? {
            State::Done => return Ok(()),
            State::Has(kept) if kept > at => at = kept,
            State::Has(_) => return Err(Failed::new(Kind::Unanswered, operation, "the session took nothing")),
        }
    }
}

/// One request to a session.
async fn tell(
    store: &GcsStore,
    key: &str,
    begun: &Begun,
    operation: &'static str,
    range: String,
    bytes: Bytes,
    end: Option<&End>,
) -> Result<State, Failed> {
    let request = store.client.request(Method::PUT, &store.uploads(), &query(key, begun));
    let mut request = request.header("content-range", range).header("content-length", bytes.len()).body(bytes);
    if let Some(end) = end {
        request = request.header("x-goog-hash", format!("crc32c={}", end.sum));
    }
    begun.unsure.store(true, Ordering::Relaxed);
    let bound = if end.is_some() { COMPLETE } else { PART };
    let is_told = |status| matches!(status, 200 | 201 | 308);
    let answer = store.client.ask(operation, bound, request, is_told).await?;
    begun.unsure.store(false, Ordering::Relaxed);
    Ok(if answer.status() == 308 { State::Has(kept(&answer)) } else { State::Done })
}

/// The bytes that a session says it keeps; without a word it keeps none.
fn kept(answer: &Response) -> u64 {
    let range = answer.headers().get("range").and_then(|range| range.to_str().ok());
    let last = range.and_then(|range| range.trim().strip_prefix("bytes=0-")?.parse::<u64>().ok());
    last.map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_sessions_address_only_the_id_is_taken() {
        let place = "https://evil.example/elsewhere?uploadType=resumable&name=x&upload_id=AB%20c-_%2F1";
        assert_eq!(id_of(place).as_deref(), Some("AB c-_/1"));
        for place in ["", "/upload?upload_id=x", "https://storage.googleapis.com/upload?upload_id=", "https://h/?id=1"]
        {
            assert_eq!(id_of(place), None, "{place}");
        }
    }

    #[test]
    fn the_whole_is_summed_up_from_its_parts() {
        let sent = |number, bytes: &'static [u8]| Sent {
            number,
            bytes: bytes.len() as u64,
            part: Part { sum: sum::of(bytes), rest: Bytes::new() },
        };
        assert_eq!(sum(&[sent(1, b"1234"), sent(2, b""), sent(3, b"56789")]), 0xe306_9283);
        assert_eq!(sum(&[]), sum::of(b""));
    }
}

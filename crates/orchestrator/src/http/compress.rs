//! Answers in gzip, for readers that ask for it: lists and objects, never live streams and never what holds a token.
//!
//! Only answers to reads are packed: they hold no secret, so that their length tells nothing of one.

use std::collections::HashMap;
use std::io::Write;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Shorter ones do not get shorter.
const WORTH_IT: u64 = 1_024;
/// What the tag of a packed answer ends with: a tag names bytes, and these are other bytes.
const MARK: &str = "-gzip\"";

/// Whether a request is a read whose reader takes gzip.
pub(super) fn wanted(method: &Method, headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings = lists.flat_map(|list| list.split(',')).map(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
        (name, weight.unwrap_or(0.0))
    });
    let codings: HashMap<String, f32> = codings.collect();
    let weight = codings.get("gzip").or_else(|| codings.get("*")).copied().unwrap_or(0.0);
    *method == Method::GET && weight > 0.0
}

/// The tag without the mark of a packed answer: both name the same version.
pub(super) fn plain_tag(tag: String) -> String {
    match tag.strip_suffix(MARK) {
        Some(plain) => format!("{plain}\""),
        None => tag,
    }
}

/// The answer, packed where it is whole, long enough and text.
pub(super) async fn pack(wanted: bool, mut response: Response) -> Response {
    if !packable(&response) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    if !wanted || response.body().size_hint().exact().is_none_or(|length| length < WORTH_IT) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(plain) = axum::body::to_bytes(body, usize::MAX).await else {
        return Response::from_parts(parts, Body::empty());
    };
    let bytes = plain.clone();
    let Ok(Some(packed)) = tokio::task::spawn_blocking(move || gzip(&bytes)).await else {
        return Response::from_parts(parts, plain.into());
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let tag = parts.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).and_then(|tag| tag.strip_suffix('"'));
    if let Some(tag) = tag.and_then(|tag| HeaderValue::from_str(&format!("{tag}{MARK}")).ok()) {
        parts.headers.insert(header::ETAG, tag);
    }
    Response::from_parts(parts, packed.into())
}

/// JSON and plain text that came whole and are not packed yet.
fn packable(response: &Response) -> bool {
    let media = response.headers().get(header::CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let text = ["application/json", "text/plain"].iter().any(|known| media.starts_with(known));
    response.status() == StatusCode::OK && text && !response.headers().contains_key(header::CONTENT_ENCODING)
}

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packer = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::fast());
    packer.write_all(bytes).ok()?;
    packer.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_wanted_where_it_is_named_and_not_refused() {
        let asks = |text: &str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, text.parse().expect("a header"))]);
            wanted(&Method::GET, &headers)
        };
        for text in ["gzip", "br, gzip", "GZIP;q=0.5", "*", "br;q=1.0, *;q=0.1"] {
            assert!(asks(text), "{text}");
        }
        for text in ["", "br", "identity", "gzip;q=0", "gzip;q=0, *", "gzip;q=x", "*;q=0"] {
            assert!(!asks(text), "{text}");
        }
        assert!(!wanted(&Method::GET, &HeaderMap::new()));
    }

    #[test]
    fn the_tag_of_a_packed_answer_names_the_same_version() {
        assert_eq!(plain_tag("\"3-5f-gzip\"".into()), "\"3-5f\"");
        assert_eq!(plain_tag("\"3-5f\"".into()), "\"3-5f\"");
    }
}

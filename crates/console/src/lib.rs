//! The web console as bytes: the files that `web/` was built into, and how a browser gets them.
//!
//! It answers reads of pages and assets, with every header that keeps a browser safe. It knows no user, no token and no row: all that a
//! page shows comes from the API, by the browser's own requests.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

mod accept;

/// One file of the build.
#[derive(Clone, Copy, Debug)]
struct Asset {
    path: &'static str,
    plain: &'static [u8],
    br: Option<&'static [u8]>,
    gz: Option<&'static [u8]>,
}

/// Empty where the console was not built before this crate.
static ASSETS: &[Asset] = include!(concat!(env!("OUT_DIR"), "/assets.rs"));

const INDEX: &str = "/index.html";
/// Names below it hold a hash of their content.
const HASHED: &str = "/assets/";

/// What pages may do: scripts, styles and requests of this server only, no frame, no form, no text made into markup or script.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                          font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; \
                          require-trusted-types-for 'script'; trusted-types 'none'";

/// What is said where the console was not built.
const UNBUILT: &str = include_str!("unbuilt.html");

/// Whether the console was built before this crate was.
#[must_use]
pub fn is_built() -> bool {
    ASSETS.iter().any(|asset| asset.path == INDEX)
}

/// The answer to a read of the console; none where it has nothing of that name, or where the request is not one of a browser.
///
/// Any other path that a browser opens as a page is the console's own to resolve. The caller keeps the paths of its API out.
#[must_use]
pub fn answer(method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    answer_of(ASSETS, method, path, headers)
}

fn answer_of(assets: &[Asset], method: &Method, path: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
    if *method != Method::GET && *method != Method::HEAD {
        return None;
    }
    let file = |path: &str| assets.iter().find(|asset| asset.path == path).copied();
    if let Some(asset) = file(path).filter(|asset| asset.path != INDEX) {
        return Some(respond(asset, headers));
    }
    // A missing file is missing: a page in its place would be run as a script, and hide that a name is old.
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_page = path == "/" || (!last.contains('.') && accept::takes_html(headers));
    if !is_page || path.starts_with(HASHED) {
        return None;
    }
    Some(match file(INDEX) {
        Some(index) => respond(index, headers),
        None => finish(StatusCode::SERVICE_UNAVAILABLE, INDEX, Bytes::from_static(UNBUILT.as_bytes())),
    })
}

fn respond(asset: Asset, headers: &HeaderMap) -> Response<Bytes> {
    let (coding, body) = match accept::coding(headers, asset.br.is_some(), asset.gz.is_some()) {
        accept::Coding::Brotli => (Some("br"), asset.br),
        accept::Coding::Gzip => (Some("gzip"), asset.gz),
        accept::Coding::Plain => (None, None),
    };
    let mut response = finish(StatusCode::OK, asset.path, Bytes::from_static(body.unwrap_or(asset.plain)));
    let into = response.headers_mut();
    if let Some(coding) = coding {
        into.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    if asset.br.is_some() || asset.gz.is_some() {
        into.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

fn finish(status: StatusCode, path: &str, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let cached = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-store" };
    for (name, value) in [
        (header::CONTENT_TYPE, media(path)),
        (header::CACHE_CONTROL, cached),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), usb=()"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn media(path: &str) -> &'static str {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;

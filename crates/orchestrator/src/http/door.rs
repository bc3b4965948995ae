//! The outermost layer: names the request, bounds its time, and gives every refusal its final shape.

use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use waybill_api::problem::MEDIA_TYPE;
use waybill_api::{Problem, ProblemCode};
use waybill_model::id::RequestId;

use super::{App, compress};
use crate::auth::address;
use crate::service::Refused;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// An answer of the console.
#[derive(Clone, Copy)]
pub(super) struct OfConsole;

/// A refusal on its way out; [`answer`] makes the body of it.
#[derive(Clone)]
struct Pending(Problem);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(wait) = self.retry_after {
            // Never 0: a client would come back at once.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.code == ProblemCode::TokenInvalid {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(Pending(self.into_problem()));
        response
    }
}

pub(super) async fn other_method() -> Refused {
    Refused::from(ProblemCode::MethodNotAllowed)
}

/// Runs the request and finishes its answer.
pub(super) async fn answer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("none".to_owned(), |route| route.as_str().to_owned());
    let packed = compress::wanted(&method, request.headers());
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let from = peer.map(|peer| address::client(peer, request.headers(), &app.limits.trusted_proxies));
    request.extensions_mut().insert(CameFrom(from));
    let begun = Instant::now();
    let work = tokio::time::timeout(app.limits.timeout, AssertUnwindSafe(next.run(request)).catch_unwind());
    let mut response = match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            tracing::error!(request = %id, %method, %route, "a request panicked");
            Refused::from(ProblemCode::Internal).into_response()
        }
        Err(_) => {
            tracing::warn!(request = %id, %method, %route, "a request took too long");
            Refused::new(ProblemCode::Unavailable, "the request took too long")
                .after(std::time::Duration::from_secs(2))
                .into_response()
        }
    };
    crate::metrics::request(&method, &route, response.status(), begun.elapsed());
    finish(&mut response, &path, &id);
    compress::pack(packed, response).await
}

/// The address that a request came from, where it came over a connection.
#[derive(Clone, Copy)]
pub(super) struct CameFrom(pub(super) Option<IpAddr>);

/// The client's own name for the request where it is harmless, a fresh one otherwise.
fn request_id(request: &Request) -> String {
    let given = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
    let harmless = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    given.filter(harmless).map_or_else(|| RequestId::generate().to_string(), str::to_owned)
}

fn finish(response: &mut Response, path: &str, id: &str) {
    let ours = response.extensions().get::<OfConsole>().is_some();
    let refused = response.extensions_mut().remove::<Pending>().map(|pending| pending.0);
    // What a library answers by itself has no problem yet.
    let refused = refused.or_else(|| {
        let status = response.status();
        (!ours && (status.is_client_error() || status.is_server_error())).then(|| generic(status).problem())
    });
    if let Some(mut problem) = refused {
        problem.instance = path.to_owned();
        problem.request_id = id.to_owned();
        *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        *response.body_mut() = body.into();
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(&REQUEST_ID, id);
    }
    // The console's pages come with headers of their own, which let a browser run what they name.
    if ours {
        return;
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

fn generic(status: StatusCode) -> ProblemCode {
    match status {
        StatusCode::NOT_FOUND => ProblemCode::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => ProblemCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ProblemCode::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ProblemCode::MediaTypeUnsupported,
        StatusCode::UNAUTHORIZED => ProblemCode::TokenInvalid,
        status if status.is_client_error() => ProblemCode::ParameterInvalid,
        _ => ProblemCode::Internal,
    }
}

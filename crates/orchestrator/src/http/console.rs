//! The web console, where no operation of the API has the path. It serves files and never speaks for the API: below its prefixes
//! what is not there stays a problem.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use waybill_api::ProblemCode;

use super::door::OfConsole;
use crate::service::Refused;

/// Paths that are never a page: the API's, and gRPC's, which begin with the name of a package.
const NO_PAGES: &[&str] = &["/v1", "/waybill.", "/grpc."];

/// A page or an asset of the console, or the problem that there is nothing.
pub(super) async fn page_or_nothing(request: Request) -> Response {
    let path = request.uri().path();
    let is_api = NO_PAGES.iter().any(|prefix| {
        path.strip_prefix(prefix).is_some_and(|rest| prefix.ends_with('.') || rest.is_empty() || rest.starts_with('/'))
    });
    let page = if is_api { None } else { waybill_console::answer(request.method(), path, request.headers()) };
    match page {
        Some(page) => {
            let mut response = page.map(Body::from);
            response.extensions_mut().insert(OfConsole);
            response
        }
        None => Refused::from(ProblemCode::NotFound).into_response(),
    }
}

//! The private listener: health, readiness and metrics. Plain HTTP, no login: it must not be reachable from outside.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

use super::App;

/// The routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(app)
}

/// Ready: the database answers, every loop has turned of late, and the server does not stop.
async fn ready(State(app): State<App>) -> Response {
    let stopping = app.stop.is_cancelled();
    let database = app.store.ready().await.is_ok();
    let stale = app.stale_loops();
    let status =
        if database && stale.is_empty() && !stopping { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body =
        json!({ "ready": status == StatusCode::OK, "database": database, "stale_loops": stale, "stopping": stopping });
    (status, axum::Json(body)).into_response()
}

async fn metrics(State(app): State<App>) -> Response {
    let text = crate::metrics::render(&app).await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

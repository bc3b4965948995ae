//! The console beside the API: one answers where the other has nothing, and neither in the other's place.

use super::*;

async fn ask(world: &World, method: Method, path: &str) -> (StatusCode, axum::http::HeaderMap) {
    let request = Request::builder().method(method).uri(path).header("accept", "text/html,*/*;q=0.8");
    let request = request.body(Body::empty()).expect("a request");
    let response = crate::http::router(Arc::clone(&world.app)).oneshot(request).await.expect("an answer");
    (response.status(), response.headers().clone())
}

#[tokio::test]
async fn t22_a_path_of_the_api_is_never_a_page() {
    let world = World::new().await;
    let page = if waybill_console::is_built() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    for path in ["/", "/pipelines", "/runs/run_01", "/v1x"] {
        let (status, headers) = ask(&world, Method::GET, path).await;
        assert_eq!(status, page, "{path}");
        assert_eq!(headers["content-security-policy"], waybill_console::POLICY, "{path}");
        assert!(headers.contains_key("x-request-id"));
    }
    for path in [
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/runs/../nothing",
        "/waybill.worker.v1.Worker/Report",
        "/grpc.x",
        "/assets/old.js",
    ] {
        let (status, headers) = ask(&world, Method::GET, path).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'", "{path}");
    }
    assert_eq!(ask(&world, Method::POST, "/pipelines").await.0, StatusCode::NOT_FOUND);
}

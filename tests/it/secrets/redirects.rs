//! Redirects: whatever place one names, no client of the worker goes there, and what it would have said stays unsaid.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use tokio::net::TcpListener;

use super::vault::by_role;
use super::{Environment, Story};

/// The most that one step tries.
const TRIES: usize = 3;

/// A server that sends everybody elsewhere, and the place that it sends them to.
struct Detour {
    address: String,
    asked: Arc<AtomicUsize>,
    reached: Arc<AtomicUsize>,
}

impl Detour {
    /// `to` is the address that it names: `{there}` is a listener that counts whoever comes, `{here}` is the server itself.
    async fn to(status: StatusCode, to: &str) -> Self {
        let (asked, reached) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let there = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let server = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = server.local_addr().expect("an address").to_string();
        let place =
            to.replace("{there}", &there.local_addr().expect("an address").to_string()).replace("{here}", &address);
        let (count, came) = (Arc::clone(&asked), Arc::clone(&reached));
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            async move { (status, [(header::LOCATION, place)]).into_response() }
        };
        tokio::spawn(async move { axum::serve(server, Router::new().fallback(answer)).await.expect("serves") });
        tokio::spawn(async move {
            while there.accept().await.is_ok() {
                came.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { address: format!("http://{address}"), asked, reached }
    }

    fn counts(&self) -> (usize, usize) {
        (self.asked.load(Ordering::SeqCst), self.reached.load(Ordering::SeqCst))
    }
}

/// A worker's environment in which AWS is this address.
pub(super) fn aws(endpoint: String) -> Environment {
    vec![
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_REGION", "eu-central-1".into()),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".into()),
        ("AWS_SECRET_ACCESS_KEY", "not a key".into()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_no_redirect_is_followed_wherever_it_leads() {
    let story = Story::with("unused").await;
    let ids = ("role".to_owned(), "secret".to_owned());
    for place in [
        "http://{there}/v1/",
        "https://{there}/",
        "//{there}/v1/",
        "gopher://{there}/_x",
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        // Back to the server itself, without end.
        "http://{here}/v1/",
    ] {
        for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::TEMPORARY_REDIRECT] {
            let server = Detour::to(status, place).await;
            let role = by_role(&story, server.address.clone(), &ids);
            story.refused("vault://kv/shop#password", &role, "secret_unreachable", &["redirects"]).await;
            let (asked, reached) = server.counts();
            assert!((1..=TRIES).contains(&asked) && reached == 0, "{place}: {asked} asked, {reached} went there");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_a_redirect_of_a_cloud_or_of_a_bucket_is_not_followed() {
    let story = Story::with("unused").await;
    for reference in ["aws-sm://shop/db#password", "aws-ssm://shop/password"] {
        let server = Detour::to(StatusCode::TEMPORARY_REDIRECT, "http://{there}/").await;
        let ended = story.once(reference, &aws(server.address.clone())).await;
        let (asked, reached) = server.counts();
        assert_eq!(ended.exit, Some(10), "{reference}: {}", ended.said);
        assert!(ended.said.contains("secret_") && asked >= 1 && reached == 0, "{asked}, {reached}: {}", ended.said);
    }
    let server = Detour::to(StatusCode::TEMPORARY_REDIRECT, "http://{there}/").await;
    let lake = format!("type: s3, bucket: lake, region: eu-central-1, endpoint: \"{}\"", server.address);
    let mut worker = story.worker("env://PASSWORD", &aws(server.address.clone()));
    let text = std::fs::read_to_string(story.path("shop.yaml")).expect("the document");
    let local = format!("type: local, path: '{}'", story.path("lake").display());
    assert!(text.contains(&local), "{text}");
    std::fs::write(story.path("shop.yaml"), text.replace(&local, &lake)).expect("write");
    let output = worker.env("PASSWORD", "unused").output().await.expect("run the worker");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let (asked, reached) = server.counts();
    assert_eq!(output.status.code(), Some(10), "{said}");
    assert!(said.contains("bucket_") && asked >= 1 && reached == 0, "{asked} asked, {reached} went there: {said}");
}

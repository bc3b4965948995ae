//! Servers that keep no secrets and answer as if they did: each lie is told by the reference, in bounded time and memory, and
//! nothing of what was said is repeated.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Method;
use futures::stream;
use tokio::net::TcpListener;
use tokio::process::Command;

use super::vault::by_role;
use super::{Story, redirects};

/// What must not be repeated.
const SAID: &str = "a-text-of-the-liar";

/// A body: what is said, or as much as anybody reads.
#[derive(Clone, Copy)]
enum Lie {
    Says(&'static str),
    Endless,
}

impl Lie {
    fn body(self) -> Body {
        match self {
            Self::Says(text) => text.replace("SAID", SAID).into(),
            Self::Endless => {
                let piece = Bytes::from(SAID.repeat(4_096));
                Body::from_stream(stream::repeat_with(move || Ok::<_, Infallible>(piece.clone())))
            }
        }
    }
}

/// A server that answers 200 to everybody: `to_login` to POST, `to_read` to the rest. Its address, and how often it was asked.
async fn liar(to_login: Lie, to_read: Lie) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let answer = move |method: Method| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { if method == Method::POST { to_login.body() } else { to_read.body() } }
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await.expect("serves") });
    (address, asked)
}

const LOGIN: Lie = Lie::Says(r#"{"auth":{"client_token":"SAID"}}"#);

async fn refused(story: &Story, reference: &str, environment: super::Environment, hint: &str) {
    let began = Instant::now();
    let ended = bounded(story, reference, &environment).output().await.expect("run the worker");
    let ended = super::Ended::of(ended);
    assert!(began.elapsed() < Duration::from_secs(60), "{reference}: it took {:?}", began.elapsed());
    let told = [reference, hint, "secret_"].iter().all(|part| ended.said.contains(part));
    assert!(ended.exit == Some(10) && told, "{hint}: {:?} {}", ended.exit, ended.said);
    assert!(!ended.said.contains(SAID), "{hint}: {}", ended.said);
}

/// The worker with as much address space as it needs to say so, and no room for what a liar sends in ten seconds.
fn bounded(story: &Story, reference: &str, environment: &[super::Variable]) -> Command {
    let worker = story.worker(reference, environment);
    let worker = worker.as_std();
    let mut command = Command::new("prlimit");
    command.arg("--as=1500000000").arg(worker.get_program()).args(worker.get_args());
    command.env_clear().envs(worker.get_envs().filter_map(|(name, value)| Some((name, value?)))).kill_on_drop(true);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_a_server_of_secrets_that_lies_is_told_by_the_reference_and_not_repeated() {
    let story = Story::with("unused").await;
    let ids = ("role".to_owned(), "secret".to_owned());
    for (to_login, to_read, hint) in [
        (LOGIN, Lie::Says("<html>SAID</html>"), "no document of a KV engine of version 2"),
        (LOGIN, Lie::Says(""), "no document of a KV engine of version 2"),
        (LOGIN, Lie::Says(r#"{"data":"SAID"}"#), "no document of a KV engine of version 2"),
        (LOGIN, Lie::Says(r#"{"data":{"data":{"other":"SAID"}}}"#), "has no such key"),
        (LOGIN, Lie::Says(r#"{"data":{"data":{"password":["SAID"]}}}"#), "no text under that key"),
        (LOGIN, Lie::Says(r#"{"data":{"data":{"password":"SAID","password":"SAID"}}}"#), "no document"),
        (LOGIN, Lie::Says(r#"{"data":{"data":{"password":""}}}"#), "is empty"),
        (LOGIN, Lie::Endless, "longer than 1 MiB"),
        (Lie::Says("<html>SAID</html>"), Lie::Says("{}"), "log"),
        (Lie::Says(r#"{"auth":{"client_token":"SAID\nx-more: 1"}}"#), Lie::Says("{}"), "token"),
        (Lie::Endless, Lie::Says("{}"), "longer than 1 MiB"),
    ] {
        let (address, asked) = liar(to_login, to_read).await;
        refused(&story, "vault://kv/shop#password", by_role(&story, address, &ids), hint).await;
        assert!(asked.load(Ordering::SeqCst) >= 1, "{hint}: nobody asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t14_an_aws_that_lies_about_a_secret_is_told_by_the_reference_and_not_repeated() {
    let story = Story::with("unused").await;
    for (reference, says, hint) in [
        ("aws-sm://shop/db#password", Lie::Says("<html>SAID</html>"), "answer"),
        ("aws-sm://shop/db#password", Lie::Says("{}"), "only text"),
        ("aws-sm://shop/db#password", Lie::Says(r#"{"SecretString":["SAID"]}"#), "answer"),
        ("aws-sm://shop/db#password", Lie::Says(r#"{"SecretString":"SAID"}"#), "no JSON object"),
        ("aws-sm://shop/db#password", Lie::Endless, "is not whole"),
        ("aws-ssm:///shop/password", Lie::Says("<html>SAID</html>"), "answer"),
        ("aws-ssm:///shop/password", Lie::Says(r#"{"Parameter":{"Value":7}}"#), "answer"),
        ("aws-ssm:///shop/password", Lie::Endless, "is not whole"),
    ] {
        let (address, asked) = liar(says, says).await;
        refused(&story, reference, redirects::aws(address), hint).await;
        assert!(asked.load(Ordering::SeqCst) >= 1, "{reference}: nobody asked");
    }
}

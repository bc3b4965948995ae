//! What stands where a task asks for its role's session, with sessions that end soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::routing::get;
use axum::{Json, Router};
use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::json;
use tokio::net::TcpListener;

use super::s3_proxy::S3Proxy;

/// How long a session lasts before the fault. The SDK asks for the next one up to ten seconds before its end.
const SHORT: TimeDelta = TimeDelta::seconds(12);

/// What stands where a task asks for its role's session, as the agent of a task does.
pub struct Sessions {
    /// Its URL, as `AWS_CONTAINER_CREDENTIALS_FULL_URI` takes it.
    pub address: String,
    given: Arc<AtomicUsize>,
    /// Sessions last from now on.
    long: Arc<AtomicBool>,
}

fn key(number: usize) -> String {
    format!("ASIASESSION{number}")
}

impl Sessions {
    /// Starts it on loopback.
    ///
    /// # Panics
    /// Where no port can be had.
    pub async fn start() -> Self {
        let (given, long) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, lasts) = (Arc::clone(&given), Arc::clone(&long));
        let session = move || async move {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            let life = if lasts.load(Ordering::SeqCst) { TimeDelta::hours(1) } else { SHORT };
            Json(json!({
                "AccessKeyId": key(number), "SecretAccessKey": "not a key", "Token": "a token",
                "Expiration": (Utc::now() + life).to_rfc3339_opts(SecondsFormat::Secs, true),
            }))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/session", listener.local_addr().expect("an address"));
        let router = Router::new().route("/session", get(session));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { address, given, long }
    }

    /// How many sessions were given.
    #[must_use]
    pub fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }

    /// From now on the store refuses every session that was given, as over; those that are given next last.
    pub fn end_at(&self, proxy: &S3Proxy) {
        (1..=self.given()).for_each(|number| proxy.end_session(&key(number)));
        self.long.store(true, Ordering::SeqCst);
    }
}

//! One public port with two names: people and enrolment by one, workers with their certificates by the other.

use std::net::TcpListener;

use anyhow::{Context as _, Result, ensure};
use waybill_tests::sandbox::Options;

use super::story::{ROWS, Story, succeeded};

/// A port that was free a moment ago: both sides have to be told the same one.
fn port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// People come by the address, workers by the name.
async fn one_port() -> Result<(Story, u16)> {
    let mut last = None;
    for _ in 0..5 {
        let port = port()?;
        let address = format!("127.0.0.1:{port}");
        let options = Options::default()
            .with("SERVER__API", &address)
            .with("SERVER__WORKER", &address)
            .with("SERVER__NAMES", "127.0.0.1,localhost")
            .with("SERVER__PUBLIC_API", &address)
            .with("SERVER__PUBLIC_WORKER", &format!("localhost:{port}"));
        match Story::start("full", |_| Ok(options)).await {
            Ok(story) => return Ok((story, port)),
            // Somebody else may have taken the port meanwhile.
            Err(error) => last = Some(error),
        }
    }
    Err(last.context("no try was made")?)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_workers_come_to_one_port_by_two_names() -> Result<()> {
    let (story, port) = one_port().await?;
    let ports = story.sandbox.ports()?;
    ensure!(ports.api == ports.worker && ports.api.ends_with(&format!(":{port}")), "{} {}", ports.api, ports.worker);
    let run = story.sandbox.trigger("items").await?;
    succeeded(&story.sandbox.ended(run).await?)?;
    story.table_is_exactly(ROWS)?;

    // Whoever asks for the workers' name has to show a certificate, and hears nothing of the API's there.
    let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build()?;
    let asked = |host: &str| client.get(format!("https://{host}:{port}/v1/runs")).send();
    ensure!(asked("127.0.0.1").await?.status() == 401, "the API does not answer by its own name");
    let refused = asked("localhost").await;
    ensure!(refused.is_err(), "the workers' side answered without a certificate: {refused:?}");
    Ok(())
}

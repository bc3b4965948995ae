//! A new key and certificate at half of the life, and a channel that presents them. The old channel serves until then.

use std::sync::Arc;
use std::time::Duration;

use waybill_identity::{WorkerKey, client};
use waybill_pipeline::Directive;
use waybill_protocol::pb::worker::RenewRequest;

use super::channel::{self, Backoff};
use super::{LinkError, Shared};

/// Renews until the attempt is fenced.
pub(super) async fn run(shared: Arc<Shared>, roots: Vec<Vec<u8>>, mut life: Duration) {
    let mut pause = Backoff::default();
    loop {
        tokio::time::sleep(life / 2).await;
        loop {
            match renew(&shared, &roots).await {
                Ok(Some(left)) => {
                    life = left;
                    pause.reset();
                    break;
                }
                // Away for now. When the certificate ends before an answer comes, the offline grace decides.
                Ok(None) => pause.wait().await,
                Err(LinkError::Fenced) => {
                    shared.switch.raise(Directive::Fenced);
                    return;
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "the certificate can't be renewed");
                    return;
                }
            }
        }
    }
}

/// One try; what is left of the new certificate's life, or nothing if no answer came.
async fn renew(shared: &Shared, roots: &[Vec<u8>]) -> Result<Option<Duration>, LinkError> {
    let key = WorkerKey::generate()?;
    let cleared = shared.egress.clear(RenewRequest { csr: key.request()? })?;
    let mut client = shared.channels.client();
    let call = client.renew(cleared.into_request());
    let answer = match channel::bounded(shared.assignment.bounds.heartbeat, call).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return channel::unless_final(&status).map(|()| None),
    };
    shared.heard();
    shared.channels.replace(client::worker(roots, &answer.certificate_chain, &key)?)?;
    tracing::debug!("the certificate was renewed");
    Ok(Some(Duration::from_millis(answer.life_ms)))
}

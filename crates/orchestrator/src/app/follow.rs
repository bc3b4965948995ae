//! Keeps up with what other processes decide: revoked identities in the database, keys in the key directory.

use std::sync::Arc;
use std::time::Duration;

use waybill_identity::DenyList;

use super::Shared;

/// Between two looks. A revocation holds everywhere within 5 seconds; a new key signs after a longer time than this.
const LOOK: Duration = Duration::from_secs(2);

/// Looks again and again until the server stops.
pub(super) async fn follow(shared: Arc<Shared>, deny: Arc<DenyList>) {
    loop {
        look(&shared, &deny).await;
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn look(shared: &Shared, deny: &DenyList) {
    match shared.tokens.reload() {
        Ok(true) => tracing::info!("the keys of access tokens have changed"),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "the keys of access tokens can't be read anew");
        }
    }
    match shared.store.denial_list().await {
        Ok(denied) => {
            for attempt in denied {
                // Each change wakes every open stream, so only what is new is told.
                if !deny.denies_attempt(attempt) {
                    tracing::warn!(attempt.id = %attempt, "an attempt was revoked by another process");
                    deny.revoke_attempt(attempt);
                }
            }
        }
        Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "the revoked identities can't be read"),
    }
}

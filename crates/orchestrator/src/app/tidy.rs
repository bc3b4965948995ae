//! Removes what ended attempts left with the process launcher, at the start and every hour. An attempt that the database
//! calls open is never touched.

use std::collections::HashSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use waybill_launcher::ProcessLauncher;
use waybill_launcher::process::Keep;
use waybill_model::AttemptId;
use waybill_store::{Store, StoreResult};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(60 * 60);

/// Attempts that are read at once.
const BATCH: i64 = 500;

/// Tidies up until `stop`.
pub(super) async fn tidy(launcher: ProcessLauncher, keep: Keep, store: Store, stop: CancellationToken) {
    loop {
        match live(&store).await {
            Ok(live) => {
                let launcher = launcher.clone();
                match tokio::task::spawn_blocking(move || launcher.sweep(keep, &live)).await {
                    Ok(Ok(0)) | Err(_) => {}
                    Ok(Ok(removed)) => tracing::info!(removed, "removed directories of attempts that are over"),
                    Ok(Err(error)) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "old attempts could not be removed");
                    }
                }
            }
            // Without knowing which attempts are live, none is removed.
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "live attempts could not be read"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Every attempt that is live or whose task may be.
async fn live(store: &Store) -> StoreResult<HashSet<AttemptId>> {
    let (mut live, mut after) = (HashSet::new(), None);
    loop {
        let open = store.attempt_open(after, BATCH).await?;
        live.extend(open.iter().map(|attempt| attempt.id));
        after = open.last().map(|attempt| attempt.id);
        if (open.len() as i64) < BATCH {
            return Ok(live);
        }
    }
}

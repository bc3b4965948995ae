//! How the task of a test ended: told in the run's timeline once it is known to be over, since somebody waits for it. The
//! image's digest is the cloud's own word, not the worker's.

use serde_json::json;
use waybill_launcher::{Launcher, TaskRef, TaskStatus};
use waybill_model::run::RunKind;
use waybill_store::{Attempt, Run, Store, StoreResult, Tx};

use super::super::Context;
use super::look::Seen;
use super::verdict::Verdict;
use crate::service::note::Note;

/// What is told of a task that is over.
pub(super) struct End {
    exit_code: Option<i32>,
    image: Option<String>,
}

/// The end of a test's task, where this verdict is that it is over. Asks the data plane once, within the bound of a look.
pub(super) async fn of_test(
    context: &Context,
    run: &Run,
    (verdict, seen): (Verdict, &Seen),
    launcher: Option<&dyn Launcher>,
) -> Option<End> {
    let is_over = matches!(verdict, Verdict::TaskOver | Verdict::Lost { over: true, .. });
    if run.kind != RunKind::Test || !is_over {
        return None;
    }
    let exit_code = match seen.status {
        TaskStatus::Stopped { exit_code, .. } => exit_code,
        _ => None,
    };
    let image = image(context, launcher?, seen.task.as_ref()?).await;
    Some(End { exit_code, image })
}

async fn image(context: &Context, launcher: &dyn Launcher, task: &TaskRef) -> Option<String> {
    let asked = tokio::time::timeout(context.bounds.look, launcher.image(task)).await;
    match asked {
        Ok(Ok(image)) => image,
        Ok(Err(error)) => {
            tracing::info!(error = &error as &dyn std::error::Error, "the image of a task could not be asked for");
            None
        }
        Err(_) => None,
    }
}

impl End {
    /// Tells it, in the transaction that takes the task for over.
    pub(super) async fn note(&self, tx: &mut Tx, attempt: &Attempt) -> StoreResult<()> {
        let body = json!({ "exit_code": self.exit_code, "image": self.image });
        let note = Note::TaskStopped.with(Some(attempt.id), body);
        Store::run_event_append_in_txn(tx, attempt.org, attempt.run, &[note]).await
    }
}

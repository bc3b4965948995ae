//! Follows a run until it has ended, the wait is over, or a person detaches. The run does not depend on any of it.

use std::future::pending;
use std::time::Duration;

use futures::StreamExt;
use tokio::signal::unix::{SignalKind, signal};
use waybill_api::client::Client;
use waybill_api::client::live::Live;
use waybill_api::run::RunDetail;
use waybill_model::run::RunState;

use crate::args::Wait;
use crate::exit::{Exit, Failure, Result};
use crate::output::Output;
use crate::progress::Progress;

/// A run as it was when the command stopped looking.
pub(crate) struct Ended {
    pub(crate) run: RunDetail,
    pub(crate) exit: Exit,
}

/// Follows `run` and says how it ended.
pub(crate) async fn follow(client: &Client, run: RunDetail, wait: Wait, output: &Output) -> Result<Ended> {
    let id = run.run.id;
    // One listener for the whole time: a Ctrl+C that comes between two looks is kept, and none ends us without a word.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|_| {
        Failure::new(Exit::Failed, "no_signals", "Ctrl+C can't be listened for").next(format!("waybill run show {id}"))
    })?;
    let mut progress = Progress::new(output.terminal);
    progress.take(run);
    let over = async {
        match wait.timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => pending().await,
        }
    };
    tokio::pin!(over);
    let mut live = std::pin::pin!(client.run_watch(id, 0));
    let mut clock = tokio::time::interval(Duration::from_millis(500));
    let stopped = loop {
        tokio::select! {
            said = live.next() => match said {
                Some(Ok(Live::Run(run))) => {
                    let is_final = run.run.state.known().is_some_and(RunState::is_final);
                    progress.take(*run);
                    if is_final {
                        break None;
                    }
                }
                Some(Ok(Live::Event(_))) => {}
                Some(Err(error)) => {
                    progress.clear();
                    return Err(Failure::from(error));
                }
                None => break None,
            },
            _ = clock.tick() => progress.draw(),
            () = &mut over => break Some("the wait is over"),
            _ = interrupt.recv() => break Some("detached"),
        }
    };
    progress.clear();
    if let Some(why) = stopped {
        output.say(&format!(
            "{why}; the run goes on. `waybill run watch {id}` follows it again, `waybill run cancel {id}` stops it"
        ));
        return Ok(Ended { run: client.run_get(id).await?, exit: Exit::TimedOut });
    }
    let run = client.run_get(id).await?;
    Ok(Ended { exit: exit_of(&run), run })
}

/// The exit code that tells how a run ended.
pub(crate) fn exit_of(detail: &RunDetail) -> Exit {
    match detail.run.state.known() {
        Some(RunState::Succeeded) => Exit::Done,
        Some(RunState::Failed) if detail.run.streams_delivered > 0 => Exit::RunPartly,
        Some(RunState::Failed) => Exit::RunFailed,
        Some(RunState::Canceled) => Exit::RunCanceled,
        Some(RunState::Queued | RunState::Launching | RunState::Running) | None => Exit::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waybill_api::Example;

    #[test]
    fn the_exit_code_tells_failed_partly_failed_and_canceled_apart() {
        let mut run = RunDetail::example();
        assert_eq!(exit_of(&run), Exit::RunPartly);
        run.run.streams_delivered = 0;
        assert_eq!(exit_of(&run), Exit::RunFailed);
        run.run.state = RunState::Canceled.into();
        assert_eq!(exit_of(&run), Exit::RunCanceled);
        run.run.state = RunState::Succeeded.into();
        assert_eq!(exit_of(&run), Exit::Done);
        run.run.state = RunState::Running.into();
        assert_eq!(exit_of(&run), Exit::TimedOut);
    }
}

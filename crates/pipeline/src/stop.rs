//! How a run is told to end: a switch that whoever steers holds, and a signal that every step of the engine obeys.
//!
//! A directive only ever rises (go on, drain, cancel, … fenced), so a late message cannot revive a run that was ended.

use tokio::sync::watch;
use waybill_model::FailureCode;

use crate::fault::Fault;

/// What the worker should do from now on; a later one wins only if it is stronger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Directive {
    /// Go on.
    #[default]
    Continue,
    /// Finish the streams that are under way, begin no others.
    Drain,
    /// End now: stop reading, abort uploads, report.
    Cancel,
    /// The longest run time is over: as cancel, and the failure is `run_timeout`.
    TimeOut,
    /// The guard does not allow it any more: as cancel, and the failure is that of the first refusal.
    Forbidden(FailureCode),
    /// Another attempt took over: stop at once and touch nothing.
    Fenced,
}

impl Directive {
    /// Of two directives the stronger one stays; of two equally strong ones the first.
    const fn strength(self) -> u8 {
        match self {
            Self::Continue => 0,
            Self::Drain => 1,
            Self::Cancel => 2,
            Self::TimeOut => 3,
            Self::Forbidden(_) => 4,
            Self::Fenced => 5,
        }
    }

    /// Why work must end at once; none while it may go on (a drain lets the streams under way finish).
    #[must_use]
    pub const fn halt(self) -> Option<Halt> {
        match self {
            Self::Continue | Self::Drain => None,
            Self::Cancel => Some(Halt::Cancel),
            Self::TimeOut => Some(Halt::TimeOut),
            Self::Forbidden(why) => Some(Halt::Forbidden(why)),
            Self::Fenced => Some(Halt::Fenced),
        }
    }
}

/// Why a stream was stopped or its commit was not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A user or a signal asked for it.
    Cancel,
    /// The worker drains and this stream had not begun to commit.
    Drain,
    /// The longest run time is over.
    TimeOut,
    /// The guard does not allow it any more, for this reason.
    Forbidden(FailureCode),
    /// Another attempt took over.
    Fenced,
    /// Whoever gives leave to commit could not be reached in time.
    Offline,
}

impl Halt {
    /// The public code of a stream that ended so; none where it was asked for.
    #[must_use]
    pub const fn failure(self) -> Option<FailureCode> {
        match self {
            Self::Cancel | Self::Drain => None,
            Self::TimeOut => Some(FailureCode::RunTimeout),
            Self::Forbidden(why) => Some(why),
            Self::Fenced => Some(FailureCode::Fenced),
            Self::Offline => Some(FailureCode::WorkerLost),
        }
    }
}

/// The end of a stream's work before its commit: a failure, or a stop that was asked for.
#[derive(Clone)]
pub enum End {
    /// It failed.
    Fault(Fault),
    /// It was stopped.
    Halt(Halt),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Halt> for End {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

/// Held by whoever steers the run.
#[derive(Clone)]
pub struct StopSwitch(watch::Sender<Directive>);

/// Obeyed by whoever works. Clones hear the same directives.
#[derive(Clone)]
pub struct StopSignal(watch::Receiver<Directive>);

/// A switch and its signal, at [`Directive::Continue`].
#[must_use]
pub fn stop_pair() -> (StopSwitch, StopSignal) {
    let (sender, receiver) = watch::channel(Directive::Continue);
    (StopSwitch(sender), StopSignal(receiver))
}

impl StopSwitch {
    /// Raises the directive; a weaker one than the current changes nothing.
    pub fn raise(&self, directive: Directive) {
        self.0.send_if_modified(|current| {
            let stronger = directive.strength() > current.strength();
            if stronger {
                *current = directive;
            }
            stronger
        });
    }

    /// The directive now.
    #[must_use]
    pub fn current(&self) -> Directive {
        *self.0.borrow()
    }

    /// Another signal of this switch.
    #[must_use]
    pub fn signal(&self) -> StopSignal {
        StopSignal(self.0.subscribe())
    }
}

impl StopSignal {
    /// The directive now.
    #[must_use]
    pub fn current(&self) -> Directive {
        *self.0.borrow()
    }

    /// Why work must end at once; none while it may go on (a drain lets the streams under way finish).
    #[must_use]
    pub fn halt(&self) -> Option<Halt> {
        self.current().halt()
    }

    /// Waits until anything else is asked for than to go on; for ever where nobody holds the switch any more.
    pub async fn asked(&self) -> Directive {
        let mut receiver = self.0.clone();
        let asked = receiver.wait_for(|directive| *directive != Directive::Continue).await.map(|directive| *directive);
        if let Ok(directive) = asked { directive } else { std::future::pending().await }
    }

    /// Waits until work must end at once; for ever where nobody holds the switch any more.
    pub async fn halted(&self) -> Halt {
        let mut receiver = self.0.clone();
        loop {
            if let Some(halt) = self.halt() {
                return halt;
            }
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Passes every directive on to another switch, for as long as this signal's switch is held.
    pub async fn forward(&self, to: StopSwitch) {
        let mut receiver = self.0.clone();
        loop {
            to.raise(*receiver.borrow_and_update());
            if receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Does `work`, or ends it where it stands when work must end at once.
    pub async fn or_halt<T>(&self, work: impl Future<Output = T> + Send) -> Result<T, Halt> {
        tokio::select! {
            biased;
            halt = self.halted() => Err(halt),
            done = work => Ok(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directive_only_rises() {
        let (switch, signal) = stop_pair();
        switch.raise(Directive::Fenced);
        switch.raise(Directive::Cancel);
        assert_eq!(signal.halted().await, Halt::Fenced);
    }

    #[tokio::test]
    async fn the_first_of_two_refusals_is_the_one_that_is_told() {
        let (switch, signal) = stop_pair();
        switch.raise(Directive::Cancel);
        switch.raise(Directive::Forbidden(FailureCode::SignatureRejected));
        switch.raise(Directive::Forbidden(FailureCode::PolicyDenied));
        let halt = signal.halted().await;
        assert_eq!(halt.failure(), Some(FailureCode::SignatureRejected));
    }

    #[tokio::test]
    async fn work_that_never_ends_is_ended_by_a_cancel() {
        let (switch, signal) = stop_pair();
        let work = tokio::spawn(async move { signal.or_halt(std::future::pending::<()>()).await });
        switch.raise(Directive::Cancel);
        assert_eq!(work.await.expect("joined"), Err(Halt::Cancel));
    }

    #[test]
    fn a_drain_lets_work_go_on() {
        let (switch, signal) = stop_pair();
        switch.raise(Directive::Drain);
        assert_eq!((signal.halt(), signal.current()), (None, Directive::Drain));
    }
}

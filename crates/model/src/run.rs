//! The states of a run, an attempt and a stream, and the only functions that move them.

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every value, in declared order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it stands in the database and in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::run::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or($crate::run::UnknownName(stringify!($name)))
            }
        }
    };
}
pub(crate) use named;

/// A text that no value of the enum prints as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a value of {0}")]
pub struct UnknownName(pub &'static str);

/// An event that the state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{state} does not allow {event}")]
pub struct IllegalMove {
    /// The state that was kept.
    pub state: &'static str,
    /// The event that was refused.
    pub event: &'static str,
}

named! {
    /// What a run does.
    RunKind {
        /// Moves rows and commits them.
        Sync = "sync",
        /// Connects to both ends and probes what a run needs; moves nothing.
        Check = "check",
        /// Lists tables and columns of the source.
        Discover = "discover",
        /// Starts a worker that enrols and leaves again; opens nothing and moves nothing.
        Test = "test",
        /// Writes the first rows of each stream into the bucket, for people to look at; touches no table.
        Preview = "preview",
    }
}

impl RunKind {
    /// Whether it looks at connections with their secrets, and not only at what a pipeline was set up to move.
    #[must_use]
    pub const fn is_look(self) -> bool {
        matches!(self, Self::Check | Self::Discover)
    }
}

/// Rows of each stream that a preview takes where nothing is said.
pub const PREVIEW_ROWS: u64 = 100;
/// The most that one can ask for.
pub const MOST_PREVIEW_ROWS: u64 = 10_000;

named! {
    /// What the user wants of a run; `state` is what is.
    Desired {
        /// To run to its end.
        Run = "run",
        /// To stop as soon as it can.
        Cancel = "cancel",
    }
}

named! {
    /// Where a run is.
    RunState {
        /// Waits for its turn.
        Queued = "queued",
        /// A worker is being started.
        Launching = "launching",
        /// A worker has enrolled and works.
        Running = "running",
        /// Ended: all was delivered.
        Succeeded = "succeeded",
        /// Ended: see its failure code; single streams may be delivered.
        Failed = "failed",
        /// Ended by a user; single streams may be delivered.
        Canceled = "canceled",
    }
}

named! {
    /// What happened to a run.
    RunEvent {
        /// The dispatcher took a lease and made an attempt.
        Leased = "leased",
        /// The worker presented its ticket.
        Enrolled = "enrolled",
        /// The worker reported success.
        Completed = "completed",
        /// The attempt ended without an outcome and another one is allowed.
        AttemptLost = "attempt_lost",
        /// The attempt failed for good.
        Failed = "failed",
        /// A cancel took effect.
        Canceled = "canceled",
    }
}

impl RunState {
    /// Whether no event moves it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    /// The state after `event`.
    pub fn next(self, event: RunEvent) -> Result<Self, IllegalMove> {
        use {RunEvent as E, RunState as S};
        Ok(match (self, event) {
            (S::Queued, E::Leased) => S::Launching,
            (S::Launching, E::Enrolled) => S::Running,
            (S::Running, E::Completed) => S::Succeeded,
            (S::Launching | S::Running, E::AttemptLost) => S::Queued, // fenced first; the next attempt has the next epoch
            (S::Queued | S::Launching | S::Running, E::Failed) => S::Failed,
            (S::Queued | S::Launching | S::Running, E::Canceled) => S::Canceled,
            (
                state @ (S::Queued | S::Launching | S::Running | S::Succeeded | S::Failed | S::Canceled),
                event @ (E::Leased | E::Enrolled | E::Completed | E::AttemptLost | E::Failed | E::Canceled),
            ) => return Err(IllegalMove { state: state.as_str(), event: event.as_str() }),
        })
    }
}

named! {
    /// Where an attempt is.
    AttemptState {
        /// Its row and launch request exist; the task may or may not.
        Launching = "launching",
        /// Its worker holds a certificate.
        Running = "running",
        /// Ended: all streams delivered.
        Succeeded = "succeeded",
        /// Ended with a failure code.
        Failed = "failed",
        /// Ended by a cancel.
        Canceled = "canceled",
        /// Fenced: nobody knows what it did until its bucket is read.
        Lost = "lost",
    }
}

named! {
    /// What happened to an attempt.
    AttemptEvent {
        /// The worker presented its ticket.
        Enrolled = "enrolled",
        /// The worker reported success.
        Completed = "completed",
        /// The worker reported a failure, or none could be started.
        Failed = "failed",
        /// The worker reported that it stopped as asked.
        Canceled = "canceled",
        /// The orchestrator fenced it.
        Lost = "lost",
    }
}

impl AttemptState {
    /// Whether no event moves it any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Launching | Self::Running)
    }

    /// The state after `event`.
    pub fn next(self, event: AttemptEvent) -> Result<Self, IllegalMove> {
        use {AttemptEvent as E, AttemptState as S};
        Ok(match (self, event) {
            (S::Launching, E::Enrolled) => S::Running,
            (S::Running, E::Completed) => S::Succeeded,
            (S::Launching | S::Running, E::Failed) => S::Failed,
            (S::Launching | S::Running, E::Canceled) => S::Canceled,
            (S::Launching | S::Running, E::Lost) => S::Lost,
            (
                state @ (S::Launching | S::Running | S::Succeeded | S::Failed | S::Canceled | S::Lost),
                event @ (E::Enrolled | E::Completed | E::Failed | E::Canceled | E::Lost),
            ) => return Err(IllegalMove { state: state.as_str(), event: event.as_str() }),
        })
    }
}

named! {
    /// Where a stream is within its run.
    StreamState {
        /// Not begun.
        Waiting = "waiting",
        /// Rows are being read and written.
        Reading = "reading",
        /// All parts are closed; the commit is under way.
        Committing = "committing",
        /// Delivered: readers see it.
        Committed = "committed",
        /// Ended with a failure code; readers see what they saw before.
        Failed = "failed",
        /// Not tried in this run: delivered before, or ended early by another's failure.
        Skipped = "skipped",
    }
}

named! {
    /// What happened to a stream.
    StreamEvent {
        /// Its snapshot was opened.
        Opened = "opened",
        /// Its last part was closed.
        Closed = "closed",
        /// Its commit is visible, or was found to be.
        Committed = "committed",
        /// It ended with a failure code.
        Failed = "failed",
        /// It will not be tried.
        Skipped = "skipped",
    }
}

impl StreamState {
    /// The state after `event`. A lost attempt begins anew from `Waiting`, so no event leads back.
    pub fn next(self, event: StreamEvent) -> Result<Self, IllegalMove> {
        use {StreamEvent as E, StreamState as S};
        Ok(match (self, event) {
            (S::Waiting, E::Opened) => S::Reading,
            (S::Reading, E::Closed) => S::Committing,
            // A commit of an earlier attempt is adopted without reading; an empty window commits nothing.
            (S::Waiting | S::Reading | S::Committing, E::Committed) => S::Committed,
            (S::Waiting | S::Reading | S::Committing, E::Failed) => S::Failed,
            (S::Waiting, E::Skipped) => S::Skipped,
            (
                state @ (S::Waiting | S::Reading | S::Committing | S::Committed | S::Failed | S::Skipped),
                event @ (E::Opened | E::Closed | E::Committed | E::Failed | E::Skipped),
            ) => return Err(IllegalMove { state: state.as_str(), event: event.as_str() }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_run_moves_no_more() {
        for state in RunState::ALL.iter().filter(|s| s.is_final()) {
            for event in RunEvent::ALL {
                assert!(state.next(*event).is_err(), "{state} moved on {event}");
            }
        }
    }

    #[test]
    fn a_lost_attempt_sends_its_run_back_to_the_queue() {
        assert_eq!(RunState::Running.next(RunEvent::AttemptLost), Ok(RunState::Queued));
        assert!(RunState::Queued.next(RunEvent::AttemptLost).is_err());
    }

    #[test]
    fn a_run_cannot_succeed_before_a_worker_enrolled() {
        assert!(RunState::Launching.next(RunEvent::Completed).is_err());
        assert!(AttemptState::Launching.next(AttemptEvent::Completed).is_err());
    }

    #[test]
    fn every_name_reads_back() {
        for state in StreamState::ALL {
            assert_eq!(state.as_str().parse(), Ok(*state));
        }
        assert!("Running".parse::<RunState>().is_err());
    }

    #[test]
    fn a_stream_adopted_by_the_next_attempt_needs_no_reading() {
        assert_eq!(StreamState::Waiting.next(StreamEvent::Committed), Ok(StreamState::Committed));
        assert!(StreamState::Committed.next(StreamEvent::Failed).is_err());
    }
}

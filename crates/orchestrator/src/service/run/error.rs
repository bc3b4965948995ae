//! Why a run was not begun, stopped or shown, and what the caller of the API is told of it.

use waybill_api::ProblemCode;
use waybill_model::run::RunState;
use waybill_store::StoreError;

use crate::service::Refused;

/// Why a run was not begun, stopped or shown.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No such pipeline, run or connection in this organization.
    #[error("not found")]
    NotFound,
    /// The pipeline is paused.
    #[error("the pipeline is paused: {hint}")]
    Paused {
        /// What to do about it.
        hint: String,
    },
    /// The slot has its run already.
    #[error("slot_taken")]
    SlotTaken,
    /// A stream that the plan does not have.
    #[error("the plan has no stream {stream}")]
    NoStream {
        /// Its place.
        stream: u32,
    },
    /// The run has ended, or has not ended yet.
    #[error("the run {}: it is {state}", if state.is_final() { "has ended" } else { "has not ended yet" })]
    WrongState {
        /// Where it is.
        state: RunState,
    },
    /// Everything that the run should bring has been delivered.
    #[error("every stream of the run was delivered")]
    NothingLeft,
    /// A look at a connection is a check or a discovery.
    #[error("a connection can be checked or discovered, not synchronised")]
    NotAProbe,
    /// A preview is of the streams of a pipeline.
    #[error("a connection has no streams to preview: name a pipeline")]
    NotAPreview,
    /// A preview is written into a bucket.
    #[error("a preview is written into the bucket of a pipeline, and this one writes to a database")]
    NoBucket,
    /// A test task belongs to a data plane, and each is started anew.
    #[error("a test task is started for a data plane: waybill data-plane check NAME --start-test-task")]
    NotATest,
    /// The stored plan can't be read: a defect.
    #[error("the stored plan can't be read")]
    Plan(#[source] serde_json::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RunError> for Refused {
    fn from(error: RunError) -> Self {
        let code = match &error {
            RunError::NotFound => return Self::from(ProblemCode::NotFound),
            RunError::NoStream { .. }
            | RunError::NotAProbe
            | RunError::NotAPreview
            | RunError::NoBucket
            | RunError::NotATest => ProblemCode::Unusable,
            RunError::Plan(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a stored plan can't be read");
                return Self::from(ProblemCode::Internal);
            }
            RunError::Store(_) => {
                let RunError::Store(error) = error else { unreachable!("matched above") };
                return Self::from(error);
            }
            RunError::Paused { .. } | RunError::SlotTaken | RunError::WrongState { .. } | RunError::NothingLeft => {
                ProblemCode::StateConflict
            }
        };
        let refused = Self::new(code, error.to_string());
        match error {
            RunError::Paused { .. } => refused.next("waybill pipeline resume PIPELINE"),
            RunError::WrongState { state } if state.is_final() => refused
                .next("there is nothing to stop any more: `waybill run why RUN` tells how it ended, `waybill run retry RUN` brings what it left"),
            RunError::WrongState { .. } => {
                refused.next("wait for its end with `waybill run watch RUN`, or stop it with `waybill run cancel RUN`; then retry")
            }
            RunError::NothingLeft => refused.next("there is nothing to retry: `waybill run start PIPELINE` runs it anew"),
            _ => refused,
        }
    }
}

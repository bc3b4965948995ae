//! The customer's guard in the worker: found, held against the plan before a socket opens, and looked at again while rows move.
//!
//! In a cloud it is found by the worker's own identity and nowhere else: what launched the worker can set its command line
//! and its environment. A refusal leaves as a code; what it is about is told to the customer's log alone.

mod find;
mod launch;
mod steer;
mod watch;
mod ways;

#[cfg(feature = "aws")]
mod image;
#[cfg(feature = "aws")]
pub mod parameter;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::task::JoinHandle;
use waybill_model::errand::Errand;
use waybill_model::event::{Event, EventCode};
use waybill_model::plan::Plan;
use waybill_pipeline::{CommitGate, Fault, FaultResult, Observer, Source, StopSwitch};
use waybill_spec::guard::{Names, Refusal};

use crate::connect::Means;
#[cfg(feature = "aws")]
pub(crate) use launch::misleads;
pub(crate) use launch::{Cloud, Place};
use watch::Watch;

/// What is to be run, and where its guard may be found.
pub(crate) struct Wanted<'a> {
    /// Where the worker runs.
    pub(crate) place: Place,
    /// A guard file that the command line names: for processes only.
    pub(crate) file: Option<&'a Path>,
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// Its bytes as they came, which a signature is over.
    pub(crate) bytes: &'a [u8],
    /// Its signature, where one came.
    pub(crate) signature: Option<&'a str>,
    /// What is to be done with streams in place of their next window; neither the plan nor its signature names them.
    pub(crate) errands: &'a BTreeMap<u32, Errand>,
}

/// A plan that may run, with what holds it to the guard.
pub(crate) struct Guarded {
    watch: Option<Arc<Watch>>,
    looking: Option<JoinHandle<()>>,
}

impl Guarded {
    /// Finds the guard and holds the plan against it. Opens no connection that the plan names.
    pub(crate) async fn enter(wanted: Wanted<'_>, switch: StopSwitch) -> FaultResult<Self> {
        let Some((origin, guard)) = find::find(wanted.place, wanted.file).await.map_err(|one| fault(&[one]))? else {
            return Ok(Self { watch: None, looking: None });
        };
        let subject = watch::Subject {
            plan: wanted.plan.clone(),
            bytes: wanted.bytes.to_vec(),
            signature: wanted.signature.map(str::to_owned),
            images: find::image(wanted.place).await,
            errands: wanted.errands.values().cloned().collect(),
        };
        let refused = subject.judge(&guard);
        if !refused.is_empty() {
            return Err(fault(&refused));
        }
        Ok(Self { watch: Some(Arc::new(Watch::new(origin, guard, subject, switch))), looking: None })
    }

    /// Whether a guard was found: without one nothing is refused.
    pub(crate) const fn is_held(&self) -> bool {
        self.watch.is_some()
    }

    /// Dials what the guard leaves open, and logs in for secrets only where the guard lists the server.
    pub(crate) fn means(&self) -> Means {
        self.watch.as_ref().map_or_else(Means::unguarded, |watch| watch.ways().means())
    }

    /// Reads no faster than the ceiling of the guard as it was read last.
    pub(crate) fn source(&self, source: Arc<dyn Source>) -> Arc<dyn Source> {
        let Some(watch) = self.watch.clone() else { return source };
        waybill_pipeline::paced(source, Arc::new(move || watch.rows_per_second()))
    }

    /// Counts what passes, for the ceilings, and begins to look at the guard again and again.
    pub(crate) async fn observer(&mut self, observer: Arc<dyn Observer>) -> Arc<dyn Observer> {
        let Some(watch) = &self.watch else { return observer };
        tracing::info!(guard = %watch.origin(), digest = watch.guard().await.digest(), "the guard allows the plan");
        observer.event(Event::new(EventCode::PlanAllowed));
        self.looking = Some(tokio::spawn(Arc::clone(watch).look_again()));
        Arc::new(steer::Counted::new(observer, Arc::clone(watch)))
    }

    /// Asks the guard before anybody else is asked for leave to commit.
    pub(crate) fn gate(&self, gate: Arc<dyn CommitGate>) -> Arc<dyn CommitGate> {
        match &self.watch {
            Some(watch) => Arc::new(steer::Held::new(gate, Arc::clone(watch))),
            None => gate,
        }
    }

    /// How many bytes of names may leave.
    pub(crate) async fn names(&self, ceiling: u64) -> u64 {
        match &self.watch {
            Some(watch) if watch.guard().await.names == Names::None => 0,
            _ => ceiling,
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Some(looking) = &self.looking {
            looking.abort();
        }
    }
}

/// Refusals as a failure: one code, and every sentence for the customer.
fn fault(refused: &[Refusal]) -> Fault {
    let code = refused.first().map_or(waybill_model::FailureCode::PolicyDenied, |first| first.reason.failure());
    let sentences: Vec<String> = refused.iter().map(Refusal::sentence).collect();
    Fault::new(code, sentences.join("\n  "))
}

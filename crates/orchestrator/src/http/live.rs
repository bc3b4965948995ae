//! Live streams: runs and their events as they come, as server-sent events.
//!
//! The database is the only source, so any replica can go on where another stopped; nudges only make it quick. The id of
//! a message holds how far each run was told, so that a reader who comes back misses nothing and gets nothing twice.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, Method};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::broadcast;
use waybill_api::ProblemCode;
use waybill_api::run::RunDetail;
use waybill_model::{ProjectId, RunId};

use super::App;
use super::action;
use super::body::Query;
use super::gate::Permit;
use super::operation::{Operation, Operations};
use super::run::show;
use super::sentence;
use crate::auth::{Caller, Permission, Place};
use crate::service::access::Part;
use crate::service::{Refused, ServiceResult, access};

/// Most runs of one stream.
const MOST: usize = 8;
/// Between two looks where nothing wakes us: changes by other replicas.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at what the reader may still do: who is disabled, logged out or taken out of the project hears no more.
const AGAIN: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(15);
const CHUNK: i64 = 200;

pub(super) fn mount(all: &mut Operations) {
    let of = Operation::of::<action::EventsWatch>(
        Method::GET,
        "/v1/events",
        "Follow runs: messages `run` (the run as it is), `event` and, when all have ended, `end`",
    );
    all.add(
        of.answers::<RunDetail>(200)
            .streams()
            .query("topics", "run:<id>, at most eight, separated by commas.")
            .codes(&[ProblemCode::NotFound, ProblemCode::ParameterInvalid]),
        get(watch),
    );
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    topics: String,
}

/// One run that is followed.
struct Followed {
    run: RunId,
    project: ProjectId,
    /// Number of the last event that was told.
    told: u64,
    /// What was last told of the run itself.
    shown: String,
    ended: bool,
}

struct Watch {
    app: App,
    caller: Caller,
    /// When the caller's rights were read last.
    admitted: Instant,
    runs: Vec<Followed>,
    ready: VecDeque<Event>,
    changed: broadcast::Receiver<RunId>,
    over: bool,
}

async fn watch(
    State(app): State<App>,
    permit: Permit<action::EventsWatch>,
    Query(query): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let caller = permit.caller;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let mut runs = Vec::new();
    for topic in query.topics.split(',') {
        let not_found = || Refused::from(ProblemCode::NotFound);
        let id = topic
            .strip_prefix("run:")
            .ok_or_else(|| Refused::field(ProblemCode::ParameterInvalid, "topics", "a topic reads like run:run_…"))?;
        let run: RunId = id.parse().map_err(|_| not_found())?;
        let project = app.store.run_get(caller.org, run).await?.ok_or_else(not_found)?.project;
        access::in_project(&caller, Permission::RunRead, project, not_found)?;
        if !access::reaches(&app, &caller, Part::Run(run)).await? {
            return Err(not_found());
        }
        runs.push(Followed { run, project, told: told(last, run), shown: String::new(), ended: false });
    }
    if runs.len() > MOST {
        return Err(Refused::field(ProblemCode::ParameterInvalid, "topics", "at most eight topics"));
    }
    // Subscribed before the first look, so that nothing falls between.
    let changed = app.nudges.watch_runs();
    let admitted = Instant::now();
    let watch = Watch { app, caller, admitted, runs, ready: VecDeque::new(), changed, over: false };
    let stream = futures::stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok::<_, Infallible>(event), watch))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(PING)).into_response())
}

/// How far a run was told according to the last message's id.
fn told(last: &str, run: RunId) -> u64 {
    let run = run.to_string();
    let mut parts = last.split(',').filter_map(|part| part.split_once(':'));
    parts.find(|(id, _)| *id == run).and_then(|(_, told)| told.parse().ok()).unwrap_or(0)
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            if self.look().await.is_err() {
                // The reader comes back, and finds either the database again or a problem with its code.
                return None;
            }
            if self.runs.iter().all(|run| run.ended) {
                self.over = true;
                self.ready.push_back(Event::default().event("end").data("{}"));
            }
            if self.ready.is_empty() {
                self.wait().await?;
            }
        }
    }

    /// Waits for a change of one of the runs, or a while; none where the server stops.
    async fn wait(&mut self) -> Option<()> {
        let pause = tokio::time::sleep(LOOK);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return Some(()),
                () = self.app.stop.cancelled() => return None,
                changed = self.changed.recv() => match changed {
                    Ok(run) if self.runs.iter().all(|followed| followed.run != run) => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return Some(()),
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
            }
        }
    }

    async fn look(&mut self) -> ServiceResult<()> {
        if self.admitted.elapsed() >= AGAIN {
            self.admit_again().await?;
        }
        for at in 0..self.runs.len() {
            if !self.runs[at].ended {
                self.look_at(at).await?;
            }
        }
        Ok(())
    }

    /// Reads the reader's rights anew, and refuses where a run of the stream is not seen any more.
    async fn admit_again(&mut self) -> ServiceResult<()> {
        self.caller = access::anew(&self.app, &self.caller).await?;
        self.admitted = Instant::now();
        let sees =
            |run: &Followed| self.caller.authority.decide(Permission::RunRead, Place::Project(run.project)).allowed;
        if self.runs.iter().all(sees) { Ok(()) } else { Err(ProblemCode::NotFound.into()) }
    }

    /// The run is read before its events: once it has ended, all of them are there.
    async fn look_at(&mut self, at: usize) -> ServiceResult<()> {
        let (run, first) = (self.runs[at].run, self.runs[at].shown.is_empty());
        let rows = self.app.runs.detail(self.caller.org, run).await?;
        let streams = rows.streams.iter().map(|stream| stream.name.clone()).collect();
        let names = sentence::Names { streams, plan: &rows.run.plan };
        let shown = serde_json::to_string(&show::detail(&self.caller, &rows)).unwrap_or_default();
        if first {
            self.tell_run(at, &shown);
        }
        loop {
            let from = i64::try_from(self.runs[at].told).unwrap_or(i64::MAX);
            let events = self.app.store.run_event_list(self.caller.org, run, from, CHUNK).await?;
            let whole = events.len() < usize::try_from(CHUNK).unwrap_or(0);
            for row in events {
                self.runs[at].told = row.seq.unsigned_abs();
                let event = serde_json::to_string(&sentence::event(row, &names)).unwrap_or_default();
                self.ready.push_back(Event::default().event("event").id(self.id()).data(event));
            }
            if whole {
                break;
            }
        }
        if self.runs[at].shown != shown {
            self.tell_run(at, &shown);
        }
        self.runs[at].ended = rows.run.state.is_final();
        Ok(())
    }

    fn tell_run(&mut self, at: usize, shown: &str) {
        shown.clone_into(&mut self.runs[at].shown);
        self.ready.push_back(Event::default().event("run").id(self.id()).data(shown));
    }

    /// How far every run has been told.
    fn id(&self) -> String {
        self.runs.iter().map(|run| format!("{}:{}", run.run, run.told)).collect::<Vec<_>>().join(",")
    }
}

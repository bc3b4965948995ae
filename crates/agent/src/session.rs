//! Serving the orchestrator: one stream at a time, opened again for as long as the agent runs; a new certificate at half
//! of the life of the old one; and an orderly end.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use waybill_identity::channel::Backoff;
use waybill_protocol::agent::{Orders, Told};
use waybill_protocol::pb::agent as pb;
use waybill_protocol::pb::agent::agent_client::AgentClient;
use waybill_protocol::{MAX_MESSAGE_BYTES, Version};

use crate::cli::RunArguments;
use crate::identity::{Certificate, Identity};
use crate::state::{State, StateError};
use crate::workers::Workers;
use crate::{AgentError, egress};

mod cluster;
mod guard;
mod post;
mod settings;

/// Between two tries while the orchestrator can't be reached, and while it does not want this agent.
const AWAY: Duration = Duration::from_secs(30);
const UNWANTED: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(15);
/// Before the first answer tells another one.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long the last word may take to be heard.
const LAST_WORD: Duration = Duration::from_secs(5);
/// Between two looks at workers that are not this process's children: an earlier process of the agent started them.
const LOOK: Duration = Duration::from_secs(2);

/// Why a session ended.
enum End {
    /// A new one may be opened at once.
    Renewed,
    /// The orchestrator can't be reached, or closed it.
    Away(Status),
    /// An administrator disabled the agent, or its identity was copied.
    Unwanted(Status),
    /// Its identity is no good any more, for this reason.
    EnrolAnew(&'static str),
    /// It was asked to end, and no worker is left to wait for.
    Drained,
}

struct Agent {
    identity: Identity,
    workers: Workers,
    slots: u32,
    /// Set by the first SIGTERM: until when workers are waited for.
    drain_until: Option<Instant>,
    drain: Duration,
    terminate: Signal,
}

/// Runs the command.
pub(crate) async fn run(arguments: RunArguments) -> Result<(), AgentError> {
    let state = State::open(&arguments.state.state)?;
    let identity = state.identity()?;
    let settings = settings::read(&arguments, &identity, &state).await?;
    let workers = Workers::open(state, settings).await?;
    let failed = |source| StateError::Io { path: "SIGTERM".into(), source };
    let terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let (slots, drain) = (arguments.slots, arguments.drain);
    let mut agent = Agent { identity, workers, slots, drain_until: None, drain, terminate };
    tracing::info!(agent = agent.identity.agent, orchestrator = agent.identity.orchestrator, "the agent runs");
    let ended = agent.serve().await;
    egress::tell();
    ended
}

impl Agent {
    /// Session after session, until it is asked to end.
    async fn serve(&mut self) -> Result<(), AgentError> {
        let mut away = Backoff::up_to(AWAY);
        loop {
            let began = Instant::now();
            match self.one_session().await? {
                End::Renewed => {
                    away.reset();
                    continue;
                }
                End::Drained => return Ok(()),
                End::EnrolAnew(reason) => {
                    return Err(AgentError::EnrolAnew { agent: self.identity.agent.clone(), reason });
                }
                End::Away(status) => {
                    tracing::warn!(code = ?status.code(), reason = status.message(), "no session; trying again");
                    if began.elapsed() > AWAY {
                        away.reset();
                    }
                }
                End::Unwanted(status) => {
                    tracing::error!(reason = status.message(), "the orchestrator does not want this agent");
                    self.workers.stop_all().await;
                    let pause = UNWANTED.mul_f64(0.5 + rand::random::<f64>() / 2.0);
                    if self.pause(tokio::time::sleep(pause)).await {
                        return Ok(());
                    }
                }
            }
            if self.pause(away.wait()).await {
                return Ok(());
            }
        }
    }

    /// Waits, still looking at workers and at SIGTERM. True when it is time to end.
    async fn pause(&mut self, wait: impl Future<Output = ()>) -> bool {
        tokio::pin!(wait);
        loop {
            if self.is_drained() {
                return true;
            }
            tokio::select! {
                () = &mut wait => return false,
                _ = self.terminate.recv() => self.begin_drain(),
                () = tokio::time::sleep(LOOK) => self.workers.look().await,
            }
        }
    }

    fn begin_drain(&mut self) {
        tracing::info!("asked to end: workers under way are waited for");
        // A second request ends it at once; workers go on, and the next start of the agent finds them.
        self.drain_until = Some(if self.drain_until.is_some() { Instant::now() } else { Instant::now() + self.drain });
    }

    fn is_drained(&self) -> bool {
        self.drain_until.is_some_and(|until| !self.workers.is_busy() || Instant::now() >= until)
    }

    fn message(&mut self, complete: bool) -> Told {
        let tasks = if complete { self.workers.all() } else { self.workers.changed() };
        Told {
            version: None,
            worker_role: None,
            cloud_caller: None,
            cloud_calls: Vec::new(),
            cloud_calls_lost: 0,
            generation: self.identity.generation,
            complete,
            draining: self.drain_until.is_some(),
            slots: self.slots,
            tasks,
        }
    }

    async fn one_session(&mut self) -> Result<End, AgentError> {
        if self.identity.is_over() {
            return Ok(End::EnrolAnew("the certificate's life is over"));
        }
        let channel = self.identity.channel()?;
        let mut client = AgentClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        if (self.identity.is_renewing() || self.identity.renew_in().is_zero())
            && let Some(end) = self.renew(&mut client).await?
        {
            return Ok(end);
        }
        let (sender, outgoing) = mpsc::channel(16);
        let mut first = self.message(true);
        first.version = Some(Version::current());
        (first.worker_role, first.cloud_caller) = (self.workers.role(), self.workers.caller());
        if let Some(calls) = self.workers.calls() {
            calls.begin();
        }
        self.send(&sender, first)?;
        let opened = tokio::time::timeout(ANSWER, client.session(ReceiverStream::new(outgoing))).await;
        match opened.unwrap_or_else(|_| Err(Status::deadline_exceeded("silent"))) {
            Ok(answer) => self.converse(&mut client, sender, answer.into_inner()).await,
            Err(status) => Ok(end_of(status)),
        }
    }

    async fn converse(
        &mut self,
        client: &mut AgentClient<tonic::transport::Channel>,
        sender: mpsc::Sender<pb::SessionRequest>,
        mut answers: Streaming<pb::SessionResponse>,
    ) -> Result<End, AgentError> {
        let (mut heartbeat, ended) = (HEARTBEAT, self.workers.ended());
        let renew = tokio::time::sleep(self.identity.renew_in());
        tokio::pin!(renew);
        let mut beat_at = Instant::now() + heartbeat.mul_f64(0.7);
        loop {
            if self.is_drained() {
                return self.last_word(sender, answers).await;
            }
            let look = if self.workers.is_busy() { LOOK } else { heartbeat };
            tokio::select! {
                answer = answers.message() => match answer {
                    Ok(Some(answer)) => match Orders::try_from(answer) {
                        Ok(orders) => {
                            if let Some(told) = orders.heartbeat {
                                heartbeat = told;
                                beat_at = Instant::now() + heartbeat.mul_f64(0.7);
                            }
                            self.obey(orders).await;
                        }
                        Err(error) => tracing::error!(%error, "the orchestrator's order can't be read"),
                    },
                    Ok(None) => return Ok(End::Away(Status::unavailable("ended"))),
                    Err(status) if status.message() == "renew_first" => {
                        return Ok(self.renew(client).await?.unwrap_or(End::Renewed));
                    }
                    Err(status) => return Ok(end_of(status)),
                },
                () = ended.notified() => self.workers.look().await,
                () = tokio::time::sleep(look) => self.workers.look().await,
                () = tokio::time::sleep_until(beat_at) => {
                    beat_at = Instant::now() + heartbeat.mul_f64(0.7);
                    let told = self.message(true);
                    self.send(&sender, told)?;
                }
                _ = self.terminate.recv() => {
                    self.begin_drain();
                    let told = self.message(true);
                    self.send(&sender, told)?;
                }
                () = &mut renew => return Ok(self.renew(client).await?.unwrap_or(End::Renewed)),
            }
            let changed = self.message(false);
            if !changed.tasks.is_empty() {
                self.send(&sender, changed)?;
            }
        }
    }

    /// Tells what became of the workers, and waits until the orchestrator has heard it and said what may be forgotten.
    async fn last_word(
        &mut self,
        sender: mpsc::Sender<pb::SessionRequest>,
        mut answers: Streaming<pb::SessionResponse>,
    ) -> Result<End, AgentError> {
        let last = self.message(true);
        let last = post::sealed(self.workers.calls(), last)?;
        let heard = async {
            // A stream that takes nothing more shows its end by its answers.
            let _ = sender.send(last).await;
            drop(sender);
            while let Ok(Some(answer)) = answers.message().await {
                if let Ok(orders) = Orders::try_from(answer) {
                    self.obey(orders).await;
                }
            }
        };
        if tokio::time::timeout(LAST_WORD, heard).await.is_err() {
            tracing::warn!("the orchestrator did not confirm the last word; the next start of the agent says it again");
        }
        Ok(End::Drained)
    }

    fn send(&self, sender: &mpsc::Sender<pb::SessionRequest>, told: Told) -> Result<(), AgentError> {
        Ok(post::send(sender, self.workers.calls(), told)?)
    }

    async fn obey(&mut self, orders: Orders) {
        if let (Some(calls), Some(seq)) = (self.workers.calls(), orders.cloud_calls_heard) {
            calls.heard(seq);
        }
        for order in orders.start {
            // One that comes while the agent is about to end goes to another agent, or to its next start.
            match self.drain_until {
                None => self.workers.start(order).await,
                Some(_) => self.workers.refuse(order.attempt),
            }
        }
        for attempt in orders.stop {
            self.workers.stop(attempt).await;
        }
        orders.describe.into_iter().for_each(|attempt| self.workers.describe(attempt));
        orders.forget.into_iter().for_each(|attempt| self.workers.forget(attempt));
    }

    /// Asks for the next certificate; the key is on the disk before it is asked with. `None`: it is here.
    async fn renew(&mut self, client: &mut AgentClient<tonic::transport::Channel>) -> Result<Option<End>, AgentError> {
        let key = self.identity.next_key()?;
        self.workers.state().keep_identity(&self.identity)?;
        let request = pb::RenewRequest { csr: key.request()?, generation: self.identity.generation };
        let call = tokio::time::timeout(ANSWER, client.renew(egress::clear(request)?)).await;
        let answer = match call.unwrap_or_else(|_| Err(Status::deadline_exceeded("silent"))) {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Some(end_of(status))),
        };
        let certificate = Certificate {
            chain: answer.certificate_chain,
            life: Duration::from_millis(answer.life_ms),
            generation: answer.generation,
        };
        self.identity.renewed(&certificate);
        self.workers.state().keep_identity(&self.identity)?;
        tracing::info!(generation = self.identity.generation, "the certificate was renewed");
        // The channel still presents the old certificate.
        *client = AgentClient::new(self.identity.channel()?).max_decoding_message_size(MAX_MESSAGE_BYTES);
        Ok(None)
    }
}

fn end_of(status: Status) -> End {
    match status.code() {
        Code::PermissionDenied => End::Unwanted(status),
        Code::FailedPrecondition if status.message() == "enrol_anew" => {
            End::EnrolAnew("the orchestrator's database is older than the certificate")
        }
        _ => End::Away(status),
    }
}

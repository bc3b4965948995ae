//! T3 by more than bytes: a call with the id of another organization's attempt or agent takes the way, and the time, of a
//! call with an id that is nowhere.
//!
//! The way is the sequence of statements that reach the database, as its driver logs them: one more for an id that
//! exists is seen at once, however fast it is. The time is compared by pairs of calls, one of each kind in changing
//! order: in how many pairs the first kind was slower is a coin's throw where the kinds are alike, whatever else the
//! machine does, and is not where one does more.

use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};
use waybill_identity::{AgentPeer, Peer, WorkerKey, WorkerRequest};
use waybill_model::{AgentId, AttemptId, Micros};
use waybill_orchestrator::grpc::Quota;
use waybill_protocol::pb::agent as agent_pb;
use waybill_protocol::pb::agent::agent_client::AgentClient;
use waybill_protocol::pb::worker as pb;
use waybill_store::StoreOptions;

use super::hostile::{Call, identity_of};
use super::rig::{Identity, Options, Rig, Worker, stream_of, visible};
use super::vouched::held;

/// Pairs of calls. Where both kinds are alike, the count of slower ones leaves the bounds below once in a billion times.
const PAIRS: u32 = 400;
/// More than six standard deviations from half of the pairs.
const BOUNDS: std::ops::RangeInclusive<u32> = 138..=262;

/// Statements that the driver told of.
static STATEMENTS: Mutex<String> = Mutex::new(String::new());

/// Keeps the statements of a process whose only test this is.
struct Statements;

impl Statements {
    fn listen() {
        tracing::subscriber::set_global_default(Self).expect("the only subscriber");
    }

    fn take() -> String {
        std::mem::take(&mut *STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        let mut statement = Statement(String::new());
        event.record(&mut statement);
        // The clock is what `way` asks for.
        if !statement.0.starts_with("select cast(unixepoch") {
            *STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner) += &(statement.0 + "\n");
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// A statement with the count of its rows; how long it took is left out.
struct Statement(String);

impl Visit for Statement {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if matches!(field.name(), "rows_returned") {
            let _ = write!(self.0, "{value:?} ");
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if matches!(field.name(), "summary" | "db.statement") {
            let words: Vec<_> = value.split_whitespace().collect();
            self.0 += &(words.join(" ") + " ");
        }
    }
}

/// What one kind of call did to the database. A statement may be told of a moment after its rows were; its connection, the
/// only one, takes the next one after that.
async fn way(rig: &Rig, call: impl AsyncFnOnce() -> String) -> (String, String) {
    rig.store.clock().await.expect("the clock");
    Statements::take();
    let answer = call().await;
    rig.store.clock().await.expect("the clock");
    (answer, Statements::take())
}

/// One connection to the database, and no quota between a call and its refusal.
async fn rig() -> Rig {
    let quota = Quota { messages: 100_000, events: 100_000 };
    let store = StoreOptions { connections: 1, ..StoreOptions::default() };
    Rig::start_with(Options { quota, store, ..Options::default() }).await
}

/// In how many pairs the first kind of call was the slower one.
async fn slower(mut first: impl AsyncFnMut(), mut second: impl AsyncFnMut()) -> u32 {
    async fn timed(call: &mut impl AsyncFnMut()) -> Duration {
        let began = Instant::now();
        call().await;
        began.elapsed()
    }
    let mut slower = 0;
    for pair in 0..PAIRS {
        let (one, other) = if pair % 2 == 0 {
            let one = timed(&mut first).await;
            (one, timed(&mut second).await)
        } else {
            let other = timed(&mut second).await;
            (timed(&mut first).await, other)
        };
        slower += u32::from(one > other);
    }
    slower
}

/// The refusals of both kinds are the same bytes, by the same statements, in the same time.
async fn alike(
    rig: &Rig,
    what: &str,
    mut foreign: impl AsyncFnMut() -> String,
    mut unknown: impl AsyncFnMut() -> String,
) {
    // The first calls make connections.
    assert_eq!(foreign().await, unknown().await, "{what}");
    let (ways, expected) = (way(rig, &mut foreign).await, way(rig, &mut unknown).await);
    assert_eq!(ways, expected, "{what} takes another way to an id that exists");
    assert!(expected.1.contains("where organization_id = $1"), "{what} was refused without a look: {expected:?}");
    let slower = slower(async || drop(foreign().await), async || drop(unknown().await)).await;
    assert!(BOUNDS.contains(&slower), "{what}: an id that exists was slower in {slower} of {PAIRS} pairs");
}

#[tokio::test(flavor = "multi_thread")]
async fn t03_every_call_takes_one_way_and_one_time_to_a_foreign_and_to_an_unknown_attempt() {
    Statements::listen();
    let rig = rig().await;
    let (mine, theirs) = (rig.attempt().await, rig.attempt().await);
    rig.enrol(&theirs).await;
    let foreign = rig.worker(&identity_of(&rig, &Peer { org: mine.org, attempt: theirs.attempt }));
    let unknown = rig.worker(&identity_of(&rig, &Peer { org: mine.org, attempt: AttemptId::generate() }));
    for call in Call::ALL {
        alike(
            &rig,
            &format!("{call:?}"),
            async || call.refused(&mut foreign.clone(), &theirs).await,
            async || call.refused(&mut unknown.clone(), &theirs).await,
        )
        .await;
    }
}

fn agent_identity(rig: &Rig, peer: &AgentPeer) -> Identity {
    let key = WorkerKey::generate().expect("a key");
    let request = WorkerRequest::read(&key.request().expect("a request")).expect("accepted");
    let leaf = rig.authority.issue_agent(peer, &request, Duration::from_secs(600), Micros::now()).expect("issued");
    Identity { chain: leaf.chain, roots: vec![rig.authority.root().to_vec()], key }
}

#[tokio::test(flavor = "multi_thread")]
async fn t03_every_call_takes_one_way_and_one_time_to_a_foreign_and_to_an_unknown_agent() {
    Statements::listen();
    let rig = rig().await;
    let mine = rig.attempt().await;
    let (_, theirs) = held(&rig, None).await;
    let client = |agent| {
        let identity = agent_identity(&rig, &AgentPeer { org: mine.org, agent });
        AgentClient::new(rig.worker_channel(&identity))
    };
    let (foreign, unknown) = (client(theirs), client(AgentId::generate()));
    let csr = WorkerKey::generate().expect("a key").request().expect("a request");
    let renew = async |client: &AgentClient<_>| {
        let request = agent_pb::RenewRequest { csr: csr.clone(), generation: 1 };
        visible(client.clone().renew(request).await)
    };
    alike(&rig, "Renew", async || renew(&foreign).await, async || renew(&unknown).await).await;
    let session = async |client: &AgentClient<_>| {
        let version = waybill_protocol::Version::current();
        let version = agent_pb::AgentVersion { major: version.major, minor: version.minor, patch: version.patch };
        let first =
            agent_pb::SessionRequest { version: Some(version), slots: 1, ..agent_pb::SessionRequest::default() };
        match client.clone().session(stream_of(vec![first])).await {
            Err(status) => visible(Err::<(), _>(status)),
            Ok(answer) => visible(answer.into_inner().message().await),
        }
    };
    alike(&rig, "Session", async || session(&foreign).await, async || session(&unknown).await).await;
}

/// A Hello names no organization: what it must not tell is whether an id was ever given.
#[tokio::test(flavor = "multi_thread")]
async fn t03_a_hello_takes_one_way_to_an_ended_and_to_an_unknown_attempt() {
    Statements::listen();
    let rig = rig().await;
    let ended = rig.attempt().await;
    rig.fence(&ended).await;
    let hello = async |attempt| way(&rig, async || visible(rig.hello(attempt).await)).await;
    hello(ended.attempt).await;
    let (told, of_ended) = hello(ended.attempt).await;
    let (expected, of_unknown) = hello(AttemptId::generate()).await;
    assert_eq!(told, expected);
    // The same statement; only one of them finds a row.
    let statement = |way: &str| way.trim_end().trim_end_matches(['0', '1']).to_owned();
    assert_eq!(of_ended.lines().count(), 1, "{of_ended}");
    assert_eq!(statement(&of_ended), statement(&of_unknown));
}

/// What the two measures above would find: an attempt of one's own takes another way, and more time.
#[tokio::test(flavor = "multi_thread")]
async fn t03_the_measures_tell_a_way_of_more_statements() {
    Statements::listen();
    let rig = rig().await;
    let mine = rig.attempt().await;
    let own = rig.worker(&rig.enrol(&mine).await);
    let unknown = rig.worker(&identity_of(&rig, &Peer { org: mine.org, attempt: AttemptId::generate() }));
    let ask = async |client: &Worker| {
        format!("{:?}", client.clone().get_assignment(pb::GetAssignmentRequest {}).await.is_ok())
    };
    assert_eq!((ask(&own).await, ask(&unknown).await), ("true".to_owned(), "false".to_owned()));
    let (longer, shorter) = (way(&rig, async || ask(&own).await).await, way(&rig, async || ask(&unknown).await).await);
    assert!(longer.1.lines().count() > shorter.1.lines().count(), "{longer:?} {shorter:?}");
    let slower = slower(async || drop(ask(&own).await), async || drop(ask(&unknown).await)).await;
    assert!(slower > *BOUNDS.end(), "four more statements were slower in {slower} of {PAIRS} pairs only");
}

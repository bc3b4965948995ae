//! Orders of agents: what goes back goes to another one, what a host knows of an end is taken, and whose right was taken
//! away vouches for nobody.

use std::sync::Arc;
use std::time::Duration;

use waybill_identity::{AgentPeer, CertifiedAgent, TicketKey};
use waybill_launcher::{LaunchError, LaunchRequest, Launcher, TaskRef, TaskStatus};
use waybill_model::{AgentId, AttemptId, DataPlaneId, FailureCode, Micros};
use waybill_orchestrator::grpc::Expected;
use waybill_orchestrator::loops::agent_launcher::AgentLauncher;
use waybill_orchestrator::service::agent::{AgentError, AgentService, OpenSession};
use waybill_orchestrator::service::trail::Trail;
use waybill_protocol::agent::{Orders, Phase, Task, Told};
use waybill_store::{AgentCertificate, AgentTask, Attempt, Store};
use zeroize::Zeroizing;

use super::fixture::{Database, World, bounds, claim, until};

mod calls;

const LIFE: Duration = Duration::from_secs(600);

/// A world whose attempts agents may start.
struct Desk {
    world: World,
    agents: AgentService,
    launcher: AgentLauncher,
    tickets: TicketKey,
    trail: Arc<Trail>,
}

/// An agent in a session.
struct Clerk {
    id: AgentId,
    certified: CertifiedAgent,
    session: OpenSession,
}

fn told(draining: bool, slots: u32, tasks: Vec<Task>) -> Told {
    Told {
        version: None,
        generation: 1,
        complete: false,
        draining,
        slots,
        tasks,
        worker_role: None,
        cloud_caller: None,
        cloud_calls: Vec::new(),
        cloud_calls_lost: 0,
    }
}

impl Desk {
    async fn new(database: Database) -> Self {
        let patient = waybill_orchestrator::service::bounds::Bounds { launch_claim: LIFE, ..bounds() };
        let world = World::new(database, patient).await;
        let of = &world.context;
        let trail = Arc::new(Trail::default());
        let agents = AgentService::new(of.store.clone(), of.bounds.clone(), of.nudges.clone(), Arc::clone(&trail));
        let launcher = AgentLauncher::new(of.store.clone(), of.bounds.clone(), of.nudges.clone());
        Self { agents, launcher, tickets: TicketKey::from_secret(&[7; 32]), trail, world }
    }

    /// An agent with its first certificate, which has said how many workers it takes.
    async fn clerk(&self, name: &str, slots: u32) -> Clerk {
        self.clerk_on(self.world.plane, name, slots).await
    }

    /// The same for this data plane.
    async fn clerk_on(&self, plane: DataPlaneId, name: &str, slots: u32) -> Clerk {
        let (org, id, serial) = (self.world.org, AgentId::generate(), name.as_bytes().to_vec());
        let not_after = Micros::now().plus(LIFE);
        let mut tx = self.world.store.write_tx_of_all().await.expect("a transaction");
        Store::agent_insert_in_txn(&mut tx, org, (id, plane), (name, false), LIFE).await.expect("added");
        let row = Store::agent_get_in_txn(&mut tx, org, id).await.expect("a read").expect("an agent");
        assert!(Store::agent_use_invitation_in_txn(&mut tx, &row, "aa", "active").await.expect("used"));
        let certificate = AgentCertificate { spki: "aa", serial: &hex::encode(&serial), not_after };
        assert!(Store::agent_certify_in_txn(&mut tx, (org, id), 0, certificate).await.expect("certified"));
        tx.commit().await.expect("committed");
        let certified = CertifiedAgent { peer: AgentPeer { org, agent: id }, serial, not_after };
        let session = self.agents.open(&certified, &told(false, slots, vec![])).await.expect("a session");
        Clerk { id, certified, session }
    }

    /// An attempt that waits for its worker.
    async fn waiting(&self) -> (Attempt, LaunchRequest) {
        let run = self.world.trigger().await;
        self.world.dispatch().await;
        let attempt = self.world.attempt(run.id).await;
        let request = LaunchRequest::from_bytes(&attempt.launch_request, Zeroizing::new("t".into()));
        (attempt, request.expect("a request"))
    }

    async fn task(&self, attempt: &Attempt) -> Option<AgentTask> {
        self.world.store.agent_task_get(attempt.org, attempt.id).await.expect("a read")
    }

    /// Waits until the agent is sent the attempt's order.
    async fn order(&self, clerk: &mut Clerk, attempt: AttemptId) {
        loop {
            let mut changes = self.agents.changes(&clerk.session);
            let orders = self.agents.orders(&mut clerk.session, &self.tickets).await.expect("orders");
            if orders.start.iter().any(|order| order.attempt == attempt) {
                return;
            }
            let changed = tokio::time::timeout(Duration::from_secs(20), changes.changed()).await;
            changed.expect("the order did not come");
        }
    }

    async fn says(&self, clerk: &mut Clerk, attempt: AttemptId, phase: Phase) -> Orders {
        let message = told(false, 4, vec![Task { attempt, phase }]);
        self.agents.hear(&mut clerk.session, &message).await.expect("heard")
    }

    /// Starts the attempt's worker, which its agent says runs.
    async fn started(&self, clerk: &mut Clerk, (attempt, request): (&Attempt, &LaunchRequest)) -> TaskRef {
        let works = async {
            self.order(clerk, attempt.id).await;
            self.says(clerk, attempt.id, Phase::Running).await;
        };
        let (started, ()) = tokio::join!(self.launcher.start(request), works);
        started.expect("started")
    }

    async fn state(&self, clerk: &Clerk) -> String {
        let row = self.world.store.agent_get(self.world.org, clerk.id).await.expect("a read");
        row.expect("an agent").state
    }
}

/// Each story on both databases.
fn both() -> [Database; 2] {
    [Database::sqlite(), Database::postgres()]
}

const NO_ROOM: Phase = Phase::Failed(FailureCode::NoCapacity);

#[tokio::test]
async fn an_order_that_an_agent_gives_back_goes_to_another_one() {
    for database in both() {
        let desk = Desk::new(database).await;
        let (mut first, mut second) = (desk.clerk("office-1", 4).await, desk.clerk("office-2", 4).await);
        if second.id < first.id {
            std::mem::swap(&mut first, &mut second);
        }
        let (attempt, request) = desk.waiting().await;
        let hosts = async {
            desk.order(&mut first, attempt.id).await;
            let orders = desk.says(&mut first, attempt.id, NO_ROOM).await;
            assert_eq!(orders.forget, [attempt.id], "it would tell of it for ever");
            desk.order(&mut second, attempt.id).await;
            desk.says(&mut second, attempt.id, Phase::Running).await;
        };
        let (started, ()) = tokio::join!(desk.launcher.start(&request), hosts);
        started.expect("started");
        let task = desk.task(&attempt).await.expect("a task");
        assert_eq!((task.agent, task.state.as_str()), (second.id, "running"));
    }
}

#[tokio::test]
async fn an_order_that_the_only_agent_gave_back_waits_and_comes_to_it_again() {
    for database in both() {
        let desk = Desk::new(database).await;
        let mut only = desk.clerk("office-1", 4).await;
        let (attempt, request) = desk.waiting().await;
        let host = async {
            desk.order(&mut only, attempt.id).await;
            desk.says(&mut only, attempt.id, NO_ROOM).await;
        };
        let (started, ()) = tokio::join!(desk.launcher.start(&request), host);
        assert!(matches!(started, Err(LaunchError::NoCapacity)), "{started:?}");
        assert!(desk.task(&attempt).await.is_none(), "it holds a slot that nobody uses");
        desk.started(&mut only, (&attempt, &request)).await;
    }
}

#[tokio::test]
async fn an_order_that_was_not_sent_before_its_agent_was_asked_to_end_goes_to_another_one() {
    for database in both() {
        let desk = Desk::new(database).await;
        let mut leaving = desk.clerk("office-1", 4).await;
        let (attempt, request) = desk.waiting().await;
        let hosts = async {
            until("the order waits", async || desk.task(&attempt).await.is_some()).await;
            desk.agents.hear(&mut leaving.session, &told(true, 4, vec![])).await.expect("heard");
            let orders = desk.agents.orders(&mut leaving.session, &desk.tickets).await.expect("orders");
            assert!(orders.start.is_empty(), "an agent that is about to end was sent an order");
            let mut next = desk.clerk("office-2", 4).await;
            desk.order(&mut next, attempt.id).await;
            desk.says(&mut next, attempt.id, Phase::Running).await;
            next.id
        };
        // No room anywhere until the second one comes: the dispatcher asks again.
        let starts = async {
            loop {
                match desk.launcher.start(&request).await {
                    Err(LaunchError::NoCapacity) => tokio::task::yield_now().await,
                    other => return other,
                }
            }
        };
        let (started, next) = tokio::join!(starts, hosts);
        started.expect("started");
        assert_eq!(desk.task(&attempt).await.expect("a task").agent, next);
    }
}

#[tokio::test]
async fn of_an_agents_word_on_how_a_worker_ended_memory_counts_and_nothing_else() {
    for (code, counts) in [(FailureCode::OutOfMemory, true), (FailureCode::RunTimeout, false)] {
        for database in both() {
            let desk = Desk::new(database).await;
            let mut host = desk.clerk("office-1", 4).await;
            let (attempt, request) = desk.waiting().await;
            let task = desk.started(&mut host, (&attempt, &request)).await;
            let ended = Phase::Stopped { exit_code: Some(137), cause: Some(code) };
            desk.says(&mut host, attempt.id, ended).await;
            let seen = desk.launcher.describe(&task).await.expect("a look");
            let cause = counts.then_some(code);
            assert_eq!(seen, TaskStatus::Stopped { exit_code: Some(137), cause });
        }
    }
}

#[tokio::test]
async fn an_identity_that_is_newer_than_the_database_is_enrolled_anew_and_an_older_one_locks_the_agent() {
    for database in both() {
        let desk = Desk::new(database).await;
        let host = desk.clerk("office-1", 4).await;
        let newer = CertifiedAgent {
            serial: b"newer".to_vec(),
            not_after: host.certified.not_after.plus(Duration::from_secs(1)),
            ..host.certified.clone()
        };
        let ahead = Told { generation: 4, ..told(false, 4, vec![]) };
        assert!(matches!(desk.agents.open(&newer, &ahead).await, Err(AgentError::EnrolAnew)));
        assert!(matches!(desk.agents.next_certificate(&newer, 4, "bb").await, Err(AgentError::EnrolAnew)));
        assert_eq!(desk.state(&host).await, "active", "a restored backup locks every agent");
        // The generation is what it claims; the life of its certificate is not.
        let older = CertifiedAgent { serial: b"older".to_vec(), ..host.certified.clone() };
        assert!(matches!(desk.agents.open(&older, &ahead).await, Err(AgentError::Locked)));
        assert_eq!(desk.state(&host).await, "locked");
    }
}

#[tokio::test]
async fn an_agent_that_is_locked_loses_its_attempts_and_vouches_for_nobody() {
    for database in both() {
        let desk = Desk::new(database).await;
        let mut host = desk.clerk("office-1", 4).await;
        let (attempt, request) = desk.waiting().await;
        desk.started(&mut host, (&attempt, &request)).await;
        let expected = async || desk.world.attempts.expected(&claim(&attempt)).await.expect("a place");
        assert_eq!(expected().await, Expected::Agent(host.id));
        let copy = CertifiedAgent { serial: b"copy".to_vec(), ..host.certified.clone() };
        assert!(matches!(desk.agents.next_certificate(&copy, 1, "bb").await, Err(AgentError::Locked)));
        assert_eq!(expected().await, Expected::Nowhere);
        let fenced = desk.world.attempt(attempt.run).await.fenced_at;
        assert!(fenced.is_some(), "its attempt goes on");
    }
}

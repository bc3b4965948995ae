//! A scripted cloud with the wire shape of Amazon ECS and STS: it checks who signed, enforces what a role may do, keeps
//! client tokens as the cloud does, starts real processes as tasks, and meets faults when it is told to.
//!
//! It is our own reading of the service's documents, not the service. What it answers is as strict as we know it.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use tokio::net::TcpListener;

pub mod answer;
mod door;
mod ecs;
pub mod fault;
pub mod issuer;
mod s3;
pub mod signature;
mod sts;
pub mod task;
mod trail;

pub use fault::{Chaos, Fault};
pub use task::{Ending, Program, Seat, Task};

/// Account of the orchestrator.
pub const ORCHESTRATOR: &str = "111111111111";
/// Account of the customer.
pub const CUSTOMER: &str = "222222222222";
/// The one region.
pub const REGION: &str = "eu-central-1";

/// Who may assume a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The orchestrator, with this external id.
    Id(String),
    /// The orchestrator, with any external id or none: a mistake that a check must find.
    Anyone,
    /// Nobody any more.
    Nobody,
    /// ECS tasks only.
    Tasks,
}

/// A role of the customer.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its ARN.
    pub arn: String,
    /// Who may assume it.
    pub trust: Trust,
    /// Cluster that it may start and stop tasks in; any where `*`.
    pub cluster: String,
    /// Families that it may start; any where `*`.
    pub families: Vec<String>,
    /// Actions that it lacks in spite of that.
    pub lacks: Vec<&'static str>,
    /// Actions that it has besides.
    pub extra: Vec<&'static str>,
}

/// What somebody can sign with.
#[derive(Clone, Debug)]
pub struct Key {
    /// Access key id.
    pub id: String,
    /// Secret key.
    pub secret: String,
    /// Session token, for temporary keys.
    pub token: Option<String>,
    /// Account that it belongs to.
    pub account: String,
    /// ARN that GetCallerIdentity shows.
    pub arn: String,
    /// Role that it is a session of.
    pub role: Option<String>,
    /// Taken back: the cloud answers that the token has expired.
    pub revoked: bool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) keys: HashMap<String, Key>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) clusters: Vec<String>,
    pub(crate) families: Vec<String>,
    /// Buckets by name, and the region of each.
    pub(crate) buckets: BTreeMap<String, String>,
    /// Why the orchestrator's own policies let it assume no role, in the cloud's words.
    pub(crate) own_refusal: Option<&'static str>,
    /// S3 refuses without a word on what is missing, as it does to other accounts.
    pub(crate) terse: bool,
    pub(crate) tasks: BTreeMap<String, Task>,
    /// By cluster and client token: digest of the parameters, and the task.
    pub(crate) tokens: HashMap<(String, String), (String, String)>,
    pub(crate) faults: fault::Script,
    pub(crate) program: Program,
    /// Role that tasks get keys of, when it is another than the definition's.
    pub(crate) task_role: String,
    /// The account's issuer of tokens.
    pub(crate) issuer: issuer::Issuer,
    /// Whether the account lets STS sign tokens.
    pub(crate) gives_tokens: bool,
    pub(crate) calls: Vec<Called>,
    pub(crate) serial: u64,
}

/// A call that came in.
#[derive(Clone, Debug)]
pub struct Called {
    /// Such as `RunTask`.
    pub action: String,
    /// ARN of who signed; empty where nobody could be told.
    pub by: String,
    /// The role that whoever signed is a session of.
    pub role: Option<String>,
    /// The body.
    pub body: String,
    /// What the cloud calls it.
    pub request_id: String,
    /// When it came in.
    pub at: chrono::DateTime<chrono::Utc>,
    /// Whether it reached the service, and with which error code it was refused there.
    pub served: Option<Option<&'static str>>,
}

/// The cloud; its tasks end when it is dropped.
pub struct Aws {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: tokio::task::JoinHandle<()>,
}

/// The state with its lock, for handlers.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) address: SocketAddr,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A number that was not given before.
    pub(crate) fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Temporary keys of a role.
    pub(crate) fn session(&mut self, role: &str, name: &str) -> Key {
        let n = self.next();
        let account = role.split(':').nth(4).unwrap_or_default().to_owned();
        let short = role.rsplit('/').next().unwrap_or_default();
        let key = Key {
            id: format!("ASIA{n:016}"),
            secret: format!("secret-{n}-of-{short}"),
            token: Some(format!("token-{n}")),
            arn: format!("arn:aws:sts::{account}:assumed-role/{short}/{name}"),
            account,
            role: Some(role.to_owned()),
            revoked: false,
        };
        self.keys.insert(key.id.clone(), key.clone());
        key
    }
}

impl Aws {
    /// Starts it on a loopback port, with the orchestrator's key, one cluster and one family.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let mut state = State::default();
        let orchestrator = Key {
            id: "AKIAORCHESTRATOR".into(),
            secret: "orchestrator-secret".into(),
            token: None,
            account: ORCHESTRATOR.into(),
            arn: format!("arn:aws:iam::{ORCHESTRATOR}:user/waybill"),
            role: None,
            revoked: false,
        };
        state.keys.insert(orchestrator.id.clone(), orchestrator);
        state.clusters.push("waybill".into());
        state.families.extend(["waybill-worker".to_owned(), Self::ARM_FAMILY.to_owned()]);
        state.task_role = Self::task_role();
        let state = Arc::new(Mutex::new(state));
        let shared = Shared { state: Arc::clone(&state), address };
        let router: Router = door::router(shared);
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("serves");
        });
        Self { address, state, server }
    }

    /// Where it is reached.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// ARN of the role that starts tasks.
    #[must_use]
    pub fn launch_role() -> String {
        format!("arn:aws:iam::{CUSTOMER}:role/waybill-launch")
    }

    /// ARN of the role that tasks run as.
    #[must_use]
    pub fn task_role() -> String {
        format!("arn:aws:iam::{CUSTOMER}:role/waybill-worker")
    }

    /// The same worker for another processor: a second family, which no role may start by itself.
    pub const ARM_FAMILY: &str = "waybill-worker-arm64";

    /// Makes the launch role as the customer's Terraform would, with this external id.
    pub fn grant(&self, external_id: &str) {
        let role = Role {
            arn: Self::launch_role(),
            trust: Trust::Id(external_id.into()),
            cluster: "waybill".into(),
            families: vec!["waybill-worker".into()],
            lacks: Vec::new(),
            extra: Vec::new(),
        };
        self.put_role(role);
    }

    /// Makes an empty bucket of the customer's.
    pub fn put_bucket(&self, name: &str, region: &str) {
        self.lock().buckets.insert(name.to_owned(), region.to_owned());
    }

    /// Lets S3 refuse without saying which permission is missing.
    pub fn refuse_tersely(&self) {
        self.lock().terse = true;
    }

    /// Makes or replaces a role.
    pub fn put_role(&self, role: Role) {
        self.lock().roles.insert(role.arn.clone(), role);
    }

    /// Changes a role.
    pub fn change_role(&self, arn: &str, change: impl FnOnce(&mut Role)) {
        change(self.lock().roles.get_mut(arn).expect("the role"));
    }

    /// Has the orchestrator's own policies refuse every AssumeRole with this ending of the cloud's message, or no more.
    pub fn refuse_the_orchestrator(&self, why: Option<&'static str>) {
        self.lock().own_refusal = why;
    }

    /// Takes back every session of a role: what was given before is over.
    pub fn revoke_sessions(&self, role: &str) {
        for key in self.lock().keys.values_mut().filter(|key| key.role.as_deref() == Some(role)) {
            key.revoked = true;
        }
    }

    /// Temporary keys of a role, as a task or a thief would hold them.
    #[must_use]
    pub fn keys_of(&self, role: &str, session: &str) -> Key {
        self.lock().session(role, session)
    }

    /// The orchestrator's own key.
    #[must_use]
    pub fn orchestrator_key(&self) -> Key {
        self.lock().keys["AKIAORCHESTRATOR"].clone()
    }

    /// What tasks do from now on.
    pub fn run_as(&self, program: Program) {
        self.lock().program = program;
    }

    /// Role whose keys tasks get from now on.
    pub fn give_tasks(&self, role: &str) {
        self.lock().task_role = role.to_owned();
    }

    /// Lets the next `times` calls of this action meet a fault.
    pub fn fault(&self, action: &'static str, fault: Fault, times: usize) {
        self.lock().faults.push(action, fault, times);
    }

    /// Lets calls meet random faults from now on.
    pub fn chaos(&self, chaos: Option<Chaos>) {
        self.lock().faults.chaos = chaos;
    }

    /// How many faults this action has met.
    #[must_use]
    pub fn fired(&self, action: &str) -> usize {
        self.lock().faults.fired(action)
    }

    /// How many faults of each kind were met, for a report.
    #[must_use]
    pub fn fired_by_kind(&self) -> BTreeMap<&'static str, usize> {
        self.lock().faults.by_kind()
    }

    /// Every task, oldest first.
    #[must_use]
    pub fn tasks(&self) -> Vec<Task> {
        let mut tasks: Vec<_> = self.lock().tasks.values().cloned().collect();
        tasks.sort_by_key(|task| task.number);
        tasks
    }

    /// Tasks that were started for this attempt.
    #[must_use]
    pub fn tasks_of(&self, attempt: &str) -> Vec<Task> {
        let started_by = format!("wb/{attempt}");
        self.tasks().into_iter().filter(|task| task.started_by == started_by).collect()
    }

    /// Changes a task by hand, such as into a terminal state.
    pub fn change_task(&self, arn: &str, change: impl FnOnce(&mut Task)) {
        change(self.lock().tasks.get_mut(arn).expect("the task"));
    }

    /// Lets a task that was held in PROVISIONING go on.
    pub fn release(&self, arn: &str) {
        task::begin(&Shared { state: Arc::clone(&self.state), address: self.address }, arn);
    }

    /// Calls of this action so far.
    #[must_use]
    pub fn calls(&self, action: &str) -> Vec<Called> {
        self.lock().calls.iter().filter(|call| call.action == action).cloned().collect()
    }

    /// How many calls of this action are such.
    #[must_use]
    pub fn count(&self, action: &str, is: impl Fn(&Called) -> bool) -> usize {
        self.lock().calls.iter().filter(|call| call.action == action && is(call)).count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        self.server.abort();
        for task in self.lock().tasks.values() {
            task.kill();
        }
    }
}

//! The control plane's database: one SQL text for SQLite and Postgres.
//!
//! A method is `noun_verb`; `_in_txn` takes the caller's transaction, so that a change and its audit entry stand or
//! fall together. Every read of a tenant's row takes the organization first. Every change of state is one
//! compare-and-set statement: the number of changed rows tells who won. Times are the database's, never this host's.
//! No row of a customer's table, no cursor and no secret is ever stored here.

mod agent;
mod agent_task;
mod attempt;
mod audit;
mod certificate;
mod connection;
mod data_plane;
mod denial;
mod dialect;
mod error;
mod event;
mod idempotency;
mod invitation;
mod key;
mod lease;
mod listing;
mod member;
mod organization;
mod password;
mod pipeline;
mod project;
mod reach;
mod reading;
mod retention;
mod run;
mod schedule;
mod session;
mod signature;
mod standing;
mod stream;
mod trail;
mod user;

use std::sync::Arc;
use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::migrate::Migrator;
use sqlx::{Any, AnyPool, Connection as _, Executor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use waybill_model::{Micros, OrgId};

pub use agent::{Agent, AgentCertificate, AgentSaid};
pub use agent_task::AgentTask;
pub use attempt::{Attempt, AttemptStart, NewAttempt};
pub use audit::{AuditBreak, AuditEntry, AuditHead, AuditRow};
pub use certificate::Certificate;
pub use connection::{Connection, NewConnection};
pub use data_plane::DataPlane;
pub use dialect::Dialect;
pub use error::{StoreError, StoreResult};
pub use event::{NewEvent, RunEventRow};
pub use idempotency::{IdempotencyKey, KeptAnswer};
pub use invitation::{Invitation, NewInvitation};
pub use key::{ApiKey, KeyFound, NewApiKey};
pub use lease::LoopLease;
pub use listing::{ListOrder, ListPart, Listed};
pub use member::{Member, RoleChange};
pub use organization::Organization;
pub use password::PasswordReset;
pub use pipeline::{NewPipeline, Pipeline, PipelineVersion};
pub use project::Project;
pub use reach::RowSecurity;
pub use retention::Kept;
pub use run::{NewRun, Run, RunFilter, RunOrder};
pub use schedule::{NewSchedule, Schedule};
pub use session::{RefreshOutcome, Session};
pub use signature::PlanSignature;
pub use standing::{Sight, Standing};
pub use stream::RunStream;
pub use trail::{NewTrailEntry, TrailCalls, TrailEntry, TrailFilter};
pub use user::User;

use reach::Reach;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Most connections at once.
    pub connections: u32,
    /// How long a caller waits for a connection, or for another writer, before it is told `Unavailable`.
    pub patience: Duration,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { connections: 10, patience: Duration::from_secs(5) }
    }
}

/// The database of one control plane. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pool: AnyPool,
    dialect: Dialect,
    patience: Duration,
    /// SQLite has one writer at a time and serves waiting ones by luck; here they are served in turn.
    turn: Option<Arc<Semaphore>>,
}

/// A transaction that writes. Dropped without [`Tx::commit`], it leaves no trace.
pub struct Tx {
    inner: sqlx::Transaction<'static, Any>,
    dialect: Dialect,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Store {
    /// Connects with the default options and brings the schema up to date.
    pub async fn open(url: &str) -> StoreResult<Self> {
        Self::open_with(url, &StoreOptions::default()).await
    }

    /// Connects and brings the schema up to date.
    pub async fn open_with(url: &str, options: &StoreOptions) -> StoreResult<Self> {
        let store = Self::connect(url, options).await?;
        store.migrate().await?;
        Ok(store)
    }

    /// Connects without touching the schema.
    pub async fn connect(url: &str, options: &StoreOptions) -> StoreResult<Self> {
        sqlx::any::install_default_drivers();
        let dialect = Dialect::of_url(url).ok_or(StoreError::Scheme)?;
        let patience_ms = options.patience.as_millis();
        let pool = AnyPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(options.patience)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for statement in dialect.session_statements(patience_ms) {
                        connection.execute(sqlx::AssertSqlSafe(statement)).await?;
                    }
                    Ok(())
                })
            })
            // A database that rolls back by itself, as SQLite does without space, leaves the driver in a transaction that is
            // none: such a connection would refuse every later one.
            .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
            .connect(&dialect.complete_url(url))
            .await?;
        let turn = (dialect == Dialect::Sqlite).then(|| Arc::new(Semaphore::new(1)));
        Ok(Self { pool, dialect, patience: options.patience, turn })
    }

    /// Applies the migrations that are missing. Two processes may do it at once: one waits for the other.
    pub async fn migrate(&self) -> StoreResult<()> {
        let migrator = match self.dialect {
            Dialect::Sqlite => &SQLITE,
            Dialect::Postgres => &POSTGRES,
        };
        let deadline = tokio::time::Instant::now() + self.patience.max(Duration::from_secs(5));
        loop {
            match self.migrated(migrator).await {
                Err(error) if error.is_unavailable() && tokio::time::Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                other => return other,
            }
        }
    }

    /// A migration may change rows of everybody's, so it goes through a connection of its own, which nobody uses after it.
    async fn migrated(&self, migrator: &Migrator) -> StoreResult<()> {
        let mut connection = self.pool.acquire().await?.detach();
        if let Some(named) = Reach::All.of_session(self.dialect) {
            connection.execute(named).await?;
        }
        migrator.run(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Begins a transaction that writes what is one organization's. On SQLite it takes the write lock at once, so a
    /// transaction that has begun is never refused as busy; waiting for the lock is retried here.
    pub async fn write_tx(&self, org: OrgId) -> StoreResult<Tx> {
        self.begin(Reach::Of(org)).await
    }

    /// Begins a transaction that writes what is everybody's: for loops, and for what happens before it is known who calls.
    pub async fn write_tx_of_all(&self) -> StoreResult<Tx> {
        self.begin(Reach::All).await
    }

    async fn begin(&self, reach: Reach) -> StoreResult<Tx> {
        let deadline = tokio::time::Instant::now() + self.patience;
        let turn = match &self.turn {
            Some(turn) => match tokio::time::timeout_at(deadline, Arc::clone(turn).acquire_owned()).await {
                Ok(Ok(turn)) => Some(turn),
                Ok(Err(_)) | Err(_) => return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
            },
            None => None,
        };
        loop {
            match self.begun(reach.begin_write(self.dialect)).await {
                Ok(inner) => return Ok(Tx { inner, dialect: self.dialect, _turn: turn }),
                Err(error @ StoreError::Unavailable(_)) if !lost_connection(&error) => {
                    if tokio::time::Instant::now() >= deadline {
                        return Err(error);
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The database's clock: the only one that leases, slots and epochs know.
    pub async fn clock(&self) -> StoreResult<Micros> {
        let now: i64 = sqlx::query_scalar(self.dialect.sql("select {now}")).fetch_one(&self.pool).await?;
        Ok(Micros(now))
    }

    /// Whether the database answers and its schema is the one that this program knows.
    pub async fn ready(&self) -> StoreResult<()> {
        sqlx::query("select count(*) from organization").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Which database it is.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Ends all connections; calls after it are `Unavailable`.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Tx {
    /// Makes all changes of the transaction visible at once.
    pub async fn commit(self) -> StoreResult<()> {
        Ok(self.inner.commit().await?)
    }

    /// The database's clock. On Postgres it moves on within a transaction.
    pub async fn clock(&mut self) -> StoreResult<Micros> {
        let now: i64 = sqlx::query_scalar(self.dialect.sql("select {now}")).fetch_one(&mut *self.inner).await?;
        Ok(Micros(now))
    }

    pub(crate) fn connection(&mut self) -> &mut <Any as sqlx::Database>::Connection {
        &mut self.inner
    }

    pub(crate) fn sql(&self, text: &'static str) -> sqlx::AssertSqlSafe<String> {
        self.dialect.sql(text)
    }

    /// The same for a text that this crate put together of constants.
    pub(crate) fn sql_of(&self, text: &str) -> sqlx::AssertSqlSafe<String> {
        self.dialect.sql_of(text)
    }
}

/// Waiting longer for a pool that is exhausted or a server that is away has been done by the pool already.
fn lost_connection(error: &StoreError) -> bool {
    matches!(error, StoreError::Unavailable(cause) if !matches!(cause, sqlx::Error::Database(_)))
}

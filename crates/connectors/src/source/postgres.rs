//! PostgreSQL 14 and newer: binary COPY over ranges of row ids, all lanes in one exported snapshot.
//!
//! It speaks the protocol itself, so that every length is bounded before a byte is buffered. It writes nothing, takes no
//! more than ACCESS SHARE, and keeps what the server said about values out of every text.

mod catalog;
mod compare;
pub(crate) mod connect;
mod copy;
pub(crate) mod decode;
mod discover;
mod kind;
mod lane;
pub mod literal;
mod origin;
mod plan;
pub(crate) mod query;
pub(crate) mod refusal;
mod replica;
mod select;
mod sequence;
pub(crate) mod session;
mod snapshot;
mod sums;
mod window;
pub(crate) mod wire;
mod xmin;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_model::errand::Range;
use waybill_model::plan::{Condition, Postgres, StreamPlan};
use waybill_pipeline::source::{Table, Want};
use waybill_pipeline::{Credential, CursorState, Fault, FaultResult, Snapshot, Source};

use self::catalog::{Attribute, Relation};
use self::compare::Operators;
use self::connect::Address;
use self::decode::{Bounds, Policies};
use self::kind::{Rules, Types};
use self::refusal::Failure;
use self::select::Selection;
use self::session::Hello;
use self::snapshot::{PgSnapshot, Shared};
use self::window::Window;
use self::wire::Wire;
use crate::dial::Dialer;
use crate::source::server::part::{Part, Parts};
use crate::source::server::reach::{Goal, READS, shown};
use crate::source::{References, shape};

#[cfg(any(test, fuzzing))]
pub(crate) use self::decode::fuzz;

/// How long an integer cursor waits for transactions that were open before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a field's metadata hold the type under its domains, as this server writes it. A destination of the same kind takes it
/// from here: what it knows itself by a domain's name may hold less.
pub(crate) const BASE_TYPE: &str = "source.base";

/// A PostgreSQL server as a source.
pub struct PostgresSource {
    address: Address,
    patience: Duration,
}

/// A connection that found its stream.
struct Found {
    wire: Wire,
    at: Goal,
    hello: Hello,
    relation: Relation,
    attributes: Vec<Attribute>,
    types: Types,
    rules: Rules,
    /// Columns of the table that tell a row from all others, for streams that need it.
    key: Vec<String>,
    /// What is read of all rows by a stream that asks which are gone.
    keys: Option<Selection>,
}

impl PostgresSource {
    /// A source for one connection. The password is asked for before each log-in, and anew after it was refused. `run`
    /// shows in the server's list of sessions.
    pub fn new(settings: &Postgres, password: Option<Arc<dyn Credential>>, run: &str) -> FaultResult<Self> {
        Self::with(settings, password, &References::default(), run)
    }

    /// The same, with ways to what the settings' other references name; without them settings that have some are refused.
    pub fn with(
        settings: &Postgres,
        password: Option<Arc<dyn Credential>>,
        ways: &References,
        run: &str,
    ) -> FaultResult<Self> {
        Ok(Self { address: Address::new(settings, password, ways, shown(READS, run))?, patience: PATIENCE })
    }

    /// The same through a dialer with rules of its own.
    #[must_use]
    pub fn through(mut self, dialer: Dialer) -> Self {
        self.address = self.address.through(dialer);
        self
    }

    /// Another bound for the wait of integer cursors.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    async fn find(&self, stream: &StreamPlan) -> FaultResult<Found> {
        let (mut wire, at) = self.address.connect().await?;
        let hello = session::greet(&mut wire).await?;
        let relation = catalog::find(&mut wire, &stream.name).await?;
        let attributes = catalog::attributes(&mut wire, &relation).await?;
        let types = catalog::types(&mut wire, &relation).await?;
        let money_scale = catalog::money_scale(&mut wire, &types).await?;
        let rules = Rules { arrays: stream.arrays, money_scale };
        Ok(Found { wire, at, hello, relation, attributes, types, rules, key: Vec::new(), keys: None })
    }
}

impl Found {
    /// Opens the transaction, makes sure that what was found still stands, and rehearses the statement.
    async fn lead(&mut self, stream: &StreamPlan) -> FaultResult<Selection> {
        session::lead(&mut self.wire, &self.relation, self.hello.is_sql_ascii).await?;
        catalog::confirm(&mut self.wire, &self.relation).await?;
        // The columns are read again: now the lock holds them.
        self.attributes = catalog::attributes(&mut self.wire, &self.relation).await?;
        self.types = catalog::types(&mut self.wire, &self.relation).await?;
        let (rules, is_sql_ascii) = (self.rules, self.hello.is_sql_ascii);
        let select = |stream: &StreamPlan| Selection::new(stream, &self.attributes, &self.types, rules, is_sql_ascii);
        let mut selection = select(stream)?;
        let names: Vec<&str> = self.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        let unique = catalog::unique(&mut self.wire, &self.relation).await?;
        self.key = shape::key(stream, &names, &shape::choose(&stream.columns, &names)?, &unique)?;
        self.keys = shape::of_keys(stream, &self.key).map(|keys| select(&keys)).transpose()?;
        if !stream.filter.is_empty() {
            let operators = Operators::of(&mut self.wire, &self.types).await?;
            for selection in [Some(&mut selection), self.keys.as_mut()].into_iter().flatten() {
                selection.filter(stream, &self.attributes, &self.types, &operators)?;
            }
        }
        match self.wire.ask(&selection.rehearse(&self.relation.sql())).await {
            Ok(_) => Ok(selection),
            Err(Failure::Server(error)) if error.state().starts_with("22") && !stream.filter.is_empty() => {
                let text = "a value of the filter can't be read as its column's type";
                Err(Fault::new(FailureCode::SpecRefused, text).with_sqlstate(error.state()))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    async fn count_nulls(
        &mut self,
        selection: &Selection,
        window: &mut Window,
        stream: &StreamPlan,
    ) -> FaultResult<()> {
        let (Some(nulls), Some(cursor)) = (&window.nulls, &stream.cursor) else { return Ok(()) };
        let sql = selection.count(&self.relation.sql(), Some(nulls));
        let count = self.wire.ask_one(&sql).await?.number(0)?;
        window.settle_nulls(cursor.nulls, count)
    }
}

#[async_trait]
impl Source for PostgresSource {
    async fn reach(&self) -> FaultResult<()> {
        let (mut wire, _) = self.address.connect().await?;
        session::greet(&mut wire).await?;
        wire.terminate().await;
        Ok(())
    }

    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        let mut found = self.find(stream).await?;
        let cursor = window::check(stream, &found.attributes, &found.types, found.rules)?;
        if let Some(cursor) = cursor {
            cursor.rehearse(&mut found.wire, &found.relation, &found.hello).await?;
        }
        found.lead(stream).await?;
        found.wire.terminate().await;
        Ok(())
    }

    async fn discover(&self) -> FaultResult<Vec<Table>> {
        let (mut wire, _) = self.address.connect().await?;
        session::greet(&mut wire).await?;
        let tables = discover::tables(&mut wire).await?;
        wire.terminate().await;
        Ok(tables)
    }

    async fn range(&self, stream: &StreamPlan, range: &Range) -> FaultResult<Vec<Condition>> {
        let mut found = self.find(stream).await?;
        let cursor = window::check(stream, &found.attributes, &found.types, found.rules)?;
        let conditions = cursor.map_or_else(|| Ok(Vec::new()), |cursor| cursor.range(range))?;
        found.wire.terminate().await;
        Ok(conditions)
    }

    async fn open(
        &self,
        stream: &StreamPlan,
        after: Option<&CursorState>,
        want: Want,
    ) -> FaultResult<Box<dyn Snapshot>> {
        let mut found = self.find(stream).await?;
        // The window's end is read before the snapshot is taken: what commits between the two is seen, or is not in it.
        let mut window = match window::check(stream, &found.attributes, &found.types, found.rules)? {
            Some(cursor) => cursor.fix(&mut found.wire, &found.relation, after, &found.hello, self.patience).await?,
            None => Window::default(),
        };
        let mut selection = found.lead(stream).await?;
        if let Some(cursor) = window::check(stream, &found.attributes, &found.types, found.rules)? {
            window.nulls = cursor.without(&mut found.wire, &found.relation).await?;
        }
        let (id, identity) = session::export(&mut found.wire).await?;
        found.count_nulls(&selection, &mut window, stream).await?;
        let leaves = catalog::leaves(&mut found.wire, &found.relation).await?;
        let is_scan = window.span.is_some();
        if let Some(span) = window.span.take() {
            span.settle(&mut window, &leaves)?;
        }
        if let Some(rows) = &window.rows {
            selection.restrict(rows.clone());
        }
        let known: Option<f64> = leaves.iter().map(|leaf| leaf.rows).sum();
        let rows_estimate = known.filter(|_| !window.is_bounded && stream.filter.is_empty()).map(|rows| rows as u64);
        // A window is best left to an index, where one serves it; only what is looked through as a whole is cut.
        let cut = if window.is_bounded && !is_scan { 1 } else { want.most };
        let queue = if window.is_empty { Vec::new() } else { plan::ranges(&found.relation, &leaves, cut) };
        let ranges = queue.len();
        // By one connection, each of whose statements takes a table as a whole.
        let all = plan::ranges(&found.relation, &leaves, 1);
        let shared = Shared {
            address: self.address.clone(),
            at: found.at,
            id,
            identity,
            relation: found.relation,
            parts: Parts::new(Part::new(selection, queue), found.keys.map(|keys| Part::new(keys, all))),
            policies: Policies { edges: stream.edge_values, arrays: stream.arrays, text: stream.invalid_text },
            bounds: Bounds { batch_bytes: want.batch_bytes, row_bytes: want.row_bytes },
            is_sql_ascii: found.hello.is_sql_ascii,
            leader: tokio::sync::Mutex::new(Some(found.wire)),
            is_led: AtomicBool::new(false),
        };
        Ok(Box::new(PgSnapshot {
            shared: Arc::new(shared),
            window,
            key: found.key,
            rows_estimate,
            lanes: ranges.clamp(1, want.most.max(1)),
            counts: stream.verify_count,
        }))
    }
}

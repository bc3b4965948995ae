//! MariaDB 10.4 and newer, and MySQL 8: rows of prepared statements in the binary form, in one consistent snapshot.
//!
//! It speaks the protocol itself, so that every length is bounded before a byte is buffered and no local file is ever sent.
//! It writes nothing, and keeps what the server said about values out of every text.

mod barrier;
mod bytes;
mod catalog;
mod connect;
mod decode;
mod discover;
mod handshake;
mod kind;
mod lane;
pub mod literal;
mod others;
mod plan;
mod proof;
mod query;
mod refusal;
mod select;
mod session;
mod snapshot;
mod statement;
mod sums;
mod window;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use waybill_model::FailureCode;
use waybill_model::errand::Range;
use waybill_model::plan::{Condition, MySql, StreamPlan};
use waybill_pipeline::source::{Table, Want};
use waybill_pipeline::{Credential, CursorState, Fault, FaultResult, Snapshot, Source};

use self::catalog::{Column, Relation};
use self::connect::Address;
use self::decode::{Bounds, Policies};
use self::refusal::Failure;
use self::select::Selection;
use self::session::Hello;
use self::snapshot::{MySqlSnapshot, Shared};
use self::window::Window;
use self::wire::Wire;
use crate::dial::Dialer;
use crate::source::server::part::{Part, Parts};
use crate::source::server::reach::Goal;
use crate::source::{References, shape};

#[cfg(any(test, fuzzing))]
pub(crate) use self::decode::fuzz;

/// How long an integer cursor waits for transactions that were open before it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A MySQL or MariaDB server as a source.
pub struct MySqlSource {
    address: Address,
    patience: Duration,
}

/// A connection that found its stream.
struct Found {
    wire: Wire,
    at: Goal,
    hello: Hello,
    relation: Relation,
    columns: Vec<Column>,
    /// Columns of the table that tell a row from all others, for streams that need it.
    key: Vec<String>,
    /// What is read of all rows by a stream that asks which are gone.
    keys: Option<Selection>,
}

/// Connections with one view.
struct View {
    wires: Vec<Wire>,
    rests_on: String,
}

impl MySqlSource {
    /// A source for one connection. The password is asked for before each log-in, and anew after it was refused. `run`
    /// shows among the server's attributes of sessions.
    pub fn new(settings: &MySql, password: Option<Arc<dyn Credential>>, run: &str) -> FaultResult<Self> {
        Self::with(settings, password, &References::default(), run)
    }

    /// The same, with ways to what the settings' other references name; without them settings that have some are refused.
    pub fn with(
        settings: &MySql,
        password: Option<Arc<dyn Credential>>,
        ways: &References,
        run: &str,
    ) -> FaultResult<Self> {
        Ok(Self { address: Address::new(settings, password, ways, run)?, patience: PATIENCE })
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

    async fn connect(&self) -> FaultResult<(Wire, Goal, Hello)> {
        let (mut wire, at) = self.address.connect().await?;
        let hello = session::greet(&mut wire).await?;
        Ok((wire, at, hello))
    }

    async fn find(&self, stream: &StreamPlan) -> FaultResult<Found> {
        let (mut wire, at, hello) = self.connect().await?;
        let relation = catalog::find(&mut wire, &stream.name, &self.address.database).await?;
        let columns = catalog::columns(&mut wire, &relation).await?;
        Ok(Found { wire, at, hello, relation, columns, key: Vec::new(), keys: None })
    }
}

impl Found {
    /// Opens the snapshot: by several connections where `lanes` asks for them, the table is worth it, and they are proven to
    /// see the same.
    async fn view(mut self, address: &Address, by: Option<&String>, lanes: usize) -> FaultResult<(Self, View)> {
        if by.is_some()
            && let Some(joined) =
                barrier::join(address, self.at, &self.relation, (&self.hello, lanes, &mut self.wire)).await?
        {
            let rests_on = format!("{} connections at {} behind a table lock", joined.wires.len(), joined.position);
            let mut wires = joined.wires;
            let Some(first) = wires.pop() else {
                return Err(Fault::new(FailureCode::WorkerBug, "a view without a connection"));
            };
            std::mem::replace(&mut self.wire, first).quit().await;
            return Ok((self, View { wires, rests_on }));
        }
        session::begin(&mut self.wire, &self.relation).await?;
        let rests_on = if self.relation.is_innodb() || self.relation.is_view {
            "one connection"
        } else {
            // Its engine has no snapshots: a statement sees what it sees.
            "one statement"
        };
        Ok((self, View { wires: Vec::new(), rests_on: rests_on.into() }))
    }

    /// Makes sure that what was found still stands, now that the table is held, and rehearses the statement.
    async fn select(&mut self, stream: &StreamPlan) -> FaultResult<Selection> {
        self.columns = catalog::columns(&mut self.wire, &self.relation).await?;
        if !(stream.checksums.is_off() || self.relation.is_innodb() || self.relation.is_view) {
            let text = "`checksums` needs rows and sums of one snapshot, and the engine of this table has none: only InnoDB has";
            return Err(Fault::new(FailureCode::ChecksumUnusable, text));
        }
        let selection = Selection::new(stream, self.relation.sql(), &self.columns)?;
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let unique = catalog::unique(&mut self.wire, &self.relation).await?;
        self.key = shape::key(stream, &names, &shape::choose(&stream.columns, &names)?, &unique)?;
        let keys = shape::of_keys(stream, &self.key);
        self.keys = keys.map(|keys| Selection::new(&keys, self.relation.sql(), &self.columns)).transpose()?;
        match self.wire.ask(&selection.rehearse()).await {
            Ok(_) => Ok(selection),
            Err(Failure::Server(error)) if matches!(error.number, 1292 | 1525) && !stream.filter.is_empty() => {
                let text = "a value of the filter can't be read as its column's type";
                Err(Fault::new(FailureCode::SpecRefused, text))
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
        let count = self.wire.ask_one(&selection.count(Some(nulls))).await?.number(0)?;
        window.settle_nulls(cursor.nulls, count)
    }
}

#[async_trait]
impl Source for MySqlSource {
    async fn reach(&self) -> FaultResult<()> {
        let (wire, ..) = self.connect().await?;
        wire.quit().await;
        Ok(())
    }

    async fn check(&self, stream: &StreamPlan) -> FaultResult<()> {
        let mut found = self.find(stream).await?;
        window::check(stream, &found.columns)?;
        session::begin(&mut found.wire, &found.relation).await?;
        found.select(stream).await?;
        found.wire.quit().await;
        Ok(())
    }

    async fn discover(&self) -> FaultResult<Vec<Table>> {
        let (mut wire, ..) = self.connect().await?;
        let tables = discover::tables(&mut wire).await?;
        wire.quit().await;
        Ok(tables)
    }

    async fn range(&self, stream: &StreamPlan, range: &Range) -> FaultResult<Vec<Condition>> {
        let found = self.find(stream).await?;
        let cursor = window::check(stream, &found.columns)?;
        let conditions = cursor.map_or_else(|| Ok(Vec::new()), |cursor| cursor.range(range))?;
        found.wire.quit().await;
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
        let mut window = match window::check(stream, &found.columns)? {
            Some(cursor) => cursor.fix(&mut found.wire, &found.relation, after, (&found.hello, self.patience)).await?,
            None => Window::default(),
        };
        let key = catalog::key(&mut found.wire, &found.relation).await?;
        // A window is best left to an index; only whole tables are cut.
        let by = plan::cut_by(&found.relation, &found.columns, &key).filter(|_| !window.is_bounded && !window.is_empty);
        let (mut found, mut view) = found.view(&self.address, by.as_ref(), want.lanes).await?;
        let mut selection = found.select(stream).await?;
        found.count_nulls(&selection, &mut window, stream).await?;
        if let Some(rows) = &window.rows {
            selection.restrict(rows.clone());
        }
        let queue = match &by {
            _ if window.is_empty => Vec::new(),
            Some(by) if !view.wires.is_empty() => {
                plan::ranges(&mut found.wire, &found.relation, by, view.wires.len() + 1).await?
            }
            _ => vec![None],
        };
        view.wires.push(found.wire);
        let lanes = view.wires.len();
        let is_whole = !window.is_bounded && stream.filter.is_empty();
        Ok(Box::new(MySqlSnapshot {
            shared: Arc::new(Shared {
                address: self.address.clone(),
                at: found.at,
                parts: Parts::new(Part::new(selection, queue), found.keys.map(|keys| Part::new(keys, vec![None]))),
                policies: Policies { edges: stream.edge_values, text: stream.invalid_text },
                bounds: Bounds { batch_bytes: want.batch_bytes, row_bytes: want.row_bytes },
                idle: std::sync::Mutex::new(view.wires),
            }),
            window,
            key: found.key,
            rows_estimate: found.relation.rows.filter(|_| is_whole),
            lanes,
            counts: stream.verify_count,
            rests_on: view.rests_on,
        }))
    }
}

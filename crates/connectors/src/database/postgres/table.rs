//! One table as one attempt sees it: found, fenced, filled, committed, and read back where the answer was lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use async_trait::async_trait;
use tokio::sync::Mutex;
use waybill_model::plan::{Deletes, Load, System};
use waybill_model::{AttemptId, FailureCode, RunId, fault};
use waybill_pipeline::commit::{Committed, Delivered, Delivery, Outcome, Owner, Retyped, State};
use waybill_pipeline::database::{self, Chunk, DatabaseTable, Placed, RowSink, Swept, Wanted};
use waybill_pipeline::encode::twin_name;
use waybill_pipeline::{Batch, Fault, FaultResult};

use super::NAME_BYTES;
use super::clear::{self, Why};
use super::copy::{self, Feed, Pump, Sent, Sheet};
use super::encode::Encoder;
use super::fault::of_target;
use super::kind::{self, Column, Restore};
use super::ledger::{self, Entry, Fresh};
use super::merge::Merge;
use super::relation::{self, Relation, sql};
use super::session::{self, run};
use super::sweep::Keys;
use crate::source::postgres::connect::Address;
use crate::source::postgres::literal::identifier;
use crate::source::postgres::refusal::{Exchange, Failure};
use crate::source::postgres::wire::Wire;

/// The server's own columns, whose names none of ours may have.
const RESERVED: [&str; 6] = ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"];

/// A table as it was found when it was opened.
pub(super) struct PgTable {
    address: Address,
    schema: String,
    table: String,
    owner: Owner,
    stream: String,
    same_kind: bool,
    deletes: Deletes,
    run: RunId,
    attempt: AttemptId,
    found: Option<Entry>,
    /// The table that the entry speaks of is the one that is there.
    is_ours: bool,
    /// The table as it was found.
    relation: Option<Relation>,
    step: Mutex<Step>,
}

/// Where the attempt stands.
enum Step {
    Found(Wire),
    Sending {
        sink: Arc<Sink>,
        pump: Pump,
        sheet: Sheet,
    },
    /// All rows are sent, and the keys of all rows of the source come.
    Keys {
        sink: Arc<Sink>,
        rows: u64,
        twins: BTreeSet<usize>,
        sheet: Sheet,
        keys: Arc<Sink>,
        pump: Pump,
        key_sheet: Sheet,
    },
    /// Everything but the commit.
    Ready(Wire),
    /// The commit was sent, and nobody knows what became of it; with what the server said instead of yes.
    Doubt(Option<Fault>),
    Adopted(Delivered),
    Overtaken,
    Over,
}

/// Takes the rows of all lanes.
struct Sink {
    encoder: Encoder,
    feed: Feed,
    retyped: Vec<Retyped>,
}

#[async_trait]
impl RowSink for Sink {
    fn retyped(&self) -> Vec<Retyped> {
        self.retyped.clone()
    }

    fn twins(&self, batch: &Batch) -> Vec<usize> {
        self.encoder.twins(batch)
    }

    fn encode(&self, batch: &Batch, twins: &[usize]) -> FaultResult<Chunk> {
        self.encoder.encode(batch, twins)
    }

    async fn send(&self, chunk: Chunk) -> FaultResult<()> {
        self.feed.send(chunk).await
    }
}

impl PgTable {
    pub(super) async fn open(
        address: Address,
        (schema, table): (String, String),
        wanted: Wanted<'_>,
    ) -> FaultResult<Self> {
        let mut wire = session::connect(&address).await?;
        session::look(&mut wire).await?;
        relation::check_grants(&mut wire, &schema).await?;
        let relation = relation::find(&mut wire, &schema, &table).await?;
        let found = ledger::read(&mut wire, &schema, &table).await?;
        let oid = relation.as_ref().map(|relation| relation.oid);
        let is_ours = found.as_ref().is_some_and(|found| oid.is_none_or(|oid| oid == found.table_oid));
        let not_ours = |text: String| Err(Fault::new(FailureCode::TableNotOurs, text));
        if let Some(relation) = relation.as_ref().filter(|relation| !relation.is_table()) {
            return not_ours(format!("{schema}.{table} is no table (relkind {})", relation.kind));
        }
        if !wanted.owner.take_over {
            if oid.is_some() && !is_ours {
                return not_ours(format!("{schema}.{table} was made by something else"));
            }
            if found.as_ref().is_some_and(|found| found.state.pipeline != wanted.owner.pipeline) {
                return not_ours(format!("{schema}.{table} belongs to another pipeline"));
            }
        }
        if let Some(found) = &found {
            found.check_stream(wanted.run, &wanted.stream.name)?;
        }
        if let Some(relation) = relation.as_ref().filter(|_| wanted.load == Load::Full) {
            clear::check_references(&mut wire, relation, Why::Replace).await?;
        }
        if let Some(relation) =
            relation.as_ref().filter(|_| wanted.load == Load::Changed && wanted.stream.deletes == Deletes::Remove)
        {
            clear::check_references(&mut wire, relation, Why::Sweep).await?;
        }
        if oid.is_none() && found.is_some() && wanted.load.has_window() {
            let text = format!(
                "{schema}.{table} is gone, with the rows up to its cursor: bring all of them again with `--reload {}`",
                wanted.stream.name
            );
            return Err(Fault::new(FailureCode::TableChangedByOther, text));
        }
        session::looked(&mut wire).await?;
        Ok(Self {
            address,
            schema,
            table,
            owner: wanted.owner.clone(),
            stream: wanted.stream.name.clone(),
            same_kind: matches!(wanted.source, System::Postgres(_)),
            deletes: wanted.stream.deletes,
            run: wanted.run,
            attempt: wanted.attempt,
            found,
            is_ours,
            relation,
            step: Mutex::new(Step::Found(wire)),
        })
    }

    /// The table that rows are sent into: the table itself where it is a new one and values need no cast.
    async fn sheet(&self, wire: &mut Wire, columns: &[Column]) -> FaultResult<Sheet> {
        let is_plain = |column: &Column| !column.is_cast && column.restore != Restore::Cast;
        if self.relation.is_none() && columns.iter().all(is_plain) {
            let own = format!("_waybill_{}", uuid::Uuid::new_v4().simple());
            let sheet = Sheet {
                table: sql(&self.schema, &own),
                columns: columns.iter().map(|column| identifier(&column.name)).collect(),
                twins: columns.iter().map(|column| identifier(&twin_name(&column.name))).collect(),
                is_fresh: true,
            };
            let listed: Vec<String> =
                sheet.columns.iter().zip(columns).map(|(name, column)| format!("{name} {}", column.kind)).collect();
            run(wire, &format!("CREATE TABLE {} ({})", sheet.table, listed.join(", "))).await?;
            return Ok(sheet);
        }
        staged(wire, "waybill_stage", columns).await
    }

    /// What stands in the way of this attempt's commit, by the row that nobody else can change any more.
    fn fence(&self, now: Option<&Entry>, delivery: &Delivery) -> FaultResult<Option<Step>> {
        let Some(now) = now else { return Ok(None) };
        if self.found.as_ref().is_some_and(|found| found.version == now.version) {
            return Ok(None);
        }
        now.check_stream(self.run, &self.stream)?;
        if now.state.run == self.run {
            return Ok(Some(Step::Adopted(now.state.delivered(now.version))));
        }
        if now.state.epoch >= delivery.epoch {
            return Err(Fault::new(FailureCode::Fenced, "the table has a commit of a later epoch"));
        }
        Ok(Some(Step::Overtaken))
    }

    /// The fence, the rows in their place, and the state beside them.
    async fn settle(&self, wire: &mut Wire, delivery: &Delivery, merge: &Merge<'_>) -> FaultResult<Option<Placed>> {
        let merged = merge.apply(wire).await?;
        if delivery.load.has_window() && delivery.rows() == 0 && merged.swept == Swept::default() {
            return Ok(None);
        }
        let told = (merged.rows, merged.swept);
        let state = database::write_state(delivery, &self.owner.pipeline, merged.columns, told)?;
        let digest_key = match &self.found {
            Some(found) => found.digest_key.clone(),
            None => {
                [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].iter().flat_map(uuid::Uuid::as_bytes).copied().collect()
            }
        };
        let fresh = Fresh {
            pipeline: &self.owner.pipeline,
            stream: &self.stream,
            epoch: delivery.epoch,
            version: self.version() + 1,
            run: self.run,
            attempt: self.attempt,
            state: &state,
            digest_key: &digest_key,
        };
        ledger::write(wire, (&self.schema, &self.table), &fresh).await?;
        Ok(Some(Placed { digest: database::digest(&digest_key, &state), swept: merged.swept }))
    }

    /// What became of a commit whose answer was lost. The row is asked for behind the lock that the transaction held: while
    /// it may still land, there is no answer.
    async fn read_back(&self, said: Option<Fault>) -> FaultResult<Outcome> {
        let unknown = |fault: Fault| Fault { code: FailureCode::CommitUnknown, ..fault };
        let asked = async {
            let mut wire = session::connect(&self.address).await?;
            session::begin(&mut wire).await?;
            ledger::lock(&mut wire, &self.schema, &self.table).await
        };
        let late = || Fault::new(FailureCode::CommitUnknown, "the server still works at the commit");
        let now = tokio::time::timeout(session::READ_BACK, asked).await.map_err(|_| late())?.map_err(unknown)?;
        if let Some(now) = &now {
            now.check_stream(self.run, &self.stream)?;
        }
        let before = self.version();
        match now {
            Some(now) if now.attempt == self.attempt => {
                Ok(Outcome::Landed(Committed { version: now.version, rebased: false, read_back: true }))
            }
            Some(now) if now.state.run == self.run => Ok(Outcome::Adopted(now.state.delivered(now.version))),
            Some(now) if now.version > before => Ok(Outcome::Overtaken),
            _ => {
                let text = "the connection ended before the commit, which the server took back: nothing has changed";
                Err(said.unwrap_or_else(|| Fault::new(FailureCode::TargetFailed, text)))
            }
        }
    }
}

/// A temporary table for values of these columns on their way.
async fn staged(wire: &mut Wire, name: &str, columns: &[Column]) -> FaultResult<Sheet> {
    let texts = columns.iter().enumerate().filter(|(_, column)| column.restore == Restore::Cast);
    let texts: Vec<String> = texts.map(|(at, _)| format!("t{at}")).collect();
    let own = columns.iter().enumerate().map(|(at, column)| format!("c{at} {}", column.staged()));
    let listed: Vec<String> = own.chain(texts.iter().map(|name| format!("{name} text"))).collect();
    run(wire, &format!("CREATE TEMPORARY TABLE {name} ({}) ON COMMIT DROP", listed.join(", "))).await?;
    Ok(Sheet {
        table: format!("pg_temp.{name}"),
        columns: (0..columns.len()).map(|at| format!("c{at}")).chain(texts).collect(),
        twins: (0..columns.len()).map(|at| format!("w{at}")).collect(),
        is_fresh: false,
    })
}

/// What the server said instead of yes; none where the connection ended.
fn refusal(answer: Exchange<String>) -> Option<Fault> {
    match answer {
        Ok(tag) if tag == "ROLLBACK" => {
            let text = "the server answered COMMIT with ROLLBACK, since something in the transaction had failed before: nothing has \
                        changed; the server's log says what it was";
            Some(Fault::new(FailureCode::TargetFailed, text))
        }
        Err(failure @ Failure::Server(_)) => Some(of_target(failure)),
        Ok(_) | Err(Failure::Fault(_)) => None,
    }
}

/// Refuses names that the server would cut or does not take.
fn check_names(fields: &[&Field]) -> FaultResult<()> {
    for name in fields.iter().map(|field| field.name()) {
        let why = if twin_name(name).len() > NAME_BYTES {
            "has a name that the server would cut, by itself or as its twin's"
        } else if RESERVED.contains(&name.as_str()) || name.is_empty() || name.contains('\0') {
            "has a name that the server does not take"
        } else if fields.iter().filter(|field| field.name() == name).count() > 1 {
            "stands there twice"
        } else {
            continue;
        };
        let text = format!("the column {name} {why}: give it another name with `columns.rename`");
        return Err(Fault::new(FailureCode::ColumnNameUnusable, text));
    }
    Ok(())
}

#[async_trait]
impl DatabaseTable for PgTable {
    fn state(&self) -> Option<&State> {
        self.found.as_ref().filter(|_| self.is_ours).map(|found| &found.state)
    }

    fn is_there(&self) -> bool {
        self.relation.is_some()
    }

    fn version(&self) -> u64 {
        self.found.as_ref().map_or(0, |found| found.version)
    }

    async fn begin(&self, schema: SchemaRef) -> FaultResult<Arc<dyn RowSink>> {
        let mut step = self.step.lock().await;
        let Step::Found(mut wire) = std::mem::replace(&mut *step, Step::Over) else {
            return Err(Fault::new(FailureCode::WorkerBug, "a table was begun twice"));
        };
        let fields: Vec<&Field> = schema.fields().iter().map(AsRef::as_ref).collect();
        check_names(&fields)?;
        ledger::make(&mut wire, &self.schema).await?;
        session::begin(&mut wire).await?;
        let columns = kind::columns(&mut wire, &fields, self.same_kind).await?;
        // What has changed since it was found is noticed under its lock.
        let retyped = self.relation.as_ref().map(|found| found.retyped(&columns)).unwrap_or_default();
        let sheet = self.sheet(&mut wire, &columns).await?;
        let (feed, pump) = copy::start(wire, sheet.clone());
        let sink = Arc::new(Sink { encoder: Encoder { columns }, feed, retyped });
        *step = Step::Sending { sink: Arc::clone(&sink), pump, sheet };
        Ok(sink)
    }

    async fn begin_keys(&self, key: &[usize]) -> FaultResult<Option<Arc<dyn RowSink>>> {
        if self.relation.is_none() {
            return Ok(None);
        }
        let mut step = self.step.lock().await;
        let Step::Sending { sink, pump, sheet } = std::mem::replace(&mut *step, Step::Over) else {
            return Err(Fault::new(FailureCode::WorkerBug, "keys came before a table's rows"));
        };
        let mut sent = sink.feed.end(pump).await?;
        let columns: Vec<Column> = key.iter().map(|at| sink.encoder.columns[*at].clone()).collect();
        let key_sheet = staged(&mut sent.wire, "waybill_keys", &columns).await?;
        let (feed, pump) = copy::start(sent.wire, key_sheet.clone());
        let keys = Arc::new(Sink { encoder: Encoder { columns }, feed, retyped: Vec::new() });
        let (rows, twins) = (sent.rows, sent.twins);
        *step = Step::Keys { sink, rows, twins, sheet, keys: Arc::clone(&keys), pump, key_sheet };
        Ok(Some(keys))
    }

    async fn prepare(&self, delivery: &Delivery) -> FaultResult<Option<Placed>> {
        let mut step = self.step.lock().await;
        let (sink, sheet, mut sent, keys) = match std::mem::replace(&mut *step, Step::Over) {
            Step::Sending { .. } if delivery.load.has_window() && delivery.rows() == 0 => return Ok(None),
            Step::Sending { sink, pump, sheet } => {
                let sent = sink.feed.end(pump).await?;
                (sink, sheet, sent, None)
            }
            Step::Keys { sink, rows, twins, sheet, keys, pump, key_sheet } => {
                let Sent { wire, .. } = keys.feed.end(pump).await?;
                let columns = keys.encoder.columns.clone();
                let keys = Keys { sheet: key_sheet, columns, deletes: self.deletes };
                (sink, sheet, Sent { wire, rows, twins }, Some(keys))
            }
            _ => return Err(Fault::new(FailureCode::WorkerBug, "a table without rows was to be committed")),
        };
        if sent.rows != delivery.rows() {
            let text = format!("{} rows were sent, and {} were read", sent.rows, delivery.rows());
            return Err(Fault::new(FailureCode::WorkerBug, text));
        }
        fault::point("rows_sent");
        let now = ledger::lock(&mut sent.wire, &self.schema, &self.table).await?;
        if let Some(other) = self.fence(now.as_ref(), delivery)? {
            *step = other;
            let of = |now: Entry| Placed { digest: now.state.receipt, swept: Swept::default() };
            return Ok(now.map(of));
        }
        let merge = Merge {
            schema: &self.schema,
            table: &self.table,
            columns: &sink.encoder.columns,
            sheet: &sheet,
            twins: &sent.twins,
            delivery,
            state: self.state(),
            oid: self.relation.as_ref().map(|found| found.oid),
            keys: keys.as_ref(),
        };
        fault::point("locked");
        let placed = self.settle(&mut sent.wire, delivery, &merge).await?;
        fault::point("prepared");
        if placed.is_some() {
            *step = Step::Ready(sent.wire);
        }
        Ok(placed)
    }

    async fn commit(&self) -> FaultResult<Outcome> {
        let mut step = self.step.lock().await;
        match &mut *step {
            Step::Ready(_) => {}
            Step::Doubt(said) => return self.read_back(said.clone()).await,
            Step::Adopted(delivered) => return Ok(Outcome::Adopted(delivered.clone())),
            Step::Overtaken => return Ok(Outcome::Overtaken),
            _ => return Err(Fault::new(FailureCode::WorkerBug, "a commit of nothing")),
        }
        let Step::Ready(mut wire) = std::mem::replace(&mut *step, Step::Doubt(None)) else {
            return self.read_back(None).await;
        };
        fault::point("before_commit_put");
        let answer = wire.run("COMMIT").await;
        fault::point("commit_applied");
        match answer {
            Ok(tag) if tag == "COMMIT" => {
                wire.terminate().await;
                Ok(Outcome::Landed(Committed { version: self.version() + 1, rebased: false, read_back: false }))
            }
            // Whatever was said instead, the row tells; where it tells that nothing landed, what was said is why.
            answer => {
                drop(wire);
                let said = refusal(answer);
                *step = Step::Doubt(said.clone());
                self.read_back(said).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_was_taken_back_is_told_apart_from_a_lost_connection() {
        let told = |tag: &str| refusal(Ok(tag.to_owned())).map(|fault| (fault.code, fault.text));
        let (code, text) = told("ROLLBACK").expect("a refusal");
        assert_eq!(code, FailureCode::TargetFailed);
        assert!(text.for_customer().contains("answered COMMIT with ROLLBACK"), "{}", text.for_customer());
        assert!(told("BEGIN").is_none());
        let lost = Fault::new(FailureCode::TargetUnreachable, "the connection ended");
        assert!(refusal(Err(Failure::Fault(lost))).is_none());
    }
}

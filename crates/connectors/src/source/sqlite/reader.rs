//! The lane: a thread that owns the transaction and makes one batch whenever it is asked for one.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use rusqlite::{Connection, InterruptHandle, Rows};
use tokio::sync::{Mutex, mpsc};
use waybill_model::FailureCode;
use waybill_pipeline::{Batch, Fault, FaultResult, Lane, Want};

use super::column::{Column, Finished};
use super::connect::{Reading, fault, limit};
use super::describe::Shape;
use super::query::Query;

/// Rows of a batch at most.
const ROWS: usize = 65_536;

/// A lane; dropping it interrupts what SQLite is doing.
pub(super) struct SqliteLane {
    ask: mpsc::Sender<()>,
    answer: mpsc::Receiver<FaultResult<Option<Batch>>>,
    interrupt: Arc<std::sync::Mutex<Option<InterruptHandle>>>,
}

impl SqliteLane {
    /// Starts the thread. The transaction goes back to `home` when the rows have ended well.
    pub(super) fn start(home: Arc<Mutex<Option<Reading>>>, query: Arc<Query>, shape: Arc<Shape>, want: Want) -> Self {
        let (ask, asked) = mpsc::channel(1);
        let (give, answer) = mpsc::channel(1);
        let interrupt = Arc::new(std::sync::Mutex::new(None));
        let slot = Arc::clone(&interrupt);
        tokio::task::spawn_blocking(move || {
            let Some(reading) = home.blocking_lock().take() else {
                let text = "the transaction is in use by another lane";
                let _ = give.blocking_send(Err(Fault::new(FailureCode::WorkerBug, text)));
                return;
            };
            if let Ok(mut slot) = slot.lock() {
                *slot = Some(reading.connection().get_interrupt_handle());
            }
            let mut port = Port { asked, give };
            match serve(reading.connection(), &query, &shape, want, &mut port) {
                Ok(true) => {
                    *home.blocking_lock() = Some(reading);
                    port.answer(Ok(None));
                }
                Ok(false) => {}
                Err(fault) => port.answer(Err(fault)),
            }
        });
        Self { ask, answer, interrupt }
    }
}

#[async_trait]
impl Lane for SqliteLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        let ended = || Fault::new(FailureCode::WorkerBug, "the reader of a SQLite file ended early");
        // Where it has ended, its last answer may still be waiting.
        let _ = self.ask.send(()).await;
        self.answer.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

impl Drop for SqliteLane {
    fn drop(&mut self) {
        if let Some(handle) = self.interrupt.lock().ok().and_then(|mut slot| slot.take()) {
            handle.interrupt();
        }
    }
}

/// The thread's end of the lane.
struct Port {
    asked: mpsc::Receiver<()>,
    give: mpsc::Sender<FaultResult<Option<Batch>>>,
}

impl Port {
    /// Waits for a request; false when the lane is gone.
    fn wait(&mut self) -> bool {
        self.asked.blocking_recv().is_some()
    }

    fn answer(&self, answer: FaultResult<Option<Batch>>) {
        // A lane that is gone needs no answer.
        let _ = self.give.blocking_send(answer);
    }
}

/// Answers requests with batches until the rows end; true when they did, and the last request waits for its answer.
fn serve(connection: &Connection, query: &Query, shape: &Shape, want: Want, port: &mut Port) -> FaultResult<bool> {
    if !port.wait() {
        return Ok(false);
    }
    // SQLite refuses a longer value or row before it loads it.
    let before = limit(connection, want.row_bytes)?;
    let mut statement = connection.prepare(&query.rows_sql()).map_err(|e| fault(&e))?;
    let mut rows = statement.query(rusqlite::params_from_iter(&query.values)).map_err(|e| fault(&e))?;
    let mut columns: Vec<Column> =
        shape.taken.iter().map(|taken| Column::new(taken.kind, shape.edge, shape.text)).collect();
    let schema = shape.schema();
    loop {
        let count = fill(&mut rows, &mut columns, want)?;
        if count == 0 {
            drop(rows);
            limit(connection, before)?;
            return Ok(true);
        }
        port.answer(Ok(Some(batch(&schema, &mut columns)?)));
        if !port.wait() {
            return Ok(false);
        }
    }
}

/// Takes rows in until a batch is full or the rows end.
fn fill(rows: &mut Rows<'_>, columns: &mut [Column], want: Want) -> FaultResult<usize> {
    let (mut count, mut bytes) = (0, 0);
    while count < ROWS && bytes < want.batch_bytes {
        let Some(row) = rows.next().map_err(|e| fault(&e))? else { break };
        let mut size = 0;
        for (at, column) in columns.iter_mut().enumerate() {
            let value = row.get_ref(at).map_err(|e| fault(&e))?;
            size += column.push(value)?;
            if size > want.row_bytes {
                let text = "a row is larger than an eighth of the memory budget";
                return Err(Fault::new(FailureCode::RowTooLarge, text));
            }
        }
        bytes += size;
        count += 1;
    }
    Ok(count)
}

fn batch(schema: &SchemaRef, columns: &mut [Column]) -> FaultResult<Batch> {
    let mut arrays = Vec::with_capacity(columns.len());
    let (mut twins, mut coerced) = (Vec::new(), Vec::new());
    for (at, column) in columns.iter_mut().enumerate() {
        let Finished { values, twin, coerced: count } = column.finish();
        arrays.push(values);
        twins.extend(twin.map(|texts| (at, texts)));
        if count > 0 {
            coerced.push((at, count));
        }
    }
    let rows = RecordBatch::try_new(Arc::clone(schema), arrays)
        .map_err(|_| Fault::new(FailureCode::WorkerBug, "a batch does not fit its schema"))?;
    Ok(Batch { twins, coerced, ..Batch::exact(rows) })
}

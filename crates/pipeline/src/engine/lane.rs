//! One lane: its rows are read on the runtime and encoded on a blocking thread, beside each other.
//!
//! The channel is what gives back-pressure: while the destination is slow the encoder waits, then the reader, then the source.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use waybill_model::{FailureCode, fault};

use super::meter::Meter;
use crate::budget::Reservation;
use crate::commit::DataFile;
use crate::encode::Way;
use crate::expect::Expectations;
use crate::fault::Fault;
use crate::source::{Batch, Lane};
use crate::stop::{End, StopSignal};

/// What the reader sends to the encoder. A channel that ends without `End` is a lane that was given up.
enum Message {
    Rows(Batch),
    End,
}

/// What a lane works with besides its source.
pub(super) struct LaneWork {
    pub(super) way: Way,
    pub(super) stop: StopSignal,
    pub(super) meter: Arc<Meter>,
    pub(super) expected: Arc<Expectations>,
    /// Batches between reader and encoder.
    pub(super) queue: usize,
    /// Held until the encoder has ended, whatever happens to the reader.
    pub(super) memory: Arc<Reservation>,
}

/// What a lane has written.
pub(super) struct Written {
    pub(super) files: Vec<DataFile>,
    /// The file of rows that it has set aside.
    pub(super) aside: Option<DataFile>,
}

/// Reads and writes a lane to its end.
pub(super) async fn run(source: Box<dyn Lane>, work: LaneWork) -> Result<Written, End> {
    let (sender, receiver) = mpsc::channel(work.queue);
    let stop = work.stop.clone();
    let meter = Arc::clone(&work.meter);
    let runtime = Handle::current();
    let encoder = tokio::task::spawn_blocking(move || encode(receiver, work, runtime));
    let read = read(source, &sender, &stop, &meter).await;
    if read.is_ok() {
        // Where the encoder has ended already, its own result tells why.
        let _ = sender.send(Message::End).await;
    }
    drop(sender);
    let encoded =
        encoder.await.unwrap_or_else(|_| Err(Fault::new(FailureCode::WorkerBug, "an encoder panicked").into()));
    match (read, encoded) {
        (Err(Some(end)), _) => Err(end),
        (_, encoded) => encoded,
    }
}

/// Passes batches on until the source ends; an error of none means that the encoder has ended.
async fn read(
    mut source: Box<dyn Lane>,
    sender: &mpsc::Sender<Message>,
    stop: &StopSignal,
    meter: &Meter,
) -> Result<(), Option<End>> {
    loop {
        // A batch is read only when there is a place for it, so that none waits outside the queue.
        let place = stop.or_halt(sender.reserve()).await.map_err(|halt| Some(halt.into()))?.map_err(|_| None)?;
        let next = stop.or_halt(source.next()).await.map_err(|halt| Some(halt.into()))?;
        let Some(batch) = next.map_err(|fault| Some(fault.into()))? else { return Ok(()) };
        meter.read(&batch);
        place.send(Message::Rows(batch));
    }
}

fn encode(mut receiver: mpsc::Receiver<Message>, work: LaneWork, runtime: Handle) -> Result<Written, End> {
    let LaneWork { way, stop, meter, expected, memory, queue: _ } = work;
    let mut writer = way.writer(runtime, stop);
    let mut files = Vec::new();
    let mut grown = 0;
    while let Some(message) = receiver.blocking_recv() {
        let mut closed = |file: DataFile| {
            meter.grown(grown, file.bytes);
            grown = 0;
            if meter.closed(&file) {
                fault::point("first_part");
            }
            files.push(file);
        };
        match message {
            Message::Rows(batch) => {
                expected.take(&batch)?;
                writer.write(&batch, &mut closed)?;
            }
            Message::End => {
                let aside = writer.close(&mut closed)?;
                drop(memory);
                return Ok(Written { files, aside });
            }
        }
        let now = writer.open_bytes();
        meter.grown(grown, now);
        grown = now;
    }
    Err(End::Halt(crate::stop::Halt::Cancel))
}

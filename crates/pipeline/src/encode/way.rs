//! The two ways that a lane's rows go: into data files of a bucket, or as they are to a database.

use tokio::runtime::Handle;
use waybill_model::FailureCode;

use super::{LaneWriter, Target, TwinSet};
use crate::commit::{DataFile, FileStats};
use crate::database::RowSink;
use crate::fault::Fault;
use crate::source::Batch;
use crate::stop::{End, StopSignal};
use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What all lanes of a stream write by.
#[derive(Clone)]
pub(crate) enum Way {
    /// Files of a bucket.
    Files(Target),
    /// Rows of a database.
    Rows(RowTarget),
}

/// What all lanes of a stream send by.
#[derive(Clone)]
pub(crate) struct RowTarget {
    pub(crate) sink: Arc<dyn RowSink>,
    /// Columns without twins.
    pub(crate) schema: SchemaRef,
    /// Twin columns that the stream has met so far, over all lanes.
    pub(crate) twins: TwinSet,
}

impl Way {
    /// Places of the columns that have a twin, in order.
    pub(crate) fn twins(&self) -> Vec<usize> {
        match self {
            Self::Files(target) => target.twins.places(),
            Self::Rows(target) => target.twins.places(),
        }
    }

    /// The files' target, where rows go into files.
    pub(crate) fn files(&self) -> Result<&Target, Fault> {
        match self {
            Self::Files(target) => Ok(target),
            Self::Rows(_) => Err(Fault::new(FailureCode::WorkerBug, "a database has no data files")),
        }
    }

    /// One lane's writer.
    pub(crate) fn writer(self, runtime: Handle, stop: StopSignal) -> Writer {
        match self {
            Self::Files(target) => Writer::Files(Box::new(LaneWriter::new(target, runtime, stop))),
            Self::Rows(target) => Writer::Rows(RowWriter { target, runtime, stop, rows: 0, bytes: 0 }),
        }
    }
}

/// One lane's writer. All its calls block and belong on a blocking thread.
pub(crate) enum Writer {
    Files(Box<LaneWriter>),
    Rows(RowWriter),
}

impl Writer {
    /// Takes rows and hands every file that they completed to `closed`.
    pub(crate) fn write(&mut self, batch: &Batch, closed: impl FnMut(DataFile)) -> Result<(), End> {
        match self {
            Self::Files(writer) => writer.write(batch, closed),
            Self::Rows(writer) => writer.write(batch),
        }
    }

    /// Bytes of what is under way so far.
    pub(crate) fn open_bytes(&self) -> u64 {
        match self {
            Self::Files(writer) => writer.open_bytes(),
            Self::Rows(writer) => writer.bytes,
        }
    }

    /// Completes what is under way, if there is something. Gives the file of what was set aside.
    pub(crate) fn close(&mut self, mut closed: impl FnMut(DataFile)) -> Result<Option<DataFile>, End> {
        match self {
            Self::Files(writer) => writer.close(closed),
            Self::Rows(writer) => {
                writer.part().into_iter().for_each(&mut closed);
                Ok(None)
            }
        }
    }
}

/// Sends one lane's rows to a database.
pub(crate) struct RowWriter {
    target: RowTarget,
    runtime: Handle,
    stop: StopSignal,
    rows: u64,
    bytes: u64,
}

impl RowWriter {
    fn write(&mut self, batch: &Batch) -> Result<(), End> {
        if !batch.aside.is_empty() {
            return Err(
                Fault::new(FailureCode::WorkerBug, "a database has no place for rows that are set aside").into()
            );
        }
        if batch.rows.num_rows() == 0 {
            return Ok(());
        }
        let RowTarget { sink, schema, twins } = &self.target;
        twins.admit(schema, sink.twins(batch).into_iter())?;
        let chunk = sink.encode(batch, &twins.places())?;
        let (rows, bytes) = (chunk.rows, chunk.bytes.len() as u64);
        self.runtime.block_on(self.stop.or_halt(sink.send(chunk)))??;
        self.rows += rows;
        self.bytes += bytes;
        Ok(())
    }

    /// What the lane has sent, counted as one part that no file holds.
    fn part(&mut self) -> Option<DataFile> {
        let (rows, bytes) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.bytes));
        let (stats, partition) = (FileStats::default(), BTreeMap::new());
        let part = DataFile { key: String::new(), rows, bytes, sha256: [0; 32], stats, partition };
        (rows > 0).then_some(part)
    }
}

//! Lanes: each takes the next file from the queue and reads it to its proven end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use waybill_model::FailureCode;
use waybill_model::plan::{Csv, EdgePolicy, TextPolicy};
use waybill_pipeline::{Aside, Batch, Fault, FaultResult, Lane};

use super::bad::BadRow;
use super::content::Content;
use super::csv_rows::CsvRows;
use super::json_array::Framing;
use super::json_infer::Kind;
use super::json_rows::JsonRows;
use super::parquet::{ParquetPlan, ParquetRows};
use super::rows::{Bounds, Broken, Decoded, Parser};
use super::set::{File, FileSet};
use super::take::Take;

/// What all lanes of a snapshot read.
pub(super) struct Job {
    pub(super) set: FileSet,
    pub(super) layout: Layout,
    pub(super) take: Take,
    pub(super) bounds: Bounds,
    pub(super) edge: EdgePolicy,
    pub(super) text: TextPolicy,
    /// Rows that can't be read are set aside.
    pub(super) quarantine: bool,
}

/// The columns of the files, as their format tells them.
pub(super) enum Layout {
    Csv { dialect: Csv, columns: Vec<String> },
    Json(Framing, Vec<(String, Kind)>),
    Parquet(Arc<ParquetPlan>),
}

/// Files that wait, and how many are read to their end.
pub(super) struct Queue {
    waiting: Mutex<VecDeque<usize>>,
    done: AtomicUsize,
}

impl Queue {
    pub(super) fn of(files: usize) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::new((0..files).collect()), done: AtomicUsize::new(0) })
    }

    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::Acquire)
    }

    fn next(&self) -> Option<usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// One lane over files.
pub(super) struct FileLane {
    job: Arc<Job>,
    queue: Arc<Queue>,
    current: Option<(usize, Reader)>,
}

enum Reader {
    Text(Box<Text>),
    Parquet(Box<ParquetRows>),
}

/// A text file on its way through its parser.
struct Text {
    content: Content,
    parser: Box<dyn Parser>,
    rest: Bytes,
    ended: bool,
}

impl FileLane {
    pub(super) const fn new(job: Arc<Job>, queue: Arc<Queue>) -> Self {
        Self { job, queue, current: None }
    }
}

impl Job {
    async fn open(&self, file: &File) -> FaultResult<Reader> {
        let wanted = self.take.decode.iter();
        let parser: Box<dyn Parser> = match &self.layout {
            Layout::Parquet(plan) => {
                let rows = ParquetRows::open(&self.set, file, Arc::clone(plan), &self.take.decode, self.bounds).await?;
                return Ok(Reader::Parquet(Box::new(rows)));
            }
            Layout::Csv { dialect, columns } => {
                let wanted = wanted.map(|at| columns[*at].clone()).collect();
                let rows = CsvRows::new(dialect, (self.edge, self.text, self.quarantine), self.bounds, wanted, columns);
                Box::new(rows.map_err(|broken| fault(file, &broken))?)
            }
            Layout::Json(framing, columns) => {
                let wanted: Vec<_> = wanted.map(|at| columns[*at].clone()).collect();
                Box::new(JsonRows::new(*framing, (self.text, self.quarantine), self.bounds, &wanted))
            }
        };
        let content = self.set.content(file).await?;
        Ok(Reader::Text(Box::new(Text { content, parser, rest: Bytes::new(), ended: false })))
    }

    /// The next decoded rows of a file; none when it has ended and is still what was listed.
    async fn decoded(&self, file: &File, reader: &mut Reader) -> FaultResult<Option<Decoded>> {
        let decoded = match reader {
            Reader::Text(text) => text.next(file).await,
            Reader::Parquet(rows) => rows.next().await,
        };
        match decoded {
            Ok(Some(decoded)) => Ok(Some(decoded)),
            Ok(None) => self.set.confirm(file).await.map(|()| None),
            Err(fault) => Err(self.set.blame(file, fault).await),
        }
    }
}

#[async_trait]
impl Lane for FileLane {
    async fn next(&mut self) -> FaultResult<Option<Batch>> {
        loop {
            let (at, mut reader) = match self.current.take() {
                Some(current) => current,
                None => {
                    let Some(at) = self.queue.next() else { return Ok(None) };
                    let file = &self.job.set.files[at];
                    match self.job.open(file).await {
                        Ok(reader) => (at, reader),
                        Err(fault) => return Err(self.job.set.blame(file, fault).await),
                    }
                }
            };
            match self.job.decoded(&self.job.set.files[at], &mut reader).await? {
                Some(mut decoded) => {
                    let aside = set_aside(&self.job.set.files[at], std::mem::take(&mut decoded.bad));
                    self.current = Some((at, reader));
                    if let Some(batch) = self.job.take.batch(&decoded, aside)? {
                        return Ok(Some(batch));
                    }
                }
                None => {
                    self.queue.done.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }
}

impl Text {
    async fn next(&mut self, file: &File) -> FaultResult<Option<Decoded>> {
        let broken = |broken: Broken| fault(file, &broken);
        while !self.parser.is_full() && !self.ended {
            if self.rest.is_empty() {
                match self.content.next().await? {
                    Some(bytes) => self.rest = bytes,
                    None => {
                        self.ended = true;
                        self.parser.end().map_err(broken)?;
                    }
                }
            }
            let taken = self.parser.feed(&self.rest).map_err(broken)?;
            self.rest.advance(taken);
        }
        Ok(self.parser.take())
    }
}

/// Rows that can't be read, with the file that they stand in.
fn set_aside(file: &File, bad: Vec<BadRow>) -> Vec<Aside> {
    if bad.is_empty() {
        return Vec::new();
    }
    let name: Arc<str> = file.meta.key.as_str().into();
    let aside = |BadRow { broken: Broken { code, line, text }, raw }| Aside {
        file: Arc::clone(&name),
        line,
        code,
        why: text,
        raw,
    };
    bad.into_iter().map(aside).collect()
}

/// A parser's finding as a fault that names the file by its hash.
pub(super) fn fault(file: &File, broken: &Broken) -> Fault {
    match broken.code {
        FailureCode::SpecRefused => Fault::new(FailureCode::SpecRefused, broken.text.clone()),
        code => file.fault_at(code, broken.line, &broken.text),
    }
}

//! The files of rows that are set aside: JSON Lines under zstd, one file for each lane that met any, streamed like every other.
//!
//! They lie where no reader of the table looks, and nothing of them is logged.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;
use tokio::runtime::Handle;
use waybill_model::FailureCode;
use waybill_model::plan::Compression;

use super::sink::Sink;
use super::text::Packed;
use crate::bucket::Bucket;
use crate::commit::{DataFile, FileStats};
use crate::fault::Fault;
use crate::source::Aside;
use crate::stop::{End, StopSignal};

/// What all lanes of a stream set rows aside by.
#[derive(Clone)]
pub struct AsideTarget {
    /// Where to.
    pub bucket: Arc<dyn Bucket>,
    /// Names files.
    pub key: Arc<dyn Fn(u32) -> String + Send + Sync>,
    /// Files begun so far, over all lanes.
    pub begun: Arc<AtomicU32>,
}

/// One lane's file under way.
pub(super) struct AsideFile {
    key: String,
    out: Packed,
    rows: u64,
}

impl AsideFile {
    pub(super) fn begin(target: &AsideTarget, (runtime, stop): (&Handle, &StopSignal)) -> Result<Self, End> {
        let key = (target.key)(target.begun.fetch_add(1, Ordering::Relaxed));
        let upload = runtime.block_on(stop.or_halt(target.bucket.upload(&key)))?.map_err(Fault::from)?;
        let sink = Sink::new(upload, runtime.clone(), stop.clone());
        let out = Packed::new(sink, Compression::Zstd).map_err(|_| failed())?;
        Ok(Self { key, out, rows: 0 })
    }

    pub(super) fn write(&mut self, rows: &[Aside]) -> Result<(), End> {
        for row in rows {
            line(row, &mut self.out).map_err(|_| self.reason())?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Completes the file; it is in the bucket when this returns.
    pub(super) fn finish(mut self) -> Result<DataFile, End> {
        let written = match self.out.finish() {
            Ok(()) => self.out.sink_mut().finish(),
            Err(_) => Err(self.reason()),
        };
        if written.is_err() {
            self.abort();
        }
        let (bytes, sha256) = written?;
        let (stats, partition) = (FileStats::default(), std::collections::BTreeMap::new());
        Ok(DataFile { key: self.key, rows: self.rows, bytes, sha256, stats, partition })
    }

    /// Gives the file up.
    pub(super) fn abort(&mut self) {
        self.out.sink_mut().abort();
    }

    fn reason(&mut self) -> End {
        self.out.sink_mut().take_end().unwrap_or_else(failed)
    }
}

/// What is no UTF-8 stands there as hex.
fn line(row: &Aside, out: &mut Packed) -> io::Result<()> {
    let mut told = json!({ "file": &*row.file, "line": row.line, "code": row.code, "why": row.why });
    match std::str::from_utf8(&row.raw) {
        Ok(text) => told["raw"] = json!(text),
        Err(_) => told["raw_hex"] = json!(hex::encode(&row.raw)),
    }
    serde_json::to_writer(&mut *out, &told)?;
    out.write_all(b"\n")
}

fn failed() -> End {
    Fault::new(FailureCode::WorkerBug, "a row that was set aside could not be written").into()
}

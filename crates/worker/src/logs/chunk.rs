//! Gathers lines into chunks of 1 MiB or 10 s and puts them under rising numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use waybill_model::Micros;
use waybill_pipeline::Bucket;

/// A chunk is closed when it holds this much,
const CHUNK: usize = 1 << 20;
/// or when its first line is this old.
const AGE: Duration = Duration::from_secs(10);
/// A put that takes longer is given up.
const PUT: Duration = Duration::from_secs(30);

/// Writes chunks until the log ends.
pub(super) async fn write(
    bucket: Arc<dyn Bucket>,
    prefix: String,
    mut lines: mpsc::Receiver<String>,
    lost: Arc<AtomicU64>,
    mut ended: oneshot::Receiver<()>,
) {
    let mut chunk = Chunk { bucket, prefix, number: 0, text: String::new(), since: None, lost };
    loop {
        let due = chunk.since.map(|since| since + AGE);
        tokio::select! {
            line = lines.recv() => match line {
                Some(line) => chunk.take(&line).await,
                None => break,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => chunk.put().await,
            _ = &mut ended => break,
        }
    }
    while let Ok(line) = lines.try_recv() {
        chunk.take(&line).await;
    }
    chunk.put().await;
}

struct Chunk {
    bucket: Arc<dyn Bucket>,
    prefix: String,
    number: u32,
    text: String,
    since: Option<Instant>,
    lost: Arc<AtomicU64>,
}

impl Chunk {
    async fn take(&mut self, line: &str) {
        self.since.get_or_insert_with(Instant::now);
        self.text.push_str(line);
        self.text.push('\n');
        if self.text.len() >= CHUNK {
            self.put().await;
        }
    }

    async fn put(&mut self) {
        self.since = None;
        if self.text.is_empty() {
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let line = serde_json::json!({ "at": Micros::now().to_rfc3339(), "level": "WARN", "lost": lost });
            self.text.push_str(&line.to_string());
            self.text.push('\n');
        }
        let lines = self.text.matches('\n').count() as u64;
        let key = format!("{}{:06}.ndjson", self.prefix, self.number);
        self.number += 1;
        let body = Bytes::from(std::mem::take(&mut self.text));
        let put = tokio::time::timeout(PUT, self.bucket.put_if_absent(&key, body)).await;
        if !matches!(put, Ok(Ok(_))) {
            self.lost.fetch_add(lost + lines, Ordering::Relaxed);
        }
    }
}

//! Rows of all lanes on their way into one COPY after another, on the one connection that holds the transaction.
//!
//! A COPY ends when the next rows bring another set of twins, and after a while anyway, so that a server that does not take
//! them is heard.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use waybill_model::FailureCode;
use waybill_pipeline::database::Chunk;
use waybill_pipeline::{Fault, FaultResult};

use super::fault::of_target;
use super::session::run;
use crate::source::postgres::refusal::Failure;
use crate::source::postgres::wire::{Wire, malformed};

/// Chunks that wait for the connection.
const WAITING: usize = 2;
/// Bytes after which a COPY ends and the next one begins.
const PIECE: usize = 64 << 20;
/// What every COPY begins with: signature, flags, no extension.
const HEADER: &[u8] = b"d\0\0\0\x17PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What every COPY ends with: the trailer, and that it is done.
const TRAILER: &[u8] = b"d\0\0\0\x06\xff\xffc\0\0\0\x04";

/// The table that rows are sent into: nobody else sees it.
#[derive(Clone)]
pub(super) struct Sheet {
    /// Quoted.
    pub(super) table: String,
    /// Names of the columns that every row has, quoted.
    pub(super) columns: Vec<String>,
    /// Names of the twins by the place of their column, quoted.
    pub(super) twins: Vec<String>,
    /// It is the table itself, made in this transaction: its rows can be written so that even a transaction whose snapshot is
    /// older sees them once it sees the table.
    pub(super) is_fresh: bool,
}

/// What was sent.
pub(super) struct Sent {
    pub(super) wire: Wire,
    pub(super) rows: u64,
    /// Places of the columns whose twins the sheet has now.
    pub(super) twins: BTreeSet<usize>,
}

/// The way in, and what waits at its end.
pub(super) struct Feed {
    sender: Mutex<Option<mpsc::Sender<Chunk>>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// The connection while rows come.
pub(super) struct Pump(JoinHandle<Option<Sent>>);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to take rows.
pub(super) fn start(wire: Wire, sheet: Sheet) -> (Feed, Pump) {
    let (sender, mut chunks) = mpsc::channel(WAITING);
    let fault = Arc::new(Mutex::new(None));
    let told = Arc::clone(&fault);
    let pump = tokio::spawn(async move {
        let mut copying = Copying { wire, sheet, open: None, rows: 0, twins: BTreeSet::new() };
        let taken = copying.take(&mut chunks).await;
        // Before the way in is closed, which whoever waits there takes for the end.
        taken.map_err(|why| *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(why)).ok()?;
        Some(Sent { wire: copying.wire, rows: copying.rows, twins: copying.twins })
    });
    (Feed { sender: Mutex::new(Some(sender)), fault }, Pump(pump))
}

impl Feed {
    pub(super) async fn send(&self, chunk: Chunk) -> FaultResult<()> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ended = || Fault::new(FailureCode::WorkerBug, "rows came after their end");
        match sender.ok_or_else(ended)?.send(chunk).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.why()),
        }
    }

    fn why(&self) -> Fault {
        let told = self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone();
        told.unwrap_or_else(|| Fault::new(FailureCode::TargetFailed, "the connection to the destination ended"))
    }

    /// Ends the rows and gives the connection back.
    pub(super) async fn end(&self, mut pump: Pump) -> FaultResult<Sent> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        let sent = (&mut pump.0).await.ok().flatten();
        sent.ok_or_else(|| self.why())
    }
}

/// A COPY under way.
struct Open {
    twins: Vec<usize>,
    bytes: usize,
    rows: u64,
}

struct Copying {
    wire: Wire,
    sheet: Sheet,
    open: Option<Open>,
    rows: u64,
    twins: BTreeSet<usize>,
}

impl Copying {
    async fn take(&mut self, chunks: &mut mpsc::Receiver<Chunk>) -> FaultResult<()> {
        while let Some(chunk) = chunks.recv().await {
            if self.open.as_ref().is_some_and(|open| open.twins != chunk.twins || open.bytes >= PIECE) {
                self.close().await?;
            }
            if self.open.is_none() {
                self.begin(&chunk.twins).await?;
            }
            self.wire.send(&chunk.bytes).await.map_err(of_target)?;
            if let Some(open) = &mut self.open {
                open.bytes += chunk.bytes.len();
                open.rows += chunk.rows;
            }
        }
        self.close().await
    }

    async fn begin(&mut self, twins: &[usize]) -> FaultResult<()> {
        for at in twins {
            if self.twins.insert(*at) {
                let twin = &self.sheet.twins[*at];
                run(&mut self.wire, &format!("ALTER TABLE {} ADD COLUMN {twin} pg_catalog.text", self.sheet.table))
                    .await?;
            }
        }
        let twin_names = twins.iter().map(|at| self.sheet.twins[*at].as_str());
        let names: Vec<&str> = self.sheet.columns.iter().map(String::as_str).chain(twin_names).collect();
        let freeze = if self.sheet.is_fresh { ", FREEZE" } else { "" };
        let sql = format!("COPY {} ({}) FROM STDIN (FORMAT binary{freeze})", self.sheet.table, names.join(", "));
        self.wire.send_query(&sql).await.map_err(of_target)?;
        let message = self.wire.message().await.map_err(of_target)?;
        match message.tag {
            b'G' if message.body.first() == Some(&1) => {}
            b'E' => return Err(of_target(Failure::Server(self.wire.refused(&message.body).await))),
            _ => return Err(of_target(malformed("the server did not begin a binary COPY"))),
        }
        self.wire.send(HEADER).await.map_err(of_target)?;
        self.open = Some(Open { twins: twins.to_vec(), bytes: 0, rows: 0 });
        Ok(())
    }

    /// Ends the COPY and compares the rows that the server took with those that were sent.
    async fn close(&mut self) -> FaultResult<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        self.wire.send(TRAILER).await.map_err(of_target)?;
        let mut taken = None;
        loop {
            let message = self.wire.message().await.map_err(of_target)?;
            match message.tag {
                b'C' => {
                    let tag = String::from_utf8_lossy(&message.body).into_owned();
                    taken = tag.trim_end_matches('\0').strip_prefix("COPY ").and_then(|rows| rows.parse().ok());
                }
                b'Z' => break,
                b'E' => return Err(of_target(Failure::Server(self.wire.refused(&message.body).await))),
                _ => return Err(of_target(malformed("an unexpected message at the end of a COPY"))),
            }
        }
        if taken != Some(open.rows) {
            let text = format!("{} rows were sent, and the server says that it took {taken:?}", open.rows);
            return Err(Fault::new(FailureCode::TargetFailed, text));
        }
        self.rows += open.rows;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::source::server::socket::Socket;
    use crate::source::server::transport::Stream;

    /// What a server says that refuses a statement, and is ready again.
    const REFUSAL: &[u8] = b"E\0\0\0\x17SERROR\0C42501\0Mno\0\0Z\0\0\0\x05E";

    async fn refuses(mut client: TcpStream) {
        let mut said = [0; 512];
        if client.read(&mut said).await.is_ok_and(|count| count > 0) && client.write_all(REFUSAL).await.is_ok() {
            while client.read(&mut said).await.is_ok_and(|count| count > 0) {}
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_waits_with_rows_hears_why_they_were_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(refuses(client));
            }
        });
        for round in 0..1_000 {
            let socket = Socket::new(TcpStream::connect(address).await.expect("a connection"));
            let sheet = Sheet { table: "t".into(), columns: vec!["c".into()], twins: Vec::new(), is_fresh: false };
            let (feed, _pump) = start(Wire::new(Stream::Plain(socket)), sheet);
            let feed = Arc::new(feed);
            let lanes = (0..4).map(|_| {
                let feed = Arc::clone(&feed);
                tokio::spawn(async move {
                    loop {
                        let chunk = Chunk { rows: 1, bytes: vec![0], twins: Vec::new() };
                        if let Err(fault) = feed.send(chunk).await {
                            return fault.code;
                        }
                    }
                })
            });
            for code in futures::future::join_all(lanes).await {
                assert_eq!(code.expect("a lane"), FailureCode::TargetDenied, "round {round}");
            }
        }
    }
}

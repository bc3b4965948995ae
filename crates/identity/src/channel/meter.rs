//! Counts what a channel sends, above TLS and below it, so that whoever counts at the network can be answered to the byte.
//!
//! It counts what is written to a connection that is made. What a proxy is asked before it opens a tunnel is not in it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tap::Tap;

/// Counters of all channels that were opened with it.
#[derive(Clone, Debug, Default)]
pub struct Meter(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    plain: AtomicU64,
    handshakes: AtomicU64,
    records: AtomicU64,
    written: AtomicU64,
    /// Held while a connection does something, so that nobody reads what is counted below TLS and not yet above it.
    moment: Mutex<()>,
}

/// What was sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Connections that were made.
    pub connections: u64,
    /// Bytes of HTTP/2 that were given to TLS, messages in it.
    pub plain: u64,
    /// Bytes that TLS wrote until a connection stood.
    pub handshakes: u64,
    /// TLS records after that: each adds 22 bytes to what it holds.
    pub records: u64,
    /// Bytes that TLS gave to TCP: all of them.
    pub written: u64,
}

impl Meter {
    /// What was sent so far.
    #[must_use]
    pub fn sent(&self) -> Sent {
        let Counts { connections, plain, handshakes, records, written, moment } = &*self.0;
        let _still = moment.lock().unwrap_or_else(PoisonError::into_inner);
        let [connections, plain, handshakes, records, written] =
            [connections, plain, handshakes, records, written].map(|count| count.load(Ordering::Acquire));
        Sent { connections, plain, handshakes, records, written }
    }

    /// Tells the customer's own log what was sent so far.
    pub fn tell(&self) {
        let Sent { connections, plain, handshakes, records, written } = self.sent();
        tracing::info!(
            connections,
            http2 = plain,
            handshakes,
            records,
            tcp = written,
            "what that came to on the way to the orchestrator, in bytes"
        );
    }

    /// A TLS connection over this one, whose writes are counted.
    pub(super) async fn secure(
        &self,
        stream: TcpStream,
        server_name: ServerName<'static>,
        tls: &Arc<ClientConfig>,
    ) -> io::Result<Metered<TlsStream<Metered<TcpStream>>>> {
        self.0.connections.fetch_add(1, Ordering::AcqRel);
        let below = Metered { inner: stream, meter: self.clone(), layer: Layer::Handshake };
        let mut stream = TlsConnector::from(Arc::clone(tls)).connect(server_name, below).await?;
        stream.get_mut().0.layer = Layer::Records(Records::default());
        Ok(Metered { inner: stream, meter: self.clone(), layer: Layer::Plain(Tap::open()) })
    }
}

/// A stream whose writes are counted.
pub(super) struct Metered<S> {
    inner: S,
    meter: Meter,
    layer: Layer,
}

enum Layer {
    /// Above TLS.
    Plain(Tap),
    /// Below TLS, before the connection stands.
    Handshake,
    /// Below TLS, from then on.
    Records(Records),
}

impl<S: Unpin> Metered<S> {
    /// Does something with what is below; above TLS, as one with what it counts.
    fn at_once<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let counts = Arc::clone(&self.meter.0);
        let is_whole = matches!(self.layer, Layer::Plain(_));
        let _moment = is_whole.then(|| counts.moment.lock().unwrap_or_else(PoisonError::into_inner));
        act(self)
    }

    fn count(&mut self, bytes: &[u8]) {
        let (counts, length) = (&self.meter.0, bytes.len() as u64);
        match &mut self.layer {
            Layer::Plain(tap) => {
                tap.write(bytes);
                counts.plain.fetch_add(length, Ordering::AcqRel);
                return;
            }
            Layer::Handshake => counts.handshakes.fetch_add(length, Ordering::AcqRel),
            Layer::Records(records) => counts.records.fetch_add(records.begun(bytes), Ordering::AcqRel),
        };
        counts.written.fetch_add(length, Ordering::AcqRel);
    }
}

/// Finds TLS records in what is written, by their headers.
#[derive(Default)]
struct Records {
    header: [u8; 5],
    have: usize,
    rest: usize,
}

impl Records {
    /// How many more began.
    fn begun(&mut self, mut bytes: &[u8]) -> u64 {
        let mut begun = 0;
        while !bytes.is_empty() {
            let (slot, wanted) = match self.rest {
                0 => (true, self.header.len() - self.have),
                rest => (false, rest),
            };
            let (taken, left) = bytes.split_at(wanted.min(bytes.len()));
            bytes = left;
            if !slot {
                self.rest -= taken.len();
                continue;
            }
            self.header[self.have..self.have + taken.len()].copy_from_slice(taken);
            self.have += taken.len();
            if self.have == self.header.len() {
                begun += 1;
                self.have = 0;
                self.rest = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
            }
        }
        begun
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.at_once(|this| Pin::new(&mut this.inner).poll_read(context, buffer))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.at_once(|this| {
            let written = ready!(Pin::new(&mut this.inner).poll_write(context, bytes))?;
            this.count(&bytes[..written]);
            Poll::Ready(Ok(written))
        })
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.at_once(|this| {
            let written = ready!(Pin::new(&mut this.inner).poll_write_vectored(context, slices))?;
            let mut left = written;
            for slice in slices {
                let taken = left.min(slice.len());
                this.count(&slice[..taken]);
                left -= taken;
            }
            Poll::Ready(Ok(written))
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.at_once(|this| Pin::new(&mut this.inner).poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.at_once(|this| Pin::new(&mut this.inner).poll_shutdown(context))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn records_are_found_however_they_are_cut() {
        let record = |length: u16| [&[0x17, 3, 3][..], &length.to_be_bytes(), &vec![9; length.into()]].concat();
        let stream = [record(17), record(0), record(300), record(5)].concat();
        for piece in [1, 2, 3, 7, 22, stream.len()] {
            let mut records = Records::default();
            let begun: u64 = stream.chunks(piece).map(|bytes| records.begun(bytes)).sum();
            assert_eq!((begun, records.have, records.rest), (4, 0, 0), "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn what_one_end_counts_is_what_the_other_end_reads() {
        let (near, mut far) = tokio::io::duplex(64);
        let meter = Meter::default();
        let mut plain = Metered { inner: near, meter: meter.clone(), layer: Layer::Plain(Tap::open()) };
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.expect("an end");
            all.len() as u64
        });
        plain.write_all(&[1; 1000]).await.expect("a write");
        let slices = [IoSlice::new(&[2; 10]), IoSlice::new(&[3; 20])];
        let vectored = plain.write_vectored(&slices).await.expect("a write");
        plain.shutdown().await.expect("an end");
        assert_eq!(read.await.expect("a reader"), 1000 + vectored as u64);
        assert_eq!(meter.sent(), Sent { plain: 1000 + vectored as u64, ..Sent::default() });
    }
}

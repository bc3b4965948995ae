//! A TCP socket that is watched while it is quiet and looked at by the clock while it streams.
//!
//! A server that sends rows wakes whoever watches for every few KB, which costs both sides more than the bytes do. So once an
//! answer is long, the socket leaves the reactor, and what has gathered is taken about every millisecond. It goes back to being
//! watched when nothing comes for a while or something is sent. It never blocks, and bounds nothing: lengths are the caller's.

use std::io::{ErrorKind, Read, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::tunnel::channel::Channel;

/// An answer of this many bytes streams.
const LONG: usize = 1 << 20;
/// Time in which bytes gather.
const PAUSE: Duration = Duration::from_millis(1);
/// Pauses without a byte after which the socket is watched again.
const QUIET: u32 = 20;

/// One connection's socket.
pub(crate) struct Socket {
    way: Way,
    /// Bytes since something was sent, or since it was quiet.
    flow: usize,
}

enum Way {
    Watched(TcpStream),
    /// Within an SSH session, which has the TCP socket and watches it.
    Through(Box<Channel>),
    Gathering(Gathering),
    /// A change of the way failed; the connection is gone.
    Gone,
}

struct Gathering {
    tcp: std::net::TcpStream,
    pause: Pin<Box<Sleep>>,
    pausing: bool,
    quiet: u32,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream) -> Self {
        Self { way: Way::Watched(tcp), flow: 0 }
    }

    pub(crate) fn through(channel: Channel) -> Self {
        Self { way: Way::Through(Box::new(channel)), flow: 0 }
    }

    fn gather(&mut self) -> Result<()> {
        if let Way::Watched(tcp) = std::mem::replace(&mut self.way, Way::Gone) {
            let pause = Box::pin(sleep(PAUSE));
            self.way = Way::Gathering(Gathering { tcp: tcp.into_std()?, pause, pausing: false, quiet: 0 });
        }
        Ok(())
    }

    fn watch(&mut self) -> Result<&mut TcpStream> {
        self.flow = 0;
        if let Way::Gathering(_) = self.way
            && let Way::Gathering(gathering) = std::mem::replace(&mut self.way, Way::Gone)
        {
            self.way = Way::Watched(TcpStream::from_std(gathering.tcp)?);
        }
        match &mut self.way {
            Way::Watched(tcp) => Ok(tcp),
            _ => Err(ErrorKind::NotConnected.into()),
        }
    }
}

impl Gathering {
    /// Takes what has gathered; none when it was quiet for long.
    fn poll(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Option<Result<usize>>> {
        loop {
            if self.pausing {
                ready!(self.pause.as_mut().poll(cx));
                self.pausing = false;
            }
            match self.tcp.read(into.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.quiet += 1;
                    if self.quiet > QUIET {
                        return Poll::Ready(None);
                    }
                    self.pause.as_mut().reset(Instant::now() + PAUSE);
                    self.pausing = true;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => {
                    self.quiet = 0;
                    return Poll::Ready(Some(read.inspect(|count| into.advance(*count))));
                }
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if let Way::Through(channel) = &mut self.way {
            return Pin::new(channel.as_mut()).poll_read(cx, into);
        }
        if self.flow >= LONG && matches!(self.way, Way::Watched(_)) {
            self.gather()?;
        }
        if let Way::Gathering(gathering) = &mut self.way
            && let Some(read) = ready!(gathering.poll(cx, into))
        {
            return Poll::Ready(read.map(drop));
        }
        let before = into.filled().len();
        // Here it is watched already, or has been quiet for long.
        let tcp = match &mut self.way {
            Way::Watched(tcp) => tcp,
            _ => self.watch()?,
        };
        ready!(Pin::new(tcp).poll_read(cx, into))?;
        self.flow += into.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        match &mut self.way {
            Way::Through(channel) => Pin::new(channel.as_mut()).poll_write(cx, bytes),
            _ => Pin::new(self.watch()?).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.way {
            Way::Through(channel) => Pin::new(channel.as_mut()).poll_flush(cx),
            _ => Poll::Ready(Ok(())), // nothing is buffered here
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match &mut self.way {
            Way::Through(channel) => Pin::new(channel.as_mut()).poll_shutdown(cx),
            _ => Pin::new(self.watch()?).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, Socket) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().expect("bound")), listener.accept());
        (theirs.expect("accepted").0, Socket::new(ours.expect("connected")))
    }

    fn bytes(count: usize) -> Vec<u8> {
        (0..count).map(|at| (at % 251) as u8).collect()
    }

    #[tokio::test]
    async fn every_byte_of_a_stream_arrives_in_order_and_so_does_its_end() {
        let (mut server, mut socket) = pair().await;
        let sent = bytes(5 * LONG + 17);
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            for piece in sent.chunks(8192) {
                server.write_all(piece).await.expect("sent");
            }
        });
        let mut got = vec![0; 3 * LONG];
        socket.read_exact(&mut got).await.expect("the first part");
        assert!(matches!(socket.way, Way::Gathering(_)), "a long answer is gathered");
        socket.read_to_end(&mut got).await.expect("the rest");
        assert!(got == expected);
        sending.await.expect("sent");
    }

    #[tokio::test]
    async fn a_stream_that_falls_quiet_is_watched_again_and_one_that_is_asked_too() {
        let (mut server, mut socket) = pair().await;
        let (long, mut got) = (bytes(2 * LONG), vec![0; 2 * LONG]);
        let (sent, read) = tokio::join!(server.write_all(&long), socket.read_exact(&mut got));
        sent.and(read.map(drop)).expect("sent and read");
        assert!(matches!(socket.way, Way::Gathering(_)));
        // Nothing comes, so that the read itself gives the socket back before a byte is there.
        let mut one = [0; 1];
        std::future::poll_fn(|context| {
            let mut into = ReadBuf::new(&mut one);
            let read = Pin::new(&mut socket).poll_read(context, &mut into);
            assert!(read.is_pending(), "nothing was sent");
            if matches!(socket.way, Way::Watched(_)) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let (sent, read) = tokio::join!(server.write_all(b"7"), socket.read_exact(&mut one));
        sent.and(read.map(drop)).expect("sent and read");
        assert_eq!(&one, b"7");

        let (sent, read) = tokio::join!(server.write_all(&long), socket.read_exact(&mut got));
        sent.and(read.map(drop)).expect("sent and read");
        socket.write_all(b"next").await.expect("asked");
        assert!(matches!(socket.way, Way::Watched(_)));
        let mut asked = [0; 4];
        server.read_exact(&mut asked).await.expect("heard");
        assert_eq!(&asked, b"next");
    }
}

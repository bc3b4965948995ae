//! What was given to TLS, read as HTTP/2: the calls with their headers, which travel packed, and their messages.
//!
//! It decodes with the `h2` crate playing the server, and answers nobody.

use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use futures::FutureExt as _;
use h2::RecvStream;
use tokio::io::{AsyncRead, ReadBuf};

/// The widest window that HTTP/2 knows: whoever sent had its windows from somebody else.
const WIDE: u32 = (1 << 31) - 1;

/// One call.
pub struct Call {
    /// Its path: service and method.
    pub path: String,
    /// Its headers and trailers, decoded.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What its frames held.
    pub body: Vec<u8>,
}

impl Call {
    /// The messages of its body; the last may be cut short. None may be packed.
    pub fn messages(&self) -> Result<Vec<&[u8]>> {
        let (mut messages, mut rest) = (Vec::new(), self.body.as_slice());
        while let [flag, length @ ..] = rest {
            ensure!(*flag == 0, "{}: a message is packed", self.path);
            let Some((length, after)) = length.split_first_chunk::<4>() else { break };
            let length = u32::from_be_bytes(*length) as usize;
            let Some((message, after)) = after.split_at_checked(length) else { break };
            messages.push(message);
            rest = after;
        }
        Ok(messages)
    }
}

/// The calls of all connections whose bytes lie in `folder`.
pub async fn calls_in(folder: &Path) -> Result<Vec<Call>> {
    let mut all = Vec::new();
    for file in std::fs::read_dir(folder).context("nothing was tapped")? {
        all.extend(calls(std::fs::read(file?.path())?).await?);
    }
    Ok(all)
}

/// The calls of one connection, of which `sent` is what the client sent.
pub async fn calls(sent: Vec<u8>) -> Result<Vec<Call>> {
    let is_at_end = Arc::new(AtomicBool::new(false));
    let tape = Tape { sent, at: 0, is_at_end: Arc::clone(&is_at_end) };
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(WIDE).initial_connection_window_size(WIDE);
    let shaking = builder.handshake::<_, Bytes>(tokio::io::join(tape, tokio::io::sink()));
    let Some(shaken) = played(shaking, &is_at_end).await else { return Ok(Vec::new()) }; // it ended before it began
    let mut connection = shaken.context("not HTTP/2")?;
    let (mut calls, mut answers) = (Vec::new(), Vec::new());
    while let Some(next) = played(connection.accept(), &is_at_end).await {
        match next {
            // An answer that is dropped would end its call.
            Some(Ok((request, answer))) => {
                calls.push(request);
                answers.push(answer);
            }
            Some(Err(error)) => bail!("not HTTP/2: {error}"),
            None => break,
        }
    }
    // Whatever came is there now: the windows held nothing back.
    Ok(calls.into_iter().map(whole).collect())
}

/// What the tape brings about, or nothing where it has come to its end before.
async fn played<T>(doing: impl Future<Output = T>, is_at_end: &AtomicBool) -> Option<T> {
    let mut doing = pin!(doing);
    poll_fn(|context| match doing.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if is_at_end.load(Ordering::SeqCst) => Poll::Ready(None),
        Poll::Pending => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Plays what was sent, and then says nothing more: an end would throw away what nobody has read yet.
struct Tape {
    sent: Vec<u8>,
    at: usize,
    is_at_end: Arc<AtomicBool>,
}

impl AsyncRead for Tape {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = &self.sent[self.at..];
        if rest.is_empty() {
            self.is_at_end.store(true, Ordering::SeqCst);
            return Poll::Pending;
        }
        let length = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

fn whole(request: http::Request<RecvStream>) -> Call {
    let (head, mut stream) = request.into_parts();
    let mut call = Call { path: head.uri.path().to_owned(), headers: listed(&head.headers), body: Vec::new() };
    call.headers.push((":uri".into(), head.uri.to_string().into_bytes()));
    while let Some(Some(Ok(data))) = stream.data().now_or_never() {
        call.body.extend_from_slice(&data);
    }
    if let Some(Ok(Some(trailers))) = stream.trailers().now_or_never() {
        call.headers.extend(listed(&trailers));
    }
    call
}

fn listed(headers: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::canary::Canary;

    /// What a client sends that makes one call with this header and body.
    async fn sent(header: &str, body: &[u8]) -> Vec<u8> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let (mut client, connection) = h2::client::handshake(near).await.expect("begun");
        let request = http::Request::post("http://localhost/waybill.worker.v1.Worker/Report").header("x-note", header);
        let (_answer, mut stream) = client.send_request(request.body(()).expect("a request"), false).expect("sent");
        stream.send_data(Bytes::copy_from_slice(body), true).expect("sent");
        let driven = tokio::spawn(connection);
        let mut all = Vec::new();
        // The preface, the settings and the call come at once; the client then waits for an answer.
        while !all.windows(body.len()).any(|window| window == body) {
            let mut piece = vec![0; 1 << 16];
            let length = far.read(&mut piece).await.expect("bytes");
            assert!(length > 0, "the client left: {all:?}");
            all.extend_from_slice(&piece[..length]);
        }
        driven.abort();
        all
    }

    #[tokio::test]
    async fn a_text_in_a_header_is_found_though_it_travels_packed() {
        let canary = Canary::new("header");
        let sent = sent(canary.text(), b"\0\0\0\0\x02ab\0\0\0").await;
        assert!(!canary.is_in(&sent), "the header was not packed");
        let calls = calls(sent).await.expect("read");
        let [call] = calls.as_slice() else { panic!("{} calls", calls.len()) };
        assert_eq!(call.path, "/waybill.worker.v1.Worker/Report");
        assert!(call.headers.iter().any(|(name, value)| name == "x-note" && canary.is_in(value)));
        assert_eq!(call.messages().expect("messages"), [b"ab".as_slice()], "what was cut short is no message");
    }

    #[tokio::test]
    async fn a_packed_message_is_refused() {
        let calls = calls(sent("none", b"\x01\0\0\0\x02ab").await).await.expect("read");
        assert!(calls[0].messages().is_err());
    }
}

//! The live stream of a run: its state and its events as they come, over server-sent events.
//!
//! A broken connection is taken up again after the last event that arrived; nothing comes twice, nothing is left out.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use reqwest::Method;
use reqwest::header::ACCEPT;
use waybill_model::RunId;

use super::{Client, ClientError, ClientResult};
use crate::event::RunEvent;
use crate::run::RunDetail;

/// A line longer than this is not one of ours.
const MAX_LINE: usize = 1 << 20;
/// The server pings every 15 s; three missed pings end the connection.
const SILENCE: Duration = Duration::from_secs(45);

/// What the stream says.
#[derive(Clone, Debug)]
pub enum Live {
    /// The run as it is now; the first thing that comes, and again after every change.
    Run(Box<RunDetail>),
    /// An event.
    Event(Box<RunEvent>),
}

/// One message of the stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<String>,
    event: String,
    data: String,
}

impl Client {
    /// Follows a run from the event after `after` until it has ended.
    pub fn run_watch(&self, id: RunId, after: u64) -> impl Stream<Item = ClientResult<Live>> + Send + use<> {
        let begin =
            Watch { client: self.clone(), run: id, last: format!("{id}:{after}"), open: None, tries: 0, ended: false };
        futures::stream::unfold(begin, |mut watch| async move { watch.next().await.map(|item| (item, watch)) })
    }
}

struct Watch {
    client: Client,
    run: RunId,
    last: String,
    open: Option<BoxStream<'static, ClientResult<Message>>>,
    tries: u32,
    ended: bool,
}

impl Watch {
    async fn next(&mut self) -> Option<ClientResult<Live>> {
        while !self.ended {
            match self.message().await {
                Ok(message) => {
                    self.tries = 0;
                    match self.take(message) {
                        Ok(Some(live)) => return Some(Ok(live)),
                        Ok(None) => {}
                        Err(error) => return self.end(error),
                    }
                }
                Err(error @ ClientError::Unreachable(_)) => {
                    self.open = None;
                    self.tries += 1;
                    if self.tries > 5 {
                        return self.end(error);
                    }
                    tokio::time::sleep(Duration::from_millis(200 << self.tries)).await;
                }
                Err(error) => return self.end(error),
            }
        }
        None
    }

    fn end(&mut self, error: ClientError) -> Option<ClientResult<Live>> {
        self.ended = true;
        Some(Err(error))
    }

    fn take(&mut self, message: Message) -> ClientResult<Option<Live>> {
        let foreign = |_| ClientError::Foreign { status: 200 };
        let live = match message.event.as_str() {
            "run" => {
                let run: Box<RunDetail> = serde_json::from_str(&message.data).map_err(foreign)?;
                Some(Live::Run(run))
            }
            "event" => Some(Live::Event(serde_json::from_str(&message.data).map_err(foreign)?)),
            "end" => {
                self.ended = true;
                None
            }
            _ => None,
        };
        if let Some(id) = message.id {
            self.last = id;
        }
        Ok(live)
    }

    async fn message(&mut self) -> ClientResult<Message> {
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(self.client.events(self.run, &self.last).await?),
        };
        match tokio::time::timeout(SILENCE, open.next()).await {
            Ok(Some(Ok(message))) => Ok(message),
            Ok(Some(Err(error))) => {
                self.open = None;
                Err(error)
            }
            // A server that drains closes the stream; so does a silent network. Both are taken up again.
            Ok(None) | Err(_) => {
                self.open = None;
                Ok(Message::default())
            }
        }
    }
}

impl Client {
    async fn events(&self, run: RunId, last: &str) -> ClientResult<BoxStream<'static, ClientResult<Message>>> {
        let path = format!("/v1/events?topics=run:{run}");
        let build = || {
            let request = self.request(&Method::GET, &path);
            request.header(ACCEPT, "text/event-stream").header("Last-Event-ID", last)
        };
        let body = self.send(build).await?.bytes_stream();
        Ok(messages(body.map(|chunk| chunk.map_err(ClientError::Unreachable))).boxed())
    }
}

/// Cuts a byte stream into messages.
fn messages<B: Buf>(body: impl Stream<Item = ClientResult<B>> + Unpin) -> impl Stream<Item = ClientResult<Message>> {
    let begin = (body, BytesMut::new(), Message::default());
    futures::stream::unfold(begin, |(mut body, mut pending, mut message)| async move {
        loop {
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line = pending.split_to(end + 1);
                if let Some(whole) = message.line(&String::from_utf8_lossy(&line[..end])) {
                    return Some((Ok(whole), (body, pending, message)));
                }
            }
            if pending.len() > MAX_LINE {
                return Some((Err(ClientError::Foreign { status: 200 }), (body, BytesMut::new(), message)));
            }
            match body.next().await? {
                Ok(chunk) => pending.extend_from_slice(chunk.chunk()),
                Err(error) => return Some((Err(error), (body, pending, message))),
            }
        }
    })
}

impl Message {
    /// Takes one line; gives the message that an empty line ends.
    fn line(&mut self, line: &str) -> Option<Self> {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            let whole = std::mem::take(self);
            return (!whole.event.is_empty() || !whole.data.is_empty()).then_some(whole);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.into()),
            "event" => self.event = value.into(),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_are_put_together_across_chunks_and_comments_are_skipped() {
        let chunks = ["event: run\nda", "ta: {}\nid: x:1\n\n: ping\n\nevent: end\ndata: a\ndata: b\n\n"];
        let body = futures::stream::iter(chunks.map(|chunk| Ok(chunk.as_bytes())));
        let all: Vec<Message> = messages(body).map(|message| message.expect("a message")).collect().await;
        let wanted = |id: Option<&str>, event: &str, data: &str| Message {
            id: id.map(Into::into),
            event: event.into(),
            data: data.into(),
        };
        assert_eq!(all, [wanted(Some("x:1"), "run", "{}"), wanted(None, "end", "a\nb")]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_not_buffered_for_ever() {
        let chunk = vec![b'x'; MAX_LINE / 4];
        let body = futures::stream::iter((0..9).map(|_| Ok(chunk.as_slice())));
        let first = messages(Box::pin(body)).boxed_local().next().await;
        assert!(matches!(first, Some(Err(ClientError::Foreign { .. }))));
    }
}

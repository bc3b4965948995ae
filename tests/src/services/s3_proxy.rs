//! A proxy before an S3 server, Azurite, one of Google Cloud Storage, or another that speaks plain HTTP, that breaks what it is told to break, and counts how
//! often it did.
//!
//! One request per connection to the server; the client's connection ends with each answer, so nothing is reordered.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Break {
    /// It is not passed on; this status and error code are the answer.
    Answer(u16, &'static str),
    /// It is not passed on; the connection ends after half of the request.
    CutRequest,
    /// It is passed on and answered, but the answer never arrives.
    LoseAnswer,
    /// It is passed on; the answer ends after this many bytes of its body.
    CutAnswer(usize),
    /// It is passed on; the answer claims to be whole with this many bytes of its body.
    ShortAnswer(usize),
    /// One bit of its body is changed on the way.
    GarbleBody,
    /// It is passed on; one bit of the answer's body is changed on the way.
    GarbleAnswer,
    /// The server never sees its condition.
    DropCondition,
    /// It is not passed on; no answer comes, and the connection stays open until the client ends it.
    Stall,
    /// It came whole, and is passed on when the gate opens, whether or not the client is still there.
    HoldRequest(Gate),
    /// It is passed on and took effect; the answer goes out when the gate opens.
    HoldAnswer(Gate),
}

/// Where a request or an answer waits until the test lets it go on.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Stand>);

#[derive(Debug, Default)]
struct Stand {
    waits: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// Waits until something waits here, in 30 s.
    ///
    /// # Panics
    /// When nothing does.
    pub async fn reached(&self) {
        let mut waits = self.0.waits.subscribe();
        let reached = tokio::time::timeout(Duration::from_secs(30), waits.wait_for(|waits| *waits)).await;
        assert!(reached.is_ok_and(|waits| waits.is_ok()), "nothing came to the gate in 30 s");
    }

    /// Lets it go on.
    pub fn open(&self) {
        self.0.open.send_replace(true);
    }

    async fn pass(&self) {
        self.0.waits.send_replace(true);
        // The sender lives as long as the gate.
        let _ = self.0.open.subscribe().wait_for(|open| *open).await;
    }
}

/// Which requests a break is for, and how many of them.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Method.
    pub method: &'static str,
    /// What its path and query hold, or its `content-range` behind them and a space.
    pub holds: &'static str,
    /// How often it happens.
    pub times: usize,
    /// What happens.
    pub breaks: Break,
}

#[derive(Default)]
struct Script {
    rules: Vec<(Rule, usize)>,
    seen: Vec<String>,
    /// What the server answered, with the request.
    answered: Vec<(String, u16)>,
    /// Key ids whose session has ended, and how many requests came with one of them.
    ended: Vec<String>,
    expired: usize,
}

/// A running proxy.
pub struct S3Proxy {
    port: u16,
    script: Arc<Mutex<Script>>,
    task: JoinHandle<()>,
}

impl S3Proxy {
    /// A proxy before the server on this port.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn before(server: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                // A broken connection is what this proxy is for.
                tokio::spawn(async move { drop(serve(client, server, &shared).await) });
            }
        });
        Self { port, script, task }
    }

    /// The endpoint for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Breaks the next requests of a kind. Rules are tried in the order in which they were given.
    ///
    /// # Panics
    /// When a connection's task panicked before.
    pub fn inject(&self, rule: Rule) {
        self.script.lock().expect("the script").rules.push((rule, 0));
    }

    /// From now on requests that were signed with this key are told that its session has ended.
    ///
    /// # Panics
    /// When a connection's task panicked before.
    pub fn end_session(&self, key: &str) {
        self.script.lock().expect("the script").ended.push(key.to_owned());
    }

    /// How many requests were told so.
    ///
    /// # Panics
    /// When a connection's task panicked before.
    #[must_use]
    pub fn expired(&self) -> usize {
        self.script.lock().expect("the script").expired
    }

    /// How often each rule did what it says.
    ///
    /// # Panics
    /// When a connection's task panicked before.
    #[must_use]
    pub fn fired(&self) -> Vec<usize> {
        self.script.lock().expect("the script").rules.iter().map(|(_, fired)| *fired).collect()
    }

    /// How many requests of a kind came.
    ///
    /// # Panics
    /// When a connection's task panicked before.
    #[must_use]
    pub fn count(&self, method: &str, holds: &str) -> usize {
        let script = self.script.lock().expect("the script");
        script.seen.iter().filter(|line| line.starts_with(&format!("{method} ")) && line.contains(holds)).count()
    }

    /// What the server answered to requests of a kind, in order, whether or not the client heard it.
    ///
    /// # Panics
    /// When a connection's task panicked before.
    #[must_use]
    pub fn answers(&self, method: &str, holds: &str) -> Vec<u16> {
        let script = self.script.lock().expect("the script");
        let fits = |line: &str| line.starts_with(&format!("{method} ")) && line.contains(holds);
        script.answered.iter().filter(|(line, _)| fits(line)).map(|(_, status)| *status).collect()
    }

    /// Waits until the server answered so many requests of a kind, in 30 s.
    ///
    /// # Panics
    /// When it did not.
    pub async fn answered(&self, method: &str, holds: &str, many: usize) -> Vec<u16> {
        for _ in 0..3_000 {
            let answers = self.answers(method, holds);
            if answers.len() >= many {
                return answers;
            }
            tokio::time::sleep(Duration::from_millis(10)).await; // a look, bounded
        }
        panic!("the server did not answer {many} times: {:?}", self.answers(method, holds))
    }
}

impl Drop for S3Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn decide(script: &Mutex<Script>, line: &str, head: &str) -> Option<Break> {
    let mut script = script.lock().expect("the script");
    script.seen.push(line.to_owned());
    if script.ended.iter().any(|key| head.contains(&format!("Credential={key}/"))) {
        script.expired += 1;
        return Some(Break::Answer(400, "ExpiredToken"));
    }
    let (method, target) = line.split_once(' ').unwrap_or((line, ""));
    let fits = |(rule, fired): &&mut (Rule, usize)| {
        rule.method == method && target.contains(rule.holds) && *fired < rule.times
    };
    let (rule, fired) = script.rules.iter_mut().find(fits)?;
    *fired += 1;
    Some(rule.breaks.clone())
}

async fn serve(mut client: TcpStream, server: u16, script: &Mutex<Script>) -> std::io::Result<()> {
    let Some((head, mut body)) = head_of(&mut client).await? else { return Ok(()) };
    let line = head.lines().next().unwrap_or_default().rsplit_once(' ').map_or("", |(line, _)| line);
    let line = header(&head, "content-range").map_or_else(|| line.to_owned(), |range| format!("{line} {range}"));
    let length = header(&head, "content-length").and_then(|value| value.parse::<usize>().ok()).unwrap_or(0);
    let broken = decide(script, &line, &head);
    if matches!(broken, Some(Break::CutRequest)) {
        let mut half = vec![0; (length / 2).saturating_sub(body.len())];
        client.read_exact(&mut half).await?;
        return Ok(());
    }
    if matches!(broken, Some(Break::Stall)) {
        tokio::io::copy(&mut client, &mut tokio::io::sink()).await?;
        return Ok(());
    }
    if header(&head, "expect").is_some() {
        client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    let had = body.len();
    body.resize(length, 0);
    client.read_exact(&mut body[had..]).await?;
    if let Some(Break::Answer(status, code)) = broken {
        let text = if line.contains("/storage/v1/") {
            format!(r#"{{"error":{{"code":{status},"message":"scripted","errors":[{{"reason":"{code}"}}]}}}}"#)
        } else {
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>scripted</Message></Error>")
        };
        let empty = line.starts_with("HEAD");
        let answer = format!(
            "HTTP/1.1 {status} Scripted\r\nx-ms-error-code: {code}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
            text.len(),
            if empty { "" } else { &text }
        );
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    if matches!(broken, Some(Break::GarbleBody)) {
        body[length / 2] ^= 1;
    }
    if let Some(Break::HoldRequest(gate)) = &broken {
        gate.pass().await;
    }
    let answer = forward(server, &head, &body, matches!(broken, Some(Break::DropCondition))).await?;
    script.lock().expect("the script").answered.push((line, status_of(&answer)));
    match broken {
        Some(Break::HoldAnswer(gate)) => {
            gate.pass().await;
            client.write_all(&answer).await
        }
        Some(Break::LoseAnswer) => Ok(()),
        Some(Break::GarbleAnswer) => {
            let mut answer = answer;
            let (begin, end) = (cut(&answer, 0), answer.len());
            answer[begin + (end - begin) / 2] ^= 1;
            client.write_all(&answer).await?;
            client.shutdown().await
        }
        Some(Break::CutAnswer(bytes)) => client.write_all(&answer[..cut(&answer, bytes)]).await,
        Some(Break::ShortAnswer(bytes)) => {
            client.write_all(&shortened(&answer, bytes)).await?;
            client.shutdown().await
        }
        _ => {
            client.write_all(&answer).await?;
            client.shutdown().await
        }
    }
}

/// The request's head, and what came of its body with it.
async fn head_of(client: &mut TcpStream) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = bytes.split_off(at + 4);
            return Ok(Some((String::from_utf8_lossy(&bytes).into_owned(), body)));
        }
        let mut more = [0; 16 << 10];
        match client.read(&mut more).await? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&more[..count]),
        }
    }
}

/// Where an answer ends that has at most so many bytes of its body.
fn cut(answer: &[u8], bytes: usize) -> usize {
    let begin = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    answer.len().min(begin + bytes)
}

/// An answer with so many bytes of its body and the length that fits them.
fn shortened(answer: &[u8], bytes: usize) -> Vec<u8> {
    let (begin, end) = (cut(answer, 0), cut(answer, bytes));
    let head = String::from_utf8_lossy(&answer[..begin]);
    let lines = head.lines().map(|line| match line.split_once(':') {
        Some((name, _)) if name.eq_ignore_ascii_case("content-length") => format!("{name}: {}\r\n", end - begin),
        _ => format!("{line}\r\n"),
    });
    [lines.collect::<String>().as_bytes(), &answer[begin..end]].concat()
}

/// The number in an answer's first line; 0 where there is none.
fn status_of(answer: &[u8]) -> u16 {
    let line = String::from_utf8_lossy(answer.get(..16).unwrap_or_default());
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim())
}

/// The server's whole answer.
async fn forward(server: u16, head: &str, body: &[u8], without_condition: bool) -> std::io::Result<Vec<u8>> {
    let mut upstream = TcpStream::connect(("127.0.0.1", server)).await?;
    let unwanted = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        name == "connection" || name == "expect" || (without_condition && name == "if-none-match")
    };
    let kept: Vec<&str> = head.trim_end().lines().filter(|line| !unwanted(line)).collect();
    let mut head = format!("{}\r\nconnection: close\r\n\r\n", kept.join("\r\n"));
    if without_condition {
        head = head.replacen("&ifGenerationMatch=0", "", 1);
    }
    upstream.write_all(head.as_bytes()).await?;
    upstream.write_all(body).await?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await?;
    // The client must not send a second request into a connection that ends.
    let end = answer.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
    answer.splice(end..end, *b"\r\nconnection: close");
    Ok(answer)
}

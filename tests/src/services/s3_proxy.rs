//! A proxy before an S3 server, or another that speaks plain HTTP, that breaks what it is told to break, and counts how
//! often it did.
//!
//! One request per connection to the server; the client's connection ends with each answer, so nothing is reordered.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
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
    /// One bit of its body is changed on the way.
    GarbleBody,
    /// The server never sees its condition.
    DropCondition,
    /// It is not passed on; no answer comes, and the connection stays open until the client ends it.
    Stall,
}

/// Which requests a break is for, and how many of them.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Method.
    pub method: &'static str,
    /// What its path and query hold.
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
    let line = head.lines().next().unwrap_or_default().rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
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
        let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>scripted</Message></Error>");
        let empty = line.starts_with("HEAD");
        let answer = format!(
            "HTTP/1.1 {status} Scripted\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}",
            text.len(),
            if empty { "" } else { &text }
        );
        client.write_all(answer.as_bytes()).await?;
        return client.shutdown().await;
    }
    if matches!(broken, Some(Break::GarbleBody)) {
        body[length / 2] ^= 1;
    }
    let answer = forward(server, &head, &body, matches!(broken, Some(Break::DropCondition))).await?;
    match broken {
        Some(Break::LoseAnswer) => Ok(()),
        Some(Break::CutAnswer(bytes)) => {
            let begin = answer.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
            client.write_all(&answer[..answer.len().min(begin + bytes)]).await
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
    upstream.write_all(format!("{}\r\nconnection: close\r\n\r\n", kept.join("\r\n")).as_bytes()).await?;
    upstream.write_all(body).await?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await?;
    // The client must not send a second request into a connection that ends.
    let end = answer.windows(2).position(|two| two == b"\r\n").unwrap_or(0);
    answer.splice(end..end, *b"\r\nconnection: close");
    Ok(answer)
}

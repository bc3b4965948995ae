//! Which image this worker runs from, as the task metadata server of ECS tells it.

use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The server, which only containers of the task can reach.
const SERVER: &str = "169.254.170.2";
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST: u64 = 256 << 10;

/// Digests that the image is known by; none where they can't be found.
pub(super) async fn digests() -> Vec<String> {
    let uri = std::env::var("ECS_CONTAINER_METADATA_URI_V4").unwrap_or_default();
    // The address is ours, not the environment's: a launch request could name another server.
    let Some(path) = uri.strip_prefix("http://169.254.170.2").filter(|path| is_path(path)) else {
        tracing::warn!("the task metadata server is not named as ECS names it: the worker's image is not known");
        return Vec::new();
    };
    match tokio::time::timeout(PATIENCE, ask(&format!("{SERVER}:80"), path)).await {
        Ok(Ok(answer)) => read(&answer),
        _ => Vec::new(),
    }
}

fn is_path(path: &str) -> bool {
    path.starts_with("/v4/") && path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_'))
}

/// One question in the old form of the protocol, so that the answer comes whole and the connection ends.
async fn ask(server: &str, path: &str) -> std::io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(server).await?;
    connection.write_all(format!("GET {path} HTTP/1.0\r\nHost: {SERVER}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    connection.take(LONGEST).read_to_end(&mut answer).await?;
    Ok(answer)
}

#[derive(Deserialize)]
struct Container {
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "ImageID", default)]
    image_id: String,
}

/// The digest that the task definition pins, and the one of the image itself.
fn read(answer: &[u8]) -> Vec<String> {
    let head = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .filter(|_| answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"));
    let body = head.and_then(|end| answer.get(end + 4..)).unwrap_or_default();
    let Ok(container) = serde_json::from_slice::<Container>(body) else { return Vec::new() };
    let pinned = container.image.rsplit_once('@').map(|(_, digest)| digest.to_owned());
    pinned.into_iter().chain([container.image_id]).filter(|digest| digest.starts_with("sha256:")).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_image_is_known_by_its_pinned_digest_and_its_own() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let server = listener.local_addr().expect("its address").to_string();
        let answering = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.expect("a question");
            let mut asked = [0; 512];
            let size = connection.read(&mut asked).await.expect("its bytes");
            assert!(asked[..size].starts_with(b"GET /v4/abc-1 HTTP/1.0\r\n"));
            let body = r#"{"Image":"example/worker:1@sha256:aa","ImageID":"sha256:bb","Labels":{"x":"y"}}"#;
            let answer = format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
            connection.write_all(answer.as_bytes()).await.expect("an answer");
        });
        let answer = ask(&server, "/v4/abc-1").await.expect("an answer");
        answering.await.expect("the server");
        assert_eq!(read(&answer), ["sha256:aa", "sha256:bb"]);
    }

    #[test]
    fn an_answer_that_is_none_names_no_image() {
        for answer in ["", "HTTP/1.0 500 X\r\n\r\n{}", "HTTP/1.0 200 OK\r\n\r\n[]", "HTTP/1.0 200 OK\r\n\r\n{}"] {
            assert_eq!(read(answer.as_bytes()), Vec::<String>::new(), "{answer}");
        }
        assert!(is_path("/v4/abc-1") && !is_path("/v4/../x?y") && !is_path(":8080/v4/x") && !is_path("@evil/v4/"));
    }
}

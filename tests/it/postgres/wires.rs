//! Servers that lie from a script.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use waybill_tests::services::postgres_proxy::message;

/// An authentication request.
pub(super) fn authentication(kind: u32, body: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes(), body].concat())
}

/// What a scripted server does after each thing that the client sends.
pub(super) type Script = Vec<Answer>;

/// One answer of a scripted server.
pub(super) enum Answer {
    Bytes(Vec<u8>),
    /// The same bytes again and again.
    Endless(Vec<u8>),
    /// SCRAM's first message with this many iterations, for the nonce that the client sent.
    Scram(u32),
}

/// Serves the script to every client, and gives the port.
pub(super) async fn scripted(script: impl Fn() -> Script + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, script()));
        }
    });
    port
}

async fn serve(mut client: TcpStream, script: Script) -> std::io::Result<()> {
    let mut said = vec![0; 16 << 10];
    for answer in script {
        let count = client.read(&mut said).await?;
        match answer {
            Answer::Bytes(bytes) => client.write_all(&bytes).await?,
            Answer::Endless(bytes) => loop {
                client.write_all(&bytes).await?;
            },
            Answer::Scram(iterations) => {
                let text = String::from_utf8_lossy(&said[..count]).into_owned();
                let nonce = text.split("r=").nth(1).unwrap_or_default().to_owned();
                let first = format!("r={nonce}more,s=c2FsdHNhbHRzYWx0,i={iterations}");
                client.write_all(&authentication(11, first.as_bytes())).await?;
            }
        }
    }
    // Holds the connection until the client leaves.
    while client.read(&mut said).await? > 0 {}
    Ok(())
}

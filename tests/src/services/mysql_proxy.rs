//! A proxy before a real MySQL server that cuts or forges what the server sends once rows flow, and counts how often it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Executes a prepared statement.
const EXECUTE: u8 = 0x17;

/// What the proxy does to an answer when enough rows went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forge {
    /// Ends the connection between two packets.
    Fin,
    /// Ends the connection inside a packet.
    MidPacket,
    /// Says that there are no more rows.
    End,
    /// Puts an error with this number and SQLSTATE in the place of a row.
    Error(u16, &'static str),
    /// Puts these bytes in the place of a row.
    Row(&'static [u8]),
    /// Begins a row of a gigabyte.
    Huge,
    /// Gives a packet a number out of order.
    Disorder,
    /// Asks for a file of the client where columns are expected.
    LocalFile,
    /// Sends nothing any more, and keeps the connection.
    Silence,
}

/// A running proxy.
pub struct MySqlProxy {
    /// The port on 127.0.0.1.
    pub port: u16,
    told: Arc<Told>,
}

/// What it is told to do, and what it did.
struct Told {
    forge: Forge,
    /// Rows that an answer brings before.
    rows: usize,
    fired: AtomicUsize,
    /// Bytes that the client sent after the forgery.
    answered: AtomicUsize,
}

impl MySqlProxy {
    /// Before the server on this port: forges every answer to a prepared statement after so many rows.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: u16, forge: Forge, rows: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let told = Arc::new(Told { forge, rows, fired: 0.into(), answered: 0.into() });
        let shared = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", upstream)).await.expect("the real server");
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let executed = Arc::new(AtomicBool::new(false));
                tokio::spawn(ask(from_client, to_server, Arc::clone(&shared), Arc::clone(&executed)));
                tokio::spawn(answer(from_server, to_client, Arc::clone(&shared), executed));
            }
        });
        Self { port, told }
    }

    /// How often the forgery took place.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.told.fired.load(Ordering::SeqCst)
    }

    /// Bytes that clients sent after a forgery.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.told.answered.load(Ordering::SeqCst)
    }
}

async fn ask(
    mut client: OwnedReadHalf,
    mut server: OwnedWriteHalf,
    told: Arc<Told>,
    executed: Arc<AtomicBool>,
) -> std::io::Result<()> {
    loop {
        let packet = next(&mut client).await?;
        if told.fired.load(Ordering::SeqCst) > 0 {
            told.answered.fetch_add(packet.len(), Ordering::SeqCst);
        }
        executed.store(packet.get(3..5) == Some(&[0, EXECUTE]), Ordering::SeqCst);
        server.write_all(&packet).await?;
    }
}

async fn answer(
    mut server: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    told: Arc<Told>,
    executed: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let (mut seen, mut in_rows) = (0, false);
    loop {
        let packet = next(&mut server).await?;
        let (sequence, body) = (packet[3], &packet[4..]);
        let is_end = body.first() == Some(&0xfe) && body.len() < 9;
        if !executed.load(Ordering::SeqCst) {
            (seen, in_rows) = (0, false);
        } else if told.forge == Forge::LocalFile && sequence == 1 {
            told.fired.fetch_add(1, Ordering::SeqCst);
            client.write_all(&message(1, b"\xfb/etc/passwd")).await?;
            continue;
        } else if is_end {
            in_rows = !in_rows;
        } else if in_rows {
            seen += 1;
            if seen > told.rows && told.forge != Forge::LocalFile {
                told.fired.fetch_add(1, Ordering::SeqCst);
                if forge(told.forge, sequence, &packet, &mut client).await? {
                    if told.forge == Forge::End {
                        skip_rows(&mut server).await?;
                        (seen, in_rows) = (0, false);
                    }
                    continue;
                }
                // What the server still sends is not passed on.
                while server.read(&mut [0; 4096]).await? > 0 {}
                return Ok(());
            }
        }
        client.write_all(&packet).await?;
    }
}

/// Drops what the server really sends up to the end of its rows.
async fn skip_rows(server: &mut OwnedReadHalf) -> std::io::Result<()> {
    loop {
        let packet = next(server).await?;
        if packet[4] == 0xfe && packet.len() < 13 {
            return Ok(());
        }
    }
}

/// Forges a packet; true where the rest goes on as it is.
async fn forge(forge: Forge, sequence: u8, packet: &[u8], client: &mut OwnedWriteHalf) -> std::io::Result<bool> {
    match forge {
        Forge::Fin => client.shutdown().await?,
        Forge::MidPacket => {
            client.write_all(&packet[..packet.len() - 1]).await?;
            client.shutdown().await?;
        }
        Forge::End => {
            client.write_all(&message(sequence, &[0xfe, 0, 0, 2, 0])).await?;
            return Ok(true);
        }
        Forge::Error(number, state) => {
            let text = [&[0xff][..], &number.to_le_bytes(), format!("#{state}forged").as_bytes()].concat();
            client.write_all(&message(sequence, &text)).await?;
        }
        Forge::Row(bytes) => {
            client.write_all(&message(sequence, bytes)).await?;
            return Ok(true);
        }
        Forge::Huge => {
            let piece = vec![0; 0xff_ffff];
            for number in 0..64_u8 {
                client.write_all(&[0xff, 0xff, 0xff, sequence.wrapping_add(number)]).await?;
                client.write_all(&piece).await?;
            }
        }
        Forge::Disorder => client.write_all(&message(sequence.wrapping_add(3), &packet[4..])).await?,
        Forge::LocalFile | Forge::Silence => {}
    }
    Ok(false)
}

/// The next packet with its header.
async fn next(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut packet = vec![0; 4];
    from.read_exact(&mut packet).await?;
    let length = u32::from_le_bytes([packet[0], packet[1], packet[2], 0]) as usize;
    packet.resize(4 + length, 0);
    from.read_exact(&mut packet[4..]).await?;
    Ok(packet)
}

/// A packet of the protocol: its length, its number, its body.
#[must_use]
pub fn message(sequence: u8, body: &[u8]) -> Vec<u8> {
    let mut out = (body.len() as u32).to_le_bytes()[..3].to_vec();
    out.push(sequence);
    out.extend_from_slice(body);
    out
}

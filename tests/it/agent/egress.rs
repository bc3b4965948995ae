//! Nothing else goes out: a run whose worker stands in a network namespace with one link each to source, bucket and
//! orchestrator. What leaves is counted by the kernel, link by link; every other packet goes to a link of its own that leads
//! nowhere, and is counted there. Without root it runs in a user namespace, and says so where the kernel allows none.

mod fence;

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde_json::Value;
use waybill_connectors::bucket::s3::{S3Bucket, StaticKeys, Way};
use waybill_connectors::dial::{Dialer, Rules};
use waybill_model::RunId;
use waybill_model::plan::S3Access;
use waybill_pipeline::{Bucket as _, BucketError, Fixed};
use waybill_tests::binaries::binary;
use waybill_tests::process;
use waybill_tests::sandbox::Options;
use waybill_tests::services::network::as_root;
use waybill_tests::services::s3::{BUCKET, Roto};

use super::fixture::{Host, Office};
use fence::{BUCKET_LINK, Fence, ORCHESTRATOR, Relay, SOURCE};

const ROWS: u64 = 60_000;
/// What TLS 1.3 adds to each record: header, inner type, tag.
const RECORD: u64 = 22;
const KEYS: [(&str, &str); 2] = [("STORE_KEY", "AKIDEXAMPLE"), ("STORE_SECRET", "very-secret-key")];

/// Both within two of a hundred.
const fn agree(counted: u64, said: u64) -> bool {
    counted.abs_diff(said) * 50 <= said
}

/// Source, bucket and orchestrator on this side of the fence, the worker on the other.
struct World {
    fence: Fence,
    office: Office,
    host: Host,
    source: Relay,
    bucket: Relay,
    lake: Roto,
    _inbox: Roto,
}

impl World {
    async fn start() -> Result<Self> {
        let fence = Fence::new()?;
        let (inbox, lake) = (Roto::start().await, Roto::start().await);
        // Digits that no encoding makes small: the rows show in what the bucket gets.
        let row = |row: u64| format!("{row},{:016x}\n", row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text: String = (0..ROWS).map(row).collect();
        for name in ["a.csv", "b.csv"] {
            lay(&inbox, name, Bytes::from(format!("id,mark\n{text}"))).await?;
        }
        let source = Relay::start(fence.here(SOURCE), inbox.port()).await?;
        let bucket = Relay::start(fence.here(BUCKET_LINK), lake.port()).await?;
        let here = fence.here(ORCHESTRATOR);
        let options = Options::default()
            .with("SERVER__API", &format!("{here}:0"))
            .with("SERVER__WORKER", &format!("{here}:0"))
            .with("SERVER__NAMES", &here.to_string());
        let office = Office::start(options, 1).await?;
        let host = agent(&office, &fence).await?;
        Ok(Self { fence, office, host, source, bucket, lake, _inbox: inbox })
    }

    /// Runs the pipeline from start to end, and waits until its worker has left.
    async fn run(&self) -> Result<RunId> {
        let store = |relay: &Relay| {
            let keys = "access-key: env://STORE_KEY, secret-key: env://STORE_SECRET";
            format!("region: us-east-1, endpoint: \"http://{}\", {keys}", relay.address)
        };
        let sandbox = &self.office.sandbox;
        sandbox
            .apply(&format!(
                "waybill: 1\nconnections:\n  inbox: {{ type: files, url: \"s3://{BUCKET}/in\", {} }}\n  \
                 lake: {{ type: s3, bucket: {BUCKET}, prefix: raw, {} }}\npipelines:\n  moved:\n    data-plane: office\n    from: inbox\n    \
                 to: lake\n    streams:\n      a.csv: {{ load: full }}\n      b.csv: {{ load: full }}\n",
                store(&self.source),
                store(&self.bucket)
            ))
            .await?;
        let run = sandbox.trigger("moved").await?;
        let ended = sandbox.ended(run).await?;
        let logs = || format!("{}\n{}", sandbox.log(), self.host.worker_logs());
        ensure!(ended.run.state.to_string() == "succeeded", "{ended:?}\n{}", logs());
        let workers = self.host.workers();
        ensure!(workers.len() == 1, "{workers:?}");
        while process::is_alive(workers[0]) {
            tokio::time::sleep(Duration::from_millis(20)).await; // a look at a process, which ends within its own bounds
        }
        Ok(run)
    }

    /// What the worker says in its own log, in the bucket: the one line that holds this field.
    async fn said(&self, run: RunId, field: &str) -> Result<Value> {
        let bucket = store(&self.lake, "raw").await?;
        let mut text = Vec::new();
        for chunk in bucket.list(&format!("_waybill/logs/{run}/"), None).await.map_err(|error| failed(&error))? {
            text.extend(bucket.get(&chunk.key, 8 << 20).await.map_err(|error| failed(&error))?.context("a chunk")?);
        }
        let lines = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let mut said = lines.filter(|line| line.get(field).is_some());
        let line = said.next().with_context(|| format!("no line with {field}"))?;
        ensure!(said.next().is_none(), "{field} is said twice");
        Ok(line)
    }
}

/// An agent on this side, whose workers start on the other.
async fn agent(office: &Office, fence: &Fence) -> Result<Host> {
    let mut host = office.enrolled("office-1").await?;
    let worker = fence.program(&binary("waybill-worker"))?;
    host.options = vec!["--worker".into(), worker.display().to_string()];
    host.through = vec!["env".into()];
    for (name, value) in KEYS {
        host.options.extend(["--pass-env".into(), name.into()]);
        host.through.push(format!("{name}={value}"));
    }
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    Ok(host)
}

/// Puts an object of the source there.
async fn lay(inbox: &Roto, name: &str, body: Bytes) -> Result<()> {
    let mut upload = store(inbox, "in").await?.upload(name).await.map_err(|error| failed(&error))?;
    upload.write(body).await.map_err(|error| failed(&error))?;
    upload.finish().await.map(drop).map_err(|error| failed(&error))
}

fn failed(error: &BucketError) -> anyhow::Error {
    anyhow::anyhow!("{error:?}")
}

/// A store as this side of the fence reaches it.
async fn store(server: &Roto, prefix: &str) -> Result<S3Bucket> {
    let (region, endpoint) = (Some("us-east-1".into()), Some(server.endpoint()));
    let access = S3Access { region, endpoint, ..S3Access::default() };
    let keys = Some(StaticKeys::new(Arc::new(Fixed::new(KEYS[0].1)), Arc::new(Fixed::new(KEYS[1].1))));
    let way = Way { access: &access, keys, dialer: Dialer::new(Rules::local()) };
    S3Bucket::connect(BUCKET, prefix, way, 256 << 20).await.map_err(|error| failed(&error))
}

#[test]
fn nothing_but_source_bucket_and_orchestrator_is_sent_to_and_the_orchestrators_bytes_are_those_that_the_worker_says()
-> Result<()> {
    as_root(
        "agent::egress::nothing_but_source_bucket_and_orchestrator_is_sent_to_and_the_orchestrators_bytes_are_those_that_the_worker_says",
        &["s3"],
        async {
            let (world, run, after) = undisturbed().await?;
            ensure!(after.elsewhere() == 0, "something else went out: {after:?}");
            stores_got_what_left(&world, &after)?;
            let said = said_is_counted(&world, run, &after).await?;
            planted_traffic_is_seen(&world, said)
        },
    )
}

/// A run during which TCP sent nothing twice: what a busy host makes it send again is on the link and in nobody's account.
async fn undisturbed() -> Result<(World, RunId, fence::Counted)> {
    for _ in 0..5 {
        let world = World::start().await?;
        let before = world.fence.counted()?;
        ensure!(before.elsewhere() == 0 && before.links().all(|link| link.packets == 0), "{before:?}");
        let run = world.run().await?;
        let after = world.fence.counted()?;
        if world.fence.resent()? == 0 {
            return Ok((world, run, after));
        }
    }
    anyhow::bail!("TCP sent something again in each of five runs")
}

/// What went over the links to the stores is what these got there; the rows are in it, and not in what the orchestrator got.
fn stores_got_what_left(world: &World, counted: &fence::Counted) -> Result<()> {
    for (link, relay) in [(SOURCE, &world.source), (BUCKET_LINK, &world.bucket)] {
        let (sent, got) = (counted.payload(link, relay.connections())?, relay.bytes());
        ensure!(agree(sent, got), "{link}: {sent} bytes left and {got} arrived");
    }
    let (rows, told) = (world.bucket.bytes(), counted.payload(ORCHESTRATOR, 0)?);
    ensure!(rows > ROWS * 8 && told < rows / 10, "{rows} bytes for the bucket, {told} for the orchestrator");
    Ok(())
}

/// The bytes to the orchestrator are the HTTP/2 that the worker says it sent, its handshakes, and 22 bytes for each record.
async fn said_is_counted(world: &World, run: RunId, counted: &fence::Counted) -> Result<u64> {
    let (classes, wire) = (world.said(run, "classes").await?, world.said(run, "http2").await?);
    let number = |line: &Value, field: &str| line[field].as_u64().with_context(|| format!("{field} in {line}"));
    let (messages, http2) = (number(&classes, "bytes")?, number(&wire, "http2")?);
    let (connections, tcp) = (number(&wire, "connections")?, number(&wire, "tcp")?);
    let overhead = number(&wire, "handshakes")? + RECORD * number(&wire, "records")?;
    let sent = counted.payload(ORCHESTRATOR, connections)?;
    let figures = format!("{sent} at the link; {wire}; {classes}");
    ensure!(agree(sent, http2 + overhead), "HTTP/2 and TLS: {figures}");
    ensure!(agree(sent, tcp) && sent >= tcp, "what TLS gave to TCP: {figures}");
    // Its own numbers leave nothing open but the two bytes by which TLS takes leave of a connection.
    let rest = tcp.checked_sub(http2 + overhead);
    ensure!(rest.is_some_and(|rest| rest <= 2 * connections), "the worker's own numbers: {figures}");
    // One connection to enrol, one to work; all that is said by class is in them.
    ensure!(connections == 2 && messages > 500 && messages < http2, "{figures}");
    Ok(tcp)
}

/// Each counter shows what is put there on purpose.
fn planted_traffic_is_seen(world: &World, said: u64) -> Result<()> {
    let fence = &world.fence;
    let mut seen = 0;
    let mut more = |what: &str| {
        let now = fence.counted()?.elsewhere();
        ensure!(now > seen, "{what} is not seen");
        seen = now;
        Ok::<_, anyhow::Error>(())
    };
    let connect = |address: &str| -> Result<bool> {
        let address: SocketAddr = address.parse()?;
        fence.inside(|| TcpStream::connect_timeout(&address, Duration::from_millis(100)).is_ok())
    };
    let datagram = |address: &str| -> Result<()> {
        let sent = fence.inside(|| UdpSocket::bind("0.0.0.0:0")?.send_to(b"row", address))??;
        ensure!(sent == 3, "{sent} bytes were sent to {address}");
        Ok(())
    };
    ensure!(!connect("198.51.100.7:443")?, "somebody answers beyond the fence");
    more("a connection to elsewhere")?;
    ensure!(!connect("169.254.169.254:80")?, "somebody answers beyond the fence");
    more("a question to a metadata service")?;
    datagram("203.0.113.53:53")?;
    more("a question to a name server")?;
    datagram("127.0.0.1:9")?;
    more("a datagram over loopback")?;
    if fence.speaks_ipv6()? {
        ensure!(!connect("[2001:db8::7]:443")?, "somebody answers beyond the fence");
        more("a connection over IPv6")?;
    }
    let api: SocketAddr = world.office.sandbox.ports()?.api.parse()?;
    let extra = vec![0; usize::try_from(said / 25)?];
    fence.inside(|| std::io::Write::write_all(&mut TcpStream::connect(api)?, &extra))??;
    let sent = fence.counted()?.payload(ORCHESTRATOR, 3)?;
    ensure!(!agree(sent, said), "{} bytes more to the orchestrator are not seen", extra.len());
    Ok(())
}

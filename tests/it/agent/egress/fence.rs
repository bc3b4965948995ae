//! A network namespace with three links to this host and a fourth that leads nowhere, counted by the kernel at the
//! namespace's own end. Neighbours are known and IPv6 has no address, so that nothing but what a program sends is counted.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use waybill_tests::services::network::{inside, ip};

/// The three links, as the namespace names them.
pub(super) const ORCHESTRATOR: &str = "orchestrator";
pub(super) const SOURCE: &str = "source";
pub(super) const BUCKET_LINK: &str = "bucket";
const LINKS: [&str; 3] = [ORCHESTRATOR, SOURCE, BUCKET_LINK];
/// Where everything else goes.
const ELSEWHERE: &str = "elsewhere";
const NOWHERE: &str = "nowhere";

/// Headers of a packet: Ethernet, IPv4, TCP without options. The first one of a connection has 12 bytes of options.
const HEADERS: u64 = 14 + 20 + 20;
const FIRST: u64 = 12;

pub(super) struct Fence {
    name: String,
    hosts: Vec<String>,
    scripts: tempfile::TempDir,
}

/// What left the namespace by one link, as the kernel counted it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Left {
    pub(super) bytes: u64,
    pub(super) packets: u64,
}

/// What left the namespace.
#[derive(Debug)]
pub(super) struct Counted {
    links: BTreeMap<String, Left>,
    /// Packets that IPv6 had no way for.
    no_route: u64,
}

impl Fence {
    pub(super) fn new() -> Result<Self> {
        let tag = std::process::id();
        let (name, hosts) = (format!("wbe{tag}"), (0..LINKS.len()).map(|at| format!("wbe{tag}-{at}")).collect());
        let this = Self { name, hosts, scripts: tempfile::tempdir()? };
        ip(&["netns", "add", &this.name])?;
        // Every packet has headers of one length then, also a reset that belongs to no connection any more.
        this.inside(|| std::fs::write("/proc/sys/net/ipv4/tcp_timestamps", "0"))??;
        this.inner(&["link", "set", "lo", "up"])?;
        for at in 0..LINKS.len() {
            this.link(at)?;
        }
        this.inner(&["link", "add", ELSEWHERE, "type", "veth", "peer", "name", NOWHERE])?;
        this.inner(&["link", "set", ELSEWHERE, "arp", "off"])?;
        for end in [ELSEWHERE, NOWHERE] {
            this.silence(end);
            this.inner(&["link", "set", end, "up"])?;
        }
        this.inner(&["addr", "add", "192.0.2.1/32", "dev", ELSEWHERE])?;
        this.inner(&["route", "add", "default", "dev", ELSEWHERE])?;
        Ok(this)
    }

    /// One link with its two addresses, each end of which knows the other.
    fn link(&self, at: usize) -> Result<()> {
        let (inside, outside) = (LINKS[at], self.hosts[at].as_str());
        let (ours, theirs) = ("02:00:00:00:00:01", "02:00:00:00:00:02");
        let (here, there) = (self.address(at, 0).to_string(), self.address(at, 1).to_string());
        let peer = ["type", "veth", "peer", "name", inside, "address", theirs, "netns", &self.name];
        ip(&[&["link", "add", outside, "address", ours][..], &peer].concat())?;
        let _ = ip(&["link", "set", "dev", outside, "addrgenmode", "none"]);
        self.silence(inside);
        ip(&["addr", "add", &format!("{here}/31"), "dev", outside])?;
        ip(&["link", "set", outside, "up"])?;
        self.inner(&["addr", "add", &format!("{there}/31"), "dev", inside])?;
        self.inner(&["link", "set", inside, "up"])?;
        ip(&["neigh", "add", &there, "lladdr", theirs, "dev", outside, "nud", "permanent"])?;
        self.inner(&["neigh", "add", &here, "lladdr", ours, "dev", inside, "nud", "permanent"])
    }

    /// No IPv6 address comes by itself. A kernel without IPv6 refuses that, and has none.
    fn silence(&self, link: &str) {
        let _ = self.inner(&["link", "set", "dev", link, "addrgenmode", "none"]);
    }

    fn inner(&self, args: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.name], args].concat())
    }

    /// A pair of addresses for each link, of a range that is this process's own.
    fn address(&self, at: usize, end: u8) -> Ipv4Addr {
        let (tag, at) = (std::process::id(), u8::try_from(at).unwrap_or_default());
        let [third, fourth] = [tag / 32 % 250, tag % 32 * 8].map(|part| u8::try_from(part).unwrap_or_default());
        Ipv4Addr::new(10, 214, third, fourth + at * 2 + end)
    }

    /// This side's address of a link.
    pub(super) fn here(&self, link: &str) -> Ipv4Addr {
        self.address(LINKS.iter().position(|known| *known == link).unwrap_or_default(), 0)
    }

    /// A program that starts another one inside.
    pub(super) fn program(&self, program: &Path) -> Result<PathBuf> {
        let path = self.scripts.path().join("inside");
        std::fs::write(&path, format!("#!/bin/sh\nexec ip netns exec {} {} \"$@\"\n", self.name, program.display()))?;
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        Ok(path)
    }

    /// Does something inside, on a thread of its own.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        inside(&self.name, work)
    }

    /// Whether IPv6 is there, so that its counter can move.
    pub(super) fn speaks_ipv6(&self) -> Result<bool> {
        self.inside(|| Path::new("/proc/thread-self/net/snmp6").exists())
    }

    /// Segments that TCP sent more than once.
    pub(super) fn resent(&self) -> Result<u64> {
        let text = self.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))??;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next().context("names")?, lines.next().context("values")?);
        let found = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == "RetransSegs");
        Ok(found.context("RetransSegs")?.1.parse()?)
    }

    /// What has left so far.
    pub(super) fn counted(&self) -> Result<Counted> {
        #[derive(Deserialize)]
        struct Device {
            ifname: String,
            stats64: Stats,
        }
        #[derive(Deserialize)]
        struct Stats {
            tx: Left,
        }
        let output = Command::new("ip").args(["-n", &self.name, "-s", "-j", "link", "show"]).output()?;
        let devices: Vec<Device> = serde_json::from_slice(&output.stdout).context("what ip says")?;
        let links: BTreeMap<String, Left> = devices.into_iter().map(|it| (it.ifname, it.stats64.tx)).collect();
        let text = self.inside(|| std::fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default())?;
        let no_route = text.lines().find_map(|line| line.strip_prefix("Ip6OutNoRoutes"));
        let no_route = no_route.map_or(Ok(0), |count| count.trim().parse())?;
        ensure!(links.len() == LINKS.len() + 3, "links that nobody made: {links:?}");
        Ok(Counted { links, no_route })
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        for link in &self.hosts {
            let _ = ip(&["link", "del", link]);
        }
        let _ = ip(&["netns", "del", &self.name]);
    }
}

impl Counted {
    /// Packets that went neither to source, bucket nor orchestrator, over loopback too.
    pub(super) fn elsewhere(&self) -> u64 {
        let others = self.links.iter().filter(|(name, _)| !LINKS.contains(&name.as_str()));
        others.map(|(_, left)| left.packets).sum::<u64>() + self.no_route
    }

    /// What went over the three links.
    pub(super) fn links(&self) -> impl Iterator<Item = &Left> {
        LINKS.iter().filter_map(|name| self.links.get(*name))
    }

    /// Bytes that TCP carried over a link: what the kernel counted, without the headers of each packet.
    pub(super) fn payload(&self, link: &str, connections: u64) -> Result<u64> {
        let left = self.links.get(link).context("no such link")?;
        let headers = left.packets * HEADERS + connections * FIRST;
        left.bytes.checked_sub(headers).with_context(|| format!("{link}: {left:?} is less than its headers"))
    }
}

/// Takes connections on this side of the fence and carries them to a server on loopback. It counts what comes.
pub(super) struct Relay {
    pub(super) address: std::net::SocketAddr,
    counts: Arc<(AtomicU64, AtomicU64)>,
}

impl Relay {
    pub(super) async fn start(here: Ipv4Addr, server: u16) -> Result<Self> {
        let listener = TcpListener::bind((here, 0)).await?;
        let address = listener.local_addr()?;
        let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
        let counted = Arc::clone(&counts);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                counted.0.fetch_add(1, Ordering::AcqRel);
                let counted = Arc::clone(&counted);
                // Either end may leave: nothing to tell.
                tokio::spawn(async move { carry(near, server, &counted.1).await.ok() });
            }
        });
        Ok(Self { address, counts })
    }

    pub(super) fn connections(&self) -> u64 {
        self.counts.0.load(Ordering::Acquire)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.counts.1.load(Ordering::Acquire)
    }
}

async fn carry(near: TcpStream, server: u16, count: &AtomicU64) -> std::io::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", server)).await?;
    let ((mut from, mut back), (mut answers, mut to)) = (near.into_split(), far.into_split());
    let answered = tokio::spawn(async move { tokio::io::copy(&mut answers, &mut back).await });
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        count.fetch_add(read as u64, Ordering::AcqRel);
        to.write_all(&buffer[..read]).await?;
    }
    to.shutdown().await?;
    answered.await.map(drop).map_err(std::io::Error::other)
}

//! An agent in a network namespace of its own, with a way out to the orchestrator's one public port and to nothing else: it works,
//! nothing can connect in, and a cut of that way is ridden out, or ends the attempt when it lasts. `CUT=300s` makes the cut
//! that is ridden out so long. Without root it runs in a user namespace; `deploy/dev/test.sh` leaves it out by name where the kernel
//! allows none.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use waybill_model::size::parse_duration;
use waybill_tests::process::is_alive;
use waybill_tests::sandbox::Options;
use waybill_tests::services::network::{as_root, inside, ip};

use super::fixture::{Host, MANY, Office, said, until};

/// The name by which workers and agents ask for the orchestrator's one port.
const WORKERS: &str = "workers.waybill.test";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace with one link to this host. It is removed when it is dropped.
struct Namespace {
    name: String,
    link: String,
    here: String,
    /// What is known of names inside: there is no server of names.
    hosts: tempfile::NamedTempFile,
}

impl Namespace {
    fn new() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{}{number}", std::process::id());
        let (third, fourth) = (std::process::id() / 60 % 250, std::process::id() % 60 * 4 + number % 2 * 2);
        let (here, there) = (format!("10.213.{third}.{fourth}"), format!("10.213.{third}.{}", fourth + 1));
        let mut hosts = tempfile::NamedTempFile::new()?;
        writeln!(hosts, "127.0.0.1 localhost\n{here} {WORKERS}")?;
        std::fs::set_permissions(hosts.path(), std::fs::Permissions::from_mode(0o644))?;
        let this = Self { name: format!("wb{tag}"), link: format!("wbh{tag}"), here, hosts };
        let inside = format!("wbn{tag}");
        ip(&["netns", "add", &this.name])?;
        ip(&["link", "add", &this.link, "type", "veth", "peer", "name", &inside, "netns", &this.name])?;
        ip(&["addr", "add", &format!("{}/31", this.here), "dev", &this.link])?;
        ip(&["link", "set", &this.link, "up"])?;
        ip(&["-n", &this.name, "addr", "add", &format!("{there}/31"), "dev", &inside])?;
        ip(&["-n", &this.name, "link", "set", &inside, "up"])?;
        Ok(this)
    }

    /// An orchestrator with one public port on this host's end of the link: people and enrolment come by the address, workers and
    /// agents by another name of it.
    fn options(&self) -> Result<Options> {
        let here = &self.here;
        // One that was free a moment ago: nobody else listens on this end, which was made for this test.
        let port = TcpListener::bind((here.as_str(), 0))?.local_addr()?.port();
        let (address, worker) = (format!("{here}:{port}"), format!("{WORKERS}:{port}"));
        let settings = [
            ("API", &address),
            ("WORKER", &address),
            ("NAMES", &format!("{here},{WORKERS}")),
            ("PUBLIC_API", &address),
            ("PUBLIC_WORKER", &worker),
        ];
        let settings = settings.map(|(name, value)| (format!("WAYBILL__SERVER__{name}"), value.clone()));
        Ok(Options { orchestrator: settings.to_vec(), ..Options::default() })
    }

    /// What a program is run through to be inside, where it finds the names of `hosts`.
    fn through(&self) -> Vec<String> {
        let hosts = format!("mount --bind {} /etc/hosts && exec \"$@\"", self.hosts.path().display());
        let inside = ["ip", "netns", "exec", &self.name, "unshare", "--mount", "sh", "-c", &hosts, "sh"];
        inside.map(str::to_owned).to_vec()
    }

    /// From now on the namespace reaches this port of this host by TCP, and nothing else.
    fn reaches_only(&self, port: u16) -> Result<()> {
        let rule = |args: &[&str]| ip(&[&["-n", &self.name, "rule", "add"], args].concat());
        rule(&["pref", "10", "ipproto", "tcp", "dport", &port.to_string(), "lookup", "main"])?;
        rule(&["pref", "20", "unreachable"])
    }

    /// Whether a connection from the namespace to this address comes about.
    fn reaches(&self, address: SocketAddr) -> Result<bool> {
        inside(&self.name, || TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok())
    }

    fn cut(&self) -> Result<()> {
        ip(&["link", "set", &self.link, "down"])
    }

    fn mend(&self) -> Result<()> {
        ip(&["link", "set", &self.link, "up"])
    }

    /// Ports in the namespace that take connections, TCP and UDP.
    fn open_ports(&self) -> Result<String> {
        let mut open = String::new();
        for (table, state) in [("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")] {
            let args = ["netns", "exec", &self.name, "cat", &format!("/proc/net/{table}")];
            let output = Command::new("ip").args(args).output()?;
            ensure!(output.status.success(), "{}", said(&output));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let listening = text.lines().skip(1).filter(|line| line.split_whitespace().nth(3) == Some(state));
            listening.for_each(|line| open.push_str(line));
        }
        Ok(open)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = ip(&["link", "del", &self.link]);
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// An orchestrator here and an agent in the namespace.
async fn office(namespace: &Namespace, options: Options) -> Result<(Office, Host)> {
    let office = Office::start(options, MANY).await?;
    let ports = office.sandbox.ports()?;
    ensure!(ports.api == ports.worker, "it is to have one port: {} {}", ports.api, ports.worker);
    let api: SocketAddr = ports.api.parse()?;
    // Another server of this host, beside the orchestrator.
    let other = TcpListener::bind((api.ip(), 0))?;
    ensure!(namespace.reaches(other.local_addr()?)?, "the namespace has no way to this host");
    namespace.reaches_only(api.port())?;
    ensure!(namespace.reaches(api)?, "the orchestrator can't be reached");
    ensure!(!namespace.reaches(other.local_addr()?)?, "the namespace reaches another port of this host");
    let invited = office.invite("office-1", false).await?;
    let mut host = Host::new(invited.agent.id, office.sandbox.path("office-1"));
    host.through = namespace.through();
    let output = host.enrol(&invited)?.wait_with_output()?;
    ensure!(output.status.success(), "{}", said(&output));
    host.run()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    Ok((office, host))
}

#[test]
fn f18_a_short_cut_between_agent_and_orchestrator_costs_nothing_and_nothing_can_connect_in() -> Result<()> {
    let name = "agent::cut::f18_a_short_cut_between_agent_and_orchestrator_costs_nothing_and_nothing_can_connect_in";
    as_root(name, &["readers"], a_short_cut())
}

async fn a_short_cut() -> Result<()> {
    let namespace = Namespace::new()?;
    let cut = std::env::var("CUT").ok().map(|text| parse_duration(&text)).transpose()?.unwrap_or_default();
    // A cut that is ridden out is one within the grace.
    let options = namespace.options()?;
    let options = if cut.is_zero() { options } else { options.with("BOUNDS__OFFLINE_GRACE", "15m") };
    let (office, host) = office(&namespace, options).await?;
    let run = office.running().await?;
    let open = namespace.open_ports()?;
    ensure!(open.is_empty(), "agent or worker can be connected to: {open}");
    namespace.cut()?;
    // Silent for three heartbeats: the orchestrator's own view says so.
    let begun = Instant::now();
    office.until_agent(host.id, |agent| !agent.connected).await?;
    while begun.elapsed() < cut {
        ensure!(is_alive(host.workers()[0]), "the worker left after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await; // the cut lasts as long as was asked for
    }
    ensure!(is_alive(host.workers()[0]), "the worker did not go on");
    writeln!(std::io::stderr(), "cut: {:?}", begun.elapsed())?;
    namespace.mend()?;
    office.until_agent(host.id, |agent| agent.connected).await?;
    office.succeeds(run, 1).await?;
    Ok(())
}

#[test]
fn f19_a_cut_past_the_grace_ends_the_attempt_and_the_next_one_delivers() -> Result<()> {
    as_root(
        "agent::cut::f19_a_cut_past_the_grace_ends_the_attempt_and_the_next_one_delivers",
        &["readers"],
        a_long_cut(),
    )
}

async fn a_long_cut() -> Result<()> {
    let namespace = Namespace::new()?;
    let (office, host) = office(&namespace, namespace.options()?).await?;
    let run = office.running().await?;
    let workers = host.workers();
    ensure!(workers.len() == 1, "{workers:?}");
    namespace.cut()?;
    let gave_up = until("the worker gave up", || !is_alive(workers[0])).await;
    gave_up.with_context(|| format!("{}\n{}", host.worker_logs(), office.sandbox.log()))?;
    // Nobody is left who could commit.
    let delivered = office.sandbox.path("lake/items/_delta_log/00000000000000000000.json").exists();
    ensure!(!delivered, "a worker without leave committed");
    namespace.mend()?;
    let ended = office.succeeds(run, 2).await?;
    let first = &ended.attempt_list[0];
    ensure!(first.state.to_string() == "lost", "{first:?}");
    Ok(())
}

//! A network namespace of a test's own, without a way out: a bridge that containers hang on, and the address that tasks of a
//! cloud ask for their keys. Whoever enters it listens and dials there alone; links, routes and packet filter of this machine
//! stay as they are.

use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::binaries::python;

/// The bridge.
pub const BRIDGE: &str = "containers";
/// This side of the bridge, as containers see it.
pub const HERE: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 1);
/// Where tasks ask for the keys of their role, and about themselves.
pub const TASK_SERVER: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The namespace; its name goes when it is dropped, the rest with the last process in it.
pub struct Network {
    name: String,
}

impl Network {
    /// Makes one, and moves the calling thread into it: so do the threads and processes that it starts from then on.
    pub fn enter() -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let this = Self { name: format!("wbc{}-{number}", std::process::id()) };
        ip(&["netns", "add", &this.name])?;
        let inside = |args: &[&str]| ip(&[&["-n", &this.name], args].concat());
        inside(&["link", "set", "lo", "up"])?;
        inside(&["addr", "add", &format!("{TASK_SERVER}/32"), "dev", "lo"])?;
        inside(&["link", "add", BRIDGE, "type", "bridge"])?;
        inside(&["addr", "add", &format!("{HERE}/24"), "dev", BRIDGE])?;
        inside(&["link", "set", BRIDGE, "up"])?;
        let namespace = File::open(Path::new("/run/netns").join(&this.name)).context("open the namespace")?;
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .context("enter the namespace")?;
        Ok(this)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = ip(&["netns", "del", &self.name]);
    }
}

/// Does something in the namespace of this name, on a thread that is there for good.
pub fn inside<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> Result<T> {
    let namespace = File::open(Path::new("/run/netns").join(name)).context("open the namespace")?;
    let enter = move || {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).context("enter")?;
        Ok::<T, anyhow::Error>(work())
    };
    std::thread::scope(|scope| scope.spawn(enter).join()).map_err(|_| anyhow::anyhow!("the thread inside ended"))?
}

/// Runs `ip`, which must succeed.
pub fn ip(args: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(args).output().context("run ip")?;
    ensure!(output.status.success(), "ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Runs a story that makes network namespaces: as root directly, otherwise as root of a user namespace, in a child. From there
/// nothing can be fetched, so the pinned environments that it needs are made before.
pub fn as_root(name: &str, environments: &[&str], story: impl Future<Output = Result<()>>) -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return tokio::runtime::Runtime::new()?.block_on(story);
    }
    let own = "mount -t tmpfs tmpfs /run && mkdir /run/netns && ip link set lo up && ip netns add probe";
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-Urnm", "sh", "-c", script, "sh"]).arg(std::env::current_exe()?).arg(name);
        Ok::<_, anyhow::Error>(command.output()?)
    };
    let allowed = inside(own)?;
    ensure!(
        allowed.status.success(),
        "this kernel allows no network namespace without root; deploy/dev/test.sh leaves these stories out by name: {}",
        said(&allowed)
    );
    environments.iter().for_each(|environment| drop(python(environment)));
    let output = inside(&format!("{own} && exec \"$1\" --exact \"$2\" --nocapture"))?;
    let text = said(&output);
    ensure!(output.status.success() && text.contains("1 passed"), "{text}");
    Ok(())
}

/// What a program wrote.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

//! A TCP proxy that can be cut: what goes through it stops at once, and nothing new comes through until it is mended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy before one address, which may be told later than its own is known.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    target: watch::Sender<Option<SocketAddr>>,
    open: watch::Sender<bool>,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// Listens; who comes waits until it is told where this leads.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (open, is_open) = watch::channel(true);
        let (target, leads) = watch::channel(None);
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(carry(from, leads.clone(), is_open.clone(), Arc::clone(&counted)));
            }
        });
        Ok(Self { address, target, open, cuts })
    }

    /// Before this address.
    pub async fn before(target: SocketAddr) -> std::io::Result<Self> {
        let proxy = Self::start().await?;
        proxy.leads_to(target);
        Ok(proxy)
    }

    /// Leads to this address from now on.
    pub fn leads_to(&self, target: SocketAddr) {
        self.target.send_replace(Some(target));
    }

    /// Cuts every connection and lets none through.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }

    /// Connections that were cut or turned away so far: shows that the fault fired.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut from: TcpStream,
    mut leads: watch::Receiver<Option<SocketAddr>>,
    mut is_open: watch::Receiver<bool>,
    cuts: Arc<AtomicUsize>,
) {
    if !*is_open.borrow() {
        cuts.fetch_add(1, Ordering::SeqCst);
        return;
    }
    let Some(target) = leads.wait_for(Option::is_some).await.ok().and_then(|target| *target) else { return };
    let Ok(mut to) = TcpStream::connect(target).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut from, &mut to) => {}
        _ = is_open.wait_for(|open| !open) => { cuts.fetch_add(1, Ordering::SeqCst); }
    }
}

//! A TCP proxy that can be cut: what goes through it stops at once, and nothing new comes through until it is mended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A proxy before one address.
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    open: watch::Sender<bool>,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    pub(super) async fn before(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (open, is_open) = watch::channel(true);
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let (mut is_open, counted) = (is_open.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    if !*is_open.borrow() {
                        counted.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    let Ok(mut to) = TcpStream::connect(target).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut from, &mut to) => {}
                        _ = is_open.wait_for(|open| !open) => { counted.fetch_add(1, Ordering::SeqCst); }
                    }
                });
            }
        });
        Self { address, open, cuts }
    }

    /// Cuts every connection and lets none through.
    pub(super) fn cut(&self) {
        self.open.send_replace(false);
    }

    pub(super) fn mend(&self) {
        self.open.send_replace(true);
    }

    /// Connections that were cut or turned away so far: shows that the fault fired.
    pub(super) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

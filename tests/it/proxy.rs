//! A worker or an agent whose only way to the orchestrator is a proxy: names that nothing resolves but a small CONNECT proxy, which
//! counts what passes; and before the API, a gateway that ends TLS with a certificate of a private CA.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, rustls};
use waybill_identity::Pin;
use waybill_tests::sandbox::{Options, Ports, Sandbox};

use super::agent::fixture::{Host, Office};

const API: &str = "orchestrator.invalid:443";
const WORKERS: &str = "workers.invalid:444";

/// What passed through the proxy.
#[derive(Default)]
struct Passed {
    hosts: Mutex<Vec<String>>,
    bytes: AtomicU64,
}

/// A CONNECT proxy that knows two names; the first one leads through a gateway of a private CA.
struct Proxy {
    address: SocketAddr,
    passed: Arc<Passed>,
}

impl Proxy {
    async fn start(ports: PathBuf, gateway: TlsAcceptor, ca: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let passed = Arc::new(Passed::default());
        let counted = Arc::clone(&passed);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ports, gateway, ca, counted) = (ports.clone(), gateway.clone(), ca.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    // A worker that leaves breaks its tunnel: nothing to tell.
                    let _ = carry(stream, (&ports, &ca), gateway, &counted).await;
                });
            }
        });
        Self { address, passed }
    }

    fn hosts(&self) -> Vec<String> {
        self.passed.hosts.lock().expect("hosts").clone()
    }
}

async fn carry(
    stream: TcpStream,
    (ports, ca): (&Path, &Path),
    gateway: TlsAcceptor,
    passed: &Passed,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_until(b'\n', &mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    passed.hosts.lock().expect("hosts").push(target.clone());
    let ports: Ports = serde_json::from_slice(&std::fs::read(ports)?)?;
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    match target.as_str() {
        API => {
            let inside = gateway.accept(stream).await?;
            copy(inside, to_api(&ports, ca).await?, passed).await
        }
        WORKERS => copy(stream, TcpStream::connect(&ports.worker).await?, passed).await,
        _ => Ok(()),
    }
}

/// To the API itself, whose own CA the gateway knows.
async fn to_api(ports: &Ports, ca: &Path) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    for root in rustls_pem(&std::fs::read(ca)?) {
        roots.add(root).map_err(std::io::Error::other)?;
    }
    let mut tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let name = rustls::pki_types::ServerName::try_from("localhost").map_err(std::io::Error::other)?;
    let outside = TcpStream::connect(&ports.api).await?;
    TlsConnector::from(Arc::new(tls)).connect(name, outside).await
}

/// A gateway before the API, with a certificate of a private CA that the product is told to have its callers expect.
pub(crate) struct Gateway {
    port: u16,
    pin: Pin,
    passed: Arc<Passed>,
    known: tempfile::TempDir,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (gateway, pin) = private_ca("localhost");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (passed, known) = (Arc::new(Passed::default()), tempfile::tempdir().expect("a directory"));
        let (counted, place) = (Arc::clone(&passed), known.path().to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (gateway, counted, place) = (gateway.clone(), Arc::clone(&counted), place.clone());
                tokio::spawn(async move {
                    let inside = gateway.accept(stream).await?;
                    counted.hosts.lock().expect("hosts").push("localhost".into());
                    let ports: Ports = serde_json::from_slice(&std::fs::read(place.join("ports.json"))?)?;
                    copy(inside, to_api(&ports, &place.join("ca.pem")).await?, &counted).await
                });
            }
        });
        Self { port, pin, passed, known }
    }

    /// What an orchestrator behind it is told.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let set = |name: &str, value: String| (format!("WAYBILL__{name}"), value);
        vec![set("SERVER__PUBLIC_API", format!("localhost:{}", self.port)), set("WORKER__CA_PIN", self.pin.to_string())]
    }

    /// Leads to this product from now on.
    pub(crate) fn leads_to(&self, sandbox: &Sandbox) {
        for name in ["ports.json", "ca.pem"] {
            std::fs::copy(sandbox.path("state").join(name), self.known.path().join(name)).expect("a copy");
        }
    }

    /// Handshakes under the private CA.
    pub(crate) fn passed(&self) -> usize {
        self.passed.hosts.lock().expect("hosts").len()
    }
}

async fn copy(
    mut from: impl AsyncRead + AsyncWrite + Unpin,
    mut to: impl AsyncRead + AsyncWrite + Unpin,
    passed: &Passed,
) -> std::io::Result<()> {
    let (up, down) = copy_bidirectional(&mut from, &mut to).await?;
    passed.bytes.fetch_add(up + down, Ordering::SeqCst);
    Ok(())
}

fn rustls_pem(pem: &[u8]) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::pem_slice_iter(pem).map(|der| der.expect("PEM")).collect()
}

/// A gateway's TLS with a certificate of a private CA, and that CA's pin.
fn private_ca(name: &str) -> (TlsAcceptor, Pin) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a CA").der().clone();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("signed").der().clone();
    let pin = Pin::of(&ca);
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let mut tls = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf, ca], key);
    let tls = tls.as_mut().map(|tls| {
        tls.alpn_protocols = vec![b"h2".to_vec()];
        tls.clone()
    });
    (TlsAcceptor::from(Arc::new(tls.expect("a certificate"))), pin)
}

/// A proxy, and the settings of a product whose callers are told names that only the proxy knows.
struct Outside {
    proxy: Proxy,
    options: Options,
    /// Where the product's ports and CA are written once it runs: the proxy looks them up there.
    known: PathBuf,
}

impl Outside {
    async fn new() -> Self {
        // Whoever set one before set the same.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (gateway, pin) = private_ca("orchestrator.invalid");
        let known = tempfile::tempdir().expect("a directory").keep();
        let proxy = Proxy::start(known.join("ports.json"), gateway, known.join("ca.pem")).await;
        let options = Options::default()
            .with("SERVER__NAMES", "localhost,127.0.0.1,orchestrator.invalid,workers.invalid")
            .with("SERVER__PUBLIC_API", API)
            .with("SERVER__PUBLIC_WORKER", WORKERS)
            .with("WORKER__CA_PIN", &pin.to_string())
            .with("BOUNDS__ATTEMPTS", "1");
        Self { proxy, options, known }
    }

    fn variable(&self) -> String {
        format!("http://{}", self.proxy.address)
    }

    /// Leads to this product from now on.
    fn leads_to(&self, sandbox: &Sandbox) {
        for name in ["ports.json", "ca.pem"] {
            std::fs::copy(sandbox.path("state").join(name), self.known.join(name)).expect("a copy");
        }
    }

    /// Asserts that both names were asked for, and nothing else was; waits until a tunnel has ended, which counts its bytes.
    async fn was_the_only_way(&self) {
        let hosts = self.proxy.hosts();
        assert!(hosts.iter().any(|host| host == API) && hosts.iter().any(|host| host == WORKERS), "{hosts:?}");
        let orchestrator_names = hosts.iter().all(|host| host == API || host == WORKERS);
        assert!(orchestrator_names, "only the orchestrator is reached this way: {hosts:?}");
        while self.proxy.passed.bytes.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await; // bounded by the test runner
        }
    }
}

/// A product whose local workers are told such names.
async fn behind(proxied: bool) -> (Sandbox, Outside) {
    let mut outside = Outside::new().await;
    let mut options = std::mem::take(&mut outside.options);
    options.orchestrator.push(("HTTPS_PROXY".into(), outside.variable()));
    if !proxied {
        options = options.with("BOUNDS__START_TIMEOUT", "4s");
    }
    // Only what is listed passes to workers.
    options.passed = vec![if proxied { "HTTPS_PROXY" } else { "LANG" }.to_owned()];
    let sandbox = Sandbox::start(options).await.expect("a product");
    outside.leads_to(&sandbox);
    let source = rusqlite::Connection::open(sandbox.path("shop.db")).expect("a source");
    source.execute_batch("create table t (id integer primary key); insert into t values (1), (2), (3)").expect("rows");
    let document = "waybill: 1\nconnections:\n  shop: { type: sqlite, path: DIR/shop.db }\n  \
                    lake: { type: local, path: DIR/lake }\n\
                    pipelines:\n  shop: { from: shop, to: lake, streams: { t: {} } }\n";
    sandbox.apply(&document.replace("DIR", &sandbox.dir.path().display().to_string())).await.expect("applied");
    (sandbox, outside)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_reaches_the_orchestrator_through_a_proxy_and_a_private_ca() {
    let (sandbox, outside) = behind(true).await;
    let run = sandbox.trigger("shop").await.expect("a run");
    let ended = sandbox.ended(run).await.expect("its end");
    assert_eq!(ended.run.state.to_string(), "succeeded", "{:?}\n{}", ended.run.failure, sandbox.log());
    assert_eq!(ended.streams[0].rows, Some(3));
    outside.was_the_only_way().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_and_its_workers_reach_the_orchestrator_through_a_proxy_and_a_private_ca() {
    let mut outside = Outside::new().await;
    let office = Office::start(std::mem::take(&mut outside.options), 3).await.expect("a product");
    outside.leads_to(&office.sandbox);
    let invited = office.invite("front", false).await.expect("an invitation");
    let mut host = Host::new(invited.agent.id, office.sandbox.path("front"));
    host.through = vec!["env".into(), format!("HTTPS_PROXY={}", outside.variable())];
    host.options = ["--pass-env", "HTTPS_PROXY"].map(str::to_owned).to_vec();
    let enrolled = host.enrol(&invited).expect("it starts").wait_with_output().expect("its end");
    assert!(enrolled.status.success(), "{enrolled:?}");
    host.run().expect("it starts");
    let run = office.sandbox.trigger("items").await.expect("a run");
    office.succeeds(run, 1).await.expect("delivered");
    outside.was_the_only_way().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_proxy_the_worker_has_no_other_way() {
    let (sandbox, outside) = behind(false).await;
    let run = sandbox.trigger("shop").await.expect("a run");
    let ended = sandbox.ended(run).await.expect("its end");
    assert_eq!(ended.run.state.to_string(), "failed", "{:?}", ended.run);
    assert_eq!((ended.attempt_list[0].enrolled_at.is_some(), outside.proxy.hosts()), (false, Vec::new()));
}

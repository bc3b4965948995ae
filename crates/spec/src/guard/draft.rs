//! A first guard: one that allows exactly the plans at hand, or an empty one that allows nothing. A person narrows it.

use std::collections::BTreeSet;

use super::tables::written;
use waybill_model::net::{Host, endpoint_of};
use waybill_model::plan::{Azure, Ca, Gcs, MySql, Plan, Postgres, Ssh, System, TlsMode};

/// Everything that plans need, in the guard's own words.
#[derive(Default)]
struct Needs {
    read_connectors: BTreeSet<String>,
    hosts: BTreeSet<String>,
    write_hosts: BTreeSet<String>,
    write_tables: BTreeSet<String>,
    tables: BTreeSet<String>,
    read_buckets: BTreeSet<String>,
    read_paths: BTreeSet<String>,
    write_connectors: BTreeSet<String>,
    write_buckets: BTreeSet<String>,
    write_paths: BTreeSet<String>,
    endpoints: BTreeSet<String>,
    special: BTreeSet<String>,
    secrets: BTreeSet<String>,
    plain: bool,
}

/// The text of a guard that allows these plans and nothing else.
#[must_use]
pub fn draft(plans: &[Plan]) -> String {
    let mut needs = Needs::default();
    for plan in plans {
        needs.of(plan);
    }
    needs.text()
}

impl Needs {
    fn of(&mut self, plan: &Plan) {
        self.read_connectors.insert(plan.from.system.kind().to_owned());
        self.write_connectors.insert(plan.to.system.kind().to_owned());
        self.secrets.extend(plan.secrets().iter().map(|secret| secret.reference.to_string()));
        self.tables.extend(plan.streams.iter().map(|stream| stream.name.clone()));
        self.write_tables.extend(written(plan).into_iter().filter_map(|(_, table)| Some(pattern(&table.ok()?))));
        match &plan.from.system {
            System::Postgres(Postgres { host, port, tls, ca, ssh, .. })
            | System::MySql(MySql { host, port, tls, ca, ssh, .. }) => {
                let hosts = self.server((host, *port), ssh.as_ref(), *tls, ca.as_ref());
                self.hosts.extend(hosts);
            }
            System::Sqlite { path } => self.read_paths.extend(plain(path)),
            System::Files(files) => match files.url.strip_prefix("file://") {
                Some(path) => self.read_paths.extend(plain(path)),
                None => {
                    self.read_buckets.insert(files.url.trim_end_matches('/').to_owned());
                    let azure = files.azure.as_ref().and_then(|access| access.endpoint.as_deref());
                    let gcs = files.gcs.as_ref().and_then(|access| access.endpoint.as_deref());
                    self.endpoint(files.s3.as_ref().and_then(|access| access.endpoint.as_deref()).or(azure).or(gcs));
                }
            },
            System::Local { .. } | System::S3(_) | System::Azure(_) | System::Gcs(_) => {}
        }
        match &plan.to.system {
            System::Local { path } => self.write_paths.extend(plain(path)),
            System::S3(s3) => {
                let place = format!("s3://{}/{}", s3.bucket, s3.prefix);
                self.write_buckets.insert(place.trim_end_matches('/').to_owned());
                self.endpoint(s3.access.endpoint.as_deref());
            }
            System::Azure(Azure { account, container, prefix, access }) => {
                let place = format!("azure://{account}/{container}/{prefix}");
                self.write_buckets.insert(place.trim_end_matches('/').to_owned());
                self.endpoint(access.endpoint.as_deref());
            }
            System::Gcs(Gcs { bucket, prefix, access }) => {
                let place = format!("gs://{bucket}/{prefix}");
                self.write_buckets.insert(place.trim_end_matches('/').to_owned());
                self.endpoint(access.endpoint.as_deref());
            }
            System::Postgres(Postgres { host, port, tls, ca, ssh, .. }) => {
                let hosts = self.server((host, *port), ssh.as_ref(), *tls, ca.as_ref());
                self.write_hosts.extend(hosts);
            }
            System::MySql(_) | System::Sqlite { .. } | System::Files(_) => {}
        }
    }

    /// What a server needs besides; returns its host and that of the server between.
    fn server(&mut self, (host, port): (&str, u16), ssh: Option<&Ssh>, tls: TlsMode, ca: Option<&Ca>) -> Vec<String> {
        self.plain |= tls == TlsMode::Disable;
        if let Some(Ca::Path(path)) = ca {
            self.read_paths.extend(plain(path));
        }
        let between = ssh.and_then(|ssh| self.host(&ssh.host, ssh.port));
        self.host(host, port).into_iter().chain(between).collect()
    }

    fn endpoint(&mut self, endpoint: Option<&str>) {
        if let Some((host, port)) = endpoint.and_then(endpoint_of) {
            let shown = self.host(host, port);
            self.endpoints.extend(shown);
            self.plain |= endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        }
    }

    /// A host as a guard names it.
    fn host(&mut self, text: &str, port: u16) -> Option<String> {
        let host = Host::read(text).ok()?;
        if let Host::Address(address) = &host
            && waybill_model::net::class_of(*address) != waybill_model::net::AddressClass::Ordinary
        {
            self.special.insert(address.to_string());
        }
        Some(match &host {
            Host::Address(address) if address.is_ipv6() => format!("[{address}]:{port}"),
            _ => format!("{host}:{port}"),
        })
    }

    fn text(&self) -> String {
        let mut text = String::from(HEAD);
        text += &format!("secrets = {}\n\n[read]\nconnectors = {}\n", list(&self.secrets), list(&self.read_connectors));
        text += &format!("hosts = {}\ntables = {}\n", list(&self.hosts), list(&self.tables));
        text += &format!("buckets = {}\npaths = {}\n\n", list(&self.read_buckets), list(&self.read_paths));
        text += &format!("[write]\nconnectors = {}\n", list(&self.write_connectors));
        if !self.write_hosts.is_empty() {
            text += &format!("hosts = {}\ntables = {}\n", list(&self.write_hosts), list(&self.write_tables));
        }
        text += &format!("buckets = {}\npaths = {}\n\n", list(&self.write_buckets), list(&self.write_paths));
        text += &format!("[network]\nendpoints = {}\nspecial = {}\n", list(&self.endpoints), list(&self.special));
        text += &format!("require_tls = {}\n", !self.plain);
        text + TAIL
    }
}

/// A name as a pattern: what has a star in it is covered by its beginning.
fn pattern(name: &str) -> String {
    name.split_once('*').map_or_else(|| name.to_owned(), |(start, _)| format!("{start}*"))
}

/// A path that a guard can name: absolute and plain.
fn plain(path: &str) -> Option<String> {
    let path = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path);
    (path.starts_with('/') && super::pattern::is_plain(path)).then(|| path.to_owned())
}

/// A list of strings in TOML; one item per line where there are several.
fn list(items: &BTreeSet<String>) -> String {
    let quoted = items.iter().map(|item| toml::Value::from(item.as_str()).to_string()).collect::<Vec<_>>();
    match quoted.as_slice() {
        [] => "[]".to_owned(),
        [only] => format!("[{only}]"),
        many => format!("[\n    {},\n]", many.join(",\n    ")),
    }
}

const HEAD: &str = "\
# What workers may do here, whatever the orchestrator asks for. What a list does not name is refused.
# Check it with `waybill guard lint`, and a pipeline file against it with `waybill guard test`.
guard = 1

# The kill switch: true refuses everything, within seconds, also in runs that are under way.
stop = false

# From then on everything is refused, so that nobody forgets to look at this file again.
# expires = 2027-06-30

# Whether names of tables and columns may leave when a source is listed: none or discovery.
names = \"none\"

# Digests of the worker images that may run; any where the list is absent.
# images = [\"sha256:…\"]

# Only plans that one of the signers below signed with `waybill sign`.
require_signed_specs = false

# Whether streams may be reloaded: read whole, in place of what their tables have. Where absent only if no signature is asked for.
# reload = false

# Whether runs may forget a stream's cursor or read a range of it once more. Where absent only if no signature is asked for.
# backfill = false

# References to secrets that may be resolved; a `*` may stand at the end.
";

const TAIL: &str = "
# Addresses that names may resolve to; any ordinary one where the list is absent.
# egress = [\"10.0.0.0/8\"]

[limits]
# bytes_per_run = \"200GiB\"
# rows_per_run = 1_000_000_000
# rows_per_second = 100_000
# time_per_run = \"6h\"
# parallel = 4

# [signers.release]
# key = \"ed25519:…\"
# expires = 2027-06-30
";

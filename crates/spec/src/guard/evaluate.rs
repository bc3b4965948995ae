//! Holds a plan against a guard. Pure: it resolves nothing and opens nothing, so that the same answer comes in the
//! worker before its first socket and on an officer's desk.
//!
//! The plan may be hostile: it did not come through a pipeline file. What no such file could hold is refused too.

use waybill_model::Micros;
use waybill_model::net::{AddressClass, Host, class_of, endpoint_of};
use waybill_model::plan::{
    Azure, AzureAccess, Ca, Endpoint, FileSource, Gcs, GcsAccess, MySql, Plan, Postgres, S3Access, Side, Ssh, System,
    TlsMode, azure_place, gcs_place,
};
use waybill_model::secret::SecretRef;

use super::pattern::{PathPattern, TextPattern, is_plain};
use super::tables::written;
use super::{Guard, Reason, Refusal};
use crate::diagnostic::show;
use crate::keys::{
    ACCOUNT, AWS_KEY, BUCKET, CLIENT, CONTAINER, FOREIGN, GCS_BUCKET, KMS_KEY, PROJECT, REGION, SCOPE, TENANT,
};

/// What follows an open pattern of a table holds none of these: they would begin another name.
const BEHIND_TABLE: &[char] = &['"'];

/// Everything that the guard refuses of a plan at this time; nothing where the plan is allowed.
#[must_use]
pub fn evaluate(guard: &Guard, plan: &Plan, now: Micros) -> Vec<Refusal> {
    let mut held = Held { guard, of: String::new(), found: Vec::new() };
    held.found.extend(guard.refuses_all(now));
    let Plan { from, to, .. } = plan;
    // Where one connection is looked at alone, the worker opens that side of it and no other.
    let lone = plan.lone();
    if lone != Some(Side::Destination) {
        held.of = format!("source {}", show(&from.connection));
        held.source(&from.system);
        held.secrets(from);
    }
    if lone != Some(Side::Source) {
        held.of = format!("destination {}", show(&to.connection));
        held.destination(&to.system);
        held.tables(plan);
        held.secrets(to);
    }
    held.of = String::new();
    held.streams(plan);
    held.limits(plan);
    held.found
}

struct Held<'g> {
    guard: &'g Guard,
    /// What is looked at, for messages.
    of: String,
    found: Vec<Refusal>,
}

impl Held<'_> {
    fn refuse(&mut self, reason: Reason, key: &'static str, message: String, fix: Option<String>) {
        self.found.push(self.guard.refusal(reason, key, message, fix));
    }

    /// A thing with what it belongs to.
    fn named(&self, what: &str) -> String {
        if self.of.is_empty() { what.to_owned() } else { format!("{what} of {}", self.of) }
    }

    /// Refuses a value that a list does not name.
    fn unlisted(&mut self, reason: Reason, key: &'static str, value: &str) {
        let (what, list) = (show(value), key.rsplit('.').next().unwrap_or(key));
        let fix = format!("if it is meant, add \"{}\" to `{list}`", what.trim_matches('`'));
        self.refuse(reason, key, format!("{} is not in `{key}`", self.named(&what)), Some(fix));
    }

    fn malformed(&mut self, what: &str) {
        self.refuse(
            Reason::PlanMalformed,
            "guard",
            format!("{}: no pipeline file could say so", self.named(what)),
            None,
        );
    }

    fn source(&mut self, system: &System) {
        let kind = system.kind();
        if !self.guard.read.connectors.iter().any(|known| known == kind) {
            self.unlisted(Reason::Connector, "read.connectors", kind);
        }
        match system {
            // References are looked at together, below `secrets`.
            System::Postgres(Postgres {
                host,
                port,
                tls,
                ca,
                ssh,
                password: _,
                database: _,
                user: _,
                client_cert: _,
                client_key: _,
            })
            | System::MySql(MySql {
                host,
                port,
                tls,
                ca,
                ssh,
                password: _,
                database: _,
                user: _,
                client_cert: _,
                client_key: _,
            }) => {
                self.server((host, *port), *tls, ca.as_ref(), "read.hosts");
                self.between(ssh.as_ref(), "read.hosts");
            }
            System::Sqlite { path } => self.path(path, "read.paths"),
            System::Files(files) => self.files(files),
            System::Local { .. } | System::S3(_) | System::Azure(_) | System::Gcs(_) => {
                self.malformed("a destination stands as the source");
            }
        }
    }

    fn destination(&mut self, system: &System) {
        let kind = system.kind();
        if !self.guard.write.connectors.iter().any(|known| known == kind) {
            self.unlisted(Reason::Connector, "write.connectors", kind);
        }
        match system {
            System::Local { path } => self.path(path, "write.paths"),
            System::S3(s3) => {
                let slash = if s3.prefix.is_empty() { "" } else { "/" };
                let is_name = (BUCKET.check)(&s3.bucket).is_ok();
                self.bucket(is_name, &format!("s3://{}{slash}{}", s3.bucket, s3.prefix), "write.buckets");
                self.access(&s3.access);
            }
            System::Azure(Azure { account, container, prefix, access }) => {
                let slash = if prefix.is_empty() { "" } else { "/" };
                let place = format!("azure://{account}/{container}{slash}{prefix}");
                self.bucket(is_container(account, container), &place, "write.buckets");
                self.azure(access);
            }
            System::Gcs(Gcs { bucket, prefix, access }) => {
                let slash = if prefix.is_empty() { "" } else { "/" };
                let is_name = (GCS_BUCKET.check)(bucket).is_ok();
                self.bucket(is_name, &format!("gs://{bucket}{slash}{prefix}"), "write.buckets");
                self.gcs(access);
            }
            System::Postgres(Postgres {
                host,
                port,
                tls,
                ca,
                ssh,
                password: _,
                database: _,
                user: _,
                client_cert: _,
                client_key: _,
            }) => {
                self.server((host, *port), *tls, ca.as_ref(), "write.hosts");
                self.between(ssh.as_ref(), "write.hosts");
            }
            System::MySql(_) | System::Sqlite { .. } | System::Files(_) => {
                self.malformed("a source stands as the destination");
            }
        }
    }

    fn server(&mut self, (host, port): (&str, u16), tls: TlsMode, ca: Option<&Ca>, key: &'static str) {
        self.host(host, port, key);
        if tls == TlsMode::Disable {
            self.no_tls("a connection without TLS");
        }
        // One that a reference leads to is among the secrets.
        if let Some(Ca::Path(path)) = ca {
            self.path(path, "read.paths");
        }
    }

    /// An SSH server that is gone through is dialed as a source is; the database behind it is looked at all the same.
    fn between(&mut self, ssh: Option<&Ssh>, key: &'static str) {
        let Some(Ssh { host, port, user, key: _, host_key: _ }) = ssh else { return };
        if (FOREIGN.check)(user).is_err() {
            self.malformed("a user of an SSH server that can't be one");
        }
        self.host(host, *port, key);
    }

    fn files(&mut self, files: &FileSource) {
        if let Some(path) = files.url.strip_prefix("file://") {
            self.path(path, "read.paths");
        } else if let Some(place) = files.url.strip_prefix("s3://") {
            let place = place.trim_end_matches('/');
            let is_name = (BUCKET.check)(place.split('/').next().unwrap_or(place)).is_ok();
            self.bucket(is_name, &format!("s3://{place}"), "read.buckets");
            self.access(&files.s3.clone().unwrap_or_default());
        } else if let Some((account, container, _)) = azure_place(&files.url) {
            self.bucket(is_container(account, container), files.url.trim_end_matches('/'), "read.buckets");
            self.azure(&files.azure.clone().unwrap_or_default());
        } else if let Some((bucket, _)) = gcs_place(&files.url) {
            let is_name = (GCS_BUCKET.check)(bucket).is_ok();
            self.bucket(is_name, files.url.trim_end_matches('/'), "read.buckets");
            self.gcs(&files.gcs.clone().unwrap_or_default());
        } else {
            self.malformed("a URL that is neither file:// nor s3:// nor azure:// nor gs://");
        }
    }

    fn access(&mut self, access: &S3Access) {
        if access.kms_key.as_deref().is_some_and(|key| (AWS_KEY.check)(key).is_err()) {
            self.malformed("a key of AWS KMS that can't be one");
        }
        if access.region.as_deref().is_some_and(|region| (REGION.check)(region).is_err()) {
            self.malformed("a region that can't be one");
        }
        self.endpoint(access.endpoint.as_deref());
    }

    fn azure(&mut self, access: &AzureAccess) {
        let AzureAccess { endpoint, tenant, client, encryption_scope, account_key: _, sas: _, client_secret: _ } =
            access;
        for (text, rule) in [(tenant, TENANT), (client, CLIENT), (encryption_scope, SCOPE)] {
            if text.as_deref().is_some_and(|text| (rule.check)(text).is_err()) {
                self.malformed("a directory, client or encryption scope that can't be one");
            }
        }
        self.endpoint(endpoint.as_deref());
    }

    fn gcs(&mut self, access: &GcsAccess) {
        let GcsAccess { endpoint, kms_key, billing_project, service_account: _, anonymous: _ } = access;
        for (text, rule) in [(kms_key, KMS_KEY), (billing_project, PROJECT)] {
            if text.as_deref().is_some_and(|text| (rule.check)(text).is_err()) {
                self.malformed("a key of Cloud KMS or a project that can't be one");
            }
        }
        self.endpoint(endpoint.as_deref());
    }

    fn endpoint(&mut self, endpoint: Option<&str>) {
        let Some(endpoint) = endpoint else { return };
        let Some((host, port)) = endpoint_of(endpoint) else {
            self.malformed("an endpoint that can't be one");
            return;
        };
        if endpoint.starts_with("http://") {
            self.no_tls("an endpoint without TLS");
        }
        self.host(host, port, "network.endpoints");
    }

    fn no_tls(&mut self, what: &str) {
        if self.guard.network.require_tls {
            let fix = "write `require_tls = false` below [network] if it is meant".to_owned();
            self.refuse(Reason::Tls, "network.require_tls", self.named(what), Some(fix));
        }
    }

    fn host(&mut self, text: &str, port: u16, key: &'static str) {
        let host = match Host::read(text) {
            Ok(host) => host,
            Err(error) => {
                let message = format!("{} can't be dialed: {error}", self.named(&show(text)));
                self.refuse(Reason::Address, key, message, None);
                return;
            }
        };
        let (list, reason) = match key {
            "network.endpoints" => (&self.guard.network.endpoints, Reason::Endpoint),
            "write.hosts" => (&self.guard.write.hosts, Reason::Host),
            _ => (&self.guard.read.hosts, Reason::Host),
        };
        if !list.iter().any(|pattern| pattern.covers(&host, port)) {
            let shown = if text.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
            self.unlisted(reason, key, &shown);
        }
        let Host::Address(address) = host else { return };
        let (class, network) = (class_of(address), &self.guard.network);
        if class != AddressClass::Ordinary && !network.special.iter().any(|range| range.contains(address)) {
            let fix = format!("if it is meant, add \"{address}\" to `special`");
            let what = self.named(&address.to_string());
            let message = format!("{what} is a {class} address, which `network.special` does not name");
            self.refuse(Reason::Address, "network.special", message, Some(fix));
        } else if network.egress.as_ref().is_some_and(|egress| !egress.iter().any(|range| range.contains(address))) {
            self.unlisted(Reason::Address, "network.egress", &address.to_string());
        }
    }

    fn bucket(&mut self, is_name: bool, place: &str, key: &'static str) {
        let list = if key == "read.buckets" { &self.guard.read.buckets } else { &self.guard.write.buckets };
        let covered = covers(list, place);
        if !is_name || !is_plain(place) {
            self.malformed("a bucket or prefix that can't be one");
        } else if !covered {
            self.unlisted(Reason::Bucket, key, place);
        }
    }

    fn path(&mut self, path: &str, key: &'static str) {
        let list = if key == "read.paths" { &self.guard.read.paths } else { &self.guard.write.paths };
        let path = path.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(path);
        let covered = covers(list, path);
        if !path.starts_with('/') || !is_plain(path) {
            let message = format!("{} is not an absolute path without `.` and `..`", self.named(&show(path)));
            self.refuse(Reason::Path, key, message, None);
        } else if !covered {
            self.unlisted(Reason::Path, key, path);
        }
    }

    /// Every reference of one end, whatever field it stands in.
    fn secrets(&mut self, end: &Endpoint) {
        for (_, secret) in end.system.secrets() {
            self.secret(secret);
        }
    }

    fn secret(&mut self, secret: &SecretRef) {
        let reference = secret.to_string();
        let listed = self.guard.secrets.iter().any(|pattern| pattern.covers(&reference, &[]));
        if !is_plain(&reference) {
            self.malformed("a reference to a secret with a detour in its path");
        } else if !listed {
            self.unlisted(Reason::Secret, "secrets", &reference);
        }
    }

    /// Which tables of a database are written, whatever the plan calls them.
    fn tables(&mut self, plan: &Plan) {
        for (stream, table) in written(plan) {
            match table {
                Ok(table) if self.guard.write.tables.iter().any(|pattern| pattern.covers(&table, &[])) => {}
                Ok(table) => self.unlisted(Reason::Table, "write.tables", &table),
                Err(why) => {
                    let message = format!("{} has no table there: {why}", self.named(&show(&stream.name)));
                    self.refuse(Reason::Table, "write.tables", message, None);
                }
            }
        }
    }

    fn streams(&mut self, plan: &Plan) {
        let Some(tables) = &self.guard.read.tables else { return };
        let covered = |name: &str| tables.iter().any(|pattern: &TextPattern| pattern.covers(name, BEHIND_TABLE));
        let outside: Vec<&str> =
            plan.streams.iter().map(|stream| stream.name.as_str()).filter(|name| !covered(name)).collect();
        for name in outside {
            self.unlisted(Reason::Table, "read.tables", name);
        }
    }

    fn limits(&mut self, plan: &Plan) {
        let limits = &self.guard.limits;
        let mut found = Vec::new();
        if let Some(most) = limits.time_ms.filter(|most| plan.limits.time_ms > *most) {
            found.push(("limits.time_per_run", format!("`limits.time` of the plan is above {}", amount_ms(most))));
        }
        if let Some(most) = limits.parallel.filter(|most| plan.limits.parallel > *most) {
            found.push(("limits.parallel", format!("`limits.parallel` of the plan is above {most}")));
        }
        for (key, what) in found {
            self.refuse(Reason::Limit, key, what, Some("lower it in the plan, or raise the ceiling".to_owned()));
        }
    }
}

fn is_container(account: &str, container: &str) -> bool {
    (ACCOUNT.check)(account).is_ok() && (CONTAINER.check)(container).is_ok()
}

fn covers(list: &[PathPattern], place: &str) -> bool {
    list.iter().any(|pattern| pattern.covers(place))
}

fn amount_ms(ms: u64) -> String {
    crate::write::amount(ms, "ms")
}

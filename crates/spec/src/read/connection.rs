//! Connections: from their keys to the systems of the model.

use waybill_model::plan::{
    Azure, AzureAccess, FileSource, Gcs, GcsAccess, MySql, Postgres, S3, S3Access, Ssh, System, TlsMode,
};

use super::Settings;
use crate::diagnostic::{Code, Findings, show};
use crate::tree::{Node, Span};

/// A system, or none where its mapping is too broken to make one.
pub(crate) fn read_system(name: &str, node: &Node, at: Span, found: &mut Findings) -> Option<System> {
    let keys = Settings::of(node);
    match keys.text("type")? {
        "postgres" => postgres(name, keys, found).map(System::Postgres),
        "mysql" => mysql(name, keys, found).map(System::MySql),
        "sqlite" => Some(System::Sqlite { path: keys.owned("path")? }),
        "local" => Some(System::Local { path: keys.owned("path")? }),
        "files" => {
            let url = keys.owned("url")?;
            refuse_others_keys(name, keys, &url, found);
            let s3 = url.starts_with("s3://").then(|| s3_access(name, keys, found));
            let azure = url.starts_with("azure://").then(|| azure_access(name, keys, at, found));
            let s3 = s3.filter(|access| *access != S3Access::default());
            let azure = azure.filter(|access| *access != AzureAccess::default());
            let gcs = url.starts_with("gs://").then(|| gcs_access(name, keys, found));
            let gcs = gcs.filter(|access| *access != GcsAccess::default()).map(Box::new);
            Some(System::Files(FileSource { url, s3, azure, gcs }))
        }
        "azure" => {
            let access = azure_access(name, keys, at, found);
            let prefix = keys.owned("prefix").unwrap_or_default();
            let (account, container) = (keys.owned("account")?, keys.owned("container")?);
            Some(System::Azure(Azure { account, container, prefix, access }))
        }
        "gcs" => {
            let access = gcs_access(name, keys, found);
            let prefix = keys.owned("prefix").unwrap_or_default();
            Some(System::Gcs(Gcs { bucket: keys.owned("bucket")?, prefix, access }))
        }
        "s3" => {
            let access = s3_access(name, keys, found);
            let prefix = keys.owned("prefix").unwrap_or_default();
            Some(System::S3(S3 { bucket: keys.owned("bucket")?, prefix, access }))
        }
        _ => None,
    }
}

fn postgres(name: &str, keys: Settings<'_>, found: &mut Findings) -> Option<Postgres> {
    client_certificate(name, keys, found);
    Some(Postgres {
        host: keys.owned("host")?,
        port: keys.parsed("port").unwrap_or(5432),
        database: keys.owned("database")?,
        user: keys.owned("user")?,
        password: keys.secret("password"),
        tls: keys.parsed::<TlsMode>("tls").unwrap_or_default(),
        ca: keys.parsed("ca"),
        client_cert: keys.secret("client-cert"),
        client_key: keys.secret("client-key"),
        ssh: keys.node("ssh").map(Settings::of).and_then(ssh),
    })
}

fn mysql(name: &str, keys: Settings<'_>, found: &mut Findings) -> Option<MySql> {
    client_certificate(name, keys, found);
    Some(MySql {
        host: keys.owned("host")?,
        port: keys.parsed("port").unwrap_or(3306),
        database: keys.owned("database")?,
        user: keys.owned("user")?,
        password: keys.secret("password"),
        tls: keys.parsed::<TlsMode>("tls").unwrap_or_default(),
        ca: keys.parsed("ca"),
        client_cert: keys.secret("client-cert"),
        client_key: keys.secret("client-key"),
        ssh: keys.node("ssh").map(Settings::of).and_then(ssh),
    })
}

fn ssh(keys: Settings<'_>) -> Option<Ssh> {
    Some(Ssh {
        host: keys.owned("host")?,
        port: keys.parsed("port").unwrap_or(22),
        user: keys.owned("user")?,
        key: keys.secret("key")?,
        host_key: keys.parsed("host-key")?,
    })
}

/// Certificate and key go together, and only TLS shows them.
fn client_certificate(name: &str, keys: Settings<'_>, found: &mut Findings) {
    go_together(name, keys, ["client-cert", "client-key"], found);
    if keys.parsed::<TlsMode>("tls") != Some(TlsMode::Disable) {
        return;
    }
    for (key, at) in ["client-cert", "client-key"].iter().filter_map(|key| Some((key, keys.own_place(key)?))) {
        let message = format!("`{key}` in connection {} has no meaning with `tls: disable`", show(name));
        found.suggest(Code::BadValue, at, message, "remove it, or leave `tls` at verify-full");
    }
}

fn go_together(name: &str, keys: Settings<'_>, pair: [&str; 2], found: &mut Findings) {
    for [one, other] in [pair, [pair[1], pair[0]]] {
        if let (Some(at), None) = (keys.own_place(one), keys.node(other)) {
            let message = format!("`{other}` is missing in connection {}", show(name));
            found.suggest(Code::MissingField, at, message, "the two go together");
        }
    }
}

fn s3_access(name: &str, keys: Settings<'_>, found: &mut Findings) -> S3Access {
    go_together(name, keys, ["access-key", "secret-key"], found);
    S3Access {
        region: keys.owned("region"),
        endpoint: keys.owned("endpoint"),
        access_key: keys.secret("access-key"),
        secret_key: keys.secret("secret-key"),
        kms_key: keys.owned("kms-key"),
    }
}

/// One way of saying as whom, and that one whole.
fn azure_access(name: &str, keys: Settings<'_>, at: Span, found: &mut Findings) -> AzureAccess {
    let ways = ["account-key", "sas", "client-secret"];
    let given: Vec<_> = ways.iter().filter_map(|key| Some((*key, keys.own_place(key)?))).collect();
    for (key, place) in given.iter().skip(1) {
        let message = format!("connection {} has both `{}` and `{key}`", show(name), given[0].0);
        found.suggest(Code::BadValue, *place, message, "keep one of them; with none the worker's own identity is used");
    }
    let needs: &[(&str, &str)] =
        &[("client-secret", "client"), ("client-secret", "tenant"), ("tenant", "client-secret")];
    for (one, other) in needs {
        if keys.node(one).is_some() && keys.node(other).is_none() {
            let message = format!("`{other}` is missing in connection {}", show(name));
            let together = "`tenant`, `client` and `client-secret` go together";
            found.suggest(Code::MissingField, keys.own_place(one).unwrap_or(at), message, together);
        }
    }
    AzureAccess {
        endpoint: keys.owned("endpoint"),
        account_key: keys.secret("account-key"),
        sas: keys.secret("sas"),
        tenant: keys.owned("tenant"),
        client: keys.owned("client"),
        client_secret: keys.secret("client-secret"),
        encryption_scope: keys.owned("encryption-scope"),
    }
}

fn gcs_access(name: &str, keys: Settings<'_>, found: &mut Findings) -> GcsAccess {
    let (anonymous, service_account) = (keys.flag("anonymous"), keys.secret("service-account"));
    if let (true, Some(_), Some(place)) = (anonymous, &service_account, keys.own_place("anonymous")) {
        let message = format!("connection {} has both `service-account` and `anonymous`", show(name));
        found.suggest(Code::BadValue, place, message, "keep one of them; with none the worker's own identity is used");
    }
    GcsAccess {
        endpoint: keys.owned("endpoint"),
        service_account,
        anonymous,
        kms_key: keys.owned("kms-key"),
        billing_project: keys.owned("billing-project"),
    }
}

/// Keys of a file source and the URLs that they have a meaning for.
const OF_URLS: &[(&str, &[&str])] = &[
    ("region", &["s3://"]),
    ("endpoint", &["s3://", "azure://", "gs://"]),
    ("access-key", &["s3://"]),
    ("secret-key", &["s3://"]),
    ("account-key", &["azure://"]),
    ("sas", &["azure://"]),
    ("tenant", &["azure://"]),
    ("client", &["azure://"]),
    ("client-secret", &["azure://"]),
    ("service-account", &["gs://"]),
    ("anonymous", &["gs://"]),
    ("billing-project", &["gs://"]),
];

fn refuse_others_keys(name: &str, keys: Settings<'_>, url: &str, found: &mut Findings) {
    let scheme = url.split_inclusive("://").next().unwrap_or(url);
    for (key, schemes) in OF_URLS.iter().filter(|(_, schemes)| !schemes.contains(&scheme)) {
        if let Some(at) = keys.own_place(key) {
            let message = format!("`{key}` in connection {} has no meaning for {scheme}", show(name));
            let fix = format!("remove it, or write an {} URL", schemes.join(" or "));
            found.suggest(Code::BadValue, at, message, fix);
        }
    }
}

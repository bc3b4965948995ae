//! Connections: from their keys to the systems of the model.

use waybill_model::plan::{FileSource, Postgres, S3, S3Access, System, TlsMode};

use super::Settings;
use crate::diagnostic::{Code, Findings, show};
use crate::tree::{Node, Span};

/// A system, or none where its mapping is too broken to make one.
pub(crate) fn read_system(name: &str, node: &Node, at: Span, found: &mut Findings) -> Option<System> {
    let keys = Settings::of(node);
    match keys.text("type")? {
        "postgres" => postgres(keys).map(System::Postgres),
        "sqlite" => Some(System::Sqlite { path: keys.owned("path")? }),
        "local" => Some(System::Local { path: keys.owned("path")? }),
        "files" => {
            let url = keys.owned("url")?;
            let access = s3_access(name, keys, at, found);
            if !url.starts_with("s3://") {
                refuse_s3_keys(name, keys, found);
                return Some(System::Files(FileSource { url, s3: None }));
            }
            let s3 = (access != S3Access::default()).then_some(access);
            Some(System::Files(FileSource { url, s3 }))
        }
        "s3" => {
            let access = s3_access(name, keys, at, found);
            let prefix = keys.owned("prefix").unwrap_or_default();
            Some(System::S3(S3 { bucket: keys.owned("bucket")?, prefix, access }))
        }
        _ => None,
    }
}

fn postgres(keys: Settings<'_>) -> Option<Postgres> {
    Some(Postgres {
        host: keys.owned("host")?,
        port: keys.parsed("port").unwrap_or(5432),
        database: keys.owned("database")?,
        user: keys.owned("user")?,
        password: keys.secret("password"),
        tls: keys.parsed::<TlsMode>("tls").unwrap_or_default(),
        ca: keys.parsed("ca"),
    })
}

fn s3_access(name: &str, keys: Settings<'_>, at: Span, found: &mut Findings) -> S3Access {
    for (one, other) in [("access-key", "secret-key"), ("secret-key", "access-key")] {
        if keys.node(one).is_some() && keys.node(other).is_none() {
            let message = format!("`{other}` is missing in connection {}", show(name));
            found.suggest(Code::MissingField, keys.own_place(one).unwrap_or(at), message, "the two go together");
        }
    }
    S3Access {
        region: keys.owned("region"),
        endpoint: keys.owned("endpoint"),
        access_key: keys.secret("access-key"),
        secret_key: keys.secret("secret-key"),
    }
}

fn refuse_s3_keys(name: &str, keys: Settings<'_>, found: &mut Findings) {
    for key in ["region", "endpoint", "access-key", "secret-key"] {
        if let Some(at) = keys.own_place(key) {
            let message = format!("`{key}` in connection {} has no meaning for file://", show(name));
            found.suggest(Code::BadValue, at, message, "remove it, or write an s3:// URL");
        }
    }
}

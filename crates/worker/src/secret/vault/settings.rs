//! Which server, which namespace and which log-in: the worker's own environment says so, never a reference.
//!
//! Whoever writes references could otherwise have the worker log in at a server of theirs. Absent means refuse.

use reqwest::Url;
use waybill_model::secret::SecretRef;
use zeroize::Zeroizing;

use crate::secret::Problem;

/// What is known of the server.
pub(super) struct Settings {
    /// Ends with a slash.
    pub(super) address: Url,
    pub(super) namespace: Option<String>,
    /// PEM; trusted alone where given.
    pub(super) roots: Option<Vec<u8>>,
    pub(super) login: Login,
}

/// How to log in.
pub(super) enum Login {
    /// A token that somebody else keeps fresh, such as an agent that writes it into a file.
    Token(SecretRef),
    AppRole {
        mount: String,
        role_id: SecretRef,
        secret_id: SecretRef,
    },
    /// The worker's AWS role proves itself by a signed request that the server sends to AWS.
    Aws {
        mount: String,
        role: String,
        server_id: Option<String>,
        region: Option<String>,
    },
}

impl Settings {
    pub(super) fn of_environment() -> Result<Self, Problem> {
        Self::read(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problem> {
        let address = address(&needed(get, "VAULT_ADDR")?)?;
        let namespace = get("VAULT_NAMESPACE").map(|name| name.trim_matches('/').to_owned());
        if namespace.as_ref().is_some_and(|name| !is_path(name)) {
            return Err(Problem::unusable("can't be read: VAULT_NAMESPACE is no path of a namespace"));
        }
        let roots = match get("VAULT_CACERT").map(std::fs::read) {
            Some(Err(_)) => {
                return Err(Problem::unusable("can't be read: the file that VAULT_CACERT names is not there"));
            }
            Some(Ok(pem)) => Some(pem),
            None => None,
        };
        Ok(Self { address, namespace, roots, login: login(get)? })
    }

    /// The server's host, without brackets, and its port.
    pub(super) fn host(&self) -> (&str, u16) {
        let host = self.address.host_str().unwrap_or_default().trim_matches(['[', ']']);
        (host, self.address.port_or_known_default().unwrap_or(443))
    }

    /// Whether the server is this machine's own, which alone may be asked without TLS.
    pub(super) fn is_local(&self) -> bool {
        self.address.scheme() == "http"
    }
}

fn login(get: &dyn Fn(&str) -> Option<String>) -> Result<Login, Problem> {
    let mount = |default: &str| {
        let mount = get("WAYBILL_VAULT_MOUNT").unwrap_or_else(|| default.to_owned());
        let why = "can't be read: WAYBILL_VAULT_MOUNT is no path of an auth method";
        is_path(&mount).then_some(mount).ok_or_else(|| Problem::unusable(why))
    };
    match needed(get, "WAYBILL_VAULT_AUTH")?.as_str() {
        "token" => Ok(Login::Token(local(get, "WAYBILL_VAULT_TOKEN")?)),
        "approle" => Ok(Login::AppRole {
            mount: mount("approle")?,
            role_id: local(get, "WAYBILL_VAULT_ROLE_ID")?,
            secret_id: local(get, "WAYBILL_VAULT_SECRET_ID")?,
        }),
        "aws" => Ok(Login::Aws {
            mount: mount("aws")?,
            role: needed(get, "WAYBILL_VAULT_ROLE")?,
            server_id: get("WAYBILL_VAULT_SERVER_ID"),
            region: get("WAYBILL_VAULT_STS_REGION"),
        }),
        _ => Err(Problem::unusable("can't be read: WAYBILL_VAULT_AUTH is token, approle or aws")),
    }
}

fn needed(get: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<String, Problem> {
    get(name).ok_or_else(|| Problem::unusable(format!("can't be read: {name} is not set in the worker's environment")))
}

/// A reference to what lies beside the worker.
fn local(get: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<SecretRef, Problem> {
    match needed(get, name)?.parse() {
        Ok(reference @ (SecretRef::Env(_) | SecretRef::File(_))) => Ok(reference),
        _ => Err(Problem::unusable(format!(
            "can't be read: {name} takes env://NAME or file:///path, not the value itself"
        ))),
    }
}

fn address(text: &str) -> Result<Url, Problem> {
    let why = "can't be read: VAULT_ADDR needs the form https://host:port; http:// only for 127.0.0.1 and [::1]";
    let refuse = || Problem::unusable(why);
    let address: Url = text.parse().map_err(|_| refuse())?;
    let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let fits = (address.scheme() == "https" || (address.scheme() == "http" && is_loopback))
        && !host.is_empty()
        && address.username().is_empty()
        && address.password().is_none()
        && address.path() == "/"
        && address.query().is_none()
        && address.fragment().is_none();
    if fits { Ok(address) } else { Err(refuse()) }
}

fn is_path(text: &str) -> bool {
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..") && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    text.split('/').all(is_part)
}

/// What a local reference holds.
pub(super) async fn read(reference: &SecretRef) -> Result<Zeroizing<String>, Problem> {
    use crate::secret::Keeper;
    use crate::secret::local::{Environment, Files};
    let found = match reference {
        SecretRef::Env(name) => Environment.fetch(name.as_str()).await,
        SecretRef::File(path) => Files.fetch(path.as_str()).await,
        _ => Err(Problem::unusable("does not lie beside the worker")),
    };
    found.map(crate::secret::Secret::into_inner).map_err(|problem| problem.behind(&reference.to_string()))
}

#[cfg(test)]
mod tests {
    use waybill_model::FailureCode;

    use super::*;

    fn settings(given: &[(&str, &str)]) -> Result<Settings, (FailureCode, String)> {
        let get = |name: &str| given.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::read(&get).map_err(|problem| {
            let fault = problem.fault(&SecretRef::Env("X".into()));
            (fault.code, fault.text.for_customer().to_owned())
        })
    }

    const ROLE: [(&str, &str); 3] = [
        ("WAYBILL_VAULT_AUTH", "approle"),
        ("WAYBILL_VAULT_ROLE_ID", "env://ROLE"),
        ("WAYBILL_VAULT_SECRET_ID", "file:///run/secret-id"),
    ];

    #[test]
    fn a_server_is_reached_by_tls_or_on_this_machine() {
        for (address, fits) in [
            ("https://vault.example:8200", true),
            ("http://127.0.0.1:8200", true),
            ("http://[::1]:8200/", true),
            ("http://vault.example:8200", false),
            ("http://localhost:8200", false),
            ("https://user@vault.example", false),
            ("https://vault.example/path", false),
            ("https://vault.example/?a=b", false),
            ("vault.example:8200", false),
            ("", false),
        ] {
            let mut given = ROLE.to_vec();
            given.push(("VAULT_ADDR", address));
            let found = settings(&given);
            assert_eq!(found.is_ok(), fits, "{address}");
            if let Err((code, text)) = found {
                assert!(code == FailureCode::SecretUnresolved && text.contains("VAULT_ADDR"), "{text}");
            }
        }
    }

    #[test]
    fn what_is_missing_or_a_literal_is_named_and_not_repeated() {
        let with = |more: &[(&'static str, &'static str)]| {
            let mut given = vec![("VAULT_ADDR", "https://vault.example")];
            given.extend(more);
            settings(&given).map(drop).expect_err("refused").1
        };
        assert!(with(&[]).contains("WAYBILL_VAULT_AUTH"));
        assert!(with(&[("WAYBILL_VAULT_AUTH", "ldap")]).contains("token, approle or aws"));
        assert!(with(&[("WAYBILL_VAULT_AUTH", "approle")]).contains("WAYBILL_VAULT_ROLE_ID"));
        assert!(with(&[("WAYBILL_VAULT_AUTH", "aws")]).contains("WAYBILL_VAULT_ROLE"));
        let literal = with(&[("WAYBILL_VAULT_AUTH", "token"), ("WAYBILL_VAULT_TOKEN", "hvs.hunter2")]);
        assert!(literal.contains("WAYBILL_VAULT_TOKEN") && !literal.contains("hunter2"), "{literal}");
        let circle = with(&[("WAYBILL_VAULT_AUTH", "token"), ("WAYBILL_VAULT_TOKEN", "vault://kv/a#b")]);
        assert!(circle.contains("takes env://NAME or file:///path"), "{circle}");
    }
}

//! Which fields of a system hold references. All others say where the system is, and so where a secret is sent.
//!
//! Every kind is taken apart whole, so that a new field has to be put on one of the two sides.

use super::{Azure, AzureAccess, Ca, FileSource, Gcs, GcsAccess, MySql, Plan, Postgres, S3, S3Access, Ssh, System};
use crate::secret::SecretRef;

/// The field that is found by a reference and yet no credential.
const CA: &str = "ca";

/// One reference of a plan and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanSecret<'a> {
    /// The connection's name.
    pub connection: &'a str,
    /// The field's path below the connection.
    pub field: &'static str,
    /// The reference.
    pub reference: &'a SecretRef,
}

impl Plan {
    /// Every reference, the source's first. A worker tells which of them failed by its place in this list.
    #[must_use]
    pub fn secrets(&self) -> Vec<PlanSecret<'_>> {
        let mut all = Vec::new();
        for super::Endpoint { connection, system } in self.opened() {
            for (field, reference) in system.secrets() {
                all.push(PlanSecret { connection, field, reference });
            }
        }
        all
    }
}

impl System {
    /// Fields that hold a reference, named by their path below the connection, such as `password` or `s3.secret-key`: what a
    /// worker looks up, and what a guard is asked about.
    #[must_use]
    pub fn secrets(&self) -> Vec<(&'static str, &SecretRef)> {
        let given = match self {
            Self::Postgres(Postgres {
                password,
                ca,
                client_cert,
                client_key,
                ssh,
                host: _,
                port: _,
                database: _,
                user: _,
                tls: _,
            })
            | Self::MySql(MySql {
                password,
                ca,
                client_cert,
                client_key,
                ssh,
                host: _,
                port: _,
                database: _,
                user: _,
                tls: _,
            }) => {
                let ca = ca.as_ref().and_then(Ca::reference);
                let client = [("client-cert", client_cert.as_ref()), ("client-key", client_key.as_ref())];
                let ssh = [("ssh.key", ssh.as_ref().map(of_ssh))];
                [("password", password.as_ref()), (CA, ca)].into_iter().chain(client).chain(ssh).collect()
            }
            Self::S3(S3 { access, bucket: _, prefix: _ }) => {
                let (access_key, secret_key) = of_access(access);
                vec![("access-key", access_key), ("secret-key", secret_key)]
            }
            Self::Azure(Azure { access, account: _, container: _, prefix: _ }) => {
                let (account_key, sas, client_secret) = of_azure(access);
                vec![("account-key", account_key), ("sas", sas), ("client-secret", client_secret)]
            }
            Self::Gcs(Gcs { access, bucket: _, prefix: _ }) => vec![("service-account", of_gcs(access))],
            Self::Files(FileSource { s3, azure, gcs, url: _ }) => {
                let mut found = Vec::new();
                if let Some(access) = s3 {
                    let (access_key, secret_key) = of_access(access);
                    found.extend([("s3.access-key", access_key), ("s3.secret-key", secret_key)]);
                }
                if let Some(access) = azure {
                    let (account_key, sas, client_secret) = of_azure(access);
                    let azure = [("azure.account-key", account_key), ("azure.sas", sas)];
                    found.extend(azure.into_iter().chain([("azure.client-secret", client_secret)]));
                }
                found.extend(gcs.iter().map(|access| ("gcs.service-account", of_gcs(access))));
                found
            }
            Self::Sqlite { path: _ } | Self::Local { path: _ } => vec![],
        };
        given.into_iter().filter_map(|(field, reference)| Some((field, reference?))).collect()
    }

    /// Those of them that prove to the system who the worker is, and that no other place may get. A CA is none of them: whoever
    /// exchanges it can stand for the system, so it is a part of the place.
    #[must_use]
    pub fn credentials(&self) -> Vec<(&'static str, &SecretRef)> {
        self.secrets().into_iter().filter(|(field, _)| *field != CA).collect()
    }
}

const fn of_ssh(ssh: &Ssh) -> &SecretRef {
    let Ssh { key, host: _, port: _, user: _, host_key: _ } = ssh;
    key
}

fn of_access(access: &S3Access) -> (Option<&SecretRef>, Option<&SecretRef>) {
    let S3Access { access_key, secret_key, region: _, endpoint: _, kms_key: _ } = access;
    (access_key.as_ref(), secret_key.as_ref())
}

type Reference<'a> = Option<&'a SecretRef>;

const fn of_azure(access: &AzureAccess) -> (Reference<'_>, Reference<'_>, Reference<'_>) {
    let AzureAccess { account_key, sas, client_secret, endpoint: _, tenant: _, client: _, encryption_scope: _ } =
        access;
    (account_key.as_ref(), sas.as_ref(), client_secret.as_ref())
}

const fn of_gcs(access: &GcsAccess) -> Reference<'_> {
    let GcsAccess { service_account, endpoint: _, anonymous: _, kms_key: _, billing_project: _ } = access;
    service_account.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(json: &str) -> System {
        serde_json::from_str(json).expect("a system")
    }

    #[test]
    fn a_field_that_refers_to_a_secret_is_named_as_it_is_written() {
        let bucket = r#"{"type":"s3","bucket":"b","access-key":"env://A","secret-key":"file:///s"}"#;
        let files = r#"{"type":"files","url":"s3://b/p","s3":{"access-key":"env://A","secret-key":"env://S"}}"#;
        let shop = r#"{"type":"postgres","host":"h","database":"d","user":"u","password":"env://P"}"#;
        let private =
            r#"{"type":"postgres","host":"h","database":"d","user":"u","password":"env://P","ca":"aws-ssm:///ca"}"#;
        let by_path = r#"{"type":"postgres","host":"h","database":"d","user":"u","ca":"/etc/ca.pem"}"#;
        let proven =
            r#"{"type":"mysql","host":"h","database":"d","user":"u","client-cert":"env://C","client-key":"env://K"}"#;
        let pin = "A".repeat(43);
        let behind = format!(
            r#"{{"type":"postgres","host":"h","database":"d","user":"u","password":"env://P",
            "ssh":{{"host":"j","user":"u","key":"env://S","host-key":"SHA256:{pin}"}}}}"#
        );
        let azure = r#"{"type":"azure","account":"a","container":"c","account-key":"env://K","sas":"env://S",
            "tenant":"t","client":"c","client-secret":"file:///s"}"#;
        let blobs = r#"{"type":"files","url":"azure://a/c/p","azure":{"sas":"env://S"}}"#;
        let google = r#"{"type":"gcs","bucket":"b","service-account":"file:///key.json"}"#;
        let objects = r#"{"type":"files","url":"gs://b/p","gcs":{"service-account":"env://KEY"}}"#;
        for (text, fields) in [
            (google, vec!["service-account"]),
            (objects, vec!["gcs.service-account"]),
            (bucket, vec!["access-key", "secret-key"]),
            (files, vec!["s3.access-key", "s3.secret-key"]),
            (shop, vec!["password"]),
            (private, vec!["password", "ca"]),
            (by_path, vec![]),
            (proven, vec!["client-cert", "client-key"]),
            (&behind, vec!["password", "ssh.key"]),
            (azure, vec!["account-key", "sas", "client-secret"]),
            (blobs, vec!["azure.sas"]),
            (r#"{"type":"files","url":"file:///data/in"}"#, vec![]),
        ] {
            let system = system(text);
            let found: Vec<&str> = system.secrets().iter().map(|(field, _)| *field).collect();
            assert_eq!(found, fields, "{text}");
            let json: serde_json::Value = serde_json::from_str(text).expect("JSON");
            for (field, reference) in system.secrets() {
                assert_eq!(json.pointer(&format!("/{}", field.replace('.', "/"))), Some(&reference.to_string().into()));
            }
        }
        let credentials: Vec<&str> = system(private).credentials().iter().map(|(field, _)| *field).collect();
        assert_eq!(credentials, ["password"], "a CA is a part of the place");
    }
}

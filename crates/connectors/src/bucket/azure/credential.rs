//! As whom, and by which way: the SDK's client with a transport of ours, and the credentials that the plan refers to.
//!
//! A client secret goes to the authority that the worker's environment names (`AZURE_AUTHORITY_HOST`; Microsoft's public one
//! otherwise), through the dialer. Tokens of a managed identity come from whoever the environment names, without it.

use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::http::policies::Policy;
use azure_core::http::{ClientOptions, RetryOptions, Transport, Url};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use azure_storage_blob::{BlobContainerClient, BlobContainerClientOptions};
use waybill_model::FailureCode;
use waybill_model::net::{Host, endpoint_of};
use waybill_model::plan::Azure;
use waybill_pipeline::bucket::BucketResult;
use waybill_pipeline::{BucketError, Credential};

use super::application::Application;
use super::sign::{self, Digested, SharedAccess, SharedKey};
use super::transport::Http;
use crate::dial::{self, Dialer};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a token may take: whoever gives it is near, or not there.
const TOKEN: Duration = Duration::from_secs(20);

/// As whom.
pub enum Login {
    /// One of the account's two keys.
    Key(Arc<dyn Credential>),
    /// A shared access signature of the account or the container.
    Signature(Arc<dyn Credential>),
    /// An application with a client secret.
    Application {
        /// The directory.
        tenant: String,
        /// The application.
        client: String,
        /// The way to its secret.
        secret: Arc<dyn Credential>,
    },
    /// The worker's own identity: a federated token where its environment has one, a managed identity otherwise.
    Own {
        /// Which one, where it has several.
        client: Option<String>,
    },
}

/// How a container is reached: as whom, and through which dialer.
pub struct Way {
    /// As whom.
    pub login: Login,
    /// Checks every address.
    pub dialer: Dialer,
}

fn refuse(code: FailureCode, text: impl Into<String>) -> BucketError {
    BucketError::new(code, text)
}

/// Makes a client. Nothing is sent to the store yet.
pub(super) async fn connect(settings: &Azure, way: Way) -> BucketResult<BlobContainerClient> {
    let Way { login, dialer } = way;
    let url = address(settings, &dialer)?;
    let built = dial::http::client(dialer.clone()).connect_timeout(CONNECT).build();
    let http =
        Http(built.map_err(|_| refuse(FailureCode::BucketUnreachable, "no trusted root certificates are found"))?);
    let mut policies: Vec<Arc<dyn Policy>> = vec![Arc::new(Digested)];
    let token: Option<Arc<dyn TokenCredential>> = match login {
        Login::Key(key) => {
            sign::read_key(&key.value().await.map_err(|fault| of_secret(&fault))?)
                .ok_or_else(|| refuse(FailureCode::SecretUnresolved, sign::KEY_FORM))?;
            policies.push(Arc::new(SharedKey { account: settings.account.clone(), key }));
            None
        }
        Login::Signature(signature) => {
            sign::read_signature(&signature.value().await.map_err(|fault| of_secret(&fault))?)
                .ok_or_else(|| refuse(FailureCode::SecretUnresolved, sign::SIGNATURE_FORM))?;
            policies.push(Arc::new(SharedAccess(signature)));
            None
        }
        _ if url.scheme() != "https" => {
            let text =
                "`endpoint` needs https: a token is sent nowhere else; without TLS only `account-key` and `sas` work";
            return Err(refuse(FailureCode::SpecRefused, text));
        }
        Login::Application { tenant, client, secret } => {
            let make = move |secret: &str| application(&tenant, client.clone(), secret, &dialer);
            Some(Arc::new(Application::new(secret, Box::new(make)).await?))
        }
        Login::Own { client } => Some(own(client, &dialer)?),
    };
    let options = BlobContainerClientOptions { client_options: options(http, policies), ..Default::default() };
    BlobContainerClient::new(url, token, Some(options))
        .map_err(|_| refuse(FailureCode::SpecRefused, "the address of the container can't be built"))
}

pub(super) fn of_secret(fault: &waybill_pipeline::Fault) -> BucketError {
    BucketError::new(fault.code, fault.text.for_customer())
}

/// No retries of its own, and no way out but this one.
fn options(http: Http, per_try_policies: Vec<Arc<dyn Policy>>) -> ClientOptions {
    let (transport, retry) = (Some(Transport::new(Arc::new(http))), RetryOptions::none());
    ClientOptions { transport, retry, per_try_policies, ..Default::default() }
}

/// The container's address. An endpoint that is an address or this machine serves several accounts, as emulators do: the
/// account stands in the path then.
fn address(settings: &Azure, dialer: &Dialer) -> BucketResult<Url> {
    let Azure { account, container, access, prefix: _ } = settings;
    let malformed =
        || refuse(FailureCode::SpecRefused, "`endpoint` needs the form https://host:port, without credentials");
    let text = match &access.endpoint {
        None => format!("https://{account}.blob.core.windows.net/{container}"),
        Some(endpoint) => {
            let (host, _) = endpoint_of(endpoint).ok_or_else(malformed)?;
            let checked = dialer.check(host);
            let host = checked.map_err(|error| refuse(FailureCode::EgressDenied, error.to_string()))?;
            let endpoint = endpoint.trim_end_matches('/');
            match host {
                Host::Name(name) if name != "localhost" => format!("{endpoint}/{container}"),
                _ => format!("{endpoint}/{account}/{container}"),
            }
        }
    };
    text.parse().map_err(|_| malformed())
}

fn token_options(http: reqwest::ClientBuilder) -> BucketResult<ClientOptions> {
    let built = http.connect_timeout(CONNECT).timeout(TOKEN).build();
    let why = "no trusted root certificates are found on the worker";
    Ok(options(Http(built.map_err(|_| refuse(FailureCode::BucketUnreachable, why))?), Vec::new()))
}

fn application(tenant: &str, client: String, secret: &str, dialer: &Dialer) -> BucketResult<Arc<dyn TokenCredential>> {
    let client_options = token_options(dial::http::client(dialer.clone()))?;
    let secret = Secret::new(secret.to_owned());
    let credential =
        ClientSecretCredential::new(tenant, client, secret, Some(ClientSecretCredentialOptions { client_options }));
    let why =
        "`tenant`, `client` and `client-secret` are no application's, or AZURE_AUTHORITY_HOST is no https:// address";
    Ok(credential.map_err(|_| refuse(FailureCode::BucketDenied, why))?)
}

/// The identity that the worker's environment gives it.
fn own(client: Option<String>, dialer: &Dialer) -> BucketResult<Arc<dyn TokenCredential>> {
    if std::env::var_os("AZURE_FEDERATED_TOKEN_FILE").is_some() {
        let client_options = token_options(dial::http::client(dialer.clone()))?;
        let options = WorkloadIdentityCredentialOptions {
            client_id: client,
            credential_options: ClientAssertionCredentialOptions { client_options },
            ..Default::default()
        };
        let why = "the federated token can't be used: AZURE_FEDERATED_TOKEN_FILE must name a file that can be read, and \
                   AZURE_TENANT_ID and AZURE_CLIENT_ID (or `client`) say whose it is";
        let credential = WorkloadIdentityCredential::new(Some(options));
        return Ok(credential.map_err(|_| refuse(FailureCode::BucketDenied, why))?);
    }
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: client.map(UserAssignedId::ClientId),
        client_options: token_options(dial::http::straight())?,
    };
    let why = "this kind of managed identity is not supported: give `client-secret`, `sas` or `account-key`";
    let credential = ManagedIdentityCredential::new(Some(options));
    Ok(credential.map_err(|_| refuse(FailureCode::BucketDenied, why))?)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use async_trait::async_trait;
    use waybill_model::plan::AzureAccess;
    use waybill_pipeline::{Bucket, Fixed};

    use super::super::AzureBucket;
    use super::*;
    use crate::bucket::remote::{Parts, Patience};
    use crate::dial::{Resolve, Rules};

    /// Every name leads to the metadata server.
    struct Rebound;

    #[async_trait]
    impl Resolve for Rebound {
        async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(vec![IpAddr::from([169, 254, 169, 254])])
        }
    }

    fn settings(endpoint: Option<&str>) -> Azure {
        let access = AzureAccess { endpoint: endpoint.map(str::to_owned), ..AzureAccess::default() };
        Azure { account: "shop".into(), container: "lake".into(), prefix: String::new(), access }
    }

    #[tokio::test]
    async fn a_container_whose_name_leads_to_the_metadata_server_is_not_dialed() {
        let signature = || Login::Signature(Arc::new(Fixed::new("sv=1&sig=x")));
        let application = || Login::Application {
            tenant: "example.com".into(),
            client: "00000000-0000-0000-0000-000000000000".into(),
            secret: Arc::new(Fixed::new("a secret")),
        };
        let once = Patience { tries: 1, ..Patience::default() };
        for (endpoint, login) in
            [(None, signature()), (Some("https://blobs.example"), signature()), (None, application())]
        {
            let way = Way { login, dialer: Dialer::with(Rules::local(), Arc::new(Rebound)) };
            let bucket = AzureBucket::connect(&settings(endpoint), way, 1 << 20).await.expect("a bucket");
            let error = bucket.with(once, Parts::for_memory(0)).head("x").await.expect_err("it was dialed");
            assert_eq!(error.code, FailureCode::EgressDenied, "{endpoint:?}: {}", error.text.for_customer());
        }
        let way = Way { login: signature(), dialer: Dialer::new(Rules::local()) };
        let direct = AzureBucket::connect(&settings(Some("https://169.254.169.254")), way, 1 << 20).await;
        assert_eq!(direct.err().map(|error| error.code), Some(FailureCode::EgressDenied));
    }

    #[test]
    fn the_account_stands_in_the_name_or_where_there_is_none_in_the_path() {
        let dialer = Dialer::new(Rules::local());
        for (endpoint, url) in [
            (None, "https://shop.blob.core.windows.net/lake"),
            (Some("https://shop.blob.core.usgovcloudapi.net/"), "https://shop.blob.core.usgovcloudapi.net/lake"),
            (Some("http://127.0.0.1:10000"), "http://127.0.0.1:10000/shop/lake"),
            (Some("http://localhost:10000"), "http://localhost:10000/shop/lake"),
        ] {
            assert_eq!(address(&settings(endpoint), &dialer).expect(url).as_str(), url);
        }
    }
}

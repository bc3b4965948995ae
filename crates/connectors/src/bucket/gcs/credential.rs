//! As whom, and by which way: the client of the service, and where its tokens come from.
//!
//! The service's own client and that of its credentials dial by themselves, so neither is used. A key's and a federation's tokens
//! are fetched through the dialer. The machine's own link, which no plan can name, is asked without it.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use waybill_model::FailureCode;
use waybill_model::net::endpoint_of;
use waybill_model::plan::Gcs;
use waybill_pipeline::bucket::BucketResult;
use waybill_pipeline::{BucketError, Credential, Fixed};

use super::request::Client;
use super::token::{Giver, KEY_FORM, Key, Tokens};
use crate::dial::{self, Dialer};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a token may take: whoever gives it is near, or not there.
const TOKEN: Duration = Duration::from_secs(20);
const PUBLIC: &str = "https://storage.googleapis.com";
/// Names the file that says as whom the worker is outside of Google's cloud.
const FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// Names another server than the machine's own, as Google's clients read it.
const METADATA: &str = "GCE_METADATA_HOST";

/// As whom.
pub enum Login {
    /// A service account, by its key file.
    Key(Arc<dyn Credential>),
    /// The worker's own identity: by the file that its environment names, its machine's service account otherwise.
    Own,
    /// Nobody.
    Nobody,
}

/// How a bucket is reached: as whom, and through which dialer.
pub struct Way {
    /// As whom.
    pub login: Login,
    /// Checks every address.
    pub dialer: Dialer,
}

/// An identity that somebody else vouches for, as Google's tools write it down.
#[derive(Clone, Deserialize)]
pub(super) struct Federation {
    pub(super) audience: String,
    pub(super) subject_token_type: String,
    pub(super) token_url: String,
    pub(super) service_account_impersonation_url: Option<String>,
    pub(super) credential_source: Source,
}

/// Where the word of whoever vouches is found.
#[derive(Clone, Deserialize)]
pub(super) struct Source {
    pub(super) file: Option<String>,
    #[serde(default)]
    pub(super) format: Format,
}

/// How it stands there: as it is, or in a field of JSON.
#[derive(Clone, Default, Deserialize)]
pub(super) struct Format {
    pub(super) subject_token_field_name: Option<String>,
}

fn refuse(code: FailureCode, text: impl Into<String>) -> BucketError {
    BucketError::new(code, text)
}

/// Makes a client. Nothing is sent to the service yet.
pub(super) async fn connect(settings: &Gcs, way: Way) -> BucketResult<Client> {
    let Way { login, dialer } = way;
    let endpoint = address(settings.access.endpoint.as_deref(), &dialer)?;
    if !matches!(login, Login::Nobody) && !endpoint.starts_with("https://") {
        let text = "`endpoint` needs https: a token is sent nowhere else; without TLS only `anonymous: true` works";
        return Err(refuse(FailureCode::SpecRefused, text));
    }
    let giver = match login {
        Login::Nobody => Giver::Nobody,
        Login::Key(key) => by_key(key).await?,
        Login::Own => own().await?,
    };
    let http = |builder: reqwest::ClientBuilder| {
        let why = "no trusted root certificates are found on the worker";
        builder.connect_timeout(CONNECT).build().map_err(|_| refuse(FailureCode::BucketUnreachable, why))
    };
    let asked = match giver {
        Giver::Machine { .. } => dial::http::straight(),
        _ => dial::http::client(dialer.clone()),
    };
    let tokens = Tokens::new(giver, http(asked.timeout(TOKEN))?, dialer.clone());
    let billing_project = settings.access.billing_project.clone();
    Ok(Client { http: http(dial::http::client(dialer))?, endpoint, tokens, billing_project })
}

/// The service's address, without a slash at its end.
fn address(endpoint: Option<&str>, dialer: &Dialer) -> BucketResult<String> {
    let Some(endpoint) = endpoint else { return Ok(PUBLIC.to_owned()) };
    let malformed = "`endpoint` needs the form https://host:port, without credentials";
    let (host, _) = endpoint_of(endpoint).ok_or_else(|| refuse(FailureCode::SpecRefused, malformed))?;
    dialer.check(host).map_err(|error| refuse(FailureCode::EgressDenied, error.to_string()))?;
    Ok(endpoint.trim_end_matches('/').to_owned())
}

/// A key that can't be one is told of before anything is sent.
async fn by_key(key: Arc<dyn Credential>) -> BucketResult<Giver> {
    let text = key.value().await.map_err(|fault| BucketError::new(fault.code, fault.text.for_customer()))?;
    Key::read(&text).ok_or_else(|| refuse(FailureCode::SecretUnresolved, KEY_FORM))?;
    Ok(Giver::Key(key))
}

/// The identity that the worker's environment gives it.
async fn own() -> BucketResult<Giver> {
    let Some(path) = std::env::var_os(FILE) else {
        let host = std::env::var(METADATA).ok().filter(|host| !host.is_empty());
        return Ok(Giver::Machine { host: host.unwrap_or_else(|| "metadata.google.internal".to_owned()) });
    };
    let unread = || refuse(FailureCode::BucketDenied, format!("{FILE} does not name a file that can be read"));
    let text = tokio::fs::read_to_string(path).await.map_err(|_| unread())?;
    if Key::read(&text).is_some() {
        return by_key(Arc::new(Fixed::new(text))).await;
    }
    let why = format!(
        "{FILE} names neither a service account's key file nor one of type external_account whose `credential_source` is a file: \
         no other is supported"
    );
    let federation: Federation = serde_json::from_str(&text).map_err(|_| refuse(FailureCode::BucketDenied, &why))?;
    if federation.credential_source.file.is_none() {
        return Err(refuse(FailureCode::BucketDenied, why));
    }
    Ok(Giver::Federation(federation))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use waybill_model::plan::GcsAccess;
    use waybill_pipeline::Bucket;

    use super::super::GcsBucket;
    use super::*;
    use crate::bucket::remote::{Parts, Patience};
    use crate::dial::{Resolve, Rules};

    /// Every name leads to the metadata server.
    struct Rebound;

    #[async_trait::async_trait]
    impl Resolve for Rebound {
        async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(vec![IpAddr::from([169, 254, 169, 254])])
        }
    }

    fn settings(endpoint: Option<&str>) -> Gcs {
        let access = GcsAccess { endpoint: endpoint.map(str::to_owned), ..GcsAccess::default() };
        Gcs { bucket: "lake".into(), prefix: String::new(), access }
    }

    #[tokio::test]
    async fn a_bucket_whose_name_leads_to_the_metadata_server_is_not_dialed() {
        let once = Patience { tries: 1, ..Patience::default() };
        let key = |place: &str| Login::Key(Arc::new(Fixed::new(super::super::token::tests::key(place))));
        for (endpoint, login) in [
            (None, Login::Nobody),
            (Some("https://storage.example"), Login::Nobody),
            (None, key("https://oauth2.example/token")),
            (None, key("https://169.254.169.254/token")),
        ] {
            let way = Way { login, dialer: Dialer::with(Rules::local(), Arc::new(Rebound)) };
            let bucket = GcsBucket::connect(&settings(endpoint), way, 1 << 20).await.expect("a bucket");
            let error = bucket.with(once, Parts::for_memory(0)).head("x").await.expect_err("it was dialed");
            assert_eq!(error.code, FailureCode::EgressDenied, "{endpoint:?}: {}", error.text.for_customer());
        }
        let way = Way { login: Login::Nobody, dialer: Dialer::new(Rules::local()) };
        let direct = GcsBucket::connect(&settings(Some("https://169.254.169.254")), way, 1 << 20).await;
        assert_eq!(direct.err().map(|error| error.code), Some(FailureCode::EgressDenied));
    }

    #[tokio::test]
    async fn what_is_no_key_file_is_told_of_before_anything_is_sent() {
        for text in ["", "{}", "AIzaSy", r#"{"type":"authorized_user","refresh_token":"a secret"}"#] {
            let way = Way { login: Login::Key(Arc::new(Fixed::new(text))), dialer: Dialer::new(Rules::local()) };
            let error = GcsBucket::connect(&settings(None), way, 1 << 20).await.err().expect(text);
            assert_eq!(error.code, FailureCode::SecretUnresolved);
            assert!(!error.text.for_customer().contains("a secret"));
        }
    }
}

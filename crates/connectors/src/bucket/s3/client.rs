//! The SDK client: region, endpoint, credentials; retries off, time bounds on, every connection through the dialer.
//!
//! The SDK's own calls for credentials do not go through it: where they go is the worker's environment's to say, not the
//! plan's.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Region, RequestChecksumCalculation, StalledStreamProtectionConfig};
use waybill_model::FailureCode;
use waybill_model::net::endpoint_of;
use waybill_model::plan::S3Access;
use waybill_pipeline::BucketError;
use waybill_pipeline::bucket::BucketResult;

use super::keys::StaticKeys;
use crate::dial::{Dialer, sdk};

/// What asking for keys may take: as long as all tries of whoever keeps them.
const ASKING: Duration = Duration::from_secs(40);

/// How a bucket is reached: as the plan says, as whom, and through which dialer.
pub struct Way<'a> {
    /// Region and endpoint.
    pub access: &'a S3Access,
    /// The ways to static keys; the worker's own role where absent.
    pub keys: Option<StaticKeys>,
    /// Checks every address.
    pub dialer: Dialer,
}

/// Makes a client; nothing is sent yet, but the worker's own region may be looked up.
pub(super) async fn connect(way: Way<'_>) -> BucketResult<Client> {
    let Way { access, keys, dialer } = way;
    let refuse = |text: &str| Err(BucketError::new(FailureCode::SpecRefused, text));
    let times = TimeoutConfig::builder().connect_timeout(Duration::from_secs(10)).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(sdk::straight())
        .retry_config(RetryConfig::disabled())
        .timeout_config(times)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    match (&access.region, &access.endpoint) {
        (Some(region), _) => loader = loader.region(Region::new(region.clone())),
        // Compatible stores take any region, and this one most often.
        (None, Some(_)) => loader = loader.region(Region::from_static("us-east-1")),
        (None, None) => {}
    }
    if let Some(endpoint) = &access.endpoint {
        let Some((host, _)) = endpoint_of(endpoint) else {
            return refuse("`endpoint` needs the form https://host:port, without credentials");
        };
        dialer.check(host).map_err(|error| BucketError::new(FailureCode::EgressDenied, error.to_string()))?;
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(keys) = keys {
        let cache = IdentityCache::lazy().load_timeout(ASKING).build();
        loader = loader.identity_cache(cache).credentials_provider(keys);
    }
    let shared = loader.load().await;
    if shared.region().is_none() {
        return refuse("no region is known: set `region` on the connection, or AWS_REGION for the worker");
    }
    let http = sdk::http_client(dialer);
    let config = aws_sdk_s3::config::Builder::from(&shared).http_client(http);
    Ok(Client::from_conf(config.force_path_style(access.endpoint.is_some()).build()))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use async_trait::async_trait;
    use waybill_pipeline::{Credential, Fault, FaultResult, Fixed};
    use zeroize::Zeroizing;

    use super::*;
    use crate::bucket::remote::Kind;
    use crate::bucket::s3::error;
    use crate::dial::{Resolve, Rules};

    /// Every name leads to the metadata server.
    struct Rebound;

    #[async_trait]
    impl Resolve for Rebound {
        async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
            Ok(vec![IpAddr::from([169, 254, 169, 254])])
        }
    }

    /// Whoever keeps the secret says no.
    struct Gone(FailureCode);

    #[async_trait]
    impl Credential for Gone {
        async fn value(&self) -> FaultResult<Zeroizing<String>> {
            Err(Fault::new(self.0, "the customer's text"))
        }

        async fn anew(&self, _: &str) -> FaultResult<Zeroizing<String>> {
            self.value().await
        }
    }

    #[tokio::test]
    async fn keys_that_are_taken_away_are_a_refusal_and_an_outage_is_tried_again() {
        for (code, kind) in
            [(FailureCode::SecretNotFound, Kind::Denied), (FailureCode::SecretUnreachable, Kind::Unreachable)]
        {
            let access = S3Access { region: Some("eu-central-1".to_owned()), ..S3Access::default() };
            let keys = StaticKeys::new(Arc::new(Fixed::new("AKIDEXAMPLE")), Arc::new(Gone(code)));
            let dialer = Dialer::with(Rules::local(), Arc::new(Rebound));
            let client = connect(Way { access: &access, keys: Some(keys), dialer }).await;
            let client = client.unwrap_or_else(|error| panic!("a client: {error:?}"));
            let call = client.head_object().bucket("lake").key("x").send();
            let failed = error::call("HeadObject", Duration::from_secs(5), call).await.expect_err("no keys");
            assert_eq!(failed.kind, kind, "{code}: {failed:?}");
        }
    }

    #[tokio::test]
    async fn a_bucket_whose_name_leads_to_the_metadata_server_is_not_dialed() {
        for endpoint in [None, Some("https://store.example:9000".to_owned())] {
            let region = Some("eu-central-1".to_owned());
            let access = S3Access { region, endpoint: endpoint.clone(), ..S3Access::default() };
            let dialer = Dialer::with(Rules::local(), Arc::new(Rebound));
            let (key, secret) = (Arc::new(Fixed::new("AKIDEXAMPLE")), Arc::new(Fixed::new("secret")));
            let way = Way { access: &access, keys: Some(StaticKeys::new(key, secret)), dialer };
            let client = connect(way).await.unwrap_or_else(|error| panic!("a client: {error:?}"));
            let call = client.head_object().bucket("lake").key("x").send();
            let failed = error::call("HeadObject", Duration::from_secs(5), call).await.expect_err("it was dialed");
            assert_eq!(failed.kind, Kind::Forbidden, "{endpoint:?}: {failed:?}");
        }
    }
}

//! Whether the role that starts tasks may look into the buckets that the workers read and write: it must not. S3 itself is
//! asked, with a session of that role, for an object and for a list under a name that nothing has.
//!
//! No object is ever read: what S3 answers to a granted question is dropped unread, and of a refusal only its code and the
//! action that it names are taken. Only S3's own endpoints are called, never one that somebody wrote into a pipeline.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use waybill_model::{Micros, RunId};

use super::arn::{Partition, Region};
use super::check::{CheckRow, Found, SESSION};
use super::cloud::Cloud;
use super::place::EcsPlace;
use crate::trail::{self, CloudCall, NO_ANSWER, OK};

/// Largest refusal that is read.
const MOST: usize = 16 << 10;
/// Most buckets that one check asks about.
const MOST_BUCKETS: usize = 20;
const READ: &str = "s3:GetObject";
const LIST: &str = "s3:ListBucket";

/// A place in S3 that a pipeline of the data plane names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// What the keys begin with, without slashes at its ends.
    pub prefix: String,
    /// Its region; the data plane's where nobody says.
    pub region: Option<String>,
    /// It is reached by an endpoint of its own, or with keys of its own: no grant of this account says who may read it.
    pub is_elsewhere: bool,
}

/// What S3 said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// Granted, or refused only for want of such a thing.
    Granted,
    /// Refused; the action that it names, where it names one.
    Denied(Option<&'static str>),
    /// Neither: a sentence.
    Nothing(String),
}

impl Cloud {
    /// Two rows for each bucket: reading an object, and listing.
    pub(super) async fn bucket_rows(
        &self,
        place: &EcsPlace,
        session: &Credentials,
        buckets: &[Bucket],
    ) -> Vec<CheckRow> {
        if buckets.is_empty() {
            let detail = "no pipeline on this data plane names a bucket: apply one, then check again";
            return vec![CheckRow::new(READ, "*", Found::NotTested, detail)];
        }
        let mut rows = Vec::new();
        for bucket in buckets.iter().take(MOST_BUCKETS) {
            match asked_where(place, bucket) {
                Ok(region) => {
                    let key = format!("waybill-check-{}", RunId::generate()).replace('_', "-");
                    let key = if bucket.prefix.is_empty() { key } else { format!("{}/{key}", bucket.prefix) };
                    for action in [READ, LIST] {
                        let said = self.ask_bucket(place, session, (action, bucket, &region, &key)).await;
                        rows.push(row(action, &of(place, action, bucket), said));
                    }
                }
                Err(why) => rows.push(CheckRow::new(READ, of(place, READ, bucket), Found::NotTested, why)),
            }
        }
        if let Some(more) = buckets.len().checked_sub(MOST_BUCKETS).filter(|more| *more > 0) {
            let detail = format!("{more} more places in S3 are named by pipelines; a check asks about {MOST_BUCKETS}");
            rows.push(CheckRow::new(READ, "*", Found::NotTested, detail));
        }
        rows
    }

    /// One signed question, told of as every call is.
    async fn ask_bucket(
        &self,
        place: &EcsPlace,
        session: &Credentials,
        (action, bucket, region, key): (&'static str, &Bucket, &Region, &str),
    ) -> Said {
        let origin = self.s3_endpoint().map_or_else(|| host(region, place.settings().fips), str::to_owned);
        let name = &bucket.name;
        let url = match action {
            READ => format!("{origin}/{name}/{}", encoded(key, true)),
            _ => format!("{origin}/{name}?list-type=2&max-keys=0&prefix={}", encoded(key, false)),
        };
        let Some(request) = signed(&url, session, region) else {
            return Said::Nothing("the question could not be signed".into());
        };
        let at = Micros::now();
        let answer = tokio::time::timeout(self.patience(), send(request)).await.ok().flatten();
        let id = answer.as_ref().and_then(|answer| answer.headers().get("x-amz-request-id")).map(str::to_owned);
        let (said, outcome) = match answer {
            None => (Said::Nothing("S3 did not answer; check again".into()), NO_ANSWER),
            Some(answer) => understood(answer).await,
        };
        self.tell_of(place, |owner| CloudCall {
            owner: Some(owner),
            action,
            role: place.role().to_string(),
            session: SESSION.to_owned(),
            region: region.as_str().to_owned(),
            attempt: None,
            task: None,
            at,
            request_id: id,
            outcome,
        });
        said
    }
}

/// The region whose S3 is asked about a bucket, or why none is.
fn asked_where(place: &EcsPlace, bucket: &Bucket) -> Result<Region, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    if bucket.is_elsewhere {
        return Err("it is reached by an endpoint or keys of its own, which the orchestrator never uses".into());
    }
    if !(3..=63).contains(&bucket.name.len()) || !bucket.name.bytes().all(plain) || bucket.name.starts_with('.') {
        return Err("this is no name of a general purpose bucket: look at the role's policies yourself".into());
    }
    let region = match &bucket.region {
        Some(region) => region.parse::<Region>().map_err(|error| format!("its region is no region: {error}"))?,
        None => place.region().clone(),
    };
    if region.partition() != place.region().partition() {
        return Err(format!("it is in the partition {}, where this role is nobody", region.partition().as_str()));
    }
    Ok(region)
}

fn of(place: &EcsPlace, action: &str, bucket: &Bucket) -> String {
    let partition = place.region().partition().as_str();
    let below = if bucket.prefix.is_empty() { "*".to_owned() } else { format!("{}/*", bucket.prefix) };
    match action {
        READ => format!("arn:{partition}:s3:::{}/{below}", bucket.name),
        _ => format!("arn:{partition}:s3:::{}", bucket.name),
    }
}

/// A region's own S3. GovCloud and China have FIPS and names of their own.
fn host(region: &Region, fips: bool) -> String {
    let suffix = if region.partition() == Partition::China { "amazonaws.com.cn" } else { "amazonaws.com" };
    let service = if fips { "s3-fips" } else { "s3" };
    format!("https://{service}.{}.{suffix}", region.as_str())
}

/// Percent-encoded as S3 signs it.
fn encoded(text: &str, is_path: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b'/' if is_path => out.push('/'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn signed(url: &str, session: &Credentials, region: &Region) -> Option<HttpRequest> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = session.clone().into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region.as_str())
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .ok()?
        .into();
    let asked = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[])).ok()?;
    let (instructions, _) = sign(asked, &parameters).ok()?.into_parts();
    let mut request = HttpRequest::empty();
    request.set_uri(url.to_owned()).ok()?;
    for (name, value) in instructions.headers() {
        request.headers_mut().try_insert(name.to_owned(), value.to_owned()).ok()?;
    }
    Some(request)
}

/// By the way that the other calls take: a proxy of the environment, and no redirect is followed.
async fn send(request: HttpRequest) -> Option<HttpResponse> {
    let connector = aws_smithy_http_client::Connector::builder()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .proxy_config(ProxyConfig::from_env())
        .build();
    match connector.call(request).await {
        Ok(answer) => Some(answer),
        Err(error) => {
            tracing::info!(error = &error as &dyn std::error::Error, "S3 could not be asked");
            None
        }
    }
}

/// What an answer means, and as what it is told of. What was granted is dropped unread.
async fn understood(answer: HttpResponse) -> (Said, &'static str) {
    let status = answer.status().as_u16();
    if matches!(status, 200..=299) {
        return (Said::Granted, OK);
    }
    let whole = Limited::new(answer.into_body(), MOST).collect();
    let body = tokio::time::timeout(Duration::from_secs(5), whole).await;
    let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    let code = between(&body, "<Code>", "</Code>").unwrap_or_default();
    (meaning(status, code, between(&body, "<Message>", "</Message>").unwrap_or_default()), trail::outcome(code))
}

fn meaning(status: u16, code: &str, message: &str) -> Said {
    let names = |action: &str| message.contains(&format!("not authorized to perform: {action} "));
    let known = trail::outcome(code);
    match (status, code) {
        (404, "NoSuchKey") => Said::Granted,
        (404, "NoSuchBucket") => Said::Nothing("there is no such bucket".into()),
        (403, "AccessDenied") => Said::Denied([READ, LIST].into_iter().find(|action| names(action))),
        (301 | 307 | 400, "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed") => {
            Said::Nothing("the bucket is in another region: write its `region` into the connection".into())
        }
        _ => Said::Nothing(format!("S3 answered with {status} {known}; check again")),
    }
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    text.split_once(from)?.1.split_once(to).map(|(inside, _)| inside)
}

fn row(action: &'static str, resource: &str, said: Said) -> CheckRow {
    let too_much =
        |detail: &str| CheckRow::new(action, resource, Found::TooMuch, detail).removing(allowing(action, resource));
    match (action, said) {
        (_, Said::Granted) => too_much("the role that starts tasks may look into the bucket: take that from it"),
        // Who may read and not list is told that it may not list, and so is not told whether there is such an object.
        (READ, Said::Denied(Some(LIST))) => {
            too_much("only listing was refused, so the role that starts tasks may read objects: take that from it")
        }
        (READ, Said::Denied(None)) => {
            let detail = "S3 refused without a word on what is missing, and does so too where objects may be read and only \
                          listing may not: see that no policy of the role or the bucket allows it";
            CheckRow::new(action, resource, Found::NotTested, detail)
        }
        (_, Said::Denied(_)) => CheckRow::new(action, resource, Found::Narrow, "the role that starts tasks is refused"),
        (_, Said::Nothing(why)) => CheckRow::new(action, resource, Found::NotTested, why),
    }
}

/// What must stand in no policy of the role.
fn allowing(action: &str, resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": action, "Resource": resource })
}

#[cfg(test)]
mod tests {
    use super::super::place::example;
    use super::*;

    fn found(action: &'static str, status: u16, code: &str, message: &str) -> &'static str {
        row(action, "arn:aws:s3:::lake/*", meaning(status, code, message)).found.as_str()
    }

    /// S3 says 403 to whoever may read but not list, since there is no such object: that alone is no proof.
    #[test]
    fn t02_a_refusal_counts_only_where_it_names_the_reading() {
        let denied = |action: &str| {
            format!("User: arn:aws:sts::2:assumed-role/l/s is not authorized to perform: {action} on resource: \"x\"")
        };
        for (action, status, code, message, wanted) in [
            (READ, 403, "AccessDenied", denied("s3:GetObject"), "narrow"),
            (READ, 403, "AccessDenied", denied("s3:ListBucket"), "too_much"),
            (READ, 403, "AccessDenied", "Access Denied".to_owned(), "not_tested"),
            (READ, 403, "AccessDenied", denied("s3:GetObjectVersion"), "not_tested"),
            (READ, 404, "NoSuchKey", String::new(), "too_much"),
            (READ, 404, "NoSuchBucket", String::new(), "not_tested"),
            (READ, 404, "", String::new(), "not_tested"),
            (READ, 301, "PermanentRedirect", String::new(), "not_tested"),
            (READ, 403, "SignatureDoesNotMatch", denied("s3:GetObject"), "not_tested"),
            (READ, 503, "SlowDown", String::new(), "not_tested"),
            (LIST, 403, "AccessDenied", "Access Denied".to_owned(), "narrow"),
            (LIST, 403, "InvalidAccessKeyId", String::new(), "not_tested"),
        ] {
            assert_eq!(found(action, status, code, &message), wanted, "{action} {status} {code} {message}");
        }
        assert_eq!(row(LIST, "x", Said::Granted).found, Found::TooMuch);
    }

    #[test]
    fn t11_only_s3_of_a_known_region_is_asked_and_never_an_endpoint_of_a_pipeline() {
        let place = EcsPlace::new(example(), "wb-id").expect("a place");
        let lake = Bucket { name: "lake".into(), prefix: String::new(), region: None, is_elsewhere: false };
        let region = asked_where(&place, &lake).expect("the data plane's own");
        assert_eq!(host(&region, false), "https://s3.eu-central-1.amazonaws.com");
        for bad in [
            Bucket { is_elsewhere: true, ..lake.clone() },
            Bucket { region: Some("evil.example/".into()), ..lake.clone() },
            Bucket { region: Some("cn-north-1".into()), ..lake.clone() },
            Bucket { name: "lake/../other".into(), ..lake.clone() },
            Bucket { name: "lake@evil".into(), ..lake.clone() },
            Bucket { name: "..".into(), ..lake.clone() },
        ] {
            assert!(asked_where(&place, &bad).is_err(), "{bad:?}");
        }
        assert_eq!(encoded("a b/?x=\n", true), "a%20b/%3Fx%3D%0A");
    }
}

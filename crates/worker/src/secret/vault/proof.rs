//! The proof of the worker's AWS role: a signed GetCallerIdentity that the server sends to AWS in the worker's place.
//!
//! The signature covers the name that the server goes by, where one is set: a proof for one server is none for another.

use std::time::SystemTime;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};
use waybill_identity::attest::aws::{BODY, CONTENT_TYPE, sts_host};

use crate::secret::{Aws, Problem};

const SERVER_ID: &str = "x-vault-aws-iam-server-id";

/// The body of a log-in. Without a region the global endpoint is meant, which is what servers ask by default.
pub(super) async fn proof(
    aws: &Aws,
    role: &str,
    server_id: Option<&str>,
    region: Option<&str>,
) -> Result<Value, Problem> {
    let broken = || Problem::unusable("can't be read: the proof of the worker's AWS role could not be signed");
    let host = region.map_or_else(|| "sts.amazonaws.com".to_owned(), |region| sts_host(region, false));
    let url = format!("https://{host}/");
    let length = BODY.len().to_string();
    let mut headers =
        vec![("host", host.as_str()), ("content-type", CONTENT_TYPE), ("content-length", length.as_str())];
    headers.extend(server_id.map(|id| (SERVER_ID, id)));
    let identity = aws.credentials().await?.into();
    let parameters = SigningParams::builder()
        .identity(&identity)
        .region(region.unwrap_or("us-east-1"))
        .name("sts")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| broken())?
        .into();
    let body = SignableBody::Bytes(BODY.as_bytes());
    let request = SignableRequest::new("POST", &url, headers.iter().copied(), body).map_err(|_| broken())?;
    let (instructions, _) = sign(request, &parameters).map_err(|_| broken())?.into_parts();
    let (signed, _) = instructions.into_parts();
    let given = headers.iter().map(|(name, value)| (*name, *value));
    let all: Map<String, Value> = given
        .chain(signed.iter().map(|header| (header.name(), header.value())))
        .map(|(n, v)| (n.into(), json!([v])))
        .collect();
    Ok(json!({
        "role": role,
        "iam_http_request_method": "POST",
        "iam_request_url": BASE64.encode(&url),
        "iam_request_body": BASE64.encode(BODY),
        "iam_request_headers": BASE64.encode(Value::Object(all).to_string()),
    }))
}

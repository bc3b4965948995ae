//! What is added to each request before it goes: a digest of its body, and the account's key or a shared access signature.
//!
//! The SDK knows tokens only. Both secrets are asked for with each request, so that one that was renewed counts at once.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::HeaderName;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Body, Context, Method, Request};
use azure_core::time::{OffsetDateTime, to_rfc7231};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use waybill_pipeline::Credential;

const DIGEST: HeaderName = HeaderName::from_static("content-md5");

/// The service stores nothing whose bytes are not those of the digest.
#[derive(Debug)]
pub(super) struct Digested;

#[async_trait]
impl Policy for Digested {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        if request.method() == Method::Put
            && let Body::Bytes(body) = request.body()
        {
            let digest = BASE64.encode(Md5::digest(body));
            request.insert_header(DIGEST, digest);
        }
        forward(context, request, next).await
    }
}

/// Signs with the account's key.
pub(super) struct SharedKey {
    pub(super) account: String,
    pub(super) key: Arc<dyn Credential>,
}

impl std::fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedKey")
    }
}

#[async_trait]
impl Policy for SharedKey {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let text = self.key.value().await.map_err(|_| unresolved("the account key can't be read any more"))?;
        let key = read_key(&text).ok_or_else(|| unresolved(KEY_FORM))?;
        request.insert_header("x-ms-date", to_rfc7231(&OffsetDateTime::now_utc()));
        let signature = hmac::sign(&key, to_sign(&self.account, request).as_bytes());
        let value = format!("SharedKey {}:{}", self.account, BASE64.encode(signature));
        request.insert_header("authorization", value);
        forward(context, request, next).await
    }
}

/// What a key looks like.
pub(super) const KEY_FORM: &str = "`account-key` is not one of the account's two access keys, which are base64 text";

/// The key as the portal shows it.
pub(super) fn read_key(text: &str) -> Option<hmac::Key> {
    let bytes = BASE64.decode(text.trim()).ok().filter(|bytes| bytes.len() >= 32)?;
    Some(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// The text that the service makes of the same request, from its version 2015-02-21 on.
fn to_sign(account: &str, request: &Request) -> String {
    let header = |name: &'static str| request.headers().get_optional_str(&HeaderName::from_static(name)).unwrap_or("");
    let length = request.body().len().filter(|length| *length > 0).map_or(String::new(), |length| length.to_string());
    let mut text = request.method().as_ref().to_owned();
    for value in [header("content-encoding"), header("content-language"), &length] {
        text.extend(["\n", value]);
    }
    for name in [
        "content-md5",
        "content-type",
        "date",
        "if-modified-since",
        "if-match",
        "if-none-match",
        "if-unmodified-since",
        "range",
    ] {
        text.extend(["\n", header(name)]);
    }
    text.push('\n');
    let own = request.headers().iter().filter(|(name, _)| name.as_str().starts_with("x-ms-"));
    let mut own: Vec<_> = own.map(|(name, value)| (name.as_str(), value.as_str().trim())).collect();
    own.sort_unstable();
    for (name, value) in own {
        text.extend([name, ":", value, "\n"]);
    }
    text.extend(["/", account, request.url().path()]);
    let mut asked: Vec<_> = request.url().query_pairs().map(|(name, value)| (name.to_lowercase(), value)).collect();
    asked.sort_unstable();
    for (name, value) in &asked {
        text.extend(["\n", name, ":", value]);
    }
    text
}

/// Adds a shared access signature to the address.
pub(super) struct SharedAccess(pub(super) Arc<dyn Credential>);

impl std::fmt::Debug for SharedAccess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedAccess")
    }
}

#[async_trait]
impl Policy for SharedAccess {
    async fn send(&self, context: &Context, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let text = self.0.value().await.map_err(|_| unresolved("the signature can't be read any more"))?;
        let signature = read_signature(&text).ok_or_else(|| unresolved(SIGNATURE_FORM))?;
        let asked = request.url().query().filter(|asked| !asked.is_empty());
        let query = asked.map_or_else(|| signature.to_owned(), |asked| format!("{asked}&{signature}"));
        request.url_mut().set_query(Some(&query));
        forward(context, request, next).await
    }
}

/// What a signature looks like.
pub(super) const SIGNATURE_FORM: &str =
    "`sas` is no shared access signature: sv=…&sig=…, without the address before it";

/// The signature, without the question mark that tools put before it.
pub(super) fn read_signature(text: &str) -> Option<&str> {
    let text = text.trim().trim_start_matches('?');
    let is_query = |b: u8| b.is_ascii_alphanumeric() || b"-._~%=&+:/,".contains(&b);
    let has = |name: &str| text.split('&').any(|pair| pair.starts_with(name));
    (has("sig=") && has("sv=") && text.bytes().all(is_query)).then_some(text)
}

fn unresolved(why: &'static str) -> Error {
    Error::with_message(ErrorKind::Credential, why)
}

async fn forward(context: &Context<'_>, request: &mut Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
    match next.split_first() {
        Some((first, rest)) => first.send(context, request, rest).await,
        None => Err(Error::with_message(ErrorKind::Other, "nothing is left to send the request")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signed_text_is_that_of_the_services_description() {
        let url = "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=metadata&timeout=20";
        let mut request = Request::new(url.parse().expect("a URL"), Method::Get);
        request.insert_header("x-ms-version", "2015-02-21");
        request.insert_header("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
        let described = "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n\
                         /myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20";
        assert_eq!(to_sign("myaccount", &request), described);
    }

    #[test]
    fn what_is_no_key_and_no_signature_is_not_taken_for_one() {
        let key = BASE64.encode([7; 64]);
        assert!(read_key(&format!("{key}\n")).is_some());
        assert!(read_key("AccountKey=x").is_none() && read_key("").is_none() && read_key("aGk=").is_none());
        let sas = "sv=2026-02-06&ss=b&srt=co&sp=rwdlc&se=2026-12-31T00:00:00Z&sig=a%2Bb%3D";
        assert_eq!(read_signature(&format!("?{sas}")), Some(sas));
        for text in ["", "sv=1", "sig=x", "https://a.blob.core.windows.net/?sv=1&sig=x", "sv=1&sig=x y", "sv=1&sig=x#"]
        {
            assert_eq!(read_signature(text), None, "{text}");
        }
    }
}

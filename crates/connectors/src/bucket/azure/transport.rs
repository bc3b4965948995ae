//! HTTP for the SDK, through the dialer. The SDK's own client would dial whatever a name leads to.

use async_trait::async_trait;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, response::PinnedStream};
use futures::stream::TryStreamExt;
use reqwest::{Client, Method};

/// A client whose connections are made as it was built to make them.
#[derive(Debug)]
pub(super) struct Http(pub(super) Client);

#[async_trait]
impl HttpClient for Http {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let unsendable = || Error::with_message(ErrorKind::Other, "the request can't be built");
        let method = Method::from_bytes(request.method().as_ref().as_bytes()).map_err(|_| unsendable())?;
        let mut sent = self.0.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(body) = request.body().clone() else { return Err(unsendable()) };
        let answer = sent.body(body).send().await.map_err(failed)?;
        let headers = answer.headers().iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?.to_owned();
            Some((HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value)))
        });
        let headers = Headers::from(headers.collect::<std::collections::HashMap<_, _>>());
        let status = answer.status().as_u16().into();
        let body: PinnedStream = Box::pin(answer.bytes_stream().map_err(failed));
        Ok(AsyncRawResponse::new(status, headers, body))
    }
}

/// An error without the address, which may hold a signature.
fn failed(error: reqwest::Error) -> Error {
    let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
    Error::with_error(kind, error.without_url(), "the request failed")
}

//! Requests to the service, one try each: through the dialer, with a token where somebody logs in.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;

use super::super::remote::{CALL, Failed, Kind, within};
use super::error;
use super::token::Tokens;
use crate::dial::denial;

/// Nobody says more with a refusal or a token.
pub(super) const WORDS: usize = 64 << 10;
/// A page of a listing has at most a thousand names of at most 1,024 bytes.
const DOCUMENT: usize = 16 << 20;
/// All but what RFC 3986 leaves alone.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as it stands in a path or a query.
pub(super) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Pairs as a query or a form has them.
pub(super) fn pairs(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

/// Whoever speaks to the service.
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    /// Without a slash at its end.
    pub(super) endpoint: String,
    pub(super) tokens: Tokens,
    /// Who pays for what is asked, where the bucket's owner does not.
    pub(super) billing_project: Option<String>,
}

impl Client {
    pub(super) fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut query = query.to_vec();
        query.extend(self.billing_project.as_deref().map(|project| ("userProject", project)));
        let join = if query.is_empty() { "" } else { "?" };
        self.http.request(method, format!("{}{path}{join}{}", self.endpoint, pairs(&query)))
    }

    /// Sends a request once. What is no success is an error.
    pub(super) async fn send(
        &self,
        operation: &'static str,
        bound: Duration,
        request: RequestBuilder,
    ) -> Result<Response, Failed> {
        self.ask(operation, bound, request, |status| (200..300).contains(&status)).await
    }

    /// The same where other answers are wanted, too.
    pub(super) async fn ask(
        &self,
        operation: &'static str,
        bound: Duration,
        request: RequestBuilder,
        is_wanted: fn(u16) -> bool,
    ) -> Result<Response, Failed> {
        let asked = async {
            let request = match self.tokens.bearer(operation).await? {
                Some(bearer) => request.header("authorization", bearer),
                None => request,
            };
            let answer = request.send().await.map_err(|error| broke(operation, &error))?;
            let status = answer.status().as_u16();
            if is_wanted(status) {
                return Ok(answer);
            }
            if status == 401 {
                self.tokens.forget().await;
            }
            Err(error::judge(operation, status, &body(answer, WORDS).await.unwrap_or_default()))
        };
        within(operation, bound, asked).await
    }
}

/// What an answer says in JSON.
pub(super) async fn read<T: DeserializeOwned>(operation: &'static str, answer: Response) -> Result<T, Failed> {
    let read = async {
        let body = body(answer, DOCUMENT).await.and_then(|body| serde_json::from_slice(&body).ok());
        body.ok_or_else(|| Failed::new(Kind::Unanswered, operation, "an answer that can't be read"))
    };
    within(operation, CALL, read).await
}

/// The body of an answer; none where it broke off or is longer than this.
pub(super) async fn body(answer: Response, most: usize) -> Option<Vec<u8>> {
    let (mut answer, mut body) = (answer, Vec::new());
    while let Some(part) = answer.chunk().await.ok()? {
        body.extend_from_slice(&part);
        if body.len() > most {
            return None;
        }
    }
    Some(body)
}

/// A request without an answer. Whether a connection was refused or broke in the middle can't be told for sure.
pub(super) fn broke(operation: &'static str, error: &reqwest::Error) -> Failed {
    if denial(error).is_some() {
        return Failed::new(Kind::Forbidden, operation, "the endpoint leads to an address that is not dialed");
    }
    if error.is_builder() {
        return Failed::new(Kind::Other, operation, "the request can't be built");
    }
    Failed::new(Kind::Unreachable, operation, "the connection could not be made or broke")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_whole() {
        assert_eq!(escaped("a/../b c+%2e?x=1#ü"), "a%2F..%2Fb%20c%2B%252e%3Fx%3D1%23%C3%BC");
        assert_eq!(pairs(&[("prefix", "raw/x"), ("alt", "media")]), "prefix=raw%2Fx&alt=media");
    }
}

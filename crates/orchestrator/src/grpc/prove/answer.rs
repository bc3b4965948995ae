//! What both doors to AWS share: no redirect is followed, nothing is waited for longer than five seconds, no answer is read
//! past its bound.

use std::time::Duration;

/// Longest call.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    let none = reqwest::redirect::Policy::none();
    reqwest::Client::builder().redirect(none).timeout(PATIENCE).connect_timeout(PATIENCE).build()
}

/// The body, or nothing where it is larger than `most`.
pub(super) async fn read(mut answer: reqwest::Response, most: usize) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > most {
            return Ok(None);
        }
    }
    Ok(Some(body))
}

//! CRC32C, which the service keeps of every object, as it spells it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::{CrcAlgorithm, Digest};
use futures::stream::{StreamExt, TryStreamExt};
use reqwest::Response;
use reqwest::header::HeaderMap;

use super::super::remote::{Body, Failed, Kind};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc32Iscsi;

pub(super) fn of(bytes: &[u8]) -> u64 {
    crc_fast::checksum(ALGORITHM, bytes)
}

/// The sum of two pieces, from theirs and the second one's length.
pub(super) fn joined(first: u64, second: u64, length: u64) -> u64 {
    crc_fast::checksum_combine(ALGORITHM, first, second, length)
}

pub(super) fn text(sum: u64) -> String {
    BASE64.encode(u32::try_from(sum).unwrap_or(0).to_be_bytes())
}

/// What an answer says the stored bytes sum up to; nothing where others than these come.
pub(super) fn told(headers: &HeaderMap) -> Option<String> {
    let is_gzip = |name: &str| headers.get(name).is_some_and(|value| value == "gzip");
    if is_gzip("x-goog-stored-content-encoding") != is_gzip("content-encoding") {
        return None;
    }
    let lines = headers.get_all("x-goog-hash").into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|one| one.trim().strip_prefix("crc32c=")).map(str::to_owned)
}

/// The bytes of an answer; behind the last one an error where they are not what was stored.
pub(super) fn checked(operation: &'static str, sum: Option<String>, answer: Response) -> Body {
    let broke = move |_| Failed::new(Kind::Unanswered, operation, "the answer broke off");
    let bytes = answer.bytes_stream().map_err(broke).boxed();
    let Some(sum) = sum else { return bytes };
    let state = Some((bytes, Digest::new(ALGORITHM), sum));
    let bytes = futures::stream::unfold(state, move |state| async move {
        let (mut bytes, mut digest, sum) = state?;
        match bytes.next().await {
            Some(Ok(part)) => {
                digest.update(&part);
                Some((Ok(part), Some((bytes, digest, sum))))
            }
            Some(Err(failed)) => Some((Err(failed), None)),
            None if text(digest.finalize()) == sum => None,
            None => Some((Err(Failed::new(Kind::Garbled, operation, "the object is not what is stored")), None)),
        }
    });
    bytes.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_the_services_description() {
        // The check value of CRC-32C, and an empty object's.
        assert_eq!((of(b"123456789"), text(of(b"")).as_str()), (0xe306_9283, "AAAAAA=="));
        let (one, other) = (&b"1234"[..], &b"56789"[..]);
        assert_eq!(joined(of(one), of(other), other.len() as u64), of(b"123456789"));
    }

    #[test]
    fn the_sum_stands_beside_others_or_in_a_line_of_its_own() {
        let mut headers = HeaderMap::new();
        headers.append("x-goog-hash", "md5=XUFAKrxLKna5cZ2REBfFkg==".parse().expect("a value"));
        assert_eq!(told(&headers), None);
        headers.append("x-goog-hash", "crc32c=mnG7TA==".parse().expect("a value"));
        assert_eq!(told(&headers).as_deref(), Some("mnG7TA=="));
        headers.insert("x-goog-stored-content-encoding", "gzip".parse().expect("a value"));
        assert_eq!(told(&headers), None, "what comes was unpacked on the way");
        headers.insert("content-encoding", "gzip".parse().expect("a value"));
        assert!(told(&headers).is_some());
    }
}

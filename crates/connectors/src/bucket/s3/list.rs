//! Listing over all pages. Keys come URL-encoded, since XML can't hold every character that a key may have.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;
use waybill_pipeline::ObjectMeta;

use super::error::{self, Failed, Kind};
use super::{CALL, Inner, retry};

/// All objects below `prefix` whose key sorts after `after`.
pub(super) async fn all(inner: &Inner, prefix: &str, after: Option<&str>) -> Result<Vec<ObjectMeta>, Failed> {
    let mut found: Vec<ObjectMeta> = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let page = retry::persist(inner, || {
            let call = inner
                .client
                .list_objects_v2()
                .bucket(&inner.bucket)
                .prefix(inner.key(prefix))
                .encoding_type(EncodingType::Url)
                .set_start_after(after.filter(|_| next.is_none()).map(|after| inner.key(after)))
                .set_continuation_token(next.clone());
            error::call("ListObjectsV2", CALL, call.send())
        })
        .await?;
        let encoded = page.encoding_type() == Some(&EncodingType::Url);
        for object in page.contents() {
            let raw = object.key().unwrap_or_default();
            let key = if encoded { decode(raw)? } else { raw.to_owned() };
            // What a store lists outside of what was asked for is not ours to see.
            let Some(key) = key.strip_prefix(&inner.prefix) else { continue };
            if !key.starts_with(prefix) || after.is_some_and(|after| key <= after) {
                continue;
            }
            found.push(ObjectMeta {
                key: key.to_owned(),
                size: u64::try_from(object.size().unwrap_or(0)).unwrap_or(0),
                modified: error::micros(object.last_modified()),
                etag: object.e_tag().unwrap_or_default().to_owned(),
            });
        }
        if !page.is_truncated().unwrap_or(false) {
            break;
        }
        let token = page.next_continuation_token().map(str::to_owned);
        if token.is_none() || token == next {
            return Err(Failed::new(Kind::Other, "ListObjectsV2", "a page without a way to the next one"));
        }
        next = token;
    }
    found.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
    Ok(found)
}

fn decode(raw: &str) -> Result<String, Failed> {
    let spaced = raw.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| Failed::new(Kind::Other, "ListObjectsV2", "a key that is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_the_service_encodes_them() {
        assert_eq!(decode("a%20b+c%2Bd/%00%0A").expect("key"), "a b c+d/\0\n");
        assert!(decode("%ff").is_err());
    }
}

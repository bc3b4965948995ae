//! Pages of a listing. Keys come URL-encoded, since XML can't hold every character that a key may have.

use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;
use waybill_pipeline::ObjectMeta;

use super::super::remote::{CALL, Failed, Kind, Page};
use super::{S3Store, error, length_of};

pub(super) async fn page(
    store: &S3Store,
    prefix: &str,
    after: Option<&str>,
    token: Option<&str>,
) -> Result<Page, Failed> {
    let call = store
        .client
        .list_objects_v2()
        .bucket(&store.bucket)
        .prefix(prefix)
        .encoding_type(EncodingType::Url)
        .set_start_after(after.filter(|_| token.is_none()).map(str::to_owned))
        .set_continuation_token(token.map(str::to_owned));
    let page = error::call("ListObjectsV2", CALL, call.send()).await?;
    let encoded = page.encoding_type() == Some(&EncodingType::Url);
    let mut objects = Vec::with_capacity(page.contents().len());
    for object in page.contents() {
        let raw = object.key().unwrap_or_default();
        objects.push(ObjectMeta {
            key: if encoded { decode(raw)? } else { raw.to_owned() },
            size: length_of(object.size()).unwrap_or(0),
            modified: error::micros(object.last_modified()),
            etag: object.e_tag().unwrap_or_default().to_owned(),
        });
    }
    let next = page.next_continuation_token().map(str::to_owned);
    match page.is_truncated().unwrap_or(false) {
        false => Ok(Page { objects, next: None }),
        true if next.is_some() => Ok(Page { objects, next }),
        true => Err(Failed::new(Kind::Other, "ListObjectsV2", "a page without a way to the next one")),
    }
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

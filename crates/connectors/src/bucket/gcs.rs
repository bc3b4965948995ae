//! Google Cloud Storage as a store behind a bucket: the JSON API of one bucket, spoken here.
//!
//! The generation of an object is its tag: every write makes a new one. Nothing that the service says goes into a text but the
//! reason that it gives. Where it says that something is, is never followed: of an upload's address only the id is kept.

mod credential;
mod error;
mod request;
mod sum;
mod token;
mod upload;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use waybill_model::Micros;
use waybill_model::plan::Gcs;
use waybill_pipeline::ObjectMeta;
use waybill_pipeline::bucket::BucketResult;

use super::remote::{Answer, Ask, CALL, Failed, Kind, PART, Page, Place, Remote, Seen, Sent, Store};
pub use credential::{Login, Way};
use request::{Client, escaped};

/// What is asked of a listing and of an object.
const FIELDS: &str = "name,size,generation,timeCreated,crc32c";

/// A bucket of Google Cloud Storage.
pub type GcsBucket = Remote<GcsStore>;

/// The calls of Google Cloud Storage on one bucket.
pub struct GcsStore {
    client: Client,
    bucket: String,
    kms_key: Option<String>,
}

impl GcsBucket {
    /// Prepares access to a bucket. `memory` is the worker's budget: it sizes the parts of uploads.
    pub async fn connect(settings: &Gcs, way: Way, memory: u64) -> BucketResult<Self> {
        let client = credential::connect(settings, way).await?;
        let (bucket, kms_key) = (settings.bucket.clone(), settings.access.kms_key.clone());
        Ok(Self::new(GcsStore { client, bucket, kms_key }, &settings.prefix, memory))
    }
}

/// What the service says of an object.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    name: String,
    /// Numbers come as text.
    #[serde(default)]
    size: Value,
    generation: String,
    time_created: Option<String>,
    crc32c: Option<String>,
}

impl Resource {
    fn size(&self) -> u64 {
        self.size.as_u64().or_else(|| self.size.as_str()?.parse().ok()).unwrap_or(0)
    }

    fn created(&self) -> Micros {
        let time = self.time_created.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        Micros(time.map_or(0, |time| time.timestamp_micros()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(default)]
    items: Vec<Resource>,
    next_page_token: Option<String>,
}

/// The permission that is needed, and on what.
fn grant(operation: &str, url: &str) -> String {
    let permission = match operation {
        "ListObjects" => "list",
        "GetObject" | "GetMetadata" => "get",
        "DeleteObject" => "delete",
        _ => "create",
    };
    let too = if permission == "create" { " and, to replace an object, storage.objects.delete" } else { "" };
    format!("storage.objects.{permission}{too} on {url} (the role Storage Object User has it)")
}

impl GcsStore {
    /// The path of an object.
    fn object(&self, key: &str) -> String {
        format!("/storage/v1/b/{}/o/{}", escaped(&self.bucket), escaped(key))
    }

    /// The path of objects that are made.
    fn uploads(&self) -> String {
        format!("/upload/storage/v1/b/{}/o", escaped(&self.bucket))
    }
}

#[async_trait]
impl Store for GcsStore {
    const SERVICE: &'static str = "gcs";
    // The service counts none; the sizes double, so that an object's limit comes first.
    const MOST_PARTS: u32 = 1 << 20;
    const IN_ORDER: bool = true;
    type Begun = upload::Begun;
    type Part = upload::Part;

    fn root(&self) -> String {
        format!("gs://{}", self.bucket)
    }

    fn grant(&self, operation: &str, url: &str) -> String {
        grant(operation, url)
    }

    async fn put(&self, key: &str, body: Bytes, is_new: bool) -> Result<(), Failed> {
        let stored = upload::put(self, key, &body, is_new, if is_new { CALL } else { PART }).await?;
        // A service that minds the checksum has refused what is not ours.
        match stored.crc32c {
            Some(there) if there != sum::text(sum::of(&body)) => {
                Err(Failed::new(Kind::Unanswered, upload::INSERT, "the object is not what was sent"))
            }
            _ => Ok(()),
        }
    }

    async fn head(&self, key: &str) -> Result<Seen, Failed> {
        let operation = "GetMetadata";
        let request = self.client.request(Method::GET, &self.object(key), &[("fields", FIELDS)]);
        let found: Resource = request::read(operation, self.client.send(operation, CALL, request).await?).await?;
        Ok(Seen {
            size: found.size(),
            modified: found.created(),
            etag: found.generation.clone(),
            sum: found.crc32c.clone(),
        })
    }

    async fn get(&self, ask: &Ask<'_>) -> Result<Answer, Failed> {
        let operation = "GetObject";
        let mut query = vec![("alt", "media")];
        query.extend(ask.etag.map(|generation| ("ifGenerationMatch", generation)));
        // What is stored compressed is taken as it is stored: its length and checksum are those of these bytes.
        let mut request = self.client.request(Method::GET, &self.object(ask.key), &query);
        request = request.header("accept-encoding", "gzip");
        if let Some(range) = ask.range() {
            request = request.header("range", range);
        }
        let answer = self.client.send(operation, CALL, request).await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_range = header("content-range").is_some();
        Ok(Answer {
            length: answer.content_length(),
            etag: header("x-goog-generation"),
            is_range,
            body: sum::checked(operation, (!is_range).then(|| sum::told(answer.headers())).flatten(), answer),
        })
    }

    async fn page(&self, prefix: &str, after: Option<&str>, token: Option<&str>) -> Result<Page, Failed> {
        let operation = "ListObjects";
        let fields = format!("nextPageToken,items({FIELDS})");
        let mut query = vec![("fields", fields.as_str()), ("maxResults", "1000")];
        query.extend((!prefix.is_empty()).then_some(("prefix", prefix)));
        query.extend(after.map(|after| ("startOffset", after)));
        query.extend(token.map(|token| ("pageToken", token)));
        let path = format!("/storage/v1/b/{}/o", escaped(&self.bucket));
        let request = self.client.request(Method::GET, &path, &query);
        let listing: Listing = request::read(operation, self.client.send(operation, CALL, request).await?).await?;
        let objects = listing.items.into_iter().map(|item| ObjectMeta {
            size: item.size(),
            modified: item.created(),
            etag: item.generation,
            key: item.name,
        });
        Ok(Page { objects: objects.collect(), next: listing.next_page_token.filter(|token| !token.is_empty()) })
    }

    async fn delete(&self, key: &str) -> Result<(), Failed> {
        let request = self.client.request(Method::DELETE, &self.object(key), &[]);
        self.client.send("DeleteObject", CALL, request).await.map(|_| ())
    }

    async fn begin(&self, key: &str) -> Result<Self::Begun, Failed> {
        upload::begin(self, key).await
    }

    async fn part(&self, key: &str, begun: &Self::Begun, place: Place, body: Bytes) -> Result<Self::Part, Failed> {
        upload::part(self, key, begun, place, body).await
    }

    async fn complete(&self, key: &str, begun: &Self::Begun, parts: &[Sent<Self::Part>]) -> Result<(), Failed> {
        upload::complete(self, key, begun, parts).await
    }

    fn is_whole(&self, seen: &Seen, _: &Self::Begun, parts: &[Sent<Self::Part>]) -> bool {
        seen.sum.as_ref().is_none_or(|there| *there == sum::text(upload::sum(parts)))
    }

    async fn abandon(&self, key: &str, begun: &Self::Begun) -> Result<(), Failed> {
        upload::abandon(self, key, begun).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_permission() {
        let put = grant("InsertObject", "gs://lake/raw");
        assert!(
            put.contains("storage.objects.create") && put.contains("storage.objects.delete on gs://lake/raw"),
            "{put}"
        );
        assert!(grant("ListObjects", "gs://lake").starts_with("storage.objects.list on gs://lake"));
    }

    #[test]
    fn an_object_is_read_as_the_service_describes_it() {
        let text =
            r#"{"name":"a b","size":"12","generation":"1700000000000001","timeCreated":"2026-01-02T03:04:05.678Z"}"#;
        let found: Resource = serde_json::from_str(text).expect("an object");
        assert_eq!((found.size(), found.created()), (12, Micros(1_767_323_045_678_000)));
        let listing: Listing = serde_json::from_str(r#"{"kind":"storage#objects"}"#).expect("a listing");
        assert!(listing.items.is_empty() && listing.next_page_token.is_none());
    }
}

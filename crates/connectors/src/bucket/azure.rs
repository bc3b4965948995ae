//! Azure Blob Storage as a store behind a bucket: block blobs of one container.
//!
//! The SDK's own retries are off: trying again is `remote`'s to decide. Nothing that the service says goes into a text but
//! its error code. Blocks of an upload that is given up can't be removed by any call; nobody sees them, and the service drops
//! them after a week.

mod application;
mod credential;
mod error;
mod sign;
mod transport;

use async_trait::async_trait;
use azure_core::http::headers::HeaderName;
use azure_core::time::OffsetDateTime;
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlobClientGetPropertiesResultHeaders, BlobContainerClientListBlobsOptions,
    BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockOptions, BlockBlobClientUploadOptions,
    BlockLookupList, HttpRange,
};
use azure_storage_blob::{BlobClient, BlobContainerClient};
use bytes::Bytes;
use futures::stream::{StreamExt, TryStreamExt};
use std::num::NonZero;
use uuid::Uuid;
use waybill_model::Micros;
use waybill_model::plan::Azure;
use waybill_pipeline::ObjectMeta;
use waybill_pipeline::bucket::BucketResult;

use super::remote::{Answer, Ask, CALL, COMPLETE, Failed, Kind, PART, Page, Place, Remote, Seen, Sent, Store};
pub use credential::{Login, Way};
use error::call;

/// More than any blob holds: one request brings all that is asked for.
const UNPARTED: usize = 1 << 53;

/// A container of Azure Blob Storage.
pub type AzureBucket = Remote<AzureStore>;

/// The calls of Azure Blob Storage on one container.
pub struct AzureStore {
    client: BlobContainerClient,
    account: String,
    container: String,
    scope: Option<String>,
}

impl AzureBucket {
    /// Prepares access to a container. `memory` is the worker's budget: it sizes the parts of uploads.
    pub async fn connect(settings: &Azure, way: Way, memory: u64) -> BucketResult<Self> {
        let Azure { account, container, prefix, access } = settings;
        let client = credential::connect(settings, way).await?;
        let (account, container, scope) = (account.clone(), container.clone(), access.encryption_scope.clone());
        Ok(Self::new(AzureStore { client, account, container, scope }, prefix, memory))
    }
}

impl AzureStore {
    fn blob(&self, key: &str) -> BlobClient {
        self.client.blob_client(key)
    }
}

/// What an upload's blocks are named by: nobody else's have the same names.
#[derive(Clone)]
pub struct Begun(Uuid);

impl Begun {
    /// All names of one blob have the same length.
    fn block(&self, number: u32) -> Vec<u8> {
        [self.0.as_bytes().as_slice(), &number.to_be_bytes()].concat()
    }
}

/// What has to be granted: the action that a role needs, and the letter in a shared access signature.
fn grant(operation: &str, url: &str) -> String {
    let (action, letter) = match operation {
        "ListBlobs" => ("read", "rl"),
        "GetBlob" | "GetBlobProperties" => ("read", "r"),
        "DeleteBlob" => ("delete", "d"),
        _ => ("write", "cw"),
    };
    format!(
        "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/{action} on {url} (the role Storage Blob Data \
         Contributor has it; a shared access signature needs sp={letter})"
    )
}

fn micros(time: Option<OffsetDateTime>) -> Micros {
    Micros(time.map_or(0, |time| i64::try_from(time.unix_timestamp_nanos() / 1000).unwrap_or(0)))
}

/// Listings show the tag without the quotes that belong to it everywhere else.
fn quoted(etag: &str) -> String {
    if etag.starts_with('"') { etag.to_owned() } else { format!("\"{etag}\"") }
}

#[async_trait]
impl Store for AzureStore {
    const SERVICE: &'static str = "azure";
    const MOST_PARTS: u32 = 50_000;
    type Begun = Begun;
    type Part = ();

    fn root(&self) -> String {
        format!("azure://{}/{}", self.account, self.container)
    }

    fn grant(&self, operation: &str, url: &str) -> String {
        grant(operation, url)
    }

    async fn put(&self, key: &str, body: Bytes, is_new: bool) -> Result<(), Failed> {
        let options = BlockBlobClientUploadOptions {
            encryption_scope: self.scope.clone(),
            partition_size: NonZero::new(UNPARTED as u64),
            if_none_match: is_new.then(|| "*".into()),
            ..Default::default()
        };
        let (blob, bound) = (self.blob(key).block_blob_client(), if is_new { CALL } else { PART });
        call("PutBlob", bound, blob.upload(body.into(), Some(options))).await.map(|_| ())
    }

    async fn head(&self, key: &str) -> Result<Seen, Failed> {
        let blob = self.blob(key);
        let head = call("GetBlobProperties", CALL, blob.get_properties(None)).await?;
        let unread = |_| Failed::new(Kind::Unanswered, "GetBlobProperties", "an answer that can't be read");
        Ok(Seen {
            size: head.content_length().map_err(unread)?.unwrap_or(0),
            modified: micros(head.last_modified().map_err(unread)?),
            etag: head.etag().map_err(unread)?.map(|etag| quoted(etag.as_ref())).unwrap_or_default(),
            sum: None,
        })
    }

    async fn get(&self, ask: &Ask<'_>) -> Result<Answer, Failed> {
        let range = match (ask.from, ask.to) {
            (0, None) => None,
            (from, None) => Some(HttpRange::from(from..)),
            (from, Some(to)) => Some(HttpRange::from(from..to)),
        };
        let options = BlobClientDownloadOptions {
            range,
            if_match: ask.etag.map(Into::into),
            parallel: NonZero::new(1),
            partition_size: NonZero::new(UNPARTED),
            ..Default::default()
        };
        let blob = self.blob(ask.key);
        let answer = call("GetBlob", CALL, blob.download(Some(options))).await?;
        let broke = |_| Failed::new(Kind::Unanswered, "GetBlob", "the answer broke off");
        Ok(Answer {
            length: answer.properties.content_length,
            etag: answer.properties.etag.map(|etag| quoted(etag.as_ref())),
            is_range: answer.headers.get_optional_str(&HeaderName::from_static("content-range")).is_some(),
            body: answer.body.map_err(broke).boxed(),
        })
    }

    async fn page(&self, prefix: &str, _: Option<&str>, token: Option<&str>) -> Result<Page, Failed> {
        let options = BlobContainerClientListBlobsOptions {
            prefix: (!prefix.is_empty()).then(|| prefix.to_owned()),
            marker: token.map(str::to_owned),
            ..Default::default()
        };
        let page = call("ListBlobs", CALL, async {
            let page = self.client.list_blobs(Some(options))?.into_pages().try_next().await?;
            page.map(|page| page.into_model()).transpose()
        });
        let page = page.await?.unwrap_or_default();
        let objects = page.blob_items.into_iter().filter_map(|item| {
            let properties = item.properties.unwrap_or_default();
            Some(ObjectMeta {
                key: item.name?,
                size: properties.content_length.unwrap_or(0),
                modified: micros(properties.last_modified),
                etag: properties.etag.map(|etag| quoted(etag.as_ref())).unwrap_or_default(),
            })
        });
        Ok(Page { objects: objects.collect(), next: page.next_marker.filter(|marker| !marker.is_empty()) })
    }

    async fn delete(&self, key: &str) -> Result<(), Failed> {
        let blob = self.blob(key);
        call("DeleteBlob", CALL, blob.delete(None)).await.map(|_| ())
    }

    async fn begin(&self, _: &str) -> Result<Begun, Failed> {
        Ok(Begun(Uuid::new_v4()))
    }

    async fn part(&self, key: &str, begun: &Begun, place: Place, body: Bytes) -> Result<(), Failed> {
        let options = BlockBlobClientStageBlockOptions { encryption_scope: self.scope.clone(), ..Default::default() };
        let (blob, id, length) = (self.blob(key).block_blob_client(), begun.block(place.number), body.len() as u64);
        call("PutBlock", PART, blob.stage_block(&id, length, body.into(), Some(options))).await.map(|_| ())
    }

    async fn complete(&self, key: &str, begun: &Begun, parts: &[Sent<()>]) -> Result<(), Failed> {
        let latest = Some(parts.iter().map(|sent| begun.block(sent.number)).collect());
        let list = BlockLookupList { latest, ..Default::default() }.try_into();
        let list = list.map_err(|_| Failed::new(Kind::Other, "PutBlockList", "the list can't be written"))?;
        let scope = self.scope.clone();
        let options = BlockBlobClientCommitBlockListOptions { encryption_scope: scope, ..Default::default() };
        let blob = self.blob(key).block_blob_client();
        call("PutBlockList", COMPLETE, blob.commit_block_list(list, Some(options))).await.map(|_| ())
    }

    /// Each block was checked as it arrived, and the list names them all.
    fn is_whole(&self, _: &Seen, _: &Begun, _: &[Sent<()>]) -> bool {
        true
    }

    async fn abandon(&self, _: &str, _: &Begun) -> Result<(), Failed> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_action_and_what_a_signature_needs() {
        let put = grant("PutBlob", "azure://shop/lake/raw");
        assert!(put.contains("containers/blobs/write on azure://shop/lake/raw") && put.contains("sp=cw"), "{put}");
        assert!(grant("ListBlobs", "azure://shop/lake").contains("sp=rl"));
    }

    #[test]
    fn blocks_of_one_upload_have_names_of_one_length_that_nobody_else_has() {
        let (one, other) = (Begun(Uuid::new_v4()), Begun(Uuid::new_v4()));
        assert_eq!(one.block(1).len(), one.block(50_000).len());
        assert!(one.block(1) != one.block(2) && one.block(1) != other.block(1));
    }
}

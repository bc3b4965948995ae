//! The files of one stream: listed once, in the order of their names, each pinned to the state it was listed in.
//!
//! A fault names a file by its place and a hash of its key, with a line where there is one; never by what it holds.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use waybill_model::FailureCode;
use waybill_model::plan::{Csv, FileFormat, Json, StreamPlan};
use waybill_pipeline::bucket::BucketError;
use waybill_pipeline::{Bucket, Fault, FaultResult, ObjectMeta, TakenFile};

use super::content::Content;
use super::glob::Glob;
use super::inflate::Packing;
use super::zip;

/// The listed files of a stream and the place they are in.
pub(super) struct FileSet {
    pub(super) bucket: Arc<dyn Bucket>,
    pub(super) files: Vec<File>,
}

/// One file as it was listed.
#[derive(Clone)]
pub(super) struct File {
    pub(super) meta: ObjectMeta,
    pub(super) packing: Packing,
    pub(super) format: FileFormat,
    /// Its place in the set, from 1, and the size of the set.
    place: (usize, usize),
}

impl File {
    /// The same of this format, where a file that is packed so can be read in it.
    fn of_format(self, format: Option<FileFormat>) -> FaultResult<Self> {
        if self.packing == Packing::Refused {
            let text = "such archives are not read, nor what is packed twice: unpack it, compress single files with gzip (.gz) or \
                        zstd (.zst), or put them into one .zip";
            return Err(self.fault(FailureCode::ArchiveRefused, text));
        }
        let Some(format) = format else {
            let text = "its name does not tell its format: set `format` (csv, jsonl, json or parquet) on the stream";
            return Err(self.fault(FailureCode::SpecRefused, text));
        };
        if format == FileFormat::Parquet && self.packing != Packing::Plain {
            let text = "a Parquet file can't be read inside another compression: unpack it";
            return Err(self.fault(FailureCode::ArchiveRefused, text));
        }
        Ok(Self { format, ..self })
    }

    /// Bytes that hold it in the store.
    pub(super) const fn packed_size(&self) -> u64 {
        match self.packing {
            Packing::Entry(entry) => entry.packed,
            _ => self.meta.size,
        }
    }

    /// A fault that tells the file by its place and a hash of its key.
    pub(super) fn fault(&self, code: FailureCode, text: &str) -> Fault {
        Fault::new(code, format!("{}: {text}", self.mark()))
    }

    /// The same with a line.
    pub(super) fn fault_at(&self, code: FailureCode, line: u64, text: &str) -> Fault {
        Fault::new(code, format!("{}, line {line}: {text}", self.mark()))
    }

    fn mark(&self) -> String {
        let (at, of) = self.place;
        format!("file {at} of {of} in the order of names ({})", told(&self.meta.key))
    }
}

/// How a key is told without saying it.
pub(super) fn told(key: &str) -> String {
    format!("SHA-256 of its key begins {}", hex::encode(&Sha256::digest(key.as_bytes())[..8]))
}

impl FileSet {
    /// Lists what a stream names.
    pub(super) async fn list(bucket: &Arc<dyn Bucket>, stream: &StreamPlan) -> FaultResult<Self> {
        let mut listed = listed(bucket, stream, &pattern(stream)?).try_concat().await?;
        listed.sort_by(|a, b| a.key.as_bytes().cmp(b.key.as_bytes()));
        if listed.is_empty() {
            return Err(nothing_there());
        }
        Self::of(bucket, listed, stream.format.as_ref()).await
    }

    /// Takes listed files and finds out how each is packed and read; an archive becomes the files that are in it.
    pub(super) async fn of(
        bucket: &Arc<dyn Bucket>,
        listed: Vec<ObjectMeta>,
        format: Option<&FileFormat>,
    ) -> FaultResult<Self> {
        let mut found: Vec<(ObjectMeta, Packing, Option<FileFormat>)> = Vec::with_capacity(listed.len());
        for meta in listed {
            match kind_of(&meta.key) {
                (Packing::Zip, outer) => {
                    for (name, entry) in entries(bucket, &meta).await? {
                        let (packing, own) = kind_of(&name);
                        let packing = if packing == Packing::Plain { Packing::Entry(entry) } else { Packing::Refused };
                        found.push((meta.clone(), packing, own.or_else(|| outer.clone())));
                    }
                }
                (packing, own) => found.push((meta, packing, own)),
            }
        }
        let of = found.len();
        let mut files: Vec<File> = Vec::with_capacity(of);
        for (at, (meta, packing, own)) in found.into_iter().enumerate() {
            let file = File { meta, packing, format: FileFormat::Parquet, place: (at + 1, of) };
            let file = file.of_format(format.cloned().or(own))?;
            if files.first().is_some_and(|first| first.format != file.format) {
                let text = "its format is not that of the first file: narrow the pattern, or set `format`";
                return Err(file.fault(FailureCode::SpecRefused, text));
            }
            files.push(file);
        }
        Ok(Self { bucket: Arc::clone(bucket), files })
    }

    /// As a list of taken files knows them; an archive is one, whatever is in it.
    pub(super) fn taken(&self) -> Vec<TakenFile> {
        let mut taken: Vec<TakenFile> = Vec::with_capacity(self.files.len());
        for File { meta, .. } in &self.files {
            if taken.last().is_none_or(|last| last.key != meta.key) {
                let ObjectMeta { key, etag, size, .. } = meta.clone();
                taken.push(TakenFile { key, etag, size });
            }
        }
        taken
    }

    /// Begins to read a file from its start, pinned to the state it was listed in; whoever reads an entry of an archive confirms
    /// that at its end.
    pub(super) async fn content(&self, file: &File) -> FaultResult<Content> {
        if let Packing::Entry(entry) = file.packing {
            return Ok(Content::new(zip::read(&self.bucket, &file.meta.key, entry), file));
        }
        let stream = self.bucket.read(&file.meta.key, &file.meta.etag).await.map_err(read_fault)?;
        Ok(Content::new(stream.map(|part| part.map_err(read_fault)).boxed(), file))
    }

    /// Proves that a file is still what was listed.
    pub(super) async fn confirm(&self, file: &File) -> FaultResult<()> {
        if is_still(&self.bucket, &file.meta).await? {
            return Ok(());
        }
        Err(file.fault(FailureCode::SourceChanged, CHANGED))
    }

    /// The right fault for a file that could not be read: that it changed, if it did.
    pub(super) async fn blame(&self, file: &File, fault: Fault) -> Fault {
        self.confirm(file).await.err().unwrap_or(fault)
    }

    /// What this set is called in a receipt: a hash over keys, sizes and ETags.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for File { meta, .. } in &self.files {
            for part in [meta.key.as_str(), meta.etag.as_str()] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
            hash.update(meta.size.to_be_bytes());
        }
        format!("files:{}:sha256:{}", self.files.len(), hex::encode(hash.finalize()))
    }
}

const CHANGED: &str = "it changed or vanished while the run read it";

async fn is_still(bucket: &Arc<dyn Bucket>, meta: &ObjectMeta) -> FaultResult<bool> {
    let now = bucket.head(&meta.key).await.map_err(read_fault)?;
    Ok(now.is_some_and(|now| now.etag == meta.etag && now.size == meta.size))
}

/// What is in an archive as it was listed.
async fn entries(bucket: &Arc<dyn Bucket>, meta: &ObjectMeta) -> FaultResult<Vec<(String, zip::Entry)>> {
    match zip::entries(&**bucket, meta).await {
        Err(_) if !is_still(bucket, meta).await? => {
            Err(Fault::new(FailureCode::SourceChanged, format!("an archive ({}): {CHANGED}", told(&meta.key))))
        }
        found => found,
    }
}

/// What a stream names.
pub(super) fn pattern(stream: &StreamPlan) -> FaultResult<Glob> {
    Glob::read(&stream.name).map_err(|text| Fault::new(FailureCode::SpecRefused, text))
}

/// What is there of what a stream names, page by page; folders are no files.
pub(super) fn listed<'a>(
    bucket: &'a Arc<dyn Bucket>,
    stream: &'a StreamPlan,
    glob: &'a Glob,
) -> BoxStream<'a, FaultResult<Vec<ObjectMeta>>> {
    if !glob.is_pattern() {
        let one = async { Ok(bucket.head(&stream.name).await.map_err(read_fault)?.into_iter().collect()) };
        return stream::once(one).boxed();
    }
    let meant = |mut page: Vec<ObjectMeta>| {
        page.retain(|meta| glob.means(&meta.key) && !meta.key.ends_with('/'));
        page
    };
    bucket.pages(glob.prefix()).map(move |page| page.map(meant).map_err(read_fault)).boxed()
}

pub(super) fn nothing_there() -> Fault {
    let text = "no file has this name or fits this pattern below the connection's url";
    Fault::new(FailureCode::StreamNotFound, text)
}

/// How a file is packed and what is in it, by the ends of its name.
pub(super) fn kind_of(key: &str) -> (Packing, Option<FileFormat>) {
    let name = key.rsplit('/').next().unwrap_or(key).to_ascii_lowercase();
    let (packing, inner) = Packing::of(&name);
    let format = match inner.rsplit_once('.').map(|(_, end)| end) {
        Some("csv") => Some(FileFormat::Csv(Csv::default())),
        Some("tsv") => Some(FileFormat::Csv(Csv { delimiter: '\t', ..Csv::default() })),
        Some("jsonl" | "ndjson") => Some(FileFormat::Jsonl(Json::default())),
        Some("json") => Some(FileFormat::Json(Json::default())),
        Some("parquet" | "pq") => Some(FileFormat::Parquet),
        _ => None,
    };
    (packing, format)
}

/// A bucket's failure as that of a source.
pub(super) fn read_fault(error: BucketError) -> Fault {
    Fault { code: code_of_source(error.code), sqlstate: None, text: error.text }
}

/// What a failure means of a bucket that is only read from.
#[must_use]
pub fn of_source(fault: Fault) -> Fault {
    Fault { code: code_of_source(fault.code), ..fault }
}

const fn code_of_source(code: FailureCode) -> FailureCode {
    match code {
        FailureCode::BucketUnreachable => FailureCode::SourceUnreachable,
        FailureCode::BucketDenied => FailureCode::SourceDenied,
        FailureCode::BucketFailed | FailureCode::BucketThrottled => FailureCode::SourceFailed,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_packing_and_format() {
        assert!(matches!(kind_of("a/B.CSV"), (Packing::Plain, Some(FileFormat::Csv(_)))));
        assert!(matches!(kind_of("b.jsonl.gz"), (Packing::Gzip, Some(FileFormat::Jsonl(_)))));
        assert!(matches!(kind_of("b.tsv.zst"), (Packing::Zstd, Some(FileFormat::Csv(Csv { delimiter: '\t', .. })))));
        assert!(matches!(kind_of("b.json.gz"), (Packing::Gzip, Some(FileFormat::Json(_)))));
        assert!(matches!(kind_of("b.parquet"), (Packing::Plain, Some(FileFormat::Parquet))));
        assert!(matches!(kind_of("data"), (Packing::Plain, None)));
        for zip in ["a.zip", "a.CSV.zip"] {
            assert_eq!(kind_of(zip).0, Packing::Zip, "{zip}");
        }
        for refused in
            ["a.csv.gz.zip", "a.zip.zip", "a.tar.zip", "a.tar.gz", "a.tgz", "a.7z", "a.csv.bz2", "a.csv.gz.zst"]
        {
            assert_eq!(kind_of(refused).0, Packing::Refused, "{refused}");
        }
    }
}

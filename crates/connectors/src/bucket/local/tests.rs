//! The local bucket against full disks, odd keys and other writers.

use std::os::unix::fs::symlink;

use futures::StreamExt;
use waybill_pipeline::conformance;

use super::*;

fn bucket() -> (tempfile::TempDir, LocalBucket) {
    let dir = tempfile::tempdir().expect("a directory");
    let bucket = LocalBucket::open(dir.path()).expect("a bucket");
    (dir, bucket)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_conformance_suite_holds() {
    let (_dir, bucket) = bucket();
    conformance::bucket::run(Arc::new(bucket)).await;
}

#[tokio::test]
async fn h31_keys_that_could_leave_the_root_are_refused() {
    let (dir, bucket) = bucket();
    let outside = tempfile::tempdir().expect("another directory");
    std::fs::write(outside.path().join("secret"), "x").expect("a file outside");
    symlink(outside.path(), dir.path().join("link")).expect("a link to a directory");
    symlink(outside.path().join("secret"), dir.path().join("file")).expect("a link to a file");
    let long = "k".repeat(1025);
    let part = format!("a/{}", "k".repeat(256));
    for key in ["../secret", "a/../../secret", "/etc/passwd", "a//b", "a/./b", "", "a\nb", "a\0b", &long, &part] {
        assert!(bucket.put_if_absent(key, Bytes::from_static(b"x")).await.is_err(), "{key:?}");
        assert!(bucket.get(key, 10).await.is_err(), "{key:?}");
        assert!(bucket.upload(key).await.is_err(), "{key:?}");
        assert!(bucket.delete(key).await.is_err(), "{key:?}");
    }
    for key in ["link/secret", "link/new", "file"] {
        assert!(bucket.get(key, 10).await.is_err(), "{key}");
    }
    assert!(bucket.put_if_absent("link/new", Bytes::from_static(b"x")).await.is_err());
    assert_eq!(bucket.put_if_absent("file", Bytes::from_static(b"x")).await.expect("an answer"), Put::Exists);
    assert_eq!(std::fs::read_dir(outside.path()).expect("outside").count(), 1);
    let refused = bucket.list("link", None).await.map_err(|error| error.code);
    assert_eq!(refused.err(), Some(FailureCode::BucketDenied));
}

#[tokio::test]
async fn h31_a_file_that_changes_while_it_is_read_ends_in_source_changed() {
    let (dir, bucket) = bucket();
    let path = dir.path().join("a.csv");
    std::fs::write(&path, vec![b'x'; CHUNK * 2]).expect("a file");
    let etag = bucket.head("a.csv").await.expect("head").expect("the file").etag;
    let mut chunks = bucket.read("a.csv", &etag).await.expect("a stream");
    assert_eq!(chunks.next().await.expect("a chunk").expect("bytes").len(), CHUNK);
    std::fs::write(&path, vec![b'y'; CHUNK * 2 + 1]).expect("a rewrite");
    let end = chunks.next().await.expect("an end").map_err(|error| error.code);
    assert_eq!(end.err(), Some(FailureCode::SourceChanged));
    let late = bucket.read("a.csv", &etag).await.expect("a stream").next().await.expect("an end");
    assert_eq!(late.map_err(|error| error.code).err(), Some(FailureCode::SourceChanged));
}

#[tokio::test]
async fn temporary_files_are_not_listed_and_go_with_their_upload() {
    let (dir, bucket) = bucket();
    let mut upload = bucket.upload("t/data/a.parquet").await.expect("an upload");
    upload.write(Bytes::from_static(b"abc")).await.expect("a write");
    assert!(bucket.list("", None).await.expect("a listing").is_empty());
    drop(upload);
    assert_eq!(std::fs::read_dir(dir.path().join("t/data")).expect("the directory").count(), 0);
}

#[test]
fn f39_a_full_disk_has_its_own_code() {
    for errno in [Errno::NOSPC, Errno::DQUOT] {
        let error = place::failure(&os(errno), "write", "a");
        assert_eq!(error.code, FailureCode::BucketFull);
        assert!(!error.outcome_unknown);
    }
    assert_eq!(place::failure(&os(Errno::ROFS), "write", "a").code, FailureCode::BucketDenied);
}

#[tokio::test]
async fn of_many_writers_of_one_key_exactly_one_creates_it() {
    let (_dir, bucket) = bucket();
    for round in 0..20 {
        let key = format!("t/_delta_log/{round:020}.json");
        let puts = (0..8).map(|n| {
            let (bucket, key) = (bucket.clone(), key.clone());
            tokio::spawn(async move { bucket.put_if_absent(&key, Bytes::from(format!("writer {n}"))).await })
        });
        let answers = futures::future::join_all(puts).await;
        let created = answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(Put::Created)))).count();
        assert_eq!(created, 1);
    }
}

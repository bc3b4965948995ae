//! What the tests of buckets behind HTTP share: bytes, uploads, short waits, and faults in a line.

use std::time::Duration;

use bytes::Bytes;
use waybill_connectors::bucket::remote::Patience;
use waybill_pipeline::{Bucket, BucketError};
use waybill_tests::services::s3_proxy::{Break, Rule};

pub(crate) const MIB: usize = 1 << 20;

/// Waits in tests are short; how often calls are tried again is as in production.
pub(crate) const PATIENCE: Patience = Patience {
    tries: 8,
    first_wait: Duration::from_millis(1),
    longest_wait: Duration::from_millis(20),
    throttled_for: Duration::from_secs(30),
};

pub(crate) const fn rule(method: &'static str, holds: &'static str, times: usize, breaks: Break) -> Rule {
    Rule { method, holds, times, breaks }
}

/// Bytes that differ everywhere.
pub(crate) fn content(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_u32;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| byte()).collect::<Vec<u8>>().into()
}

pub(crate) async fn upload(bucket: &dyn Bucket, key: &str, body: &Bytes) -> Result<u64, BucketError> {
    let mut upload = bucket.upload(key).await?;
    for at in (0..body.len()).step_by(MIB) {
        upload.write(body.slice(at..body.len().min(at + MIB))).await?;
    }
    upload.finish().await
}

pub(crate) async fn stored(bucket: &dyn Bucket, key: &str) -> Bytes {
    bucket.get(key, 1 << 30).await.expect("a get").expect("an object")
}

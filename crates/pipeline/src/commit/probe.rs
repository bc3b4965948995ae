//! Whether a store keeps its word on conditional creation, asked before anything is trusted to it.

use bytes::Bytes;
use waybill_model::FailureCode;

use crate::bucket::{Bucket, Put};
use crate::commit::write::Patience;
use crate::fault::{Fault, FaultResult};

/// Creates an object twice under one new key. A store that lets the second one through is `bucket_unconditional`: no
/// commit there would be safe. The object is removed again.
pub async fn probe_conditions(bucket: &dyn Bucket) -> FaultResult<()> {
    let key = format!("_waybill/probe/{}", uuid::Uuid::new_v4());
    let answer = probe(bucket, &key).await;
    let removed = bucket.delete(&key).await;
    answer?;
    Ok(removed?)
}

async fn probe(bucket: &dyn Bucket, key: &str) -> FaultResult<()> {
    if put(bucket, key, b"first").await? != Put::Created {
        return Err(unconditional("says that a new object exists already"));
    }
    if put(bucket, key, b"second").await? != Put::Exists {
        return Err(unconditional("replaced an object that was to be created only if absent"));
    }
    match bucket.get(key, 64).await? {
        Some(body) if body.as_ref() == b"first" => Ok(()),
        Some(_) => Err(unconditional("answered that the object exists, and replaced it")),
        None => Err(unconditional("does not show an object that it has just created")),
    }
}

fn unconditional(what: &str) -> Fault {
    Fault::new(FailureCode::BucketUnconditional, format!("the store {what}"))
}

async fn put(bucket: &dyn Bucket, key: &str, body: &'static [u8]) -> FaultResult<Put> {
    let mut patience = Patience::new();
    loop {
        match bucket.put_if_absent(key, Bytes::from_static(body)).await? {
            Put::Conflict if patience.wait().await => {}
            answer => return Ok(answer),
        }
    }
}

//! Whether a store keeps its word on conditional creation, asked before anything is trusted to it.

use bytes::Bytes;
use waybill_model::FailureCode;

use crate::bucket::{Bucket, Put};
use crate::commit::write::Patience;
use crate::fault::{Fault, FaultResult};

const REPLACED: &str = "replaced an object that was to be created only if absent";

/// Creates an object twice under one new key. A store that lets the second one through is `bucket_unconditional`: no
/// commit there would be safe. The object is removed again.
pub async fn probe_conditions(bucket: &dyn Bucket) -> FaultResult<()> {
    let key = format!("_waybill/probe/{}", uuid::Uuid::new_v4());
    let answer = probe(bucket, &key).await;
    let removed = bucket.delete(&key).await;
    answer?;
    Ok(removed?)
}

/// Asks to create an object that is there, with the bytes that it has. An answer that did not come is asked for again.
pub(crate) async fn must_exist(bucket: &dyn Bucket, key: &str, body: &Bytes) -> FaultResult<()> {
    let mut patience = Patience::new();
    loop {
        return match bucket.put_if_absent(key, body.clone()).await {
            Ok(Put::Exists) => Ok(()),
            Ok(Put::Created) => Err(unconditional(REPLACED)),
            Ok(Put::Conflict) if patience.wait().await => continue,
            Ok(Put::Conflict) => Err(Fault::new(FailureCode::BucketFailed, "the store kept answering conflict")),
            Err(error) if error.outcome_unknown && patience.wait().await => continue,
            Err(error) => Err(error.into()),
        };
    }
}

async fn probe(bucket: &dyn Bucket, key: &str) -> FaultResult<()> {
    if put(bucket, key, &Bytes::from_static(b"first")).await? != Put::Created {
        return Err(unconditional("says that a new object exists already"));
    }
    if put(bucket, key, &Bytes::from_static(b"second")).await? != Put::Exists {
        return Err(unconditional(REPLACED));
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

async fn put(bucket: &dyn Bucket, key: &str, body: &Bytes) -> FaultResult<Put> {
    let mut patience = Patience::new();
    loop {
        match bucket.put_if_absent(key, body.clone()).await? {
            Put::Conflict if patience.wait().await => {}
            answer => return Ok(answer),
        }
    }
}

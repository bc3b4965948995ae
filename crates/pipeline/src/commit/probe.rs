//! Whether a store keeps its word on conditional creation, asked before anything is trusted to it.

use bytes::Bytes;
use uuid::Uuid;
use waybill_model::FailureCode;

use crate::bucket::{Bucket, Put};
use crate::commit::write::Patience;
use crate::fault::{Fault, FaultResult};

const FIRST: Bytes = Bytes::from_static(b"first");
const REPLACED: &str = "replaced an object that was to be created only if absent";

/// The one object that a probe leaves, so that no check needs leave to delete.
const KEY: &str = "_waybill/probe/conditions";

/// Asks twice to create one object. A store that lets the second one through is `bucket_unconditional`: no commit there would
/// be safe. The object stays: the next probe finds it, and asks for nothing more than a run does. What an earlier probe left in it
/// makes no difference, so that a store that was mended, or a bucket that was moved, is sound again.
pub async fn probe_conditions(bucket: &dyn Bucket) -> FaultResult<()> {
    put(bucket, KEY, &FIRST).await?;
    let before = held(bucket).await?;
    let second = Bytes::from(format!("second {}", Uuid::new_v4()));
    if put(bucket, KEY, &second).await? != Put::Exists {
        return Err(unconditional(REPLACED));
    }
    if held(bucket).await? != before {
        return Err(unconditional("answered that the object exists, and replaced it"));
    }
    Ok(())
}

/// What the object holds.
async fn held(bucket: &dyn Bucket) -> FaultResult<Bytes> {
    let held = bucket.get(KEY, 64).await?;
    held.ok_or_else(|| unconditional("does not show an object that it says is there"))
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

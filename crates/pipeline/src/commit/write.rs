//! Small objects that are written once: waiting between tries, and settling what a failed write did.

use std::time::Duration;

use bytes::Bytes;
use waybill_model::FailureCode;
use waybill_model::size::show_bytes;

use crate::bucket::{Bucket, Put};
use crate::fault::{Fault, FaultResult};

/// Tries of one object before it is given up.
const TRIES: u32 = 8;
/// The first wait; it doubles up to 64 times this.
const FIRST: Duration = Duration::from_millis(40);

/// Waits with full jitter, a bounded number of times.
pub(crate) struct Patience {
    tried: u32,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self { tried: 0 }
    }

    /// Waits, or says that it was enough.
    pub(crate) async fn wait(&mut self) -> bool {
        self.tried += 1;
        if self.tried >= TRIES {
            return false;
        }
        let most = FIRST * (1 << self.tried.min(6));
        tokio::time::sleep(most.mul_f64(rand::random::<f64>())).await;
        true
    }
}

/// Refuses what nobody could read again: readers have a cap, and what has landed beyond it would end the table. With what else
/// there is to say of it.
pub(crate) fn readable(what: &str, body: &Bytes, cap: u64, more: &str) -> FaultResult<()> {
    if body.len() as u64 <= cap {
        return Ok(());
    }
    let (size, cap) = (show_bytes(body.len() as u64), show_bytes(cap));
    let text = format!("{what} would take {size}, and at most {cap} can be read again: it names too many files{more}");
    Err(Fault::new(FailureCode::CommitTooLarge, text))
}

/// Puts an object that only this attempt writes. The same bytes there already are as good as new ones; others are
/// `commit_unknown`, since this epoch has prepared something else before.
pub(crate) async fn put_once(bucket: &dyn Bucket, key: &str, body: Bytes) -> FaultResult<()> {
    if put_first(bucket, key, body).await? {
        return Ok(());
    }
    let text = format!("{key} holds another record of this epoch; the next attempt gets an epoch of its own");
    Err(Fault::new(FailureCode::CommitUnknown, text))
}

/// Puts an object unless there is one, and finds out what became of it where no answer came. Whether these bytes are there now.
pub(crate) async fn put_first(bucket: &dyn Bucket, key: &str, body: Bytes) -> FaultResult<bool> {
    let mut patience = Patience::new();
    loop {
        let (wait, last) = match bucket.put_if_absent(key, body.clone()).await {
            Ok(Put::Created) => return Ok(true),
            Ok(Put::Exists) => {
                let found = bucket.get(key, body.len() as u64).await;
                return Ok(matches!(found, Ok(Some(found)) if found == body));
            }
            Ok(Put::Conflict) => {
                (patience.wait().await, Fault::new(FailureCode::BucketFailed, "the store kept answering conflict"))
            }
            Err(error) if error.outcome_unknown => (patience.wait().await, Fault::from(error)),
            Err(error) => return Err(error.into()),
        };
        if !wait {
            return Err(last);
        }
    }
}

//! HMAC-SHA-256 under a key that stays in the customer's bucket.
//!
//! A digest that leaves can't be turned back into a short value by guessing, and a record that was edited by somebody
//! without the key is noticed. The key itself has no `Debug`.

use aws_lc_rs::hmac;
use bytes::Bytes;
use waybill_model::FailureCode;

use crate::bucket::Bucket;
use crate::commit::write::Patience;
use crate::commit::{key, probe};
use crate::fault::{Fault, FaultResult};

/// Bytes of the key.
const LENGTH: usize = 32;

/// The digest key of one connection.
#[derive(Clone)]
pub(crate) struct DigestKey(hmac::Key);

impl DigestKey {
    /// Reads the key, if there is one.
    pub(crate) async fn find(bucket: &dyn Bucket) -> FaultResult<Option<Self>> {
        Ok(read(bucket).await?.map(|bytes| Self::of(&bytes)))
    }

    /// Reads the key, or makes it; of two that make it at once, both get the first one's. The store has to refuse to make
    /// the key that is there once more: one that takes it does not mind the condition, and no commit on it would be safe.
    pub(crate) async fn find_or_make(bucket: &dyn Bucket) -> FaultResult<Self> {
        let mut patience = Patience::new();
        loop {
            if let Some(found) = read(bucket).await? {
                // The same bytes: nothing is lost where they are taken.
                probe::must_exist(bucket, key::DIGEST_KEY, &found).await?;
                return Ok(Self::of(&found));
            }
            let fresh: [u8; LENGTH] = rand::random();
            match bucket.put_if_absent(key::DIGEST_KEY, Bytes::copy_from_slice(&fresh)).await {
                Ok(_) => {}
                Err(error) if error.outcome_unknown => {}
                Err(error) => return Err(error.into()),
            }
            if !patience.wait().await {
                return Err(Fault::new(FailureCode::BucketFailed, "the digest key could not be made"));
            }
        }
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The digest of `parts` one after the other, apart from every other `purpose`.
    pub(crate) fn digest(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        for part in parts {
            context.update(part);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

async fn read(bucket: &dyn Bucket) -> FaultResult<Option<Bytes>> {
    let Some(bytes) = bucket.get(key::DIGEST_KEY, 1024).await? else { return Ok(None) };
    if bytes.len() != LENGTH {
        let text = format!("{} must hold {LENGTH} bytes and holds {}", key::DIGEST_KEY, bytes.len());
        return Err(Fault::new(FailureCode::CommitLogCorrupt, text));
    }
    Ok(Some(bytes))
}

/// A JSON object that carries a digest of itself as its first member.
pub(crate) struct Sealed;

impl Sealed {
    /// Puts the seal in front: `head` is what the text begins with up to the seal's value, `object` the JSON object
    /// without its opening brace and everything behind it.
    pub(crate) fn write(key: &DigestKey, purpose: &str, head: &str, object: &str) -> ([u8; 32], String) {
        let seal = key.digest(purpose, &[object.as_bytes()]);
        (seal, format!("{head}{}\",{object}", hex::encode(seal)))
    }

    /// The seal, if the text is as it was written; none if it was edited.
    pub(crate) fn read(key: &DigestKey, purpose: &str, head: &str, text: &str) -> Option<[u8; 32]> {
        let rest = text.strip_prefix(head)?;
        let (seal, rest) = (rest.get(..64)?, rest.get(64..)?);
        let object = rest.strip_prefix("\",")?;
        let right = key.digest(purpose, &[object.as_bytes()]);
        (hex::encode(right) == seal).then_some(right)
    }
}

/// A digest from its hex form.
pub(crate) fn parse(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

//! Signed plans: an Ed25519 signature over the canonical bytes of one plan and the time at which it ends.
//!
//! The private key stays with whoever signs; the guard holds the public one. Nobody between the two can change a plan, put
//! its keys in another order, or hold the signature longer than it was made for.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use waybill_model::Micros;

use crate::guard::{Guard, Reason, Refusal, Signer};

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// What every signature begins with.
const VERSION: &str = "wbs1";
/// No signature is longer.
const LONGEST: usize = 200;

/// Why a key or a signature can't be used. The text itself is never repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// Not `ed25519:` and 32 bytes in base64.
    #[error("this is no public key: it has the form ed25519:… as `waybill sign keygen` prints it")]
    PublicKey,
    /// Not a PEM file with an Ed25519 key.
    #[error("this is no private key: `waybill sign keygen` makes one, as a PEM file with an Ed25519 key")]
    PrivateKey,
    /// The system's random source failed.
    #[error("no key could be made: the system's random source failed")]
    Random,
}

/// A key that signs. It can't be printed.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<Self, SignError> {
        Ed25519KeyPair::generate().map(Self).map_err(|_| SignError::Random)
    }

    /// Reads a PEM file in PKCS#8.
    pub fn read(pem: &str) -> Result<Self, SignError> {
        let body =
            pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END)).ok_or(SignError::PrivateKey)?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| SignError::PrivateKey)?;
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map(Self).map_err(|_| SignError::PrivateKey)
    }

    /// The PEM file of this key, to be kept where only its owner can read it.
    pub fn to_pem(&self) -> Result<String, SignError> {
        let der = self.0.to_pkcs8v1().map_err(|_| SignError::PrivateKey)?;
        Ok(format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der.as_ref())))
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs the canonical bytes of a plan until `expires`.
    #[must_use]
    pub fn sign(&self, plan: &[u8], expires: Micros) -> String {
        let signature = self.0.sign(&message(plan, expires));
        let encoded = URL_SAFE_NO_PAD.encode(signature.as_ref());
        format!("{VERSION}.{}.{}.{encoded}", self.public().id(), expires.0)
    }
}

/// What is signed: a text that nothing else begins with, the end, and the plan.
fn message(plan: &[u8], expires: Micros) -> Vec<u8> {
    [format!("waybill plan signature v1\n{}\n", expires.0).as_bytes(), plan].concat()
}

/// A key that signatures are checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// A short name of the key, as a signature bears it.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(&Sha256::digest(self.0)[..8])
    }
}

impl FromStr for PublicKey {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        let bytes = text.strip_prefix("ed25519:").and_then(|key| STANDARD.decode(key).ok());
        bytes.and_then(|bytes| bytes.try_into().ok()).map(Self).ok_or(SignError::PublicKey)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", STANDARD.encode(self.0))
    }
}

/// A signature's parts, not yet checked.
struct Parts<'s> {
    key: &'s str,
    expires: Micros,
    signature: Vec<u8>,
}

fn split(text: &str) -> Option<Parts<'_>> {
    let mut parts = text.split('.');
    let (version, key, expires) = (parts.next()?, parts.next()?, parts.next()?);
    let signature = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    // A number in another spelling would be another text with the same meaning.
    let number: i64 = expires.parse().ok().filter(|number: &i64| number.to_string() == expires)?;
    let fits = text.len() <= LONGEST && version == VERSION && parts.next().is_none() && signature.len() == 64;
    fits.then_some(Parts { key, expires: Micros(number), signature })
}

/// Whether a text has the form of a signature, and until when it counts.
#[must_use]
pub fn signature_end(text: &str) -> Option<Micros> {
    split(text).map(|parts| parts.expires)
}

/// Checks a signature over the bytes of a plan as they came, against the guard's signers. Returns whose it is.
pub fn verify<'g>(guard: &'g Guard, plan: &[u8], signature: &str, now: Micros) -> Result<&'g Signer, Refusal> {
    let refuse = |reason, message: &str| Err(guard.refusal(reason, "signers", message.to_owned(), None));
    let Some(parts) = split(signature) else {
        return refuse(Reason::SignatureInvalid, "the signature has not the form of one");
    };
    let Some(signer) = guard.signers.iter().find(|signer| signer.key.id() == parts.key) else {
        return refuse(Reason::Signer, "the signature's key is none of the signers'");
    };
    let key = UnparsedPublicKey::new(&ED25519, signer.key.0);
    if key.verify(&message(plan, parts.expires), &parts.signature).is_err() {
        return refuse(Reason::SignatureInvalid, "the signature does not fit the plan: one of the two was changed");
    }
    if signer.expires.is_some_and(|expires| expires <= now) {
        return refuse(Reason::Signer, &format!("the time of signer `{}` is over", signer.name));
    }
    if parts.expires <= now {
        let message = format!("the signature ended at {}: sign the plan again", parts.expires.to_rfc3339());
        return refuse(Reason::SignatureExpired, &message);
    }
    Ok(signer)
}

/// What the guard says of a plan's signature: nothing where it asks for none or the signature counts.
#[must_use]
pub fn check_signature(guard: &Guard, plan: &[u8], signature: Option<&str>, now: Micros) -> Option<Refusal> {
    if !guard.require_signed_specs {
        return None;
    }
    match signature {
        Some(signature) => verify(guard, plan, signature, now).err(),
        None => {
            let message = "only signed plans are run here, and this one bears no signature".to_owned();
            let fix = Some("sign the pipeline file with `waybill sign`, then apply it again".to_owned());
            Some(guard.refusal(Reason::Unsigned, "require_signed_specs", message, fix))
        }
    }
}

#[cfg(test)]
mod tests;

//! The private key by which the worker logs in at an SSH server.
//!
//! The text is a secret: what is wrong with it is said in our own words, by the reference that led to it. RSA keys sign here,
//! with the one crypto library of the worker.

use std::sync::Arc;

use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA512};
use num_bigint::BigUint;
use russh::Signer;
use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::key::PrivateKeyWithHashAlg;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::Mpint;
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair};
use russh::keys::ssh_key::public::{KeyData, RsaPublicKey};
use russh::keys::{HashAlg, PrivateKey, PublicKey, decode_secret_key};
use russh::{Error, SendError};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use waybill_model::FailureCode;
use waybill_model::secret::SecretRef;
use waybill_pipeline::{Fault, FaultResult};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;
use zeroize::Zeroizing;

use super::Session;

/// A key that can sign.
pub(super) enum Key {
    Curve(Arc<PrivateKey>),
    Rsa(Box<Rsa>),
}

/// An RSA key and how the server knows it.
pub(super) struct Rsa {
    pair: RsaKeyPair,
    public: PublicKey,
}

impl Key {
    pub(super) fn read(reference: &SecretRef, text: &str) -> FaultResult<Self> {
        let unusable = |why: &str| Fault::new(FailureCode::SecretUnresolved, format!("`ssh.key` {reference} {why}"));
        if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(unusable(LOCKED));
        }
        if let Some(rsa) = Rsa::of_pem(text) {
            return Ok(Self::Rsa(Box::new(rsa)));
        }
        let key = decode_secret_key(text, None).map_err(|error| match error {
            russh::keys::Error::KeyIsEncrypted => unusable(LOCKED),
            _ => unusable("holds no private key in the form of OpenSSH or PEM: Ed25519, ECDSA or RSA"),
        })?;
        match key.key_data() {
            KeypairData::Encrypted(_) => Err(unusable(LOCKED)),
            KeypairData::Rsa(pair) => match Rsa::of_openssh(pair) {
                Some(rsa) => Ok(Self::Rsa(Box::new(rsa))),
                None => Err(unusable("holds an RSA key that can't be used: it needs 2048 bits or more")),
            },
            KeypairData::Ed25519(_) | KeypairData::Ecdsa(_) => Ok(Self::Curve(Arc::new(key))),
            _ => Err(unusable("holds a key of a kind that is not taken: Ed25519, ECDSA and RSA are")),
        }
    }

    /// Logs in with it.
    pub(super) async fn prove(&self, session: &mut Session, user: &str) -> Result<AuthResult, Unproven> {
        match self {
            Self::Curve(key) => {
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), None);
                Ok(session.authenticate_publickey(user, key).await?)
            }
            Self::Rsa(rsa) => {
                let hash = Some(HashAlg::Sha512);
                session.authenticate_publickey_with(user, rsa.public.clone(), hash, &mut Signing(rsa)).await
            }
        }
    }
}

const LOCKED: &str = "is encrypted with a passphrase: keep it in the clear where the reference leads, as \
                      `ssh-keygen -p -N '' -f KEY` leaves it";

impl Rsa {
    fn of_pem(text: &str) -> Option<Self> {
        let pair = match PrivateKeyDer::from_pem_slice(text.as_bytes()).ok()? {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return None,
        };
        Self::of(pair.ok()?)
    }

    /// OpenSSH's own form leaves out what follows from the rest.
    fn of_openssh(given: &RsaKeypair) -> Option<Self> {
        let bytes = |number: &Mpint| Some(Zeroizing::new(number.as_positive_bytes()?.to_vec()));
        let private = given.private();
        let (d, p, q) = (bytes(private.d())?, bytes(private.p())?, bytes(private.q())?);
        let exponent = |prime: &[u8]| {
            Zeroizing::new((BigUint::from_bytes_be(&d) % (BigUint::from_bytes_be(prime) - 1_u8)).to_bytes_be())
        };
        let (first, second, inverse) = (exponent(&p), exponent(&q), bytes(private.iqmp())?);
        let (n, e) = (bytes(given.public().n())?, bytes(given.public().e())?);
        let public_key = PublicKeyComponents { n: n.as_slice(), e: e.as_slice() };
        let pair = RsaKeyPair::from_components(&KeyPairComponents {
            public_key,
            d: d.as_slice(),
            p: p.as_slice(),
            q: q.as_slice(),
            dP: first.as_slice(),
            dQ: second.as_slice(),
            qInv: inverse.as_slice(),
        });
        Self::of(pair.ok()?)
    }

    fn of(pair: RsaKeyPair) -> Option<Self> {
        let (_, known) = RSAPublicKey::from_der(pair.public_key().as_ref()).ok()?;
        let number = |bytes: &[u8]| Mpint::from_positive_bytes(bytes.strip_prefix(&[0]).unwrap_or(bytes));
        let public = RsaPublicKey::new(number(known.exponent), number(known.modulus)).ok()?;
        Some(Self { pair, public: PublicKey::from(KeyData::Rsa(public)) })
    }
}

/// The session ended, or nothing could be signed.
pub(super) struct Unproven;

impl From<Error> for Unproven {
    fn from(_: Error) -> Self {
        Self
    }
}

impl From<SendError> for Unproven {
    fn from(_: SendError) -> Self {
        Self
    }
}

/// Signs what the server wants signed.
struct Signing<'k>(&'k Rsa);

impl Signer for Signing<'_> {
    type Error = Unproven;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        _: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, Unproven> {
        let mut signature = vec![0; self.0.pair.public_modulus_len()];
        let random = aws_lc_rs::rand::SystemRandom::new();
        self.0.pair.sign(&RSA_PKCS1_SHA512, &random, &to_sign, &mut signature).map_err(|_| Unproven)?;
        let name = "rsa-sha2-512";
        let length = name.len() + signature.len() + 8;
        (|| {
            length.encode(&mut to_sign)?;
            name.encode(&mut to_sign)?;
            signature.encode(&mut to_sign)
        })()
        .map_err(|_| Unproven)?;
        Ok(to_sign)
    }
}

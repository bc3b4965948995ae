//! What the product does, one module for each noun: permission has been checked, the store has not been asked yet.
//!
//! A change and its audit entry are one transaction. Nothing here knows HTTP beyond the problem code of a refusal.

use std::time::Duration;

use sha2::{Digest, Sha256};
use waybill_api::problem::FieldError;
use waybill_api::{Problem, ProblemCode};
use waybill_store::{IdempotencyKey, KeptAnswer, Store, StoreError, Tx};

pub mod access;
pub mod account;
pub mod agent;
pub mod attempt;
pub mod audit;
pub mod bounds;
pub mod connection;
pub mod cron;
pub mod data_plane;
pub mod document;
mod endpoint;
pub mod invitation;
pub mod key;
pub mod member;
pub mod note;
pub mod nudge;
pub mod password;
pub mod pipeline;
pub mod project;
pub(crate) mod region;
pub mod retention;
pub mod run;
pub mod schedule_crud;
pub mod session;
pub(crate) mod settle;
mod signature;
pub mod slots;
pub mod start;
pub mod trail;
pub mod user;

/// Why something was not done: a problem code and what to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code.
    pub code: ProblemCode,
    /// What was wrong here.
    pub detail: Option<String>,
    /// What to do next.
    pub next: Option<String>,
    /// Every mistake of the input.
    pub errors: Vec<FieldError>,
    /// When to come back.
    pub retry_after: Option<Duration>,
}

/// The result of a service.
pub type ServiceResult<T> = Result<T, Refused>;

impl Refused {
    /// A refusal with a sentence.
    pub fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..Self::from(code) }
    }

    /// The same with what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// The same with every mistake of the input.
    #[must_use]
    pub fn errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The same with a time to come back.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The same for one field of the body.
    #[must_use]
    pub fn field(code: ProblemCode, pointer: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = FieldError { pointer: Some(pointer.into()), message: message.clone(), ..FieldError::default() };
        Self::new(code, message).errors(vec![error])
    }

    /// As it is answered; path and request are filled in at the door.
    #[must_use]
    pub fn into_problem(self) -> Problem {
        let known = self.code.problem();
        Problem { detail: self.detail, next: self.next.or(known.next), errors: self.errors, ..known }
    }
}

impl From<ProblemCode> for Refused {
    fn from(code: ProblemCode) -> Self {
        Self { code, detail: None, next: None, errors: Vec::new(), retry_after: None }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the database is away");
                Self::new(ProblemCode::Unavailable, "the database can't be reached").after(Duration::from_secs(2))
            }
            StoreError::Conflict(_) => Self::from(ProblemCode::NameTaken),
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                Self::from(ProblemCode::Internal)
            }
        }
    }
}

/// What makes a repeated creating request give the first one's answer.
#[derive(Clone, Debug)]
pub struct Once {
    key: IdempotencyKey,
    digest: String,
}

impl Once {
    /// A key and what was asked under it: operation, path and body.
    #[must_use]
    pub fn new(key: IdempotencyKey, asked: &[&[u8]]) -> Self {
        let mut digest = Sha256::new();
        for part in asked {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self { key, digest: hex::encode(digest.finalize()) }
    }

    /// What the first request with this key made, if there was one.
    pub async fn made(&self, store: &Store) -> ServiceResult<Option<String>> {
        match store.idempotency_key_get(&self.key).await? {
            Some(kept) if kept.request_digest == self.digest => Ok(Some(kept.response)),
            Some(_) => Err(Refused::from(ProblemCode::IdempotencyMismatch)),
            None => Ok(None),
        }
    }

    /// Keeps what this request makes, in the transaction that makes it. Only the id: the answer is the object as it is.
    pub async fn keep(&self, tx: &mut Tx, made: &str) -> ServiceResult<()> {
        let answer = KeptAnswer { request_digest: self.digest.clone(), status: 201, response: made.into() };
        match Store::idempotency_key_insert_in_txn(tx, &self.key, &answer).await {
            Err(StoreError::Conflict(_)) => Err(Refused::from(ProblemCode::IdempotencyPending)),
            other => Ok(other?),
        }
    }
}

/// Runs `make` once for a key: a repeated request gets the id that the first one made.
pub(crate) async fn once<T, F>(store: &Store, once: Option<&Once>, make: F) -> ServiceResult<T>
where
    T: std::str::FromStr,
    F: AsyncFnOnce() -> ServiceResult<T>,
{
    let read = |made: String| made.parse().map_err(|_| Refused::from(ProblemCode::Internal));
    let Some(once) = once else { return make().await };
    if let Some(made) = once.made(store).await? {
        return read(made);
    }
    match make().await {
        // The same request came twice at once: the other one won.
        Err(lost) if matches!(lost.code, ProblemCode::IdempotencyPending | ProblemCode::NameTaken) => {
            match once.made(store).await? {
                Some(made) => read(made),
                None => Err(lost),
            }
        }
        other => other,
    }
}

/// SHA-256 of a canonical text, in hex: what the audit chain keeps of an object.
pub(crate) fn digest_of(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// Whether a name can be used: it stands in URLs, files and terminals.
pub(crate) fn check_name(name: &str) -> ServiceResult<()> {
    waybill_spec::check_name(name).map_err(|why| Refused::field(ProblemCode::NameInvalid, "/name", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_move_a_terminal_or_a_sheet_are_refused() {
        for name in ["", "\0", "a\nb", "\u{1b}[31m", "\u{202e}abc", "<script>", "=cmd()", "A", "ä", "-a", "a b"] {
            assert_eq!(check_name(name).unwrap_err().code, ProblemCode::NameInvalid, "{name:?}");
        }
        assert!(check_name(&"x".repeat(10_000)).is_err());
        for name in ["default", "a", "shop-nightly", "2nd", "a_b"] {
            assert_eq!(check_name(name), Ok(()));
        }
    }
}

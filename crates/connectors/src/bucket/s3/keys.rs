//! Static keys by reference: asked for again while a run goes on, since they may be rotated.
//!
//! Both are asked for in one go, so that no new key goes with an old secret. They can't be printed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, future};
use tokio::sync::Mutex;
use waybill_model::FailureCode;
use waybill_pipeline::{Credential, FaultResult};
use zeroize::Zeroizing;

/// How long a pair is used before it is asked for again.
const KEEP: Duration = Duration::from_secs(300);
/// How long an earlier pair counts on before whoever keeps it, and did not answer, is asked again.
const AGAIN: Duration = Duration::from_secs(30);

/// The ways to an access key and its secret.
pub struct StaticKeys {
    access: Arc<dyn Credential>,
    secret: Arc<dyn Credential>,
    known: Mutex<Option<Pair>>,
}

type Pair = (Zeroizing<String>, Zeroizing<String>);

impl StaticKeys {
    /// The ways to both.
    #[must_use]
    pub fn new(access: Arc<dyn Credential>, secret: Arc<dyn Credential>) -> Self {
        Self { access, secret, known: Mutex::default() }
    }

    async fn pair(&self) -> FaultResult<(Pair, Duration)> {
        let mut known = self.known.lock().await;
        let (access, secret) = match known.as_ref() {
            None => tokio::join!(self.access.value(), self.secret.value()),
            // Not those in memory, one of which may be older than the other.
            Some((access, secret)) => tokio::join!(self.access.anew(access), self.secret.anew(secret)),
        };
        match (access.and_then(|access| Ok((access, secret?))), known.as_ref()) {
            (Ok(pair), _) => Ok((known.insert(pair).clone(), KEEP)),
            (Err(fault), Some(earlier)) if fault.code == FailureCode::SecretUnreachable => {
                tracing::warn!("the bucket's keys can't be asked for again yet: the earlier ones are kept");
                Ok((earlier.clone(), AGAIN))
            }
            (Err(fault), _) => Err(fault),
        }
    }
}

impl std::fmt::Debug for StaticKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StaticKeys")
    }
}

impl ProvideCredentials for StaticKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let ((access, secret), counts) = self.pair().await.map_err(|fault| unfollowed(fault.code))?;
            let until = SystemTime::now() + counts;
            let given: Result = Ok(Credentials::new(access.as_str(), secret.as_str(), None, Some(until), "waybill"));
            given
        })
    }
}

/// The failure without the text, which is the customer's. What does not pass by itself is told apart from what may.
fn unfollowed(code: FailureCode) -> CredentialsError {
    let text = format!("the reference of a key can't be followed: {code}");
    match code {
        FailureCode::SecretUnreachable => CredentialsError::provider_error(text),
        _ => CredentialsError::invalid_configuration(text),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use async_trait::async_trait;
    use waybill_pipeline::Fault;

    use super::*;

    type Answer = std::result::Result<&'static str, FailureCode>;

    /// Says what it said before, until it is asked anew.
    struct Kept {
        before: &'static str,
        now: StdMutex<Answer>,
    }

    impl Kept {
        fn of(text: &'static str) -> Arc<Self> {
            Arc::new(Self { before: text, now: StdMutex::new(Ok(text)) })
        }

        fn says(&self, answer: Answer) {
            *self.now.lock().expect("an answer") = answer;
        }
    }

    #[async_trait]
    impl Credential for Kept {
        async fn value(&self) -> FaultResult<Zeroizing<String>> {
            Ok(Zeroizing::new(self.before.to_owned()))
        }

        async fn anew(&self, _: &str) -> FaultResult<Zeroizing<String>> {
            let answer = *self.now.lock().expect("an answer");
            answer.map(|text| Zeroizing::new(text.to_owned())).map_err(|code| Fault::new(code, "the customer's text"))
        }
    }

    #[tokio::test]
    async fn keys_that_are_rotated_are_given_out_within_minutes_and_an_outage_leaves_the_earlier_ones() {
        let (access, secret) = (Kept::of("AKIDOLD"), Kept::of("old"));
        let keys = StaticKeys::new(access.clone(), secret.clone());
        let now = async || {
            let given = keys.provide_credentials().await?;
            let left = given.expiry().expect("an end").duration_since(SystemTime::now()).expect("later");
            std::result::Result::<_, CredentialsError>::Ok((
                given.access_key_id().to_owned(),
                given.secret_access_key().to_owned(),
                left,
            ))
        };
        let (id, text, left) = now().await.expect("keys");
        assert_eq!((id.as_str(), text.as_str()), ("AKIDOLD", "old"));
        assert!(left <= KEEP && left > AGAIN);
        access.says(Ok("AKIDNEW"));
        secret.says(Ok("new"));
        let (id, text, _) = now().await.expect("keys");
        assert_eq!((id.as_str(), text.as_str()), ("AKIDNEW", "new"));
        secret.says(Err(FailureCode::SecretUnreachable));
        let (id, text, left) = now().await.expect("the earlier ones");
        assert_eq!((id.as_str(), text.as_str()), ("AKIDNEW", "new"));
        assert!(left <= AGAIN);
        secret.says(Err(FailureCode::SecretAccessDenied));
        let refused = now().await.expect_err("they were taken away");
        let said = format!("{:?}", chain(&refused));
        assert!(said.contains("secret_access_denied") && !said.contains("customer"), "{said}");
    }

    fn chain(error: &dyn std::error::Error) -> Vec<String> {
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect()
    }
}

//! An application's secret by reference: tokens are asked for with the present one, and again after it was refused.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use tokio::sync::Mutex;
use waybill_model::FailureCode;
use waybill_pipeline::bucket::BucketResult;
use waybill_pipeline::{Credential, Fault};
use zeroize::Zeroizing;

/// What asks for tokens with one secret. It keeps a token until that ends.
type Asker = Arc<dyn TokenCredential>;

/// From a secret to what asks with it.
type Make = Box<dyn Fn(&str) -> BucketResult<Asker> + Send + Sync>;

/// An application whose secret may be rotated while a run goes on.
pub(super) struct Application {
    secret: Arc<dyn Credential>,
    make: Make,
    made: Mutex<Option<(Zeroizing<String>, Asker)>>,
}

impl Application {
    /// `make` is called for each secret that is seen; the first one is made here, so that what is wrong with it shows at once.
    pub(super) async fn new(secret: Arc<dyn Credential>, make: Make) -> BucketResult<Self> {
        let text = secret.value().await.map_err(|fault| super::credential::of_secret(&fault))?;
        let first = make(&text)?;
        Ok(Self { secret, make, made: Mutex::new(Some((text, first))) })
    }

    async fn asker(&self, text: Zeroizing<String>) -> azure_core::Result<Asker> {
        let mut made = self.made.lock().await;
        if let Some((_, same)) = made.as_ref().filter(|(from, _)| *from == text) {
            return Ok(Arc::clone(same));
        }
        let new =
            (self.make)(&text).map_err(|_| Error::with_message(ErrorKind::Credential, "`client-secret` is none"))?;
        *made = Some((text, Arc::clone(&new)));
        Ok(new)
    }
}

/// The failure without the text, which is the customer's.
fn unfollowed(fault: &Fault) -> Error {
    let kind = if fault.code == FailureCode::SecretUnreachable { ErrorKind::Io } else { ErrorKind::Credential };
    Error::with_message(kind, format!("`client-secret` can't be followed: {}", fault.code))
}

impl fmt::Debug for Application {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Application")
    }
}

#[async_trait]
impl TokenCredential for Application {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let text = self.secret.value().await.map_err(|fault| unfollowed(&fault))?;
        let refused = match self.asker(text.clone()).await?.get_token(scopes, options.clone()).await {
            Ok(token) => return Ok(token),
            Err(refused) => refused,
        };
        match self.secret.anew(&text).await {
            Ok(found) if found != text => {
                tracing::info!("a token was refused and `client-secret` has changed since: asking with the new one");
                self.asker(found).await?.get_token(scopes, options).await
            }
            _ => Err(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::time::Duration;

    use azure_core::time::OffsetDateTime;
    use waybill_pipeline::FaultResult;

    use super::*;

    /// A secret of which the old value is given out until it is refused.
    struct Rotated(StdMutex<&'static str>);

    #[async_trait]
    impl Credential for Rotated {
        async fn value(&self) -> FaultResult<Zeroizing<String>> {
            Ok(Zeroizing::new((*self.0.lock().expect("a secret")).to_owned()))
        }

        async fn anew(&self, _: &str) -> FaultResult<Zeroizing<String>> {
            *self.0.lock().expect("a secret") = "new";
            self.value().await
        }
    }

    /// A directory that knows the new secret only.
    #[derive(Debug)]
    struct Directory(bool);

    #[async_trait]
    impl TokenCredential for Directory {
        async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
            if self.0 {
                return Ok(AccessToken::new("a token", OffsetDateTime::now_utc() + Duration::from_secs(60)));
            }
            Err(Error::with_message(ErrorKind::Credential, "AADSTS7000215"))
        }
    }

    #[tokio::test]
    async fn a_secret_that_is_rotated_serves_the_next_token() {
        let (old, asked) = (Arc::new(Rotated(StdMutex::new("old"))), Arc::new(StdMutex::new(Vec::new())));
        let seen = Arc::clone(&asked);
        let make: Make = Box::new(move |secret| {
            seen.lock().expect("a list").push(secret.to_owned());
            Ok(Arc::new(Directory(secret == "new")))
        });
        let application = Application::new(old, make).await.unwrap_or_else(|error| panic!("{error:?}"));
        for _ in 0..2 {
            application.get_token(&["scope"], None).await.expect("a token");
        }
        assert_eq!(*asked.lock().expect("a list"), ["old", "new"], "each secret is made into one asker");
        let fixed = Arc::new(waybill_pipeline::Fixed::new("wrong"));
        let wrong = Application::new(fixed, Box::new(|_| Ok(Arc::new(Directory(false))))).await;
        let refused = wrong.unwrap_or_else(|error| panic!("{error:?}")).get_token(&["scope"], None).await;
        assert!(refused.expect_err("it never worked").to_string().contains("AADSTS7000215"));
    }
}

//! From a reference to its value: who keeps it, how long that may take, and for how long the answer counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::Rng;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use waybill_connectors::dial::Dialer;
use waybill_model::secret::SecretRef;
use waybill_pipeline::{Credential, FaultResult};
use zeroize::Zeroizing;

use super::local::{Environment, Files};
use super::vault::Vault;
use super::{Aws, Keeper, Problem, Secret, Servers};

/// How long resolving may take and how long an answer counts.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// One try.
    pub call: Duration,
    /// Tries.
    pub tries: u32,
    /// The longest wait before the second try; twice as long before the third.
    pub wait: Duration,
    /// How long an answer is used before it is asked for again.
    pub keep: Duration,
    /// How long an old answer counts on before whoever keeps the secret, and did not answer, is asked again.
    pub again: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { call: seconds(10), tries: 3, wait: seconds(1), keep: seconds(300), again: seconds(30) }
    }
}

/// Resolves the references of one run. Clones share what was resolved.
#[derive(Clone)]
pub struct Resolver {
    inner: Arc<Inner>,
}

struct Inner {
    patience: Patience,
    aws: Arc<Aws>,
    vault: Vault,
    /// One lock for each reference, so that lanes that want the same secret ask once.
    known: StdMutex<HashMap<SecretRef, Arc<Mutex<Option<Known>>>>>,
    failed: StdMutex<Option<SecretRef>>,
}

#[derive(Clone)]
struct Known {
    secret: Secret,
    /// Until then it counts without question.
    until: Instant,
}

impl Resolver {
    /// With the default bounds, through this dialer. Nothing is asked or opened yet.
    #[must_use]
    pub fn new(dialer: Dialer, servers: Servers) -> Self {
        Self::with(dialer, servers, Patience::default())
    }

    /// With other bounds.
    #[must_use]
    pub fn with(dialer: Dialer, servers: Servers, patience: Patience) -> Self {
        let aws = Arc::new(Aws::new(dialer.clone()));
        let vault = Vault::new(Arc::clone(&aws), dialer, servers);
        let (known, failed) = (StdMutex::default(), StdMutex::default());
        Self { inner: Arc::new(Inner { patience, aws, vault, known, failed }) }
    }

    /// The value, from memory where it was resolved some minutes ago at most. Where it can't be asked for again since
    /// whoever keeps it does not answer, the one in memory counts on, and nobody is asked for a while: each question may
    /// take as long as all tries do.
    pub async fn resolve(&self, reference: &SecretRef) -> FaultResult<Secret> {
        let slot = self.slot(reference);
        let mut slot = slot.lock().await;
        match &*slot {
            Some(known) if Instant::now() < known.until => Ok(known.secret.clone()),
            known => match self.ask(reference).await {
                Ok(secret) => Ok(self.keep(&mut slot, secret)),
                Err(problem) => match known.clone().filter(|_| problem.is_passing()) {
                    Some(Known { secret, .. }) => {
                        *slot =
                            Some(Known { secret: secret.clone(), until: Instant::now() + self.inner.patience.again });
                        Ok(secret)
                    }
                    None => Err(self.told(problem, reference)),
                },
            },
        }
    }

    /// The value after `refused` did not open the door: asked for again, unless somebody else did so meanwhile.
    pub async fn resolve_anew(&self, reference: &SecretRef, refused: &str) -> FaultResult<Secret> {
        let slot = self.slot(reference);
        let mut slot = slot.lock().await;
        if let Some(known) = slot.as_ref().filter(|known| known.secret.reveal() != refused) {
            return Ok(known.secret.clone());
        }
        match self.ask(reference).await {
            Ok(secret) => Ok(self.keep(&mut slot, secret)),
            Err(problem) => Err(self.told(problem, reference)),
        }
    }

    /// What a connector logs in with.
    #[must_use]
    pub fn credential(&self, reference: &SecretRef) -> Arc<dyn Credential> {
        Arc::new(Referred { resolver: self.clone(), reference: reference.clone() })
    }

    /// The reference that could not be followed last.
    #[must_use]
    pub fn failed(&self) -> Option<SecretRef> {
        self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn slot(&self, reference: &SecretRef) -> Arc<Mutex<Option<Known>>> {
        let mut known = self.inner.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(reference.clone()).or_default())
    }

    fn keep(&self, slot: &mut Option<Known>, secret: Secret) -> Secret {
        *slot = Some(Known { secret: secret.clone(), until: Instant::now() + self.inner.patience.keep });
        secret
    }

    fn told(&self, problem: Problem, reference: &SecretRef) -> waybill_pipeline::Fault {
        *self.inner.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(reference.clone());
        problem.fault(reference)
    }

    /// Asks within the bounds. Only what may pass by itself is tried again.
    async fn ask(&self, reference: &SecretRef) -> Result<Secret, Problem> {
        let Patience { call, tries, wait, .. } = self.inner.patience;
        let mut tried = 0;
        loop {
            let answer = timeout(call, self.fetch(reference)).await;
            tried += 1;
            match answer.unwrap_or_else(|_| Err(Problem::unreachable("was not answered for in time"))) {
                Err(problem) if problem.is_passing() && tried < tries => {
                    let longest = wait * 2_u32.pow(tried - 1);
                    let share = rand::rng().random_range(0.0..1.0);
                    sleep(longest.mul_f64(share)).await;
                }
                settled => return settled,
            }
        }
    }

    async fn fetch(&self, reference: &SecretRef) -> Result<Secret, Problem> {
        match reference {
            SecretRef::Env(name) => Environment.fetch(name.as_str()).await,
            SecretRef::File(path) => Files.fetch(path.as_str()).await,
            SecretRef::AwsSecret(secret) => self.inner.aws.fetch(secret).await,
            SecretRef::AwsParameter(parameter) => self.inner.aws.fetch(parameter).await,
            SecretRef::Vault(secret) => self.inner.vault.fetch(secret).await,
        }
    }
}

/// A reference that is followed when the value is needed.
struct Referred {
    resolver: Resolver,
    reference: SecretRef,
}

#[async_trait]
impl Credential for Referred {
    async fn value(&self) -> FaultResult<Zeroizing<String>> {
        self.resolver.resolve(&self.reference).await.map(Secret::into_inner)
    }

    async fn anew(&self, refused: &str) -> FaultResult<Zeroizing<String>> {
        self.resolver.resolve_anew(&self.reference, refused).await.map(Secret::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::Means;

    #[tokio::test]
    async fn a_value_is_kept_until_it_is_refused_or_old() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let reference = SecretRef::File(file.path().display().to_string());
        let write = |text: &str| std::fs::write(file.path(), text).expect("write");
        let resolver = Means::unguarded().secrets;
        let value = |secret: FaultResult<Secret>| secret.map(|secret| secret.reveal().to_owned()).expect("a value");
        write("first");
        assert_eq!(value(resolver.resolve(&reference).await), "first");
        write("second");
        assert_eq!(value(resolver.resolve(&reference).await), "first", "kept");
        assert_eq!(value(resolver.resolve_anew(&reference, "first").await), "second", "refused");
        write("third");
        assert_eq!(value(resolver.resolve_anew(&reference, "first").await), "second", "somebody else asked already");
        let patience = Patience { keep: Duration::ZERO, ..Patience::default() };
        let forgetful = Resolver::with(Means::unguarded().dialer, Servers::Any, patience);
        assert_eq!(value(forgetful.resolve(&reference).await), "third");
        write("fourth");
        assert_eq!(value(forgetful.resolve(&reference).await), "fourth", "old");
    }

    #[cfg(feature = "aws")]
    #[tokio::test]
    async fn an_old_value_counts_on_for_a_while_where_whoever_keeps_it_does_not_answer() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let endpoint = format!("http://{}", listener.local_addr().expect("its address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        // It hangs up at once, and ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        let reference: SecretRef = "aws-ssm:///shop/db".parse().expect("a reference");
        for (again, questions) in [(Duration::from_secs(30), 1), (Duration::ZERO, 3)] {
            asked.store(0, Ordering::SeqCst);
            let dialer = Means::unguarded().dialer;
            let patience = Patience { tries: 1, again, ..Patience::default() };
            let mut resolver = Resolver::with(dialer.clone(), Servers::Any, patience);
            let inner = Arc::get_mut(&mut resolver.inner).expect("its only owner");
            inner.aws = Arc::new(Aws::of(super::super::aws::tests::settings(Some(&endpoint)), dialer));
            let old = Secret::of(Zeroizing::new("old".to_owned())).unwrap_or_else(|_| panic!("a secret"));
            *resolver.slot(&reference).lock().await = Some(Known { secret: old, until: Instant::now() });
            for _ in 0..3 {
                assert_eq!(resolver.resolve(&reference).await.expect("the old value").reveal(), "old");
            }
            assert_eq!(asked.load(Ordering::SeqCst), questions, "{again:?}");
            assert_eq!(resolver.failed(), None);
        }
    }

    #[tokio::test]
    async fn the_reference_that_failed_is_known_and_others_are_not_blamed() {
        let resolver = Means::unguarded().secrets;
        let missing = SecretRef::Env("WAYBILL_TEST_NO_SUCH_VARIABLE".into());
        assert!(resolver.resolve(&SecretRef::Env("PATH".into())).await.is_ok());
        assert_eq!(resolver.failed(), None);
        assert!(resolver.resolve(&missing).await.is_err());
        assert_eq!(resolver.failed(), Some(missing));
    }
}

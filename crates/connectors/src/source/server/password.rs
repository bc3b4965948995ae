//! The password of a connection: asked for before every log-in, and anew after it was refused.

use std::sync::Arc;

use waybill_pipeline::{Credential, FaultResult};
use zeroize::Zeroizing;

use super::rotation::Rotation;

/// A way to the password. Clones know together whether one has worked.
#[derive(Clone)]
pub(crate) struct Password {
    credential: Arc<dyn Credential>,
    /// SQLSTATE of a wrong password.
    wrong: &'static str,
    rotation: Rotation,
}

impl Password {
    /// `wrong` is the SQLSTATE with which the server refuses a password.
    pub(crate) fn new(credential: Arc<dyn Credential>, wrong: &'static str) -> Self {
        Self { credential, wrong, rotation: Rotation::default() }
    }

    /// Tries to log in, again with each new password, until one is taken or there is no new one.
    pub(crate) async fn log_in<T, F>(&self, attempt: impl Fn(Zeroizing<String>) -> F) -> FaultResult<T>
    where
        F: Future<Output = FaultResult<T>>,
    {
        let attempt = |given| {
            let tried = attempt(given);
            async {
                match tried.await {
                    Err(fault) if fault.sqlstate == Some(self.wrong) => Ok(Err(fault)),
                    settled => settled.map(Ok),
                }
            }
        };
        self.rotation.log_in(self.credential.as_ref(), "the password", attempt).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use waybill_model::FailureCode;
    use waybill_pipeline::Fault;

    use super::*;

    const WRONG: &str = "28P01";

    /// Gives these passwords one after another, and the last one for ever.
    struct Rotating(Mutex<Vec<&'static str>>);

    impl Rotating {
        fn of(values: &[&'static str]) -> Arc<Self> {
            Arc::new(Self(Mutex::new(values.iter().rev().copied().collect())))
        }

        fn left(&self) -> usize {
            self.0.lock().expect("values").len()
        }
    }

    #[async_trait]
    impl Credential for Rotating {
        async fn value(&self) -> FaultResult<Zeroizing<String>> {
            let values = self.0.lock().expect("values");
            Ok(Zeroizing::new((*values.last().expect("a value")).to_owned()))
        }

        async fn anew(&self, _: &str) -> FaultResult<Zeroizing<String>> {
            let mut values = self.0.lock().expect("values");
            if values.len() > 1 {
                values.pop();
            }
            Ok(Zeroizing::new((*values.last().expect("a value")).to_owned()))
        }
    }

    async fn server(right: &str, given: Zeroizing<String>) -> FaultResult<()> {
        let wrong = Fault::new(FailureCode::SourceDenied, "no").with_sqlstate(WRONG);
        if given.as_str() == right { Ok(()) } else { Err(wrong) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_worked_and_is_refused_is_waited_for_while_it_is_rotated() {
        let keeper = Rotating::of(&["old", "old", "old", "new"]);
        let password = Password::new(keeper.clone(), WRONG);
        assert!(password.log_in(|given| server("old", given)).await.is_ok());
        assert!(password.log_in(|given| server("new", given)).await.is_ok());
        assert_eq!(keeper.left(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotation_that_does_not_end_is_a_refusal_within_a_bound() {
        let password = Password::new(Rotating::of(&["old"]), WRONG);
        assert!(password.log_in(|given| server("old", given)).await.is_ok());
        let begun = tokio::time::Instant::now();
        let fault = password.log_in(|given| server("new", given)).await.expect_err("refused");
        assert_eq!(fault.code, FailureCode::SourceDenied);
        assert_eq!(begun.elapsed(), Duration::from_millis(15_500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_password_that_never_worked_is_refused_at_once() {
        let password = Password::new(Rotating::of(&["wrong"]), WRONG);
        let begun = tokio::time::Instant::now();
        assert!(password.log_in(|given| server("right", given)).await.is_err());
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

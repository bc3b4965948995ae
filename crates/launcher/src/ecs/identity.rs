//! Who this orchestrator is, by its own credentials: asked of STS in the background, within a bound, and kept. Nobody who
//! only wants to show it waits for the cloud.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_sts::Client as Sts;
use tokio::sync::watch;

use super::answer::{self, Call};
use super::arn::{Region, RoleArn};
use super::cloud::Cloud;
use super::principal::Principal;
use crate::LaunchError;

/// How long an answer counts before it is asked for anew; what was known until then is shown meanwhile.
const KNOWN_FOR: Duration = Duration::from_secs(60 * 60);
/// The same for a failure: credentials that are put right are found soon.
const FAILED_FOR: Duration = Duration::from_secs(10);
/// Longest time that one question takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the orchestrator can't say who it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPrincipal {
    /// It is being asked for.
    #[error("STS is being asked who this orchestrator is; look again in a moment")]
    Asking,
    /// There is none: a sentence with the reason.
    #[error("{0}")]
    Missing(String),
}

#[derive(Clone)]
struct Told {
    at: Instant,
    answer: Result<Principal, NoPrincipal>,
}

impl Told {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < if self.answer.is_ok() { KNOWN_FOR } else { FAILED_FOR }
    }
}

/// What was told last, and whether somebody asks now.
#[derive(Default)]
pub(super) struct Identity {
    /// What the settings say; then nobody is asked.
    given: Option<Principal>,
    told: watch::Sender<Option<Told>>,
    asking: AtomicBool,
}

impl Identity {
    pub(super) fn new(given: Option<Principal>) -> Self {
        Self { given, ..Self::default() }
    }

    fn last(&self) -> Option<Told> {
        self.told.borrow().clone()
    }
}

impl Cloud {
    /// Who this orchestrator is, as far as is known at this moment. Where that is old or missing, it is asked for in the
    /// background.
    pub fn principal(self: &Arc<Self>) -> Result<Principal, NoPrincipal> {
        if let Some(given) = &self.identity().given {
            return Ok(given.clone());
        }
        let last = self.identity().last();
        if !last.as_ref().is_some_and(Told::is_fresh) {
            self.ask_in_background();
        }
        last.map_or(Err(NoPrincipal::Asking), |told| told.answer)
    }

    /// The same; where nothing is known yet, the answer is waited for, at most so long.
    pub async fn principal_within(self: &Arc<Self>, patience: Duration) -> Result<Principal, NoPrincipal> {
        let mut watched = self.identity().told.subscribe();
        match self.principal() {
            Err(NoPrincipal::Asking) => {
                let told = tokio::time::timeout(patience, watched.wait_for(Option::is_some)).await;
                match told {
                    Ok(Ok(told)) => (*told).as_ref().map_or(Err(NoPrincipal::Asking), |told| told.answer.clone()),
                    _ => Err(NoPrincipal::Asking),
                }
            }
            known => known,
        }
    }

    fn ask_in_background(self: &Arc<Self>) {
        if self.identity().asking.swap(true, Ordering::AcqRel) {
            return;
        }
        let cloud = Arc::clone(self);
        tokio::spawn(async move {
            let late = || Err(NoPrincipal::Missing("STS did not say in time who this orchestrator is".into()));
            let answer = tokio::time::timeout(PATIENCE, cloud.ask()).await.unwrap_or_else(|_| late());
            let identity = cloud.identity();
            // What was known stays where it can't be asked now.
            let kept = identity.last().map(|told| told.answer).filter(|known| known.is_ok() && answer.is_err());
            identity.told.send_replace(Some(Told { at: Instant::now(), answer: kept.unwrap_or(answer) }));
            identity.asking.store(false, Ordering::Release);
        });
    }

    /// The role that this process holds, as STS of this region says, without its path, which STS leaves out; and the name of
    /// the session in which it does.
    pub async fn own_role(&self, region: &Region, fips: bool) -> Result<(RoleArn, String), NoPrincipal> {
        let missing = |why: &str| NoPrincipal::Missing(why.to_owned());
        let mut config = self.sts_of(region, fips);
        if let Some(tries) = self.tries_of_nobody(region) {
            config = config.interceptor(tries);
        }
        let sts = Sts::from_conf(config.build());
        let credentials = self.own_credentials().ok_or_else(|| missing(NO_ROLE))?;
        credentials.provide_credentials().await.map_err(|_| missing(NO_ROLE))?;
        let call = Call { action: "sts:GetCallerIdentity", resource: "*" };
        let answer = sts.get_caller_identity().send().await.map_err(|error| match answer::failed(&error, &call) {
            LaunchError::SessionEnded => missing("STS does not accept the AWS credentials of this host"),
            error => NoPrincipal::Missing(format!("STS could not be asked whose credentials these are: {error}")),
        })?;
        let arn = answer.arn().unwrap_or_default();
        let principal = Principal::of_caller(arn).map_err(|why| missing(why.0))?;
        let role = principal.as_str().parse().map_err(|_| missing("these are no credentials of a role"))?;
        Ok((role, arn.rsplit('/').next().unwrap_or_default().to_owned()))
    }

    async fn ask(&self) -> Result<Principal, NoPrincipal> {
        let missing = |why: String| NoPrincipal::Missing(why);
        let credentials = self.own_credentials().ok_or_else(|| missing(NO_CREDENTIALS.into()))?;
        credentials.provide_credentials().await.map_err(|_| missing(NO_CREDENTIALS.into()))?;
        let call = Call { action: "sts:GetCallerIdentity", resource: "*" };
        let answer = self.own_sts().get_caller_identity().send().await;
        let answer = answer.map_err(|error| match answer::failed(&error, &call) {
            LaunchError::SessionEnded => missing("STS does not accept this orchestrator's AWS credentials".into()),
            error => missing(format!("STS could not be asked who this orchestrator is: {error}")),
        })?;
        let arn = answer.arn().unwrap_or_default();
        Principal::of_caller(arn).map_err(|why| missing(format!("this orchestrator holds {why}")))
    }
}

const NO_ROLE: &str = "there are no AWS credentials on this host: give its instance or its task a role";
const NO_CREDENTIALS: &str = "this orchestrator has no AWS credentials: give it a role, or set aws.principal-arn";

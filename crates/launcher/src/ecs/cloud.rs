//! The way to the cloud: our own credentials, and short sessions of the customers' roles, each with its external id.
//!
//! A session of a launch is named after the attempt, so that the customer's trail says what it was for. Sessions for
//! looks are kept until shortly before their end. No long-lived key of a customer exists anywhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecs::Client as Ecs;
use aws_sdk_sts::Client as Sts;
use waybill_model::{DataPlaneId, OrgId};

use super::EcsLauncher;
use super::answer::{self, ASSUME, Call};
use super::arn::Region;
use super::identity::Identity;
use super::place::EcsPlace;
use super::principal::Principal;
use super::tries::Tries;
use crate::LaunchError;
use crate::trail::{CloudCall, Witness};

/// A session is not used in its last minutes.
const REST: Duration = Duration::from_secs(5 * 60);
/// The shortest life that STS gives.
const LIFE: i32 = 900;
/// Name of the kept session.
const LOOK: &str = "waybill-look";

/// How the cloud is called.
#[derive(Clone, Debug)]
pub struct CloudOptions {
    /// Another ECS endpoint than the region's own.
    pub ecs_endpoint: Option<String>,
    /// Another STS endpoint than the region's own.
    pub sts_endpoint: Option<String>,
    /// Another S3 endpoint than the region's own, for the check of what the role must not read.
    pub s3_endpoint: Option<String>,
    /// Who we are, where STS must not be asked: it leaves out the path of a role.
    pub principal: Option<Principal>,
    /// How often a call is made before its failure counts.
    pub tries: u32,
    /// First wait between two tries; it doubles, with full jitter.
    pub backoff: Duration,
    /// Longest time of one try.
    pub patience: Duration,
}

impl Default for CloudOptions {
    fn default() -> Self {
        Self {
            ecs_endpoint: None,
            sts_endpoint: None,
            s3_endpoint: None,
            principal: None,
            tries: 4,
            backoff: Duration::from_millis(500),
            patience: Duration::from_secs(10),
        }
    }
}

/// Which role is assumed, for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    role: String,
    external_id: Option<String>,
    region: String,
}

/// A kept session; the lock is held while it is renewed, so that it is renewed once.
type Slot = Arc<tokio::sync::Mutex<Option<Credentials>>>;

/// The way to the cloud; one for all data planes.
pub struct Cloud {
    base: SdkConfig,
    options: CloudOptions,
    sessions: Mutex<HashMap<Key, Slot>>,
    witness: Option<Arc<dyn Witness>>,
    identity: Identity,
}

impl Cloud {
    /// With the credentials that this process finds by itself: its own role, or keys in its environment.
    pub async fn open(options: CloudOptions) -> Self {
        Self::over(loader().load().await, options)
    }

    /// With these credentials.
    pub async fn open_as(credentials: Credentials, options: CloudOptions) -> Self {
        let provider = SharedCredentialsProvider::new(credentials);
        Self::over(loader().credentials_provider(provider).load().await, options)
    }

    fn over(base: SdkConfig, options: CloudOptions) -> Self {
        let retry = RetryConfig::standard().with_max_attempts(options.tries).with_initial_backoff(options.backoff);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(3).min(options.patience))
            .operation_attempt_timeout(options.patience)
            .build();
        let base = base.into_builder().retry_config(retry).timeout_config(timeouts).build();
        let identity = Identity::new(options.principal.clone());
        Self { base, options, sessions: Mutex::default(), witness: None, identity }
    }

    /// The same with somebody who is told of every call for a place that has an owner, or whose role is our own.
    #[must_use]
    pub fn seen_by(self, witness: Arc<dyn Witness>) -> Self {
        Self { witness: Some(witness), ..self }
    }

    pub(super) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Our own credentials, not a customer's.
    pub(super) fn own_credentials(&self) -> Option<SharedCredentialsProvider> {
        self.base.credentials_provider()
    }

    /// STS of our own region, with our own credentials: no call in a customer's account, so nobody is told of it.
    pub(super) fn own_sts(&self) -> Sts {
        let mut config = aws_sdk_sts::config::Builder::from(&self.base);
        config.set_endpoint_url(self.options.sts_endpoint.clone());
        Sts::from_conf(config.build())
    }

    /// The launcher of a place.
    #[must_use]
    pub fn launcher(self: &Arc<Self>, place: EcsPlace) -> EcsLauncher {
        EcsLauncher::new(Arc::clone(self), place)
    }

    /// An ECS client with a session of its own, for one launch.
    pub(super) async fn ecs_as(&self, place: &EcsPlace, session: &str) -> Result<Ecs, LaunchError> {
        if place.is_own() {
            return Ok(self.ecs_own(place));
        }
        let credentials = self.assume(place, Some(place.external_id()), session).await?;
        Ok(self.ecs(place, credentials, session))
    }

    /// An ECS client with the place's kept session.
    pub(super) async fn ecs_kept(&self, place: &EcsPlace) -> Result<Ecs, LaunchError> {
        if place.is_own() {
            return Ok(self.ecs_own(place));
        }
        let slot = self.slot(place);
        let mut kept = slot.lock().await;
        let good = |credentials: &Credentials| credentials.expiry().is_none_or(|end| SystemTime::now() + REST < end);
        if let Some(credentials) = kept.as_ref().filter(|credentials| good(credentials)) {
            return Ok(self.ecs(place, credentials.clone(), LOOK));
        }
        let fresh = self.assume(place, Some(place.external_id()), LOOK).await?;
        *kept = Some(fresh.clone());
        Ok(self.ecs(place, fresh, LOOK))
    }

    /// Forgets the kept session: the cloud says that it is not good any more.
    pub(super) async fn forget(&self, place: &EcsPlace) {
        *self.slot(place).lock().await = None;
    }

    fn slot(&self, place: &EcsPlace) -> Slot {
        let key = Key {
            role: place.role().as_str().to_owned(),
            external_id: Some(place.external_id().to_owned()),
            region: place.region().as_str().to_owned(),
        };
        Arc::clone(self.sessions.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }

    /// A session of the place's role with this external id, or with none.
    pub(super) async fn assume(
        &self,
        place: &EcsPlace,
        external_id: Option<&str>,
        session: &str,
    ) -> Result<Credentials, LaunchError> {
        self.assume_role(place, place.role().as_str(), external_id, session).await
    }

    /// A session of any role of the place's region.
    pub(super) async fn assume_role(
        &self,
        place: &EcsPlace,
        role: &str,
        external_id: Option<&str>,
        session: &str,
    ) -> Result<Credentials, LaunchError> {
        let call = Call { action: ASSUME, resource: role };
        let assumed = self
            .sts(place)
            .assume_role()
            .role_arn(role)
            .role_session_name(session)
            .set_external_id(external_id.map(str::to_owned))
            .duration_seconds(LIFE)
            .send()
            .await
            .map_err(|error| match answer::failed(&error, &call) {
                // Those were our own credentials: they are fetched anew, and no customer can mend it.
                LaunchError::SessionEnded => LaunchError::NoAnswer { action: call.action },
                error => error,
            })?;
        let given = assumed.credentials.ok_or(LaunchError::Unusable("STS gave no credentials"))?;
        let end = SystemTime::try_from(given.expiration).ok();
        Ok(Credentials::new(given.access_key_id, given.secret_access_key, Some(given.session_token), end, "waybill"))
    }

    /// An ECS client with the credentials of a session of the place's role. It makes one call at a time.
    pub(super) fn ecs(&self, place: &EcsPlace, credentials: Credentials, session: &str) -> Ecs {
        let mut config = self.ecs_config(place).credentials_provider(SharedCredentialsProvider::new(credentials));
        if let Some(tries) = self.tries(place, session) {
            config = config.interceptor(tries);
        }
        Ecs::from_conf(config.build())
    }

    /// An ECS client with our own credentials, which are fetched anew before they end.
    fn ecs_own(&self, place: &EcsPlace) -> Ecs {
        let mut config = self.ecs_config(place);
        // The session's name is not ours to choose: whoever is told knows it.
        if let Some(tries) = self.tries(place, "") {
            config = config.interceptor(tries);
        }
        Ecs::from_conf(config.build())
    }

    fn ecs_config(&self, place: &EcsPlace) -> aws_sdk_ecs::config::Builder {
        let mut config = aws_sdk_ecs::config::Builder::from(&self.base)
            .region(aws_config::Region::new(place.region().as_str().to_owned()))
            .use_fips(place.settings().fips);
        config.set_endpoint_url(self.options.ecs_endpoint.clone());
        config
    }

    /// STS of a region, with our own credentials.
    pub(super) fn sts_of(&self, region: &Region, fips: bool) -> aws_sdk_sts::config::Builder {
        let region = aws_config::Region::new(region.as_str().to_owned());
        let mut config = aws_sdk_sts::config::Builder::from(&self.base).region(region).use_fips(fips);
        config.set_endpoint_url(self.options.sts_endpoint.clone());
        config
    }

    fn sts(&self, place: &EcsPlace) -> Sts {
        let mut config = self.sts_of(place.region(), place.settings().fips);
        // Role and session stand in the call itself.
        if let Some(tries) = self.tries(place, "") {
            config = config.interceptor(tries);
        }
        Sts::from_conf(config.build())
    }

    /// S3, where it is not the region's own.
    pub(super) fn s3_endpoint(&self) -> Option<&str> {
        self.options.s3_endpoint.as_deref().map(|url| url.trim_end_matches('/'))
    }

    /// Longest time of one try.
    pub(super) const fn patience(&self) -> Duration {
        self.options.patience
    }

    /// Tells of a call that no client of the SDK made, where the place has an owner.
    pub(super) fn tell_of(&self, place: &EcsPlace, call: impl FnOnce((OrgId, DataPlaneId)) -> CloudCall) {
        if let (Some(witness), Some(owner)) = (&self.witness, place.owner()) {
            witness.saw(call(owner));
        }
    }

    fn tries(&self, place: &EcsPlace, session: &str) -> Option<Tries> {
        let witness = self.witness.as_ref().filter(|_| place.is_own() || place.owner().is_some())?;
        Some(Tries::new(Arc::clone(witness), place, session))
    }

    /// For the call by which we learn who we are.
    pub(super) fn tries_of_nobody(&self, region: &Region) -> Option<Tries> {
        self.witness.as_ref().map(|witness| Tries::of_nobody(Arc::clone(witness), region))
    }
}

/// The region that our own host names; it only says which STS knows us, since each place brings its own.
fn loader() -> aws_config::ConfigLoader {
    let own = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else("us-east-1");
    aws_config::defaults(BehaviorVersion::latest()).region(own)
}

#[cfg(test)]
mod tests;

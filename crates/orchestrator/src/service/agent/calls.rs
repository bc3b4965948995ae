//! Calls that an agent made to its own cloud, as it tells them: kept like the orchestrator's own, each as of its data plane.
//!
//! They are the word of the agent's host and of nobody else. So that it can't vouch for the orchestrator's calls or for another
//! data plane's runs, it must not call itself by a role that this orchestrator assumes, and names only attempts of its own data
//! plane. Agents may share a role, as hosts of one group do, so one can tell of a call that another made. What is told beyond
//! an allowance is counted and not kept; it costs an agent nothing else, since an honest one may get there too.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use waybill_launcher::ecs::EcsPlace;
use waybill_launcher::ecs::arn::{Region, RoleArn};
use waybill_launcher::trail::{self, CloudCall, Witness as _};
use waybill_model::{AgentId, AttemptId, DataPlaneId, Micros, OrgId};
use waybill_protocol::agent::{CloudCall as CallTold, CloudCaller, Told};
use waybill_store::StoreResult;

use super::session::OpenSession;
use super::{AgentError, AgentService};

/// Calls that an agent may tell at once, which is all that it keeps; and how many more it may tell with each second.
const AT_ONCE: f64 = 5_000.0;
const A_SECOND: f64 = 5.0;
/// A call that is older than this is told as this old: an agent's clock may be wrong.
const OLDEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Data planes of one page.
const PAGE: i64 = 200;

/// As whom an agent calls its cloud: checked, and as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Caller {
    pub(crate) role_arn: String,
    session: String,
    region: String,
}

impl Caller {
    /// What an agent told, where it is a role of the region's partition and the name of a session.
    fn of(told: &CloudCaller) -> Option<Self> {
        let CloudCaller { role_arn, session, region } = told.clone();
        let (role, place): (RoleArn, Region) = (role_arn.parse().ok()?, region.parse().ok()?);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        let named = (2..=64).contains(&session.len()) && session.bytes().all(plain);
        (named && role.partition() == place.partition()).then_some(Self { role_arn, session, region })
    }

    /// What is kept of it.
    pub(crate) fn read(kept: &str) -> Option<Self> {
        serde_json::from_str(kept).ok()
    }
}

/// How much each agent may still tell.
#[derive(Debug, Default)]
pub(super) struct Allowances(Mutex<HashMap<AgentId, (f64, Instant)>>);

impl Allowances {
    /// How many of so many more calls are within what the agent may tell.
    fn take(&self, agent: AgentId, calls: usize) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let grown = |(left, at): (f64, Instant)| (left + (now - at).as_secs_f64() * A_SECOND).min(AT_ONCE);
        all.retain(|_, kept| grown(*kept) < AT_ONCE);
        let left = all.get(&agent).map_or(AT_ONCE, |kept| grown(*kept));
        let most = u32::try_from(calls).unwrap_or(u32::MAX);
        let fit = (1..=most).take_while(|many| f64::from(*many) <= left).last().unwrap_or(0);
        all.insert(agent, (left - f64::from(fit), now));
        usize::try_from(fit).unwrap_or(calls)
    }
}

impl AgentService {
    /// As whom the agent calls its cloud, if it told so. None that another data plane's calls are made by: those are ours,
    /// and whoever could vouch for them could hide a thief's.
    pub(super) async fn caller(&self, org: OrgId, told: &Told) -> Result<Option<Caller>, AgentError> {
        let Some(told) = &told.cloud_caller else { return Ok(None) };
        let caller = Caller::of(told).ok_or(AgentError::Caller)?;
        let role: RoleArn = caller.role_arn.parse().map_err(|_| AgentError::Caller)?;
        let mut after = None;
        loop {
            let planes = self.store.data_plane_list(org, after, PAGE).await?;
            let places = planes.iter().filter_map(|plane| {
                EcsPlace::read(&plane.settings, plane.external_id.as_deref().unwrap_or_default()).ok()
            });
            // STS leaves out a role's path, and a name is a role's own within its account.
            let is = |place: &EcsPlace| (place.role().account(), place.role().name()) == (role.account(), role.name());
            if places.into_iter().any(|place| is(&place)) {
                return Err(AgentError::Caller);
            }
            match planes.last().filter(|_| i64::try_from(planes.len()).unwrap_or(0) == PAGE) {
                Some(last) => after = Some(last.id),
                None => return Ok(Some(caller)),
            }
        }
    }

    /// Keeps what an agent tells of its calls. The number of the last one, which it need not tell again.
    pub(super) async fn hear_calls(&self, session: &OpenSession, told: &Told) -> Result<Option<u64>, AgentError> {
        if told.cloud_calls_lost > 0 {
            crate::metrics::trail_lost(told.cloud_calls_lost);
        }
        if told.cloud_calls.is_empty() {
            return Ok(None);
        }
        let (peer, plane) = (session.peer(), session.plane());
        let caller = session.caller().ok_or(AgentError::Caller)?;
        let fit = self.allowances.take(peer.agent, told.cloud_calls.len());
        let (kept, beyond) = told.cloud_calls.split_at(fit);
        if !beyond.is_empty() {
            crate::metrics::trail_lost(beyond.len() as u64);
            let lost = beyond.len();
            tracing::warn!(agent = %peer.agent, lost, "an agent tells of more calls than are kept of one: the rest is counted");
        }
        let attempts: HashSet<AttemptId> = kept.iter().filter_map(|call| call.attempt).collect();
        let mut foreign = HashSet::new();
        for attempt in attempts {
            if !self.is_of(peer.org, plane, attempt).await? {
                foreign.insert(attempt);
            }
        }
        let now = Micros::now();
        let oldest = a_day_before(now);
        for call in kept {
            if call.attempt.is_some_and(|attempt| foreign.contains(&attempt)) {
                tracing::warn!(agent = %peer.agent, "an agent told of a call for an attempt of another data plane");
                continue;
            }
            let (at, outcome) = (call.at.clamp(oldest, now), trail::outcome(&call.outcome));
            if call.again && self.stands((peer.org, plane), call, at).await? {
                continue;
            }
            self.trail.saw(CloudCall {
                owner: Some((peer.org, plane)),
                action: call.action.as_str(),
                role: caller.role_arn.clone(),
                session: caller.session.clone(),
                region: caller.region.clone(),
                attempt: call.attempt,
                task: None,
                at,
                request_id: call.request_id.clone(),
                outcome,
            });
        }
        Ok(told.cloud_calls.iter().map(|call| call.seq).max())
    }

    /// Whether a call that is told again stands in the trail. One with an id may stand there at another time than it says now,
    /// since an agent's clock may be ahead; it was told within the life of a certificate, which is a day at most.
    async fn stands(&self, whose: (OrgId, DataPlaneId), call: &CallTold, at: Micros) -> StoreResult<bool> {
        match &call.request_id {
            Some(id) => self.store.trail_has_id(whose, id, a_day_before(at)).await,
            None => self.store.trail_has(whose, (call.action.as_str(), trail::outcome(&call.outcome)), at).await,
        }
    }

    /// Whether the attempt's worker runs on this data plane.
    async fn is_of(&self, org: OrgId, plane: DataPlaneId, attempt: AttemptId) -> StoreResult<bool> {
        let Some(attempt) = self.store.attempt_get(org, attempt).await? else { return Ok(false) };
        let run = self.store.run_get(org, attempt.run).await?;
        Ok(run.is_some_and(|run| run.data_plane == plane))
    }
}

const fn a_day_before(at: Micros) -> Micros {
    Micros(at.0.saturating_sub(Micros(0).plus(OLDEST).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_role_and_a_session_in_a_region_are_kept() {
        let of = |role_arn: &str, session: &str, region: &str| {
            Caller::of(&CloudCaller { role_arn: role_arn.into(), session: session.into(), region: region.into() })
        };
        let (role, host) = ("arn:aws:iam::222222222222:role/waybill-agent", "i-0a1b2c3d4e5f60718");
        let kept = of(role, host, "eu-central-1").expect("a caller");
        assert_eq!(Caller::read(&serde_json::to_string(&kept).expect("JSON")), Some(kept));
        for (role, session, region) in [
            (role, host, "us-gov-west-1"),
            (role, host, "nowhere"),
            (role, "", "eu-central-1"),
            (role, "two words", "eu-central-1"),
            (role, "x\ny", "eu-central-1"),
            ("arn:aws:iam::222222222222:user/ada", host, "eu-central-1"),
        ] {
            assert_eq!(of(role, session, region), None, "{role} {session} {region}");
        }
    }

    #[test]
    fn an_agent_tells_all_that_it_keeps_and_no_flood() {
        let (all, one, other) = (Allowances::default(), AgentId::generate(), AgentId::generate());
        assert_eq!(all.take(one, 300), 300);
        for _ in 0..9 {
            assert_eq!(all.take(one, 500), 500, "a full buffer is told at once");
        }
        // What the time that this takes adds is a few at most.
        assert!((200..300).contains(&all.take(one, 500)), "as many as fit");
        assert!(all.take(one, 500) < 100, "more than it can have kept");
        assert_eq!(all.take(other, 500), 500, "another agent has its own");
    }
}

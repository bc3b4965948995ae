//! Holds Waybill's infrastructure trail against CloudTrail's record of the same time, and names what only one side has.
//!
//! A call is found by its request id, and must then be the same call by the same session. One whose answer never came has no
//! request id here; it is found by what, who and when. Nothing is matched twice.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::Serialize;
use waybill_api::Timestamp;
use waybill_api::trail::TrailEntry;
use waybill_model::{AttemptId, DataPlaneId, Micros, RunId};

use crate::cloudtrail::{Event, Export, Role};

/// How far the two sides' clocks, and the time on the way, may lie apart where there is no request id.
const BEFORE: Duration = Duration::from_secs(60);
const AFTER: Duration = Duration::from_secs(120);
/// CloudTrail delivers in about 5 minutes, which it does not promise: what is younger may come with a later file.
pub(crate) const LATE: Duration = Duration::from_secs(15 * 60);

/// What is compared.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// From when to when, both included.
    pub(crate) from: Micros,
    pub(crate) to: Micros,
    /// Only these sessions: those of a run.
    pub(crate) sessions: Option<HashSet<String>>,
    /// The export holds no read events.
    pub(crate) writes_only: bool,
    /// Until when the export can be taken to be whole.
    pub(crate) settled: Micros,
}

/// A call that Waybill recorded and CloudTrail does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OnlyWaybill {
    pub(crate) at: Timestamp,
    pub(crate) action: String,
    pub(crate) role_arn: String,
    pub(crate) session: String,
    pub(crate) region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    pub(crate) data_plane_id: DataPlaneId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) attempt_id: Option<AttemptId>,
    /// It is so young, or so near to the export's end, that a later file may bring it.
    pub(crate) may_come: bool,
}

/// A call by a role of Waybill's, or for one, that CloudTrail shows and Waybill did not record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OnlyCloudTrail {
    pub(crate) at: Timestamp,
    pub(crate) action: String,
    pub(crate) session: String,
    pub(crate) region: String,
    pub(crate) source_ip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_code: Option<String>,
    /// What Waybill recorded under its request id instead, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recorded_as: Option<String>,
    pub(crate) file: String,
    pub(crate) record: u64,
}

/// How the two sides compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Compared {
    /// Whether neither side has something of its own.
    pub(crate) matches: bool,
    /// Calls that both have.
    pub(crate) matched: u64,
    /// Of these, calls without a request id here, found by what, who and when.
    pub(crate) matched_without_request_id: u64,
    /// Calls that were refused, failed or never answered, or asked of a bucket, and that CloudTrail need not show.
    pub(crate) not_expected: u64,
    pub(crate) only_waybill: Vec<OnlyWaybill>,
    pub(crate) only_cloudtrail: Vec<OnlyCloudTrail>,
}

/// An entry, and what of it was found on the other side.
struct Held<'a> {
    entry: &'a TrailEntry,
    role: Option<Role>,
    found: HashSet<&'a str>,
    nameless_found: u64,
}

impl Held<'_> {
    /// Calls whose request id is not known.
    fn nameless(&self) -> u64 {
        self.entry.calls.saturating_sub(self.entry.request_ids.len() as u64)
    }

    fn is_call_of(&self, event: &Event) -> bool {
        let entry = self.entry;
        entry.action == event.action && self.role.as_ref() == Some(&event.role) && entry.session == event.session
    }

    fn is_near(&self, event: &Event) -> bool {
        event.at.plus(BEFORE) >= self.entry.first_at.0 && event.at <= self.entry.last_at.0.plus(AFTER)
    }

    /// Whether all of it is of the time that is compared, and not of a kind that is left out.
    fn is_compared(&self, scope: &Scope) -> bool {
        let entry = self.entry;
        let reads = matches!(
            entry.action.as_str(),
            "sts:AssumeRole" | "sts:GetCallerIdentity" | "ecs:DescribeTasks" | "ecs:ListTasks"
        );
        entry.first_at.0 >= scope.from && entry.last_at.0 <= scope.to && !(scope.writes_only && reads)
    }
}

/// Compares. `entries`: all that Waybill has around the time; `export`: all that CloudTrail has by its roles.
pub(crate) fn compare(entries: &[TrailEntry], export: &Export, scope: &Scope) -> Compared {
    let mut held: Vec<Held<'_>> = entries.iter().map(hold).collect();
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (place, entry) in entries.iter().enumerate() {
        by_id.extend(entry.request_ids.iter().map(|id| (id.as_str(), place)));
    }
    let mut compared = Compared::default();
    let mut rest = Vec::new();
    for event in export.events.iter().filter(|event| is_compared(event, &by_id, scope)) {
        let known = event.request_id.as_deref().and_then(|id| by_id.get_key_value(id));
        match known {
            Some((&id, &place)) if held[place].is_call_of(event) => {
                compared.matched += u64::from(held[place].found.insert(id));
            }
            Some((_, &place)) => {
                let other = held[place].entry;
                let recorded_as = Some(format!("{} as {}", other.action, other.session));
                compared.only_cloudtrail.push(OnlyCloudTrail { recorded_as, ..foreign(event, export) });
            }
            None => rest.push(event),
        }
    }
    rest.sort_by_key(|event| event.at);
    let mut nameless: Vec<&mut Held<'_>> = held.iter_mut().filter(|it| it.nameless() > 0).collect();
    for event in rest {
        let fits =
            |it: &&mut &mut Held<'_>| it.nameless_found < it.nameless() && it.is_call_of(event) && it.is_near(event);
        match nameless.iter_mut().find(fits) {
            Some(it) => {
                it.nameless_found += 1;
                compared.matched += 1;
                compared.matched_without_request_id += 1;
            }
            None => compared.only_cloudtrail.push(foreign(event, export)),
        }
    }
    for it in &held {
        missing(it, scope, &mut compared);
    }
    compared.only_cloudtrail.sort_by_key(|one| one.at);
    compared.only_waybill.sort_by_key(|one| one.at);
    compared.matches = compared.only_waybill.is_empty() && compared.only_cloudtrail.is_empty();
    compared
}

fn hold(entry: &TrailEntry) -> Held<'_> {
    Held { entry, role: Role::of(&entry.role_arn), found: HashSet::new(), nameless_found: 0 }
}

fn is_compared(event: &Event, by_id: &HashMap<&str, usize>, scope: &Scope) -> bool {
    let ours = |sessions: &HashSet<String>| {
        sessions.contains(&event.session) || event.request_id.as_deref().is_some_and(|id| by_id.contains_key(id))
    };
    (scope.from..=scope.to).contains(&event.at) && scope.sessions.as_ref().is_none_or(ours)
}

/// What of an entry the other side does not show.
fn missing(it: &Held<'_>, scope: &Scope, compared: &mut Compared) {
    let entry = it.entry;
    let ids = entry.request_ids.iter().filter(|id| !it.found.contains(id.as_str()));
    let ids: Vec<Option<String>> = ids.cloned().map(Some).collect();
    let nameless = it.nameless().saturating_sub(it.nameless_found);
    if !it.is_compared(scope) {
        return;
    }
    // What is asked of a bucket is a data event, which a trail holds only where somebody chose so.
    if entry.outcome != "ok" || entry.action.starts_with("s3:") {
        compared.not_expected += ids.len() as u64 + nameless;
        return;
    }
    let nameless = usize::try_from(nameless).unwrap_or(usize::MAX);
    let may_come = entry.last_at.0.plus(LATE) > scope.settled;
    for request_id in ids.into_iter().chain(std::iter::repeat_n(None, nameless)) {
        compared.only_waybill.push(OnlyWaybill {
            at: entry.first_at,
            action: entry.action.clone(),
            role_arn: entry.role_arn.clone(),
            session: entry.session.clone(),
            region: entry.region.clone(),
            request_id,
            data_plane_id: entry.data_plane_id,
            run_id: entry.run_id,
            attempt_id: entry.attempt_id,
            may_come,
        });
    }
}

fn foreign(event: &Event, export: &Export) -> OnlyCloudTrail {
    let (file, record) = event.place;
    OnlyCloudTrail {
        at: event.at.into(),
        action: event.action.clone(),
        session: event.session.clone(),
        region: event.region.clone(),
        source_ip: event.source_ip.clone(),
        request_id: event.request_id.clone(),
        error_code: event.error.clone(),
        recorded_as: None,
        file: export.files.get(file).cloned().unwrap_or_default(),
        record,
    }
}

#[cfg(test)]
mod tests;

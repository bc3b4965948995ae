//! Keeps the infrastructure trail. Whoever calls a cloud only leaves word here and goes on: what can't be stored is tried
//! again for as long as there is room, and then counted as lost. No launch waits for it, and none fails for it.
//!
//! Calls that change something are stored one by one, looks are gathered: they are made all the time, and each still
//! counts with its own request id, so that a look that nobody here made stands out.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use waybill_api::ProblemCode;
use waybill_launcher::trail::{CloudCall, Witness};
use waybill_model::id::TrailId;
use waybill_model::{DataPlaneId, Micros, OrgId};
use waybill_store::{NewTrailEntry, Store, StoreError, StoreResult, TrailCalls, TrailEntry, TrailFilter};

use crate::app::Shared;
use crate::service::{Refused, ServiceResult};

/// Calls that wait to be stored.
const ROOM: usize = 10_000;
/// Calls of one transaction.
const BATCH: usize = 200;
/// How long calls are gathered for one transaction.
const GATHER: Duration = Duration::from_millis(100);
/// Until the next try where the database is away.
const AWAY: Duration = Duration::from_secs(1);
/// How long an entry of looks grows, and to how many.
const YOUNG: Duration = Duration::from_secs(5 * 60);
const MOST_LOOKS: u64 = 100;

/// A call, and whose data plane it was made for.
type Owned = ((OrgId, DataPlaneId), CloudCall);

/// What the looks of one entry have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Kind {
    owner: (OrgId, DataPlaneId),
    action: &'static str,
    role: String,
    session: String,
    region: String,
    outcome: &'static str,
}

/// An entry of looks that may still grow.
#[derive(Clone, Copy, Debug)]
struct Growing {
    id: TrailId,
    since: Instant,
    calls: u64,
}

/// Calls on their way into the store.
#[derive(Debug, Default)]
pub struct Trail {
    waiting: Mutex<VecDeque<Owned>>,
    came: Notify,
    growing: tokio::sync::Mutex<HashMap<Kind, Growing>>,
}

impl Witness for Trail {
    fn saw(&self, call: CloudCall) {
        let Some(owner) = call.owner else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = waiting.len() >= ROOM;
        // One is lost, another or this one. What was put back stays beyond the room.
        if is_full {
            crate::metrics::trail_lost(1);
        }
        if !is_full || make_room(&mut waiting, owner) {
            waiting.push_back((owner, call));
        }
        drop(waiting);
        self.came.notify_one();
    }
}

impl Trail {
    /// Stores what comes, until `stop`. What is left then takes [`Self::flush`].
    pub async fn keep(&self, store: &Store, stop: &CancellationToken) {
        let mut pause = GATHER;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.came.notified() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = GATHER;
            if let Err(error) = self.flush(store).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "calls of the trail wait for the database");
                pause = AWAY;
                self.came.notify_one();
            }
        }
    }

    /// Stores what waits. Fails only where the database is away, and then forgets nothing.
    pub async fn flush(&self, store: &Store) -> StoreResult<()> {
        let mut growing = self.growing.lock().await;
        growing.retain(|_, entry| entry.since.elapsed() < YOUNG);
        loop {
            let batch = self.take();
            if batch.is_empty() {
                return Ok(());
            }
            match write(store, &batch, &mut growing).await {
                Ok(()) => {}
                Err(error @ StoreError::Unavailable(_)) => {
                    self.put_back(batch);
                    return Err(error);
                }
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "calls of the trail are lost");
                    crate::metrics::trail_lost(batch.len() as u64);
                }
            }
        }
    }

    fn take(&self) -> Vec<Owned> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let many = waiting.len().min(BATCH);
        waiting.drain(..many).collect()
    }

    fn put_back(&self, batch: Vec<Owned>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for call in batch.into_iter().rev() {
            waiting.push_front(call);
        }
    }
}

/// Where there is no room, a call of the data plane that has most of it gives way: none can crowd the others out. The newcomer
/// itself where that is its own, and then there is none.
fn make_room(waiting: &mut VecDeque<Owned>, newcomer: (OrgId, DataPlaneId)) -> bool {
    let mut of: HashMap<(OrgId, DataPlaneId), usize> = HashMap::new();
    for (owner, _) in waiting.iter() {
        *of.entry(*owner).or_default() += 1;
    }
    let own = of.get(&newcomer).copied().unwrap_or_default();
    let most = of.into_iter().max_by_key(|(_, calls)| *calls).filter(|(_, calls)| *calls > own + 1);
    let last = most.and_then(|(most, _)| waiting.iter().rposition(|(owner, _)| *owner == most));
    last.is_some_and(|last| waiting.remove(last).is_some())
}

/// Writes a batch in one transaction: all of it or nothing.
async fn write(store: &Store, batch: &[Owned], growing: &mut HashMap<Kind, Growing>) -> StoreResult<()> {
    let (looks, others): (Vec<_>, Vec<_>) = batch.iter().partition(|(_, call)| call.is_look());
    let mut kinds: HashMap<Kind, TrailCalls> = HashMap::new();
    for (owner, look) in looks {
        kinds.entry(kind(*owner, look)).and_modify(|calls| add(calls, look)).or_insert_with(|| one(look));
    }
    // A batch has calls for several organizations.
    let mut tx = store.write_tx_of_all().await?;
    for (owner, call) in others {
        let entry = entry(&kind(*owner, call), TrailId::generate(), one(call));
        let entry = NewTrailEntry { task: call.task.clone(), attempt: call.attempt.or(entry.attempt), ..entry };
        Store::trail_insert_in_txn(&mut tx, &entry).await?;
    }
    let mut grown = Vec::new();
    for (kind, calls) in kinds {
        let young = growing.get(&kind).copied().filter(|entry| entry.calls < MOST_LOOKS);
        let extended = match young {
            Some(young) => Store::trail_extend_in_txn(&mut tx, kind.owner.0, young.id, &calls).await?,
            None => false,
        };
        let now = match young.filter(|_| extended) {
            Some(young) => Growing { calls: young.calls + calls.count, ..young },
            None => {
                let id = TrailId::generate();
                let begun = Growing { id, since: Instant::now(), calls: calls.count };
                Store::trail_insert_in_txn(&mut tx, &entry(&kind, id, calls)).await?;
                begun
            }
        };
        grown.push((kind, now));
    }
    tx.commit().await?;
    growing.extend(grown);
    Ok(())
}

fn kind(owner: (OrgId, DataPlaneId), call: &CloudCall) -> Kind {
    let CloudCall { action, role, session, region, outcome, .. } = call.clone();
    Kind { owner, action, role, session, region, outcome }
}

fn one(call: &CloudCall) -> TrailCalls {
    let request_ids = call.request_id.iter().cloned().collect();
    TrailCalls { count: 1, first_at: call.at, last_at: call.at, request_ids }
}

fn add(calls: &mut TrailCalls, call: &CloudCall) {
    calls.count += 1;
    calls.first_at = calls.first_at.min(call.at);
    calls.last_at = calls.last_at.max(call.at);
    calls.request_ids.extend(call.request_id.clone());
}

fn entry(kind: &Kind, id: TrailId, calls: TrailCalls) -> NewTrailEntry {
    NewTrailEntry {
        org: kind.owner.0,
        id,
        data_plane: kind.owner.1,
        // The session of a launch is named after its attempt.
        attempt: kind.session.parse().ok(),
        task: None,
        action: kind.action.to_owned(),
        role: kind.role.clone(),
        session: kind.session.clone(),
        region: kind.region.clone(),
        outcome: kind.outcome.to_owned(),
        calls,
    }
}

/// Entries by the time of their last call, oldest first. What is kept no more can't be asked for: its absence would read as
/// if nobody had called.
pub(crate) async fn list(app: &Shared, org: OrgId, filter: &TrailFilter, limit: i64) -> ServiceResult<Vec<TrailEntry>> {
    let kept_from = Micros(Micros::now().0.saturating_sub(Micros(0).plus(app.retention.trail).0));
    if filter.since.is_some_and(|since| since < kept_from) {
        let detail = format!("the trail is kept from {kept_from} on (retention.trail)");
        return Err(Refused::field(ProblemCode::ParameterInvalid, "since", detail).next("ask for a later time"));
    }
    Ok(app.store.trail_list(org, filter, limit).await?)
}

#[cfg(test)]
mod tests {
    use waybill_launcher::trail::{NO_ANSWER, OK};

    use super::*;

    fn look(at: i64, request_id: Option<&str>) -> CloudCall {
        CloudCall {
            owner: Some((OrgId::generate(), DataPlaneId::generate())),
            action: "ecs:ListTasks",
            role: "arn:aws:iam::222222222222:role/waybill-launch".into(),
            session: "waybill-look".into(),
            region: "eu-central-1".into(),
            attempt: None,
            task: None,
            at: Micros(at),
            request_id: request_id.map(str::to_owned),
            outcome: if request_id.is_some() { OK } else { NO_ANSWER },
        }
    }

    #[test]
    fn an_entry_of_looks_spans_its_calls_and_counts_those_without_an_id() {
        let mut calls = one(&look(20, Some("b")));
        add(&mut calls, &look(10, Some("a")));
        add(&mut calls, &look(30, None));
        let ids = vec!["b".to_owned(), "a".to_owned()];
        assert_eq!(calls, TrailCalls { count: 3, first_at: Micros(10), last_at: Micros(30), request_ids: ids });
    }

    #[test]
    fn what_finds_no_room_is_left_out_and_what_is_put_back_keeps_its_place() {
        let trail = Trail::default();
        for at in 0..=ROOM {
            trail.saw(look(i64::try_from(at).expect("small"), None));
        }
        let batch = trail.take();
        assert_eq!(batch.len(), BATCH);
        trail.put_back(batch);
        let again: Vec<i64> = trail.take().iter().map(|(_, call)| call.at.0).collect();
        assert_eq!(again, (0..i64::try_from(BATCH).expect("small")).collect::<Vec<_>>());
        assert_eq!(trail.waiting.lock().expect("whole").len(), ROOM - BATCH);
    }

    #[test]
    fn whoever_fills_the_room_gives_way_to_the_others() {
        let (trail, flood) = (Trail::default(), look(0, None));
        for _ in 0..ROOM + 10 {
            trail.saw(flood.clone());
        }
        let other = look(1, None);
        for _ in 0..3 {
            trail.saw(other.clone());
        }
        let waiting = trail.waiting.lock().expect("whole");
        let of = |call: &CloudCall| waiting.iter().filter(|(owner, _)| Some(*owner) == call.owner).count();
        assert_eq!((of(&other), of(&flood)), (3, ROOM - 3));
    }

    /// While the database is away, a batch comes back into a room that filled up meanwhile.
    #[test]
    fn where_a_batch_is_put_back_into_a_full_room_newcomers_are_kept_and_each_loss_is_counted() {
        let (trail, flood, other) = (Trail::default(), look(0, None), look(1, None));
        (0..ROOM).for_each(|_| trail.saw(flood.clone()));
        let batch = trail.take();
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || (0..BATCH).for_each(|_| trail.saw(flood.clone())));
        trail.put_back(batch);
        metrics::with_local_recorder(&recorder, || (0..3).for_each(|_| trail.saw(other.clone())));
        let lost = recorder.handle().render();
        assert!(lost.lines().any(|line| line == "waybill_trail_lost_total 3"), "{lost}");
        let waiting = trail.waiting.lock().expect("whole");
        let of = |call: &CloudCall| waiting.iter().filter(|(owner, _)| Some(*owner) == call.owner).count();
        assert_eq!((of(&other), of(&flood)), (3, ROOM + BATCH - 3));
    }
}

//! The infrastructure trail on both databases: an entry finds its run, grows while it is young, is read page by page, stays
//! with its organization, and goes when its time has come.

use waybill_model::id::TrailId;
use waybill_model::run::RunKind;
use waybill_model::{AttemptId, Micros, RunId};
use waybill_store::{Kept, NewTrailEntry, TrailCalls, TrailEntry, TrailFilter};

use super::lists::{furnished, run};
use super::*;

fn entry(org: OrgId, plane: DataPlaneId, at: i64) -> NewTrailEntry {
    NewTrailEntry {
        org,
        id: TrailId::generate(),
        data_plane: plane,
        attempt: None,
        task: None,
        action: "ecs:ListTasks".into(),
        role: "arn:aws:iam::222222222222:role/waybill-launch".into(),
        session: "waybill-look".into(),
        region: "eu-central-1".into(),
        outcome: "ok".into(),
        calls: calls(at, &[&format!("r-{at}")]),
    }
}

fn calls(at: i64, ids: &[&str]) -> TrailCalls {
    let request_ids = ids.iter().map(|id| (*id).to_owned()).collect();
    TrailCalls { count: ids.len().max(1) as u64, first_at: Micros(at), last_at: Micros(at), request_ids }
}

async fn add(store: &Store, entries: &[NewTrailEntry]) {
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    for entry in entries {
        Store::trail_insert_in_txn(&mut tx, entry).await.expect("added");
    }
    tx.commit().await.expect("committed");
}

async fn list(store: &Store, org: OrgId, filter: TrailFilter) -> Vec<TrailEntry> {
    store.trail_list(org, &filter, 100).await.expect("a trail")
}

#[tokio::test]
async fn a_call_finds_its_run_by_its_attempt_or_by_its_task() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let (org, project, plane, [shop, _]) = furnished(store).await;
        let of = RunId::generate();
        run(store, (org, project), plane, (of, shop, RunKind::Check)).await;
        let attempt = both.attempt(database, (org, plane, of), true).await;
        both.raw(database, &format!("update attempt set task_ref = 'arn:task' where id = '{attempt}'")).await;
        let launch = NewTrailEntry { attempt: Some(attempt), ..entry(org, plane, 1) };
        let stop = NewTrailEntry { task: Some("arn:task".into()), ..entry(org, plane, 2) };
        // An attempt that this database does not know stays named; it has no run here.
        let unknown = AttemptId::generate();
        let lost = NewTrailEntry { attempt: Some(unknown), task: Some("arn:other".into()), ..entry(org, plane, 3) };
        add(store, &[launch, stop, lost, entry(org, plane, 4)]).await;
        let seen: Vec<_> = list(store, org, TrailFilter::default()).await;
        let whose: Vec<_> = seen.iter().map(|it| (it.run, it.attempt)).collect();
        let found = (Some(of), Some(attempt));
        assert_eq!(whose, [found, found, (None, Some(unknown)), (None, None)]);
        let filter = TrailFilter { run: Some(of), ..TrailFilter::default() };
        assert_eq!(list(store, org, filter).await, seen[..2]);
    }
}

#[tokio::test]
async fn looks_grow_forward_and_pages_miss_none_of_them() {
    let both = both().await;
    for store in &both.stores {
        let (org, _, plane, _) = furnished(store).await;
        let entries: Vec<_> = (0..5).map(|n| entry(org, plane, n * 10)).collect();
        add(store, &entries).await;
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        assert!(Store::trail_extend_in_txn(&mut tx, org, entries[0].id, &calls(25, &["x", "y"])).await.expect("grown"));
        let other = Store::trail_extend_in_txn(&mut tx, OrgId::generate(), entries[0].id, &calls(1, &[])).await;
        assert!(!other.expect("asked"), "another organization's entry");
        tx.commit().await.expect("committed");
        let mut seen = Vec::new();
        let mut filter = TrailFilter { data_plane: Some(plane), ..TrailFilter::default() };
        loop {
            let page = store.trail_list(org, &filter, 2).await.expect("a page");
            let Some(last) = page.last() else { break };
            filter.after = Some((last.calls.last_at, last.id));
            seen.extend(page);
        }
        let times: Vec<_> = seen.iter().map(|it| (it.calls.first_at.0, it.calls.last_at.0, it.calls.count)).collect();
        assert_eq!(times, [(10, 10, 1), (20, 20, 1), (0, 25, 3), (30, 30, 1), (40, 40, 1)]);
        assert_eq!(seen[2].calls.request_ids, ["r-0", "x", "y"]);
        let part = TrailFilter { since: Some(Micros(20)), until: Some(Micros(30)), ..TrailFilter::default() };
        assert_eq!(list(store, org, part).await, seen[1..3]);
        assert!(list(store, tenant(store).await.0, TrailFilter::default()).await.is_empty(), "tenants are apart");
    }
}

#[tokio::test]
async fn an_entry_is_kept_for_its_own_time_whatever_becomes_of_its_run() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let (org, _, plane, _) = furnished(store).await;
        let entries = [entry(org, plane, 1), entry(org, plane, 2)];
        add(store, &entries).await;
        both.raw(database, &format!("update trail set recorded_at = 1000 where id = '{}'", entries[0].id)).await;
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let day = Duration::from_secs(24 * 60 * 60);
        let gone = Store::kept_remove_in_txn(&mut tx, Kept::Trail, day * 90, 100).await.expect("removed");
        tx.commit().await.expect("committed");
        assert_eq!(gone, std::collections::BTreeMap::from([(org, 1)]));
        let left: Vec<_> = list(store, org, TrailFilter::default()).await.into_iter().map(|it| it.id).collect();
        assert_eq!(left, [entries[1].id]);
    }
}

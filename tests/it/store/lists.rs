//! Lists on both databases: every order, from page to page, and only what a filter lets through.

use waybill_model::run::{RunKind, RunState};
use waybill_model::{Micros, RunId};
use waybill_store::{ListOrder, ListPart, Listed, NewRun, RunFilter, RunOrder, Sight};

use super::*;

async fn projects(store: &Store, org: OrgId, names: &[&str]) {
    for name in names {
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        Store::project_insert_in_txn(&mut tx, org, ProjectId::generate(), name, 1_000).await.expect("added");
        tx.commit().await.expect("committed");
    }
}

#[tokio::test]
async fn a_list_has_every_order_and_each_page_begins_behind_the_last() {
    for store in &both().await.stores {
        let (org, _) = tenant(store).await;
        let (other, _) = tenant(store).await;
        projects(store, org, &["c", "a", "b"]).await;
        projects(store, other, &["theirs"]).await;
        for (order, descending) in
            [(ListOrder::Made, false), (ListOrder::Made, true), (ListOrder::Name, false), (ListOrder::Name, true)]
        {
            let mut part = ListPart { order, descending, after: None, limit: 3 };
            let mut found = store.project_part(org, Sight::All, &part).await.expect("a page");
            let last = found.last().expect("three rows");
            part.after = Some(if order == ListOrder::Name { last.name.clone() } else { last.id.to_string() });
            found.extend(store.project_part(org, Sight::All, &part).await.expect("the next page"));
            let key = |project: &waybill_store::Project| match order {
                ListOrder::Name => project.name.clone(),
                ListOrder::Made => project.id.to_string(),
            };
            let mut keys: Vec<String> = found.iter().map(key).collect();
            if descending {
                keys.reverse();
            }
            assert!(keys.is_sorted() && keys.len() == 4, "{order:?} {descending}: {keys:?}");
        }
        assert_eq!(store.listed_count(org, Listed::Projects(Sight::All), 100).await.expect("a count"), 4);
        assert_eq!(
            store.listed_count(org, Listed::Projects(Sight::All), 2).await.expect("a count"),
            2,
            "counting stops"
        );
    }
}

pub(super) async fn run(
    store: &Store,
    (org, project): (OrgId, ProjectId),
    plane: DataPlaneId,
    (id, connection, kind): (RunId, ConnectionId, RunKind),
) {
    let new = NewRun {
        org,
        project,
        id,
        pipeline: None,
        connection: Some(connection),
        owner: PipelineId::generate(),
        pipeline_version: None,
        subject: "shop".into(),
        data_plane: plane,
        kind,
        trigger: "manual",
        slot: None,
        retry_of: None,
        requested_by: "user:test".into(),
        plan: "{}".into(),
        time_limit: Duration::from_secs(60),
        preview_rows: None,
    };
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    Store::run_insert_in_txn(&mut tx, &new).await.expect("a run");
    tx.commit().await.expect("committed");
}

/// An organization with a data plane and two connections.
pub(super) async fn furnished(store: &Store) -> (OrgId, ProjectId, DataPlaneId, [ConnectionId; 2]) {
    let (org, project) = tenant(store).await;
    let (plane, connections) = (DataPlaneId::generate(), [ConnectionId::generate(), ConnectionId::generate()]);
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    Store::data_plane_insert_in_txn(&mut tx, org, plane, "local", ("process", "{}")).await.expect("added");
    for (id, name) in connections.into_iter().zip(["shop", "lake"]) {
        let new = NewConnection { org, project, id, name: name.into(), kind: "sqlite".into(), system: "{}".into() };
        Store::connection_insert_in_txn(&mut tx, &new).await.expect("added");
    }
    tx.commit().await.expect("committed");
    (org, project, plane, connections)
}

#[tokio::test]
async fn runs_are_filtered_before_they_are_paged_and_ordered_by_their_start() {
    for store in &both().await.stores {
        let (org, project, plane, [shop, lake]) = furnished(store).await;
        let at = (org, project);
        let mut of_shop = [RunId::generate(), RunId::generate(), RunId::generate()];
        of_shop.sort_unstable();
        let [first, second, discovery] = of_shop;
        run(store, at, plane, (first, shop, RunKind::Check)).await;
        run(store, at, plane, (RunId::generate(), lake, RunKind::Check)).await;
        run(store, at, plane, (second, shop, RunKind::Check)).await;
        run(store, at, plane, (discovery, shop, RunKind::Discover)).await;
        let find = async |filter: RunFilter| {
            let rows = store.run_list(org, &filter, 10).await.expect("a list");
            rows.iter().map(|run| run.id).collect::<Vec<_>>()
        };
        let of_shop = RunFilter { connection: Some(shop), ..RunFilter::default() };
        assert_eq!(find(of_shop.clone()).await, [discovery, second, first]);
        let checks_of_shop = RunFilter { kind: Some(RunKind::Check), ..of_shop.clone() };
        assert_eq!(find(checks_of_shop.clone()).await, [second, first]);
        let behind = RunFilter { after: Some((Micros(0), second)), ..checks_of_shop.clone() };
        assert_eq!(find(behind).await, [first]);
        let oldest = RunFilter { order: RunOrder::Oldest, ..checks_of_shop.clone() };
        assert_eq!(find(oldest).await, [first, second]);
        assert_eq!(store.run_count(org, &of_shop, 100).await.expect("a count"), 3);
        let elsewhere = RunFilter { project: Some(ProjectId::generate()), ..RunFilter::default() };
        assert!(find(elsewhere).await.is_empty());

        // The oldest one begins last, so that the two orders differ.
        let mut tx = store.write_tx_of_all().await.expect("a transaction");
        let row = Store::run_lock_in_txn(&mut tx, org, first).await.expect("a read").expect("a run");
        assert!(Store::run_move_in_txn(&mut tx, &row, RunState::Running, None).await.expect("moved"));
        tx.commit().await.expect("committed");
        let started = RunFilter { order: RunOrder::LastStarted, ..of_shop.clone() };
        assert_eq!(find(started.clone()).await, [first, discovery, second]);
        let begun = store.run_get(org, first).await.expect("a read").expect("a run").began();
        let behind = RunFilter { after: Some((begun, first)), ..started };
        assert_eq!(find(behind).await, [discovery, second]);
        let first_started = RunFilter { order: RunOrder::FirstStarted, ..of_shop };
        assert_eq!(find(first_started).await, [second, discovery, first]);
    }
}

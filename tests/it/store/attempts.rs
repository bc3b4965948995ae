//! Attempts on both databases: each starts within its own bound, also after a restart and after an upgrade.

use waybill_model::run::RunKind;
use waybill_model::{AttemptId, Micros, RunId};
use waybill_store::{Attempt, NewAttempt};

use super::lists::{furnished, run};
use super::*;

const LEASE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(900);
/// What being away for an hour does to every lease.
const AWAY: &str = "update attempt set lease_until = lease_until - 3600000000";

/// An attempt of a run of its own, which is to start within this time.
async fn starting(store: &Store, start_timeout: Duration) -> Attempt {
    let (org, project, plane, [shop, _]) = furnished(store).await;
    let of = RunId::generate();
    run(store, (org, project), plane, (of, shop, RunKind::Check)).await;
    let new = NewAttempt {
        org,
        id: AttemptId::generate(),
        run: of,
        number: 1,
        epoch: Epoch(1),
        data_plane: plane,
        launch_request: b"{}".to_vec(),
        launch_holder: "test".into(),
        launch_claim: LEASE,
        start_timeout,
    };
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    Store::attempt_insert_in_txn(&mut tx, &new).await.expect("added");
    tx.commit().await.expect("committed");
    store.attempt_get(org, new.id).await.expect("a read").expect("an attempt")
}

/// Refreshes leases; says how many, and between which two times that was.
async fn refreshed(store: &Store) -> (u64, [Micros; 2]) {
    let mut tx = store.write_tx_of_all().await.expect("a transaction");
    let before = tx.clock().await.expect("the clock");
    let count = Store::attempt_refresh_leases_in_txn(&mut tx, LEASE).await.expect("refreshed");
    let after = tx.clock().await.expect("the clock");
    tx.commit().await.expect("committed");
    (count, [before, after])
}

/// Asserts that a lease ends this long after it was refreshed.
async fn ends(store: &Store, attempt: &Attempt, [before, after]: [Micros; 2], bound: Duration) {
    let found = store.attempt_get(attempt.org, attempt.id).await.expect("a read").expect("an attempt").lease_until;
    assert!(found >= before.plus(bound) && found <= after.plus(bound), "{found:?} is not {bound:?} after {before:?}");
}

#[tokio::test]
async fn a_restart_gives_each_launch_its_own_bound_again_and_a_running_attempt_a_lease() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let [short, long, running, over] = [
            starting(store, SHORT).await,
            starting(store, LONG).await,
            starting(store, LONG).await,
            starting(store, LONG).await,
        ];
        for (attempt, state) in [(&running, "running"), (&over, "lost")] {
            both.raw(database, &format!("update attempt set state = '{state}' where id = '{}'", attempt.id)).await;
        }
        both.raw(database, AWAY).await;
        let (count, at) = refreshed(store).await;
        assert_eq!(count, 3);
        ends(store, &short, at, SHORT).await;
        ends(store, &long, at, LONG).await;
        ends(store, &running, at, LEASE).await;
        let over = store.attempt_get(over.org, over.id).await.expect("a read").expect("an attempt");
        assert!(over.lease_until < at[0], "what has ended holds no lease");
        // A lease that is longer than its window is left alone.
        both.raw(
            database,
            &format!("update attempt set lease_until = lease_until + 3600000000 where id = '{}'", long.id),
        )
        .await;
        let (_, at) = refreshed(store).await;
        let kept = store.attempt_get(long.org, long.id).await.expect("a read").expect("an attempt");
        assert!(kept.lease_until > at[1].plus(LONG));
    }
}

#[tokio::test]
async fn an_attempt_that_waits_while_the_database_is_brought_up_to_date_keeps_its_bound() {
    let both = both().await;
    for (database, store) in both.stores.iter().enumerate() {
        let waits = starting(store, LONG).await;
        // As the version before left it, which knew the end of the first lease only.
        let before = format!(
            "alter table attempt drop column start_bound_us;
             delete from _sqlx_migrations where version = 9;
             update attempt set lease_until = created_at + {} where id = '{}'",
            SHORT.as_micros(),
            waits.id
        );
        both.raw(database, &before).await;
        let store = Store::open(&both.url(database)).await.expect("brought up to date");
        // The version before runs on for a while, and names no bound.
        let (org, project, plane, [shop, _]) = furnished(&store).await;
        let of = RunId::generate();
        run(&store, (org, project), plane, (of, shop, RunKind::Check)).await;
        let id = both.attempt(database, (org, plane, of), false).await;
        both.raw(database, &format!("update attempt set state = 'launching' where id = '{id}'")).await;
        both.raw(database, AWAY).await;
        let (count, at) = refreshed(&store).await;
        assert_eq!(count, 2);
        ends(&store, &waits, at, SHORT).await;
        let unnamed = store.attempt_find(id).await.expect("a read").expect("an attempt");
        ends(&store, &unnamed, at, LONG).await;
    }
}

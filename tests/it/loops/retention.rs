//! The keeper's rounds: what can't be removed holds up nothing else.

use std::time::Duration;

use waybill_orchestrator::loops::retention::Keeper;
use waybill_store::{IdempotencyKey, KeptAnswer, Store, StoreError};

use super::fixture::{Database, World, bounds};

#[tokio::test]
async fn a_kind_that_can_not_be_removed_holds_up_no_other_kind() {
    let world = World::new(Database::sqlite(), bounds()).await;
    let run = world.trigger().await;
    let key = IdempotencyKey { org: world.org, actor: "user:test".into(), key: "old".into() };
    let answer = KeptAnswer { request_digest: "d".into(), status: 201, response: "{}".into() };
    let mut tx = world.store.write_tx_of_all().await.expect("a transaction");
    Store::idempotency_key_insert_in_txn(&mut tx, &key, &answer).await.expect("kept");
    tx.commit().await.expect("committed");
    let Database::Sqlite(directory) = &world.database else { panic!("SQLite") };
    let file = rusqlite::Connection::open(directory.path().join("waybill.db")).expect("the file");
    file.busy_timeout(Duration::from_secs(5)).expect("patience");
    file.execute_batch(
        "update run set state = 'failed', finished_at = 1000;
         update idempotency_key set created_at = 1000;
         create trigger stuck before delete on run_event begin select raise(abort, 'stuck'); end",
    )
    .expect("aged, and a fault");
    let lease = world.store.loop_lease_take("retention", "test", Duration::from_secs(60)).await;
    let lease = lease.expect("a lease").expect("ours");
    let keeper = Keeper::new(world.context.clone());
    let round = keeper.round(&lease).await.expect("a round");
    assert_eq!(round.failed, 2, "events, and runs with their events: the fault fired");
    assert_eq!(world.store.idempotency_key_get(&key).await.expect("a read"), None, "the rest goes");
    assert!(world.store.run_get(world.org, run.id).await.expect("a read").is_some());
    file.execute_batch("drop trigger stuck").expect("mended");
    let round = keeper.round(&lease).await.expect("a round");
    assert_eq!((round.failed, round.acted), (0, 2));
    assert_eq!(world.store.run_get(world.org, run.id).await.expect("a read"), None);
    // Who leads no more removes nothing.
    world.store.loop_lease_release(&lease).await.expect("given back");
    world.store.loop_lease_take("retention", "other", Duration::from_secs(60)).await.expect("asked").expect("taken");
    assert!(matches!(keeper.round(&lease).await, Err(StoreError::StaleLeader { .. })));
}

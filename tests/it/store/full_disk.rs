//! A disk without space under the control plane's SQLite database.

use waybill_model::OrgId;
use waybill_store::{Store, StoreOptions, StoreResult};
use waybill_tests::small_disk;

const NAME: &str = "store::full_disk::f39_a_database_without_space_loses_nothing_and_goes_on_when_there_is_some";

async fn add(store: &Store) -> StoreResult<OrgId> {
    let org = OrgId::generate();
    let mut tx = store.write_tx_of_all().await?;
    // More than the pages that the file has at hand.
    for _ in 0..20 {
        Store::organization_insert_in_txn(&mut tx, OrgId::generate(), &"a long name".repeat(90)).await?;
    }
    Store::organization_insert_in_txn(&mut tx, org, "the last").await?;
    tx.commit().await?;
    Ok(org)
}

/// SQLite rolls a transaction back by itself when the disk is full. A connection whose driver does not notice would refuse
/// every later transaction.
#[tokio::test]
async fn f39_a_database_without_space_loses_nothing_and_goes_on_when_there_is_some() {
    let Some(dir) = small_disk::inside(NAME, "8m") else { return };
    let url = format!("sqlite://{}", dir.join("waybill.db").display());
    let options = StoreOptions { connections: 2, ..StoreOptions::default() };
    let store = Store::open_with(&url, &options).await.expect("a store");
    let mut kept = vec![add(&store).await.expect("space")];
    for _ in 0..4 {
        let filler = small_disk::fill(&dir, 0);
        for _ in 0..3 {
            let refused = add(&store).await.expect_err("no space");
            assert!(refused.is_unavailable(), "{refused:?}");
        }
        for org in &kept {
            assert!(store.organization_get(*org).await.expect("reads go on").is_some());
        }
        std::fs::remove_file(filler).expect("space");
        kept.push(add(&store).await.expect("space is back"));
    }
}

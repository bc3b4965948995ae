//! Tables that another writer made and whose log it has cut: an attempt that dies there is followed by one that goes on.

use std::os::unix::process::ExitStatusExt;

use serde_json::json;
use waybill_tests::readers::{self, Foreign};

use super::{Shop, report, rows, talk};

const SUMS: &str = "SELECT count(*), count(DISTINCT id), CAST(sum(id) AS BIGINT) FROM t";

/// Two rows beside the three of a table of delta-rs, and an attempt that died between state and commit.
fn died_before_its_commit(log: Foreign) -> Shop {
    let streams = "      t: { load: new, cursor: id, take-over: true }";
    let shop = Shop::with("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (11), (12)", streams);
    readers::create(&shop.table("t"), &json!({})).expect("a table of delta-rs");
    readers::change(&shop.table("t"), log).expect("a checkpoint");
    let marker = shop.path("fired");
    let fault = format!("prepared=kill;{}", marker.display());
    let killed = shop.command("waybill-worker-faults").env("WAYBILL_FAULT", fault).output().expect("run");
    assert_eq!(killed.status.signal(), Some(9), "{}", talk(&killed));
    assert!(std::fs::read_to_string(&marker).expect("the fault fired").starts_with("prepared"));
    assert_eq!(std::fs::read_dir(shop.table("t").join("_waybill/state")).expect("states").count(), 1);
    assert_eq!(rows(&shop.table("t"), SUMS), json!([[3, 3, 6]]));
    shop
}

#[test]
fn an_attempt_that_dies_on_a_foreign_table_whose_log_was_cut_is_followed_by_one_that_delivers() {
    let shop = died_before_its_commit(Foreign::CleanUp);
    shop.delivered();
    assert_eq!(rows(&shop.table("t"), SUMS), json!([[5, 5, 29]]));
    shop.sql("INSERT INTO t VALUES (13)");
    shop.delivered();
    assert_eq!(rows(&shop.table("t"), SUMS), json!([[6, 6, 42]]));
}

#[test]
fn where_the_log_is_cut_above_an_attempt_that_died_the_refusal_names_the_way_out() {
    let shop = died_before_its_commit(Foreign::Checkpoint);
    readers::change(&shop.table("t"), Foreign::Append(4)).expect("a foreign row");
    readers::change(&shop.table("t"), Foreign::CleanUp).expect("a clean-up");
    let refused = shop.once();
    assert_eq!(report(&refused)["streams"][0]["failure"], json!("append_in_doubt"), "{}", talk(&refused));
    assert!(talk(&refused).contains("remove t/_waybill/state/"), "{}", talk(&refused));
    assert_eq!(rows(&shop.table("t"), SUMS), json!([[4, 4, 10]]));
    // Nothing of ours is in it: so the states go, and nothing else.
    std::fs::remove_dir_all(shop.table("t").join("_waybill/state")).expect("a removal");
    shop.delivered();
    assert_eq!(rows(&shop.table("t"), SUMS), json!([[6, 6, 33]]));
}

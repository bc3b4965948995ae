//! Workers that die while rows are merged, and other writers of the table: the next run has every row once.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use serde_json::json;
use waybill_tests::fault::Marker;
use waybill_tests::process::wake;
use waybill_tests::readers::{Foreign, change};

use super::fixture::{EVERY, Merging, contents};
use crate::once::{Shop, report, rows, talk};

fn merging() -> Merging {
    let shop = Merging(Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, note TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO c SELECT i, i, 'note ' || i FROM n",
        "      c: { load: changed, cursor: rev }",
    ));
    shop.delivers("c", 500);
    shop
}

/// Every fifth row, and one more.
fn edit(shop: &Shop, round: i64) {
    shop.sql(&format!(
        "UPDATE c SET note = 'round {round}', rev = {from} + id WHERE id <= 500 AND id % 5 = {round} % 5;
         INSERT INTO c VALUES ({from}, {from}, 'new in {round}')",
        from = 1000 * round
    ));
}

#[test]
fn a_worker_killed_at_any_step_of_a_merge_leaves_the_old_table_or_the_new_one() {
    let shop = merging();
    for (round, point) in (1..).zip(EVERY) {
        edit(&shop.0, round);
        let before = contents(&shop.0.table("c").join("_delta_log"));
        let marker = Marker::at(shop.0.path(&format!("fired-{point}")));
        let mut worker = shop.0.command("waybill-worker-faults");
        let killed = worker.env("WAYBILL_FAULT", marker.order(&format!("{point}=kill"))).output().expect("run");
        assert_eq!(killed.status.signal(), Some(9), "{point}: {}", talk(&killed));
        marker.fired().expect("the fault fired");
        let is_there = point == "commit_applied";
        assert_eq!(contents(&shop.0.table("c").join("_delta_log")) == before, !is_there, "{point}");
        shop.delivers("c", if is_there { 0 } else { 101 });
        shop.is_the_source("c", "id, rev, note", "id");
    }
    super::super::verified(&shop.0);
}

/// Stops a worker once it has merged, lets another writer change the table, and lets the worker go on.
async fn overtaken_by(shop: &Merging, foreign: Foreign) -> (std::process::Output, Marker) {
    let marker = Marker::at(shop.0.path(&format!("fired-{foreign:?}")));
    let mut worker = shop.0.command("waybill-worker-faults");
    worker.env("WAYBILL_FAULT", marker.order("merged=stop")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let worker = worker.spawn().expect("start");
    let pid = marker.fires(1).await.expect("the fault fired");
    change(&shop.0.table("c"), foreign).expect("delta-rs");
    wake(pid).await.expect("it goes on");
    (worker.wait_with_output().expect("its end"), marker)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optimize_between_read_and_commit_is_noticed_and_the_next_run_is_exact() {
    let shop = merging();
    for round in [1, 4] {
        // A second file, so that there is something to compact.
        edit(&shop.0, round);
        shop.delivers("c", 101);
        edit(&shop.0, round + 1);
        let (output, marker) = overtaken_by(&shop, Foreign::Compact).await;
        assert_eq!(marker.fired().expect("fired").len(), 1);
        assert_eq!(report(&output)["streams"][0]["failure"], "merge_overtaken", "{}", talk(&output));
        let old = rows(&shop.0.table("c"), &format!("select count(*) from t where note = 'round {}'", round + 1));
        assert_eq!(old, json!([[0]]), "nothing of it was committed");
        shop.delivers("c", 101);
        shop.is_the_source("c", "id, rev, note", "id");
        // What the other writer left is merged with like files of ours: its types are its own.
        edit(&shop.0, round + 2);
        change(&shop.0.table("c"), Foreign::Compact).expect("delta-rs");
        shop.delivers("c", 101);
        shop.is_the_source("c", "id, rev, note", "id");
        std::fs::remove_file(marker.path()).expect("for the next round");
    }
    super::super::verified(&shop.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_another_writer_adds_meanwhile_is_not_doubled() {
    let shop = Merging(Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (1), (2), (3)",
        "      c: { load: changed, cursor: id }",
    ));
    shop.delivers("c", 3);
    shop.0.sql("INSERT INTO c VALUES (4), (5)");
    let (output, _) = overtaken_by(&shop, Foreign::Append(5)).await;
    assert_eq!(report(&output)["streams"][0]["failure"], "merge_overtaken", "{}", talk(&output));
    shop.delivers("c", 2);
    shop.is_the_source("c", "id", "id");
    // What it takes away is said, as for `new`.
    change(&shop.0.table("c"), Foreign::Delete(2)).expect("delta-rs");
    shop.0.sql("INSERT INTO c VALUES (6)");
    shop.fails("c", "table_changed_by_other");
}

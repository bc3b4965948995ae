//! What a stream expects of its rows, before they become visible in a table of a database.

use serde_json::{Value, json};

use super::{Copy, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_not_as_expected_never_reach_a_table_of_postgres() {
    let copy = Copy::with(&numbers(100), "t: {}");
    copy.delivered();
    copy.source("UPDATE t SET note = NULL WHERE id > 90; DELETE FROM t WHERE id <= 10");
    copy.streams("t: { expect: [{ not-null: [note] }, { rows: { change: 5% } }] }");
    let told = copy.fails("expectation_failed");
    assert_eq!(told, "expectation 1 (not-null of note): 10 rows; expectation 2 (number of rows): 90 rows");
    assert_eq!(copy.one("SELECT count(*) || ' ' || count(note) FROM t").await, "100 100");
    assert_eq!(copy.one("SELECT version FROM _waybill_commit").await, "1");
    // What only warns is delivered, and the row beside it tells.
    copy.streams("t: { expect: [{ not-null: [note], on-failure: warn }, { rows: { change: 10% } }] }");
    let report = copy.delivered();
    let counted = |expected: &Value| {
        let all = expected.as_array().expect("expectations").iter();
        all.map(|one| json!([one["number"], one["rows"], one["holds"]])).collect::<Vec<_>>()
    };
    let wanted = [json!([1, 10, false]), json!([2, 90, true])];
    assert_eq!(counted(&report["streams"][0]["expected"]), wanted);
    let kept = copy.one("SELECT state FROM _waybill_commit").await;
    let kept: Value = serde_json::from_str(&kept).expect("a state");
    assert_eq!(counted(&kept["expected"]), wanted);
    assert_eq!(copy.one("SELECT count(*) || ' ' || count(note) FROM t").await, "90 80");
}

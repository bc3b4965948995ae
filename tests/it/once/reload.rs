//! One stream read whole, whatever its load: it replaces its table in one commit, and the next window goes on from there.

use std::process::Output;

use serde_json::{Value, json};

use super::{Shop, report, rows, talk};

fn shop() -> Shop {
    let shop = Shop::with(
        "CREATE TABLE c (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO c VALUES (1, 'a'), (2, 'b');
         CREATE TABLE other (id INTEGER PRIMARY KEY); INSERT INTO other VALUES (1)",
        "      c: { load: new, cursor: id }\n      other: { load: new, cursor: id }",
    );
    shop.delivered();
    shop
}

fn once(shop: &Shop, arguments: &[&str]) -> Output {
    shop.command("waybill-worker").args(arguments).output().expect("run the worker")
}

fn reloaded(shop: &Shop) -> Value {
    let output = once(shop, &["--reload", "c"]);
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    report(&output)
}

fn all(shop: &Shop) -> Value {
    rows(&shop.table("c"), "SELECT * FROM t ORDER BY id")
}

#[test]
fn a_stream_that_is_reloaded_replaces_its_table_in_one_commit_and_goes_on_from_there() {
    let shop = shop();
    // What no window sees: a row that changed, one that went, and another shape.
    shop.sql("UPDATE c SET note = 'A' WHERE id = 1; DELETE FROM c WHERE id = 2; INSERT INTO c VALUES (3, 'c'); ALTER TABLE c ADD COLUMN more TEXT; INSERT INTO other VALUES (2)");
    let told = reloaded(&shop);
    let streams = told["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 1, "no other stream runs: {told}");
    assert_eq!(
        (&streams[0]["rows"], &streams[0]["version"], &streams[0]["columns"]["new"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(all(&shop), json!([[1, "A", null], [3, "c", null]]));
    shop.sql("INSERT INTO c VALUES (4, 'd', 'x')");
    let next = shop.delivered();
    assert_eq!((&next["streams"][0]["rows"], &next["streams"][1]["rows"]), (&json!(1), &json!(1)), "{next}");
    assert_eq!(all(&shop), json!([[1, "A", null], [3, "c", null], [4, "d", "x"]]));
    let both = once(&shop, &["--reload", "c", "--stream", "other"]);
    assert_eq!(report(&both)["streams"].as_array().map(Vec::len), Some(2));
    assert_eq!(once(&shop, &["--reload", "nothing"]).status.code(), Some(2));
    let torn = once(&shop, &["--preview", "3", "--reload", "c"]);
    assert_eq!(torn.status.code(), Some(2), "a preview replaces nothing: {}", talk(&torn));
}

#[test]
fn a_reload_that_dies_leaves_the_table_as_it_was_and_an_empty_source_is_held_up_by_the_guard() {
    let shop = shop();
    shop.sql("UPDATE c SET note = 'new'");
    for point in ["last_part", "before_commit_put"] {
        let marker = shop.path(point);
        let mut killed = shop.command("waybill-worker-faults");
        let fault = format!("{point}=kill;{}", marker.display());
        let killed = killed.args(["--reload", "c"]).env("WAYBILL_FAULT", fault).output().expect("run");
        assert!(marker.exists(), "{point}: {}", talk(&killed));
        assert_eq!(all(&shop), json!([[1, "a"], [2, "b"]]), "{point}");
    }
    reloaded(&shop);
    assert_eq!(all(&shop), json!([[1, "new"], [2, "new"]]));
    shop.sql("DELETE FROM c");
    assert_eq!(report(&once(&shop, &["--reload", "c"]))["streams"][0]["failure"], "table_shrank");
    shop.spec("      c: { load: new, cursor: id, shrink-guard: off }\n      other: { load: new, cursor: id }", "");
    reloaded(&shop);
    assert_eq!(all(&shop), json!([]));
}

#[test]
fn a_merged_table_is_reloaded_and_merged_into_again() {
    let shop = shop();
    shop.spec("      c: { load: changed, cursor: id, deletes: remove }\n      other: {}", "");
    shop.delivered();
    shop.sql("UPDATE c SET note = 'unseen' WHERE id = 1");
    shop.delivered();
    assert_eq!(all(&shop), json!([[1, "a"], [2, "b"]]));
    reloaded(&shop);
    shop.sql("INSERT INTO c VALUES (3, 'c'); DELETE FROM c WHERE id = 2");
    shop.delivered();
    assert_eq!(all(&shop), json!([[1, "unseen"], [3, "c"]]));
}

//! Checkpoints as a worker leaves them behind its commits, and workers that die at them.

use serde_json::json;

use super::{Shop, rows, talk};

const SALES: &str = "CREATE TABLE s (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, country TEXT, made TIMESTAMP);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30)
    INSERT INTO s SELECT i, i, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 'SE' WHEN 2 THEN 'a b/ü%=' ELSE 'x' END,
        datetime('2024-01-01', i || ' hours') FROM n";

fn shop() -> Shop {
    let shop = Shop::with(SALES, "");
    shop.spec("      s: { load: changed, cursor: rev, deletes: remove }\n", "    files: { partition-by: [country] }\n");
    shop
}

/// Rows that change, that come and that go, so that each run removes files.
fn more(shop: &Shop, n: u32) {
    shop.sql(&format!(
        "UPDATE s SET country = 'NO', rev = {rev} WHERE id = {n}; DELETE FROM s WHERE id = {gone};
         INSERT INTO s VALUES ({new}, {rev}, 'SE', '2024-05-06 07:08:09')",
        rev = 100 + n,
        gone = n + 8,
        new = 1000 + n
    ));
}

fn checkpoints(shop: &Shop) -> Vec<u64> {
    let log = std::fs::read_dir(shop.table("s").join("_delta_log")).expect("the log");
    let names = log.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let mut found: Vec<u64> = names
        .filter_map(|name| name.strip_suffix(".checkpoint.parquet").and_then(|number| number.parse().ok()))
        .collect();
    found.sort_unstable();
    found
}

const ALL: &str = "SELECT id, rev, country, made FROM t ORDER BY id";

#[test]
fn a_worker_that_is_killed_at_a_checkpoint_has_delivered_and_partitions_are_read_from_the_checkpoint_alone() {
    for (point, there) in [("before_checkpoint", vec![]), ("checkpoint_put", vec![10])] {
        let shop = shop();
        for n in 0..10 {
            shop.delivered();
            more(&shop, n);
        }
        assert!(checkpoints(&shop).is_empty());
        let marker = shop.path("fired");
        let fault = format!("{point}=kill;{}", marker.display());
        let killed = shop.command("waybill-worker-faults").env("WAYBILL_FAULT", fault).output().expect("run");
        assert!(std::fs::read_to_string(&marker).expect("the fault fired").starts_with(point), "{}", talk(&killed));
        let seen = rows(&shop.table("s"), ALL);
        assert_eq!(seen.as_array().map(|rows| rows.len() as u64), Some(shop.count("s")), "{point}: it has delivered");
        assert_eq!(
            (checkpoints(&shop), shop.table("s").join("_delta_log/_last_checkpoint").exists()),
            (there.clone(), false)
        );
        super::verified(&shop);
        more(&shop, 10);
        let next = shop.delivered();
        assert_eq!(next["streams"][0]["rows"], 1, "{point}: nothing twice");
        assert_eq!(checkpoints(&shop), if there.is_empty() { vec![11] } else { there }, "{point}");
        super::verified(&shop);
        let before = rows(&shop.table("s"), ALL);
        for version in 0..=10 {
            std::fs::remove_file(shop.table("s").join(format!("_delta_log/{version:020}.json"))).expect("a commit");
        }
        assert_eq!(rows(&shop.table("s"), ALL), before, "{point}");
        let of = |country: &str| rows(&shop.table("s"), &format!("SELECT count(*) FROM t WHERE country {country}"));
        assert_eq!((of("= 'NO'"), of("= 'a b/ü%='")), (json!([[7]]), json!([[3]])));
        let source = rusqlite::Connection::open(shop.path("shop.db")).expect("open");
        let nulls: i64 =
            source.query_row("SELECT count(*) FROM s WHERE country IS NULL", [], |row| row.get(0)).expect("a count");
        assert_eq!(of("IS NULL"), json!([[nulls]]));
        more(&shop, 11);
        shop.delivered();
        assert_eq!(rows(&shop.table("s"), "SELECT count(*) FROM t"), json!([[shop.count("s")]]));
        super::verified(&shop);
    }
}

//! F40: the power is cut while a run writes into a local directory.

use serde_json::{Value, json};
use waybill_tests::power::Recording;
use waybill_tests::readers::Reader;

use super::{Shop, talk, verified};

/// What the names of temporary files have, of which each run makes others.
const TEMPORARY: &str = ".waybill-tmp-";
/// So many of what a cut may leave are gone on from; all are read.
const EVERY: usize = 3;

/// The rows that a reader which is not ours sees in the lake; none where there is no table.
fn rows(shop: &Shop, reader: &mut Reader, how: &str) -> Option<Value> {
    let table = shop.table("c");
    let log = table.join(if how == "plain" { "_waybill/commits" } else { "_delta_log" });
    let is_commit = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".json");
    let has_commit = std::fs::read_dir(log).is_ok_and(|mut log| log.any(|entry| is_commit(entry.expect("an entry"))));
    has_commit.then(|| {
        let answer = reader.ask(&json!({"op": "held", "table": table, "how": how})).expect("DuckDB");
        let mut rows = answer["rows"].as_array().expect("rows").clone();
        rows.sort_by_key(ToString::to_string);
        Value::Array(rows)
    })
}

/// A run, cut at every moment: the rows are those of before or those that it brings, and once it has said so, the latter.
fn cut(shop: &Shop, reader: &mut Reader, how: &str) {
    let old = rows(shop, reader, how);
    let (recording, output) = Recording::of(&shop.command("waybill-worker"), &shop.path("lake")).expect("a recording");
    assert_eq!(output.status.code(), Some(0), "{}", talk(&output));
    let new = rows(shop, reader, how);
    assert!(new.is_some() && new != old);
    let every = recording.every(TEMPORARY).expect("what may be left");
    let mut found = [0, 0];
    for (number, left) in every.iter().enumerate() {
        recording.lay(left).expect("laid down");
        let told = format!("{how}: left {number}, after {} of {} calls", left.after, left.of);
        let seen = rows(shop, reader, how);
        let is_new = seen == new;
        assert!(is_new || (seen == old && left.after < left.of), "{told}: {seen:?}");
        found[usize::from(is_new)] += 1;
        if seen.is_some() {
            verified(shop);
        }
        if number % EVERY == 0 || left.after == left.of {
            shop.delivered();
            assert_eq!(rows(shop, reader, how), new, "{told}");
        }
    }
    assert!(found[0] > 2 && found[1] > 2, "{found:?} of {} were before and after the commit", every.len());
}

#[test]
fn f40_a_power_cut_at_any_moment_leaves_the_rows_of_before_or_the_new_ones_and_what_was_told_is_safe() {
    let mut reader = Reader::start().expect("the readers");
    for (keys, files, how) in [
        ("load: full", "parquet", "delta"),
        ("load: changed, cursor: rev", "parquet", "delta"),
        ("load: new, cursor: rev", "csv", "plain"),
    ] {
        let shop = Shop::with(
            "CREATE TABLE c (id INTEGER PRIMARY KEY, rev INTEGER NOT NULL, note TEXT); INSERT INTO c VALUES (1, 1, 'a'), (2, 2, 'b')",
            "",
        );
        shop.spec(&format!("      c: {{ {keys} }}\n"), &format!("    files: {{ format: {files} }}\n"));
        cut(&shop, &mut reader, how);
        shop.sql("UPDATE c SET rev = 3, note = 'c' WHERE id = 1; INSERT INTO c VALUES (3, 4, 'd')");
        cut(&shop, &mut reader, how);
    }
}

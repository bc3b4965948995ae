//! Every key has its words, and the same plan always the same ones.

use std::collections::BTreeSet;

use super::*;
use crate::keys::{PIPELINE, Shape, Table};

/// A pipeline whose stream and files have these keys.
fn described(load: &str, stream: &str, files: &str) -> Description {
    let to = if stream.contains("table:") { "warehouse" } else { "here" };
    let text = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: postgres, host: db.internal, database: shop, user: reader }}\n  \
         here: {{ type: local, path: /lake }}\n  warehouse: {{ type: postgres, host: dw.internal, database: dw, user: writer }}\n  \
         inbox: {{ type: files, url: \"file:///in\" }}\npipelines:\n  p:\n    from: {}\n    to: {to}\n    streams:\n      \
         t: {{ {} }}\n{}",
        if load.contains("format:") || stream.contains("format:") { "inbox" } else { "shop" },
        [load, stream].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
        if files.is_empty() { String::new() } else { format!("    files: {{ {files} }}\n") },
    );
    let document = crate::parse(&text).unwrap_or_else(|found| panic!("{text}\n{found:?}"));
    describe(&document.plan("p").expect("a plan"))
}

const CHANGED: &str = "load: changed, cursor: seen, cursor-zone: UTC";
const NEW: &str = "load: new, cursor: seen";

/// A key, what the stream says besides, how it says it, and what the page then says.
const STREAM: &[(&str, &str, &str, &str)] = &[
    ("load", "cursor: seen", "load: new", "came since the last run"),
    ("cursor", "load: new", "cursor: other", "the cursor is `other`"),
    ("cursor-zone", NEW, "cursor-zone: Europe/Oslo", "Europe/Oslo"),
    ("cursor-nulls", NEW, "cursor-nulls: ignore", "NULL never come"),
    ("cursor-margin", NEW, "cursor-margin: 7s", "ends 7s before"),
    ("key", CHANGED, "key: [a, b]", "by `a`, `b`"),
    ("deletes", CHANGED, "deletes: mark", "_waybill_deleted_at"),
    ("columns", "", "columns: { select: [a] }", "only the columns `a`"),
    ("new-columns", NEW, "new-columns: ignore", "is left out"),
    ("filter", "", "filter: [{ column: a, op: le, value: 5 }]", "where `a` is at most `5`"),
    ("edge-values", "", "edge-values: sentinel", "nearest end of the calendar"),
    ("arrays", "", "arrays: json", "JSON text"),
    ("invalid-text", "", "invalid-text: fail", "not UTF-8 ends the run"),
    ("verify-count", "", "verify-count: true", "counts its rows"),
    ("checksums", "", "checksums: [a]", "each sum the values of `a`"),
    ("changed-files", "load: new, format: jsonl", "changed-files: append", "comes again"),
    ("bad-rows", "format: jsonl", "bad-rows: quarantine", "is set aside as it stands"),
    ("bad-rows-share", "format: jsonl, bad-rows: quarantine", "bad-rows-share: 5%", "more than 5 %"),
    ("expect", "", "expect: [{ not-null: [a] }]", "none of `a` is NULL"),
    ("shrink-guard", "", "shrink-guard: 80%", "less than 80 %"),
    ("take-over", "", "take-over: true", "is taken over"),
    ("table", "", "table: public.other", "the table is `public.other`"),
    ("format", "", "format: { type: csv, delimiter: \";\" }", "`;` between fields"),
];

const COLUMNS: &[(&str, &str, &str, &str)] = &[
    ("select", "", "columns: { select: [a] }", "only the columns `a`"),
    ("drop", "", "columns: { drop: [b] }", "without the columns `b`"),
    ("rename", "", "columns: { rename: { c: d } }", "`c` becomes `d`"),
    ("cast", "", "columns: { cast: { e: text } }", "`e` becomes text"),
];

const EXPECTATION: &[(&str, &str, &str, &str)] = &[
    ("not-null", "", "expect: [{ not-null: [a] }]", "none of `a` is NULL"),
    ("unique", "", "expect: [{ unique: [a, b] }]", "same `a`, `b`"),
    ("range", "", "expect: [{ range: { column: a, min: 1, max: 9 } }]", "`a` is at least `1` and at most `9`"),
    (
        "rows",
        "",
        "expect: [{ rows: { min: 1, max: 5, change: 30% } }]",
        "at least 1, at most 5, no more than 30 % other",
    ),
    ("on-failure", "", "expect: [{ not-null: [a], on-failure: warn }]", "or the run tells how many rows"),
];

const CSV: &[(&str, &str, &str, &str)] = &[
    ("type", "", "format: json", "arrays of objects"),
    ("encoding", "", "format: { type: csv, encoding: windows-1252 }", "their text is in windows-1252"),
    ("delimiter", "", "format: { type: csv, delimiter: \";\" }", "`;` between fields"),
    ("quote", "", "format: { type: csv, quote: \"'\" }", "`'` around them"),
    ("header", "", "format: { type: csv, header: false }", "`column_1`"),
    ("null", "", "format: { type: csv, null: \"-\" }", "an unquoted `-` is NULL"),
    ("types", "", "format: { type: csv, types: { a: date } }", "`a` is date"),
];

const FILES: &[(&str, &str)] = &[
    ("format: csv", "CSV files with Waybill's own commit log"),
    ("size: 5MiB", "closed at about 5"),
    ("compression: snappy", "compressed with snappy"),
    ("partition-by: [day, run.day]", "apart by `day`, the day of the run (UTC)"),
];

fn built(table: &Table) -> BTreeSet<&'static str> {
    table.keys.iter().filter(|key| key.built).map(|key| key.name).collect()
}

fn table_of(table: &'static Table, name: &str) -> &'static Table {
    let key = table.keys.iter().find(|key| key.name == name).expect("a key");
    match &key.shape {
        Shape::Table(table) | Shape::List(Shape::Table(table)) | Shape::Named(_, _, Shape::Table(table)) => table,
        Shape::Tagged(tagged) => &tagged.types[0].1,
        _ => panic!("{name} has no keys of its own"),
    }
}

/// A key that the pipeline file gets, and the page does not, fails here.
#[test]
fn every_key_that_changes_rows_has_its_words() {
    let stream = table_of(&PIPELINE, "streams");
    for (table, cases) in [
        (stream, STREAM),
        (table_of(stream, "columns"), COLUMNS),
        (table_of(stream, "expect"), EXPECTATION),
        (table_of(stream, "format"), CSV),
    ] {
        let told: BTreeSet<&str> = cases.iter().map(|(key, ..)| *key).collect();
        assert_eq!(told, built(table), "{}: the keys with a case here (left) and those of the file", table.doc);
        for (key, besides, said, words) in cases {
            let page = markdown(&described(besides, said, ""));
            assert!(page.contains(words), "{key}: {words:?} is not in\n{page}");
        }
    }
    let told: BTreeSet<&str> = FILES.iter().map(|(said, _)| said.split(':').next().unwrap_or_default()).collect();
    assert_eq!(told, built(table_of(&PIPELINE, "files")));
    for (said, words) in FILES {
        let page = markdown(&described("", "", said));
        assert!(page.contains(words), "{said}: {words:?} is not in\n{page}");
    }
}

/// What is said is told from what holds by itself, and each word of the file changes the page.
#[test]
fn what_the_file_says_is_marked_and_changes_the_page() {
    for (key, besides, said, _) in
        STREAM.iter().filter(|(key, ..)| !["cursor", "format", "table", "load"].contains(key))
    {
        let (with, without) = (described(besides, said, ""), described(besides, "", ""));
        assert_ne!(markdown(&with), markdown(&without), "{key}");
        let set = |described: &Description| {
            described.streams[0].facts.iter().filter(|fact| fact.key.starts_with(key) && fact.is_set).count()
        };
        assert!(set(&with) > set(&without) || *key == "cursor-zone", "{key}");
    }
}

/// Nothing of a plan is passed over: a key without words is told as it stands.
#[test]
fn a_key_of_the_plan_without_words_is_told_as_it_stands() {
    use super::stream::{TOLD, others};
    let plan = serde_json::json!({
        "name": "t", "load": "changed", "cursor": { "column": "c", "zone": "UTC" }, "key": ["k"], "deletes": "mark",
        "columns": { "drop": ["d"] }, "new-columns": "add", "filter": [{ "column": "f", "op": "not_null" }], "table": "x",
        "expect": [{ "check": { "unique": ["u"] } }], "format": { "type": "json" }, "verify-count": true, "take-over": true,
    });
    let stream: waybill_model::plan::StreamPlan = serde_json::from_value(plan).expect("a stream");
    assert_eq!(others(&stream, TOLD), []);
    let without: Vec<&str> = TOLD.iter().copied().filter(|key| *key != "key").collect();
    let told = others(&stream, &without);
    assert_eq!((told.len(), told[0].key.as_str(), told[0].text.as_str()), (1, "key", "`[\"k\"]`"));
}

/// H9
#[test]
fn no_value_makes_a_line_of_its_own_or_moves_a_terminal() {
    let page =
        markdown(&described("", "filter: [{ column: a, op: eq, value: \"x\\n\\n# y\\u001b[2J\\u202e\\u2028z\" }]", ""));
    assert!(page.contains("`a` is `x\\u{a}\\u{a}# y\\u{1b}[2J\\u{202e}\\u{2028}z`"), "{page}");
}

#[test]
fn the_margin_and_what_a_cast_keeps_are_those_that_hold() {
    let page = |stream: &str| markdown(&described("", stream, ""));
    assert!(page("load: new, cursor: c, cursor-margin: 1s").contains("ends 1s before the oldest open transaction"));
    for (policy, words) in
        [("sentinel", "stands as text in `<name>__text`"), ("fail", "ends the run"), ("null", "becomes NULL")]
    {
        let said = format!("columns: {{ cast: {{ e: date }} }}, edge-values: {policy}");
        assert!(page(&said).contains(&format!("does not hold exactly {words}")), "{}", page(&said));
    }
}

#[test]
fn the_same_plan_makes_the_same_page_and_no_name_leaves_its_ticks() {
    let odd = "columns: { drop: [\"a`b\", \"``\"], rename: { z: y, b: c } }";
    let (first, second) = (described("", odd, ""), described("", odd, ""));
    assert_eq!((markdown(&first), &first), (markdown(&second), &second));
    let page = markdown(&first);
    assert!(page.contains("`` a`b ``") && page.contains("``` `` ```"), "{page}");
    assert!(page.contains("`b` becomes `c`, `z` becomes `y`"), "in the order of their names: {page}");
    assert!(page.contains("postgres://db.internal:5432/shop") && !page.contains("env://"), "{page}");
}

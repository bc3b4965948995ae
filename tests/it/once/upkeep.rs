//! `gc` and `rollback` as real processes, on what `once` has written.

use std::process::{Command, Output};

use waybill_tests::binaries::binary;

use super::Shop;

fn worker(shop: &Shop, arguments: &[&str]) -> Output {
    let lake = shop.path("lake").display().to_string();
    let mut words = arguments.to_vec();
    words.insert(1, &lake);
    Command::new(binary("waybill-worker")).args(words).output().expect("run the worker")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The days that a clean-up waits for can't pass here: what it deletes then stands in the tests of the commit log.
#[test]
fn a_clean_up_says_what_it_leaves_and_a_table_is_put_back_with_its_cursor() {
    let shop = Shop::with(
        "CREATE TABLE items (id INTEGER PRIMARY KEY); INSERT INTO items VALUES (1), (2)",
        "      items: { load: new, cursor: id }",
    );
    for more in ["", "INSERT INTO items VALUES (3)"] {
        shop.sql(more);
        assert!(shop.command("waybill-worker").output().expect("run once").status.success());
    }
    let gc = worker(&shop, &["gc", "--dry-run"]);
    assert!(gc.status.success(), "{}", said(&gc));
    assert_eq!(said(&gc), "items: would delete 0 files, 0 B\n");
    let short = worker(&shop, &["gc", "--retention", "10m"]);
    assert_eq!(short.status.code(), Some(2));
    assert!(said(&short).contains("1h at least"), "{}", said(&short));

    for command in ["gc", "rollback"] {
        let mistyped = worker(&shop, &[command, "--table", "itms"]);
        let told = (mistyped.status.code(), said(&mistyped));
        assert!(
            told.0 == Some(1) && told.1.starts_with("× itms has no commit of ours\n  help: `waybill-worker verify"),
            "{told:?}"
        );
    }
    let listed = said(&worker(&shop, &["rollback", "--table", "items"]));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let far = worker(&shop, &["rollback", "--table", "items", "--to-version", "7"]);
    assert_eq!((far.status.code(), said(&far).as_str()), (Some(1), "× version 7 is not there yet: the newest is 1\n"));
    let dry = said(&worker(&shop, &["rollback", "--table", "items", "--to-version", "0", "--dry-run"]));
    assert_eq!(dry, "items: from version 1 back to 0, 2 rows; 0 files would come back, 1 would go\n");
    let back = worker(&shop, &["rollback", "--table", "items", "--to-version", "0"]);
    let told = "items: version 2 is version 0 again, 2 rows; 0 files came back, 1 went\n\
                the next run goes on from the cursor of version 0\n";
    assert_eq!((back.status.code(), said(&back).as_str()), (Some(0), told));

    let again = shop.command("waybill-worker").output().expect("run once");
    assert!(again.status.success() && said(&again).contains("\"rows\":1,"), "{}", said(&again));
    let whole = worker(&shop, &["verify"]);
    assert!(whole.status.success() && said(&whole).contains("3 rows"), "{}", said(&whole));
}

/// An attempt that never was committed, of a month ago.
fn orphan(shop: &Shop, table: &str) -> std::path::PathBuf {
    let data = shop.path("lake").join(table).join("data");
    let run = std::fs::read_dir(&data).expect("data").next().expect("a run").expect("an entry").path();
    let file = std::fs::read_dir(run).expect("a run").next().expect("a file").expect("an entry").path();
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
    let attempt = name.split_once('-').expect("an attempt").0;
    let copy = file.with_file_name(format!("{attempt}-9-00000000-0000-4000-8000-000000000000.parquet"));
    std::fs::copy(&file, &copy).expect("a copy");
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 86_400);
    std::fs::File::options().write(true).open(&copy).and_then(|file| file.set_modified(then)).expect("a time");
    copy
}

/// One table that can't be looked after keeps no other one waiting, and a foreign one is nobody's business.
#[test]
fn a_clean_up_goes_on_behind_a_table_that_can_not_be_read() {
    let shop = Shop::with(
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY); CREATE TABLE z (id INTEGER PRIMARY KEY)",
        "      a: { load: full }\n      b: { load: full }\n      z: { load: full }",
    );
    shop.sql("INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); INSERT INTO z VALUES (1)");
    assert!(shop.command("waybill-worker").output().expect("run once").status.success());
    let orphans = ["a", "b", "z"].map(|table| orphan(&shop, table));
    let log = |table: &str, version: u64| shop.path("lake").join(format!("{table}/_delta_log/{version:020}.json"));
    let foreign =
        r#"{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"],"writerFeatures":["x"]}}"#;
    std::fs::create_dir_all(log("foreign", 0).parent().expect("a directory")).expect("a directory");
    std::fs::write(log("foreign", 0), foreign).expect("a table of others");
    let gc = worker(&shop, &["gc", "--retention", "1h"]);
    assert!(gc.status.success(), "{}", said(&gc));
    assert_eq!(said(&gc).matches("deleted 1 file,").count(), 3, "{}", said(&gc));
    assert!(orphans.iter().all(|orphan| !orphan.exists()));

    let again = ["a", "z"].map(|table| orphan(&shop, table));
    std::fs::write(log("b", 2), foreign).expect("a feature that is not known");
    let gc = worker(&shop, &["gc", "--retention", "1h"]);
    let (out, told) = (String::from_utf8_lossy(&gc.stdout).into_owned(), said(&gc));
    assert_eq!(gc.status.code(), Some(1), "{told}");
    assert!(out.contains("a: deleted 1 file,") && out.contains("z: deleted 1 file,"), "{told}");
    assert!(told.contains("× table_feature_unsupported: b: ") && !told.contains("foreign"), "{told}");
    assert!(again.iter().all(|orphan| !orphan.exists()));
    let gc = worker(&shop, &["gc", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&gc.stdout).expect("JSON");
    assert_eq!(shown["tables"][1]["problem"]["code"], "table_feature_unsupported", "{shown}");
    assert_eq!((shown["tables"][0]["files"].as_u64(), shown["tables"].as_array().map(Vec::len)), (Some(0), Some(3)));
}

#[test]
fn a_clean_up_that_is_killed_behind_its_fence_has_deleted_nothing_and_the_next_one_goes_on() {
    let shop = Shop::with(
        "CREATE TABLE items (id INTEGER PRIMARY KEY); INSERT INTO items VALUES (1), (2)",
        "      items: { load: new, cursor: id }",
    );
    assert!(shop.command("waybill-worker").output().expect("run once").status.success());
    let orphan = orphan(&shop, "items");
    let (lake, marker) = (shop.path("lake").display().to_string(), shop.path("marker"));
    let killed = Command::new(binary("waybill-worker-faults"))
        .args(["gc", &lake, "--retention", "1h"])
        .env("WAYBILL_FAULT", format!("fenced_for_gc=kill;{}", marker.display()))
        .output()
        .expect("run the worker");
    assert!(!killed.status.success() && marker.exists(), "{}", said(&killed));
    assert!(orphan.exists(), "nothing was deleted yet");
    let next = worker(&shop, &["gc", "--retention", "1h"]);
    assert!(said(&next).starts_with("items: deleted 1 file,") && !orphan.exists(), "{}", said(&next));
    let whole = worker(&shop, &["verify"]);
    assert!(whole.status.success() && said(&whole).contains("2 rows"), "{}", said(&whole));
}

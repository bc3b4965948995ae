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

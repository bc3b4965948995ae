//! Every row of `docs/assurance` names a test that exists: one that runs, not only a function of that name.

use std::collections::BTreeSet;

use waybill_tests::binaries::repository;

struct Row {
    file: String,
    id: String,
    test: String,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for entry in std::fs::read_dir(repository().join("docs/assurance")).expect("docs/assurance") {
        let path = entry.expect("an entry").path();
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        if file == "README.md" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("read a page");
        for line in text.lines().filter(|line| line.starts_with('|')) {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
            let is_row = cells.len() == 3 && cells[0] != "row" && !cells[0].starts_with("--");
            if is_row {
                rows.push(Row { file: file.clone(), id: cells[0].clone(), test: cells[2].clone() });
            }
        }
    }
    rows
}

/// Names of all tests.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut todo = ["crates", "tests", "web/unit", "web/e2e"].map(|folder| repository().join(folder)).to_vec();
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("read a source");
                names.extend(tests_of(&text));
            } else if path.to_string_lossy().ends_with(".test.mjs") {
                // What `node --test` runs of a folder: files of this ending, all of which `make check` or `make test` runs.
                let text = std::fs::read_to_string(&path).expect("read a source");
                names.extend(text.lines().filter_map(script_test).map(str::to_owned));
            }
        }
    }
    names
}

/// Functions that stand below a line that makes them a test, with nothing but other attributes and comments between, and the
/// lines of a table of histories, each of which is made one.
fn tests_of(text: &str) -> Vec<String> {
    let (mut found, mut is_test) = (Vec::new(), false);
    let table = text.split_once("\nhistories! {\n").and_then(|(_, rest)| rest.split_once("\n}"));
    let names = table.iter().flat_map(|(lines, _)| lines.lines()).filter_map(|line| line.trim().split_once(": "));
    found.extend(names.map(|(name, _)| name.to_owned()));
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            found.extend(declared(line).filter(|_| is_test));
            is_test = false;
        }
    }
    found
}

/// The name of a test of Node's that begins on this line, at the top level of its file: one that is skipped or left for later is none.
fn script_test(line: &str) -> Option<&str> {
    let (name, rest) = line.strip_prefix("test(\"")?.split_once('"')?;
    matches!(rest, ", async () => {" | ", () => {").then_some(name)
}

fn declared(line: &str) -> Option<String> {
    let rest = line.trim_start().trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    Some(rest.split(['(', '<']).next()?.to_owned())
}

#[test]
fn every_assurance_row_names_a_test_that_exists() {
    let (rows, tests) = (rows(), tests());
    assert!(rows.len() > 40, "only {} rows found", rows.len());
    let missing: Vec<_> = rows
        .iter()
        .flat_map(|row| row.test.split(',').map(move |test| (row, test.trim())))
        .filter(|(_, test)| test.is_empty() || !tests.contains(*test))
        .map(|(row, test)| format!("{}: {} names `{test}`", row.file, row.id))
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn a_function_is_no_test_unless_it_is_marked_as_one() {
    let text = "fn plain() {}\n#[test]\nfn one() {}\nfn below() {}\n    #[tokio::test(flavor = \"multi_thread\")]\n    \
                // why\n    #[cfg(unix)]\n    async fn two() {}\n";
    assert_eq!(tests_of(text), ["one", "two"]);
    let table = "a: b;\nhistories! {\n    three: Sqlite;\n    four: Csv;\n}\nfive: six;\n";
    assert_eq!(tests_of(table), ["three", "four"]);
    assert_eq!(script_test("test(\"a page is clean\", async () => {"), Some("a page is clean"));
    for none in [
        "// test(\"no\", () => {",
        "  test(\"no\", () => {",
        "test(\"no\", { skip: true }, () => {",
        "test.skip(\"no\", () => {",
    ] {
        assert_eq!(script_test(none), None, "{none}");
    }
}

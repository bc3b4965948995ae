//! Every row of `docs/assurance` names a test that exists; every threat, fault and hostile input that is built has a row.

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

fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut todo = vec![repository().join("crates"), repository().join("tests")];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = std::fs::read_to_string(&path).expect("read a source");
                names.extend(text.lines().filter_map(declared));
            }
        }
    }
    names
}

fn declared(line: &str) -> Option<String> {
    let rest = line.trim_start().trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")?;
    Some(rest.split(['(', '<']).next()?.to_owned())
}

#[test]
fn every_assurance_row_names_a_test_that_exists() {
    let (rows, functions) = (rows(), functions());
    assert!(rows.len() > 40, "only {} rows found", rows.len());
    let missing: Vec<_> = rows
        .iter()
        .flat_map(|row| row.test.split(',').map(move |test| (row, test.trim())))
        .filter(|(_, test)| test.is_empty() || !functions.contains(*test))
        .map(|(row, test)| format!("{}: {} names `{test}`", row.file, row.id))
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

//! No key is accepted and ignored: what does nothing for a kind of source is refused at its place, and whole files of keys that
//! are planned are refused for nothing but what is not built.

use waybill_spec::{Code, diff, parse, schema, to_yaml};

/// What is planned, as people would write it.
const PLANNED: [(&str, &str); 2] =
    [("cloud", include_str!("planned/cloud.waybill.yaml")), ("laptop", include_str!("planned/laptop.waybill.yaml"))];

/// A pipeline from this connection; its streams and what they share begin lines 5 and 6.
fn from(connection: &str, shared: &str, streams: &str) -> String {
    format!(
        "waybill: 1\nconnections: {{ a: {{ {connection} }}, b: {{ type: local, path: y }} }}\npipelines:\n  p: {{ from: a, to: b,\n\
         every-stream: {{ {shared} }},\nstreams: {{ {streams} }} }}\n"
    )
}

const POSTGRES: &str = "type: postgres, host: db, database: d, user: u";
const SQLITE: &str = "type: sqlite, path: x.db";
const MYSQL: &str = "type: mysql, host: db, database: d, user: u";
const FILES: &str = "type: files, url: 'file:///in'";

/// Each mistake of a file: its code, line and column.
fn mistakes(text: &str) -> Vec<(Code, u32, u32)> {
    parse(text).err().unwrap_or_default().iter().map(|found| (found.code, found.line, found.column)).collect()
}

#[test]
fn a_setting_that_does_nothing_for_its_source_is_refused_where_it_stands() {
    for (connection, stream, setting) in [
        (SQLITE, "t", "arrays: json"),
        (SQLITE, "t", "edge-values: sentinel"),
        (SQLITE, "t", "format: csv"),
        (POSTGRES, "t", "format: csv"),
        (MYSQL, "t", "format: csv"),
        (MYSQL, "t", "arrays: json"),
        (SQLITE, "t", "changed-files: append"),
        (SQLITE, "t", "bad-rows: quarantine"),
        (FILES, "'*.csv'", "arrays: fail"),
        (FILES, "'*.csv'", "edge-values: fail"),
        (FILES, "'*.ndjson.gz'", "edge-values: twin"),
        (FILES, "'x'", "format: { type: jsonl }, edge-values: fail"),
        (FILES, "'x'", "format: { type: csv, types: {} }, edge-values: fail"),
        (FILES, "'x'", "format: { type: csv, types: { a: date } }, edge-values: sentinel"),
        (FILES, "'*.parquet'", "arrays: json"),
        (FILES, "'*.parquet'", "edge-values: sentinel"),
        (FILES, "'*.parquet'", "invalid-text: fail"),
        (FILES, "'*.csv'", "format: parquet, invalid-text: fail"),
    ] {
        let text = from(connection, "", &format!("{stream}: {{ {setting} }}"));
        let before = setting.find("edge").or(setting.find("invalid")).unwrap_or(0);
        let column = "streams: { : { ".len() + stream.len() + before + 1;
        let column = u32::try_from(column).expect("a column");
        assert_eq!(mistakes(&text), [(Code::WrongEnd, 6, column)], "{text}");
        let message = parse(&text).expect_err("a mistake")[0].message.clone();
        assert!(message.contains("does nothing here"), "{message}");
    }
    for (connection, stream, setting) in [
        (POSTGRES, "t", "arrays: json, edge-values: sentinel, invalid-text: fail"),
        (SQLITE, "t", "edge-values: fail, invalid-text: fail"),
        (FILES, "'*.csv'", "invalid-text: fail"),
        (FILES, "'x'", "format: { type: csv, types: { a: date } }, edge-values: fail"),
        (FILES, "'*.parquet'", "edge-values: fail"),
        (FILES, "'*.jsonl'", "columns: { cast: { a: date } }, edge-values: fail"),
    ] {
        assert_eq!(mistakes(&from(connection, "", &format!("{stream}: {{ {setting} }}"))), [], "{setting}");
    }
}

#[test]
fn a_shared_setting_must_do_something_for_one_stream_at_least() {
    let column = |setting: &str| u32::try_from("every-stream: { ".len() + setting.len() + 1).expect("a column");
    for (connection, setting, streams) in [
        (SQLITE, "arrays: json", "t: {}, u: {}"),
        (SQLITE, "format: csv", "t: {}"),
        (FILES, "edge-values: fail", "'*.csv': {}, 'e.jsonl': {}"),
        (FILES, "invalid-text: fail", "'*.parquet': {}"),
    ] {
        assert_eq!(mistakes(&from(connection, setting, streams)), [(Code::WrongEnd, 5, column(""))], "{setting}");
    }
    for (connection, setting, streams) in [
        (FILES, "edge-values: fail", "'*.csv': {}, 'e.parquet': {}"),
        (FILES, "invalid-text: fail", "'*.csv': {}, 'e.parquet': {}"),
        (POSTGRES, "arrays: json", "t: {}"),
    ] {
        assert_eq!(mistakes(&from(connection, setting, streams)), [], "{setting}");
    }
}

#[test]
fn what_is_planned_is_refused_for_nothing_but_what_is_not_built() {
    for (name, text) in PLANNED {
        let found = parse(text).expect_err("not all of it is built");
        let other: Vec<_> = found.iter().filter(|found| found.code != Code::NotBuiltYet).collect();
        assert!(other.is_empty(), "{name}: {other:#?}");
        assert!(found.len() > 3, "{name}: {found:#?}");
    }
}

#[test]
fn a_small_number_is_cpus_and_a_large_one_units() {
    let with = |cpu: &str| {
        let text = from(SQLITE, "", "t: {}").replace("to: b,", &format!("to: b, limits: {{ cpu: {cpu} }},"));
        parse(&text).map(|document| (document.pipelines["p"].limits.cpu, document))
    };
    for (cpu, units) in [("1", 1024), ("16", 16_384), ("0.25", 256), ("0.5", 512), ("256", 256), ("2048", 2048)] {
        let (read, document) = with(cpu).expect(cpu);
        assert_eq!(read, units, "{cpu}");
        assert_eq!(parse(&to_yaml(&document)).as_ref(), Ok(&document), "{cpu}");
    }
    for cpu in ["0", "17", "255", "16385", "0.75", "1.5", "-1"] {
        let found = with(cpu).expect_err(cpu);
        assert_eq!((found.len(), found[0].code), (1, Code::BadValue), "{cpu}");
        let help = found[0].suggestion.clone().expect("help");
        assert!(help.contains("1 to 16 CPUs") && help.contains("256 to 16384 CPU units"), "{help}");
    }
    assert_eq!(diff(&with("2").expect("two").1, &with("2048").expect("the same").1), []);
    assert!(schema().contains("\"maximum\": 16384"));
}

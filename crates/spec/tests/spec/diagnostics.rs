//! Each kind of mistake with its code and its exact place.

use waybill_spec::{Code, Diagnostic, parse};

/// Line, column and end column of what `^^^` marks in `text`, which is removed; a mark stands below its line.
fn marked(text: &str) -> (String, Vec<(u32, u32, u32)>) {
    let (mut lines, mut places) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mark = line.trim_start();
        if mark.starts_with('^') && mark.trim_end().chars().all(|c| c == '^') {
            let column = (line.len() - mark.len() + 1) as u32;
            places.push((lines.len() as u32, column, column + mark.trim_end().len() as u32));
        } else {
            lines.push(line);
        }
    }
    (lines.join("\n"), places)
}

#[track_caller]
fn mistakes(text: &str) -> Vec<Diagnostic> {
    parse(text).expect_err("a mistake")
}

/// The text has exactly one mistake: this code at the marked place.
#[track_caller]
fn one(code: Code, text: &str) -> Diagnostic {
    let (text, places) = marked(text);
    let found = mistakes(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].code, code, "{found:#?}");
    assert_eq!(vec![(found[0].line, found[0].column, found[0].end_column)], places, "{found:#?}\n{text}");
    found[0].clone()
}

/// The same inside a pipeline whose stream has these settings, written in one line.
fn stream(settings: &str, mark: &str) -> String {
    format!(
        "{HEAD}pipelines:\n  p:\n    from: shop\n    to: lake\n    streams:\n      public.orders: {{ {settings} }}\n                       {mark}\n"
    )
}

const HEAD: &str = "waybill: 1\nconnections:\n  shop: { type: postgres, host: db, database: shop, user: ro }\n  lake: { type: local, path: ./lake }\n";

#[test]
fn an_unknown_field_is_told_with_what_was_meant() {
    let found = one(Code::UnknownField, &stream("colums: { drop: [ssn] }", "^^^^^^"));
    assert_eq!(found.message, "unknown field `colums` in stream `public.orders`");
    assert_eq!(found.suggestion.as_deref(), Some("did you mean `columns`?"));
}

#[test]
fn a_key_that_stands_twice_is_refused_at_its_second_place() {
    let found = one(Code::DuplicateKey, "waybill: 1\nwaybill: 1\n^^^^^^^");
    assert!(found.suggestion.is_some_and(|s| s.contains("line 1")));
}

#[test]
fn a_missing_field_is_told_at_the_object_that_lacks_it() {
    let found = one(Code::MissingField, "waybill: 1\nconnections:\n  a: { type: local }\n  ^");
    assert_eq!(found.message, "`path` is missing in connection `a`");
}

#[test]
fn a_wrong_type_says_what_was_expected_and_what_stands_there() {
    let found = one(Code::WrongType, &stream("columns: { drop: ssn }", "                 ^^^"));
    assert_eq!(found.message, "`drop` of stream `public.orders` must be a list, not text");
    let found =
        one(Code::WrongType, "waybill: 1\nconnections:\n  a: { type: local, path: 42 }\n                          ^^");
    assert_eq!(found.suggestion.as_deref(), Some("put it in quotes"));
}

#[test]
fn a_value_outside_its_list_is_told_with_the_nearest() {
    let found = one(Code::BadValue, &stream("load: ful", "      ^^^"));
    assert_eq!(found.suggestion.as_deref(), Some("did you mean `full`?"));
    one(Code::BadValue, "waybill: 2\n         ^");
    one(Code::BadValue, "waybill: 1\nconnections:\n  a: { type: postgers, host: h }\n             ^^^^^^^^");
}

#[test]
fn tabs_are_told_line_by_line() {
    let found = mistakes("waybill: 1\nconnections:\n\ta: { type: local, path: x }\n");
    assert_eq!((found[0].code, found[0].line, found[0].column), (Code::Tab, 3, 1));
}

#[test]
fn text_that_is_not_yaml_has_a_place() {
    let found = mistakes("waybill: 1\nconnections: {a: [}\n");
    assert_eq!((found.len(), found[0].code, found[0].line), (1, Code::Syntax, 2));
}

#[test]
fn sizes_durations_and_shares_need_their_units() {
    for (setting, end) in
        [("files: { size: 128 }", "size"), ("limits: { time: 5 }", "time"), ("limits: { memory: 1GB }", "memory")]
    {
        let text = format!("{HEAD}pipelines:\n  p: {{ from: shop, to: lake, streams: {{ a: {{}} }}, {setting} }}\n");
        let found = mistakes(&text);
        assert_eq!((found.len(), found[0].code), (1, Code::Unit), "{end} {found:?}");
    }
    one(Code::Unit, &stream("load: full, shrink-guard: 50", "                          ^^"));
}

#[test]
fn a_literal_secret_is_refused_and_not_repeated() {
    let (text, _) =
        marked("waybill: 1\nconnections:\n  a: { type: postgres, host: h, database: d, user: u, password: hunter2 }\n");
    let found = one(
        Code::LiteralSecret,
        &format!("{text}\n                                                                ^^^^^^^"),
    );
    assert!(!format!("{found:?}").contains("hunter2"));
    for secret in ["12345", "true", "'hunter2'", "env:/X", "ENV://X"] {
        let found = mistakes(&text.replace("hunter2", secret));
        assert_eq!(found[0].code, Code::LiteralSecret, "{secret}: {found:?}");
        assert!(!format!("{found:?}").contains(secret));
    }
    assert_eq!(mistakes(&text.replace("hunter2", "env://A-B"))[0].code, Code::SecretReference);
    assert_eq!(mistakes(&text.replace("hunter2", "~"))[0].code, Code::SecretReference);
    assert_eq!(mistakes(&text.replace("hunter2", "gcp-sm://prod/db#password"))[0].code, Code::NotBuiltYet);
    for reference in
        ["aws-sm://prod//db", "aws-ssm://a#key", "vault://vault.example:8200/kv/shop#key", "vault://kv/mine"]
    {
        let found = mistakes(&text.replace("hunter2", &format!("'{reference}'")));
        assert_eq!((found[0].code, found[0].line, found[0].column), (Code::SecretReference, 3, 65), "{found:?}");
        assert!(!format!("{found:?}").contains(reference), "{found:?}");
    }
}

#[test]
fn every_mistake_of_a_file_is_told_in_one_pass() {
    let found = mistakes(
        "waybill: 1\nconections: {}\nconnections:\n  A: { type: local }\n  s: { type: sqlite, path: 3 }\npipelines:\n  p:\n    from: nowhere\n    to: s\n    streams: { t: { load: new }, u: { laod: full } }\n",
    );
    let codes: Vec<(Code, u32)> = found.iter().map(|d| (d.code, d.line)).collect();
    assert_eq!(
        codes,
        [
            (Code::UnknownField, 2),
            (Code::MissingField, 4),
            (Code::Name, 4),
            (Code::WrongType, 5),
            (Code::UnknownConnection, 8),
            (Code::WrongEnd, 9),
            (Code::Cursor, 10),
            (Code::UnknownField, 10),
        ],
        "{found:#?}"
    );
}

#[test]
fn a_format_that_can_t_be_compressed_so_or_have_rows_replaced_is_refused_where_it_stands() {
    let with = |files: &str, stream: &str| {
        let ends = "from: shop, to: lake";
        let text =
            format!("{HEAD}pipelines:\n  p: {{ {ends}, streams: {{ a: {{{stream}}} }}, files: {{ {files} }} }}\n");
        parse(&text).err().unwrap_or_default()
    };
    for (files, fits) in [
        ("format: csv, compression: snappy", "it takes zstd, gzip, none"),
        ("format: jsonl, compression: snappy", "it takes zstd, gzip, none"),
        ("format: parquet-files, compression: gzip", "it takes zstd, snappy"),
        ("compression: none", "it takes zstd, snappy"),
    ] {
        let found = with(files, "");
        assert_eq!((found.len(), found[0].code), (1, Code::BadValue), "{files}: {found:?}");
        assert_eq!(found[0].suggestion.as_deref(), Some(fits), "{files}");
    }
    for files in ["format: csv", "format: jsonl, compression: none", "format: parquet-files, compression: snappy"] {
        assert_eq!(with(files, ""), [], "{files}");
    }
    let changed = " load: changed, cursor: c ";
    let found = with("format: csv", changed);
    assert_eq!((found.len(), found[0].code), (1, Code::NotBuiltYet), "{found:?}");
    assert!(found[0].suggestion.as_deref().is_some_and(|help| help.contains("parquet-files")), "{found:?}");
    assert_eq!(with("format: parquet-files", changed), []);
    assert_eq!(with("partition-by: [run.day, country]", ""), []);
    assert_eq!(with("partition-by: [country]", changed), []);
    for (files, stream, code) in [
        ("partition-by: [run.day]", changed, Code::NotBuiltYet),
        ("format: csv, partition-by: [country]", "", Code::NotBuiltYet),
        ("partition-by: [country, country]", "", Code::BadValue),
    ] {
        let found = with(files, stream);
        assert_eq!((found.len(), found[0].code), (1, code), "{files}: {found:?}");
    }
}

#[test]
fn an_expectation_has_one_check_and_bounds_that_a_value_can_lie_within() {
    for (settings, mark, message) in [
        ("expect: [{}]", "         ^", "an expectation says nothing"),
        ("expect: [{ on-failure: warn }]", "         ^", "an expectation says nothing"),
        (
            "expect: [{ unique: [a], not-null: [a] }]",
            "           ^^^^^^",
            "an expectation has one check, and `unique` is a second one",
        ),
        ("expect: [{ unique: [] }]", "           ^^^^^^", "`unique` names no column"),
        ("expect: [{ not-null: [a, b, a] }]", "                            ^", "`not-null` names `a` twice"),
        ("expect: [{ range: { column: a } }]", "           ^^^^^", "a range has no bounds"),
        (
            "expect: [{ range: { column: a, min: big } }]",
            "                                    ^^^",
            "`min` of a range is no bound",
        ),
        (
            "expect: [{ range: { column: a, min: 2, max: 1.9 } }]",
            "                                            ^^^",
            "`max` of a range lies below its `min`",
        ),
        (
            "expect: [{ range: { column: a, min: 2, max: 2024-01-01 } }]",
            "                                            ^^^^^^^^^^",
            "`min` and `max` of a range are of unlike kinds",
        ),
        ("expect: [{ rows: {} }]", "           ^^^^", "`rows` says nothing"),
        (
            "expect: [{ rows: { min: 2, max: 1 } }]",
            "                           ^^^",
            "`max` of `rows` lies below its `min`",
        ),
    ] {
        assert_eq!(one(Code::Expectation, &stream(settings, mark)).message, message);
    }
    let found = one(Code::Unit, &stream("expect: [{ rows: { change: 50 } }]", "                           ^^"));
    assert_eq!(found.suggestion.as_deref(), Some("write it with its sign: 50%"));
    one(
        Code::BadValue,
        &stream("expect: [{ unique: [a], on-failure: stop }]", "                                    ^^^^"),
    );
    one(Code::UnknownField, &stream("expect: [{ uniqe: [a] }, { rows: { min: 1 } }]", "           ^^^^^"));
    let found =
        one(Code::CursorDropped, &stream("columns: { drop: [a] }, expect: [{ not-null: [a] }]", "           ^^^^"));
    assert_eq!(found.message, "stream `public.orders` drops its expected `a`");
}

#[test]
fn sums_are_of_columns_that_are_delivered_as_they_are_from_a_server_into_parquet() {
    for (settings, mark, message) in [
        ("checksums: []", "^^^^^^^^^", "`checksums` of stream `public.orders` names no column"),
        ("checksums: [a, b, a]", "                  ^", "`checksums` of stream `public.orders` names `a` twice"),
        (
            "columns: { cast: { a: text } }, checksums: all",
            "                                ^^^^^^^^^",
            "stream `public.orders` casts `a`, whose values are summed",
        ),
    ] {
        assert_eq!(one(Code::Checksums, &stream(settings, mark)).message, message);
    }
    let found = one(Code::WrongType, &stream("checksums: amount", "           ^^^^^^"));
    assert_eq!(found.message, "`checksums` of stream `public.orders` must be `all` or a list, not text");
    let found = one(Code::CursorDropped, &stream("columns: { drop: [a] }, checksums: [a]", "           ^^^^"));
    assert_eq!(found.message, "stream `public.orders` drops its summed `a`");
    let piped = |from: &str, to: &str, more: &str| {
        let found = mistakes(&format!(
            "{HEAD}  db: {{ type: sqlite, path: x.db }}\n  copy: {{ type: postgres, host: db, database: copy, user: w }}\npipelines:\n  \
             p: {{ from: {from}, to: {to}, {more} streams: {{ a: {{ checksums: all }} }} }}\n"
        ));
        (found.len(), found[0].code, found[0].message.clone())
    };
    let sqlite = "`checksums` of stream `a` does nothing here".to_owned();
    assert_eq!(piped("db", "lake", ""), (1, Code::WrongEnd, sqlite));
    let database = "`checksums` into a database is not built yet (stream `a`)".to_owned();
    assert_eq!(piped("shop", "copy", ""), (1, Code::NotBuiltYet, database));
    let csv = "`checksums` with `format: csv` is not built yet (stream `a`)".to_owned();
    assert_eq!(piped("shop", "lake", "files: { format: csv },"), (1, Code::NotBuiltYet, csv));
}

#[test]
fn what_is_not_built_is_refused_and_never_ignored() {
    for (settings, mark) in [("load: log", "      ^^^"), ("columns: { hash: [email] }", "           ^^^^")] {
        one(Code::NotBuiltYet, &stream(settings, mark));
    }
    for setting in
        ["files: { format: avro }", "retry: { attempts: 3 }", "expect: { fresh-within: 26h }", "alert: [ops]"]
    {
        let found = mistakes(&format!(
            "{HEAD}pipelines:\n  p: {{ from: shop, to: lake, streams: {{ a: {{}} }}, {setting} }}\n"
        ));
        assert_eq!((found.len(), found[0].code), (1, Code::NotBuiltYet), "{setting}: {found:?}");
    }
    for connection in ["{ type: http, base: 'https://x' }", "{ type: salesforce }"] {
        let found = mistakes(&format!("waybill: 1\nconnections:\n  a: {connection}\n"));
        assert_eq!((found.len(), found[0].code), (1, Code::NotBuiltYet), "{connection}: {found:?}");
    }
    let postgres = "waybill: 1\nconnections:\n  a: { type: postgres, host: h, database: d, user: u, EXTRA }\n";
    for extra in ["tls: require", "tls: prefer"] {
        assert_eq!(mistakes(&postgres.replace("EXTRA", extra))[0].code, Code::NotBuiltYet, "{extra}");
    }
    assert_eq!(mistakes("waybill: 1\nalerts: {}\n")[0].code, Code::NotBuiltYet);
}

#[test]
fn a_schedule_is_a_cron_line_or_a_distance_within_bounds() {
    let found = |schedule: &str| {
        mistakes(&format!(
            "{HEAD}pipelines:\n  p: {{ from: shop, to: lake, streams: {{ a: {{}} }}, schedule: {{ {schedule} }} }}\n"
        ))
    };
    for (schedule, code, said) in [
        ("cron: '0 2 * * *', every: 1h", Code::BadValue, "has both `cron` and `every`"),
        ("every: 1h, zone: UTC", Code::BadValue, "`zone` in the schedule of pipeline `p` has no meaning"),
        ("overlap: skip", Code::MissingField, "`cron` or `every` is missing"),
        ("", Code::MissingField, "`cron` or `every` is missing"),
        ("every: 59s", Code::BadValue, "`every` of pipeline `p` is out of range"),
        ("every: 367d", Code::BadValue, "`every` of pipeline `p` is out of range"),
        ("every: 5", Code::Unit, "`every` of pipeline `p` needs a unit"),
        ("every: hourly", Code::Unit, "`every` of pipeline `p` needs a unit"),
    ] {
        let found = found(schedule);
        assert_eq!((found.len(), found[0].code), (1, code), "{schedule}: {found:?}");
        assert!(found[0].message.contains(said) && found[0].suggestion.is_some(), "{found:?}");
    }
}

#[test]
fn anchors_aliases_tags_and_second_documents_are_refused() {
    assert_eq!(mistakes("waybill: &v 1\n")[0].code, Code::YamlFeature);
    assert_eq!(mistakes("waybill: *v\n")[0].code, Code::YamlFeature);
    assert_eq!(mistakes("waybill: !!int 1\n")[0].code, Code::YamlFeature);
    let found = mistakes("waybill: 1\n---\nwaybill: 1\n");
    assert_eq!((found[0].code, found[0].line), (Code::Documents, 2));
    assert_eq!(mistakes("")[0].code, Code::Documents);
    assert_eq!(mistakes("# nothing\n")[0].code, Code::Documents);
}

#[test]
fn columns_count_characters_not_bytes() {
    let text =
        format!("{HEAD}pipelines:\n  p: {{ from: shop, to: lake, streams: {{ ä😀: {{}}, x: {{ laod: full }} }} }}\n");
    let found = mistakes(&text);
    assert_eq!((found.len(), found[0].code, found[0].column), (1, Code::UnknownField, 54), "{found:?}");
}

//! What a right file means, and mistakes that only whole objects show.

use waybill_model::Micros;
use waybill_model::plan::{BadRows, ChangedFiles, Columns, Compression, CsvType, FileFormat, Load, System};
use waybill_model::schedule::{CatchUp, Every, Overlap, When};
use waybill_spec::{ChangeOp, Code, Diagnostic, Document, diff, next_after, parse, plan_digest, schema, to_yaml};

const SHOP: &str = include_str!("../../../../examples/shop.waybill.yaml");
const LAPTOP: &str = include_str!("../../../../examples/laptop.waybill.yaml");

fn read(text: &str) -> Document {
    parse(text).unwrap_or_else(|found| panic!("{found:#?}"))
}

#[track_caller]
fn refused(code: Code, text: &str) -> Diagnostic {
    let found = parse(text).expect_err("a mistake");
    assert_eq!((found.len(), found[0].code), (1, code), "{found:#?}");
    found[0].clone()
}

#[test]
fn the_examples_are_right_and_mean_what_they_say() {
    read(LAPTOP);
    let shop = read(SHOP);
    let plan = shop.plan("shop-nightly").expect("a plan");
    assert_eq!((plan.files.size, plan.files.compression), (128 << 20, Compression::Zstd));
    assert_eq!((plan.limits.parallel, plan.limits.memory, plan.limits.time_ms), (4, 1 << 30, 7_200_000));
    let schedule = shop.pipelines["shop-nightly"].schedule.clone().expect("a schedule");
    assert_eq!((schedule.overlap, schedule.catch_up), (Overlap::Skip, CatchUp::Last));
    assert!(matches!(&plan.to.system, System::S3(s3) if s3.prefix == "raw/shop"));
}

#[test]
fn defaults_of_every_stream_fill_the_gaps_and_own_settings_win() {
    let plan = read(SHOP).plan("shop-nightly").expect("a plan");
    let by_name = |name: &str| plan.streams.iter().find(|stream| stream.name == name).expect(name);
    let orders = by_name("public.orders");
    let cursor = orders.cursor.as_ref().expect("a cursor");
    assert_eq!((orders.load, cursor.column.as_str(), cursor.margin_ms), (Load::New, "updated_at", 5_000));
    let countries = by_name("public.countries");
    assert_eq!((countries.load, countries.shrink_guard, countries.cursor.is_none()), (Load::Full, 80, true));
    assert_eq!(by_name("public.customers").columns.rename["mail"], "email");
}

#[test]
fn the_order_of_streams_is_that_of_the_file() {
    let names: Vec<String> = read(SHOP).pipelines["shop-nightly"].streams.iter().map(|s| s.name.clone()).collect();
    assert_eq!(names, ["public.orders", "public.order_lines", "public.customers", "public.countries"]);
}

#[test]
fn a_short_format_and_a_long_one_are_both_taken() {
    let text = "waybill: 1\nconnections: { i: { type: files, url: 'file:///in' }, o: { type: local, path: o } }\npipelines: { p: { from: i, to: o, streams: { 'a': { format: csv }, 'b': { format: { type: csv, delimiter: \"\\t\", header: false } } } } }\n";
    let streams = read(text).pipelines["p"].streams.clone();
    assert!(matches!(&streams[0].format, Some(FileFormat::Csv(csv)) if csv.delimiter == ',' && csv.header));
    assert!(matches!(&streams[1].format, Some(FileFormat::Csv(csv)) if csv.delimiter == '\t' && !csv.header));
}

/// A pipeline from SQLite to a directory whose stream `t` has these settings.
fn stream(settings: &str) -> String {
    format!(
        "waybill: 1\nconnections: {{ a: {{ type: sqlite, path: x }}, b: {{ type: local, path: y }} }}\npipelines: {{ p: {{ from: a, to: b, streams: {{ t: {{ {settings} }} }} }} }}\n"
    )
}

#[test]
fn a_cursor_goes_with_new_and_must_be_delivered() {
    refused(Code::Cursor, &stream("load: new"));
    refused(Code::Cursor, &stream("load: full, cursor: id"));
    refused(Code::Cursor, &stream("load: changed"));
    refused(Code::Key, &stream("load: new, cursor: id, key: [id]"));
    refused(Code::Key, &stream("load: changed, cursor: id, key: []"));
    refused(Code::Key, &stream("load: new, cursor: id, deletes: remove"));
    refused(Code::BadValue, &stream("load: changed, cursor: id, deletes: soft"));
    refused(Code::Key, &stream("load: changed, cursor: id, key: [a, b, a]"));
    refused(Code::CursorDropped, &stream("load: changed, cursor: id, key: [a], columns: { drop: [a] }"));
    refused(Code::CursorDropped, &stream("load: new, cursor: id, columns: { drop: [id] }"));
    refused(Code::CursorDropped, &stream("load: new, cursor: id, columns: { select: [a] }"));
    read(&stream("load: new, cursor: id, columns: { select: [id, a], rename: { id: key } }"));
}

#[test]
fn the_transaction_that_wrote_a_row_is_a_cursor_on_postgres_and_a_column_elsewhere() {
    let sqlite = stream("load: changed, cursor: xmin, columns: { select: [a, b] }");
    refused(Code::CursorDropped, &sqlite);
    let postgres = |more: &str| {
        let shop = "type: postgres, host: db, database: shop, user: ro";
        sqlite.replace("type: sqlite, path: x", shop).replace("cursor: xmin", &format!("cursor: xmin{more}"))
    };
    read(&postgres(""));
    for key in ["cursor-zone: Europe/Berlin", "cursor-nulls: ignore", "cursor-margin: 5s"] {
        refused(Code::Cursor, &postgres(&format!(", {key}")));
    }
}

#[test]
fn columns_that_contradict_each_other_are_refused() {
    for settings in [
        "columns: { select: [a, a] }",
        "columns: { select: [a], drop: [a] }",
        "columns: { drop: [a], rename: { a: b } }",
        "columns: { select: [a], rename: { b: c } }",
        "columns: { drop: [a], cast: { a: text } }",
        "columns: { select: [a], cast: { b: text } }",
        "columns: { rename: { a: x, b: X } }",
        "columns: { select: [a, b], rename: { a: B } }",
    ] {
        refused(Code::ColumnClash, &stream(settings));
    }
    refused(Code::Name, &stream("columns: { rename: { a: 'x y' } }"));
    refused(Code::ColumnClash, &stream("load: changed, cursor: c, key: [a], columns: { cast: { a: text } }"));
    let cast = read(&stream("columns: { cast: { a: 'decimal(10,2)' } }"));
    assert!(!Columns::is_all(&cast.pipelines["p"].streams[0].columns));
    let swapped = read(&stream("columns: { select: [a, b], rename: { a: b, b: a } }"));
    assert!(!Columns::is_all(&swapped.pipelines["p"].streams[0].columns));
}

#[test]
fn a_filter_is_column_operator_value_and_never_sql() {
    let document = read(&stream("filter: [{ column: n, op: ge, value: 5 }, { column: d, op: is_null }]"));
    assert_eq!(document.pipelines["p"].streams[0].filter[0].value.as_deref(), Some("5"));
    for (written, text) in
        [("5", false), ("-1.50", false), ("'5'", true), ("\"1e3\"", true), ("'a'", false), ("'inf'", false)]
    {
        let document = read(&stream(&format!("filter: [{{ column: n, op: eq, value: {written} }}]")));
        let condition = &document.pipelines["p"].streams[0].filter[0];
        assert_eq!(condition.value.as_deref(), Some(written.trim_matches(['\'', '"'])));
        assert_eq!(condition.text, text, "{written}: only a number in quotes has to be told from a number");
    }
    refused(Code::MissingField, &stream("filter: [{ column: n, op: ge }]"));
    refused(Code::BadValue, &stream("filter: [{ column: n, op: is_null, value: 1 }]"));
    refused(Code::WrongType, &stream("filter: 'n > 5'"));
    refused(Code::BadValue, &stream("filter: [{ column: n, op: '>', value: 5 }]"));
}

#[test]
fn ends_must_be_known_and_of_the_right_kind() {
    let text = stream("");
    refused(Code::UnknownConnection, &text.replace("from: a", "from: c"));
    refused(Code::WrongEnd, &text.replace("from: a", "from: b"));
    refused(Code::WrongEnd, &text.replace("to: b", "to: a"));
    refused(Code::MissingField, &text.replace("t: {  }", ""));
    refused(Code::NotBuiltYet, &text.replace("t: {  }", "'public.*': {}"));
}

#[test]
fn a_container_of_azure_is_opened_in_one_way_and_that_one_whole() {
    let lake = |keys: &str| {
        format!(
            "waybill: 1\nconnections: {{ i: {{ type: files, url: 'file:///in' }}, o: {{ type: azure, account: shop, \
             container: lake{keys} }} }}\npipelines: {{ p: {{ from: i, to: o, streams: {{ a: {{ format: csv }} }} }} }}\n"
        )
    };
    let client = "client: 00000000-0000-0000-0000-000000000000";
    for keys in [
        "",
        ", prefix: raw, sas: 'env://S'",
        ", account-key: 'env://K'",
        &format!(", {client}"),
        &format!(", tenant: example.onmicrosoft.com, {client}, client-secret: 'file:///run/s', encryption-scope: own"),
    ] {
        let plan = read(&lake(keys)).plan("p").expect("a plan");
        assert!(matches!(&plan.to.system, System::Azure(azure) if azure.account == "shop"), "{keys}");
    }
    refused(Code::BadValue, &lake(", sas: 'env://S', account-key: 'env://K'"));
    refused(Code::MissingField, &lake(&format!(", {client}, tenant: example.com")));
    refused(Code::MissingField, &lake(", tenant: example.com, client-secret: 'env://S'"));
    refused(Code::BadValue, &lake(", client: waybill"));
    let from = lake("").replace("url: 'file:///in'", "url: 'azure://shop/inbox/new', sas: 'env://S'");
    let plan = read(&from).plan("p").expect("a plan");
    assert!(matches!(&plan.from.system, System::Files(files) if files.azure.is_some() && files.s3.is_none()));
    refused(
        Code::BadValue,
        &from
            .replace("sas: 'env://S'", "access-key: 'env://S', secret-key: 'env://T'")
            .replace(", secret-key: 'env://T'", ""),
    );
}

#[test]
fn a_key_of_aws_is_named_by_its_arn_on_a_bucket_that_is_written() {
    let lake = |key: &str| {
        format!(
            "waybill: 1\nconnections: {{ i: {{ type: files, url: 'file:///in' }}, o: {{ type: s3, bucket: lake, kms-key: \
             '{key}' }} }}\npipelines: {{ p: {{ from: i, to: o, streams: {{ a: {{ format: csv }} }} }} }}\n"
        )
    };
    for key in
        ["arn:aws:kms:eu-west-1:111122223333:key/0a1b", "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/a/b"]
    {
        let plan = read(&lake(key)).plan("p").expect("a plan");
        assert!(matches!(&plan.to.system, System::S3(s3) if s3.access.kms_key.as_deref() == Some(key)), "{key}");
    }
    for key in ["0a1b", "alias/own", "arn:aws:kms:eu-west-1:1111:key/0a1b", "arn:aws:s3:eu-west-1:111122223333:key/a"] {
        refused(Code::BadValue, &lake(key));
    }
    let from = lake("arn:aws:kms:eu-west-1:111122223333:key/0a1b");
    let from =
        from.replace("url: 'file:///in'", "url: 's3://inbox', kms-key: 'arn:aws:kms:eu-west-1:111122223333:key/a'");
    refused(Code::UnknownField, &from);
}

#[test]
fn a_bucket_of_google_is_opened_as_one_identity_and_its_keys_have_a_meaning_there_only() {
    let lake = |keys: &str| {
        format!(
            "waybill: 1\nconnections: {{ i: {{ type: files, url: 'file:///in' }}, o: {{ type: gcs, bucket: lake_1{keys} }} \
             }}\npipelines: {{ p: {{ from: i, to: o, streams: {{ a: {{ format: csv }} }} }} }}\n"
        )
    };
    let key = "kms-key: projects/example-1/locations/europe-west3/keyRings/lake/cryptoKeys/own";
    for keys in ["", ", prefix: raw, service-account: 'file:///run/key.json'", ", anonymous: true", &format!(", {key}")]
    {
        let plan = read(&lake(keys)).plan("p").expect("a plan");
        assert!(matches!(&plan.to.system, System::Gcs(gcs) if gcs.bucket == "lake_1"), "{keys}");
    }
    refused(Code::BadValue, &lake(", anonymous: true, service-account: 'env://K'"));
    refused(Code::BadValue, &lake(", kms-key: own"));
    refused(Code::BadValue, &lake(", endpoint: 'https://u:p@h'"));
    let from = lake("").replace("url: 'file:///in'", "url: 'gs://inbox/new', billing-project: example-1");
    let plan = read(&from).plan("p").expect("a plan");
    assert!(matches!(&plan.from.system, System::Files(files) if files.gcs.is_some() && files.azure.is_none()));
    refused(Code::BadValue, &from.replace("billing-project: example-1", "sas: 'env://S'"));
    refused(Code::BadValue, &from.replace("gs://", "s3://"));
}

#[test]
fn two_pipelines_must_not_write_one_table_and_case_twins_are_two() {
    let text = "waybill: 1\nconnections: { a: { type: sqlite, path: x }, b: { type: local, path: ./y }, c: { type: local, path: y/ } }\npipelines:\n  p: { from: a, to: b, streams: { t: {} } }\n  q: { from: a, to: c, streams: { t: {} } }\n";
    let found = refused(Code::TableClash, text);
    assert_eq!(found.line, 5);
    read(&text.replace("to: c, streams: { t", "to: c, streams: { T"));
}

#[test]
fn columns_of_csv_have_the_types_that_the_file_gives_them() {
    let with = |types: &str| {
        format!(
            "waybill: 1\nconnections: {{ i: {{ type: files, url: 'file:///in' }}, o: {{ type: local, path: o }} }}\npipelines: {{ p: {{ from: i, to: o, streams: {{ a: {{ format: {{ type: csv, types: {types} }} }} }} }} }}\n"
        )
    };
    let stream = &read(&with("{ id: bigint, 'unit price': 'decimal(10,2)' }")).pipelines["p"].streams[0];
    let Some(FileFormat::Csv(csv)) = &stream.format else { panic!("{stream:?}") };
    assert_eq!(csv.types["unit price"], CsvType::Decimal(10, 2));
    assert_eq!(csv.types["id"], CsvType::Bigint);
    refused(Code::BadValue, &with("{ id: integer }"));
    refused(Code::BadValue, &with("{ id: 'decimal(2,10)' }"));
    refused(Code::WrongType, &with("[id]"));
}

#[test]
fn files_of_two_streams_must_not_meet() {
    let with = |streams: &str| {
        format!(
            "waybill: 1\nconnections: {{ i: {{ type: files, url: 'file:///in' }}, o: {{ type: local, path: o }} }}\npipelines: {{ p: {{ from: i, to: o, streams: {{ {streams} }} }} }}\n"
        )
    };
    refused(Code::GlobTie, &with("'a*.csv': {}, '*b.csv': {}"));
    refused(Code::NotBuiltYet, &with("'*.csv': {}, 'orders.csv': {}"));
    refused(Code::Cursor, &with("'*.csv': { load: new, cursor: id }"));
    refused(Code::MissingField, &with("'in/*': {}"));
    refused(Code::Name, &with("'../x.csv': {}"));
    read(&with("'*.csv': {}, 'sub/*.csv.gz': {}, 'e.ndjson': {}"));
}

#[test]
fn a_diff_names_paths_of_the_file_with_both_values() {
    let before = read(SHOP);
    let after = read(
        &SHOP
            .replace("0 2 * * *", "0 3 * * *")
            .replace("public.countries: { load: full,", "public.lands: { load: full,"),
    );
    let changes = diff(&before, &after);
    let told: Vec<(ChangeOp, &str)> = changes.iter().map(|c| (c.op, c.path.as_str())).collect();
    assert_eq!(
        told,
        [
            (ChangeOp::Change, "pipelines.shop-nightly.schedule.cron"),
            (ChangeOp::Remove, "pipelines.shop-nightly.streams.public.countries"),
            (ChangeOp::Add, "pipelines.shop-nightly.streams.public.lands"),
        ]
    );
    assert_eq!(changes[0].before, Some("0 2 * * *".into()));
    assert!(changes[1].note.as_deref().is_some_and(|note| note.contains("stays in the bucket")));
}

#[test]
fn a_diff_says_what_follows_from_a_change_of_what_a_cursor_stands_for() {
    let before = "load: new, cursor: at, cursor-zone: Europe/Berlin";
    for (key, after) in [
        ("cursor", "load: new, cursor: seen, cursor-zone: Europe/Berlin"),
        ("cursor-zone", "load: new, cursor: at, cursor-zone: UTC"),
        ("cursor-zone", "load: new, cursor: at"),
        ("filter", "load: new, cursor: at, cursor-zone: Europe/Berlin, filter: [{ column: a, op: is_null }]"),
    ] {
        let changes = diff(&read(&stream(before)), &read(&stream(after)));
        let told: Vec<(&str, bool)> = changes
            .iter()
            .map(|c| {
                (c.path.as_str(), c.note.as_deref().is_some_and(|note| note.contains("stops with cursor_changed")))
            })
            .collect();
        assert_eq!(told, [(format!("pipelines.p.streams.t.{key}").as_str(), true)], "{after}");
    }
}

#[test]
fn comments_quotes_units_and_defaults_written_out_change_nothing() {
    let written = SHOP
        .replace(
            "limits: { parallel: 4, memory: 1GiB, time: 2h }",
            "limits: { parallel: 4, memory: 1024MiB, time: 120m } # same",
        )
        .replace("host: db.internal", "host: 'db.internal', port: 5432, tls: verify-full");
    assert_eq!(diff(&read(SHOP), &read(&written)), []);
    let plan = |text: &str| plan_digest(&read(text).plan("shop-nightly").expect("a plan"));
    assert_eq!(plan(SHOP), plan(&written));
}

#[test]
fn a_new_order_of_streams_is_a_change() {
    let text = stream("");
    let (one, other) = (text.replace("t: {  }", "t: {}, u: {}"), text.replace("t: {  }", "u: {}, t: {}"));
    let changes = diff(&read(&one), &read(&other));
    assert_eq!((changes.len(), changes[0].path.as_str()), (1, "pipelines.p.streams"));
}

#[test]
fn the_committed_schema_is_the_one_that_is_generated() {
    let committed = include_str!("../../../../docs/reference/schema.json");
    assert!(committed == schema(), "run `waybill schema > docs/reference/schema.json`");
}

#[test]
fn the_schema_has_every_key_that_is_accepted_and_none_that_is_refused() {
    let schema: serde_json::Value = serde_json::from_str(&schema()).expect("json");
    let stream =
        &schema["properties"]["pipelines"]["additionalProperties"]["properties"]["streams"]["additionalProperties"];
    assert_eq!(stream["additionalProperties"], false);
    let keys: Vec<&String> = stream["properties"].as_object().expect("keys").keys().collect();
    for key in keys {
        // Whatever the value, a key of the schema is never told to be unknown or unbuilt.
        let found = parse(&self::stream(&format!("{key}: 1"))).err().unwrap_or_default();
        let place = |d: &Diagnostic| {
            d.message.contains(&format!("field `{key}`")) || d.message.starts_with(&format!("`{key}` in"))
        };
        assert!(
            !found.iter().any(|d| matches!(d.code, Code::UnknownField | Code::NotBuiltYet) && place(d)),
            "{key}: {found:?}"
        );
    }
    for key in ["next", "hash"] {
        assert!(stream["properties"].get(key).is_none(), "{key}");
    }
    assert_eq!(schema["required"], serde_json::json!(["waybill"]));
}

#[test]
fn a_schedule_may_be_a_distance_and_a_change_from_a_cron_line_names_both_keys() {
    let with = |schedule: &str| {
        read(&SHOP.replace("{ cron: \"0 2 * * *\", zone: Europe/Stockholm, overlap: skip, catch-up: last }", schedule))
    };
    let hourly = with("{ every: 60m, overlap: queue }");
    let schedule = hourly.pipelines["shop-nightly"].schedule.clone().expect("a schedule");
    assert_eq!(schedule.when, When::Every(Every::try_from(3_600_000).expect("an hour")));
    assert_eq!(next_after(&schedule, Micros(1_800_000_001)), Some(Micros(3_600_000_000)));
    assert_eq!(diff(&hourly, &with("{ every: 1h, overlap: queue }")), []);
    let changes = diff(&read(SHOP), &hourly);
    let told: Vec<(ChangeOp, &str)> = changes.iter().map(|change| (change.op, change.path.as_str())).collect();
    let at = "pipelines.shop-nightly.schedule.";
    for (op, key) in [(ChangeOp::Remove, "cron"), (ChangeOp::Remove, "zone"), (ChangeOp::Add, "every")] {
        assert!(told.contains(&(op, &format!("{at}{key}"))), "{key}: {told:?}");
    }
    assert_eq!(read(&to_yaml(&hourly)), hourly);
}

#[test]
fn new_files_are_told_by_the_files_and_by_no_column() {
    let text = |settings: &str| {
        format!(
            "waybill: 1\nconnections: {{ i: {{ type: files, url: 'file:///in' }}, o: {{ type: local, path: o }} }}\npipelines: {{ p: {{ from: i, to: o, streams: {{ '*.csv': {{ {settings} }} }} }} }}\n"
        )
    };
    let of = |settings: &str| read(&text(settings)).pipelines["p"].streams[0].clone();
    let stream = of("load: new, changed-files: append");
    assert_eq!((stream.load, stream.changed_files, stream.cursor), (Load::New, ChangedFiles::Append, None));
    assert_eq!(of("load: new").changed_files, ChangedFiles::Fail);
    for packed in ["'*.csv.gz'", "'*.csv.zst'", "'*.csv.zip'"] {
        read(&text("load: new").replace("'*.csv'", packed));
    }
    refused(Code::Cursor, &text("load: new, cursor: id"));
    refused(Code::WrongEnd, &text("load: full, changed-files: append"));
    refused(Code::BadValue, &text("load: new, changed-files: replace"));
    refused(Code::NotBuiltYet, &text("load: changed"));
}

#[test]
fn rows_are_set_aside_only_where_nothing_of_them_is_left_out() {
    let text = |settings: &str, to: &str| {
        format!(
            "waybill: 1\nconnections: {{ i: {{ type: files, url: 'file:///in' }}, o: {to} }}\npipelines: {{ p: {{ from: i, to: o, streams: {{ '*.csv': {{ {settings} }} }} }} }}\n"
        )
    };
    let bucket = |settings: &str| text(settings, "{ type: local, path: o }");
    let of = |settings: &str| read(&bucket(settings)).pipelines["p"].streams[0].clone();
    assert_eq!((of("load: full").bad_rows, of("load: full").bad_rows_share), (BadRows::Fail, 1));
    let stream = of("bad-rows: quarantine, bad-rows-share: 7%, columns: { rename: { a: b } }, new-columns: add");
    assert_eq!((stream.bad_rows, stream.bad_rows_share), (BadRows::Quarantine, 7));
    assert_eq!(of("bad-rows: quarantine, bad-rows-share: off").bad_rows_share, 0);
    for left_out in [
        "columns: { select: [a] }",
        "columns: { drop: [a] }",
        "columns: { cast: { a: bigint } }",
        "filter: [{ column: a, op: not_null }]",
        "load: new, new-columns: ignore",
    ] {
        refused(Code::BadRows, &bucket(&format!("bad-rows: quarantine, {left_out}")));
        read(&bucket(&format!("bad-rows: fail, {left_out}")));
    }
    refused(Code::BadRows, &bucket("bad-rows-share: 5%"));
    refused(Code::Unit, &bucket("bad-rows: quarantine, bad-rows-share: 0%"));
    let database = "{ type: postgres, host: h, database: d, user: u }";
    refused(Code::NotBuiltYet, &text("bad-rows: quarantine, table: raw.t", database));
}

#[test]
fn what_means_nothing_for_a_destination_is_refused() {
    let text = |from: &str, to: &str, more: &str, streams: &str| {
        format!(
            "waybill: 1\nconnections:\n  db: {{ type: postgres, host: h, database: d, user: u }}\n  inbox: {{ type: files, url: \"file:///in\" }}\n  \
             copy: {{ type: postgres, host: w, database: d, user: u }}\n  lake: {{ type: local, path: /lake }}\npipelines:\n  p:\n    from: {from}\n    \
             to: {to}\n{more}    streams: {{ {streams} }}\n"
        )
    };
    let written = read(&text("db", "copy", "", "public.t: { load: full, table: raw.t }"));
    let plan = written.plan("p").expect("a plan");
    assert_eq!(plan.streams[0].table.as_deref(), Some("raw.t"));
    assert_eq!(parse(&to_yaml(&written)).expect("reads back"), written);
    refused(Code::WrongEnd, &text("db", "db", "", "t: {}"));
    refused(Code::WrongEnd, &text("db", "lake", "", "t: { table: raw.t }"));
    refused(Code::WrongEnd, &text("db", "copy", "    files: { size: 1GiB }\n", "t: {}"));
    refused(Code::WrongEnd, &text("db", "copy", "    every-stream: { table: raw.t }\n", "t: {}"));
    for deletes in ["remove", "mark"] {
        read(&text("db", "copy", "", &format!("t: {{ load: changed, cursor: c, deletes: {deletes} }}")));
    }
    let found = refused(Code::NotBuiltYet, &text("inbox", "copy", "", "\"a.csv\": { load: new, table: raw.a }"));
    assert!(found.suggestion.is_some_and(|text| text.contains("write into a bucket")), "{}", found.message);
    let found = refused(Code::MissingField, &text("inbox", "copy", "", "\"a.csv\": {}"));
    assert!(found.message.contains("`table` is missing"), "{}", found.message);
    let two = text("db", "copy", "", "t: { table: raw.t }")
        + "  q:\n    from: db\n    to: copy\n    streams: { u: { table: raw.t } }\n";
    refused(Code::TableClash, &two);
}

#[test]
fn two_streams_must_not_write_one_table_however_it_is_spelled() {
    let text = |from: &str, streams: &str| {
        format!(
            "waybill: 1\nconnections:\n  db: {{ type: postgres, host: h, database: d, user: u }}\n  my: {{ type: mysql, host: h, \
             database: shop, user: u }}\n  file: {{ type: sqlite, path: x }}\n  copy: {{ type: postgres, host: w, database: d, user: u }}\npipelines:\n  p:\n    from: {from}\n    to: copy\n    streams: {{ {streams} }}\n"
        )
    };
    for (from, streams) in [
        ("db", "t: { table: raw.x }, u: { table: RAW.x }"),
        ("db", "t: { table: raw.x }, u: { table: '\"raw\".\"x\"' }"),
        ("db", "t: {}, u: { table: public.t }"),
        ("db", "t: {}, Public.T: {}"),
        ("my", "shop.t: {}, u: { table: Shop.T }"),
        ("my", "t: {}, u: { table: t }"),
        ("file", "t: {}, u: { table: '\"public\".t' }"),
    ] {
        let found = refused(Code::TableClash, &text(from, streams));
        assert!(found.message.ends_with("of pipeline `p` would write one table"), "{}", found.message);
    }
    for (from, streams) in [
        ("db", "t: { table: raw.x }, u: { table: '\"RAW\".x' }"),
        ("db", "t: {}, u: { table: raw.t }"),
        ("my", "t: {}, T: {}"),
        ("my", "other.t: {}, t: {}"),
        ("file", "a.b: {}, u: { table: a.b }"),
    ] {
        read(&text(from, streams));
    }
}

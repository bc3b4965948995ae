//! Properties: what is written reads back, applying what stands changes nothing, and no text breaks the reader.

use std::collections::BTreeMap;

use proptest::prelude::*;
use waybill_model::plan::{
    Architecture, ArrayPolicy, Azure, AzureAccess, BAD_ROWS_SHARE, BadRows, Ca, ChangedFiles, Check, Checksums,
    Columns, Compression, Condition, Csv, CsvType, Cursor, Deletes, EdgePolicy, Encoding, Expectation, FileFormat,
    FileSource, Files, Format, Gcs, GcsAccess, Json, Limits, Load, NewColumns, NullCursor, OnFailure, Op, Postgres,
    Range, RowCount, S3, S3Access, Ssh, StreamPlan, System, TextPolicy, TlsMode,
};
use waybill_model::schedule::{CatchUp, Every, Overlap, Schedule, When};
use waybill_model::secret::SecretRef;
use waybill_spec::{Document, Pipeline, diff, parse, redact, to_yaml};

fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,6}"
}

fn foreign() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_]{1,8}",
        "[A-Za-z0-9_.]{1,10}",
        "[ -~]{1,10}",
        "[à-ÿ😀-😄]{1,4}",
        Just("true".to_owned()),
        Just("12".to_owned())
    ]
    .prop_filter("globs and blanks at the ends have rules of their own", |s| !s.contains(['*', '?']))
}

fn any_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(all)
}

fn secret() -> impl Strategy<Value = Option<waybill_model::secret::SecretRef>> {
    prop::option::of(
        prop_oneof![
            "env://[A-Z][A-Z_0-9]{0,8}",
            "file:///run/[a-z]{1,8}",
            "aws-sm://[a-z]{1,4}/[a-z!.]{3,8}(#[a-z.]{1,8})?(\\?stage=[A-Z]{1,8})?",
            "aws-sm://arn:aws:secretsmanager:eu-west-1:[0-9]{12}:secret:[a-z]{1,8}-[A-Za-z]{6}",
            "aws-ssm:///?[a-z]{1,8}(/[a-z]{1,8})?",
            "vault://[a-z]{1,8}/[a-z]{1,8}(/[a-z]{1,8})?#[a-z]{1,8}(\\?version=[1-9][0-9]{0,3})?",
        ]
        .prop_map(|text| text.parse().expect("a reference")),
    )
}

fn access() -> impl Strategy<Value = S3Access> {
    let pair = (secret(), secret()).prop_map(|(one, other)| match (one, other) {
        (Some(one), Some(other)) => (Some(one), Some(other)),
        _ => (None, None),
    });
    let kms_key = prop::option::of("arn:aws:kms:[a-z]{2}-[a-z]{4}-[0-9]:[0-9]{12}:(key|alias)/[A-Za-z0-9-]{1,9}");
    let region = prop::option::of("[a-z]{2}-[a-z]{4}-[0-9]");
    (region, prop::option::of("http://127\\.0\\.0\\.1:[1-9][0-9]{2}"), pair, kms_key).prop_map(
        |(region, endpoint, (access_key, secret_key), kms_key)| S3Access {
            region,
            endpoint,
            access_key,
            secret_key,
            kms_key,
        },
    )
}

/// As nobody, by one secret, or as an application.
fn azure() -> impl Strategy<Value = AzureAccess> {
    let client = || prop::option::of("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
    let endpoint = prop::option::of("https://blobs\\.example:[1-9][0-9]{2}");
    (endpoint, client(), secret(), "[a-z]{1,8}\\.example", 0..4, prop::option::of("[a-zA-Z0-9]{3,8}")).prop_map(
        |(endpoint, client, secret, tenant, way, encryption_scope)| {
            let access = AzureAccess { endpoint, client, encryption_scope, ..AzureAccess::default() };
            match (way, &access.client, secret) {
                (0, _, secret) => AzureAccess { account_key: secret, ..access },
                (1, _, secret) => AzureAccess { sas: secret, ..access },
                (2, Some(_), Some(secret)) => {
                    AzureAccess { tenant: Some(tenant), client_secret: Some(secret), ..access }
                }
                _ => access,
            }
        },
    )
}

/// As itself, by a key, or as nobody.
fn gcs() -> impl Strategy<Value = GcsAccess> {
    let key = "projects/[a-z]{1,8}/locations/[a-z]{1,8}/keyRings/[a-z]{1,8}/cryptoKeys/[a-z]{1,8}";
    let endpoint = prop::option::of("https://objects\\.example:[1-9][0-9]{2}");
    (endpoint, secret(), any::<bool>(), prop::option::of(key), prop::option::of("[a-z]{6,9}-[0-9]")).prop_map(
        |(endpoint, service_account, anonymous, kms_key, billing_project)| {
            let anonymous = anonymous && service_account.is_none();
            GcsAccess { endpoint, service_account, anonymous, kms_key, billing_project }
        },
    )
}

fn source() -> impl Strategy<Value = System> {
    prop_oneof![
        (
            "[a-z]{1,8}",
            1_u16..,
            foreign(),
            foreign(),
            secret(),
            any_of(TlsMode::ALL),
            prop::option::of(prop_oneof![
                "/[a-z]{1,8}\\.pem".prop_map(Ca::Path),
                "[A-Z]{1,8}".prop_map(|name| Ca::Reference(SecretRef::Env(name)))
            ]),
            prop::option::of(("[A-Z]{1,8}", "[A-Z]{1,8}")),
            prop::option::of(("[a-z]{1,8}", "[A-Z]{1,8}"))
        )
            .prop_map(|(host, port, database, user, password, tls, ca, client, jump)| System::Postgres(
                Postgres {
                    host,
                    port,
                    database,
                    user,
                    password,
                    tls,
                    ca,
                    client_cert: client
                        .clone()
                        .filter(|_| tls != TlsMode::Disable)
                        .map(|(cert, _)| SecretRef::Env(cert)),
                    client_key: client.filter(|_| tls != TlsMode::Disable).map(|(_, key)| SecretRef::Env(key)),
                    ssh: jump.map(|(host, key)| Ssh {
                        host,
                        port: port.max(2) - 1,
                        user: "jump".into(),
                        key: SecretRef::Env(key),
                        host_key: format!("SHA256:{}", "a/+9".repeat(11).split_at(43).0)
                            .parse()
                            .expect("a fingerprint"),
                    }),
                }
            )),
        "[a-z/]{0,8}x\\.db".prop_map(|path| System::Sqlite { path }),
    ]
}

fn bucket() -> impl Strategy<Value = System> {
    prop_oneof![
        "/[a-z]{1,8}".prop_map(|path| System::Local { path }),
        ("[a-z]{3,8}", "([a-z]{1,4}(/[a-z]{1,4})?)?", access()).prop_map(|(bucket, prefix, access)| System::S3(S3 {
            bucket,
            prefix,
            access
        })),
        ("[a-z0-9]{3,8}", "[a-z]{2,4}-[0-9]", "([a-z]{1,4}(/[a-z]{1,4})?)?", azure()).prop_map(
            |(account, container, prefix, access)| System::Azure(Azure { account, container, prefix, access })
        ),
        ("[a-z_]{1,3}[a-z0-9]{3,8}", "([a-z]{1,4}(/[a-z]{1,4})?)?", gcs())
            .prop_map(|(bucket, prefix, access)| System::Gcs(Gcs { bucket: format!("b{bucket}"), prefix, access })),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    let value = "\\PC{0,8}|[\\n\\t\"'\\\\]{1,4}|[-+]?[0-9]{1,20}(\\.[0-9]{0,4})?(e-?[0-9])?";
    (foreign(), any_of(Op::ALL), value, any::<bool>()).prop_map(|(column, op, value, in_quotes)| {
        let value = (!matches!(op, Op::IsNull | Op::NotNull)).then_some(value);
        let is_number = value.as_ref().is_some_and(|value| {
            let digits = value.trim_start_matches(['-', '+']);
            digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') && value.parse::<f64>().is_ok()
        });
        Condition { column, op, value, text: in_quotes && is_number }
    })
}

fn cursor() -> impl Strategy<Value = Cursor> {
    let zone = prop::option::of(prop::sample::select(&["UTC", "Europe/Stockholm"][..]).prop_map(str::to_owned));
    (foreign(), zone, any_of(NullCursor::ALL), 1_000_u64..90_000).prop_map(|(column, zone, nulls, margin_ms)| Cursor {
        column,
        zone,
        nulls,
        margin_ms,
    })
}

fn expectation() -> impl Strategy<Value = Expectation> {
    let columns = || prop::collection::btree_set("e_[a-z]{1,4}", 1..3).prop_map(|names| names.into_iter().collect());
    let number = "-?[0-9]{1,18}(\\.[0-9]{1,18})?";
    let check = prop_oneof![
        columns().prop_map(Check::NotNull),
        columns().prop_map(Check::Unique),
        (foreign(), prop_oneof![number, Just("2024-12-31".to_owned())], any::<bool>()).prop_map(
            |(column, bound, is_min)| {
                let (min, max) = if is_min { (Some(bound), None) } else { (None, Some(bound)) };
                Check::Range(Range { column, min, max })
            }
        ),
        (0_u64..1 << 40, prop::option::of(0_u64..1 << 40), prop::option::of(1_u32..1_000)).prop_map(
            |(min, more, change)| Check::Rows(RowCount { min: Some(min), max: more.map(|more| min + more), change })
        ),
    ];
    (check, any_of(OnFailure::ALL)).prop_map(|(check, on_failure)| Expectation { check, on_failure })
}

fn policies() -> impl Strategy<Value = (EdgePolicy, ArrayPolicy, TextPolicy, bool, u8, bool)> {
    (
        any_of(EdgePolicy::ALL),
        any_of(ArrayPolicy::ALL),
        any_of(TextPolicy::ALL),
        any::<bool>(),
        0_u8..=100,
        any::<bool>(),
    )
}

fn stream() -> impl Strategy<Value = StreamPlan> {
    let drop = prop::collection::btree_set("d_[a-z]{1,4}", 0..3);
    let key = prop::option::of(prop::collection::btree_set("k_[a-z]{1,4}", 0..3));
    let rows = (prop::collection::vec(condition(), 0..3), prop::collection::vec(expectation(), 0..3));
    (foreign(), prop::option::of(cursor()), rows, (key, drop), policies()).prop_map(
        |(name, cursor, (filter, expect), (key, drop), policies)| {
            let (edge_values, arrays, invalid_text, verify_count, shrink_guard, take_over) = policies;
            let drop = drop.into_iter().filter(|column| cursor.as_ref().is_none_or(|c| c.column != *column)).collect();
            let load = match (&cursor, &key) {
                (Some(_), Some(_)) => Load::Changed,
                (Some(_), None) => Load::New,
                (None, _) => Load::Full,
            };
            let key: Vec<_> = key.filter(|_| load == Load::Changed).unwrap_or_default().into_iter().collect();
            // Some of each: what else is drawn decides.
            let deletes = if load == Load::Changed { Deletes::ALL[key.len() % 3] } else { Deletes::Keep };
            let columns = Columns {
                drop,
                rename: BTreeMap::from([("r_a".to_owned(), "s_a".to_owned())]),
                cast: BTreeMap::from([("c_a".to_owned(), CsvType::Decimal(name.len().min(37) as u8 + 1, 1))]),
                ..Columns::default()
            };
            let new_columns = NewColumns::ALL.get(name.len() % 4).copied();
            // Some of each, of columns that are not cast; where nothing is summed they are taken off again.
            let checksums = match name.len() % 3 {
                1 => Checksums::Of(vec!["r_a".to_owned(), "z_a".to_owned()]),
                _ => Checksums::Off,
            };
            StreamPlan {
                name,
                load,
                cursor,
                key,
                deletes,
                columns,
                new_columns,
                changed_files: ChangedFiles::default(),
                bad_rows: BadRows::default(),
                bad_rows_share: BAD_ROWS_SHARE,
                filter,
                edge_values,
                arrays,
                invalid_text,
                verify_count,
                checksums,
                expect,
                shrink_guard,
                take_over,
                table: None,
                format: None,
            }
        },
    )
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let when = prop_oneof![
        Just(When::Cron { line: "15 2 * * 1-5".into(), zone: "Europe/Stockholm".into() }),
        (Every::LEAST_MS..=Every::MOST_MS).prop_map(|millis| When::Every(Every::try_from(millis).expect("in bounds"))),
    ];
    let schedule = (when, any_of(Overlap::ALL), any_of(CatchUp::ALL));
    let schedule =
        prop::option::of(schedule.prop_map(|(when, overlap, catch_up)| Schedule { when, overlap, catch_up }));
    let columns = prop::collection::btree_set("p_[a-z]{1,4}", 0..3);
    let files = (1_u64 << 20..1 << 34, any_of(Format::ALL), any_of(Compression::ALL), columns);
    let files = files.prop_map(|(size, format, wanted, columns)| {
        let compression = if format.takes(wanted) { wanted } else { format.compression() };
        let partition_by = columns.into_iter().filter(|_| format == Format::Delta).collect();
        Files { size, format, compression, partition_by }
    });
    let cpu = prop_oneof![Just(0_u32), 256_u32..=16_384, (1_u32..=16).prop_map(|cpus| cpus * 1024)];
    let disk = prop_oneof![Just(0_u64), 1_u64 << 30..=200 << 30];
    let limits = (1_u32..=64, prop_oneof![Just(0), 64_u64 << 20..1 << 40], 1_000_u64..86_400_000, cpu, disk);
    let limits = (limits, prop::option::of(any_of(Architecture::ALL))).prop_map(
        |((parallel, memory, time_ms, cpu, disk), architecture)| Limits {
            parallel,
            memory,
            time_ms,
            cpu,
            disk,
            architecture,
        },
    );
    (schedule, prop::option::of(name()), prop::collection::vec(stream(), 1..4), files, limits).prop_map(
        |(schedule, data_plane, mut streams, mut files, limits)| {
            let mut seen = std::collections::HashSet::new();
            streams.retain(|stream| seen.insert(stream.name.clone()));
            let needs_parquet = |stream: &StreamPlan| stream.load == Load::Changed || !stream.checksums.is_off();
            if streams.iter().any(needs_parquet) && !files.format.is_parquet() {
                files = Files { size: files.size, ..Files::default() };
            }
            Pipeline { from: "from".into(), to: "to".into(), data_plane, schedule, streams, files, limits }
        },
    )
}

fn document() -> impl Strategy<Value = Document> {
    // Boxed: two documents at once, with all that they are drawn from, are more than a thread has stack for.
    (source().boxed(), bucket().boxed(), name(), pipeline().boxed()).prop_map(|(from, to, name, mut pipeline)| {
        if matches!(from, System::Sqlite { .. }) {
            for stream in &mut pipeline.streams {
                stream.arrays = ArrayPolicy::default();
                stream.checksums = Checksums::Off;
                if stream.edge_values == EdgePolicy::Sentinel {
                    stream.edge_values = EdgePolicy::Null;
                }
            }
        }
        Document {
            connections: BTreeMap::from([("from".to_owned(), from), ("to".to_owned(), to)]),
            pipelines: BTreeMap::from([(name, pipeline)]),
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back_the_same(document in document()) {
        let text = to_yaml(&document);
        let read = parse(&text).map_err(|found| TestCaseError::fail(format!("{found:#?}\n{text}")))?;
        prop_assert_eq!(&read, &document, "{}", text);
        prop_assert_eq!(to_yaml(&read), text);
    }

    #[test]
    fn a_plan_after_apply_is_empty(document in document()) {
        // What a server keeps is the canonical form; what a user has is a file.
        let kept: Document = serde_json::from_str(&document.canonical()).expect("the canonical form");
        let file = parse(&to_yaml(&document)).expect("a right file");
        prop_assert_eq!(diff(&kept, &file), vec![]);
        prop_assert_eq!(kept.canonical(), file.canonical());
    }

    #[test]
    fn a_difference_is_found_from_both_sides(one in document(), other in document()) {
        prop_assert_eq!(diff(&one, &other).is_empty(), one == other);
        // How many lines say it may differ: what is added is told key by key, what is replaced as a whole.
        prop_assert_eq!(diff(&other, &one).is_empty(), one == other);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,200}|[ \\n\\t:{}\\[\\],&*!|>'\"%@`#a-z0-9-]{0,200}") {
        // Diagnostics point into the text, and it can be shown with them.
        let lines = text.split('\n').count() as u32;
        for found in parse(&text).err().unwrap_or_default() {
            prop_assert!(found.line >= 1 && found.line <= lines + 1 && found.column >= 1 && found.end_column > found.column);
        }
        let found = parse(&text).err().unwrap_or_default();
        prop_assert_eq!(redact(&text, &found).chars().count(), text.chars().count());
    }

    #[test]
    fn no_bytes_changed_in_a_right_file_break_the_reader(at in 0_usize..1_200, with in "[ -~\\n\\t😀]{0,4}", cut in 0_usize..40) {
        let text = include_str!("../../../../examples/shop.waybill.yaml");
        let chars: Vec<char> = text.chars().collect();
        let at = at.min(chars.len());
        let end = (at + cut).min(chars.len());
        let changed: String = chars[..at].iter().copied().chain(with.chars()).chain(chars[end..].iter().copied()).collect();
        if let Ok(document) = parse(&changed) {
            prop_assert_eq!(parse(&to_yaml(&document)).expect("its own text"), document);
        }
    }
}

#[test]
fn a_csv_source_reads_back_too() {
    let types = [("at", CsvType::TimestampTz), ("of: it", CsvType::Decimal(10, 2))];
    let types = types.map(|(column, kind)| (column.to_owned(), kind)).into();
    let csv = Csv {
        delimiter: '\t',
        quote: '\'',
        header: false,
        null: Some("\\N".into()),
        types,
        encoding: Encoding::ShiftJis,
    };
    let stream = |name: &str, format| StreamPlan {
        name: name.into(),
        load: Load::Full,
        cursor: None,
        key: Vec::new(),
        deletes: Deletes::default(),
        columns: Columns::default(),
        new_columns: None,
        changed_files: ChangedFiles::default(),
        bad_rows: BadRows::default(),
        bad_rows_share: BAD_ROWS_SHARE,
        filter: Vec::new(),
        edge_values: EdgePolicy::default(),
        arrays: ArrayPolicy::default(),
        invalid_text: TextPolicy::default(),
        verify_count: false,
        checksums: Checksums::Off,
        expect: Vec::new(),
        table: None,
        shrink_guard: 50,
        take_over: false,
        format,
    };
    let streams = vec![
        stream("a/*.txt", Some(FileFormat::Csv(csv))),
        StreamPlan {
            load: Load::New,
            changed_files: ChangedFiles::Append,
            ..stream("in/*.csv", Some(FileFormat::Csv(Csv::default())))
        },
        StreamPlan {
            bad_rows: BadRows::Quarantine,
            bad_rows_share: 0,
            ..stream("b", Some(FileFormat::Jsonl(Json::default())))
        },
        stream("j", Some(FileFormat::Json(Json { encoding: Encoding::Utf16Be }))),
        stream("c.parquet", Some(FileFormat::Parquet)),
    ];
    let s3 = S3Access { region: Some("eu-west-1".into()), ..S3Access::default() };
    let from = System::Files(FileSource { url: "s3://inbox/x".into(), s3: Some(s3), azure: None, gcs: None });
    let pipeline = Pipeline {
        from: "i".into(),
        to: "o".into(),
        data_plane: None,
        schedule: None,
        streams,
        files: Files::default(),
        limits: Limits::default(),
    };
    let document = Document {
        connections: BTreeMap::from([("i".into(), from), ("o".into(), System::Local { path: "./lake".into() })]),
        pipelines: BTreeMap::from([("p".into(), pipeline)]),
    };
    assert_eq!(parse(&to_yaml(&document)).unwrap_or_else(|found| panic!("{found:#?}")), document);
}

#[test]
fn all_columns_or_those_of_a_list_are_summed_and_read_back() {
    for (written, wanted) in [("all", Checksums::All), ("[a, b]", Checksums::Of(vec!["a".into(), "b".into()]))] {
        let text = format!(
            "waybill: 1\nconnections:\n  shop: {{ type: postgres, host: db, database: shop, user: ro }}\n  \
             lake: {{ type: local, path: ./lake }}\npipelines:\n  p: {{ from: shop, to: lake, every-stream: {{ checksums: {written} }}, \
             streams: {{ t: {{}} }} }}\n"
        );
        let read = parse(&text).expect(written);
        assert_eq!(read.pipelines["p"].streams[0].checksums, wanted);
        assert_eq!(parse(&to_yaml(&read)).expect("its own text"), read);
    }
}

//! Hostile input by its row of the threat tables: names, cron lines, driver options, downgrades, planted secrets.

use waybill_spec::{Code, parse, parse_connection, redact, to_yaml};

fn codes(text: &str) -> Vec<Code> {
    parse(text).map(|_| Vec::new()).unwrap_or_else(|found| found.into_iter().map(|d| d.code).collect())
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("json text")
}

const ENDS: &str = "connections: { a: { type: sqlite, path: x.db }, b: { type: local, path: lake } }";

#[test]
fn h9_names_that_would_run_somewhere_are_refused_or_inert() {
    let long = "x".repeat(10_000);
    let hostile = [
        "a\u{0}b",
        "a\nb",
        "\u{1b}[31mred",
        "\u{202e}txt.exe",
        &long,
        "<script>alert(1)</script>",
        "=cmd()",
        "../x",
        "A b",
    ];
    for name in hostile {
        let name = quoted(name);
        let pipeline =
            format!("waybill: 1\n{ENDS}\npipelines: {{ {name}: {{ from: a, to: b, streams: {{ t: {{}} }} }} }}\n");
        let connection = format!("waybill: 1\nconnections: {{ {name}: {{ type: local, path: x }} }}\n");
        for text in [pipeline, connection] {
            let found = parse(&text).expect_err("a name");
            assert!(found.iter().any(|d| d.code == Code::Name || d.code == Code::Syntax), "{found:?}");
            for d in &found {
                let shown = format!("{}{:?}", d.message, d.suggestion);
                assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}') && shown.len() < 1_000, "{shown}");
            }
        }
    }
    // Names of the source can be odd; they arrive as they are, and none leads anywhere.
    for name in ["<script>", "=cmd()", "../x", "a b", "a\"b", "😀"] {
        let text = format!(
            "waybill: 1\n{ENDS}\npipelines: {{ p: {{ from: a, to: b, streams: {{ {}: {{}} }} }} }}\n",
            quoted(name)
        );
        let document = parse(&text).expect(name);
        assert_eq!(document.pipelines["p"].streams[0].name, name);
        assert_eq!(parse(&to_yaml(&document)).expect("its own text"), document);
    }
}

#[test]
fn h10_cron_lines_that_are_too_frequent_or_never_come_are_refused() {
    let with = |cron: &str, zone: &str| {
        codes(&format!(
            "waybill: 1\n{ENDS}\npipelines: {{ p: {{ from: a, to: b, streams: {{ t: {{}} }}, schedule: {{ cron: {}, zone: {} }} }} }}\n",
            quoted(cron),
            quoted(zone)
        ))
    };
    for cron in ["* * * * * *", "*/30 * * * * *", "0 0 30 2 *", "0 0 31 11 *", "@reboot", "", "1 2 3", "60 * * * *"] {
        assert_eq!(with(cron, "UTC"), [Code::Cron], "{cron}");
    }
    for zone in ["Mars/Olympus", "CEST", "../etc/localtime", "+01:00"] {
        assert_eq!(with("0 2 * * *", zone), [Code::Zone], "{zone}");
    }
    assert_eq!(with("* * * * *", "Europe/Stockholm"), []);
}

#[test]
fn h17_driver_options_and_urls_are_refused() {
    for option in [
        "sslmode: disable",
        "options: -c session_replication_role=replica",
        "socket: /var/run/postgresql",
        "allowLoadLocalInfile: true",
        "allow_load_local_infile: true",
        "driver-class: com.example.Evil",
        "url: postgres://u:p@h/d",
        "dsn: x",
        "service: prod",
        "hostaddr: 10.0.0.1",
        "sslcert: /etc/client.pem",
    ] {
        let text = format!("{{ type: postgres, host: h, database: d, user: u, {option} }}");
        let found = parse_connection("shop", &text).expect_err(option);
        assert_eq!((found.len(), found[0].code), (1, Code::OptionRefused), "{option}: {found:?}");
    }
    for host in ["/var/run/postgresql", "h,other", "h?sslmode=disable", "u:p@h", "h options=x"] {
        let text = format!("{{ type: postgres, host: {}, database: d, user: u }}", quoted(host));
        assert_eq!(parse_connection("shop", &text).expect_err(host)[0].code, Code::BadValue, "{host}");
    }
    let with = |keys: &str| format!("{{ type: postgres, host: h, database: d, user: u, {keys} }}");
    for (keys, codes) in [
        ("client-cert: env://C", vec![Code::MissingField]),
        ("client-key: env://K", vec![Code::MissingField]),
        ("client-cert: /etc/client.pem, client-key: env://K", vec![Code::LiteralSecret]),
        ("client-cert: env://C, client-key: env://K, tls: disable", vec![Code::BadValue, Code::BadValue]),
    ] {
        let found = parse_connection("c", &with(keys)).expect_err(keys);
        assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), codes, "{keys}: {found:#?}");
    }
    assert!(parse_connection("c", &with("client-cert: env://C, client-key: env://K")).is_ok());
    let pin = format!("SHA256:{}", "A".repeat(43));
    let between = |rest: &str| with(&format!("ssh: {{ host: jump, user: u, {rest} }}"));
    for (rest, code) in [
        ("key: env://S".to_owned(), Code::MissingField),
        (format!("host-key: '{pin}'"), Code::MissingField),
        ("key: env://S, host-key: 'MD5:aa:bb'".to_owned(), Code::BadValue),
        ("key: env://S, host-key: any".to_owned(), Code::BadValue),
        (format!("key: env://S, host-key: '{pin}', strict: no"), Code::UnknownField),
    ] {
        let found = parse_connection("c", &between(&rest)).expect_err(&rest);
        assert_eq!((found.len(), found[0].code), (1, code), "{rest}: {found:#?}");
    }
    assert!(parse_connection("c", &between(&format!("key: env://S, host-key: '{pin}'"))).is_ok());
    for text in [
        "{ type: sqlite, path: 'file:x.db?mode=rwc' }",
        "{ type: s3, bucket: 'lake?x=y' }",
        "{ type: s3, bucket: lake, endpoint: 'https://u:p@h' }",
        "{ type: files, url: 's3://k:s@bucket/x' }",
        "{ type: files, url: 'http://169.254.169.254/' }",
        "{ type: local, path: 'sftp://h/x' }",
    ] {
        assert_eq!(parse_connection("c", text).expect_err(text)[0].code, Code::BadValue, "{text}");
    }
}

#[test]
fn h21_odd_table_and_column_names_arrive_unchanged_and_twins_stay_apart() {
    let names = ["public.\"we ird\"", "a.b.c", "Orders", "orders", "select", "😀", "x'; drop table y; --"];
    let long = "n".repeat(64);
    let streams: Vec<String> = names
        .iter()
        .copied()
        .chain([long.as_str()])
        .map(|name| format!("{}: {{ columns: {{ drop: [{}] }} }}", quoted(name), quoted(name)))
        .collect();
    let text = format!(
        "waybill: 1\n{ENDS}\npipelines: {{ p: {{ from: a, to: b, streams: {{ {} }} }} }}\n",
        streams.join(", ")
    );
    let plan = parse(&text).expect("odd names").plan("p").expect("a plan");
    let arrived: Vec<&str> = plan.streams.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(arrived, names.iter().copied().chain([long.as_str()]).collect::<Vec<_>>());
    assert!(plan.streams.iter().all(|stream| stream.columns.drop == [stream.name.clone()]));
    assert!(!codes(&text.replace("a.b.c", "a\\u0000b")).is_empty());
}

#[test]
fn h46_unknown_keys_and_downgrades_are_refused_and_key_order_changes_nothing() {
    let base = format!("waybill: 1\n{ENDS}\npipelines: {{ p: {{ from: a, to: b, streams: {{ t: {{}} }} }} }}\n");
    assert_eq!(codes(&base), []);
    for key in ["require_signed: false", "require-signed: false", "guard: {}", "signature: x"] {
        assert_eq!(codes(&format!("{base}{key}\n")), [Code::UnknownField], "{key}");
        assert_eq!(codes(&base.replace("from: a,", &format!("from: a, {key},"))), [Code::UnknownField], "{key}");
    }
    let turned = "pipelines: { p: { streams: { t: {} }, to: b, from: a } }\nconnections: { b: { path: lake, type: local }, a: { path: x.db, type: sqlite } }\nwaybill: 1\n";
    let (one, other) = (parse(&base).expect("base"), parse(turned).expect("turned"));
    assert_eq!(one.canonical(), other.canonical());
    assert_eq!(one.digest(), other.digest());
}

#[test]
fn t12_no_literal_secret_is_accepted_repeated_or_shown() {
    let secret = "Pl4nted-s3cret";
    for key in ["password", "pasword", "access-key", "secret-key", "token", "api_key"] {
        for kind in ["postgres", "mysql", "s3", "azure", "gcs", "local", "files", "sqlite"] {
            for written in
                [secret.to_owned(), format!("'{secret}'"), format!("\"{secret}\""), format!("{{ value: {secret} }}")]
            {
                let text = format!("waybill: 1\nconnections:\n  c: {{ type: {kind}, {key}: {written} }}\n");
                let found = parse(&text).expect_err("a literal");
                assert!(!format!("{found:?}").contains(secret), "{found:?}");
                assert!(!redact(&text, &found).contains(secret), "{}", redact(&text, &found));
            }
        }
    }
}

#[test]
fn a_file_that_would_grow_or_nest_without_end_is_refused_soon() {
    let began = std::time::Instant::now();
    let deep = format!("waybill: {}", "[".repeat(10_000));
    let wide = format!("waybill: 1\npipelines:\n{}", (0..60_000).map(|n| format!("  k{n}: 1\n")).collect::<String>());
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nwaybill: *c\n".to_owned();
    let huge = format!("waybill: {}", "1".repeat(2 << 20));
    for text in [deep, wide, laughs, huge] {
        let found = parse(&text).expect_err("refused");
        assert!(!found.is_empty() && found.len() <= 100);
    }
    // A bound against quadratic work, far above what a loaded machine needs.
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}

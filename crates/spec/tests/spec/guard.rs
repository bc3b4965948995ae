//! Guards: what they allow, what they refuse and where, and that nothing that is written into one is passed over.

use proptest::prelude::*;
use waybill_model::Micros;
use waybill_model::plan::{Plan, System};
use waybill_spec::guard::{Guard, Names, Reason, Refusal, draft, evaluate, lint};
use waybill_spec::{Code, Document};

const SPEC: &str = "waybill: 1
connections:
  shop: { type: postgres, host: db.internal, database: shop, user: reader, password: env://SHOP_PASSWORD }
  lake: { type: s3, bucket: lake, prefix: raw/shop, region: eu-central-1 }
  here: { type: local, path: /data/lake }
  file: { type: sqlite, path: /data/shop.db }
pipelines:
  nightly: { from: shop, to: lake, streams: { public.orders: { load: full } } }
  local: { from: file, to: here, streams: { orders: { load: full } } }
";

pub(super) const GUARD: &str = r#"guard = 1
expires = 2030-01-01
secrets = ["env://SHOP_*"]

[read]
connectors = ["postgres"]
hosts = ["*.internal:5432"]
tables = ["public.*"]

[write]
connectors = ["s3"]
buckets = ["s3://lake/raw"]

[limits]
time_per_run = "24h"
parallel = 2
"#;

const NOW: Micros = Micros(1_800_000_000_000_000);

pub(super) fn plan(name: &str) -> Plan {
    let document: Document = waybill_spec::parse(SPEC).expect("a pipeline file");
    document.plan(name).expect("a plan")
}

pub(super) fn guard(text: &str) -> Guard {
    Guard::parse(text).unwrap_or_else(|found| panic!("{found:#?}"))
}

fn postgres(plan: &mut Plan) -> &mut waybill_model::plan::Postgres {
    let System::Postgres(settings) = &mut plan.from.system else { panic!("a Postgres source") };
    settings
}

fn s3(plan: &mut Plan) -> &mut waybill_model::plan::S3 {
    let System::S3(settings) = &mut plan.to.system else { panic!("an S3 destination") };
    settings
}

/// Reasons, keys and lines of what is refused.
pub(super) fn refused(guard: &Guard, plan: &Plan) -> Vec<(Reason, &'static str, u32)> {
    evaluate(guard, plan, NOW).into_iter().map(|found| (found.reason, found.key, found.line)).collect()
}

#[test]
fn a_plan_within_the_guard_is_allowed() {
    assert_eq!(refused(&guard(GUARD), &plan("nightly")), []);
}

/// The worker opens one side of it, so that side alone has to be listed; it is held as strictly as in a pipeline.
#[test]
fn a_connection_that_is_looked_at_alone_is_held_on_its_own_side() {
    let guard = guard(GUARD);
    let Plan { from, to, .. } = plan("nightly");
    let alone = |system: &System| Plan::of_one("alone", system, 1_000);
    for system in [&from.system, &to.system] {
        assert_eq!(refused(&guard, &alone(system)), [], "{}", system.kind());
    }
    let (mut source, mut lake) = (alone(&from.system), alone(&to.system));
    for end in [&mut source.from, &mut source.to] {
        let System::Postgres(settings) = &mut end.system else { panic!("a Postgres source") };
        settings.host = "db.evil.example".into();
    }
    for end in [&mut lake.from, &mut lake.to] {
        let System::S3(s3) = &mut end.system else { panic!("an S3 destination") };
        s3.bucket = "elsewhere".into();
    }
    let reasons =
        |plan: &Plan| refused(&guard, plan).into_iter().map(|(reason, key, _)| (reason, key)).collect::<Vec<_>>();
    assert_eq!(reasons(&source), [(Reason::Host, "read.hosts")]);
    assert_eq!(reasons(&lake), [(Reason::Bucket, "write.buckets")]);
    // Two ends that are the same kind of thing but not the same thing are no look at one.
    let torn = Plan { to: from.clone(), ..source };
    assert!(reasons(&torn).contains(&(Reason::Connector, "write.connectors")), "{:?}", reasons(&torn));
}

/// An SSH server at the port of the database that the guard knows.
fn between(host: &str, user: &str, key: &str) -> Option<waybill_model::plan::Ssh> {
    Some(waybill_model::plan::Ssh {
        host: host.into(),
        port: 5432,
        user: user.into(),
        key: key.parse().ok()?,
        host_key: format!("SHA256:{}", "A".repeat(43)).parse().ok()?,
    })
}

#[test]
fn each_step_outside_is_refused_with_its_reason_and_line() {
    type Change = fn(&mut Plan);
    let cases: &[(Change, Reason, &str, u32)] = &[
        (|p| postgres(p).host = "db.evil.example".into(), Reason::Host, "read.hosts", 7),
        (|p| postgres(p).port = 22, Reason::Host, "read.hosts", 7),
        (|p| postgres(p).host = "0x7f000001".into(), Reason::Address, "read.hosts", 7),
        (|p| postgres(p).tls = waybill_model::plan::TlsMode::Disable, Reason::Tls, "network.require_tls", 1),
        (|p| postgres(p).password = "env://AWS_KEY".parse().ok(), Reason::Secret, "secrets", 3),
        (|p| postgres(p).password = "file:///etc/shadow".parse().ok(), Reason::Secret, "secrets", 3),
        (|p| postgres(p).ca = "/etc/shadow".parse().ok(), Reason::Path, "read.paths", 5),
        (|p| postgres(p).ca = "ca.pem".parse().ok(), Reason::Path, "read.paths", 5),
        (|p| postgres(p).ca = "file:///etc/shadow".parse().ok(), Reason::Secret, "secrets", 3),
        (|p| postgres(p).ca = "aws-ssm:///other".parse().ok(), Reason::Secret, "secrets", 3),
        (|p| postgres(p).client_key = "file:///etc/shadow".parse().ok(), Reason::Secret, "secrets", 3),
        (|p| postgres(p).ssh = between("jump.evil.example", "u", "env://SHOP_PASSWORD"), Reason::Host, "read.hosts", 7),
        (|p| postgres(p).ssh = between("db.internal", "u", "file:///etc/shadow"), Reason::Secret, "secrets", 3),
        (
            |p| postgres(p).ssh = between("db.internal", "a\nb", "env://SHOP_PASSWORD"),
            Reason::PlanMalformed,
            "guard",
            1,
        ),
        (|p| s3(p).access.secret_key = "file:///etc/shadow".parse().ok(), Reason::Secret, "secrets", 3),
        (|p| s3(p).bucket = "attacker".into(), Reason::Bucket, "write.buckets", 12),
        (|p| s3(p).prefix = "rawer".into(), Reason::Bucket, "write.buckets", 12),
        (|p| s3(p).prefix = "raw/../x".into(), Reason::PlanMalformed, "guard", 1),
        (|p| s3(p).bucket = "lake/raw/x".into(), Reason::PlanMalformed, "guard", 1),
        (|p| s3(p).access.endpoint = Some("https://evil.example".into()), Reason::Endpoint, "network.endpoints", 1),
        (|p| s3(p).access.endpoint = Some("https://lake@evil".into()), Reason::PlanMalformed, "guard", 1),
        (|p| s3(p).access.region = Some("x.evil.example/".into()), Reason::PlanMalformed, "guard", 1),
        (|p| p.streams[0].name = "secret.salaries".into(), Reason::Table, "read.tables", 8),
        (|p| p.streams[0].name = "public.x\".\"y".into(), Reason::Table, "read.tables", 8),
        (|p| p.limits.time_ms += 1, Reason::Limit, "limits.time_per_run", 15),
        (|p| p.limits.parallel = 3, Reason::Limit, "limits.parallel", 16),
    ];
    let guard = guard(GUARD);
    for (change, reason, key, line) in cases {
        let mut plan = plan("nightly");
        change(&mut plan);
        assert_eq!(refused(&guard, &plan), [(*reason, *key, *line)]);
    }
}

#[test]
fn a_container_is_held_by_account_name_and_prefix_and_its_endpoint_like_any_other() {
    let text = GUARD.replace("[\"s3\"]", "[\"azure\"]").replace("s3://lake/raw", "azure://shop/lake/raw");
    let guard = guard(&text);
    let lake = |json: &str| {
        let mut plan = plan("nightly");
        let json = format!(r#"{{"type":"azure","account":"shop","container":"lake",{json}}}"#);
        plan.to.system = serde_json::from_str(&json).expect("a container");
        refused(&guard, &plan).into_iter().map(|(reason, key, _)| (reason, key)).collect::<Vec<_>>()
    };
    assert_eq!(lake(r#""prefix":"raw/x","sas":"env://SHOP_SAS""#), []);
    for (json, reason, key) in [
        (r#""prefix":"rawer""#, Reason::Bucket, "write.buckets"),
        (r#""prefix":"""#, Reason::Bucket, "write.buckets"),
        (r#""prefix":"raw/../x""#, Reason::PlanMalformed, "guard"),
        (r#""prefix":"raw","endpoint":"https://evil.example""#, Reason::Endpoint, "network.endpoints"),
        (r#""prefix":"raw","account-key":"env://OTHER""#, Reason::Secret, "secrets"),
        (r#""prefix":"raw","client-secret":"file:///etc/shadow""#, Reason::Secret, "secrets"),
        (r#""prefix":"raw","tenant":"../evil""#, Reason::PlanMalformed, "guard"),
        (r#""prefix":"raw","client":"x&resource=evil""#, Reason::PlanMalformed, "guard"),
    ] {
        assert_eq!(lake(json), [(reason, key)], "{json}");
    }
    let mut elsewhere = plan("nightly");
    let evil = r#"{"type":"azure","account":"shop.evil.example","container":"lake","prefix":"raw"}"#;
    elsewhere.to.system = serde_json::from_str(evil).expect("a container");
    assert_eq!(refused(&guard, &elsewhere).first().map(|found| found.0), Some(Reason::PlanMalformed));
    for place in ["azure://shop", "azure://shop/Lake", "azure://Shop/lake", "azure://shop/lake/", "gcs://lake"] {
        assert!(Guard::parse(&text.replace("azure://shop/lake/raw", place)).is_err(), "{place}");
    }
}

#[test]
fn a_bucket_of_google_is_held_by_name_and_prefix_and_its_endpoint_like_any_other() {
    let text = GUARD.replace("[\"s3\"]", "[\"gcs\"]").replace("s3://lake/raw", "gs://lake_1/raw");
    let guard = guard(&text);
    let lake = |json: &str| {
        let mut plan = plan("nightly");
        plan.to.system =
            serde_json::from_str(&format!(r#"{{"type":"gcs","bucket":"lake_1",{json}}}"#)).expect("a bucket");
        refused(&guard, &plan).into_iter().map(|(reason, key, _)| (reason, key)).collect::<Vec<_>>()
    };
    assert_eq!(lake(r#""prefix":"raw/x","service-account":"env://SHOP_KEY""#), []);
    for (json, reason, key) in [
        (r#""prefix":"rawer""#, Reason::Bucket, "write.buckets"),
        (r#""prefix":"""#, Reason::Bucket, "write.buckets"),
        (r#""prefix":"raw/../x""#, Reason::PlanMalformed, "guard"),
        (r#""prefix":"raw","endpoint":"https://evil.example""#, Reason::Endpoint, "network.endpoints"),
        (r#""prefix":"raw","service-account":"file:///etc/shadow""#, Reason::Secret, "secrets"),
        (r#""prefix":"raw","kms-key":"k&ifGenerationMatch=""#, Reason::PlanMalformed, "guard"),
        (r#""prefix":"raw","billing-project":"../evil""#, Reason::PlanMalformed, "guard"),
    ] {
        assert_eq!(lake(json), [(reason, key)], "{json}");
    }
    let mut elsewhere = plan("nightly");
    let evil = r#"{"type":"gcs","bucket":"lake_1/o/x?y=","prefix":"raw"}"#;
    elsewhere.to.system = serde_json::from_str(evil).expect("a bucket");
    assert_eq!(refused(&guard, &elsewhere).first().map(|found| found.0), Some(Reason::PlanMalformed));
    for place in ["gs://", "gs://Lake", "gs://lake/"] {
        assert!(Guard::parse(&text.replace("gs://lake_1/raw", place)).is_err(), "{place}");
    }
}

#[test]
fn what_a_guard_does_not_name_is_refused() {
    let empty = guard("guard = 1\n");
    let reasons = |name: &str| refused(&empty, &plan(name)).into_iter().map(|(reason, ..)| reason).collect::<Vec<_>>();
    use Reason as R;
    assert_eq!(reasons("nightly"), [R::Connector, R::Host, R::Secret, R::Connector, R::Bucket]);
    assert_eq!(reasons("local"), [R::Connector, R::Path, R::Connector, R::Path]);
    assert_eq!(empty.names, Names::None);
    assert!(empty.network.require_tls && !empty.require_signed_specs);
}

#[test]
fn paths_are_held_by_whole_parts_and_without_detours() {
    let guard = guard(
        "guard = 1\n[read]\nconnectors = [\"sqlite\"]\npaths = [\"/data/shop.db\"]\n[write]\nconnectors = [\"local\"]\n\
         paths = [\"/data/lake\"]\n",
    );
    assert_eq!(refused(&guard, &plan("local")), []);
    for (path, fits) in [
        ("/data/lake/", true),
        ("/data/lake/a", true),
        ("/data/lake2", false),
        ("/data/lake/../shop.db", false),
        ("data/lake", false),
        ("/data//lake", false),
        ("/", false),
    ] {
        let mut plan = plan("local");
        plan.to.system = System::Local { path: path.into() };
        assert_eq!(refused(&guard, &plan).is_empty(), fits, "{path}");
    }
}

#[test]
fn special_addresses_need_to_be_named_and_egress_bounds_the_rest() {
    let with = |network: &str| {
        let hosts = "hosts = [\"127.0.0.0/8:*\", \"169.254.0.0/16:*\", \"10.0.0.0/8:*\"]";
        guard(
            &GUARD.replace("hosts = [\"*.internal:5432\"]", hosts).replace("[limits]", &format!("{network}\n[limits]")),
        )
    };
    let to = |host: &str| {
        let mut plan = plan("nightly");
        postgres(&mut plan).host = host.into();
        plan
    };
    let plain = with("");
    for host in ["127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "169.254.170.2"] {
        assert!(refused(&plain, &to(host)).iter().any(|(reason, ..)| *reason == Reason::Address), "{host}");
    }
    assert_eq!(refused(&plain, &to("10.0.0.5")), []);
    let named = with("[network]\nspecial = [\"127.0.0.1\"]\negress = [\"10.1.0.0/16\"]");
    assert_eq!(refused(&named, &to("10.1.2.3")), []);
    assert_eq!(refused(&named, &to("10.2.2.3")).first().map(|found| found.1), Some("network.egress"));
    let loopback = with("[network]\nspecial = [\"127.0.0.1\"]");
    assert_eq!(refused(&loopback, &to("127.0.0.1")), []);
    assert_eq!(refused(&loopback, &to("127.0.0.2")).len(), 1);
}

#[test]
fn the_kill_switch_and_the_end_refuse_everything() {
    let stopped = guard(&GUARD.replace("guard = 1\n", "guard = 1\nstop = true\n"));
    assert_eq!(refused(&stopped, &plan("nightly")), [(Reason::Stopped, "stop", 2)]);
    let ended = guard(&GUARD.replace("2030-01-01", "2027-01-15T07:59:59Z"));
    assert_eq!(refused(&ended, &plan("nightly")), [(Reason::Expired, "expires", 2)]);
    let just_before = guard(&GUARD.replace("2030-01-01", "2027-01-15T08:00:01+00:00"));
    assert_eq!(refused(&just_before, &plan("nightly")), []);
}

#[test]
fn h46_a_guard_with_any_mistake_is_refused_whole_with_line_and_column() {
    for (text, code, line, column) in [
        ("guard = 1\nstopp = true\n", Code::UnknownField, 2, 1),
        ("guard = 1\n[read]\nhost = []\n", Code::UnknownField, 3, 1),
        ("guard = 1\nguard = 1\n", Code::DuplicateKey, 2, 1),
        ("guard = 1\n[read]\n[read]\n", Code::DuplicateKey, 3, 2),
        ("guard = 2\n", Code::BadValue, 1, 9),
        ("stop = true\n", Code::MissingField, 1, 1),
        ("guard = 1\nstop = \"yes\"\n", Code::WrongType, 2, 8),
        ("guard = 1\nstop = 1\n", Code::WrongType, 2, 8),
        ("guard = 1\nexpires = 2027-02-30\n", Code::Syntax, 2, 11),
        ("guard = 1\nexpires = 2027-02-03T00:00:00\n", Code::BadValue, 2, 11),
        ("guard = 1\nsecrets = [\"*\"]\n", Code::BadValue, 2, 12),
        ("guard = 1\nsecrets = [\"env://A\", \"hunter2\"]\n", Code::BadValue, 2, 23),
        ("guard = 1\n[read]\nhosts = [\"*:5432\"]\n", Code::BadValue, 3, 10),
        ("guard = 1\n[read]\nhosts = [\"db\"]\n", Code::BadValue, 3, 10),
        ("guard = 1\n[read]\nconnectors = [\"oracle\"]\n", Code::BadValue, 3, 15),
        ("guard = 1\n[write]\npaths = [\"data\"]\n", Code::BadValue, 3, 10),
        ("guard = 1\n[write]\nbuckets = [\"s3://lake/*\"]\n", Code::BadValue, 3, 12),
        ("guard = 1\n[network]\nunix_sockets = true\n", Code::NotBuiltYet, 3, 1),
        ("guard = 1\n[network]\negress = [\"10.0.0.1/8\"]\n", Code::BadValue, 3, 11),
        ("guard = 1\n[limits]\nbytes_per_run = 5\n", Code::Unit, 3, 17),
        ("guard = 1\nrequire_signed_specs = true\n", Code::MissingField, 2, 1),
        ("guard = 1\n[signers.a]\nkey = \"ed25519:AA\"\n", Code::BadValue, 3, 7),
        ("guard = 1\nread = 5\n", Code::WrongType, 2, 8),
        ("guard = 1\nstop = tru\n", Code::Syntax, 2, 8),
        ("", Code::Documents, 1, 1),
    ] {
        let found = Guard::parse(text).expect_err(text);
        let seen: Vec<_> = found.iter().map(|d| (d.code, d.line, d.column)).collect();
        assert_eq!(seen, [(code, line, column)], "{text}: {found:#?}");
        assert!(!found.iter().any(|d| d.message.contains("hunter2")), "a guard may hold a secret by mistake");
    }
}

#[test]
fn every_mistake_of_a_guard_is_told_in_one_pass() {
    let found = Guard::parse("guard = 1\nstopp = 1\n[read]\nhosts = [\"x\", \"y\"]\n").expect_err("mistakes");
    assert_eq!(found.iter().map(|d| d.line).collect::<Vec<_>>(), [2, 4, 4]);
    assert_eq!(found[0].suggestion.as_deref(), Some("did you mean `stop`?"));
}

#[test]
fn a_guard_that_is_large_or_nests_without_end_is_refused_soon() {
    let large = format!("guard = 1\n# {}\n", "x".repeat(1 << 20));
    let deep = format!("guard = 1\nsecrets = {}{}\n", "[".repeat(20_000), "]".repeat(20_000));
    let dotted = format!("{} = 1\n", vec!["a"; 20_000].join("."));
    for text in [large, deep, dotted] {
        assert!(Guard::parse(&text).is_err());
    }
}

#[test]
fn a_draft_allows_the_plans_that_it_was_made_from_and_no_other() {
    let (nightly, local) = (plan("nightly"), plan("local"));
    let both = guard(&draft(&[nightly.clone(), local.clone()]));
    assert_eq!((refused(&both, &nightly), refused(&both, &local)), (vec![], vec![]));
    let one = guard(&draft(std::slice::from_ref(&nightly)));
    assert!(!refused(&one, &local).is_empty());
    assert!(!refused(&guard(&draft(&[])), &nightly).is_empty());
}

#[test]
fn a_draft_names_the_ca_file_and_every_secret_of_a_plan() {
    let mut nightly = plan("nightly");
    postgres(&mut nightly).ca = "/etc/ssl/shop.pem".parse().ok();
    let access = &mut s3(&mut nightly).access;
    (access.access_key, access.secret_key) = ("env://KEY".parse().ok(), "file:///run/secret".parse().ok());
    let text = draft(std::slice::from_ref(&nightly));
    assert_eq!(refused(&guard(&text), &nightly), []);
    for needed in ["/etc/ssl/shop.pem", "env://SHOP_PASSWORD", "env://KEY", "file:///run/secret"] {
        let narrower = guard(
            &text
                .replace(&format!("\"{needed}\""), "\"env://OTHER\"")
                .replace("paths = [\"env://OTHER\"]", "paths = []"),
        );
        assert_eq!(refused(&narrower, &nightly).len(), 1, "{needed}");
    }
    postgres(&mut nightly).ca = "aws-ssm:///shop/ca".parse().ok();
    postgres(&mut nightly).ssh = between("jump.internal", "u", "env://SSH");
    let text = draft(std::slice::from_ref(&nightly));
    assert_eq!(refused(&guard(&text), &nightly), []);
    for (needed, other) in [
        ("aws-ssm:///shop/ca", "env://OTHER"),
        ("env://SSH", "env://OTHER"),
        ("jump.internal:5432", "other.internal:5432"),
    ] {
        assert_eq!(refused(&guard(&text.replace(needed, other)), &nightly).len(), 1, "{needed}");
    }
}

#[test]
fn only_a_listed_image_runs_and_one_that_is_not_known_is_none_of_them() {
    let (own, other) = (format!("sha256:{}", "a".repeat(64)), format!("sha256:{}", "b".repeat(64)));
    let listed = guard(&GUARD.replace("secrets =", &format!("images = [\"{own}\"]\nsecrets =")));
    assert_eq!(listed.refuses_image(&[other.clone(), own.clone()]), None);
    for (known, told) in [(vec![other.clone()], other.as_str()), (vec![], "not known")] {
        let refusal = listed.refuses_image(&known).expect("refused");
        assert_eq!((refusal.reason, refusal.key, refusal.line), (Reason::Image, "images", 3));
        assert!(refusal.message.contains(told), "{}", refusal.message);
    }
    assert_eq!(guard(GUARD).refuses_image(&[]), None, "without a list any image runs");
}

#[test]
fn a_reload_and_a_backfill_need_leave_of_their_own_where_plans_are_signed() {
    let signer = format!("[signers.a]\nkey = \"ed25519:{}=\"\n", "A".repeat(43));
    let with = |keys: &str| guard(&GUARD.replace("secrets =", &format!("{keys}secrets =")));
    let signed = |keys: &str| {
        guard(&(GUARD.replace("secrets =", &format!("require_signed_specs = true\n{keys}secrets =")) + &signer))
    };
    type Asked = fn(&Guard) -> Option<Refusal>;
    let asked: [(&str, Reason, Asked); 2] =
        [("reload", Reason::Reload, Guard::refuses_reload), ("backfill", Reason::Backfill, Guard::refuses_backfill)];
    for (own, reason, refused) in asked {
        let (yes, no) = (format!("{own} = true\n"), format!("{own} = false\n"));
        let other = if own == "reload" { "backfill = false\n" } else { "reload = false\n" };
        for allowed in [guard(GUARD), with(&yes), signed(&yes), with(other)] {
            assert_eq!(refused(&allowed), None);
        }
        for (refusing, key) in [(with(&no), own), (signed(&no), own), (signed(""), "require_signed_specs")] {
            let refusal = refused(&refusing).expect("refused");
            assert_eq!((refusal.reason, refusal.key), (reason, key));
            assert!(refusal.fix.is_some_and(|fix| fix.contains(yes.trim())));
        }
        assert!(lint(&signed(&yes), NOW).iter().any(|remark| remark.contains(&format!("`{own}`"))));
    }
}

#[test]
fn what_is_wide_is_remarked_on() {
    let wide = guard(
        "guard = 1\nsecrets = [\"env://*\"]\n[read]\nhosts = [\"*.internal:*\"]\n\
         [write]\nhosts = [\"10.0.0.0/8:5432\"]\ntables = [\"shop*\"]\n[network]\nrequire_tls = false\n",
    );
    let remarks = lint(&wide, NOW);
    for key in [
        "expires",
        "secrets",
        "read.hosts",
        "write.hosts",
        "write.tables",
        "read.tables",
        "network.require_tls",
        "limits",
    ] {
        assert!(remarks.iter().any(|remark| remark.contains(&format!("`{key}`"))), "{key}: {remarks:#?}");
    }
    let end = "expires = 2027-06-01";
    let narrow = guard(&GUARD.replace("expires = 2030-01-01", end).replace("*.internal", "db.internal"));
    assert_eq!(lint(&narrow, NOW), Vec::<String>::new());
}

proptest! {
    #[test]
    fn no_text_breaks_the_reading_of_guards(text in "\\PC{0,200}") {
        let _ = Guard::parse(&text);
    }

    #[test]
    fn no_bytes_changed_in_a_right_guard_break_the_reader(at in 0..GUARD.len(), with in any::<char>()) {
        let mut text: Vec<char> = GUARD.chars().collect();
        text[at] = with;
        let _ = Guard::parse(&text.into_iter().collect::<String>());
    }

    #[test]
    fn no_host_of_a_plan_breaks_the_guard_and_only_listed_ones_pass(host in "\\PC{0,80}", port: u16) {
        let mut plan = plan("nightly");
        postgres(&mut plan).host = host.clone();
        postgres(&mut plan).port = port;
        let found = evaluate(&guard(GUARD), &plan, NOW);
        let listed = port == 5432 && host.trim_end_matches('.').to_ascii_lowercase().ends_with(".internal");
        prop_assert!(!found.is_empty() || listed, "{host:?}");
    }

    #[test]
    fn no_bucket_or_prefix_escapes_its_place(bucket in "\\PC{0,20}", prefix in "[a-z./]{0,20}") {
        let mut plan = plan("nightly");
        s3(&mut plan).bucket = bucket.clone();
        s3(&mut plan).prefix = prefix.clone();
        let found = evaluate(&guard(GUARD), &plan, NOW);
        let parts: Vec<&str> = prefix.split('/').collect();
        let inside = bucket == "lake" && parts[0] == "raw" && !parts.iter().any(|part| matches!(*part, "" | "." | ".."));
        prop_assert_eq!(found.is_empty(), inside);
    }
}

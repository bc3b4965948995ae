//! Laws about the code itself: which crate may use which, how large a file may grow, what no source may say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};
use waybill_tests::binaries::repository;

/// Edges between the crates of the workspace; besides, every crate may use `model`, and `tests` any.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("spec", &[]),
    ("protocol", &[]),
    ("identity", &[]),
    ("store", &[]),
    ("launcher", &[]),
    ("api", &[]),
    ("console", &[]),
    ("pipeline", &[]),
    ("connectors", &["pipeline"]),
    ("orchestrator", &["api", "store", "launcher", "identity", "protocol", "spec", "console"]),
    ("worker", &["connectors", "pipeline", "identity", "protocol", "spec"]),
    ("agent", &["launcher", "identity", "protocol"]),
    ("cli", &["api", "spec"]),
];

/// What no crate of the product may link: one TLS stack, one crypto provider.
const FOREIGN: &[&str] = &["ring", "openssl", "openssl-sys", "native-tls", "azure_storage_blobs"];

struct Graph {
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Normal and build dependencies of every package in the lock, with all features on.
    fn read() -> Self {
        // What other platforms need is in no cache here.
        let told = Command::new("rustc").arg("-vV").output().expect("rustc -vV");
        let told = String::from_utf8(told.stdout).expect("text");
        let host = told.lines().find_map(|line| line.strip_prefix("host: ")).expect("this platform");
        let metadata = MetadataCommand::new()
            .manifest_path(repository().join("Cargo.toml"))
            .features(cargo_metadata::CargoOpt::AllFeatures)
            .other_options(vec!["--offline".into(), "--filter-platform".into(), host.into()])
            .exec()
            .expect("cargo metadata");
        let names: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p.name.to_string())).collect();
        let mut edges = BTreeMap::<String, BTreeSet<String>>::new();
        for node in metadata.resolve.expect("a resolved graph").nodes {
            let to = edges.entry(names[&node.id].clone()).or_default();
            for dep in &node.deps {
                if dep.dep_kinds.iter().any(|kind| kind.kind != DependencyKind::Development) {
                    to.insert(names[&dep.pkg].clone());
                }
            }
        }
        Self { edges }
    }
}

/// Whether a package links another one in any build, with all features on, as cargo itself resolves it.
fn links(from: &str, to: &str) -> bool {
    let listed = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--all-features", "--edges", "normal,build", "--prefix", "none", "--format", "{p}"])
        .args(["--package", from])
        .current_dir(repository())
        .output()
        .expect("cargo tree");
    assert!(listed.status.success(), "cargo tree: {}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8_lossy(&listed.stdout).lines().any(|line| line.split(' ').next() == Some(to))
}

#[test]
fn crates_use_only_the_crates_that_the_architecture_allows() {
    let graph = Graph::read();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().map(|(from, to)| (*from, *to)).collect();
    for (package, uses) in graph.edges.iter().filter(|(name, _)| name.starts_with("waybill-")) {
        let from = package.trim_start_matches("waybill-");
        if from == "tests" {
            continue;
        }
        let may = allowed.get(from).unwrap_or_else(|| panic!("{package} is not in the architecture"));
        for to in uses.iter().filter_map(|name| name.strip_prefix("waybill-")) {
            assert!(to == "model" || may.contains(&to), "{from} -> {to} is not an allowed edge");
        }
    }
}

#[test]
fn the_orchestrator_and_the_agent_link_no_code_that_handles_rows() {
    for rows in ["waybill-pipeline", "waybill-connectors", "arrow", "parquet", "postgres-protocol", "aws-sdk-s3"] {
        assert!(links("waybill-worker", rows), "{rows} is not in the worker: this test looks for the wrong name");
        assert!(!links("waybill-orchestrator", rows), "the orchestrator links {rows}");
        assert!(!links("waybill-launcher", rows), "the launcher links {rows}");
        assert!(!links("waybill-agent", rows), "the agent links {rows}");
    }
    for plane in ["waybill-store", "waybill-api", "waybill-orchestrator", "sqlx", "rusqlite"] {
        assert!(!links("waybill-agent", plane), "the agent links {plane}");
    }
    assert!(!links("waybill-worker", "waybill-store") && !links("waybill-worker", "waybill-api"));
}

#[test]
fn no_second_tls_or_crypto_stack_is_linked() {
    for product in ["waybill-orchestrator", "waybill-worker", "waybill-agent", "waybill-cli"] {
        assert!(links(product, "rustls"), "{product} links no rustls: this test looks for the wrong name");
        for name in FOREIGN {
            assert!(!links(product, name), "{product} links {name}");
        }
    }
}

/// Files that git tracks or would track, with one of these endings.
fn sources(endings: &[&str]) -> Vec<PathBuf> {
    let root = repository();
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(&root)
        .output()
        .expect("git ls-files");
    let text = String::from_utf8(listed.stdout).expect("names in UTF-8");
    let files: Vec<_> =
        text.lines().filter(|line| endings.iter().any(|e| line.ends_with(e))).map(|line| root.join(line)).collect();
    files.into_iter().filter(|path| path.exists()).collect()
}

#[test]
fn no_source_file_grows_past_its_ceiling() {
    let files = sources(&[".rs"]);
    assert!(files.len() > 50, "only {} files found", files.len());
    let mut over = Vec::new();
    for path in files {
        let lines = std::fs::read_to_string(&path).expect("read a source").lines().count();
        let ceiling = if path.starts_with(repository().join("tests")) { 800 } else { 500 };
        if lines > ceiling {
            over.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(over.is_empty(), "split by noun or step:\n{}", over.join("\n"));
}

#[test]
fn every_module_says_what_it_owns() {
    let silent: Vec<_> = sources(&[".rs"])
        .into_iter()
        .filter(|path| !std::fs::read_to_string(path).expect("read a source").trim_start().starts_with("//!"))
        .collect();
    assert!(silent.is_empty(), "no //! at the head of {silent:?}");
}

#[test]
fn no_lint_is_hidden_and_nothing_is_left_for_later() {
    let words = [
        concat!("#[al", "low("),
        concat!("#![al", "low("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
    ];
    let mut found = Vec::new();
    for path in sources(&[".rs", ".proto", ".sql", ".sh", "Makefile"]) {
        let text = std::fs::read_to_string(&path).expect("read a source");
        for (number, line) in text.lines().enumerate().filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        {
            found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn migrations_have_the_same_numbers_for_both_databases() {
    let names = |folder: &str| -> BTreeSet<String> {
        std::fs::read_dir(repository().join("crates/store/migrations").join(folder))
            .expect("a folder of migrations")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect()
    };
    assert_eq!(names("sqlite"), names("postgres"));
    // A database applies one migration per number: two of one number and no store opens.
    let numbers: Vec<u32> = names("sqlite").iter().map(|name| name[..4].parse().expect("four digits")).collect();
    assert_eq!(
        numbers,
        (1..=u32::try_from(numbers.len()).expect("few")).collect::<Vec<_>>(),
        "one each, without a gap"
    );
    assert!(!numbers.is_empty());
}

/// Words of places that hold payments, whole words of a name.
const PAYMENT: [&str; 9] = ["card", "iban", "cvc", "cvv", "pan", "payment", "invoice", "billing", "bank"];

fn names_of_payments(text: &str) -> Vec<String> {
    let names = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let pays = |name: &&str| name.to_lowercase().split('_').any(|part| PAYMENT.contains(&part));
    names.filter(pays).map(str::to_owned).collect()
}

#[test]
fn p67_no_table_message_or_answer_has_a_place_for_payments() {
    let files = sources(&[".sql", ".proto"]);
    assert!(files.len() > 20, "only {} files found", files.len());
    for path in files {
        let text = std::fs::read_to_string(&path).expect("text");
        assert_eq!(names_of_payments(&text), Vec::<String>::new(), "{}", path.display());
    }
    let text = std::fs::read_to_string(repository().join("docs/reference/openapi.json")).expect("the description");
    let api: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let schemas = api["components"]["schemas"].as_object().expect("schemas");
    assert!(schemas.len() > 50, "only {} schemas found", schemas.len());
    for (name, schema) in schemas {
        let fields = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::keys);
        let names: Vec<String> = fields.chain([name]).flat_map(|name| names_of_payments(name)).collect();
        assert_eq!(names, Vec::<String>::new(), "{name}");
    }
    assert_eq!(names_of_payments("customer_card_number, bankrupt"), ["customer_card_number"], "the search itself");
}

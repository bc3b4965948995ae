//! The images as they are built: one program each, nobody's shell, the same bytes twice, and a bill of what is inside.
//! They are built here from the binaries under test, uncompressed; the release build differs in the binaries alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use waybill_tests::binaries::{binary, repository};

const NAMES: [&str; 4] = ["worker", "orchestrator", "agent", "cli"];
/// Each image and its one program.
const PROGRAMS: [(&str, &str); 4] = [
    ("worker", "waybill-worker"),
    ("orchestrator", "waybill-orchestrator"),
    ("agent", "waybill-agent"),
    ("cli", "waybill"),
];

/// Builds images of the binaries under test and returns each one's digest.
fn build(out: &Path, sbom: Option<&Path>, names: &[&str]) -> BTreeMap<String, String> {
    let binaries = binary("waybill-worker").parent().expect("a directory").to_path_buf();
    let mut command = Command::new("python3");
    command.arg(repository().join("deploy/images/build.py")).args(["--level", "0", "--binaries"]).arg(binaries);
    command.arg("--out").arg(out).args(names);
    if let Some(sbom) = sbom {
        command.arg("--sbom").arg(sbom);
    }
    let output = command.output().expect("run build.py");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let mut words = said.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    let digests: BTreeMap<_, _> = words.by_ref().map(|line| (line[0].clone(), line[1].clone())).collect();
    assert_eq!(digests.len(), names.len());
    digests
}

/// SHA-256 of a file, which is read in pieces: an image of a debug build is large.
fn digest_of(file: &Path) -> Vec<u8> {
    let (mut file, mut hash) = (std::fs::File::open(file).expect("an image"), Sha256::new());
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece).expect("its bytes") {
            0 => return hash.finalize().to_vec(),
            length => hash.update(&piece[..length]),
        }
    }
}

fn bills() -> (tempfile::TempDir, BTreeMap<String, Value>) {
    let dir = tempfile::tempdir().expect("a directory");
    let script = repository().join("deploy/images/sbom.py");
    let output = Command::new("python3").arg(script).arg(dir.path()).args(NAMES).output().expect("run sbom.py");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = |name: &&str| {
        let text = std::fs::read_to_string(dir.path().join(format!("{name}.cdx.json"))).expect("a bill");
        ((*name).to_owned(), serde_json::from_str(&text).expect("JSON"))
    };
    let bills = NAMES.iter().map(read).collect();
    (dir, bills)
}

/// Unpacks an image: its configuration, and its one layer below a directory.
fn unpack(image: &Path, into: &Path) -> Value {
    let run = |archive: &Path, place: &Path| {
        let done = Command::new("tar").arg("-xpf").arg(archive).arg("-C").arg(place).status().expect("run tar");
        assert!(done.success());
    };
    let parts = into.join("parts");
    let layer = into.join("root");
    for dir in [&parts, &layer] {
        std::fs::create_dir_all(dir).expect("a directory");
    }
    run(image, &parts);
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).expect("a blob")).expect("JSON") };
    let blob = |digest: &Value| {
        parts.join("blobs/sha256").join(digest.as_str().expect("a digest").trim_start_matches("sha256:"))
    };
    let index = read(&parts.join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]["digest"]));
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    run(&blob(&manifest["layers"][0]["digest"]), &layer);
    read(&blob(&manifest["config"]["digest"]))
}

/// Files of a directory tree, by path below it, with whether they may be executed or written by others than root.
fn files(root: &Path) -> BTreeMap<String, u32> {
    use std::os::unix::fs::PermissionsExt;
    let (mut found, mut todo) = (BTreeMap::new(), vec![root.to_path_buf()]);
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).expect("a directory") {
            let path: PathBuf = entry.expect("an entry").path();
            let kind = std::fs::symlink_metadata(&path).expect("metadata");
            assert!(!kind.is_symlink(), "{} is a link", path.display());
            if kind.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
                found.insert(name, kind.permissions().mode() & 0o7777);
            }
        }
    }
    found
}

#[test]
fn an_image_is_not_built_of_a_program_for_another_processor() {
    let dir = tempfile::tempdir().expect("a directory");
    let other = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    let binaries = binary("waybill-worker").parent().expect("a directory").to_path_buf();
    let mut command = Command::new("python3");
    command.arg(repository().join("deploy/images/build.py")).args(["--architecture", other, "--binaries"]);
    let output = command.arg(binaries).arg("--out").arg(dir.path()).arg("worker").output().expect("run build.py");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&format!("not for {other}")), "{said}");
    assert!(!dir.path().join("worker.tar").exists());
}

#[test]
fn t23_an_image_holds_one_program_and_no_shell_and_is_nobodys() {
    let dir = tempfile::tempdir().expect("a directory");
    build(dir.path(), None, &NAMES);
    for (name, program) in PROGRAMS {
        let place = dir.path().join(format!("{name}-unpacked"));
        let config = unpack(&dir.path().join(format!("{name}.tar")), &place);
        assert_eq!(config["config"]["User"], "65532:65532", "{name}");
        let mut entry = vec![format!("/{program}")];
        entry.extend(["--cloud", "aws-ecs"].map(str::to_owned).into_iter().filter(|_| name == "worker"));
        assert_eq!(config["config"]["Entrypoint"], serde_json::json!(entry), "{name}");
        let found = files(&place.join("root"));
        let is_library = |path: &str| path.contains(".so") && (path.starts_with("lib/") || path.starts_with("lib64/"));
        let runs: Vec<_> = found
            .iter()
            .filter(|(path, mode)| **mode & 0o111 != 0 && !is_library(path))
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(runs, [program], "{name} can execute something else");
        assert!(
            found.values().all(|mode| mode & 0o6222 == 0),
            "{name}: a file can be written or changes its user: {found:?}"
        );
        let texts: BTreeSet<_> =
            found.keys().map(String::as_str).filter(|path| *path != program && !is_library(path)).collect();
        let wanted = ["etc/group", "etc/hosts", "etc/nsswitch.conf", "etc/passwd", "etc/ssl/certs/ca-certificates.crt"];
        assert_eq!(texts, BTreeSet::from(wanted), "{name}");
    }
}

#[test]
fn t23_two_builds_of_an_image_give_one_digest() {
    let dir = tempfile::tempdir().expect("a directory");
    let (bills, _) = bills();
    let (first, second) = (dir.path().join("1"), dir.path().join("2"));
    let one = build(&first, Some(bills.path()), &NAMES);
    let two = build(&second, Some(bills.path()), &NAMES);
    assert_eq!(one, two);
    for name in NAMES {
        let digest = |place: &Path| digest_of(&place.join(format!("{name}.tar")));
        assert_eq!(digest(&first), digest(&second), "the archives of {name} differ");
    }
    // And what goes in is seen in the digest.
    let bare = build(&dir.path().join("3"), None, &NAMES);
    assert!(NAMES.iter().all(|name| bare[*name] != one[*name]), "{bare:?} {one:?}");
}

#[test]
fn t23_an_image_is_complete_its_program_starts_in_it_as_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    build(dir.path(), None, &NAMES);
    // The tree is entered by chroot with another user, so it needs root or a user namespace.
    let root = rustix::process::geteuid().is_root();
    for (name, program) in PROGRAMS {
        let place = dir.path().join(format!("{name}-unpacked"));
        unpack(&dir.path().join(format!("{name}.tar")), &place);
        let mut command = if root { Command::new("chroot") } else { Command::new("unshare") };
        if root {
            command.arg("--userspec=65532:65532");
        } else {
            command.args(["--user", "--map-root-user", "chroot"]);
        }
        let output = command
            .arg(place.join("root"))
            .arg(format!("/{program}"))
            .arg("--version")
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .expect("chroot");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.starts_with(&format!("{program} ")),
            "{name}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn the_bill_of_materials_names_what_is_linked_with_its_checksums() {
    let (_dir, bills) = bills();
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).expect("the lock file");
    for (name, bill) in &bills {
        let components = bill["components"].as_array().expect("components");
        assert!(components.len() > 100, "{name}: only {} components", components.len());
        let refs: BTreeSet<_> =
            components.iter().map(|found| found["bom-ref"].as_str().expect("a reference")).collect();
        assert_eq!(refs.len(), components.len(), "{name} names something twice");
        for found in components.iter().filter(|found| !of_npm(found)) {
            let (package, version) =
                (found["name"].as_str().expect("a name"), found["version"].as_str().expect("a version"));
            if package.starts_with("waybill-") {
                continue;
            }
            let sum = found["hashes"][0]["content"].as_str().unwrap_or_else(|| panic!("{package} has no checksum"));
            let locked = format!("name = \"{package}\"\nversion = \"{version}\"\n");
            let part = lock.split(&locked).nth(1).unwrap_or_else(|| panic!("{package} {version} is not locked"));
            assert!(part.lines().take(2).any(|line| line.contains(sum)), "{package} {version}");
            assert!(found["licenses"][0]["expression"].is_string(), "{package} has no licence");
        }
        let has = |package: &str| components.iter().any(|found| found["name"] == package);
        assert!(has("rustls") && has("aws-lc-rs") && !has("proptest"), "{name}");
        assert_eq!(has("parquet"), name == "worker", "{name}: only a worker handles rows");
    }
}

fn of_npm(component: &Value) -> bool {
    component["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:npm/"))
}

#[test]
fn the_bill_of_an_orchestrator_names_what_its_web_console_is_made_of() {
    let (_dir, bills) = bills();
    let inside = repository().join("crates/console/dist/site/index.html").exists();
    let lock = std::fs::read_to_string(repository().join("web/package-lock.json")).expect("the lock file");
    let lock: Value = serde_json::from_str(&lock).expect("JSON");
    for (name, bill) in &bills {
        let components = bill["components"].as_array().expect("components");
        let theirs: Vec<_> = components.iter().filter(|found| of_npm(found)).collect();
        let has = |package: &str| theirs.iter().any(|found| found["name"] == package);
        assert_eq!(!theirs.is_empty(), inside && name == "orchestrator", "{name}");
        if theirs.is_empty() {
            continue;
        }
        assert!(has("react") && has("scheduler") && has("@tanstack/react-router"), "{theirs:?}");
        assert!(!has("vite") && !has("playwright-core"), "what only builds it is not inside");
        for found in &theirs {
            let locked = &lock["packages"][format!("node_modules/{}", found["name"].as_str().expect("a name"))];
            assert_eq!(found["version"], locked["version"], "{found}");
            assert_eq!(found["licenses"][0]["expression"], locked["license"], "{found}");
            assert_eq!(found["hashes"][0]["content"].as_str().map(str::len), Some(128), "{found}");
        }
        let known: BTreeSet<_> = components.iter().map(|found| &found["bom-ref"]).map(Value::to_string).collect();
        let edges = bill["dependencies"].as_array().expect("dependencies");
        let console = edges.iter().find(|edge| edge["ref"].as_str().is_some_and(|to| to.contains("waybill-console")));
        let asked = console.and_then(|edge| edge["dependsOn"].as_array()).expect("what the console asks for");
        assert!(asked.iter().any(|to| to.as_str().is_some_and(|to| to.starts_with("pkg:npm/react@"))), "{asked:?}");
        for target in edges.iter().flat_map(|edge| edge["dependsOn"].as_array().into_iter().flatten()) {
            assert!(known.contains(&target.to_string()), "{target} is no component");
        }
    }
}

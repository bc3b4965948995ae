//! What the documents tell people to type: every fenced command is run, or is a `make` or `cargo build` whose target is
//! there, and every program, command and option that a sentence names exists. What is neither fails. Pages about hosts and clouds
//! of one's own can't be run here: of their commands each program of ours, its options, and each file they name must exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use waybill_tests::binaries::{binary, repository};

/// The programs that are run.
const PROGRAMS: [&str; 3] = ["waybill", "waybill-worker", "waybill-orchestrator"];

/// What may be run besides them, as it stands in a document.
const TOOLS: [&str; 6] = ["python3", "cd", "cp", "mkdir", "export", "sed"];

/// Pages whose commands belong on hosts, in accounts or to an orchestrator with people that are not here.
const ELSEWHERE: [&str; 10] = [
    "access.md",
    "agent.md",
    "aws.md",
    "azure.md",
    "gcs.md",
    "host.md",
    "images.md",
    "s3.md",
    "secrets.md",
    "trail.md",
];

/// What these pages call of others'.
const OTHERS: [&str; 20] = [
    "aws",
    "az",
    "bao",
    "cd",
    "cp",
    "curl",
    "docker",
    "gcloud",
    "grep",
    "helm",
    "install",
    "jq",
    "skopeo",
    "systemctl",
    "terraform",
    "useradd",
    "vault",
    "xargs",
    "$EDITOR",
    "openssl",
];

/// Longest a command of a document may take here.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a command of a document is proven.
#[derive(Debug, PartialEq, Eq)]
enum Proof {
    /// Run as it stands, in a directory of its own.
    Run,
    /// Its Make target stands in the Makefile.
    Make(Vec<String>),
    /// Its packages stand in the workspace. The release build itself is the demo's.
    Build(Vec<String>),
}

impl Proof {
    /// None for a command that nothing proves.
    fn of(command: &str) -> Option<Self> {
        let mut words = command.split_whitespace();
        let program = words.next()?;
        let name = program.strip_prefix("target/release/").unwrap_or(program);
        match name {
            "make" => Some(Self::Make(words.map(str::to_owned).collect())),
            "cargo" if words.next() == Some("build") => {
                let words: Vec<&str> = words.collect();
                let packages = words.windows(2).filter(|pair| pair[0] == "-p").map(|pair| pair[1].to_owned());
                Some(Self::Build(packages.collect()))
            }
            _ if PROGRAMS.contains(&name) || TOOLS.contains(&name) => Some(Self::Run),
            _ => None,
        }
    }
}

/// The commands in the shell blocks of a document, without comments, continued lines put together.
fn commands(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut language: Option<&str> = None;
    let mut open = String::new();
    for line in document.lines() {
        if let Some(fence) = line.trim_start().strip_prefix("```") {
            language = if language.is_some() { None } else { Some(fence.trim()) };
            continue;
        }
        let line = match language {
            Some("sh" | "bash" | "shell") => line,
            // In a session, and in a block of no language, a prompt marks what is typed.
            Some(_) => match line.strip_prefix("$ ") {
                Some(typed) => typed,
                None => continue,
            },
            None => continue,
        };
        let line = line.split(" # ").next().unwrap_or_default().trim();
        if let Some(more) = line.strip_suffix('\\') {
            open.push_str(more);
            continue;
        }
        open.push_str(line);
        let command = std::mem::take(&mut open);
        if !command.is_empty() && !command.starts_with('#') {
            found.push(command);
        }
    }
    found
}

/// What stands in backticks in the sentences of a document.
fn named(document: &str) -> Vec<String> {
    let mut inside = false;
    let prose = document.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    let prose = prose.collect::<Vec<_>>().join("\n");
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The README and every page that people type from.
fn documents() -> Vec<PathBuf> {
    let root = repository();
    let mut found: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md"].map(|name| root.join(name)).into();
    let pages = std::fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("a page").path());
    found.extend(pages.filter(|page| page.extension().is_some_and(|kind| kind == "md")));
    found
}

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).expect("a document")
}

/// A clone's directory after its build, as far as a document's commands see it.
fn clone() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let examples = dir.path().join("examples");
    std::fs::create_dir(&examples).expect("examples");
    for entry in std::fs::read_dir(repository().join("examples")).expect("examples") {
        let file = entry.expect("an example").path();
        std::fs::copy(&file, examples.join(file.file_name().expect("a name"))).expect("a copy");
    }
    let release = dir.path().join("target/release");
    std::fs::create_dir_all(&release).expect("target");
    for program in PROGRAMS {
        std::os::unix::fs::symlink(binary(program), release.join(program)).expect("a link");
    }
    dir
}

/// Runs one line as a person would type it in the clone.
fn typed(command: &str, dir: &Path) -> Output {
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", dir.join("target/release").display());
    let mut shell = Command::new("bash");
    shell.args(["-c", command]).current_dir(dir).env_clear().env("PATH", path).env("HOME", dir);
    let mut child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash");
    let began = Instant::now();
    while child.try_wait().expect("a look").is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().expect("its end");
            panic!("`{command}` did not end in {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20)); // a poll, bounded above
    }
    child.wait_with_output().expect("its output")
}

fn make_targets() -> Vec<String> {
    let makefile = read(&repository().join("Makefile"));
    let rules =
        makefile.lines().filter_map(|line| line.split_once(":").filter(|(name, _)| !name.contains([' ', '\t', '.'])));
    rules.map(|(name, _)| name.to_owned()).collect()
}

fn packages() -> Vec<String> {
    let manifest = repository().join("Cargo.toml");
    let metadata = cargo_metadata::MetadataCommand::new().manifest_path(manifest).no_deps().exec().expect("metadata");
    metadata.packages.iter().map(|package| package.name.to_string()).collect()
}

/// What is wrong with a command that can't be run here: a program, an option or a file that is not there.
fn wrong_elsewhere(command: &str) -> Option<String> {
    let mut command = command.to_owned();
    while let Some(from) = command.find("$(")
        && let Some(length) = command[from..].find(')')
    {
        command.replace_range(from..=from + length, "…");
    }
    command.split(" | ").flat_map(|part| part.split(" && ")).find_map(|part| {
        let mut words: Vec<&str> = part.split_whitespace().collect();
        while words.first().is_some_and(|word| *word == "sudo" || word.split('=').next().is_some_and(is_variable)) {
            let user = words[0] == "sudo" && words.get(1) == Some(&"-u");
            words.drain(..if user { 3 } else { 1 });
        }
        let missing = words.iter().find(|word| word.starts_with("deploy/") && !repository().join(word).exists());
        if let Some(file) = missing {
            return Some(format!("no file {file}"));
        }
        match *words.first()? {
            program if PROGRAMS.contains(&program) || program == "waybill-agent" => misnamed(&words),
            program if OTHERS.contains(&program) || program.starts_with("deploy/") => None,
            program => Some(format!("nothing proves {program}: add it to tests/it/readme.rs")),
        }
    })
}

/// The name of an environment variable that is set before a command.
fn is_variable(word: &str) -> bool {
    word.len() > 2
        && word.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_lowercase())
        && word.contains('_')
}

#[test]
fn every_command_for_hosts_and_clouds_of_ones_own_names_what_is_there() {
    let mut seen = 0;
    for page in ELSEWHERE {
        for command in commands(&read(&repository().join("docs").join(page))) {
            seen += 1;
            assert_eq!(wrong_elsewhere(&command), None, "docs/{page}: `{command}`");
        }
    }
    assert!(seen >= 30, "the commands were not found: {seen}");
    assert!(wrong_elsewhere("waybill data-plane frobnicate | jq .").is_some());
    assert!(wrong_elsewhere("sudo -u waybill waybill-agent enrol --frobnicate").is_some());
    assert!(wrong_elsewhere("install -m 644 deploy/nothing /etc").is_some());
    assert!(wrong_elsewhere("A_B=1 rsync a b").is_some());
}

#[test]
fn every_command_of_a_document_works() {
    let (targets, packages) = (make_targets(), packages());
    let mut seen = 0;
    let runs_here = |page: &PathBuf| !ELSEWHERE.iter().any(|name| page.ends_with(name));
    for document in documents().into_iter().filter(runs_here) {
        let (page, dir) = (document.display(), clone());
        for command in commands(&read(&document)) {
            seen += 1;
            match Proof::of(&command) {
                Some(Proof::Make(wanted)) => {
                    assert!(
                        !wanted.is_empty() && wanted.iter().all(|target| targets.contains(target)),
                        "{page}: {command}"
                    );
                }
                Some(Proof::Build(wanted)) => {
                    assert!(wanted.iter().all(|package| packages.contains(package)), "{page}: {command}");
                }
                Some(Proof::Run) => {
                    let output = typed(&command, dir.path());
                    let said = String::from_utf8_lossy(&output.stderr).into_owned();
                    assert!(output.status.success(), "{page}: `{command}` ended with {}: {said}", output.status);
                }
                None => panic!("{page}: nothing proves `{command}`: give it a proof in tests/it/readme.rs"),
            }
        }
    }
    assert!(seen >= 5, "the README's commands were not found");
}

/// The option words of a command that a sentence names, checked against the command's own help.
fn misnamed(words: &[&str]) -> Option<String> {
    let mut called = Command::new(binary(words[0]));
    let steps: Vec<&str> = words[1..].iter().copied().take_while(is_step).collect();
    let output = called.args(&steps).arg("--help").env_clear().output().expect("a program");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        return Some(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let known = options_of(&help);
    let options = words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap_or(word));
    options.filter(|option| !known.contains(*option)).map(|option| format!("no option {option}")).next()
}

/// The options that a help text names, whole: the beginning of one is no option.
fn options_of(help: &str) -> BTreeSet<&str> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    help.split(|c| !is_of_a_name(c)).filter(|word| word.starts_with("--") && word.len() > 2).collect()
}

/// A word that is a command, not an argument or an option.
fn is_step(word: &&str) -> bool {
    word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
}

#[test]
fn every_program_command_and_option_that_a_sentence_names_exists() {
    let targets = make_targets();
    let mut seen = 0;
    let mut pages = documents();
    pages.push(repository().join("docs/reference/failures.md"));
    for document in pages {
        let page = document.display();
        for phrase in named(&read(&document)) {
            for line in phrase.split(" && ") {
                let words: Vec<&str> = line.split_whitespace().collect();
                let Some(program) = words.first() else { continue };
                if *program == "make" && words.len() > 1 {
                    seen += 1;
                    assert!(targets.iter().any(|target| target == words[1]), "{page}: `{line}`");
                } else if PROGRAMS.contains(program) {
                    seen += 1;
                    let wrong = misnamed(&words);
                    assert_eq!(wrong, None, "{page}: `{line}`");
                }
            }
        }
    }
    assert!(seen >= 15, "the named commands were not found: {seen}");
}

/// Every source file below a directory.
fn sources(below: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(below).expect("sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

/// What a line of a program says to people that names one of the programs: what stands in backticks, and a text that begins
/// with a command, of which only as many words count as are commands.
fn told(line: &str) -> Vec<Vec<&str>> {
    let line = line.trim_start();
    if line.starts_with("//") || !line.contains('"') {
        return Vec::new();
    }
    let quoted = line.split('`').skip(1).step_by(2).map(|phrase| phrase.split_whitespace().collect::<Vec<_>>());
    let mut found: Vec<_> = quoted.filter(|words| words.first().is_some_and(|word| PROGRAMS.contains(word))).collect();
    for text in line.split('"').skip(1).step_by(2).filter(|text| text.starts_with("waybill ")) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let group = ["agent", "connection", "data-plane", "guard", "pipeline", "project", "run", "trail"];
        let steps = if words.get(1).is_some_and(|word| group.contains(word)) { 3 } else { 2 };
        found.push(words.into_iter().take(steps).collect());
    }
    found
}

#[test]
fn every_command_that_a_program_tells_people_to_type_exists() {
    let mut files = Vec::new();
    for name in ["api", "cli", "model", "orchestrator", "pipeline", "worker", "agent"] {
        sources(&repository().join("crates").join(name).join("src"), &mut files);
    }
    let mut phrases = BTreeSet::new();
    for file in &files {
        let text = read(file);
        let of_the_program = text.split("#[cfg(test)]").next().unwrap_or_default();
        for words in of_the_program.lines().flat_map(told) {
            phrases.insert(words.iter().map(|word| word.trim_matches([',', ';', ':'])).collect::<Vec<_>>().join(" "));
        }
    }
    for phrase in &phrases {
        let words: Vec<&str> = phrase.split(' ').collect();
        assert_eq!(misnamed(&words), None, "`{phrase}`");
    }
    assert!(phrases.len() >= 60, "the messages were not found: {}", phrases.len());
    assert_eq!(told("next(\"waybill pipeline frobnicate NAME\")"), [["waybill", "pipeline", "frobnicate"]]);
    assert_eq!(told("\"mend it, then `waybill run retry {}`\""), [["waybill", "run", "retry", "{}"]]);
}

#[test]
fn a_command_that_nothing_proves_is_noticed() {
    let text = "Text with `make dust`.\n```sh\nmake demo     # a comment\nrsync a \\\n  b\n```\n```\n$ waybill whoami\nada\n```\n";
    assert_eq!(commands(text), ["make demo", "rsync a b", "waybill whoami"]);
    assert_eq!(Proof::of("rsync a b"), None);
    assert_eq!(Proof::of("cargo install x"), None);
    assert_eq!(Proof::of("make demo"), Some(Proof::Make(vec!["demo".into()])));
    assert_eq!(Proof::of("cargo build --release -p waybill-worker"), Some(Proof::Build(vec!["waybill-worker".into()])));
    assert_eq!(named(text), ["make dust"]);
    assert!(!make_targets().contains(&"dust".to_owned()));
    assert!(misnamed(&["waybill", "run", "start", "--frobnicate"]).is_some());
    assert!(misnamed(&["waybill", "frobnicate"]).is_some());
    assert!(misnamed(&["waybill", "apply", "--secret"]).is_none());
    assert!(misnamed(&["waybill", "apply", "--secre"]).is_some(), "the beginning of an option is none");
    assert!(misnamed(&["waybill", "apply", "--secrets"]).is_some());
}

//! Settings: what is refused names its line; nothing is bound before.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn write(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("orchestrator.toml");
    std::fs::write(&path, text).expect("a file");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    path
}

fn refusals(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), text);
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let errors = Config::load(Some(&file), Some(dir.path()), environment).err().unwrap_or_default();
    errors.iter().map(|error| error.to_string().replace(&dir.path().display().to_string(), "")).collect()
}

fn refused(text: &str, wanted: &str) {
    let errors = refusals(text, &[]);
    assert!(errors.iter().any(|error| error.contains(wanted)), "{text:?} gave {errors:?}, not {wanted:?}");
}

#[test]
fn the_default_file_is_whole_and_its_bounds_are_the_services_own() {
    let config = Config::load(None, Some(Path::new("/state")), []).expect("the default settings");
    assert_eq!(config.bounds, Bounds::default());
    assert_eq!(config.server.api.to_string(), "127.0.0.1:7443");
    assert_eq!((config.login.access.as_secs(), config.login.idle.as_secs()), (600, 43_200));
    assert_eq!(config.keys, Path::new("/state/keys"));
}

#[test]
fn h48_every_mistake_in_the_file_is_refused_with_its_line() {
    refused("[server]\r\napi = \"127.0.0.1:1\"\n", "/orchestrator.toml:1: ends with a carriage return");
    refused("[server]\n\tapi = \"127.0.0.1:1\"\n", "/orchestrator.toml:2: holds a tab");
    refused("[server]\nprot = \"x\"\n", "/orchestrator.toml:2: there is no setting `server.prot`");
    refused(
        "\n[bound]\nlease = \"60s\"\n",
        "/orchestrator.toml:3: there is no setting `bound.lease`; did you mean `bounds.lease`?",
    );
    refused("[state]\ndirectory = \"state\"\n", "/orchestrator.toml:2: state.directory must be an absolute path");
    refused(
        "[worker]\ncontrol-group = \"/nowhere\"\n",
        "/orchestrator.toml:2: worker.control-group must be the directory of a control group",
    );
    refused("[keys]\ndirectory = \"./keys\"\n", "/orchestrator.toml:2: keys.directory must be an absolute path");
    refused(
        "[database]\nurl = \"sqlite://waybill.db\"\n",
        "/orchestrator.toml:2: database.url must be sqlite:// with an absolute path",
    );
    refused(
        "[database]\nurl = \"env://WAYBILL_TEST_NOT_SET\"\n",
        "/orchestrator.toml:2: database.url refers to WAYBILL_TEST_NOT_SET, which is not set",
    );
    refused("[bounds]\nlease = \"1ms\"\n", "/orchestrator.toml:2: bounds.");
    refused("[bounds]\nlease = 60\n", "/orchestrator.toml:2: bounds.lease takes text in quotes");
    refused("[bounds]\nlease = \"sixty\"\n", "/orchestrator.toml:2: bounds.lease");
    refused("[server]\napi = \"localhost\"\n", "/orchestrator.toml:2: server.api takes an address and a port");
    refused("[server]\napi = \"127.0.0.1:1\"\napi = \"127.0.0.1:2\"\n", "/orchestrator.toml:3: duplicate key");
    refused("[server\n", "/orchestrator.toml:1: ");
    refused("[log]\nlevel = \"loud\"\n", "/orchestrator.toml:2: log.level takes one of");
}

#[test]
fn h48_a_secret_that_others_can_read_is_refused_and_not_repeated() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), "[database]\nurl = \"postgres://waybill:hunter2@db/waybill\"\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("permissions");
    let errors = Config::load(Some(&file), Some(dir.path()), []).expect_err("exposed");
    let text = format!("{errors:?} {}", errors[0]);
    assert!(text.contains("holds a password in a file that others can read") && !text.contains("hunter2"), "{text}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("permissions");
    let config = Config::load(Some(&file), Some(dir.path()), []).expect("a private file");
    assert!(!format!("{config:?}").contains("hunter2"));

    let secret = dir.path().join("url");
    std::fs::write(&secret, "postgres://waybill:hunter2@db/waybill\n").expect("a file");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).expect("permissions");
    let file = write(dir.path(), &format!("[database]\nurl = \"file://{}\"\n", secret.display()));
    let errors = Config::load(Some(&file), Some(dir.path()), []).expect_err("exposed");
    assert!(errors[0].to_string().contains(":2: database.url refers to a file that others can read"), "{errors:?}");
}

#[test]
fn the_environment_wins_over_the_file_and_a_wrong_name_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), "[bounds]\nlease = \"80s\"\n");
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment =
        [set("WAYBILL__BOUNDS__LEASE", "90s"), set("WAYBILL__BOUNDS__OFFLINE_GRACE", "1m"), set("HOME", "/")];
    let config = Config::load(Some(&file), Some(dir.path()), environment).expect("settings");
    assert_eq!((config.bounds.lease.as_secs(), config.bounds.offline_grace.as_secs()), (90, 60));
    let errors = Config::load(None, Some(dir.path()), [set("WAYBILL__SERVER__PROT", "1")]).expect_err("a wrong name");
    assert!(errors[0].to_string().starts_with("environment variable WAYBILL__SERVER__PROT: there is no setting"));
}

#[test]
fn what_has_no_default_must_be_set_outside_dev() {
    let errors = Config::load(None, None, []).expect_err("nothing is set");
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(text.contains("database.url is not set"), "{text}");
}

//! Keys of services, as a program: a build starts a run with one, as the page says, and a revoked one is refused.

use std::process::{Command, Stdio};

use serde_json::json;
use waybill_tests::binaries::{binary, repository};

use super::{Cli, logged_in, said};

/// What the page tells a build to type.
fn typed() -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs/access.md")).expect("the page");
    let (_, part) = page.split_once("### Runs from a build").expect("its part");
    let (_, block) = part.split_once("```sh\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    block.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_starts_a_run_with_a_key_as_the_page_says() {
    let sandbox = logged_in().await;
    let owner = Cli { dir: sandbox.dir.path() };
    owner.json(0, &["apply"]);
    let made = owner.json(0, &["key", "create", "ci", "--pipeline", "shop", "--days", "90"]);
    let secret = made["secret"].as_str().expect("the key").to_owned();
    assert_eq!((&made["key"]["role"], &made["key"]["state"]), (&json!("api"), &json!("active")));
    assert_eq!(owner.refused(5, &["key", "create", "ci", "--pipeline", "shop", "--days", "90"]), "name_taken");
    assert_eq!(owner.refused(6, &["key", "create", "long", "--pipeline", "shop", "--days", "366"]), "unusable");

    let ports = std::fs::read_to_string(sandbox.path("state").join("ports.json")).expect("ports");
    let ports: serde_json::Value = serde_json::from_str(&ports).expect("JSON");
    let url = format!("https://{}", ports["api"].as_str().expect("an address"));
    let desk = tempfile::tempdir().expect("a directory");
    let build = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], "waybill", "{line}");
        Command::new(binary("waybill"))
            .args(&words[1..])
            .current_dir(desk.path())
            .env_clear()
            .env("XDG_CONFIG_HOME", desk.path().join("config"))
            .env("WAYBILL_URL", &url)
            .env("WAYBILL_CA", sandbox.path("state").join("ca.pem"))
            .env("WAYBILL_TOKEN", &secret)
            .stdin(Stdio::null())
            .output()
            .expect("start waybill")
    };
    let lines = typed();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for line in lines {
        let done = build(&format!("{} -o json", line.replace("shop-nightly", "shop")));
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        let run: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(run["state"], "succeeded", "{run}");
        let listed = build("waybill run list -o json");
        let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        assert_eq!(listed["items"][0]["id"], run["id"]);
    }
    for other in ["waybill run preview shop -o json", "waybill run start shop --kind check -o json"] {
        let refused = build(other);
        assert_eq!(refused.status.code(), Some(1), "{other}: {}", said(&refused));
        assert!(said(&refused).contains("forbidden"), "{other}: {}", said(&refused));
    }
    let audit = said(&owner.with_input(&["api", "GET", "/v1/audit"], ""));
    let id = made["key"]["id"].as_str().expect("an id");
    assert!(audit.contains(id) && !audit.contains(&secret), "{audit}");
    let table = said(&owner.with_input(&["key", "list"], ""));
    assert!(table.contains("BEGINS WITH") && table.contains("wbk_") && !table.contains(&secret), "{table}");
    assert!(owner.json(0, &["key", "show", "ci"])["last_used_at"].is_string());

    assert_eq!(owner.json(0, &["key", "revoke", "ci"])["state"], "revoked");
    let refused = build("waybill run list");
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    assert_eq!(owner.json(0, &["key", "show", "ci"])["state"], "revoked");
    assert_eq!(owner.refused(4, &["key", "show", "nothing"]), "not_found");
}

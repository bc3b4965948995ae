//! OpenBao, the real server: a KV version 2 engine behind AppRole and tokens, namespaces, and a private CA.

use serde_json::json;
use waybill_tests::services::openbao::OpenBao;
use waybill_tests::services::s3_proxy::{Break, Rule, S3Proxy};

use super::{Ended, Environment, Story};

const PASSWORD: &str = "right-horse-battery";

/// A worker's environment for an AppRole whose ids lie in files of the story.
pub(super) fn by_role(story: &Story, address: String, ids: &(String, String)) -> Environment {
    vec![
        ("VAULT_ADDR", address),
        ("WAYBILL_VAULT_AUTH", "approle".into()),
        ("WAYBILL_VAULT_ROLE_ID", story.file("role-id", &ids.0)),
        ("WAYBILL_VAULT_SECRET_ID", story.file("secret-id", &ids.1)),
    ]
}

fn with(mut environment: Environment, name: &'static str, value: &str) -> Environment {
    environment.retain(|(known, _)| *known != name);
    environment.push((name, value.to_owned()));
    environment
}

#[tokio::test(flavor = "multi_thread")]
async fn p49_a_secret_of_openbao_logs_the_worker_in_by_its_role_or_token() {
    let (story, bao) = tokio::join!(Story::with(PASSWORD), OpenBao::start());
    bao.put("shop/db", json!({ "password": PASSWORD, "port": 5432 })).await;
    bao.put("shop/db", json!({ "password": "newer" })).await;
    bao.put("shop/now", json!({ "password": PASSWORD })).await;
    let ids = bao.role("worker", &["shop/*"], json!({})).await;
    let role = by_role(&story, bao.address(), &ids);
    story.delivered("vault://kv/shop/now#password", &role).await;
    story.delivered("vault://kv/shop/db#password?version=1", &role).await;
    let policies = json!({ "policies": ["worker"], "ttl": "5m" });
    let made = bao.root("POST", "auth/token/create", policies).await;
    let token = made["auth"]["client_token"].as_str().expect("a token");
    let by_token = vec![
        ("VAULT_ADDR", bao.address()),
        ("WAYBILL_VAULT_AUTH", "token".into()),
        ("WAYBILL_VAULT_TOKEN", story.file("token", token)),
    ];
    story.delivered("vault://kv/shop/now#password", &by_token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_openbao_lacks_or_refuses_is_told_apart_and_names_the_right_that_is_missing() {
    let (story, bao) = tokio::join!(Story::with(PASSWORD), OpenBao::start());
    bao.put("shop/db", json!({ "password": PASSWORD, "port": 5432 })).await;
    bao.put("shop/gone", json!({ "password": PASSWORD })).await;
    bao.root("DELETE", "kv/data/shop/gone", json!(null)).await;
    bao.put("other/db", json!({ "password": PASSWORD })).await;
    let ids = bao.role("worker", &["shop/*"], json!({})).await;
    let role = by_role(&story, bao.address(), &ids);
    for (reference, code, hint) in [
        ("vault://kv/other/db#password", "secret_access_denied", "read on kv/data/other/db"),
        ("vault://kv/shop/nothing#password", "secret_not_found", "does not exist"),
        ("vault://kv/shop/gone#password", "secret_not_found", "was deleted"),
        ("vault://kv/shop/db#password?version=7", "secret_not_found", "does not exist"),
        ("vault://kv/shop/db#pass", "secret_not_found", "no such key"),
        ("vault://kv/shop/db#port", "secret_unresolved", "no text under that key"),
    ] {
        story.refused(reference, &role, code, &[hint]).await;
    }
    let shop = "vault://kv/shop/db#password";
    for (name, value, code, hint) in [
        (
            "WAYBILL_VAULT_SECRET_ID",
            story.file("wrong", "11112222-0000"),
            "secret_access_denied",
            "auth/approle was refused",
        ),
        ("WAYBILL_VAULT_SECRET_ID", "file:///nowhere".into(), "secret_not_found", "file:///nowhere"),
        ("WAYBILL_VAULT_MOUNT", "elsewhere".into(), "secret_access_denied", "auth/elsewhere was refused"),
        ("WAYBILL_VAULT_AUTH", "ldap".into(), "secret_unresolved", "token, approle or aws"),
        ("VAULT_ADDR", "http://vault.example:8200".into(), "secret_unresolved", "VAULT_ADDR"),
        ("VAULT_ADDR", "http://127.0.0.1:1".into(), "secret_unreachable", "no connection"),
    ] {
        story.refused(shop, &with(role.clone(), name, &value), code, &[hint]).await;
    }
    story.refused(shop, &[], "secret_unresolved", &["VAULT_ADDR is not set"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_the_workers_own_setting() {
    let (story, bao) = tokio::join!(Story::with(PASSWORD), OpenBao::start());
    bao.root("POST", "sys/namespaces/team", json!({})).await;
    let root = |method: &'static str, path: &'static str, body| bao.root_in("team", method, path, body);
    root("POST", "sys/mounts/kv", json!({ "type": "kv", "options": { "version": "2" } })).await;
    root("POST", "kv/data/shop", json!({ "data": { "password": PASSWORD } })).await;
    let policy = json!({ "policy": "path \"kv/data/shop\" { capabilities = [\"read\"] }" });
    root("PUT", "sys/policies/acl/worker", policy).await;
    let made = root("POST", "auth/token/create", json!({ "policies": ["worker"], "ttl": "5m" })).await;
    let token = story.file("token", made["auth"]["client_token"].as_str().expect("a token"));
    let outside: Environment =
        vec![("VAULT_ADDR", bao.address()), ("WAYBILL_VAULT_AUTH", "token".into()), ("WAYBILL_VAULT_TOKEN", token)];
    story.delivered("vault://kv/shop#password", &with(outside.clone(), "VAULT_NAMESPACE", "team")).await;
    let ended = story.once("vault://kv/shop#password", &outside).await;
    assert!(ended.exit == Some(10) && ended.said.contains("secret_"), "{}", ended.said);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_ca_is_trusted_only_where_the_worker_is_told_so() {
    let (story, bao) = tokio::join!(Story::with(PASSWORD), OpenBao::start_with_tls());
    bao.put("shop", json!({ "password": PASSWORD })).await;
    let ids = bao.role("worker", &["shop"], json!({})).await;
    let role = by_role(&story, bao.address(), &ids);
    let shop = "vault://kv/shop#password";
    story.refused(shop, &role, "secret_unreachable", &["VAULT_CACERT"]).await;
    let ca = bao.ca().expect("a CA").display().to_string();
    story.delivered(shop, &with(role.clone(), "VAULT_CACERT", &ca)).await;
    let empty = story.path("empty.pem");
    std::fs::write(&empty, "").expect("write");
    let hint = "holds no certificate";
    story.refused(shop, &with(role, "VAULT_CACERT", &empty.display().to_string()), "secret_unresolved", &[hint]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falters_is_asked_again_and_a_redirect_is_not_followed() {
    let (story, bao) = tokio::join!(Story::with(PASSWORD), OpenBao::start());
    bao.put("shop", json!({ "password": PASSWORD })).await;
    let ids = bao.role("worker", &["shop"], json!({})).await;
    let shop = "vault://kv/shop#password";
    for (method, breaks) in [
        ("GET", Break::Answer(503, "sealed")),
        ("GET", Break::LoseAnswer),
        ("GET", Break::CutAnswer(10)),
        ("GET", Break::Stall),
        ("POST", Break::LoseAnswer),
        ("POST", Break::Answer(500, "broken")),
    ] {
        let proxy = S3Proxy::before(bao.port()).await;
        proxy.inject(Rule { method, holds: "/v1/", times: 1, breaks: breaks.clone() });
        story.delivered(shop, &by_role(&story, proxy.endpoint(), &ids)).await;
        assert_eq!((proxy.fired(), proxy.count(method, "/v1/")), (vec![1], 2), "{method} {breaks:?}");
    }
    for (status, code, hint) in [(307, "secret_unreachable", "redirects"), (503, "secret_unreachable", "sealed")] {
        let proxy = S3Proxy::before(bao.port()).await;
        proxy.inject(Rule { method: "GET", holds: "/v1/kv", times: usize::MAX, breaks: Break::Answer(status, "x") });
        story.refused(shop, &by_role(&story, proxy.endpoint(), &ids), code, &[hint]).await;
        assert_eq!(proxy.fired(), [3], "tries");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_the_guard_does_not_list_is_not_logged_in_at() {
    let (story, bao) = tokio::join!(Story::with(PASSWORD), OpenBao::start());
    bao.put("shop", json!({ "password": PASSWORD })).await;
    let ids = bao.role("worker", &["shop"], json!({})).await;
    let proxy = S3Proxy::before(bao.port()).await;
    let role = by_role(&story, proxy.endpoint(), &ids);
    let server = proxy.endpoint().replace("http://", "");
    let guard = format!(
        "guard = 1\nsecrets = [\"vault://kv/*\"]\n[read]\nconnectors = [\"postgres\"]\nhosts = [\"127.0.0.1:{}\"]\n\
         [write]\nconnectors = [\"local\"]\npaths = [\"{}\"]\n\
         [network]\nendpoints = [\"{server}\"]\nspecial = [\"127.0.0.1\"]\nrequire_tls = false\n",
        story.server.port(),
        story.path("lake").display(),
    );
    for (text, asked, code) in [
        (guard.replace(&server, "vault.example:8200"), false, Some("egress_denied")),
        (guard.replace("vault://kv/*", "vault://other/*"), false, Some("policy_denied")),
        (guard, true, None),
    ] {
        std::fs::write(story.path("guard.toml"), &text).expect("write");
        let mut worker = story.worker("vault://kv/shop#password", &role);
        let output = worker.arg("--guard").arg(story.path("guard.toml")).output().await.expect("run the worker");
        let ended = Ended::of(output);
        assert_eq!(ended.exit, Some(code.map_or(0, |_| 10)), "{}", ended.said);
        assert!(ended.said.contains(code.unwrap_or_default()), "{}", ended.said);
        assert_eq!(proxy.count("POST", "/v1/auth/approle/login") > 0, asked, "{text}");
    }
}

//! Logins of the real program.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_setup_token_is_gone_once_it_was_used_also_after_a_restart() {
    let (mut sandbox, door) = sandbox().await;
    assert!(!sandbox.path("state/setup-token").exists(), "used once, it is worth nothing");
    let setup = json!({
        "setup_token": "setup_00", "email": "eve@example.com", "password": PASSWORD, "organization": "Eve"
    });
    let again = door.open("/v1/setup", &setup).await;
    assert_eq!((again.status, again.code()), (StatusCode::UNAUTHORIZED, "setup_refused"));
    let ports = sandbox.ports().expect("ports");
    sandbox.kill_orchestrator().expect("killed");
    sandbox.restart(&ports).await.expect("back");
    assert!(!sandbox.path("state/setup-token").exists(), "there is an account, so no new one is made");
    assert_eq!(
        sandbox.log().matches("the one-time setup token is setup_").count(),
        1,
        "printed at the first start alone"
    );
    assert_eq!(door.whoami(&door.access).await, StatusCode::OK, "a session outlives the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn h4_a_refresh_token_rotates_and_its_second_use_ends_the_whole_family() {
    let (_sandbox, mut door) = sandbox().await;
    let first = door.refresh.clone();
    let next = door.refreshed(&first).await;
    assert_eq!(next.status, StatusCode::OK, "{}", next.body);
    door.take(&next);
    assert_ne!(door.refresh, first);
    assert_eq!(door.whoami(&door.access).await, StatusCode::OK);
    let reused = door.refreshed(&first).await;
    assert_eq!((reused.status, reused.code()), (StatusCode::UNAUTHORIZED, "token_invalid"));
    assert_eq!(door.whoami(&door.access).await, StatusCode::UNAUTHORIZED, "the access token as well");
    assert_eq!(door.refreshed(&door.refresh).await.status, StatusCode::UNAUTHORIZED, "and the newest refresh token");
    let other =
        Door { http: door.http.clone(), base: door.base.clone(), access: String::new(), refresh: String::new() };
    assert_eq!(other.login(PASSWORD).await.status, StatusCode::OK, "a new login begins a new family");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_taken_from_the_header_alone_and_no_cookie_is_ever_set() {
    let (_sandbox, door) = sandbox().await;
    let token = door.access.clone();
    let cookie = format!("access_token={token}; token={token}");
    let basic = format!("Basic {token}");
    let lower = format!("bearer{token}");
    for headers in [
        vec![("cookie", cookie.as_str())],
        vec![("x-access-token", token.as_str())],
        vec![("authorization", basic.as_str())],
        vec![("authorization", lower.as_str())],
        vec![("authorization", token.as_str())],
        vec![("proxy-authorization", token.as_str())],
    ] {
        let got = door.send(Method::GET, "/v1/whoami", None, With { headers: &headers, body: None }).await;
        assert_eq!((got.status, got.code()), (StatusCode::UNAUTHORIZED, "token_invalid"), "{headers:?}");
        assert_eq!(got.header("www-authenticate"), "Bearer");
    }
    for path in [format!("/v1/whoami?access_token={token}"), format!("/v1/whoami?token={token}")] {
        let got = door.send(Method::GET, &path, None, With::default()).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED);
        assert!(!String::from_utf8_lossy(&got.bytes).contains(&token), "and is not repeated");
    }
    for got in [door.get("/v1/whoami").await, door.login(PASSWORD).await, door.get("/v1/nothing").await] {
        assert!(!got.headers.contains_key("set-cookie") && got.header("cache-control").contains("no-store"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t12_a_password_or_a_secret_in_a_request_stands_in_no_file_and_no_line_of_the_log() {
    let (sandbox, door) = sandbox().await;
    let (wrong, planted) = ("CANARY wrong but long enough", "CANARY-0d1c-planted");
    assert_eq!(door.login(wrong).await.code(), "login_failed");
    // Where a reference belongs, in a body and in a document.
    let system = json!({ "type": "postgres", "host": "db", "database": "shop", "user": "u", "password": planted });
    let body = json!({ "project_id": sandbox.project, "name": "pg", "system": system });
    assert_eq!(door.post("/v1/connections", &body).await.code(), "spec_invalid");
    let document = format!(
        "waybill: 1\nconnections:\n  pg: {{ type: postgres, host: db, database: d, user: u, password: {planted} }}\n"
    );
    let body = json!({ "project_id": sandbox.project, "document": document });
    assert_eq!(door.post("/v1/specs:apply", &body).await.code(), "spec_invalid");
    for file in waybill_tests::canary::files(&sandbox.path("state"), &[]) {
        let bytes = std::fs::read(&file).expect("a file");
        for secret in [PASSWORD, wrong, planted, door.access.as_str(), door.refresh.as_str()] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", file.display());
        }
    }
    let log = sandbox.log();
    assert!(![PASSWORD, wrong, planted, &door.access, &door.refresh].iter().any(|secret| log.contains(*secret)));
}

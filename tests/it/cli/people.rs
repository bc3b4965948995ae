//! People and roles, as a program: an owner makes an account, a project takes it in, and it does what its role allows.

use serde_json::json;

use super::{Cli, logged_in, said};

/// Who is invited needs no password from anybody: they take their own.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_makes_their_own_account_on_their_own_machine() {
    let sandbox = logged_in().await;
    let owner = Cli { dir: sandbox.dir.path() };
    owner.json(0, &["apply"]);
    let made = owner.json(0, &["invitation", "create", "Grace@example.org", "--project-role", "operator"]);
    let token = made["token"].as_str().expect("the token").to_owned();
    let table = said(&owner.with_input(&["invitation", "list"], ""));
    assert!(table.contains("grace@example.org  member  open") && !table.contains(&token), "{table}");
    let desk = tempfile::tempdir().expect("a directory");
    std::fs::write(desk.path().join("token"), format!("{token}\n")).expect("a file");
    let grace = Cli { dir: desk.path() };
    let state = sandbox.path("state").display().to_string();
    let accept = ["invitation", "accept", "--state", &state, "--token-file", "token", "--password-stdin"];
    let weak = grace.with_input(&accept, "short\n");
    assert_eq!(weak.status.code(), Some(6), "{}", said(&weak));
    let output = grace.with_input(&accept, PASSWORD);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(grace.json(0, &["whoami"])["user"]["email"], "grace@example.org");
    assert_eq!(grace.json(0, &["run", "start", "shop", "--watch"])["state"], "succeeded");
    let again = said(&grace.with_input(&accept, PASSWORD));
    assert!(again.contains("ask whoever invited you for a new one"), "{again}");
    let other = owner.json(0, &["invitation", "create", "ida@example.org"])["invitation"]["state"].clone();
    let taken_back = owner.json(0, &["invitation", "revoke", "ida@example.org"])["state"].clone();
    assert_eq!((other, taken_back), (json!("open"), json!("revoked")));
    assert_eq!(owner.refused(4, &["invitation", "revoke", "nobody@example.org"]), "not_found");
    assert_eq!(owner.refused(5, &["invitation", "create", "grace@example.org"]), "name_taken");
    assert_eq!(grace.refused(1, &["invitation", "list"]), "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_changed_and_reset_on_the_command_line() {
    let sandbox = logged_in().await;
    let owner = Cli { dir: sandbox.dir.path() };
    let add = ["user", "add", "grace@example.org", "--password-stdin"];
    assert_eq!(owner.with_input(&add, PASSWORD).status.code(), Some(0));
    let desk = tempfile::tempdir().expect("a directory");
    let grace = Cli { dir: desk.path() };
    let state = sandbox.path("state").display().to_string();
    let login = ["login", "--state", &state, "--email", "grace@example.org", "--password-stdin"];
    assert_eq!(grace.with_input(&login, PASSWORD).status.code(), Some(0));
    std::fs::write(desk.path().join("old"), PASSWORD).expect("a file");
    let change = ["password", "change", "--current-file", "old", "--password-stdin"];
    let changed = grace.with_input(&change, "other words nobody guesses\n");
    assert_eq!(changed.status.code(), Some(0), "{}", said(&changed));
    let again = grace.with_input(&change, "words of the second try\n");
    assert!(said(&again).contains("not the password that you have"), "{}", said(&again));
    let made = owner.json(0, &["user", "reset-password", "grace@example.org"]);
    std::fs::write(desk.path().join("token"), made["token"].as_str().expect("a token")).expect("a file");
    let reset = ["password", "reset", "--state", &state, "--token-file", "token", "--password-stdin"];
    let done = grace.with_input(&reset, "words of the second try\n");
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert_eq!(grace.json(0, &["whoami"])["user"]["email"], "grace@example.org");
    assert_eq!(grace.with_input(&login, "words of the second try\n").status.code(), Some(0));
    let again = said(&grace.with_input(&reset, "words of the third try\n"));
    assert!(again.contains("a link is good once, for an hour"), "{again}");
    assert_eq!(owner.refused(1, &["user", "reset-password", "admin@example.com"]), "forbidden");
}

const PASSWORD: &str = "four words nobody guesses\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_an_operator_runs_and_who_is_taken_out_finds_nothing() {
    let sandbox = logged_in().await;
    let owner = Cli { dir: sandbox.dir.path() };
    owner.json(0, &["apply"]);
    let add = ["user", "add", "Grace@example.org", "--password-stdin", "-o", "json"];
    let made = owner.with_input(&add, PASSWORD);
    assert_eq!(made.status.code(), Some(0), "{}", said(&made));
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!((&made["email"], &made["role"]), (&json!("grace@example.org"), &json!("member")));

    let desk = tempfile::tempdir().expect("a directory");
    let grace = Cli { dir: desk.path() };
    let state = sandbox.path("state").display().to_string();
    let login = ["login", "--state", &state, "--email", "grace@example.org", "--password-stdin"];
    let output = grace.with_input(&login, PASSWORD);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(grace.json(0, &["whoami"])["user"]["role"], "member");
    assert_eq!(grace.refused(1, &["pipeline", "list"]), "forbidden");

    let taken = owner.json(0, &["member", "add", "grace@example.org", "--role", "viewer"]);
    assert_eq!(taken["role"], "viewer");
    assert_eq!(owner.refused(5, &["member", "add", "grace@example.org", "--role", "viewer"]), "name_taken");
    assert_eq!(owner.json(0, &["member", "list"])["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(grace.json(0, &["pipeline", "list"])["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(grace.refused(1, &["run", "start", "shop"]), "forbidden");
    let told = said(&grace.with_input(&["run", "start", "shop"], ""));
    assert!(told.contains("the role viewer lacks run:write") && told.contains("operator"), "{told}");
    let table = said(&owner.with_input(&["member", "list"], ""));
    assert!(table.contains("E-MAIL") && table.contains("grace@example.org  viewer"), "{table}");

    let why = owner.json(0, &["access", "explain", "grace@example.org", "run_start", "shop"]);
    assert_eq!((&why["allowed"], &why["role"], &why["refused_with"]), (&json!(false), &json!("viewer"), &json!(403)));
    let told = said(&owner.with_input(&["access", "explain", "grace@example.org", "pipeline_get", "shop"], ""));
    assert!(told.contains("the role viewer gives pipeline:read"), "{told}");
    let connections = owner.json(0, &["connection", "list"]);
    let connection = connections["items"][0]["name"].as_str().expect("a name");
    for (action, object) in
        [("connection_create", "default"), ("key_create", "default"), ("connection_get", connection)]
    {
        let said = owner.json(0, &["access", "explain", "grace@example.org", action, object]);
        assert_eq!(said["allowed"], json!(action == "connection_get"), "{action} {object}: {said}");
    }
    assert_eq!(grace.refused(1, &["access", "explain", "admin@example.com", "user_list"]), "forbidden");
    owner.json(0, &["member", "set", "grace@example.org", "--role", "operator"]);
    assert_eq!(grace.json(0, &["run", "start", "shop", "--watch"])["state"], "succeeded");
    assert_eq!(grace.refused(1, &["pipeline", "pause", "shop"]), "forbidden");
    assert_eq!(grace.refused(1, &["user", "list"]), "forbidden");
    assert_eq!(owner.refused(1, &["user", "set", "admin@example.com", "--role", "member"]), "forbidden");
    assert_eq!(owner.refused(4, &["user", "show", "nobody@example.org"]), "not_found");
    assert_eq!(
        owner.json(0, &["user", "set", "grace@example.org", "--role", "administrator"])["role"],
        "administrator"
    );
    assert_eq!(grace.json(0, &["user", "list"])["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(grace.refused(1, &["user", "disable", "admin@example.com"]), "forbidden");
    owner.json(0, &["user", "set", "grace@example.org", "--role", "member"]);

    let removed = owner.with_input(&["member", "remove", "grace@example.org"], "");
    assert_eq!(removed.status.code(), Some(0), "{}", said(&removed));
    assert_eq!(grace.refused(1, &["run", "list"]), "forbidden");
    let sessions = owner.json(0, &["session", "list", "--of", "grace@example.org"]);
    assert_eq!(
        (sessions["items"].as_array().map(Vec::len), &sessions["items"][0]["ip"]),
        (Some(1), &json!("127.0.0.1"))
    );
    assert_eq!(grace.json(0, &["session", "list"])["items"][0]["current"], true);
    let history = owner.json(0, &["session", "history", "--of", "grace@example.org"]);
    let [signed_in] = history["items"].as_array().expect("sign-ins").as_slice() else { panic!("{history}") };
    assert_eq!((&signed_in["how"], &signed_in["outcome"]), (&json!("login"), &json!("done")));
    assert_eq!(grace.json(0, &["session", "history"])["items"], history["items"]);
    assert_eq!(grace.refused(2, &["session", "revoke", "mine"]), "not_a_session_id");
    let id = sessions["items"][0]["id"].as_str().expect("an id");
    assert_eq!(owner.refused(4, &["session", "revoke", id]), "not_found");
    let ended = owner.with_input(&["session", "revoke", id, "--of", "grace@example.org"], "");
    assert!(said(&ended).contains("ended 1 session\n"), "{}", said(&ended));
    assert_eq!(grace.refused(3, &["whoami"]), "token_invalid");
    let output = grace.with_input(&login, PASSWORD);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(owner.json(0, &["user", "disable", "grace@example.org"])["disabled"], true);
    assert_eq!(grace.refused(3, &["whoami"]), "token_invalid");
    assert_eq!(owner.json(0, &["user", "enable", "grace@example.org"])["disabled"], false);
}

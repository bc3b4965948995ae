//! Requests to the real program, over TLS: problems, pages, conditions, other people's ids, and bodies made to hurt.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem_that_names_its_request() {
    let (_sandbox, door) = sandbox().await;
    let named = With { headers: &[("x-request-id", "mine-1")], body: None };
    let got = door.send(Method::GET, "/v1/pipelines/pl_nothing", Some(&door.access), named).await;
    assert_eq!((got.status, got.header("content-type")), (StatusCode::NOT_FOUND, "application/problem+json"));
    assert_eq!((got.header("x-request-id"), &got.body["request_id"]), ("mine-1", &json!("mine-1")));
    assert_eq!((&got.body["instance"], got.code()), (&json!("/v1/pipelines/pl_nothing"), "not_found"));
    let hostile = With { headers: &[("x-request-id", "a b;<script>")], body: None };
    let got = door.send(Method::GET, "/v1/nothing", Some(&door.access), hostile).await;
    assert!(got.header("x-request-id").starts_with("req_"), "{}", got.body);
    let got = door.send(Method::DELETE, "/v1/whoami", Some(&door.access), With::default()).await;
    assert_eq!((got.status, got.code()), (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"));
    assert!(got.header("ratelimit-policy").is_empty() && !door.get("/v1/whoami").await.header("ratelimit").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_goes_on_after_a_restart_and_belongs_to_who_asked() {
    let (mut sandbox, door) = sandbox().await;
    for name in ["a", "b", "c"] {
        assert_eq!(door.post("/v1/projects", &json!({ "name": name })).await.status, StatusCode::CREATED);
    }
    let names = |got: &Got| -> Vec<String> {
        got.body["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| item["name"].as_str().expect("a name").into())
            .collect()
    };
    let first = door.get("/v1/projects?limit=2&sort=name").await;
    assert_eq!(names(&first), ["a", "b"]);
    let cursor = first.body["next_cursor"].as_str().expect("a cursor").to_owned();
    let ports = sandbox.ports().expect("ports");
    sandbox.kill_orchestrator().expect("killed");
    sandbox.restart(&ports).await.expect("back");
    let next = format!("/v1/projects?limit=2&sort=name&cursor={cursor}");
    assert_eq!(names(&door.get(&next).await), ["c", "default"]);
    let other = json!({ "email": "second@example.com", "password": "another long enough phrase" });
    let mut account = other.clone();
    account["role"] = json!("administrator");
    assert_eq!(door.post("/v1/users", &account).await.status, StatusCode::CREATED);
    let login = door.open("/v1/login", &other).await;
    let second = login.body["access_token"].as_str().expect("a token");
    let got = door.send(Method::GET, &next, Some(second), With::default()).await;
    assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, "page_token_invalid"), "another person's");
    for wrong in ["x", "%F0%9F%92%A9", &"A".repeat(6_000), &cursor[1..]] {
        let got = door.get(&format!("/v1/projects?limit=2&sort=name&cursor={wrong}")).await;
        assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, "page_token_invalid"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_makes_one_thing_also_after_a_crash() {
    let (mut sandbox, door) = sandbox().await;
    let body = json!({ "name": "staging" });
    let once = |body: &Value| With {
        headers: &[("content-type", "application/json"), ("idempotency-key", "k-1")],
        body: Some(body.to_string().into_bytes()),
    };
    let first = door.send(Method::POST, "/v1/projects", Some(&door.access), once(&body)).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.body);
    let ports = sandbox.ports().expect("ports");
    sandbox.kill_orchestrator().expect("killed");
    sandbox.restart(&ports).await.expect("back");
    let again = door.send(Method::POST, "/v1/projects", Some(&door.access), once(&body)).await;
    assert_eq!((again.status, &again.body["id"]), (StatusCode::CREATED, &first.body["id"]));
    let other = door.send(Method::POST, "/v1/projects", Some(&door.access), once(&json!({ "name": "prod" }))).await;
    assert_eq!((other.status, other.code()), (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_retry_of_a_look_starts_one_run() {
    let (sandbox, door) = sandbox().await;
    let dir = sandbox.dir.path().display();
    let document = format!(
        "waybill: 1\nconnections:\n  shop: {{ type: sqlite, path: \"{dir}/nowhere.db\" }}\n  lake: {{ type: local, path: \"{dir}/lake\" }}\n"
    );
    sandbox.apply(&document).await.expect("applied");
    let connections = door.get("/v1/connections?name=shop").await;
    let look = json!({ "connection_id": connections.body["items"][0]["id"], "kind": "check" });
    let run = door.post("/v1/runs", &look).await.body["id"].as_str().expect("a run").to_owned();
    let ended = sandbox.ended(run.parse().expect("an id")).await.expect("its end");
    assert_eq!(ended.run.state.to_string(), "failed");
    let retry = async || {
        let with = With { headers: &[("content-type", "application/json"), ("idempotency-key", "r-1")], body: None };
        door.send(Method::POST, &format!("/v1/runs/{run}/retry"), Some(&door.access), with).await
    };
    let (first, again) = (retry().await, retry().await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::CREATED), "{}", first.body);
    assert_eq!(first.body["id"], again.body["id"]);
    let runs = door.get("/v1/runs").await;
    assert_eq!(runs.body["items"].as_array().map(Vec::len), Some(2), "{}", runs.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_changes_from_the_same_reading_one_is_made() {
    let (_sandbox, door) = sandbox().await;
    let made = door.post("/v1/projects", &json!({ "name": "staging" })).await;
    let path = format!("/v1/projects/{}", made.body["id"].as_str().expect("an id"));
    let tag = door.get(&path).await.header("etag").to_owned();
    let change = async |name: &str, tag: Option<&str>| {
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(tag.map(|tag| ("if-match", tag)));
        let body = Some(json!({ "name": name }).to_string().into_bytes());
        door.send(Method::PATCH, &path, Some(&door.access), With { headers: &headers, body }).await
    };
    assert_eq!(change("one", None).await.status, StatusCode::PRECONDITION_REQUIRED);
    let both = tokio::join!(change("one", Some(&tag)), change("two", Some(&tag)));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let same = With { headers: &[("accept-encoding", "gzip")], body: None };
    let list = door.send(Method::GET, "/v1/audit", Some(&door.access), same).await;
    assert_eq!((list.status, list.header("vary")), (StatusCode::OK, "accept-encoding"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t08_another_organizations_project_reads_like_nobodys() {
    let (sandbox, door) = sandbox().await;
    let (theirs, nobodys) = (waybill_model::ProjectId::generate(), waybill_model::ProjectId::generate());
    let org = waybill_model::OrgId::generate();
    let file = rusqlite::Connection::open(sandbox.path("state/waybill.db")).expect("the database");
    file.busy_timeout(std::time::Duration::from_secs(5)).expect("patience");
    file.execute_batch(&format!(
        "insert into organization (id, name, created_at) values ('{org}', 'Theirs', 1);
         insert into project (organization_id, id, name, name_ceiling, version, created_at, updated_at)
             values ('{org}', '{theirs}', 'default', 0, 1, 1, 1);"
    ))
    .expect("another tenant");
    let answer = async |id: String| {
        let got = door.get(&format!("/v1/projects/{id}")).await;
        let mut body = got.body;
        let fields = body.as_object_mut().expect("a problem");
        fields.remove("request_id");
        fields.remove("instance");
        (got.status, body)
    };
    let theirs = answer(theirs.to_string()).await;
    assert_eq!(theirs.0, StatusCode::NOT_FOUND);
    assert_eq!(theirs, answer(nobodys.to_string()).await);
    for id in [
        "prj_",
        "prj_٠١jd8m2v5k0000000000000001",
        "run_01jd8m2v5k0000000000000001",
        &"x".repeat(3_000),
        "..%2f..%2fetc",
        "%00",
    ] {
        assert_eq!(answer(id.to_owned()).await, theirs, "h7 {id}");
    }
    let list = door.get("/v1/projects?limit=200").await;
    assert_eq!(list.body["items"].as_array().map(Vec::len), Some(1), "{}", list.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn h5_bodies_that_are_endless_deep_double_or_of_another_kind_are_refused_and_the_next_request_is_served() {
    let (_sandbox, door) = sandbox().await;
    let typed = &[("content-type", "application/json")][..];
    let send = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let got = door.send(Method::POST, "/v1/projects", Some(&door.access), With { headers, body: Some(body) }).await;
        (got.status.as_u16(), got.code().to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());
    let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
    let cases: [(Vec<u8>, (u16, String)); 6] = [
        (br#"{"name":"a","name":"b"}"#.to_vec(), refused(400, "body_malformed")),
        (deep, refused(400, "body_malformed")),
        (br#"{"name":NaN}"#.to_vec(), refused(400, "body_malformed")),
        (br#"{"name":"a","colour":"red"}"#.to_vec(), refused(400, "body_unknown_field")),
        (br#"{"name":"a","organization_id":"org_1"}"#.to_vec(), refused(400, "field_not_writable")),
        ([b"{\"name\":\"".as_slice(), &vec![b'a'; 1 << 20], b"\"}"].concat(), refused(413, "body_too_large")),
    ];
    for (body, wanted) in cases {
        assert_eq!(send(typed, body).await, wanted);
    }
    assert_eq!(send(&[("content-type", "text/yaml")], b"{}".to_vec()).await, refused(415, "media_type_unsupported"));
    for name in ["=cmd()", "<script>", "a\u{202e}b", "a\nb", "A B"] {
        let got = door.post("/v1/projects", &json!({ "name": name })).await;
        assert_eq!((got.status.as_u16(), got.code()), (422, "name_invalid"), "h9 {name:?}");
    }
    assert_eq!(door.post("/v1/projects", &json!({ "name": "fine" })).await.status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn h10_schedules_that_the_calendar_does_not_know_are_refused_with_their_line() {
    let (sandbox, door) = sandbox().await;
    let project = sandbox.project;
    for (cron, zone) in [("* * * * * *", "UTC"), ("0 0 30 2 *", "UTC"), ("0 2 * * *", "Mars/Olympus"), ("", "UTC")] {
        let document = format!(
            "waybill: 1
connections:
  shop: {{ type: sqlite, path: /x/shop.db }}
  lake: {{ type: local, path: /x/lake }}
pipelines:
  shop:
    from: shop
    to: lake
    schedule: {{ cron: \"{cron}\", zone: {zone} }}
    streams: {{ orders: {{ load: full }} }}
"
        );
        let got = door.post("/v1/specs:apply", &json!({ "project_id": project, "document": document })).await;
        assert_eq!((got.status.as_u16(), got.code()), (422, "spec_invalid"), "{cron} {zone}: {}", got.body);
        assert_eq!(got.body["errors"][0]["line"], 9, "{}", got.body);
    }
    let pipelines = door.get("/v1/pipelines").await;
    assert_eq!(pipelines.body["items"], json!([]), "nothing of it was made");
}

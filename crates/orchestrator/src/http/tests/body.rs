//! Hostile bodies.

use super::*;

async fn post(world: &World, path: &str, text: impl Into<Body>) -> Got {
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("authorization", format!("Bearer {}", world.ours.token))
        .header("content-type", "application/json")
        .body(text.into())
        .expect("a request");
    world.send(request).await
}

#[tokio::test]
async fn h5_bodies_that_are_not_strict_json_are_refused() {
    let world = World::new().await;
    for (text, code) in [
        (r#"{"name":"a","name":"b"}"#.to_owned(), "body_malformed"),
        (format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), "body_malformed"),
        (r#"{"name":NaN}"#.to_owned(), "body_malformed"),
        (String::new(), "body_malformed"),
        (r#"{"name":"a","colour":"b"}"#.to_owned(), "body_unknown_field"),
        (r#"{"name":1}"#.to_owned(), "body_invalid"),
        ("{}".to_owned(), "body_invalid"),
    ] {
        let got = post(&world, "/v1/projects", text).await;
        assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, code));
    }
    let got = post(&world, "/v1/projects", vec![b' '; 2 << 20]).await;
    assert_eq!((got.status, got.code()), (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"));
    let plain = request(Method::POST, "/v1/projects", Some(&world.ours.token), &[], None);
    assert_eq!(world.send(plain).await.code(), "media_type_unsupported");
}

#[tokio::test]
async fn h5_an_endless_body_is_cut_at_the_limit() {
    let world = World::new().await;
    let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 64 << 10])).take(1_600);
    use futures::StreamExt;
    let got = post(&world, "/v1/projects", Body::from_stream(chunks)).await;
    assert_eq!(got.code(), "body_too_large");
}

#[tokio::test]
async fn h6_fields_that_only_the_server_sets_are_refused() {
    let world = World::new().await;
    let path = format!("/v1/projects/{}", world.ours.project);
    let etag = world.get(&path).await.etag().to_owned();
    for field in ["role", "organization_id", "external_id", "owner", "id", "version", "created_at"] {
        let body = json!({ "name": "prod", field: "x" });
        let got = world.with(Method::PATCH, &path, &[("if-match", &etag)], Some(body)).await;
        assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, "field_not_writable"), "{field}");
    }
    assert_eq!(world.get(&path).await.body["name"], "default");
}

#[tokio::test]
async fn h9_names_that_could_do_harm_are_refused() {
    let world = World::new().await;
    let long = "x".repeat(10_000);
    for name in
        ["a\0b", "a\nb", "\u{1b}[31mred", "\u{202e}abc", &long, "<script>alert(1)</script>", "=cmd()", "../x", ""]
    {
        let got = world.call(Method::POST, "/v1/projects", Some(json!({ "name": name }))).await;
        assert_eq!((got.status, got.code()), (StatusCode::UNPROCESSABLE_ENTITY, "name_invalid"), "{name:?}");
        let connection =
            json!({ "project_id": world.ours.project, "name": name, "system": { "type": "local", "path": "/x" } });
        assert_eq!(world.call(Method::POST, "/v1/connections", Some(connection)).await.code(), "name_invalid");
    }
    assert_eq!(
        world.call(Method::POST, "/v1/projects", Some(json!({ "name": "a-b_2" }))).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn h10_schedules_that_never_come_or_come_too_often_are_refused() {
    let world = World::new().await;
    let path = format!("/v1/pipelines/{}/schedule", world.ours.pipeline);
    let etag = world.get(&path).await.etag().to_owned();
    for (cron, zone) in [
        ("* * * * * *", "UTC"),
        ("0 0 30 2 *", "UTC"),
        ("@daily", "UTC"),
        ("0 2 * * *", "Mars/Olympus"),
        ("61 * * * *", "UTC"),
    ] {
        let body = json!({ "cron": cron, "zone": zone });
        let got = world.with(Method::PUT, &path, &[("if-match", &etag)], Some(body)).await;
        assert_eq!((got.status, got.code()), (StatusCode::UNPROCESSABLE_ENTITY, "schedule_invalid"), "{cron} {zone}");
    }
    for (body, field) in [
        (json!({}), "/cron"),
        (json!({ "cron": "0 2 * * *", "every_ms": 3_600_000 }), "/every_ms"),
        (json!({ "every_ms": 3_600_000, "zone": "UTC" }), "/zone"),
        (json!({ "every_ms": 59_999 }), "/every_ms"),
        (json!({ "every_ms": 400_u64 * 86_400_000 }), "/every_ms"),
    ] {
        let got = world.with(Method::PUT, &path, &[("if-match", &etag)], Some(body)).await;
        assert_eq!((got.code(), got.body["errors"][0]["pointer"].as_str()), ("schedule_invalid", Some(field)));
    }
    let body = json!({ "cron": "*/5 * * * *", "zone": "Europe/Stockholm" });
    let got = world.with(Method::PUT, &path, &[("if-match", &etag)], Some(body)).await;
    assert_eq!((got.status, got.body["cron"].as_str()), (StatusCode::OK, Some("*/5 * * * *")));
    let etag = got.etag().to_owned();
    let got = world.with(Method::PUT, &path, &[("if-match", &etag)], Some(json!({ "every_ms": 3_600_000 }))).await;
    assert_eq!(
        (got.body["every_ms"].as_u64(), got.body.get("cron"), got.body.get("zone")),
        (Some(3_600_000), None, None)
    );
    assert!(got.body["next_at"].as_str().is_some_and(|at| at.ends_with(":00:00.000000Z")), "{}", got.body);
}

/// A secret written where a reference belongs is refused and comes back in no answer, list, audit entry or row.
#[tokio::test]
async fn t12_a_planted_secret_comes_out_nowhere() {
    let world = World::new().await;
    let canary = "CANARY-5f1e-hunter2";
    let literal = json!({ "type": "postgres", "host": "db", "database": "shop", "user": "u", "password": canary });
    let body = json!({ "project_id": world.ours.project, "name": "pg", "system": literal });
    let mut answers = vec![world.call(Method::POST, "/v1/connections", Some(body)).await];
    let yaml = format!(
        "waybill: 1\nconnections:\n  pg: {{ type: postgres, host: db, database: d, user: u, password: {canary} }}\n"
    );
    answers.push(world.call(Method::POST, "/v1/specs:validate", Some(json!({ "document": yaml }))).await);
    let apply = json!({ "project_id": world.ours.project, "document": yaml });
    answers.push(world.call(Method::POST, "/v1/specs:apply", Some(apply)).await);
    answers.push(
        world.call(Method::POST, "/v1/login", Some(json!({ "email": "ours@example.org", "password": canary }))).await,
    );
    answers.push(world.call(Method::POST, "/v1/login", Some(json!({ "email": "x", "password": [canary] }))).await);
    answers.push(
        world.call(Method::POST, "/v1/users", Some(json!({ "email": "b@example.org", "password": canary }))).await,
    );
    assert_eq!(answers[0].code(), "spec_invalid");
    assert_eq!(answers[5].status, StatusCode::CREATED);
    for operation in crate::http::operations().list.iter().filter(|operation| operation.method == Method::GET) {
        if operation.streams {
            continue;
        }
        let mut path = operation.path.to_owned();
        for (name, id) in &world.ours.ids {
            path = path.replace(&format!("{{{name}}}"), id);
        }
        answers.push(world.get(&path).await);
    }
    assert!(answers.len() > 20);
    for got in &answers {
        let text = got.body.to_string();
        assert!(!text.contains(canary) && !text.contains("argon2id"), "{text}");
    }
    for name in ["waybill.db", "waybill.db-wal"] {
        let bytes = std::fs::read(world.dir.path().join(name)).unwrap_or_default();
        assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{name}");
    }
}

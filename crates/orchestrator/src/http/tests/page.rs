//! Pages: opaque cursors that hold under inserts.

use super::*;

async fn make(world: &World, names: &[&str]) {
    for name in names {
        assert_eq!(
            world.call(Method::POST, "/v1/projects", Some(json!({ "name": name }))).await.status,
            StatusCode::CREATED
        );
    }
}

fn names(got: &Got) -> Vec<String> {
    let items = got.body["items"].as_array().expect("items");
    items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn pages_hold_while_others_insert() {
    let world = World::new().await;
    make(&world, &["a", "b", "c"]).await;
    let first = world.get("/v1/projects?limit=2").await;
    assert_eq!(names(&first), ["default", "a"]);
    make(&world, &["d"]).await;
    let cursor = first.body["next_cursor"].as_str().expect("a cursor");
    let second = world.get(&format!("/v1/projects?limit=2&cursor={cursor}")).await;
    assert_eq!(names(&second), ["b", "c"]);
    let cursor = second.body["next_cursor"].as_str().expect("a cursor");
    let third = world.get(&format!("/v1/projects?limit=2&cursor={cursor}")).await;
    assert_eq!((names(&third), third.body.get("next_cursor")), (vec!["d".to_owned()], None));
}

#[tokio::test]
async fn h8_a_cursor_that_was_edited_or_is_anothers_is_refused() {
    let world = World::new().await;
    make(&world, &["a", "b"]).await;
    let page = world.get("/v1/projects?limit=1").await;
    let cursor = page.body["next_cursor"].as_str().expect("a cursor").to_owned();
    let mut edited = cursor.clone().into_bytes();
    let last = edited.len() - 2;
    edited[last] = if edited[last] == b'A' { b'B' } else { b'A' };
    let edited = String::from_utf8(edited).expect("text");
    let long = "A".repeat(5_000);
    for wrong in [edited.as_str(), "", "x", "AAAA", &long, "%00", "' OR 1=1"] {
        let got = world.get(&format!("/v1/projects?limit=1&cursor={}", wrong.replace(' ', "%20"))).await;
        assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, "page_token_invalid"), "{wrong}");
    }
    for path in [format!("/v1/data-planes?cursor={cursor}"), format!("/v1/projects?name=a&cursor={cursor}")] {
        assert_eq!(world.get(&path).await.code(), "page_token_invalid", "{path}");
    }
    let path = format!("/v1/projects?limit=1&cursor={cursor}");
    let got = world.send(request(Method::GET, &path, Some(&world.theirs.token), &[], None)).await;
    assert_eq!(got.code(), "page_token_invalid", "another user's");
    assert_eq!(world.get(&path).await.status, StatusCode::OK);
}

#[tokio::test]
async fn parameters_that_are_unknown_or_out_of_range_are_refused() {
    let world = World::new().await;
    for path in [
        "/v1/projects?limit=0",
        "/v1/projects?limit=201",
        "/v1/projects?limit=x",
        "/v1/projects?sort=kind",
        "/v1/projects?count=exact",
        "/v1/audit?sort=name",
        "/v1/audit?count=estimate",
        "/v1/runs?sort=name",
        "/v1/runs?state=lost",
        "/v1/runs?pipeline=x",
    ] {
        let got = world.get(path).await;
        assert_eq!((got.status, got.code()), (StatusCode::BAD_REQUEST, "parameter_invalid"), "{path}");
    }
}

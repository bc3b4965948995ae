//! Sessions are listed and ended: one's own, and others' by who looks after people; nobody else's.

use super::*;

#[tokio::test]
async fn a_session_that_is_ended_is_refused_with_the_next_request_on_either_database() {
    for world in World::on_both().await {
        let administrator = world.join("administrator", &[]).await;
        let member = world.join("member", &[]).await;
        let second = world.session_of(&member).await;
        let listed = world.by(&member, Method::GET, "/v1/sessions", None).await;
        let items = listed.body["items"].as_array().expect("items").clone();
        assert_eq!(items.len(), 2, "{}", listed.body);
        assert_eq!(items.iter().filter(|item| item["current"] == true).count(), 1);
        let own = json!({ "session_id": second.session });
        let foreign = world.by(&administrator, Method::POST, "/v1/sessions:revoke", Some(own.clone())).await;
        assert_eq!(foreign.code(), "not_found", "another person's session is none of one's own");
        let theirs = json!({ "session_id": world.theirs.session });
        assert_eq!(world.by(&member, Method::POST, "/v1/sessions:revoke", Some(theirs)).await.code(), "not_found");
        let ended = world.by(&member, Method::POST, "/v1/sessions:revoke", Some(own.clone())).await;
        assert_eq!((ended.status, &ended.body["ended"]), (StatusCode::OK, &json!(1)));
        assert_eq!(world.by(&second, Method::GET, "/v1/whoami", None).await.code(), "token_invalid");
        assert_eq!(world.by(&member, Method::POST, "/v1/sessions:revoke", Some(own)).await.code(), "not_found");

        let third = world.session_of(&member).await;
        let all = world.by(&member, Method::POST, "/v1/sessions:revoke", Some(json!({}))).await;
        assert_eq!(all.body["ended"], 1, "all but the one that asks");
        assert_eq!(world.by(&third, Method::GET, "/v1/whoami", None).await.code(), "token_invalid");
        assert_eq!(world.by(&member, Method::GET, "/v1/whoami", None).await.status, StatusCode::OK);

        let path = format!("/v1/users/{}/sessions", member.id);
        assert_eq!(world.by(&member, Method::GET, &path, None).await.code(), "not_found");
        let seen = world.by(&administrator, Method::GET, &path, None).await;
        assert_eq!(seen.body["items"].as_array().map(Vec::len), Some(1), "{}", seen.body);
        let ended = world.by(&administrator, Method::POST, &format!("{path}:revoke"), Some(json!({}))).await;
        assert_eq!(ended.body["ended"], 1, "{}", ended.body);
        assert_eq!(world.by(&member, Method::GET, "/v1/whoami", None).await.code(), "token_invalid");
        let above = format!("/v1/users/{}/sessions:revoke", world.ours.user);
        let refused = world.by(&administrator, Method::POST, &above, Some(json!({}))).await;
        assert_eq!(refused.code(), "forbidden", "an owner stands above");
        assert!(world.get("/v1/audit").await.body.to_string().contains("session_revoke"));
    }
}

#[tokio::test]
async fn who_signed_in_and_who_tried_is_told_to_them_and_to_who_looks_after_people() {
    for world in World::on_both().await {
        let person = json!({ "email": "grace@example.org", "password": PASSWORD });
        let made = world.call(Method::POST, "/v1/users", Some(person.clone())).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let wrong = json!({ "email": "grace@example.org", "password": "wrong wrong wrong" });
        let login =
            async |body: &Value| world.send(request(Method::POST, "/v1/login", None, &[], Some(body.clone()))).await;
        assert_eq!(login(&wrong).await.code(), "login_failed");
        let tokens = login(&person).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.body);
        let token = tokens.body["access_token"].as_str().expect("a token").to_owned();
        let own = world.send(request(Method::GET, "/v1/sign-ins", Some(&token), &[], None)).await;
        let told: Vec<_> =
            own.body["items"].as_array().expect("items").iter().map(|it| (&it["how"], &it["outcome"])).collect();
        let login = json!("login");
        assert_eq!(told, [(&login, &json!("done")), (&login, &json!("refused"))], "{}", own.body);

        let path = format!("/v1/users/{}/sign-ins", made.body["id"].as_str().expect("an id"));
        let page = world.get(&format!("{path}?limit=1")).await;
        assert_eq!(page.body["items"][0], own.body["items"][0]);
        let cursor = page.body["next_cursor"].as_str().expect("a cursor");
        let next = world.get(&format!("{path}?limit=1&cursor={cursor}")).await;
        assert_eq!((&next.body["items"][0], &next.body["next_cursor"]), (&own.body["items"][1], &Value::Null));
        assert_eq!(world.get("/v1/sign-ins").await.body["items"], json!([]), "nobody else's");
        let viewer = world.join("member", &[(world.ours.project, "owner")]).await;
        assert_eq!(world.by(&viewer, Method::GET, &path, None).await.code(), "not_found");
    }
}

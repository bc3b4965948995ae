//! New passwords: changed by who knows the old one, chosen by a link, and that a link that is not good says nothing.

use super::*;

const OTHER: &str = "other words that nobody guesses";

impl World {
    /// Somebody of our organization who can log in.
    async fn with_password(&self, name: &str) -> Person {
        let body = json!({ "email": format!("{name}@example.org"), "password": PASSWORD });
        let made = self.call(Method::POST, "/v1/users", Some(body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let id = made.body["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        let (email, none) = (format!("{name}@example.org"), String::new());
        let nobody = Person { id, email, session: SessionId::generate(), token: none, project: None };
        self.session_of(&nobody).await
    }

    async fn logs_in(&self, who: &Person, password: &str) -> StatusCode {
        let body = json!({ "email": who.email, "password": password });
        self.send(request(Method::POST, "/v1/login", None, &[], Some(body))).await.status
    }

    async fn is_in(&self, who: &Person) -> bool {
        self.by(who, Method::GET, "/v1/whoami", None).await.status == StatusCode::OK
    }

    async fn link(&self, by: &Person, of: &Person) -> Got {
        self.by(by, Method::POST, &format!("/v1/users/{}/password-reset", of.id), Some(json!({}))).await
    }

    async fn token(&self, by: &Person, of: &Person) -> String {
        let made = self.link(by, of).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.body["token"].as_str().expect("a token").to_owned()
    }

    async fn choose(&self, token: &str, password: &str) -> Got {
        let body = json!({ "token": token, "password": password });
        self.send(request(Method::POST, "/v1/password-resets:use", None, &[], Some(body))).await
    }
}

fn plain(got: &Got) -> (StatusCode, Value) {
    let mut body = got.body.clone();
    let fields = body.as_object_mut().expect("a problem");
    fields.remove("request_id");
    fields.remove("instance");
    (got.status, body)
}

#[tokio::test]
async fn who_knows_their_password_changes_it_and_every_other_session_ends() {
    for world in World::on_both().await {
        let grace = world.with_password("grace").await;
        let other = world.session_of(&grace).await;
        let change = async |current: &str, new: &str| {
            let body = json!({ "current_password": current, "password": new });
            world.by(&grace, Method::POST, "/v1/password", Some(body)).await
        };
        assert_eq!(change("not the one that she has", OTHER).await.code(), "unusable");
        assert_eq!(change(PASSWORD, "gracegrace11").await.code(), "password_weak");
        assert_eq!((world.is_in(&other).await, world.logs_in(&grace, OTHER).await), (true, StatusCode::UNAUTHORIZED));
        let done = change(PASSWORD, OTHER).await;
        assert_eq!(done.status, StatusCode::NO_CONTENT, "{}", done.body);
        assert_eq!((world.is_in(&grace).await, world.is_in(&other).await), (true, false));
        assert_eq!(world.logs_in(&grace, PASSWORD).await, StatusCode::UNAUTHORIZED);
        assert_eq!(world.logs_in(&grace, OTHER).await, StatusCode::OK);
        assert!(world.get("/v1/audit?limit=50").await.body.to_string().contains("password_change"));
    }
}

#[tokio::test]
async fn who_has_a_link_chooses_a_password_once_and_every_session_of_before_ends() {
    for world in World::on_both().await {
        let administrator = world.join("administrator", &[]).await;
        let grace = world.with_password("grace").await;
        let token = world.token(&administrator, &grace).await;
        assert_eq!(world.choose(&token, "short").await.code(), "password_weak");
        assert_eq!(world.choose(&token, "gracegrace11").await.code(), "password_weak");
        assert_eq!(world.logs_in(&grace, PASSWORD).await, StatusCode::OK, "a link by itself changes nothing");
        let done = world.choose(&token, OTHER).await;
        assert_eq!(done.status, StatusCode::OK, "{}", done.body);
        assert!(!world.is_in(&grace).await);
        assert_eq!(world.logs_in(&grace, PASSWORD).await, StatusCode::UNAUTHORIZED);
        assert_eq!(world.logs_in(&grace, OTHER).await, StatusCode::OK);
        assert_eq!(world.choose(&token, "words of the second try").await.code(), "reset_refused");
        let audit = world.get("/v1/audit?limit=50").await.body.to_string();
        assert!(
            audit.contains("password_reset_create") && audit.contains("\"password_reset\"") && !audit.contains(&token)
        );
    }
}

#[tokio::test]
async fn a_link_that_is_not_good_is_refused_in_the_same_words_whatever_is_wrong() {
    for world in World::on_both().await {
        let owner = world.join("owner", &[]).await;
        let administrator = world.join("administrator", &[]).await;
        let grace = world.with_password("grace").await;
        let unknown = plain(&world.choose("wbp_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", OTHER).await);
        assert_eq!((unknown.0, &unknown.1["code"]), (StatusCode::UNAUTHORIZED, &json!("reset_refused")));
        let refused = async |token: &str| assert_eq!(plain(&world.choose(token, OTHER).await), unknown);
        // One that another took the place of, one whose time is over, one of who is disabled.
        let replaced = world.token(&administrator, &grace).await;
        let newer = world.token(&administrator, &grace).await;
        refused(&replaced).await;
        let mut tx = world.app.store.write_tx(world.ours.caller.org).await.expect("a transaction");
        let late = crate::service::digest_of("wbp_late");
        let whose = (world.ours.caller.org, owner.id);
        let life = (administrator.id, std::time::Duration::ZERO);
        Store::password_reset_insert_in_txn(&mut tx, whose, &late, life).await.expect("a link");
        tx.commit().await.expect("a commit");
        refused("wbp_late").await;
        let path = format!("/v1/users/{}", grace.id);
        world.change_by(&owner, Method::PATCH, &path, Some(json!({ "disabled": true }))).await;
        refused(&newer).await;
        world.change_by(&owner, Method::PATCH, &path, Some(json!({ "disabled": false }))).await;
        // Whoever made it stands too low by now, or the person stands above them.
        world.change_by(&owner, Method::PATCH, &path, Some(json!({ "role": "owner" }))).await;
        refused(&newer).await;
        world.change_by(&owner, Method::PATCH, &path, Some(json!({ "role": "member" }))).await;
        let maker = format!("/v1/users/{}", administrator.id);
        world.change_by(&owner, Method::PATCH, &maker, Some(json!({ "role": "member" }))).await;
        refused(&newer).await;
        world.change_by(&owner, Method::PATCH, &maker, Some(json!({ "role": "administrator" }))).await;
        assert_eq!(world.choose(&newer, OTHER).await.status, StatusCode::OK, "nothing had used it up");
        // Who may not, and of whom not.
        for hours in [0, 25] {
            let path = format!("/v1/users/{}/password-reset", grace.id);
            let asked = world.by(&owner, Method::POST, &path, Some(json!({ "hours": hours }))).await;
            assert_eq!(asked.code(), "unusable");
        }
        assert_eq!(world.link(&administrator, &owner).await.code(), "forbidden");
        assert_eq!(world.link(&administrator, &administrator).await.code(), "forbidden");
        let member = world.join("member", &[(world.ours.project, "owner")]).await;
        assert_eq!(world.link(&member, &grace).await.code(), "not_found");
    }
}

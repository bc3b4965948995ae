//! Invitations: what takes somebody in, once, with no more than who asked them in may give at that moment; and that a token that is not
//! good says nothing.

use super::*;

const LINK: &str = "/v1/invitations:accept";

struct Made {
    path: String,
    token: String,
}

impl World {
    async fn invite(&self, by: &Person, body: Value) -> Made {
        let made = self.by(by, Method::POST, "/v1/invitations", Some(body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        let id = made.body["invitation"]["id"].as_str().expect("an id");
        Made { path: format!("/v1/invitations/{id}"), token: made.body["token"].as_str().expect("a token").to_owned() }
    }

    async fn accept(&self, token: &str) -> Got {
        let body = json!({ "token": token, "password": PASSWORD });
        self.send(request(Method::POST, LINK, None, &[], Some(body))).await
    }

    async fn state(&self, path: &str) -> Value {
        self.get(path).await.body["state"].clone()
    }

    /// An invitation whose time is over as it is made.
    async fn late(&self, by: &Person) -> Made {
        let (id, token) = (InvitationId::generate(), "wbi_late".to_owned());
        let new = NewInvitation {
            org: self.ours.caller.org,
            id,
            email: "b@example.org".into(),
            role: "member",
            project: None,
            digest: crate::service::digest_of(&token),
            invited_by: by.id,
            life: std::time::Duration::ZERO,
        };
        let mut tx = self.app.store.write_tx(new.org).await.expect("a transaction");
        Store::invitation_insert_in_txn(&mut tx, &new).await.expect("an invitation");
        tx.commit().await.expect("a commit");
        Made { path: format!("/v1/invitations/{id}"), token }
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
async fn who_is_invited_makes_their_own_account_once_with_the_roles_that_were_given() {
    for world in World::on_both().await {
        let administrator = world.join("administrator", &[]).await;
        let body =
            json!({ "email": " Grace@Example.org ", "project_id": world.ours.project, "project_role": "editor" });
        let made = world.invite(&administrator, body).await;
        let seen = world.get(&made.path).await.body;
        assert_eq!(
            (&seen["email"], &seen["role"], &seen["state"]),
            (&json!("grace@example.org"), &json!("member"), &json!("open"))
        );
        assert!(
            !seen.to_string().contains(&made.token)
                && !world.get("/v1/invitations").await.body.to_string().contains(&made.token)
        );
        let weak = json!({ "token": made.token, "password": "short" });
        let weak = world.send(request(Method::POST, LINK, None, &[], Some(weak))).await;
        assert_eq!(weak.code(), "password_weak");
        let named = json!({ "token": made.token, "password": "gracegrace11" });
        let named = world.send(request(Method::POST, LINK, None, &[], Some(named))).await;
        assert_eq!(named.code(), "password_weak", "{}", named.body);
        let done = world.accept(&made.token).await;
        assert_eq!(done.status, StatusCode::CREATED, "{}", done.body);
        let token = done.body["access_token"].as_str().expect("a token").to_owned();
        let who = world.send(request(Method::GET, "/v1/whoami", Some(&token), &[], None)).await.body;
        assert_eq!((&who["user"]["email"], &who["user"]["role"]), (&json!("grace@example.org"), &json!("member")));
        let id = who["user"]["id"].as_str().expect("an id");
        let member = world.get(&format!("/v1/projects/{}/members/{id}", world.ours.project)).await;
        assert_eq!(member.body["role"], "editor", "{}", member.body);
        assert_eq!(world.state(&made.path).await, "accepted");
        assert_eq!(world.accept(&made.token).await.code(), "invitation_refused", "it is good once");
        let audit = world.get("/v1/audit?limit=50").await.body;
        let entry = audit["items"].as_array().expect("entries").iter().find(|it| it["action"] == "invitation_accept");
        assert_eq!(entry.expect("an entry")["actor"], id);
        assert!(!audit.to_string().contains(&made.token));
        let again = json!({ "email": "grace@example.org" });
        let again = world.by(&administrator, Method::POST, "/v1/invitations", Some(again)).await;
        assert_eq!(again.code(), "name_taken");
        assert_eq!(
            world.by(&administrator, Method::POST, &format!("{}/revoke", made.path), None).await.body["state"],
            "accepted"
        );
    }
}

#[tokio::test]
async fn a_token_that_is_not_good_is_refused_in_the_same_words_whatever_is_wrong() {
    for world in World::on_both().await {
        let owner = world.join("owner", &[]).await;
        let invite = async |name: &str| world.invite(&owner, json!({ "email": format!("{name}@example.org") })).await;
        let (revoked, late, replaced) = (invite("a").await, world.late(&owner).await, invite("c").await);
        assert_eq!(
            world.by(&owner, Method::POST, &format!("{}/revoke", revoked.path), None).await.body["state"],
            "revoked"
        );
        let newer = invite("c").await;
        assert_eq!(
            (world.state(&late.path).await, world.state(&replaced.path).await),
            (json!("expired"), json!("revoked"))
        );
        // The address has an account by now, in this organization or in another one.
        let (here, elsewhere) = (invite("d").await, invite("theirs").await);
        let account = json!({ "email": "d@example.org", "password": PASSWORD });
        assert_eq!(world.call(Method::POST, "/v1/users", Some(account)).await.status, StatusCode::CREATED);
        let unknown = plain(&world.accept("wbi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await);
        assert_eq!((unknown.0, &unknown.1["code"]), (StatusCode::UNAUTHORIZED, &json!("invitation_refused")));
        for made in [&revoked, &late, &replaced, &here, &elsewhere] {
            assert_eq!(plain(&world.accept(&made.token).await), unknown);
        }
        assert_eq!(
            world.accept(&newer.token).await.status,
            StatusCode::CREATED,
            "failures without an address hold nobody up"
        );
    }
}

#[tokio::test]
async fn an_invitation_gives_no_more_than_who_made_it_may_give_when_it_is_accepted() {
    for world in World::on_both().await {
        let here = world.ours.project;
        let owner = world.join("owner", &[]).await;
        let administrator = world.join("administrator", &[]).await;
        let admin = world.join("member", &[(here, "admin")]).await;
        let ask = async |by: &Person, body: Value| world.by(by, Method::POST, "/v1/invitations", Some(body)).await;
        assert_eq!(ask(&admin, json!({ "email": "x@example.org" })).await.code(), "forbidden");
        assert_eq!(ask(&administrator, json!({ "email": "x@example.org", "role": "owner" })).await.code(), "forbidden");
        let above = json!({ "email": "x@example.org", "project_id": here, "project_role": "owner" });
        assert_eq!(ask(&administrator, above).await.code(), "forbidden");
        let theirs = json!({ "email": "x@example.org", "project_id": world.theirs.project, "project_role": "viewer" });
        assert_eq!(ask(&owner, theirs).await.code(), "not_found");
        assert_eq!(ask(&owner, json!({ "email": "x@example.org", "project_role": "viewer" })).await.code(), "unusable");
        // Who asked somebody in falls before they come.
        let body = |name: &str| json!({ "email": format!("{name}@example.org"), "role": "administrator" });
        let (first, second) =
            (world.invite(&administrator, body("y")).await, world.invite(&administrator, body("z")).await);
        let path = format!("/v1/users/{}", administrator.id);
        world.change_by(&owner, Method::PATCH, &path, Some(json!({ "role": "member" }))).await;
        assert_eq!(world.accept(&first.token).await.code(), "invitation_refused");
        world.change_by(&owner, Method::PATCH, &path, Some(json!({ "role": "administrator", "disabled": true }))).await;
        assert_eq!(world.accept(&first.token).await.code(), "invitation_refused");
        assert_eq!(world.state(&first.path).await, "open", "nothing is used up");
        world.change_by(&owner, Method::PATCH, &path, Some(json!({ "disabled": false }))).await;
        assert_eq!(world.accept(&first.token).await.status, StatusCode::CREATED);
        assert_eq!(world.accept(&second.token).await.status, StatusCode::CREATED);
    }
}

#[tokio::test]
async fn of_many_who_accept_at_once_one_comes_in() {
    for world in World::on_both().await {
        let owner = world.join("owner", &[]).await;
        let made = world.invite(&owner, json!({ "email": "grace@example.org" })).await;
        let tries = (0..8).map(|_| world.accept(&made.token));
        let codes: Vec<StatusCode> = futures::future::join_all(tries).await.iter().map(|got| got.status).collect();
        assert_eq!(codes.iter().filter(|status| **status == StatusCode::CREATED).count(), 1, "{codes:?}");
        let listed = world.get("/v1/users").await.body.to_string();
        assert_eq!(listed.matches("grace@example.org").count(), 1);
    }
}

//! H19: who moves a connection to another place says which secrets go along; who looks at one may change it.

use super::*;
use crate::auth::Permission;

const SHOP: &str = "shop: { type: postgres, host: db.internal, database: shop, user: ro, password: env://SHOP }";

impl World {
    async fn etag(&self, path: &str) -> String {
        self.get(path).await.etag().to_owned()
    }

    /// A connection that refers to a secret; its path.
    async fn shop(&self) -> String {
        let system = system("db.internal", "env://SHOP");
        let body = json!({ "project_id": self.ours.project, "name": "guarded", "system": system });
        let made = self.call(Method::POST, "/v1/connections", Some(body)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        format!("/v1/connections/{}", made.body["id"].as_str().expect("an id"))
    }

    async fn change(&self, path: &str, body: Value) -> Got {
        let etag = self.etag(path).await;
        self.with(Method::PATCH, path, &[("if-match", &etag)], Some(body)).await
    }

    async fn apply(&self, query: &str, document: &str, secrets: Value) -> Got {
        let body = json!({ "project_id": self.ours.project, "document": document, "secrets": secrets });
        self.call(Method::POST, &format!("/v1/specs:apply{query}"), Some(body)).await
    }
}

fn system(host: &str, password: &str) -> Value {
    json!({ "type": "postgres", "host": host, "database": "shop", "user": "ro", "password": password })
}

#[tokio::test]
async fn h19_a_changed_place_demands_its_secret_anew() {
    let world = World::new().await;
    let path = world.shop().await;
    let refused = world.change(&path, json!({ "system": system("evil.example", "env://SHOP") })).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "secret_required"));
    assert_eq!(refused.body["errors"][0]["pointer"], "/secrets/password", "{}", refused.body);
    assert!(refused.body["next"].as_str().is_some_and(|next| next.contains("secrets")), "{}", refused.body);
    assert_eq!(world.get(&path).await.body["system"]["host"], "db.internal", "nothing was changed");
    let wrong = json!({ "system": system("evil.example", "env://SHOP"), "secrets": { "password": "hunter2" } });
    let wrong = world.change(&path, wrong).await;
    assert_eq!(wrong.code(), "secret_required");
    assert!(!wrong.body.to_string().contains("hunter2"));
    let named = json!({ "system": system("db2.internal", "env://SHOP"), "secrets": { "password": "env://SHOP" } });
    assert_eq!(world.change(&path, named).await.status, StatusCode::OK);
    let rotated = world.change(&path, json!({ "system": system("db2.internal", "env://SHOP_2") })).await;
    assert_eq!((rotated.status, &rotated.body["version"]), (StatusCode::OK, &json!(3)), "the place stayed");
}

#[tokio::test]
async fn h19_a_document_obeys_the_same_rule_and_its_plan_says_so_before() {
    let world = World::new().await;
    let document = |host: &str| format!("waybill: 1\nconnections:\n  {}\n", SHOP.replace("db.internal", host));
    let first = world.apply("", &document("db.internal").replace("shop:", "guarded:"), json!({})).await;
    assert_eq!(first.status, StatusCode::OK, "a new connection has named its secret: {}", first.body);
    let moved = document("evil.example").replace("shop:", "guarded:");
    let plan = world.apply("?dry_run=true", &moved, json!({})).await;
    assert_eq!(plan.body["secrets_required"], json!(["guarded.password"]), "{}", plan.body);
    let refused = world.apply("", &moved, json!({})).await;
    assert_eq!((refused.status, refused.code()), (StatusCode::UNPROCESSABLE_ENTITY, "secret_required"));
    assert_eq!(refused.body["errors"][0]["pointer"], "/secrets/guarded.password");
    assert_eq!(refused.body["next"], "waybill apply --secret guarded.password=REFERENCE");
    let allowed = world.apply("", &moved, json!({ "guarded.password": "env://SHOP" })).await;
    assert_eq!(allowed.status, StatusCode::OK, "{}", allowed.body);
    let empty = world.apply("?dry_run=true", &moved, json!({})).await;
    assert_eq!((&empty.body["changes"], empty.body.get("secrets_required")), (&json!([]), None));
}

#[tokio::test]
async fn h19_a_look_at_a_connection_needs_the_right_to_change_one() {
    let world = World::new().await;
    let looks = ["connection", "pipeline"].map(|noun| (format!("{noun}_id"), world.id(noun)));
    for (kind, (field, id)) in
        ["check", "discover"].into_iter().flat_map(|kind| looks.iter().map(move |look| (kind, look)))
    {
        let body = serde_json::from_value(json!({ field.as_str(): id, "kind": kind })).expect("a body");
        // Who may start every pipeline of the project, and change none.
        let authority = Authority::of(OrganizationRole::Member, &[(world.ours.project, ProjectRole::Operator)]);
        let operator = Caller { authority, ..world.ours.caller.clone() };
        let refused = start::start(&world.app, &operator, &body, None).await.map(|_| ()).expect_err("a refusal");
        assert_eq!(refused.code, waybill_api::ProblemCode::Forbidden);
        assert!(refused.detail.is_some_and(|text| text.contains(Permission::ConnectionCheck.as_str())));
        assert!(start::start(&world.app, &world.ours.caller, &body, None).await.is_ok());
    }
}

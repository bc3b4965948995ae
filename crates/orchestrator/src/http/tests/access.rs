//! `access`: what it says of somebody is what they get.

use super::*;
use crate::http::operations;
use crate::role_table::Cell;

#[tokio::test]
async fn what_is_said_of_somebody_is_what_they_get() {
    let world = World::with_settings(&[]).await;
    let (other, _) = world.second_project().await;
    for (role, projects, disabled) in [
        ("owner", vec![], false),
        ("administrator", vec![], false),
        ("member", vec![(world.ours.project, "operator")], false),
        ("member", vec![(world.ours.project, "editor"), (other, "owner")], false),
        ("member", vec![(other, "owner")], false),
        ("member", vec![], false),
        ("member", vec![(world.ours.project, "owner")], true),
    ] {
        let who = world.join(role, &projects).await;
        if disabled {
            let path = format!("/v1/users/{}", who.id);
            let owner = Person { token: world.ours.token.clone(), ..world.join("owner", &[]).await };
            world.change_by(&owner, Method::PATCH, &path, Some(json!({ "disabled": true }))).await;
        }
        let standing = world.app.store.standing_of(world.ours.caller.org, who.id).await.expect("a read");
        let authority = standing.map(Authority::from).unwrap_or_default();
        for operation in operations().list {
            let noun = operation.path.split(['{', '}']).nth(1);
            let object = noun.map(|noun| world.id(noun)).map_or_else(String::new, |id| format!("&object={id}"));
            let path = format!("/v1/access?user={}&action={}{object}", who.email, operation.id);
            let said = world.get(&path).await;
            let meant = Cell::of(&operation, &authority, crate::role_table::place_of(&operation, world.ours.project));
            let found = match (said.body["allowed"].as_bool(), said.body["refused_with"].as_u64()) {
                (Some(true), None) => Cell::Allowed,
                (Some(false), Some(403)) => Cell::Forbidden,
                (Some(false), Some(404)) => Cell::NotFound,
                (Some(false), Some(401)) if disabled && operation.permission.is_some() => continue,
                _ => panic!("{path}: {} {}", said.status, said.body),
            };
            assert_eq!(found, meant, "{role} {projects:?} {path}: {}", said.body);
            let reason = said.body["reason"].as_str().expect("a reason");
            assert_eq!(reason.contains("disabled"), disabled && operation.permission.is_some(), "{path}: {reason}");
        }
    }
}

#[tokio::test]
async fn a_question_about_somebody_else_takes_the_right_to_see_people_and_an_object_that_one_sees() {
    let world = World::new().await;
    let (other, run) = world.second_project().await;
    let viewer = world.join("member", &[(world.ours.project, "viewer")]).await;
    let ask = async |query: &str| world.by(&viewer, Method::GET, &format!("/v1/access?{query}"), None).await;
    let own = ask(&format!("action=pipeline_update&object={}", world.ours.pipeline)).await;
    let said = &own.body;
    assert_eq!(
        (said["allowed"].as_bool(), said["role"].as_str(), said["scope"].as_str(), said["takes"].as_str()),
        (Some(false), Some("viewer"), Some("project"), Some("the project role editor")),
        "{said}"
    );
    assert_eq!(ask(&format!("action=run_get&object={run}")).await.code(), "not_found");
    assert_eq!(ask(&format!("action=project_get&object={other}")).await.code(), "not_found");
    let theirs = world.theirs.ids.iter().map(|(_, id)| id.clone());
    for id in theirs.chain(["pl_nothing".into(), "x".into(), String::new()]) {
        let got = world.get(&format!("/v1/access?action=whoami&object={id}")).await;
        assert_eq!(got.code(), "not_found", "{id}");
    }
    for user in ["ours@example.org", "nobody@example.org", "theirs@example.org"] {
        assert_eq!(ask(&format!("action=whoami&user={user}")).await.code(), "forbidden", "{user}");
    }
    for user in ["nobody@example.org", "theirs@example.org", &world.theirs.user.to_string()] {
        assert_eq!(world.get(&format!("/v1/access?action=whoami&user={user}")).await.code(), "not_found", "{user}");
    }
    for query in ["action=frobnicate", "action=pipeline_update", ""] {
        assert_eq!(ask(query).await.code(), "parameter_invalid", "{query}");
    }
    let wrong = ask(&format!("action=pipeline_update&object={}", world.ours.run)).await;
    assert!(wrong.body["detail"].as_str().is_some_and(|text| text.contains("about a pipeline")), "{}", wrong.body);
    let project = ask(&format!("action=run_start&object={}", world.ours.project)).await;
    assert_eq!(project.body["takes"], "the project role operator");
}

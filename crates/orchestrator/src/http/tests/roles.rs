//! Roles are given, changed and taken: nobody rises by it, the last owner stays, and what was taken is gone at once.

use std::collections::BTreeSet;

use super::*;
use crate::auth::{Permission, Place};
use crate::service;

impl World {
    fn member_path(&self, who: &Person) -> String {
        format!("/v1/projects/{}/members/{}", self.ours.project, who.id)
    }

    async fn add(&self, by: &Person, who: &Person, role: &str) -> Got {
        let path = format!("/v1/projects/{}/members", self.ours.project);
        self.by(by, Method::POST, &path, Some(json!({ "email": who.email, "role": role }))).await
    }

    async fn patch(&self, by: &Person, path: &str, body: Value) -> Got {
        self.change_by(by, Method::PATCH, path, Some(body)).await
    }

    async fn authority(&self, id: UserId) -> Authority {
        let found = self.app.store.standing_of(self.ours.caller.org, id).await.expect("a read");
        found.map(Authority::from).unwrap_or_default()
    }
}

fn user_path(who: &Person) -> String {
    format!("/v1/users/{}", who.id)
}

#[tokio::test]
async fn t19_nobody_gives_or_takes_a_role_above_their_own_nor_changes_their_own() {
    for world in World::on_both().await {
        let here = world.ours.project;
        let owner = world.join("owner", &[]).await;
        let administrator = world.join("administrator", &[]).await;
        let member = world.join("member", &[]).await;
        let refused = |got: Got, text: &str| {
            let detail = got.body["detail"].as_str().unwrap_or_default().to_owned();
            assert!(got.status == StatusCode::FORBIDDEN && detail.contains(text), "{}: {detail}", got.status);
        };
        let raise = |role: &str| json!({ "role": role });
        refused(world.patch(&administrator, &user_path(&member), raise("owner")).await, "above");
        refused(world.patch(&administrator, &user_path(&owner), raise("member")).await, "above");
        refused(world.patch(&administrator, &user_path(&owner), json!({ "disabled": true })).await, "above");
        refused(world.patch(&administrator, &user_path(&administrator), raise("member")).await, "themselves");
        refused(world.patch(&owner, &user_path(&owner), json!({ "disabled": true })).await, "themselves");
        let made = json!({ "email": "new@example.org", "password": PASSWORD, "role": "owner" });
        refused(world.by(&administrator, Method::POST, "/v1/users", Some(made)).await, "above");
        let raised = world.patch(&administrator, &user_path(&member), raise("administrator")).await;
        assert_eq!((raised.status, &raised.body["role"]), (StatusCode::OK, &json!("administrator")));
        assert_eq!(world.patch(&owner, &user_path(&member), raise("member")).await.status, StatusCode::OK);

        let admin = world.join("member", &[(here, "admin")]).await;
        let boss = world.join("member", &[(here, "owner")]).await;
        let editor = world.join("member", &[(here, "editor")]).await;
        refused(world.add(&admin, &member, "owner").await, "above");
        refused(world.patch(&admin, &world.member_path(&boss), raise("viewer")).await, "above");
        refused(world.change_by(&admin, Method::DELETE, &world.member_path(&boss), None).await, "above");
        refused(world.patch(&admin, &world.member_path(&admin), raise("viewer")).await, "themselves");
        refused(world.change_by(&boss, Method::DELETE, &world.member_path(&boss), None).await, "themselves");
        refused(world.add(&administrator, &administrator, "viewer").await, "themselves");
        refused(world.add(&administrator, &member, "owner").await, "above");
        refused(world.add(&editor, &member, "viewer").await, "lacks member:write");
        assert_eq!(world.add(&admin, &member, "admin").await.status, StatusCode::CREATED);
        assert_eq!(world.add(&boss, &member, "viewer").await.code(), "name_taken");
        assert_eq!(world.patch(&boss, &world.member_path(&member), raise("owner")).await.status, StatusCode::OK);
        let nobody = json!({ "email": world.theirs.user.to_string(), "role": "viewer" });
        let theirs = json!({ "email": "theirs@example.org", "role": "viewer" });
        let path = format!("/v1/projects/{here}/members");
        let [unknown, foreign] = [
            world.by(&boss, Method::POST, &path, Some(nobody)).await,
            world.by(&boss, Method::POST, &path, Some(theirs)).await,
        ];
        assert_eq!((unknown.status, unknown.code()), (StatusCode::UNPROCESSABLE_ENTITY, "unusable"));
        assert_eq!(unknown.body["detail"], foreign.body["detail"], "another organization's person is nobody");
        let unread = world.by(&boss, Method::POST, &path, Some(json!({ "email": "x@y.z", "role": "king" }))).await;
        assert_eq!((unread.status, unread.code()), (StatusCode::BAD_REQUEST, "body_invalid"));
    }
}

#[tokio::test]
async fn t19_the_last_owner_stays_also_where_two_are_taken_away_at_once() {
    for world in World::on_both().await {
        let here = world.ours.project;
        let me = Person {
            id: world.ours.user,
            email: "ours@example.org".into(),
            session: world.ours.session,
            token: world.ours.token.clone(),
            project: Some(here),
        };
        let owners = async |world: &World| {
            let members = world.app.store.member_list(world.ours.caller.org, here, None, 100).await.expect("members");
            members.into_iter().filter(|member| member.role == "owner").count()
        };
        // One who stands above both takes them away: neither request sees the other's change before it waits for it.
        let above = world.join("owner", &[]).await;
        let second = world.join("member", &[(here, "owner")]).await;
        for round in 0..5 {
            let (one, two) = (world.member_path(&me), world.member_path(&second));
            let ways = if round % 2 == 0 {
                (Method::DELETE, None)
            } else {
                (Method::PATCH, Some(json!({ "role": "viewer" })))
            };
            let (first, other) = tokio::join!(
                world.change_by(&above, ways.0.clone(), &one, ways.1.clone()),
                world.change_by(&above, ways.0.clone(), &two, ways.1.clone())
            );
            let mut codes = [first.code().to_owned(), other.code().to_owned()];
            codes.sort_unstable();
            assert_eq!(codes, ["", "last_owner"], "{} {}", first.body, other.body);
            assert_eq!(owners(&world).await, 1, "round {round}");
            // Both are owners again.
            for who in [&me, &second] {
                if world.get(&world.member_path(who)).await.status == StatusCode::NOT_FOUND {
                    assert_eq!(world.add(&above, who, "owner").await.status, StatusCode::CREATED);
                } else {
                    world.patch(&above, &world.member_path(who), json!({ "role": "owner" })).await;
                }
            }
        }
        // Two owners of the organization, each taking the other's role away: one is let, the other is owner no more.
        let third = world.join("owner", &[]).await;
        assert_eq!(world.patch(&above, &user_path(&me), json!({ "role": "member" })).await.status, StatusCode::OK);
        let admin = world.join("administrator", &[]).await;
        let etag = async |who: &Person| world.by(&admin, Method::GET, &user_path(who), None).await.etag().to_owned();
        let (one, two) = (etag(&third).await, etag(&above).await);
        let lower = Some(json!({ "role": "member" }));
        let (first, other) = tokio::join!(
            world.send(request(
                Method::PATCH,
                &user_path(&third),
                Some(&above.token),
                &[("if-match", &one)],
                lower.clone()
            )),
            world.send(request(
                Method::PATCH,
                &user_path(&above),
                Some(&third.token),
                &[("if-match", &two)],
                lower.clone()
            ))
        );
        let made = [&first, &other].iter().filter(|got| got.status == StatusCode::OK).count();
        assert_eq!(made, 1, "{} {}", first.body, other.body);
        let left = [above.id, third.id].map(async |id| world.authority(id).await.in_organization());
        let left = futures::future::join_all(left).await;
        assert_eq!(left.iter().filter(|role| **role == Some(OrganizationRole::Owner)).count(), 1, "{left:?}");
    }
}

#[tokio::test]
async fn t19_what_was_taken_away_is_gone_with_the_next_request() {
    let world = World::new().await;
    let owner = world.join("owner", &[]).await;
    let member = world.join("member", &[(world.ours.project, "operator")]).await;
    let run = format!("/v1/runs/{}", world.ours.run);
    let cancel = format!("{run}/cancel");
    assert_eq!(world.by(&member, Method::GET, &run, None).await.status, StatusCode::OK);
    world.patch(&owner, &world.member_path(&member), json!({ "role": "viewer" })).await;
    assert_eq!(world.by(&member, Method::POST, &cancel, None).await.code(), "forbidden");
    let got = world.change_by(&owner, Method::DELETE, &world.member_path(&member), None).await;
    assert_eq!(got.status, StatusCode::NO_CONTENT);
    assert_eq!(world.by(&member, Method::GET, &run, None).await.code(), "not_found");
    let got = world.patch(&owner, &user_path(&member), json!({ "disabled": true })).await;
    assert_eq!((got.status, &got.body["disabled"]), (StatusCode::OK, &json!(true)));
    assert_eq!(world.by(&member, Method::GET, "/v1/whoami", None).await.code(), "token_invalid");
    // Enabled again, the old session stays ended.
    world.patch(&owner, &user_path(&member), json!({ "disabled": false })).await;
    assert_eq!(world.by(&member, Method::GET, "/v1/whoami", None).await.code(), "token_invalid");
    let sessions = world.app.store.session_list(world.ours.caller.org, member.id, None, 10).await.expect("a read");
    assert!(sessions.is_empty(), "{sessions:?}");
    let audit = world.get("/v1/audit").await.body.to_string();
    for action in ["member_update", "member_delete", "user_disable", "user_enable"] {
        assert!(audit.contains(action), "{action}: {audit}");
    }
    let chain = world.app.store.audit_verify(world.ours.caller.org).await.expect("a read");
    assert!(chain.is_ok(), "{chain:?}");
}

#[tokio::test]
async fn t19_a_live_stream_ends_where_its_reader_is_taken_out() {
    use futures::StreamExt;
    let world = World::new().await;
    let viewer = world.join("member", &[(world.ours.project, "viewer")]).await;
    let path = format!("/v1/events?topics=run:{}", world.ours.run);
    let request = request(Method::GET, &path, Some(&viewer.token), &[], None);
    let answer = super::super::router(Arc::clone(&world.app)).oneshot(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let mut stream = answer.into_body().into_data_stream();
    assert!(stream.next().await.is_some(), "the run as it is");
    let path = world.member_path(&viewer);
    let etag = world.get(&path).await.etag().to_owned();
    assert_eq!(world.with(Method::DELETE, &path, &[("if-match", &etag)], None).await.status, StatusCode::NO_CONTENT);
    let ended =
        tokio::time::timeout(std::time::Duration::from_secs(10), async { while stream.next().await.is_some() {} });
    ended.await.expect("the stream ends soon");
}

#[tokio::test]
async fn allowed_actions_follow_the_role_and_say_which_one_it_takes() {
    let world = World::new().await;
    let viewer = world.join("member", &[(world.ours.project, "viewer")]).await;
    let editor = world.join("member", &[(world.ours.project, "editor")]).await;
    let id = |noun: &str| world.id(noun);
    let mut told = 0;
    for (path, allowed) in [
        (format!("/v1/pipelines/{}", id("pipeline")), vec!["run_start", "pipeline_update"]),
        (format!("/v1/connections/{}", id("connection")), vec!["connection_update", "run_start"]),
        (format!("/v1/runs/{}", id("run")), vec!["run_cancel"]),
        (format!("/v1/pipelines/{}/schedule", id("pipeline")), vec!["schedule_set", "schedule_delete"]),
        (format!("/v1/projects/{}", id("project")), vec![]),
        (format!("/v1/data-planes/{}", id("data_plane")), vec![]),
    ] {
        for action in
            world.by(&viewer, Method::GET, &path, None).await.body["allowed_actions"].as_array().expect("actions")
        {
            let reason = action["reason"].as_str().unwrap_or_default();
            assert!(action["allowed"] == false && reason.starts_with("the role "), "{path}: {action}");
            told += 1;
        }
        let body = world.by(&editor, Method::GET, &path, None).await.body;
        let yes: Vec<&str> = body["allowed_actions"]
            .as_array()
            .expect("actions")
            .iter()
            .filter(|action| action["allowed"] == true)
            .map(|action| action["action"].as_str().expect("a name"))
            .collect();
        assert_eq!(yes, allowed, "{path}");
    }
    assert!(told >= 12, "{told}");
    let project = world.by(&viewer, Method::GET, &format!("/v1/projects/{}", world.ours.project), None).await;
    assert_eq!(project.body["role"], "viewer");
    let own = world.get(&format!("/v1/users/{}", world.ours.user)).await.body;
    assert_eq!(own["allowed_actions"][0]["reason"], "nobody changes what they themselves may do");
}

/// Everything that an authority may do, and where.
fn reach(authority: &Authority, projects: &[ProjectId]) -> BTreeSet<(String, String)> {
    let places = projects.iter().map(|id| Place::Project(*id)).chain([Place::Organization]);
    let pairs = places.flat_map(|place| Permission::ALL.iter().map(move |permission| (*permission, place)));
    let allowed = pairs.filter(|(permission, place)| authority.decide(*permission, *place).allowed);
    let mut found: BTreeSet<_> =
        allowed.map(|(permission, place)| (permission.as_str().to_owned(), format!("{place:?}"))).collect();
    // A rung is gained as well where it gives no permission of its own: an owner makes owners.
    for role in OrganizationRole::ALL.iter().filter(|role| authority.in_organization() >= Some(**role)) {
        found.insert((role.to_string(), "organization".to_owned()));
    }
    for project in projects {
        for role in ProjectRole::ALL.iter().filter(|role| authority.in_project(*project) >= Some(**role)) {
            found.insert((role.to_string(), project.to_string()));
        }
    }
    found
}

/// A generator of its own, so that a failure names its seed and comes again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).expect("a small number")
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

#[tokio::test]
async fn t19_no_sequence_of_calls_gains_what_its_caller_could_not_give() {
    let world = World::with_settings(&[("WAYBILL__HTTP__ORGANIZATION_QUOTA", "100000")]).await;
    let (other, _) = world.second_project().await;
    let projects = [world.ours.project, other];
    let seed = u64::from(std::process::id()) ^ Micros::now().0.unsigned_abs();
    let mut dice = Dice(seed);
    let mut people = Vec::new();
    for role in ["owner", "owner", "administrator", "administrator", "member", "member", "member", "member"] {
        let of_projects: Vec<_> =
            projects.iter().map(|project| (*project, dice.pick(ProjectRole::ALL).as_str())).collect();
        let many = dice.roll(of_projects.len() + 1);
        people.push(world.join(role, &of_projects[..many]).await);
    }
    let (mut done, mut refused) = (0, 0);
    let mut keys: Vec<(super::key::Made, UserId)> = Vec::new();
    for step in 0..300 {
        let (by, who) = (dice.pick(&people), dice.pick(&people));
        let project = *dice.pick(&projects);
        let role = dice.pick(ProjectRole::ALL).as_str();
        let member = format!("/v1/projects/{project}/members/{}", who.id);
        let actor = world.authority(by.id).await;
        let before = futures::future::join_all(people.iter().map(|it| world.authority(it.id))).await;
        let of_project = format!("/v1/projects/{project}");
        let got = match dice.roll(7) {
            5 => {
                let role = dice.pick(&["viewer", "operator", "editor"]);
                let body = json!({ "name": format!("k{step}"), "role": role, "days": 1 });
                let got = world.by(by, Method::POST, &format!("{of_project}/keys"), Some(body)).await;
                if let Some(text) = got.body["secret"].as_str() {
                    let id = got.body["key"]["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
                    keys.push((super::key::Made { id, text: text.to_owned() }, by.id));
                }
                got
            }
            6 if !keys.is_empty() => {
                // Whatever a key asks for that gives somebody something, it gets nothing.
                let text = &dice.pick(&keys).0.text;
                let body = json!({ "email": who.email, "role": role });
                let key = json!({ "name": format!("k{step}"), "role": "viewer", "days": 1 });
                let (path, body) = match dice.roll(3) {
                    0 => (format!("{of_project}/members"), body),
                    1 => (format!("{of_project}/keys"), key),
                    _ => ("/v1/projects".to_owned(), json!({ "name": format!("p{step}") })),
                };
                let got = world.with_key(text, Method::POST, &path, Some(body)).await;
                assert!(got.status.is_client_error(), "seed {seed}, step {step}: {path}: {}", got.body);
                got
            }
            0 => {
                let body = json!({ "email": who.email, "role": role });
                world.by(by, Method::POST, &format!("/v1/projects/{project}/members"), Some(body)).await
            }
            1 => world.patch(by, &member, json!({ "role": role })).await,
            2 => world.change_by(by, Method::DELETE, &member, None).await,
            3 => {
                let role = dice.pick(OrganizationRole::ALL).as_str();
                world.patch(by, &user_path(who), json!({ "role": role })).await
            }
            _ => world.patch(by, &user_path(who), json!({ "disabled": dice.roll(12) == 0 })).await,
        };
        if got.status.is_success() {
            done += 1
        } else {
            refused += 1
        }
        // An account that is enabled again has what it had.
        let enabled = got.status.is_success() && got.body["disabled"] == false;
        let may = reach(&actor, &projects);
        let after = futures::future::join_all(people.iter().map(|it| world.authority(it.id))).await;
        for ((person, before), after) in people.iter().zip(&before).zip(&after) {
            for (key, _) in keys.iter().filter(|(_, maker)| *maker == person.id) {
                let may = service::key::authority_now(&world.app, key.id).await.expect("a read").unwrap_or_default();
                let over: Vec<_> = reach(&may, &projects).difference(&reach(after, &projects)).cloned().collect();
                assert!(over.is_empty(), "seed {seed}, step {step}: a key of {} may {over:?}", person.id);
            }
            let (had, has) = (reach(before, &projects), reach(after, &projects));
            if enabled && had.is_empty() {
                continue;
            }
            let gained: Vec<_> = has.difference(&had).filter(|gain| !may.contains(*gain)).collect();
            assert!(gained.is_empty(), "seed {seed}, step {step}: {} gained {gained:?}: {}", person.id, got.body);
            assert!(person.id != by.id || has == had, "seed {seed}, step {step}: {} moved themselves", by.id);
        }
    }
    // Every maker falls to the lowest rung: what they made falls with them.
    let me = Person { token: world.ours.token.clone(), ..world.join("owner", &[]).await };
    for (key, maker) in &keys {
        let who = people.iter().find(|person| person.id == *maker).expect("a maker");
        world.patch(&me, &user_path(who), json!({ "role": "member", "disabled": false })).await;
        for project in projects {
            let (path, body) =
                (format!("/v1/projects/{project}/members"), json!({ "email": who.email, "role": "viewer" }));
            world.by(&me, Method::POST, &path, Some(body)).await;
            world.patch(&me, &format!("{path}/{maker}"), json!({ "role": "viewer" })).await;
        }
        let may = service::key::authority_now(&world.app, key.id).await.expect("a read").unwrap_or_default();
        let makers = reach(&world.authority(*maker).await, &projects);
        let lowest = Authority::of(OrganizationRole::Member, &projects.map(|id| (id, ProjectRole::Viewer)));
        assert_eq!(makers, reach(&lowest, &projects), "seed {seed}: {maker} is at the lowest rung");
        assert!(reach(&may, &projects).is_subset(&makers), "seed {seed}: a key of {maker}");
    }
    assert!(
        done > 20 && refused > 20 && keys.len() > 2,
        "seed {seed}: {done} done, {refused} refused, {} keys",
        keys.len()
    );
}
